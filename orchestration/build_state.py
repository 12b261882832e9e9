"""Which build the warehouse holds: a whole one, or what a build that failed or was killed left."""

from pathlib import Path
from typing import Any, Final

import duckdb

from ingest.date_span import DateSpan
from ingest.home import Home
from ingest.raw_views import BuildPlan, pin, record_begin, record_success
from ingest.stocktaking import require_whole
from orchestration.dbt_runtime import fingerprint_code

_TOUCHED_SQL: Final = """
select usage_date::varchar from raw.touched_days
union all
select 'period ' || billing_period_start_date from raw.touched_periods
"""


class NotBuiltError(Exception):
    """The warehouse holds no whole build, so nothing of it may be published."""


_UNFINISHED_SQL: Final = "select build_id from build_state.unfinished_builds"


def plan_build(home: Home, *, full_refresh: bool, again: DateSpan | None = None) -> BuildPlan:
    """Pin the lake as it is now and say what must be redone. Under the home's lock.

    What an unfinished build had begun on must be redone too, even where the lake is back to what was built before it;
    where the new plan leaves any of it out, all is redone.
    """
    require_whole(home)
    is_unfinished = _is_unfinished(home)
    begun = _read_rows(home, _TOUCHED_SQL) if is_unfinished else []
    fingerprint = fingerprint_code()
    plan = pin(home, full_refresh=full_refresh, code_fingerprint=fingerprint, again=again)
    if not is_unfinished or plan.is_full_refresh:
        return plan
    if plan.is_empty or not set(begun) <= set(_read_rows(home, _TOUCHED_SQL)):
        return pin(home, full_refresh=True, code_fingerprint=fingerprint)
    return plan


def begin_build(home: Home) -> None:
    """Say that the warehouse is about to change; it stays said until `end_build`, whatever happens."""
    record_begin(home)


def end_build(home: Home, plan: BuildPlan) -> None:
    """Every model of `plan` was built and every law held."""
    record_success(home, plan)
    _former_marker(home).unlink(missing_ok=True)


def read_built(home: Home) -> str:
    """The id of the build that the warehouse holds. Raises `NotBuiltError` when it holds none, or half of one."""
    rows = _read_rows(home, "select build_id from build_state.built_info")
    if not rows:
        raise NotBuiltError(f"{home.warehouse_path} holds no build: run `wattledger build`, or `wattledger run`.")
    if _is_unfinished(home):
        raise NotBuiltError(
            f"The last build of {home.warehouse_path} failed or was killed, so what it holds is not published. "
            "Run `wattledger build` again; it says what fails."
        )
    return str(rows[0][0])


def _is_unfinished(home: Home) -> bool:
    return bool(_read_rows(home, _UNFINISHED_SQL)) or _former_marker(home).exists()


def _former_marker(home: Home) -> Path:
    """What said so in a home whose last build was by an earlier release."""
    return home.state_dir / "dbt" / "build-unfinished"


def _read_rows(home: Home, sql: str) -> list[tuple[Any, ...]]:
    """Rows of the warehouse; none when there is no warehouse, or no build was ever pinned in it."""
    if not home.warehouse_path.exists():
        return []
    with duckdb.connect(str(home.warehouse_path), read_only=True) as connection:
        try:
            return connection.execute(sql).fetchall()
        except duckdb.CatalogException:
            return []
