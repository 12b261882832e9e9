"""Sources to land and questions to ask of what landed."""

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

from ingest import lake
from ingest.contracts import CONTROL_TOTALS, DELIVERIES, FOCUS_CHARGES, LITELLM_REQUESTS, QUARANTINE, LandingTable
from ingest.control_totals import standing_sql
from ingest.home import Home
from ingest.landing import LandingReport, SourceReport
from ingest.registry import latest_sql

HEADER = (
    "ProviderName,BillingAccountId,BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,"
    "BilledCost,EffectiveCost,BillingCurrency,ResourceId"
)


def bill(*costs: str, provider: str = "AWS", month: int = 5, currency: str = "USD") -> str:
    period = f"2026-{month:02d}"
    lines = [
        f"{provider},acct-1,{period}-01T00:00:00Z,{period}-02T00:00:00Z,{period}-03T00:00:00Z,Usage,"
        f"{cost},{cost},{currency},i-{index}-{cost}"
        for index, cost in enumerate(costs)
    ]
    return "\n".join([HEADER, *lines]) + "\n"


def request(request_id: str, day: int = 1, tokens: int = 7) -> str:
    at = f"2026-05-{day:02d}T10:00:0"
    return (
        f'{{"request_id": "{request_id}", "call_type": "acompletion", "api_key": "k", "spend": 0.001, '
        f'"total_tokens": {tokens}, "prompt_tokens": {tokens}, "completion_tokens": 0, '
        f'"startTime": "{at}0Z", "endTime": "{at}1Z", "model": "gpt-4o", "status": "success"}}'
    )


def configure(home: Home, *sources: str) -> None:
    lines = "".join(f"  - {source}\n" for source in sources)
    home.sources_path.write_text(f"reporting_currency: USD\nsources:\n{lines}" if sources else "sources: []\n")


def write(path: Path, text: str | bytes, modified_at: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    if modified_at is not None:
        os.utime(path, (modified_at, modified_at))
    return path


def query(home: Home, table: LandingTable, select: str) -> list[tuple[Any, ...]]:
    with lake.open_engine(home) as engine:
        sql = lake.select_files_sql(engine, table, lake.list_files(home, table))
        sql = latest_sql(sql) if table is DELIVERIES else sql
        return engine.execute(f"from ({sql}) as t select {select}").fetchall()


def counted(home: Home, table: LandingTable, select: str = "measure, sum(total) group by all order by 1") -> list[Any]:
    """A question asked of the control totals that count."""
    with lake.open_engine(home) as engine:
        totals, deliveries = (
            lake.select_files_sql(engine, kept, lake.list_files(home, kept)) for kept in (CONTROL_TOTALS, DELIVERIES)
        )
        standing = standing_sql(totals, latest_sql(deliveries))
        return engine.execute(f"from ({standing} where table_name = '{table.name}') select {select}").fetchall()


def billed(home: Home, where: str = "true") -> Decimal | None:
    return query(home, FOCUS_CHARGES, f"sum(billed_cost) filter (where {where})")[0][0]


def versions(home: Home) -> list[int | None]:
    return [lake.read_version(home, table) for table in (FOCUS_CHARGES, LITELLM_REQUESTS, DELIVERIES, QUARANTINE)]


def find(report: LandingReport, name: str) -> SourceReport:
    return next(item for item in report.sources if item.source_name == name)


def check_counts(home: Home, table: LandingTable) -> None:
    """landed + quarantined = read for every object; what the registry says is landed, and the control totals count,
    stands in the table."""
    counts = query(home, DELIVERIES, "object_uri, sum(rows_read), sum(rows_landed + rows_quarantined) group by all")
    assert all(read == accounted for _, read, accounted in counts), counts
    landed = query(home, DELIVERIES, f"coalesce(sum(rows_landed) filter (where table_name = '{table.name}'), 0)")
    assert landed == query(home, table, "count(*)")
    assert counted(home, table, "coalesce(sum(total) filter (where measure = 'row_count'), 0)") == landed


FOCUS_SOURCE = "{name: bills, kind: focus, location: exports/**/*.csv}"
LOG_SOURCE = "{name: gateway, kind: litellm, location: logs/}"
