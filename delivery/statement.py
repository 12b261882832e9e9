"""The statement of one month: what each team is charged, to the cent, and how that meets the invoices.

Read from the published marts alone. A statement of a month that is not closed is a draft and says so wherever it goes.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from delivery import formats
from delivery.marts import BuildInfo, Marts

_PERIODS_SQL: Final = """
select
    period_start_date, period_status, close_blockers, revision, closed_at, accepted_blockers, close_fingerprint
from dim_billing_periods
where period_start_date in (select posting_period_start_date from fct_statement_lines)
order by period_start_date
"""

_TEAMS_SQL: Final = """
select
    lines.team_id,
    coalesce(any_value(teams.team_name), lines.team_id) as team_name,
    coalesce(bool_or(teams.is_named_owner), false) as is_named_owner,
    any_value(lines.statement_number) as statement_number,
    min(lines.charge_mode) as charge_mode,
    sum(lines.effective_cost_usd) as effective_cost_usd,
    sum(lines.estimated_cost_usd) as estimated_cost_usd,
    sum(lines.statement_usd) as statement_usd
from fct_statement_lines as lines
left join dim_teams as teams on lines.team_id = teams.team_id
where lines.posting_period_start_date = ?
group by lines.team_id
order by is_named_owner, lines.team_id
"""

_LINES_SQL: Final = """
select
    line_number, line_kind, billing_period_start_date, posting_cause, provider_name, cost_pool, cost_center_id,
    estimated_cost_usd, statement_usd
from fct_statement_lines
where posting_period_start_date = ? and team_id = ?
order by line_number
"""

_RESTATEMENTS_SQL: Final = """
select statement_number, posting_period_start_date, restatement_cause, delta_cost_usd, is_material
from fct_restatements
where statement_period_start_date = ? and team_id = ?
order by posting_period_start_date, statement_number nulls first, restatement_cause
"""

_BRIDGE_SQL: Final = """
select
    step,
    sum(charged_cost_usd) as charged_cost_usd,
    sum(step_cost_usd) as step_cost_usd,
    count(distinct (provider_name, billing_account_id, invoice_id)) filter (where invoice_id is not null)
        as invoice_count
from fct_invoice_bridge
where date_trunc('month', billing_period_start_date) = ?
group by step, step_number
order by step_number
"""

_UNRATED_SQL: Final = """
select provider_name, invoice_id, currency_code, sum(payable_cost_local) as payable_cost_local
from fct_invoice_bridge
where
    date_trunc('month', billing_period_start_date) = ?
    and step = 'payable' and step_cost_usd is null and payable_cost_local != 0
group by all
order by all
"""

_JOURNAL_SQL: Final = """
select
    line_number, account_code, account_name, cost_center_id, team_id, provider_name, debit_usd, credit_usd, description
from fct_gl_journal
where posting_period_start_date = ?
order by line_number
"""

DRAFT: Final = "DRAFT"


class StatementError(Exception):
    """There is no such statement; the message says which there are."""


@dataclass(frozen=True)
class Period:
    """A month that has postings. `revision` and what follows are None until it is closed."""

    period_start_date: date
    period_status: str
    close_blockers: str | None
    revision: int | None
    closed_at: datetime | None
    accepted_blockers: str | None
    close_fingerprint: str | None

    @property
    def is_draft(self) -> bool:
        return self.period_status != "closed"

    @property
    def draft_label(self) -> str:
        """What a draft has where a final statement has its number."""
        return f"{DRAFT}, period {self.period_status}"


@dataclass(frozen=True)
class Team:
    """One team's sums of the month."""

    team_id: str
    team_name: str
    is_named_owner: bool
    statement_number: str | None
    charge_mode: str
    effective_cost_usd: Decimal
    estimated_cost_usd: Decimal
    statement_usd: Decimal

    @property
    def estimate_share(self) -> Decimal | None:
        return formats.divide(self.estimated_cost_usd, self.effective_cost_usd)


@dataclass(frozen=True)
class Line:
    """One line, in cents that add up to the statement."""

    line_number: int
    line_kind: str
    billing_period_start_date: date
    posting_cause: str | None
    provider_name: str
    cost_pool: str
    cost_center_id: str | None
    estimated_cost_usd: Decimal
    statement_usd: Decimal


@dataclass(frozen=True)
class Restatement:
    """What changed of a statement after it was issued, by cause."""

    statement_number: str | None
    posting_period_start_date: date
    restatement_cause: str
    delta_cost_usd: Decimal
    is_material: bool


@dataclass(frozen=True)
class BridgeStep:
    """One step of the month's bridge over all invoices; `step_cost_usd` is None where no rate is known."""

    step: str
    charged_cost_usd: Decimal | None
    step_cost_usd: Decimal | None
    invoice_count: int


@dataclass(frozen=True)
class UnratedInvoice:
    """An invoice that waits for an exchange rate: payable in its own currency, in no total."""

    provider_name: str
    invoice_id: str | None
    currency_code: str | None
    payable_cost_local: Decimal


@dataclass(frozen=True)
class JournalLine:
    """One line of the month's journal."""

    line_number: int
    account_code: str | None
    account_name: str | None
    cost_center_id: str | None
    team_id: str | None
    provider_name: str | None
    debit_usd: Decimal
    credit_usd: Decimal
    description: str


@dataclass(frozen=True)
class Statement:
    """One team's statement; `lines` add up to `team.statement_usd`."""

    team: Team
    lines: Sequence[Line]
    restatements: Sequence[Restatement]

    @property
    def charges(self) -> list[Line]:
        return [line for line in self.lines if line.line_kind == "charge"]

    @property
    def corrections(self) -> list[Line]:
        return [line for line in self.lines if line.line_kind != "charge"]

    @property
    def cost_centers(self) -> list[str]:
        return sorted({line.cost_center_id for line in self.lines if line.cost_center_id})


@dataclass(frozen=True)
class Month:
    """What every statement of a month shares: how final it is, how well it is covered, how it meets the invoices."""

    period: Period
    build: BuildInfo
    teams: Sequence[Team]
    bridge: Sequence[BridgeStep]
    unrated_invoices: Sequence[UnratedInvoice]

    @property
    def statement_usd(self) -> Decimal:
        return sum((team.statement_usd for team in self.teams), Decimal(0))

    @property
    def effective_cost_usd(self) -> Decimal:
        return sum((team.effective_cost_usd for team in self.teams), Decimal(0))

    @property
    def coverage_share(self) -> Decimal | None:
        """Share of the month's USD that has a team, and not one of the four named owners."""
        owned = sum((team.effective_cost_usd for team in self.teams if not team.is_named_owner), Decimal(0))
        return formats.divide(owned, self.effective_cost_usd)

    @property
    def estimate_share(self) -> Decimal | None:
        estimated = sum((team.estimated_cost_usd for team in self.teams), Decimal(0))
        return formats.divide(estimated, self.effective_cost_usd)

    @property
    def billed(self) -> BridgeStep | None:
        return next((step for step in self.bridge if step.step == "billed"), None)

    @property
    def off_bill_cost_usd(self) -> Decimal:
        """What statements charge that is on no bill of the month: other months' corrections, accruals, entries."""
        billed = self.billed
        return self.effective_cost_usd - ((billed and billed.charged_cost_usd) or Decimal(0))

    def label(self, team: Team) -> str:
        """The statement's number, or that it is a draft."""
        return self.period.draft_label if self.period.is_draft else team.statement_number or self.period.draft_label


def read_month(marts: Marts, period: date) -> Month:
    """What the marts say of the statements of `period`, the first of a month.

    Raises:
        StatementError: nothing is posted in that month.
    """
    periods = marts.fetch(Period, _PERIODS_SQL)
    found = next((known for known in periods if known.period_start_date == period), None)
    if found is None:
        names = ", ".join(f"{known.period_start_date:%Y-%m}" for known in periods) or "none yet"
        raise StatementError(f"Nothing is posted in {period:%Y-%m}; months with statements: {names}.")
    return Month(
        period=found,
        build=marts.build,
        teams=marts.fetch(Team, _TEAMS_SQL, [period]),
        bridge=marts.fetch(BridgeStep, _BRIDGE_SQL, [period]),
        unrated_invoices=marts.fetch(UnratedInvoice, _UNRATED_SQL, [period]),
    )


def read_statements(marts: Marts, month: Month, team_id: str | None = None) -> list[Statement]:
    """The statements of `month`, teams before the four named owners; of `team_id` alone where it is given.

    Raises:
        StatementError: that team has no statement; the nearest names are said.
    """
    teams = [team for team in month.teams if team_id is None or team.team_id == team_id]
    if not teams:
        assert team_id is not None  # a month without teams has no postings, and is refused before
        raise StatementError(_describe_unknown(month, team_id))
    period = month.period.period_start_date
    return [
        Statement(
            team=team,
            lines=marts.fetch(Line, _LINES_SQL, [period, team.team_id]),
            restatements=marts.fetch(Restatement, _RESTATEMENTS_SQL, [period, team.team_id]),
        )
        for team in teams
    ]


def read_journal(marts: Marts, month: Month) -> list[JournalLine]:
    """The journal of `month`: what it books, or would book while it is not closed."""
    return marts.fetch(JournalLine, _JOURNAL_SQL, [month.period.period_start_date])


def _describe_unknown(month: Month, team_id: str) -> str:
    known = {team.team_id.lower(): team.team_id for team in month.teams}
    known |= {team.team_name.lower(): team.team_id for team in month.teams}
    near = difflib.get_close_matches(team_id.lower(), list(known), n=1)
    said = f"did you mean {known[near[0]]!r}? " if near else ""
    listed = ", ".join(team.team_id for team in month.teams)
    period = f"{month.period.period_start_date:%Y-%m}"
    return f"Team {team_id!r} has no statement for {period}; {said}Teams that have: {listed}."
