"""What stands in the lake by source, out of the registry and the quarantine: for summaries, metadata and the doctor."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import pyarrow as pa

from ingest import lake
from ingest.acceptances import ROWS, list_unaccepted
from ingest.config import ConfigError, SourceConfig, load_sources
from ingest.contracts import DELIVERIES, QUARANTINE
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.registry import LANDED, REFUSED, SUPERSEDED, latest_sql

LATE_AFTER: Final = timedelta(days=2)
"""A source whose data ends so long ago is stale: bills arrive within a day, and are restated for two."""

_LATE_INVOICE_AFTER: Final = timedelta(days=40)
"""An invoice comes once a month, some days after the month that it bills."""

REFERENCE_KINDS: Final = (
    "gpu_prices",
    "llm_price_catalogue",
    "carbon_intensity",
    "electricity_prices",
    "gcp_budgets",
)
"""Prices, factors and budgets: they hold from their day on, or are told ahead, so that they are never late."""

_SOURCES_SQL: Final = """
select
    source_name,
    any_value(source_kind) as source_kind,
    count(distinct object_uri) as object_count,
    count(distinct object_uri) filter (where status = $refused) as refused_object_count,
    sum(rows_read)::bigint as rows_read,
    sum(rows_landed)::bigint as rows_landed,
    sum(rows_quarantined)::bigint as rows_quarantined,
    -- A manifest has no rows of its own: it names parts.
    count(distinct object_uri) filter (
        where status = $landed and rows_read = 0 and not coalesce(starts_with(message, 'names '), false)
    ) as empty_object_count,
    max(object_uri) filter (
        where status = $landed and rows_read = 0 and not coalesce(starts_with(message, 'names '), false)
    ) as last_empty_object_uri,
    -- No row tells of what was to come when it landed; prices and budgets may be told ahead.
    max(
        case when source_kind in {reference_kinds} then data_through_at else least(data_through_at, landed_at) end
    ) as data_through_at,
    max(landed_at) as landed_at
from ({rows})
group by source_name
order by source_name
"""

_SET_ASIDE_SQL: Final = """
select source_name, message, count(distinct object_uri) as object_count, max(object_uri) as last_object_uri
from ({rows})
where status = $superseded
group by source_name, message
order by source_name, object_count desc, message
"""

_REASONS_SQL: Final = """
select
    source_name,
    reason,
    count(*) as entry_count,
    max(object_uri) as last_object_uri,
    max(refused_at) as refused_at,
    -- Whole objects and deliveries that are refused wait for another delivery, and for nobody's word.
    count(*) filter (
        where scope <> 'row' or (source_name, object_uri) in (select (source_name, object_uri) from waiting_objects)
    ) as waiting_count,
    bool_or(scope = 'row' or starts_with(found, 'loss ')) as is_acceptable
from ({rows})
group by source_name, reason
order by refused_at desc, entry_count desc, source_name, reason
"""


@dataclass(frozen=True)
class SourceTotals:
    """All objects of one source as they hold now; every row read was landed or quarantined."""

    source_name: str
    source_kind: str
    object_count: int
    refused_object_count: int
    rows_read: int
    rows_landed: int
    rows_quarantined: int
    empty_object_count: int
    last_empty_object_uri: str | None
    data_through_at: datetime | None  # UTC
    landed_at: datetime | None  # UTC; None for a source of which nothing was ever read

    def tell_staleness(self, now: datetime) -> str | None:
        """Why its data is stale at `now`, UTC; None when it is not, or cannot be."""
        is_late_after = _LATE_INVOICE_AFTER if self.source_kind == "invoice_csv" else LATE_AFTER
        if self.is_reference or self.data_through_at is None or now - self.data_through_at <= is_late_after:
            return None
        behind = f"{(now - self.data_through_at).days:,} days ago"
        return f"stale: its data ends {self.data_through_at:%Y-%m-%d %H:%M} UTC, {behind}"

    @property
    def is_reference(self) -> bool:
        """Never late, and the measure of nobody else's lateness."""
        return self.source_kind in REFERENCE_KINDS

    @property
    def silence(self) -> str | None:
        """What to know of objects, or windows of a server, that were read and had nothing in them."""
        if not self.empty_object_count:
            return None
        return f"{self.empty_object_count:,} of its objects or windows have no rows, last {self.last_empty_object_uri}"


def read_now(sources: Iterable[SourceTotals]) -> datetime:
    """The instant that sources are late by, UTC: the clock's, or how far the data of one reaches if that is later."""
    ends = [source.data_through_at for source in sources if source.data_through_at and not source.is_reference]
    return max([datetime.now(UTC).replace(tzinfo=None), *ends])


@dataclass(frozen=True)
class SetAside:
    """Objects of one source whose rows stand in no table, for one reason."""

    source_name: str
    message: str
    object_count: int
    last_object_uri: str

    @property
    def may_lose(self) -> bool:
        """True for what was superseded before losses were held back, and told of sub accounts that nothing has now."""
        return "which has nothing of" in self.message

    def __str__(self) -> str:
        return f"{self.source_name}: {self.object_count:,} set aside, {self.message}, last {self.last_object_uri}"


@dataclass(frozen=True)
class QuarantineReason:
    """Entries of one source that were refused for one reason."""

    source_name: str
    reason: str
    entry_count: int
    last_object_uri: str
    refused_at: datetime  # UTC
    waiting_count: int  # of the entries, those that nobody accepted
    is_acceptable: bool


def read_source_totals(home: Home) -> list[SourceTotals]:
    """By source name: all of which something was ever read, and all of sources.yml."""
    with lake.open_engine(home) as engine:
        rows = latest_sql(lake.select_files_sql(engine, DELIVERIES, lake.list_files(home, DELIVERIES)))
        sql = _SOURCES_SQL.format(rows=rows, reference_kinds=REFERENCE_KINDS)
        found = engine.execute(sql, {"refused": REFUSED, "landed": LANDED}).fetchall()
    totals = {values[0]: SourceTotals(*values) for values in found}
    for source in list_sources(home):
        nothing = SourceTotals(source.name, source.kind, 0, 0, 0, 0, 0, 0, None, None, None)
        totals.setdefault(source.name, nothing)
    return [totals[name] for name in sorted(totals)]


def list_sources(home: Home) -> tuple[SourceConfig, ...]:
    """The sources of sources.yml; none while it cannot be read, which landing says when it runs."""
    try:
        return load_sources(home, KINDS).sources
    except ConfigError:
        return ()


def read_set_aside(home: Home) -> list[SetAside]:
    """What newer or other exports made superfluous, by source and reason."""
    with lake.open_engine(home) as engine:
        rows = latest_sql(lake.select_files_sql(engine, DELIVERIES, lake.list_files(home, DELIVERIES)))
        found = engine.execute(_SET_ASIDE_SQL.format(rows=rows), {"superseded": SUPERSEDED}).fetchall()
    return [SetAside(*values) for values in found]


def read_quarantine_counts(home: Home) -> dict[str, int]:
    """Refused rows, objects and deliveries by source."""
    with lake.open_engine(home) as engine:
        rows = lake.select_files_sql(engine, QUARANTINE, lake.list_files(home, QUARANTINE))
        return dict(engine.execute(f"select source_name, count(*) from ({rows}) group by all order by all").fetchall())


def read_quarantine_reasons(home: Home) -> list[QuarantineReason]:
    """Every reason, the latest first."""
    waiting = [(item.source_name, item.object_uri) for item in list_unaccepted(home) if item.subject == ROWS]
    with lake.open_engine(home) as engine:
        names, uris = [name for name, _ in waiting], [uri for _, uri in waiting]
        objects = pa.table({"source_name": pa.array(names, pa.string()), "object_uri": pa.array(uris, pa.string())})
        engine.register("waiting_objects", objects)
        rows = lake.select_files_sql(engine, QUARANTINE, lake.list_files(home, QUARANTINE))
        found = engine.execute(_REASONS_SQL.format(rows=rows)).fetchall()
    return [QuarantineReason(*values) for values in found]
