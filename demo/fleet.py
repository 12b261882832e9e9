"""Nodes, GPUs and who holds them: the truth from which bills, OpenCost answers and DCGM samples are written."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Final

from demo.plan import Plan
from demo.teams import NEW_NAME, team_label

OUTAGE_HOURS: Final = 7
TELEMETRY_GAP_HOURS: Final = 3


@dataclass(frozen=True)
class NodeType:
    """A machine shape. OpenCost's prices are its own list, not the bill's."""

    instance_type: str
    cluster: str
    gpu_model: str
    gpu_count: int
    gpu_memory_mib: int
    idle_watts: int
    peak_watts: int
    cores: int
    memory_gib: int
    opencost_usd_per_hour: float


NODE_TYPES: Final = {
    "p4d": NodeType("p4d.24xlarge", "prod-gpu", "NVIDIA A100-SXM4-40GB", 8, 40960, 52, 390, 96, 1152, 32.77257),
    "p5": NodeType("p5.48xlarge", "prod-gpu", "NVIDIA H100 80GB HBM3", 8, 81559, 68, 690, 192, 2048, 98.32),
    "g5": NodeType("g5.xlarge", "prod-gpu", "NVIDIA A10G", 1, 23028, 16, 250, 4, 16, 1.006),
    "cw": NodeType("gd-8xh100ib-i128", "cw-train", "NVIDIA H100 80GB HBM3", 8, 81559, 68, 690, 128, 2048, 49.24),
    "dc1": NodeType("r760xa", "dc1", "NVIDIA L40S", 4, 46068, 34, 340, 64, 512, 3.2),
    "m6i": NodeType("m6i.4xlarge", "prod-gpu", "", 0, 0, 0, 0, 16, 64, 0.768),
}
_NODE_COUNTS: Final = (("p4d", 2, 1), ("p5", 1, 0), ("g5", 2, 1), ("cw", 1, 1), ("dc1", 1, 1), ("m6i", 3, 1))


@dataclass(frozen=True)
class Holder:
    """A pod. `pattern` says how busy it keeps what it holds."""

    team_id: str  # "" none
    label_team: str  # what its label says; "" no label
    namespace: str
    pod: str
    container: str
    controller: str
    controller_kind: str
    app: str
    cores: float
    memory_gib: float
    pattern: str  # serve | notebook | train | batch | daemon


@dataclass(frozen=True)
class Node:
    """A machine in a cluster; `provider_id` is the resource id of its bill."""

    index: int
    kind: str
    ordinal: int
    name: str
    provider_id: str

    @property
    def type(self) -> NodeType:
        """Its shape."""
        return NODE_TYPES[self.kind]


@dataclass(frozen=True)
class Gpu:
    """A physical card. `sharing` is whole, mig or time_sliced."""

    node: Node
    index: int
    uuid: str
    sharing: str

    @property
    def bus_id(self) -> str:
        """PCI address as DCGM prints it."""
        return f"00000000:{0x10 + 0x0B * self.index:02X}:00.0"


@dataclass(frozen=True)
class MigInstance:
    """One slice of a MIG card."""

    profile: str
    instance_id: str
    memory_mib: int


MIG_INSTANCES: Final = (
    MigInstance("3g.20gb", "1", 19968),
    MigInstance("2g.10gb", "3", 9856),
    MigInstance("1g.5gb", "13", 4864),
)


@dataclass(frozen=True)
class Hold:
    """One GPU or MIG instance in one hour: by whom it is held, if at all, and its mean activity (0 to 1)."""

    gpu: Gpu
    mig: MigInstance | None
    holder: Holder | None
    activity: float
    shared_with: int = 1  # pods on this card at the same time


class Fleet:
    """All machines of a plan and the state of every GPU in every hour (counted from the start of the window)."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.nodes = _make_nodes(plan)
        self.gpus = [gpu for node in self.nodes for gpu in _make_gpus(plan, node)]
        self.gpus_of = {node.name: [gpu for gpu in self.gpus if gpu.node is node] for node in self.nodes}
        self._jobs = {node.name: self._plan_jobs(node) for node in self.nodes if _trains(node)}
        self.outage_from = plan.hour_count * 2 // 5
        self.telemetry_gap_from = plan.hour_count * 3 // 5
        self.driver_reload_hour = plan.hour_count // 2 + 5

    @cached_property
    def failed_node(self) -> Node:
        """The node that was down for some hours: no bill, no pods, no samples, counters restart."""
        return [node for node in self.nodes if node.kind == "p4d"][-1]

    @cached_property
    def unseen_node(self) -> Node:
        """The node whose exporter was silent for some hours while pods and bill went on."""
        return next(node for node in self.nodes if node.kind == "cw")

    @cached_property
    def reloaded_gpu(self) -> Gpu:
        """The card whose energy counter restarted without a gap."""
        return next(gpu for gpu in self.gpus if gpu.node.kind == "dc1")

    def is_up(self, node: Node, hour: int) -> bool:
        """Whether the machine ran, and was billed."""
        return node is not self.failed_node or not self.outage_from <= hour < self.outage_from + OUTAGE_HOURS

    def is_seen(self, node: Node, hour: int) -> bool:
        """Whether its exporter was scraped."""
        if node is self.unseen_node and self.telemetry_gap_from <= hour < self.telemetry_gap_from + TELEMETRY_GAP_HOURS:
            return False
        return self.is_up(node, hour)

    def counter_restarts(self, gpu: Gpu, hour: int) -> int:
        """How often the card's energy counter has restarted at zero by this hour."""
        after_outage = gpu.node is self.failed_node and hour >= self.outage_from + OUTAGE_HOURS
        after_reload = gpu is self.reloaded_gpu and hour >= self.driver_reload_hour
        return int(after_outage) + int(after_reload)

    def holds(self, gpu: Gpu, hour: int) -> list[Hold]:
        """What was held on a running card in an hour: one entry, one per instance (MIG), one per pod (time-sliced)."""
        if gpu.sharing == "mig":
            return [self._hold(gpu, hour, self._mig_holder(gpu, n, hour), mig) for n, mig in enumerate(MIG_INSTANCES)]
        if gpu.sharing == "time_sliced":
            pods = [self._ranker(gpu, hour), self._pod(gpu, hour, "data", "embed-etl", "serve", 2.0, 6.0)]
            hold = self._hold(gpu, hour, pods[0], None)
            return [Hold(gpu, None, pod, hold.activity, shared_with=2) for pod in pods]
        return [self._hold(gpu, hour, self._holder(gpu, hour), None)]

    def day_of(self, hour: int) -> date:
        """The UTC day of an hour."""
        return (self.plan.start_at + timedelta(hours=hour)).date()

    def _hold(self, gpu: Gpu, hour: int, holder: Holder | None, mig: MigInstance | None) -> Hold:
        if holder is None:
            return Hold(gpu, mig, None, 0.0)
        chance = self.plan.random("activity", gpu.uuid, mig and mig.instance_id, hour).random()
        return Hold(gpu, mig, holder, _activity(holder.pattern, self.plan.start_at + timedelta(hours=hour), chance))

    def _holder(self, gpu: Gpu, hour: int) -> Holder | None:
        kind, ordinal, index = gpu.node.kind, gpu.node.ordinal, gpu.index
        if _trains(gpu.node):
            return self._job_at(gpu.node, hour)
        if kind == "g5":
            return self._ranker(gpu, hour)
        if kind == "dc1":
            if index < 2:
                return self._pod(gpu, hour, "vision", f"inspect-{index}", "serve", 8.0, 64.0)
            in_batch = (self.plan.start_at + timedelta(hours=hour)).hour < 6
            return self._pod(gpu, hour, "data", "nightly-etl", "batch", 12.0, 96.0) if index == 2 and in_batch else None
        if index < 4:
            return self._pod(gpu, hour, "support-bot", f"vllm-llama-{ordinal}", "serve", 32.0, 400.0, "inference")
        if index == 4:
            return self._pod(gpu, hour, "research", f"notebook-lin-{ordinal}", "notebook", 8.0, 64.0, labelled=False)
        if index == 5:
            return self._pod(gpu, hour, "data", f"notebook-data-{ordinal}", "notebook", 8.0, 64.0)
        return None

    def _mig_holder(self, gpu: Gpu, slot: int, hour: int) -> Holder | None:
        if slot == 0:
            return self._pod(gpu, hour, "vision", f"ocr-{gpu.node.ordinal}", "serve", 4.0, 24.0)
        if slot == 1:
            return self._pod(gpu, hour, "platform", f"ci-gpu-{gpu.node.ordinal}", "batch", 4.0, 16.0)
        return None

    def _ranker(self, gpu: Gpu, hour: int) -> Holder:
        return self._pod(gpu, hour, NEW_NAME, f"ranker-{gpu.node.ordinal}", "serve", 1.0, 6.0)

    def _pod(
        self,
        gpu: Gpu,
        hour: int,
        team_id: str,
        controller: str,
        pattern: str,
        cores: float,
        memory_gib: float,
        namespace: str | None = None,
        labelled: bool = True,
    ) -> Holder:
        label = team_label(team_id, self.day_of(hour), self.plan)
        kind = "statefulset" if pattern == "notebook" else "deployment"
        token = f"{self.plan.random('pod', controller, label).getrandbits(40):010x}"
        pod = f"{controller}-0" if kind == "statefulset" else f"{controller}-{token[:5]}-{token[5:]}"
        app = controller.rsplit("-", 1)[0] if controller[-1].isdigit() else controller
        space = namespace or label
        return Holder(
            team_id, label if labelled else "", space, pod, "main", controller, kind, app, cores, memory_gib, pattern
        )

    def _job_at(self, node: Node, hour: int) -> Holder | None:
        for number, (team_id, first, last) in enumerate(self._jobs[node.name]):
            if first <= hour < last:
                label = team_label(team_id, self.day_of(first), self.plan)  # a running job keeps its labels
                name = f"train-{node.kind}{node.ordinal}-{number:03d}"
                cores, memory_gib = node.type.cores * 0.75, node.type.memory_gib * 0.7
                return Holder(
                    team_id, label, label, f"{name}-0", "trainer", name, "job", "train", cores, memory_gib, "train"
                )
        return None

    def _plan_jobs(self, node: Node) -> list[tuple[str, int, int]]:
        """Jobs that take the whole machine, one after the other: (team, first hour, hour after the last)."""
        rng = self.plan.random("jobs", node.name)
        teams = ("research", NEW_NAME) if node.kind == "cw" else ("research", "vision")
        jobs: list[tuple[str, int, int]] = []
        hour = rng.randrange(0, 3)
        while hour < self.plan.hour_count:
            length = rng.randrange(9, 60)
            jobs.append((teams[len(jobs) % 2], hour, hour + length))
            hour += length + rng.randrange(1, 7)
        return jobs


def _trains(node: Node) -> bool:
    return node.kind in ("p5", "cw") or (node.kind == "p4d" and node.ordinal % 2 == 0)


def _activity(pattern: str, at: datetime, chance: float) -> float:
    """Mean activity of an hour: idle hours stay under 0.03, worked hours over 0.2."""
    if pattern == "train":
        return 0.0 if chance < 0.02 else 0.86 + 0.1 * chance  # a stalled data loader
    if pattern == "serve":
        return 0.02 * chance if 2 <= at.hour < 5 else 0.28 + 0.5 * chance
    if pattern == "notebook":
        return 0.3 + 0.4 * chance if at.weekday() < 5 and 9 <= at.hour < 15 else 0.0
    return 0.7 + 0.2 * chance


def _make_nodes(plan: Plan) -> list[Node]:
    nodes: list[Node] = []
    for kind, at_scale_one, minimum in _NODE_COUNTS:
        for ordinal in range(1, plan.count(at_scale_one, minimum) + 1):
            rng = plan.random("node", kind, ordinal)
            if kind == "cw":
                name = provider_id = f"cw-g{rng.getrandbits(24):06x}"
            elif kind == "dc1":
                name = provider_id = f"gpu-dc1-{ordinal:02d}"
            else:
                n = len(nodes)
                name = f"ip-10-{20 + n // 62500}-{n // 250 % 250}-{n % 250 + 5}.ec2.internal"
                provider_id = f"i-0{rng.getrandbits(64):016x}"
            nodes.append(Node(len(nodes), kind, ordinal, name, provider_id))
    return nodes


def _make_gpus(plan: Plan, node: Node) -> list[Gpu]:
    gpus: list[Gpu] = []
    for index in range(node.type.gpu_count):
        digits = f"{plan.random('gpu', node.name, index).getrandbits(128):032x}"
        uuid = f"GPU-{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        sharing = "whole"
        if node.kind == "p4d" and not _trains(node) and index == 7:
            sharing = "mig"
        elif node.kind == "g5" and node.ordinal == 1:
            sharing = "time_sliced"
        gpus.append(Gpu(node, index, uuid, sharing))
    return gpus


LIST_USD_PER_HOUR: Final = {
    "p4d": Decimal("21.957642"),
    "p5": Decimal("55.04"),
    "g5": Decimal("1.006"),
    "m6i": Decimal("0.768"),
    "cw": Decimal("39.36"),
}
"""What the providers ask, on demand."""
