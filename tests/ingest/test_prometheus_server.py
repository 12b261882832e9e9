"""DCGM samples asked of Prometheus: a real one with backfilled samples."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.contracts import DCGM_SAMPLES, QUARANTINE
from ingest.home import Home
from ingest.landing import count_changes, land
from ingest.telemetry.dcgm_fields import resolve_field
from ingest.telemetry.prometheus_text import parse_labels, split_sample
from tests.ingest.certificates import write_certificate
from tests.ingest.landed import check_counts, configure, find, query
from tests.ingest.prometheus import Sample, backfill, is_range_closed, run_prometheus, skip_without_prometheus

START = datetime(2025, 6, 1, tzinfo=UTC)
HOURS = 3
POWER = "DCGM_FI_DEV_POWER_USAGE"
ENERGY = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
ENGINE = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
BCRYPT_OF_OPEN_SESAME = "$2b$04$qC01a9usbMfUe39gtLIZJuZh1d5JiTj12mdKFrsV8Bk9vFIVrqQh."

EXPORTER = {"pod": "dcgm-exporter-x7", "namespace": "gpu-operator", "container": "dcgm-exporter"}
WHOLE = {"gpu": "0", "UUID": "GPU-a", "device": "nvidia0", "modelName": "NVIDIA H100 80GB HBM3", "Hostname": "n1"}
TRAINING = {"exported_pod": "train-0", "exported_namespace": "ml", "exported_container": "main"}
MIG = {"gpu": "1", "UUID": "GPU-b", "device": "nvidia1", "modelName": "NVIDIA A100-SXM4-80GB", "Hostname": "n1"}
VGPU = {"gpu": "2", "UUID": "GPU-c", "device": "nvidia2", "modelName": "NVIDIA A100", "hostname": "n2", "vgpu": "2"}
RENAMED = "DCGM_FI_DEV_BOARD_POWER_WATTS"
POD_ENDS_AT = START + timedelta(minutes=40)


def make_samples() -> Iterator[Sample]:
    """Every 30 s for three hours; the pod on GPU-a ends after 40 minutes, its energy counter is reset after 90."""
    dice = random.Random(7)
    for index in range(HOURS * 120):
        at = START + timedelta(seconds=30 * index)
        whole = WHOLE | EXPORTER | (TRAINING if at < POD_ENDS_AT else {})
        for replica in ("prometheus-0", "prometheus-1"):
            yield POWER, whole | {"prometheus_replica": replica}, at, 400 + index % 2
        yield ENERGY, WHOLE | EXPORTER, at, 1000.0 * (index if index < 180 else index - 180)
        for instance, profile in (("3", "3g.40gb"), ("5", "1g.10gb")):
            instance_labels = MIG | EXPORTER | {"GPU_I_ID": instance, "GPU_I_PROFILE": profile}
            yield ENGINE, instance_labels, at, round(dice.random(), 3)
        yield RENAMED, VGPU | {"pod": "vllm-0", "namespace": "serve", "container": "vllm"}, at, 250.5
        yield "DCGM_FI_DEV_SM_CLOCK", WHOLE | EXPORTER, at, 1980


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    skip_without_prometheus()
    return backfill(tmp_path_factory.mktemp("backfill"), make_samples())


@pytest.fixture(scope="module")
def prometheus(blocks: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with run_prometheus(blocks, tmp_path_factory.mktemp("prometheus")) as address:
        yield f"http://{address}"


def _nulls_last(row: tuple[object, ...]) -> list[tuple[bool, str]]:
    return [(part is None, str(part)) for part in row]


def source(location: str, *options: str) -> str:
    listed = ", ".join(("since: 2025-06-01", "until: 2025-06-02", *options))
    return f'{{name: gpus, kind: dcgm_prometheus, location: "{location}", options: {{{listed}}}}}'


SAMPLES = "metric, gpu_uuid, mig_instance_id, pod, sampled_at, value order by all"


def roll_up() -> list[tuple[object, ...]]:
    """What a minute's roll-up of `make_samples` comes to, worked without Prometheus."""
    series: dict[tuple[object, ...], list[tuple[datetime, float]]] = {}
    for metric, labels, at, value in make_samples():
        if metric == "DCGM_FI_DEV_SM_CLOCK" or labels.get("prometheus_replica") == "prometheus-1":
            continue
        pod = labels["pod"] if labels["UUID"] == "GPU-c" else labels.get("exported_pod")
        name = POWER if metric == RENAMED else metric
        series.setdefault((name, labels["UUID"], labels.get("GPU_I_ID"), pod), []).append((at, value))
    rows: list[tuple[object, ...]] = []
    for identity, samples in series.items():
        for minute in range(HOURS * 60 + 1):
            end = START + timedelta(minutes=minute)
            begin = end - timedelta(seconds=60)
            inside = [value for at, value in samples if begin < at <= end or (at == begin and is_range_closed())]
            if inside:
                value = inside[-1] if identity[0] == ENERGY else sum(inside) / len(inside)
                rows.append((*identity, end.replace(tzinfo=None), value))
    return sorted(rows, key=str)


def test_three_hours_land_as_they_were_backfilled(home: Home, prometheus: str):
    configure(home, source(prometheus))
    report = find(land(home, only_sources=["gpus"]), "gpus")
    expected = roll_up()
    landed = sorted(query(home, DCGM_SAMPLES, SAMPLES), key=str)
    assert [row[:5] for row in landed] == [row[:5] for row in expected]
    assert [row[5] for row in landed] == pytest.approx([row[5] for row in expected])
    assert (report.deliveries_landed, report.deliveries_refused, report.is_stale) == (24, 0, False)
    assert report.messages == ["no rows in 20 of the windows asked, from 2025-06-01T04:00Z to 2025-06-02T00:00Z"]
    check_counts(home, DCGM_SAMPLES)


def test_mig_and_vgpu_and_the_exporters_own_pod_are_told_apart(home: Home, prometheus: str):
    configure(home, source(prometheus))
    land(home, only_sources=["gpus"])
    rows = query(
        home,
        DCGM_SAMPLES,
        "distinct gpu_uuid, mig_profile, mig_instance_id, hostname, namespace, pod, container, _repairs, "
        "json_extract_string(_extra, '$.vgpu'), json_extract_string(_extra, '$.__name__') order by all",
    )
    alias = "metric_alias"
    assert rows == [
        ("GPU-a", None, None, "n1", "ml", "train-0", "main", None, None, None),
        ("GPU-a", None, None, "n1", None, None, None, None, None, None),
        ("GPU-b", "1g.10gb", "5", "n1", None, None, None, None, None, None),
        ("GPU-b", "3g.40gb", "3", "n1", None, None, None, None, None, None),
        ("GPU-c", None, None, "n2", "serve", "vllm-0", "vllm", alias, "2", RENAMED),
    ]


def test_a_pod_that_ended_does_not_live_on(home: Home, prometheus: str):
    configure(home, source(prometheus))
    land(home, only_sources=["gpus"])
    ((last_at,),) = query(home, DCGM_SAMPLES, "max(sampled_at) filter (where pod = 'train-0')")
    # Its last sample stands at half a minute before; a plain selector would show it until 00:44.
    assert last_at == datetime(2025, 6, 1, 0, 40)


def test_settled_windows_are_not_asked_again_and_other_options_ask_anew(home: Home, prometheus: str):
    configure(home, source(prometheus))
    land(home, only_sources=["gpus"])
    before = query(home, DCGM_SAMPLES, SAMPLES)
    assert count_changes(home) == {"gpus": 0}
    again = find(land(home, only_sources=["gpus"]), "gpus")
    assert (again.deliveries_landed, again.deliveries_unchanged, again.messages) == (0, 24, [])
    configure(home, source(prometheus, "timeout_seconds: 30", "re_read_hours: 1"))
    assert count_changes(home) == {"gpus": 0}
    configure(home, source(prometheus, "step_seconds: 120", "metrics: [DCGM_FI_DEV_POWER_USAGE]"))
    assert count_changes(home) == {"gpus": 24}
    land(home, only_sources=["gpus"])
    rows = query(home, DCGM_SAMPLES, "distinct metric, minute(sampled_at) % 2")
    assert rows == [(POWER, 0)]
    configure(home, source(prometheus))
    land(home, only_sources=["gpus"])
    assert query(home, DCGM_SAMPLES, SAMPLES) == before


def test_a_server_that_answers_little_at_a_time_is_asked_for_less(
    home: Home, prometheus: str, blocks: Path, tmp_path: Path
):
    configure(home, source(prometheus))
    land(home, only_sources=["gpus"])
    whole = query(home, DCGM_SAMPLES, SAMPLES)
    # 60 points of 2 series are too many for it, with what their means are made of.
    with run_prometheus(blocks, tmp_path, "--query.max-samples=60") as address:
        configure(home, source(f"http://{address}").replace("name: gpus", "name: narrow"))
        report = find(land(home, only_sources=["narrow"]), "narrow")
    assert (report.deliveries_landed, report.deliveries_refused) == (24, 0)
    assert query(home, DCGM_SAMPLES, SAMPLES) == sorted([*whole, *whole], key=_nulls_last)


def test_a_step_of_a_second_stays_below_the_limit_of_points(home: Home, prometheus: str):
    configure(home, source(prometheus, "step_seconds: 1", "metrics: [DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION]"))
    report = find(land(home, only_sources=["gpus"]), "gpus")
    assert (report.deliveries_refused, report.is_stale) == (0, False)
    assert report.rows_landed == HOURS * 120 * (2 if is_range_closed() else 1)


def test_a_selector_narrows_what_is_asked(home: Home, prometheus: str):
    configure(home, source(prometheus, """selector: 'UUID=~"GPU-[bc]",Hostname="n1"'""", "cluster: fra1"))
    land(home, only_sources=["gpus"])
    assert query(home, DCGM_SAMPLES, "distinct gpu_uuid, cluster") == [("GPU-b", "fra1")]


def test_tls_by_a_ca_file_and_a_password_by_its_file(home: Home, blocks: Path, tmp_path: Path):
    write_certificate(tmp_path)
    web_config = (
        f"tls_server_config: {{cert_file: {tmp_path / 'ca.pem'}, key_file: {tmp_path / 'key.pem'}}}\n"
        f"basic_auth_users: {{finops: '{BCRYPT_OF_OPEN_SESAME}'}}\n"
    )
    (home.path / "password").write_text("open sesame\n")
    (home.path / "ca.pem").write_bytes((tmp_path / "ca.pem").read_bytes())
    folder = tmp_path / "server"
    folder.mkdir()
    with run_prometheus(blocks, folder, web_config=web_config) as address:
        options = ("user: finops", "password_file: password", "ca_file: ca.pem")
        configure(home, source(f"https://{address}", *options[:2]))
        report = find(land(home, only_sources=["gpus"]), "gpus")
        assert report.is_stale and "options.ca_file" in report.messages[0]
        (home.path / "password").write_text("open sesam\n")
        configure(home, source(f"https://{address}", *options))
        report = find(land(home, only_sources=["gpus"]), "gpus")
        assert report.is_stale and "the credential of password_file is not enough" in report.messages[0]
        (home.path / "password").write_text("open sesame\n")
        report = find(land(home, only_sources=["gpus"]), "gpus")
        assert (report.is_stale, report.deliveries_landed) == (False, 24)
    assert query(home, QUARANTINE, "count(*)") == [(0,)]
    holders = [file.name for file in home.path.rglob("*") if file.is_file() and b"open sesam" in file.read_bytes()]
    assert holders == ["password"]


SCRAPES = {
    "t4": "ericsson-t4_busy",
    "h100": "nvidia-aicr-h100x8_one-pod",
    "mig": "nvidia-docs-a100-mig",
    "vgpu": "vmware-vks-vgpu-a100-40c_v1.35",
}


def test_real_scrapes_land_through_a_server_as_they_do_from_a_file(home: Home, shared_data: Path, tmp_path: Path):
    skip_without_prometheus()
    files = {name: shared_data / "dcgm_exporter_real" / f"{stem}.prom" for name, stem in SCRAPES.items()}
    samples: list[Sample] = []
    for path in files.values():
        scraped = [split_sample(line) for line in path.read_text().splitlines() if not line.startswith("#")]
        for metric, labels, value, _ in filter(None, scraped):
            samples.append((metric, parse_labels(labels), START + timedelta(minutes=5), float(value)))
    metrics = sorted({resolve_field(metric).name for metric, *_ in samples})
    with run_prometheus(backfill(tmp_path, samples), tmp_path) as address:
        at = 'options: {scraped_at: "2025-06-01T00:05:00Z"}'
        configure(
            home,
            source(f"http://{address}", f"metrics: [{', '.join(metrics)}]"),
            *(f'{{name: {name}, kind: dcgm_prometheus, location: "{path}", {at}}}' for name, path in files.items()),
        )
        land(home, only_sources=["gpus", *files])
    columns = (
        "metric, value, gpu_uuid, gpu_index, device, model_name, hostname, mig_profile, mig_instance_id, namespace, "
        "pod, container"
    )
    first = "sampled_at = timestamp '2025-06-01 00:05:00'"
    from_server = query(home, DCGM_SAMPLES, f"{columns} where _source = 'gpus' and {first} order by all")
    from_files = query(home, DCGM_SAMPLES, f"{columns} where _source <> 'gpus' order by all")
    assert len(from_server) > 80
    assert from_server == from_files
