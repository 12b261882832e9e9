"""What a pod asks for of GPUs, as the scheduler counts it."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ingest.telemetry.kube_objects import FieldError, encode

_WHOLE_GPUS: Final = ("nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915", "gpu.intel.com/xe")
_GPU_RESOURCE: Final = re.compile(r"(nvidia|amd|gpu\.intel)\.com/.+")
_MIG: Final = "nvidia.com/mig-"
_COUNT: Final = re.compile(r"\d{1,9}")


class Resources(msgspec.Struct):
    requests: dict[str, str | int | float] | None = None
    limits: dict[str, str | int | float] | None = None


class Container(msgspec.Struct):
    resources: Resources | None = None
    restartPolicy: str | None = None  # Always makes an init container a sidecar, which stays


class Named(msgspec.Struct):
    name: str


class PodSpec(msgspec.Struct):
    """The part of a spec that says what its pods hold."""

    containers: list[Container]
    initContainers: list[Container] | None = None
    resourceClaims: list[Named] | None = None


def describe_requests(requests: Mapping[str, int], *, has_claims: bool) -> dict[str, Any]:
    """Landing columns; what a resource claim asks for is not known, and is no 0."""
    return {
        "gpu_count": None if has_claims else sum(requests.get(name, 0) for name in _WHOLE_GPUS),
        "mig_count": None if has_claims else sum(count for name, count in requests.items() if name.startswith(_MIG)),
        "gpu_requests": encode(requests) or "{}",
    }


def sum_requests(spec: PodSpec) -> dict[str, int]:
    """GPU resources by name: containers and sidecars together, or the largest that an init container needs before."""
    together: dict[str, int] = {}
    largest: dict[str, int] = {}
    for container in spec.initContainers or []:
        own = _read_requests(container)
        if container.restartPolicy == "Always":
            together = add_requests(together, own)
            own = {}
        for name, count in add_requests(together, own).items():
            largest[name] = max(largest.get(name, 0), count)
    for container in spec.containers:
        together = add_requests(together, _read_requests(container))
    return {name: max(together.get(name, 0), largest.get(name, 0)) for name in together | largest}


def _read_requests(container: Container) -> dict[str, int]:
    """Counts of GPU resources; what has a limit alone requests it."""
    resources = container.resources or Resources()
    return read_gpu_counts((resources.limits or {}) | (resources.requests or {}))


def read_gpu_counts(quantities: Mapping[str, str | float]) -> dict[str, int]:
    """The GPU resources among quantities by resource; raises `FieldError`."""
    counts = {name: read_count(value, name) for name, value in quantities.items() if _GPU_RESOURCE.fullmatch(name)}
    return {name: count for name, count in counts.items() if count}


def add_requests(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in left | right}


def read_count(value: str | float, field: str) -> int:
    if not _COUNT.fullmatch(str(value)):
        raise FieldError(field, "not a count: expected a whole number", value)
    return int(value)
