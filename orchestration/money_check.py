"""Dollars to look at: in no total, counted by another export, or owned by nobody."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from delivery.marts import MartsError, open_marts
from ingest.config import ConfigError, load_watch_policies
from ingest.home import Home
from orchestration.findings import Finding, State
from orchestration.run_summary import read_held_back, read_set_aside_bills, show_usd

_UNTAGGED_SQL: Final = """
select
    cast(date_trunc('month', usage_date) as date) as month_start_date,
    sum(effective_cost_usd) as effective_cost_usd,
    coalesce(sum(effective_cost_usd) filter (where team_id in ('untagged', 'unknown')), 0) as untagged_cost_usd
from fct_chargeback_daily
group by month_start_date
order by month_start_date desc
limit 1
"""


@dataclass(frozen=True)
class _MonthTotals:
    month_start_date: date
    effective_cost_usd: Decimal
    untagged_cost_usd: Decimal


def examine_money(home: Home) -> Iterator[Finding]:
    """What of the published marts keeps a home from being well. Nothing published is said elsewhere."""
    try:
        held_back, set_aside = read_held_back(home.published_dir), read_set_aside_bills(home.published_dir)
        with open_marts(home.published_dir) as marts:
            months = marts.fetch(_MonthTotals, _UNTAGGED_SQL)
    except MartsError:
        return
    for bill in held_back:
        yield Finding(
            "money", State.WRONG, str(bill), "give the rate or the currency that is named, then wattledger run"
        )
    for bill in set_aside:
        yield Finding("money", State.NOTE, str(bill), "keep one of the two exports as a source")
    for month in months:
        yield from _examine_untagged(home, month)


def _examine_untagged(home: Home, month: _MonthTotals) -> Iterator[Finding]:
    try:
        most = load_watch_policies(home)[1].untagged_share
    except ConfigError:
        return  # said of the config
    share = month.untagged_cost_usd / month.effective_cost_usd if month.effective_cost_usd > 0 else Decimal(0)
    text = (
        f"{share:.1%} of {month.month_start_date:%Y-%m} has no owner (untagged or unknown): "
        f"{show_usd(month.untagged_cost_usd)} of {show_usd(month.effective_cost_usd)} USD"
    )
    if share > most:
        yield Finding("money", State.NOTE, text, "fct_tag_gaps names what is missing; add rules to config/owners.csv")
    else:
        yield Finding("money", State.FINE, text)
