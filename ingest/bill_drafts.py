"""A bill's draft beside its final state in one folder: the same lines, of which only the final ones name an invoice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ingest import slices
from ingest.contracts import BILL_LINES, LandingTable
from ingest.landing_run import LandingRun

_PAIRS_SQL: Final = """
with lines as (
    select
        _object,
        hash({identity}) as line,
        any_value({invoice}) as invoice,
        any_value(hash({content})) as content,
        min(_position) as position
    from ({rows})
    where {is_line}
    group by _object, line
),
shared as (
    select * from lines
    where line in (select line from lines group by line having count(*) > 1)
)
select
    one._object,
    other._object,
    min(one.position),
    min(other.position),
    bool_or(one.invoice is null and other.invoice is not null) as is_one_draft,
    bool_or(one.invoice is not null and other.invoice is null) as is_other_draft,
    bool_or(one.invoice <> other.invoice) as is_other_invoice,
    bool_or(one.content <> other.content) as is_restated
from shared as one
join shared as other on one.line = other.line and one._object < other._object
group by all
order by all
"""


@dataclass
class Drafts:
    """`why` by object of the parts that do not count; `refusal` where it cannot be told which part does."""

    why: dict[str, str] = field(default_factory=dict)
    refusal: str | None = None


def find_drafts(
    run: LandingRun, table: LandingTable, key: str, rows_sql: str, modified_at: Mapping[str, datetime]
) -> Drafts:
    """Which of the objects of a slice are drafts of others. `modified_at` is of each object, by uri."""
    drafts = Drafts()
    if len(modified_at) < 2 or table.name not in BILL_LINES:
        return drafts
    for one, other, line, other_line, is_one_draft, is_other_draft, is_other_invoice, is_restated in _find_pairs(
        run, table, rows_sql
    ):
        if not (is_one_draft or is_other_draft or is_other_invoice):
            if is_restated:  # lines that are alike are found as rows that repeat
                drafts.refusal = (
                    f"the same line stands in two parts of {key}: {one} line {line} and {other} line {other_line}. "
                    "Take the older one away: both would count"
                )
            continue
        if is_one_draft != is_other_draft:
            draft, final = (one, other) if is_one_draft else (other, one)
        elif modified_at[one] != modified_at[other]:
            draft, final = sorted((one, other), key=lambda uri: modified_at[uri])
        else:
            drafts.refusal = (
                f"{one} and {other} have the same lines of {key} under other invoices, and neither is newer: "
                "take away the one that is not final"
            )
            continue
        drafts.why[draft] = f"a draft of {final}, which has the same lines with their final invoice"
    return drafts


def _find_pairs(
    run: LandingRun, table: LandingTable, rows_sql: str
) -> Sequence[tuple[str, str, int, int, bool, bool, bool, bool]]:
    told, invoice = BILL_LINES[table.name]
    content = [name for name in slices.list_content_columns(table) if name not in invoice]
    return run.engine.execute(
        _PAIRS_SQL.format(
            identity=", ".join(told or content),
            content=", ".join(content),
            invoice=invoice[0] if invoice else "null",
            is_line=f"{told[0]} is not null" if told else "true",
            rows=rows_sql,
        )
    ).fetchall()
