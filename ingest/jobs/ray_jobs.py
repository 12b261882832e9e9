"""Read what Ray says of its jobs: answers of the dashboard's `GET /api/jobs/`, as JSON.

Source: JobDetails in an array, or one a line. Times are milliseconds since 1970. Ray does not say how many GPUs a job
had, which stay unknown; who it is for it says where its submitter set `metadata` (`team`, `user`, `job`). A job is told
again until it has ended, and the newest report counts. Landing table: job_reports.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

import msgspec

from ingest.contracts import JOB_REPORTS, LandingTable
from ingest.jobs.job_reports import PARTITION_DATE_SQL, JobFieldError, read_instant, read_text, write_jobs
from ingest.server_options import check_names
from ingest.source import OptionProblem, RowSink, ServerKind, SourceObject

_STATES: Final = ("PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED")
_MILLISECONDS: Final = 1_000


class RayJobs:
    """One row per job and report of it."""

    kind: ClassVar[str] = "ray_jobs"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = JOB_REPORTS
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = PARTITION_DATE_SQL
    server: ClassVar[ServerKind | None] = None

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """`cluster`: the name of the Ray cluster, by default the source's."""
        yield from check_names(options, ("cluster",))
        if not isinstance(options.get("cluster", "a"), str):
            yield OptionProblem("cluster", repr(options["cluster"]), "a name")

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write every readable job, refuse the others by running number and field."""
        write_jobs(source_object, sink, (), _read_job)


def _read_job(record: Mapping[str, Any]) -> dict[str, Any]:
    # A job that was submitted has an id of its own before it has a driver's.
    job_id = read_text(record, "submission_id") or read_text(record, "job_id")
    if job_id is None:
        raise JobFieldError("submission_id", "neither submission_id nor job_id: every job has one")
    state = read_text(record, "status")
    if state not in _STATES:
        raise JobFieldError("status", f"expected one of {', '.join(_STATES)}", record.get("status"))
    metadata = record.get("metadata")
    labels = metadata if isinstance(metadata, dict) else {}
    start = read_instant(record, "start_time", _MILLISECONDS)
    return {
        "scheduler": "ray",
        "record": "job",
        "job_id": job_id,
        "job_name": read_text(labels, "job") or read_text(labels, "name"),
        "account": read_text(labels, "team"),
        "user_name": read_text(labels, "user"),
        "state": state,
        "reason": read_text(record, "error_type"),
        "labels": msgspec.json.encode(labels).decode() if labels else None,
        "submitted_at": start,
        # The time that Ray gives is the submission's while the job waits.
        "started_at": None if state == "PENDING" else start,
        "ended_at": read_instant(record, "end_time", _MILLISECONDS),
    }
