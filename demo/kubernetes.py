"""OpenCost allocation answers: telemetry/opencost/YYYY-MM-DD.json, hourly steps, finest grain, idle by node."""

import json
from datetime import datetime, timedelta
from typing import Any, Final

from demo.fleet import Fleet, Gpu, Hold, Holder, Node
from demo.plan import Plan, instant_text, midnight, open_output
from demo.summary import SourceTruth
from demo.teams import UNKNOWN_TEAM, team_label

_MALFORMED_SHARE: Final = 0.01
_GIB: Final = 1024**3
_ENCODE: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class Allocations:
    """Writes a day at a time. Costs are OpenCost's list prices, which are not the bill's."""

    def __init__(self, plan: Plan, fleet: Fleet) -> None:
        self.plan = plan
        self.fleet = fleet
        self.source = SourceTruth()
        self._properties: dict[tuple[str, str, str], str] = {}

    def write_day(self, day_number: int) -> None:
        """Write the 24 steps of a day of the window."""
        day = self.plan.start + timedelta(days=day_number)
        rng = self.plan.random("opencost", day)
        path = self.plan.home / "telemetry" / "opencost" / f"{day}.json"
        rows = malformed = 0
        with open_output(path, midnight(day) + timedelta(days=1, minutes=40)) as out:
            out.write(b'{"code":200,"status":"success","data":[')
            for hour in range(day_number * 24, day_number * 24 + 24):
                entries: list[str] = []
                for node in self.fleet.nodes:
                    if self.fleet.is_up(node, hour):
                        entries += self._node_hour(node, hour)
                chosen = [n for n in range(len(entries)) if rng.random() < _MALFORMED_SHARE]
                if hour % 24 == 11 and not chosen:  # at least one a day, whatever the scale
                    chosen = [0]
                for position in chosen:
                    entries[position] = _end_before_start(entries[position])
                malformed += len(chosen)
                rows += len(entries)
                out.write(("{" + ",".join(entries) + "}" + ("" if hour % 24 == 23 else ",")).encode())
            out.write(b"]}\n")
        self.source.add(path, rows=rows, malformed=malformed)

    def _node_hour(self, node: Node, hour: int) -> list[str]:
        at = self.plan.start_at + timedelta(hours=hour)
        entries: list[str] = []
        used = [0.0, 0.0, 0.0]  # core hours, GiB hours, GPU hours
        for holder, gpus, holds in self._holders(node, hour):
            is_partial = holder.pattern == "batch" and node.type.gpu_count == 0
            minutes = 20.0 + (hour * 7 + node.ordinal) % 35 if is_partial else 60.0
            entries.append(self._entry(node, holder, at, minutes, gpus, holds))
            for n, amount in enumerate((holder.cores, holder.memory_gib, gpus)):
                used[n] += amount * minutes / 60
        kind = node.type
        left = (kind.cores - used[0], kind.memory_gib - used[1], kind.gpu_count - used[2])
        entries.append(self._idle(node, at, left))
        return entries

    def _holders(self, node: Node, hour: int) -> list[tuple[Holder, float, list[Hold]]]:
        """Pods of a node in an hour with the GPUs that OpenCost counts for each (MIG slices count none)."""
        pods: dict[str, tuple[Holder, float, list[Hold]]] = {}
        for gpu in self.fleet.gpus_of[node.name]:
            for hold in self.fleet.holds(gpu, hour):
                if hold.holder is None:
                    continue
                counted = 0.0 if hold.mig else 1.0 / hold.shared_with
                holder, gpus, holds = pods.get(hold.holder.pod, (hold.holder, 0.0, []))
                pods[hold.holder.pod] = (holder, gpus + counted, [*holds, hold])
        daemons = [self._daemon(node, "kube-system", "kube-proxy", 0.1, 0.2)]
        if node.type.gpu_count:
            daemons.append(self._daemon(node, "gpu-operator", "nvidia-dcgm-exporter", 0.2, 0.5))
        else:
            daemons += self._web_pods(node, hour)
        return [*pods.values(), *((pod, 0.0, []) for pod in daemons)]

    def _daemon(self, node: Node, namespace: str, name: str, cores: float, memory_gib: float) -> Holder:
        token = self.plan.random("exporter" if "dcgm" in name else name, node.name).getrandbits(20)
        pod = f"{name}-{token:05x}"
        return Holder("", "", namespace, pod, name, name, "daemonset", name, cores, memory_gib, "daemon")

    def _web_pods(self, node: Node, hour: int) -> list[Holder]:
        """What runs on the nodes without GPUs: products, continuous integration, a sandbox that nobody owns."""
        day = self.fleet.day_of(hour)
        pods: list[Holder] = []
        for team_id, app, cores, memory_gib, pattern in (
            ("discovery", "search-api", 3.0, 8.0, "serve"),
            ("support-bot", "helpdesk-web", 2.0, 6.0, "serve"),
            ("platform", "ci-runner", 4.0, 8.0, "batch"),
            ("data", "airflow-worker", 2.0, 12.0, "batch"),
            (UNKNOWN_TEAM, "landing-copy", 0.5, 1.0, "serve"),
            ("", "tinker", 0.5, 2.0, "serve"),
        ):
            label = team_label(team_id, day, self.plan)
            token = f"{self.plan.random('web', node.name, app, label).getrandbits(40):010x}"
            space = "sandbox" if team_id in ("", UNKNOWN_TEAM) else label
            pod = f"{app}-{token[:5]}-{token[5:]}"
            pods.append(Holder(team_id, label, space, pod, "main", app, "deployment", app, cores, memory_gib, pattern))
        return pods

    def _properties_text(self, node: Node, holder: Holder) -> str:
        key = (node.name, holder.pod, holder.label_team)
        if key not in self._properties:
            if len(self._properties) > 50_000:  # bounded, whatever the scale
                self._properties.clear()
            labels = {"app": holder.app, "team": holder.label_team}
            properties = {
                "cluster": node.type.cluster,
                "node": node.name,
                "container": holder.container,
                "controller": holder.controller,
                "controllerKind": holder.controller_kind,
                "namespace": holder.namespace,
                "pod": holder.pod,
                "providerID": node.provider_id,
                "labels": {name: value for name, value in labels.items() if value},
                "namespaceLabels": {"kubernetes_io_metadata_name": holder.namespace},
            }
            self._properties[key] = _compact(properties)
        return self._properties[key]

    def _entry(self, node: Node, holder: Holder, at: datetime, minutes: float, gpus: float, holds: list[Hold]) -> str:
        name = f"{node.type.cluster}/{node.name}/{holder.namespace}/{holder.pod}/{holder.container}"
        start = at + timedelta(minutes=60 - minutes)
        hours = minutes / 60
        activity = sum(hold.activity for hold in holds) / len(holds) if holds else 0.0
        busy = 0.9 if holder.pattern == "daemon" else 0.35 + activity / 2
        measured = {
            "cpuCoreUsageAverage": None if at.hour == 3 and holder.pattern == "batch" else holder.cores * busy,
            "cpuEfficiency": busy,
            "gpuEfficiency": activity if gpus else 0,
        }
        body = _amounts(node, (holder.cores * hours, holder.memory_gib * hours, gpus * hours), hours, measured)
        allocation = _gpu_allocation(holds, activity, gpus) if holds else None
        return _render(
            name, self._properties_text(node, holder), at, start, at + timedelta(hours=1), minutes, body, allocation
        )

    def _idle(self, node: Node, at: datetime, left: tuple[float, float, float]) -> str:
        name = f"{node.type.cluster}/{node.name}/__idle__"
        properties = {"cluster": node.type.cluster, "node": node.name, "providerID": node.provider_id}
        body = _amounts(node, left, 1.0, {"cpuCoreUsageAverage": 0, "cpuEfficiency": 0, "gpuEfficiency": 0})
        return _render(name, _compact(properties), at, at, at + timedelta(hours=1), 60.0, body, None)


def _prices(node: Node) -> tuple[float, float, float]:
    """USD per core-hour, GiB-hour, GPU-hour: OpenCost divides a node's price by its default price ratios."""
    kind = node.type
    weights = (0.031611 * kind.cores, 0.004237 * kind.memory_gib, 0.95 * kind.gpu_count)
    rate = kind.opencost_usd_per_hour / sum(weights)
    return 0.031611 * rate, 0.004237 * rate, 0.95 * rate


def _amounts(
    node: Node, used: tuple[float, float, float], hours: float, measured: dict[str, float | None]
) -> dict[str, Any]:
    cores, memory_gib, gpus = used
    costs = [round(price * amount, 5) for price, amount in zip(_prices(node), used, strict=True)]
    return {
        "cpuCores": round(cores / hours, 5),
        "cpuCoreRequestAverage": round(cores / hours, 5),
        "cpuCoreUsageAverage": _rounded(measured["cpuCoreUsageAverage"]),
        "cpuCoreHours": round(cores, 5),
        "cpuCost": costs[0],
        "cpuCostAdjustment": 0,
        "cpuEfficiency": _rounded(measured["cpuEfficiency"]),
        "gpuCount": round(gpus / hours, 5),
        "gpuHours": round(gpus, 5),
        "gpuCost": costs[2],
        "gpuCostAdjustment": 0,
        "gpuEfficiency": _rounded(measured["gpuEfficiency"]),
        "networkCost": 0,
        "networkCostAdjustment": 0,
        "loadBalancerCost": 0,
        "loadBalancerCostAdjustment": 0,
        "pvCost": 0,
        "pvCostAdjustment": 0,
        "pvs": None,
        "ramByteHours": round(memory_gib * _GIB, 5),
        "ramByteRequestAverage": round(memory_gib * _GIB / hours, 5),
        "ramByteUsageAverage": round(memory_gib * _GIB / hours * 0.6, 5),
        "ramCost": costs[1],
        "ramCostAdjustment": 0,
        "externalCost": 0,
        "sharedCost": 0,
        "totalCost": round(sum(costs), 5),
        "lbAllocations": None,
    }


def _gpu_allocation(holds: list[Hold], activity: float, gpus: float) -> dict[str, Any]:
    first: Gpu = holds[0].gpu
    allocation = {
        "gpuDevice": f"nvidia{first.index}",
        "gpuModel": first.node.type.gpu_model,
        "gpuUUID": first.uuid,
        "isGPUShared": first.sharing == "time_sliced",
        "gpuUsageAverage": None if first.sharing == "mig" else round(activity, 5),
        "gpuRequestAverage": round(gpus, 5),
    }
    if len(holds) > 1:  # one field cannot name eight cards: it is left out
        del allocation["gpuUUID"], allocation["gpuDevice"]
    return allocation


def _render(
    name: str,
    properties: str,
    window: datetime,
    start: datetime,
    end: datetime,
    minutes: float,
    body: dict[str, Any],
    allocation: dict[str, Any] | None,
) -> str:
    head = (
        f'"{name}":{{"name":"{name}","properties":{properties},'
        f'"window":{{"start":"{instant_text(window)}","end":"{instant_text(window + timedelta(hours=1))}"}},'
        f'"start":"{instant_text(start)}","end":"{instant_text(end)}","minutes":{minutes},'
    )
    return head + _compact(body)[1:-1] + ',"gpuAllocation":' + _compact(allocation) + "}"


def _end_before_start(entry: str) -> str:
    """The same allocation ending before it starts, as a clock set back writes it."""
    head, start = entry.split('"},"start":"', 1)
    started, rest = start.split('","end":"', 1)
    _, tail = rest.split('","minutes":', 1)
    return f'{head}"}},"start":"{started}","end":"{int(started[:4]) - 1}{started[4:]}","minutes":{tail}'


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)


def _compact(value: object) -> str:
    return _ENCODE(value)
