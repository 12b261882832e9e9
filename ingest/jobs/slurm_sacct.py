"""Read Slurm's accounting: the output of `sacct --parsable2`, one line a job, with its header or without.

Source: `sacct -a -X -D -P -S … -E … -o JobIDRaw,…`; the columns are told by the header, or by `options.fields` where
`-n` left it out. Steps (`123.batch`) are no jobs; an array's tasks and the parts of a heterogeneous job are each one.
Times are epoch seconds (`SLURM_TIME_FORMAT=%s`) or local text in `options.timezone`. Landing table: slurm_jobs.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa

from ingest.contracts import SLURM_JOBS, LandingTable
from ingest.payload import iterate_lines
from ingest.server_options import check_names
from ingest.source import ObjectRefusedError, OptionProblem, RowSink, ServerKind, SourceObject

_ROWS_PER_BATCH: Final = 20_000
_KEPT_RESOURCES: Final = 4_096  # of a cluster, jobs by the thousand ask for the same
_REQUIRED: Final = ("JobIDRaw", "State", "Submit", "AllocTRES")
_TEXTS: Final = {
    "JobID": "job_label",
    "JobName": "job_name",
    "Account": "account",
    "User": "user_name",
    "Partition": "partition_name",
    "QOS": "qos",
    "ExitCode": "exit_code",
    "Reason": "reason",
    "Reservation": "reservation",
    "NodeList": "node_list",
    "Comment": "comment",
    "WCKey": "wckey",
}
_TIMES: Final = {"Submit": "submitted_at", "Eligible": "eligible_at", "Start": "started_at", "End": "ended_at"}
_COUNTS: Final = {"ElapsedRaw": "elapsed_seconds", "TimelimitRaw": "time_limit_minutes", "Restarts": "restart_count"}
_SPANS: Final = {"Elapsed": "elapsed_seconds", "Suspended": "suspended_seconds"}
_NOTHING: Final = frozenset({"", "Unknown", "None", "None assigned", "N/A", "(null)", "INVALID", "UNLIMITED"})
_SPAN: Final = re.compile(r"^(?:(\d{1,5})-)?(?:(\d{1,6}):)?(\d{1,6}):(\d{1,6})(?:\.\d+)?$")
_GPUS: Final = re.compile(r"(?:^|,)gres/gpu=(\d+)")
_TYPED_GPUS: Final = re.compile(r"(?:^|,)gres/gpu:([^=,]+)=(\d+)")
_COUNT: Final = re.compile(r"[0-9]{1,9}")
_ENERGY: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([KMG]?)")
_ENERGY_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


class _FieldError(Exception):
    def __init__(self, field: str, reason: str, found: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason
        self.found = found


class SlurmSacct:
    """One row per attempt of a job and report; grain cluster, `job_id`, `submitted_at`."""

    kind: ClassVar[str] = "slurm_sacct"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = SLURM_JOBS
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(submitted_at as date)"
    server: ClassVar[ServerKind | None] = None

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """`cluster`: where lines name none. `timezone`: of local times. `fields`: of lines without a header."""
        yield from check_names(options, ("cluster", "timezone", "fields"))
        if not isinstance(options.get("cluster", "a"), str):
            yield OptionProblem("cluster", repr(options["cluster"]), "a name")
        try:
            ZoneInfo(options.get("timezone", "UTC"))
        except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            yield OptionProblem("timezone", repr(options["timezone"]), "a name of the IANA database: Europe/Berlin")
        fields = options.get("fields", list(_REQUIRED))
        if not isinstance(fields, list) or not set(_REQUIRED) <= set(map(str, fields)):
            yield OptionProblem("fields", repr(fields), f"the list given to sacct -o, {', '.join(_REQUIRED)} among it")

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write one row per job, refuse the others by line and field.

        Raises `ObjectRefusedError` for lines whose fields nobody names.
        """
        options = source_object.options
        zone = ZoneInfo(options.get("timezone", "UTC"))
        common = {
            "cluster": options.get("cluster"),
            "reported_at": source_object.modified_at.astimezone(UTC).replace(tzinfo=None),
        }
        rows: list[dict[str, Any]] = []
        fields: list[str] = [str(name) for name in options.get("fields", ())]
        for number, line in iterate_lines(source_object):
            cells = line.decode("utf-8", "replace").rstrip("\r").split("|")
            if "JobIDRaw" in cells:
                fields = cells
                continue
            if not fields:
                raise ObjectRefusedError(
                    "no header: run sacct without -n, or name its fields in options.fields of the source",
                    position=number,
                    found=line.decode("utf-8", "replace")[:200],
                )
            if missing := [name for name in _REQUIRED if name not in fields]:
                raise ObjectRefusedError(f"no field {missing[0]}: add it to sacct -o", field=missing[0])
            try:
                row = _read_job(fields, cells, zone)
            except _FieldError as error:
                sink.refuse_row(number, error.field, error.reason, error.found)
                continue
            if row is not None:
                rows.append(common | row | {"_position": number})
            if len(rows) >= _ROWS_PER_BATCH:
                _write(sink, rows)
        if rows:
            _write(sink, rows)


def _write(sink: RowSink, rows: list[dict[str, Any]]) -> None:
    sink.write(pa.Table.from_pylist(rows, schema=pa.schema([*SLURM_JOBS.columns, ("_position", pa.int64())])))
    rows.clear()


def _read_job(fields: list[str], cells: list[str], zone: ZoneInfo) -> dict[str, Any] | None:
    """The columns of one line that says something of them; None for a step."""
    if len(cells) != len(fields):
        reason = f"{len(cells)} fields, expected {len(fields)}: a name may hold a |; leave JobName and Comment out"
        raise _FieldError("", reason, "|".join(cells)[:200])
    job = dict(zip(fields, cells, strict=True))
    if not job["JobIDRaw"]:
        raise _FieldError("JobIDRaw", "empty: every job has one", "")
    if "." in job["JobIDRaw"]:
        return None
    row: dict[str, Any] = {"job_id": job["JobIDRaw"], "state": job["State"].split(" ")[0].rstrip("+") or None}
    row |= {column: job[name] for name, column in _TEXTS.items() if job.get(name, "") not in _NOTHING}
    if job.get("Cluster"):
        row["cluster"] = job["Cluster"]
    for name, column in _TIMES.items():
        if job.get(name, "") not in _NOTHING:
            row[column] = _read_time(name, job[name], zone)
    if "submitted_at" not in row:
        raise _FieldError("Submit", "empty: a job without it has no day", job["Submit"])
    for name, column in _SPANS.items():
        if job.get(name, "") not in _NOTHING:
            row[column] = _read_span(name, job[name])
    for name, column in _COUNTS.items():
        if job.get(name, "") not in _NOTHING and job[name] != "Partition_Limit":
            row[column] = _read_count(name, job[name])
    row.update(_read_resources(job["AllocTRES"]))
    row["requested_gpu_count"] = _count_gpus("ReqTRES", job.get("ReqTRES", ""))
    field = "ConsumedEnergyRaw" if job.get("ConsumedEnergyRaw") else "ConsumedEnergy"
    if job.get(field, "") not in _NOTHING:
        row["energy_joules"] = _read_energy(field, job[field])
    return row


def _read_energy(field: str, text: str) -> float:
    energy = _ENERGY.fullmatch(text)
    if energy is None:
        raise _FieldError(field, "not an energy in joules", text[:64])
    return float(energy[1]) * _ENERGY_UNITS[energy[2]]


@lru_cache(maxsize=_KEPT_RESOURCES)
def _count_gpus(field: str, resources: str) -> int | None:
    """The GPUs of a TRES list; None where it names none. Its typed entries tell the same GPUs again."""
    counts = _GPUS.findall(resources) or [count for _, count in _TYPED_GPUS.findall(resources)]
    return sum(_read_count(field, count) for count in counts) if counts else None


@lru_cache(maxsize=_KEPT_RESOURCES)
def _read_resources(allocated: str) -> Mapping[str, Any]:
    """GPUs, nodes and CPUs of AllocTRES. Empty: it never started."""
    typed = _TYPED_GPUS.findall(allocated)
    gpus = _count_gpus("AllocTRES", allocated) or 0
    counts = dict(item.split("=", 1) for item in allocated.split(",") if "=" in item)
    return {
        "gpu_model": ",".join(sorted(name for name, _ in typed)) or None,
        "gpu_count": gpus if allocated else None,
        "node_count": _read_count("AllocTRES", counts["node"]) if "node" in counts else None,
        "cpu_count": _read_count("AllocTRES", counts["cpu"]) if "cpu" in counts else None,
    }


def _read_time(field: str, text: str, zone: ZoneInfo) -> datetime:
    """Epoch seconds, or local text; of an hour that comes twice the first one."""
    try:
        instant = datetime.fromtimestamp(int(text), UTC) if text.isdecimal() else datetime.fromisoformat(text)
        aware = instant if instant.tzinfo else instant.replace(tzinfo=zone)
        return aware.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        reason = "not a time: expected epoch seconds (SLURM_TIME_FORMAT=%s) or 2026-09-01T10:00:00"
        raise _FieldError(field, reason, text[:64]) from None


def _read_span(field: str, text: str) -> int:
    """Seconds of `[days-]hours:minutes:seconds`."""
    found = _SPAN.match(text)
    if found is None:
        raise _FieldError(field, "not a span of time: expected 1-02:03:04", text[:64])
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _read_count(field: str, text: str) -> int:
    if not _COUNT.fullmatch(text):
        raise _FieldError(field, "not a count", text[:64])
    return int(text)
