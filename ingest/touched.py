"""What a build has to redo: the days and billing periods that differ from the last build that succeeded.

`build_state` in the warehouse holds both sides: the files and closes pinned now, and those that the last good build
was made from.
"""

from typing import Final

import duckdb

from ingest.book_tables import CLOSED_LEDGER, CLOSES
from ingest.contracts import (
    BILL_PERIODS,
    DATED_FACTS,
    DCGM_SAMPLES,
    FOCUS_CHARGES,
    LLM_PRICES,
    OPENCOST_ALLOCATIONS,
)
from ingest.date_span import DateSpan

_ANY_DAY_TABLES: Final = (LLM_PRICES.name, *(table.name for table in DATED_FACTS.values()))
"""Tables whose every change touches everything: they speak for any day."""

_BILL_TABLES: Final = ", ".join(f"'{name}'" for name in BILL_PERIODS)

_CHANGED_FILES_SQL: Final = """
(
    select p.* from build_state.pinned_files as p anti join build_state.built_files as b using (table_name, path)
    union all
    select b.* from build_state.built_files as b anti join build_state.pinned_files as p using (table_name, path)
)"""
_ALL_FILES_SQL: Final = "(from build_state.pinned_files union all from build_state.built_files)"

_CHANGED_CLOSES_SQL: Final = """
(
    (from build_state.pinned_closes except from build_state.built_closes)
    union
    (from build_state.built_closes except from build_state.pinned_closes)
)"""
_ALL_CLOSES_SQL: Final = "build_state.pinned_closes"


def must_redo_all(warehouse: duckdb.DuckDBPyConnection, code_fingerprint: str) -> bool:
    """Nothing was built yet, or by other models, or a fact that speaks for any day has changed."""
    built = warehouse.execute("select code_fingerprint from build_state.built_info").fetchone()
    if built is None or built[0] != code_fingerprint:
        return True
    changed = warehouse.execute(f"select distinct table_name from {_CHANGED_FILES_SQL}").fetchall()
    return any(table_name in _ANY_DAY_TABLES for (table_name,) in changed)


def has_changed(warehouse: duckdb.DuckDBPyConnection, table_name: str) -> bool:
    """The table has other files than the last good build was made from."""
    changed = warehouse.execute(f"select distinct table_name from {_CHANGED_FILES_SQL}").fetchall()
    return (table_name,) in changed


def fill_touched(warehouse: duckdb.DuckDBPyConnection, *, is_full: bool, again: DateSpan | None = None) -> None:
    """Write `raw.touched_days`, `raw.touched_periods` and `raw.known_months`.

    Days to build `again` are touched whatever changed. Days come first, then the periods that allocate over them, then
    all days of those periods: marts by day read both.
    """
    files = _ALL_FILES_SQL if is_full else _CHANGED_FILES_SQL
    closes = _ALL_CLOSES_SQL if is_full else _CHANGED_CLOSES_SQL
    # A GPU's energy between two samples may cross midnight, so a day of samples speaks for the next one too. The
    # month of a day is touched whether or not a bill covers it: use that nobody has billed yet is accrued.
    warehouse.execute(
        f"""create or replace temp table touched_by_rows as
        select distinct unnest(generate_series(
            first_date, last_date + (table_name = '{DCGM_SAMPLES.name}')::integer, interval 1 day
        ))::date as usage_date
        from {files} where partition_date is not null and table_name not in ({_BILL_TABLES})
        {_select_again(again)};
        -- The first sample after midnight ends a count of energy that began on the day before.
        create or replace temp table days_of_use as
        from touched_by_rows
        union
        select first_date - 1 from {files} where table_name = '{DCGM_SAMPLES.name}';
        delete from raw.touched_periods;
        insert into raw.touched_periods
        select distinct partition_date from {files} where table_name in ({_BILL_TABLES})
        union
        select distinct f.partition_date
        from build_state.pinned_files as f
        inner join days_of_use as d on d.usage_date between f.first_date and f.last_date
        where f.table_name in ({_BILL_TABLES})
        union
        select distinct date_trunc('month', usage_date)::date from days_of_use
        union
        -- What a bill of another period covers is accrued no more in the month of its use.
        select distinct unnest(generate_series(
            date_trunc('month', first_date), date_trunc('month', last_date), interval 1 month
        ))::date
        from {files} where table_name in ({_BILL_TABLES})
        union
        select distinct date_trunc('month', usage_date)::date from raw.config_adjustments
        where {str(is_full).lower()}
        union
        select distinct billing_period_start_date from raw.{CLOSED_LEDGER.name}
        where close_id in (select close_id from {closes})
        union
        select distinct period_start_date from raw.{CLOSES.name}
        where close_id in (select close_id from {closes})
        order by 1"""
    )
    _touch_later_periods(warehouse)
    warehouse.execute(
        f"""delete from raw.touched_days;
        insert into raw.touched_days
        from touched_by_rows
        union
        select unnest(generate_series(f.first_date, f.last_date, interval 1 day))::date
        from {_ALL_FILES_SQL} as f
        inner join raw.touched_periods as p on p.billing_period_start_date = f.partition_date
        where f.table_name in ({_BILL_TABLES})
        union
        select usage_date
        from (
            select unnest(generate_series(first_date, last_date, interval 1 day))::date as usage_date
            from {_ALL_FILES_SQL} where table_name = '{OPENCOST_ALLOCATIONS.name}'
        )
        inner join raw.touched_periods as p on p.billing_period_start_date = date_trunc('month', usage_date)::date
        order by 1;
        drop table touched_by_rows;
        drop table days_of_use"""
    )
    _fill_known_months(warehouse)


def _fill_known_months(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Write `raw.known_months`: those that a bill of now begins in, or that something of now tells of a day of.

    A month that a withdrawn log alone spoke for is touched and no longer known; one that a charge of several months
    reaches into is not known yet.
    """
    warehouse.execute(
        f"""delete from raw.known_months;
        insert into raw.known_months
        select distinct date_trunc('month', partition_date)::date
        from build_state.pinned_files where table_name in ({_BILL_TABLES})
        union
        select distinct date_trunc('month', unnest(generate_series(first_date, last_date, interval 1 day)))::date
        from build_state.pinned_files where partition_date is not null and table_name not in ({_BILL_TABLES})
        order by 1"""
    )


def _select_again(again: DateSpan | None) -> str:
    """A `union` with the days of the span that some file speaks for."""
    if again is None:
        return ""
    return f"""union
        select distinct usage_date from (
            select unnest(generate_series(first_date, last_date, interval 1 day))::date as usage_date
            from {_ALL_FILES_SQL}
        ) where usage_date between date '{again.first_date}' and date '{again.last_date}'"""


_MAY_REFER_SQL: Final = {
    FOCUS_CHARGES.name: (
        "(resource_id is not null or commitment_discount_id is not null or sku_id is not null) and ("
        "charge_category in ('Credit', 'Adjustment') or charge_class = 'Correction' "
        "or commitment_discount_status = 'Unused' or billed_cost < 0 or effective_cost < 0)"
    )
}
"""Lines that may follow the owners of a charge of an earlier billing period; of other kinds of bills, each line may."""


def _touch_later_periods(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Add to `raw.touched_periods` the later ones that credit, correct or leave unused what a touched one may hold.

    References reach back only, so the open period alone, which a daily run touches, adds none and reads nothing.
    """
    for table_name in BILL_PERIODS:
        later = warehouse.execute(
            """select distinct partition_date from build_state.pinned_files
            where table_name = ? and partition_date > (select min(billing_period_start_date) from raw.touched_periods)
            and partition_date not in (from raw.touched_periods)""",
            [table_name],
        ).fetchall()
        periods = ", ".join(f"date '{period}'" for (period,) in later)
        if periods:
            warehouse.execute(
                f"""insert into raw.touched_periods
                select distinct billing_period_date from raw.{table_name}
                where billing_period_date in ({periods}) and ({_MAY_REFER_SQL.get(table_name, "true")})"""
            )
