"""What stands in the lake by source, out of the registry and the quarantine: for summaries, metadata and the doctor."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ingest import lake
from ingest.contracts import DELIVERIES, QUARANTINE
from ingest.home import Home
from ingest.registry import LANDED, REFUSED, SUPERSEDED, latest_sql

LATE_AFTER: Final = timedelta(days=2)
"""A source whose data ends so long before another's is stale: bills arrive within a day, and are restated for two."""

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
    max(data_through_at) as data_through_at,
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
select source_name, reason, count(*) as entry_count, max(object_uri) as last_object_uri, max(refused_at) as refused_at
from ({rows})
group by source_name, reason
order by refused_at desc, entry_count desc
limit {limit}
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
    landed_at: datetime  # UTC

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


def find_newest_end(sources: Iterable[SourceTotals]) -> datetime | None:
    """How far the data of the source reaches that reaches farthest, UTC; references aside."""
    ends = [source.data_through_at for source in sources if source.data_through_at and not source.is_reference]
    return max(ends, default=None)


@dataclass(frozen=True)
class SetAside:
    """Objects of one source whose rows stand in no table, for one reason."""

    source_name: str
    message: str
    object_count: int
    last_object_uri: str

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


def read_source_totals(home: Home) -> list[SourceTotals]:
    """By source name; a source of which nothing was ever read is absent."""
    with lake.open_engine(home) as engine:
        rows = latest_sql(lake.select_files_sql(engine, DELIVERIES, lake.list_files(home, DELIVERIES)))
        found = engine.execute(_SOURCES_SQL.format(rows=rows), {"refused": REFUSED, "landed": LANDED}).fetchall()
    return [SourceTotals(*values) for values in found]


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


def read_quarantine_reasons(home: Home, limit: int = 10) -> list[QuarantineReason]:
    """The latest reasons first."""
    with lake.open_engine(home) as engine:
        rows = lake.select_files_sql(engine, QUARANTINE, lake.list_files(home, QUARANTINE))
        found = engine.execute(_REASONS_SQL.format(rows=rows, limit=int(limit))).fetchall()
    return [QuarantineReason(*values) for values in found]
