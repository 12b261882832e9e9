"""What a run came to, for a person: rows by source, USD by provider against allocated, chargeback by team."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from delivery.marts import open_marts
from delivery.publish import MARTS_FILE, PARQUET_LINK
from ingest.home import Home
from orchestration.landed import read_set_aside, read_source_totals

_CENT: Final = Decimal("0.01")

_PROVIDERS_SQL: Final = """
with delivered as (
    select provider_name, sum(billed_cost_usd) as billed_cost_usd, sum(effective_cost_usd) as effective_cost_usd
    from fct_reconciliation
    where step = 'delivered' and cause = 'rate_known'
    group by provider_name
),
allocated as (
    -- Use that no bill covers was not delivered either: it is no part of what is compared.
    select
        provider_name,
        sum(billed_cost_usd) filter (where allocation_step <> 'accrual') as billed_cost_usd,
        sum(effective_cost_usd) filter (where allocation_step <> 'accrual') as effective_cost_usd,
        sum(effective_cost_usd) filter (where allocation_step = 'accrual') as accrued_cost_usd
    from fct_cost_ledger
    group by provider_name
)
select
    provider_name,
    delivered.billed_cost_usd,
    delivered.effective_cost_usd,
    allocated.billed_cost_usd as allocated_billed_cost_usd,
    allocated.effective_cost_usd as allocated_effective_cost_usd,
    allocated.accrued_cost_usd
from delivered
full join allocated using (provider_name)
order by delivered.effective_cost_usd desc nulls last, provider_name
"""

_HELD_BACK_SQL: Final = """
select
    provider_name,
    billing_account_id,
    billing_period_start_date,
    currency_code,
    -billed_cost_local as billed_cost_local
from fct_reconciliation
where step = 'held_back'
order by all
"""

_SET_ASIDE_SQL: Final = """
select provider_name, billing_account_id, billing_period_start_date, currency_code, billed_cost_local
from fct_reconciliation
where step = 'set_aside'
order by all
"""

_TEAMS_SQL: Final = """
select
    team_id,
    sum(billed_cost_usd) as billed_cost_usd,
    sum(effective_cost_usd) as effective_cost_usd,
    sum(estimated_effective_cost_usd) as estimated_effective_cost_usd,
    min(usage_date) as first_date,
    max(usage_date) as last_date
from fct_chargeback_daily
group by team_id
order by effective_cost_usd desc, team_id
"""


@dataclass(frozen=True)
class ProviderTotals:
    """A provider's admitted charges and what the ledger made of them; None where one side has no row at all."""

    provider_name: str
    billed_cost_usd: Decimal | None
    effective_cost_usd: Decimal | None
    allocated_billed_cost_usd: Decimal | None
    allocated_effective_cost_usd: Decimal | None
    accrued_cost_usd: Decimal | None  # effective cost of use that no bill covers yet, beside the allocated

    @property
    def difference_usd(self) -> Decimal:
        """Delivered less allocated over both bases, each gap by its size; a side that is absent allocates nothing."""
        nothing = Decimal(0)
        return abs((self.billed_cost_usd or nothing) - (self.allocated_billed_cost_usd or nothing)) + abs(
            (self.effective_cost_usd or nothing) - (self.allocated_effective_cost_usd or nothing)
        )


@dataclass(frozen=True)
class HeldBackBill:
    """A landed bill without an exchange rate: in no total until the rate arrives."""

    provider_name: str
    billing_account_id: str
    billing_period_start_date: date
    currency_code: str | None
    billed_cost_local: Decimal

    def __str__(self) -> str:
        bill = f"{self.provider_name} {self.billing_account_id} {self.billing_period_start_date:%Y-%m}"
        if self.currency_code is None:
            return f"held back {bill}: {self.billed_cost_local:,.2f} in no currency: name it with options.defaults"
        return (
            f"held back {bill}: {self.billed_cost_local:,.2f} {self.currency_code}, in no total: "
            f"add a {self.currency_code} to USD rate for {self.billing_period_start_date} to config/fx_rates.csv"
        )


@dataclass(frozen=True)
class SetAsideBill:
    """A bill that came in two kinds of export; it is counted by the other one."""

    provider_name: str
    billing_account_id: str
    billing_period_start_date: date
    currency_code: str | None
    billed_cost_local: Decimal

    def __str__(self) -> str:
        bill = f"{self.provider_name} {self.billing_account_id} {self.billing_period_start_date:%Y-%m}"
        return f"set aside {bill}: {self.billed_cost_local:,.2f} {self.currency_code}, its FOCUS export counts"


@dataclass(frozen=True)
class TeamTotals:
    team_id: str
    billed_cost_usd: Decimal
    effective_cost_usd: Decimal
    estimated_effective_cost_usd: Decimal
    first_date: date
    last_date: date


def read_providers(published: Path) -> list[ProviderTotals]:
    """Raises `MartsError` when nothing is published."""
    with open_marts(published) as marts:
        return marts.fetch(ProviderTotals, _PROVIDERS_SQL)


def read_held_back(published: Path) -> list[HeldBackBill]:
    """Raises `MartsError` when nothing is published."""
    with open_marts(published) as marts:
        return marts.fetch(HeldBackBill, _HELD_BACK_SQL)


def read_set_aside_bills(published: Path) -> list[SetAsideBill]:
    """Raises `MartsError` when nothing is published."""
    with open_marts(published) as marts:
        return marts.fetch(SetAsideBill, _SET_ASIDE_SQL)


def read_teams(published: Path) -> list[TeamTotals]:
    """Raises `MartsError` when nothing is published."""
    with open_marts(published) as marts:
        return marts.fetch(TeamTotals, _TEAMS_SQL)


def print_sources(console: Console, home: Home) -> None:
    """Rows of each source as they stand in the lake; read = landed + quarantined."""
    totals = read_source_totals(home)
    table = make_table(console, "Rows by source, as they stand in the lake")
    table.add_column("source", overflow="fold")
    table.add_column("kind", overflow="fold")
    for head in ("objects", "refused", "read", "landed", "quarantined", "data through, UTC"):
        table.add_column(head, justify="right", no_wrap=True)
    for source in totals:
        table.add_row(
            source.source_name,
            source.source_kind,
            f"{source.object_count:,}",
            f"{source.refused_object_count:,}",
            f"{source.rows_read:,}",
            f"{source.rows_landed:,}",
            f"{source.rows_quarantined:,}",
            f"{source.data_through_at:%Y-%m-%d %H:%M}" if source.data_through_at else "-",
        )
    console.print(table)
    for source in totals:
        if source.silence:
            console.print(f"{source.source_name}: {source.silence}", soft_wrap=True, markup=False)
    for item in read_set_aside(home):
        console.print(str(item), soft_wrap=True, markup=False)


def print_marts(console: Console, home: Home) -> None:
    """Providers, teams, and where the published marts are."""
    providers = read_providers(home.published_dir)
    table = make_table(console, "Billed and effective cost against what the ledger allocated, USD")
    table.add_column("provider", overflow="fold")
    for head in ("billed", "effective", "allocated billed", "allocated effective", "difference", "accrued"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in providers:
        table.add_row(
            row.provider_name,
            show_usd(row.billed_cost_usd),
            show_usd(row.effective_cost_usd),
            show_usd(row.allocated_billed_cost_usd),
            show_usd(row.allocated_effective_cost_usd),
            "0" if row.difference_usd == 0 else f"{row.difference_usd:f}",
            show_usd(row.accrued_cost_usd),
        )
    console.print(table)
    for bill in read_held_back(home.published_dir):
        console.print(str(bill), soft_wrap=True, markup=False)
    for bill in read_set_aside_bills(home.published_dir):
        console.print(str(bill), soft_wrap=True, markup=False)

    teams = read_teams(home.published_dir)
    days = f", {min(t.first_date for t in teams)} to {max(t.last_date for t in teams)}" if teams else ""
    table = make_table(console, f"Chargeback by team, USD{days}")
    table.add_column("team", overflow="fold")
    for head in ("billed", "effective", "of which estimated"):
        table.add_column(head, justify="right", no_wrap=True)
    for team in teams:
        table.add_row(
            team.team_id,
            show_usd(team.billed_cost_usd),
            show_usd(team.effective_cost_usd),
            show_usd(team.estimated_effective_cost_usd),
        )
    table.add_section()
    table.add_row(
        "all",
        show_usd(sum((team.billed_cost_usd for team in teams), Decimal(0))),
        show_usd(sum((team.effective_cost_usd for team in teams), Decimal(0))),
        show_usd(sum((team.estimated_effective_cost_usd for team in teams), Decimal(0))),
    )
    console.print(table)
    if not teams:
        console.print(
            "No charge is published yet: no bill has landed. `wattledger doctor` says what stands against it."
        )
    with open_marts(home.published_dir) as marts:
        build = f"build {marts.build.build_id} of {marts.build.published_at:%Y-%m-%d %H:%M} UTC"
    console.print(f"Published marts: {home.published_dir / MARTS_FILE}, {build}", soft_wrap=True, markup=False)
    console.print(f"        Parquet: {home.published_dir / PARQUET_LINK}/", soft_wrap=True, markup=False)
    report = home.report_dir / "index.html"
    if report.exists():
        console.print(f"         Report: {report}", soft_wrap=True, markup=False)


def make_table(console: Console, title: str) -> Table:
    """A table with its title to the left, as a heading of text; plain characters where the console is no terminal."""
    lines = box.SIMPLE_HEAD if console.is_terminal else box.ASCII
    return Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=lines)


def show_usd(amount: Decimal | None) -> str:
    """Two places and thousands; `-` where nothing is known. For reading: the marts have all nine."""
    return "-" if amount is None else f"{amount.quantize(_CENT):,}"
