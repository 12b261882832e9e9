"""DCGM metrics as Prometheus `query_range` answers: telemetry/dcgm/<metric>/YYYY-MM-DD.json.gz, one matrix a day."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from io import BufferedIOBase
from pathlib import Path
from typing import Final

import polars as pl

from demo.fleet import Fleet, Gpu, Hold
from demo.plan import Plan, midnight, open_output
from demo.summary import SourceTruth

METRICS: Final[tuple[str, ...]] = (
    "DCGM_FI_DEV_POWER_USAGE",
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
    "DCGM_FI_DEV_GPU_UTIL",
    "DCGM_FI_DEV_FB_USED",
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
    "DCGM_FI_PROF_SM_ACTIVE",
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
)
_WHOLE_CARD_ONLY: Final[tuple[str, ...]] = METRICS[:3]
_GPUS_AT_ONCE: Final = 100  # bounds memory at any scale
_NAN_SHARE: Final = 0.002
_NAMELESS_SHARE: Final = 0.005


@dataclass
class GpuTruth:
    """What was planted, in GPU-hours of physical cards seen by telemetry (a shared card counts once)."""

    held_idle_gpu_hours: int = 0
    unallocated_gpu_hours: int = 0
    worked_gpu_hours: int = 0
    unseen_gpu_hours: int = 0
    nan_samples: int = 0


class GpuTelemetry:
    """Writes a day at a time; energy counters run on from day to day."""

    def __init__(self, plan: Plan, fleet: Fleet) -> None:
        self.plan = plan
        self.fleet = fleet
        self.truth = GpuTruth()
        self.source = SourceTruth()
        self._counters = {  # restarts so far, millijoules at the last sample
            gpu.uuid: (0, float(plan.random("counter", gpu.uuid).randrange(10**11, 10**13))) for gpu in fleet.gpus
        }
        self._exporter_pods = {
            node.name: f"nvidia-dcgm-exporter-{plan.random('exporter', node.name).getrandbits(20):05x}"
            for node in fleet.nodes
        }

    def write_day(self, day_number: int) -> None:
        """Write one file per metric for a day of the window."""
        day = self.plan.start + timedelta(days=day_number)
        folder = self.plan.home / "telemetry" / "dcgm"
        paths: dict[str, Path] = {metric: folder / metric / f"{day}.json.gz" for metric in METRICS}
        rows: dict[str, int] = dict.fromkeys(METRICS, 0)
        with ExitStack() as files:
            scraped_at = midnight(day) + timedelta(days=1, minutes=15)
            outs: dict[str, BufferedIOBase] = {
                metric: files.enter_context(open_output(path, scraped_at)) for metric, path in paths.items()
            }
            for out in outs.values():
                out.write(b'{"status":"success","data":{"resultType":"matrix","result":[')
            for first in range(0, len(self.fleet.gpus), _GPUS_AT_ONCE):
                gpus = self.fleet.gpus[first : first + _GPUS_AT_ONCE]
                cards, series = self._states(day_number, gpus)
                samples = self._measure(day_number, first, cards)
                for metric, out in outs.items():
                    frame = _values(metric, samples, series)
                    out.writelines(f"{result},".encode() for result in self._results(metric, frame))
                    rows[metric] += frame.height
            for metric, out in outs.items():
                nameless, malformed = self._nameless(metric, day_number, rows[metric])
                out.write(f"{nameless}]}}}}\n".encode())
                rows[metric] += malformed
                self.source.malformed_rows += malformed
        for metric, path in paths.items():
            self.source.add(path, rows=rows[metric])

    def _states(self, day_number: int, gpus: list[Gpu]) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Hourly state per card (for power), and hourly series per card, instance and pod (for labels)."""
        cards: list[tuple[str, int, float, int, int, int, bool]] = []
        series: list[tuple[str, int, str, float, float, int, bool]] = []
        for hour in range(day_number * 24, day_number * 24 + 24):
            for gpu in gpus:
                kind = gpu.node.type
                if not self.fleet.is_up(gpu.node, hour):
                    self.truth.unseen_gpu_hours += 1
                    continue
                holds = self.fleet.holds(gpu, hour)
                activity = sum(h.activity for h in holds) / len(holds)
                is_seen = self.fleet.is_seen(gpu.node, hour)
                self._count(holds, is_seen)
                restarts = self.fleet.counter_restarts(gpu, hour)
                cards.append((gpu.uuid, hour, activity, kind.idle_watts, kind.peak_watts, restarts, is_seen))
                for hold in holds if is_seen else ():
                    share = 0.75 if hold.holder else 0.0
                    memory = (hold.mig.memory_mib if hold.mig else kind.gpu_memory_mib) * share + 4.0
                    labels = self._labels(hold)
                    is_instance = hold.mig is not None
                    series.append((gpu.uuid, hour, labels, hold.activity, memory, gpu.index, is_instance))
                if gpu.sharing == "mig" and is_seen:
                    labels = self._labels(Hold(gpu, None, None, activity))
                    series.append((gpu.uuid, hour, labels, activity, 20000.0, gpu.index, False))
        return (
            pl.DataFrame(
                cards,
                schema=["uuid", "hour", "activity", "idle_watts", "peak_watts", "restarts", "is_seen"],
                orient="row",
            ),
            pl.DataFrame(
                series,
                schema=["uuid", "hour", "labels", "series_activity", "memory_mib", "gpu", "is_instance"],
                orient="row",
            ),
        )

    def _count(self, holds: list[Hold], is_seen: bool) -> None:
        truth = self.truth
        if not is_seen:
            truth.unseen_gpu_hours += 1
        elif not any(hold.holder for hold in holds):
            truth.unallocated_gpu_hours += 1
        elif max(hold.activity for hold in holds) < 0.05:
            truth.held_idle_gpu_hours += 1
        else:
            truth.worked_gpu_hours += 1

    def _labels(self, hold: Hold) -> str:
        """The series' labels as JSON text, without __name__."""
        gpu, node = hold.gpu, hold.gpu.node
        labels = {
            "DCGM_FI_DRIVER_VERSION": "570.86.15",
            "Hostname": node.name,
            "UUID": gpu.uuid,
            "cluster": node.type.cluster,
            "device": f"nvidia{gpu.index}",
            "gpu": str(gpu.index),
            "instance": f"10.1.{node.index // 250}.{node.index % 250 + 2}:9400",
            "job": "nvidia-dcgm-exporter",
            "modelName": node.type.gpu_model,
            "pci_bus_id": gpu.bus_id,
        }
        if hold.mig is not None:
            labels |= {"GPU_I_ID": hold.mig.instance_id, "GPU_I_PROFILE": hold.mig.profile}
        if hold.holder is not None:
            holder = hold.holder
            labels |= {"container": holder.container, "namespace": holder.namespace, "pod": holder.pod}
        else:  # the target's own labels, since no workload sets them
            pod = self._exporter_pods[node.name]
            labels |= {"container": "nvidia-dcgm-exporter", "namespace": "gpu-operator", "pod": pod}
        return json.dumps(dict(sorted(labels.items())), separators=(",", ":"))[1:]

    def _measure(self, day_number: int, first: int, cards: pl.DataFrame) -> pl.DataFrame:
        """Samples of each card through the day: epoch, activity noise, power, and the energy counter in mJ."""
        step = self.plan.sample_seconds
        offsets = pl.DataFrame({"offset": range(0, 3600, step)})
        start_epoch = int(self.plan.start_at.timestamp())
        rng = self.plan.random("samples", day_number, first)
        frame = cards.join(offsets, how="cross").sort("uuid", "hour", "offset")
        noise = pl.Series("noise", [rng.random() for _ in range(frame.height)])
        carried = pl.DataFrame(
            [(uuid, restarts, energy) for uuid, (restarts, energy) in self._counters.items()],
            schema=["uuid", "carried_restarts", "carried_mj"],
            orient="row",
        )
        frame = (
            frame.with_columns(noise, epoch=pl.col("hour") * 3600 + pl.col("offset") + start_epoch)
            .with_columns(
                wobble=0.94 + 0.12 * pl.col("noise"),
                watts=(
                    pl.col("idle_watts")
                    + (pl.col("peak_watts") - pl.col("idle_watts")) * pl.col("activity") * (0.9 + 0.1 * pl.col("noise"))
                    + 3 * pl.col("noise")
                ).round(1),
            )
            .join(carried, on="uuid", how="left", maintain_order="left")
            .with_columns(
                energy_mj=(pl.col("watts") * step * 1000).cum_sum().over("uuid", "restarts")
                + pl.when(pl.col("restarts") == pl.col("carried_restarts")).then(pl.col("carried_mj")).otherwise(0.0)
            )
        )
        last = frame.group_by("uuid", maintain_order=True).agg(pl.col("restarts", "energy_mj").last())
        self._counters |= {uuid: (restarts, energy) for uuid, restarts, energy in last.iter_rows()}
        return frame.filter("is_seen")

    def _results(self, metric: str, frame: pl.DataFrame) -> Iterator[str]:
        self.truth.nan_samples += frame.filter(pl.col("text") == "NaN").height
        grouped = frame.group_by("labels", maintain_order=True).agg(
            pl.format('[{},"{}"]', "epoch", "text").str.join(",").alias("points")
        )
        for labels, points in grouped.iter_rows():
            yield f'{{"metric":{{"__name__":"{metric}",{labels},"values":[{points}]}}'

    def _nameless(self, metric: str, day_number: int, rows: int) -> tuple[str, int]:
        """A series of an old exporter that names no card: its samples belong to nobody and must be refused."""
        count = min(max(1, int(rows * _NAMELESS_SHARE)), 86_400)
        start = int(self.plan.start_at.timestamp()) + day_number * 86_400
        points = ",".join(f'[{start + n * (86_400 // count)},"1"]' for n in range(count))
        labels = f'"__name__":"{metric}","instance":"10.1.0.99:9400","job":"legacy-exporter"'
        return f'{{"metric":{{{labels}}},"values":[{points}]}}', count


def _values(metric: str, samples: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
    """Rows of one metric: labels, epoch, text, in order of series and time."""
    mig_cards = series.filter("is_instance")["uuid"].unique()
    if metric == "DCGM_FI_DEV_GPU_UTIL":
        series = series.filter(~pl.col("uuid").is_in(mig_cards.implode()))
    elif metric not in _WHOLE_CARD_ONLY:
        series = series.filter(~pl.col("uuid").is_in(mig_cards.implode()) | pl.col("is_instance"))
    if metric == "DCGM_FI_PROF_SM_ACTIVE":  # switched on for some cards only
        series = series.filter(pl.col("gpu") % 2 == 0)
    frame = series.join(samples, on=["uuid", "hour"], how="inner", maintain_order="left_right")
    active = (pl.col("series_activity") * pl.col("wobble")).clip(0, 1)
    text = {
        "DCGM_FI_DEV_POWER_USAGE": pl.col("watts").cast(pl.String),
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": pl.col("energy_mj").round().cast(pl.Int64).cast(pl.String),
        "DCGM_FI_DEV_GPU_UTIL": (pl.col("activity") * 108).clip(0, 100).cast(pl.Int64).cast(pl.String),
        "DCGM_FI_DEV_FB_USED": pl.col("memory_mib").cast(pl.Int64).cast(pl.String),
        "DCGM_FI_PROF_GR_ENGINE_ACTIVE": active.round(4).cast(pl.String),
        "DCGM_FI_PROF_SM_ACTIVE": (active * 0.86).round(4).cast(pl.String),
        "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": (active * 0.42).round(4).cast(pl.String),
    }[metric]
    if "PROF" in metric:
        text = pl.when(pl.col("noise") < _NAN_SHARE).then(pl.lit("NaN")).otherwise(text)
    return frame.select("labels", "epoch", text=text)
