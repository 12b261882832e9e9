"""Read what SkyPilot says of managed jobs and of the clusters that it launched: its API's answers, as JSON.

Source: rows of the managed jobs' queue (`job_id`, `task_id`, `status`, …) and of the cost report (`launched_at`,
`total_cost`, …), one a line, in an array, or under `jobs` or `clusters`. The database's own blobs are pickles and are
never read. Its costs are a catalogue's prices times hours: shown, never charged. Late by nature: a job is told again
until it has ended, and the newest report counts. Landing table: job_reports.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final

from ingest.contracts import JOB_REPORTS, LandingTable
from ingest.jobs.job_reports import (
    PARTITION_DATE_SQL,
    JobFieldError,
    read_count,
    read_instant,
    read_number,
    read_seconds,
    read_text,
    write_jobs,
)
from ingest.server_options import check_names
from ingest.source import OptionProblem, RowSink, ServerKind, SourceObject
from ingest.values import round_money

_STATES: Final = frozenset(
    "PENDING SUBMITTED STARTING RUNNING WINDING_DOWN RECOVERING CANCELLING SUCCEEDED CANCELLED FAILED FAILED_SETUP "
    "FAILED_PRECHECKS FAILED_NO_RESOURCE FAILED_CONTROLLER".split()
)
_NODES: Final = re.compile(r"^\s*(\d+)\s*x")
_ACCELERATOR: Final = r"(?!(?:cpus?|mem|disk|tpu)\b)([A-Za-z][\w.-]*)['\"]?\s*:\s*(\d{1,6}(?:\.\d{1,6})?)"
# Where accelerators stand: between braces, behind gpus=, or first. A tag such as docker:ubuntu:20.04 looks like one.
_BRACES: Final = re.compile(r"\{([^}]*)\}")
_IN_BRACES: Final = re.compile(_ACCELERATOR, re.IGNORECASE)
_NAMED: Final = re.compile(rf"\bgpus={_ACCELERATOR}", re.IGNORECASE)
_FIRST: Final = re.compile(rf"^\s*(?:\d+\s*x\s*)?[(\[]?\s*{_ACCELERATOR}\+?\s*(?:[,)\]]|$)", re.IGNORECASE)


class SkypilotJobs:
    """One row per task of a managed job, or per cluster, and report of it."""

    kind: ClassVar[str] = "skypilot_jobs"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = JOB_REPORTS
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = PARTITION_DATE_SQL
    server: ClassVar[ServerKind | None] = None

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """`cluster`: the name of the controller, by default the source's."""
        yield from check_names(options, ("cluster",))
        if not isinstance(options.get("cluster", "a"), str):
            yield OptionProblem("cluster", repr(options["cluster"]), "a name")

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write every readable record, refuse the others by running number and field."""
        write_jobs(source_object, sink, ("jobs", "clusters"), _read_record)


def _read_record(record: Mapping[str, Any]) -> dict[str, Any]:
    if "job_id" in record:
        return _read_job(record)
    if "launched_at" in record and ("cluster_hash" in record or "name" in record):
        return _read_cluster(record)
    raise JobFieldError("job_id", "neither a managed job (job_id) nor a cluster of the cost report (launched_at)")


def _read_job(record: Mapping[str, Any]) -> dict[str, Any]:
    job_id, task_id = read_text(record, "job_id"), read_count(record, "task_id")
    if job_id is None:
        raise JobFieldError("job_id", "empty: every job has one")
    state = (read_text(record, "status") or "").rpartition(".")[2]
    if state not in _STATES:
        raise JobFieldError("status", f"expected one of {', '.join(sorted(_STATES))}", record.get("status"))
    return {
        "scheduler": "skypilot",
        "record": "job",
        # Tasks of a pipeline share its number.
        "job_id": f"{job_id}-{task_id}" if task_id else job_id,
        "job_name": read_text(record, "job_name"),
        "state": state,
        "reason": read_text(record, "failure_reason"),
        "queue": read_text(record, "pool"),
        "recovery_count": read_count(record, "recovery_count"),
        "run_seconds": read_seconds(record, "job_duration"),
        "submitted_at": read_instant(record, "submitted_at") or read_instant(record, "created_at"),
        "started_at": read_instant(record, "start_at"),
        "ended_at": read_instant(record, "end_at"),
        **_read_place(record),
        **_read_resources(read_text(record, "resources"), None, None),
    }


def _read_cluster(record: Mapping[str, Any]) -> dict[str, Any]:
    intervals = record.get("usage_intervals") or []
    if not isinstance(intervals, list) or not all(isinstance(each, list) and len(each) == 2 for each in intervals):
        raise JobFieldError("usage_intervals", "expected a list of [start, end]", intervals)
    cluster_id = read_text(record, "cluster_hash") or read_text(record, "name")
    if cluster_id is None:
        raise JobFieldError("cluster_hash", "neither cluster_hash nor name: every cluster has one")
    ends = [read_instant({"usage_intervals": end}, "usage_intervals") for _, end in intervals]
    cost = read_number(record, "total_cost")
    accelerators = record.get("accelerators")
    resources = record.get("resources_str") or record.get("resources")
    return {
        "scheduler": "skypilot",
        "record": "cluster",
        "job_id": cluster_id,
        "job_name": read_text(record, "name"),
        "run_seconds": read_seconds(record, "duration"),
        "catalogue_cost_usd": None if cost is None else _round(cost),
        "submitted_at": read_instant(record, "launched_at"),
        "started_at": read_instant(record, "launched_at"),
        # An interval without an end goes on.
        "ended_at": max(end for end in ends if end) if ends and None not in ends else None,
        **_read_place(record),
        **_read_resources(
            resources if isinstance(resources, str) else None,
            _show_accelerators(accelerators),
            read_count(record, "num_nodes"),
        ),
    }


def _read_place(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "account": read_text(record, "workspace"),
        "user_name": read_text(record, "user_name") or read_text(record, "user_hash"),
        **{name: read_text(record, name) for name in ("cloud", "region", "zone")},
    }


def _show_accelerators(accelerators: Any) -> str | None:
    if isinstance(accelerators, dict):
        return f"{{{', '.join(f'{name}: {count}' for name, count in accelerators.items())}}}"
    return accelerators if isinstance(accelerators, str) else None


def _read_resources(resources: str | None, accelerators: str | None, node_count: int | None) -> dict[str, Any]:
    """GPUs of all nodes: `2x(H100:8)` are 16. A text that names none is of machines without; no text says nothing."""
    told = accelerators if accelerators is not None else resources
    if node_count is None and resources is not None and (stated := _NODES.match(resources)):
        node_count = int(stated[1])
    found = _find_accelerators(told or "")
    gpus = sum(Decimal(count) for _, count in found) * (1 if node_count is None else node_count)
    return {
        "resources": resources or accelerators,
        "node_count": node_count,
        "gpu_model": ",".join(sorted({name for name, _ in found})) or None,
        "gpu_count": None if told is None else float(gpus),
    }


def _find_accelerators(text: str) -> list[tuple[str, str]]:
    if braces := _BRACES.search(text):
        return _IN_BRACES.findall(braces[1])
    return _NAMED.findall(text) or _FIRST.findall(text)


def _round(cost: Decimal) -> Decimal:
    try:
        return round_money(cost)
    except ValueError as error:
        raise JobFieldError("total_cost", str(error), cost) from None
