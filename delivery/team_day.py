"""What one team's daily email says: the facts of one UTC day, read from the marts."""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from delivery.formats import divide, list_days
from delivery.marts import Marts

CHART_DAYS = 30
QUIET_BEFORE_MIDNIGHT = timedelta(hours=1)
"""Samples and logs end with their last event, minutes before the day does: such a source has told the whole day."""
_AVERAGE_DAYS = 7
_LISTED_DRIVERS = 5
_LISTED_WASTES = 5
_LISTED_MODELS = 5


@dataclass(frozen=True)
class PoolDay:
    usage_date: date
    cost_pool: str
    effective_cost_usd: Decimal


@dataclass(frozen=True)
class Driver:
    """A pool and service of the team; the last one listed may stand for all others (`cost_pool` None)."""

    cost_pool: str | None
    service_name: str | None
    day_cost_usd: Decimal
    day_before_cost_usd: Decimal
    average_cost_usd: Decimal | None

    @property
    def change_usd(self) -> Decimal:
        """Against the day before."""
        return self.day_cost_usd - self.day_before_cost_usd


@dataclass(frozen=True)
class WasteFinding:
    waste_kind: str
    resource_id: str | None
    workload_id: str | None
    wasted_gpu_hours: Decimal | None
    waste_cost_usd: Decimal | None
    missing_reason: str | None
    recommended_action: str | None
    is_estimate: bool


@dataclass(frozen=True)
class ModelUnitCosts:
    """A model's requests; the USD are over the priced ones, and null where nothing was priced."""

    provider_name: str | None
    model_id: str | None
    request_count: int
    total_tokens: int
    priced_request_count: int
    priced_tokens: int
    calculated_cost_usd: Decimal | None
    unpriced_request_count: int
    unpriced_exposure_usd: Decimal | None

    @property
    def usd_per_request(self) -> Decimal | None:
        return divide(self.calculated_cost_usd, self.priced_request_count)

    @property
    def usd_per_mtok(self) -> Decimal | None:
        per_token = divide(self.calculated_cost_usd, self.priced_tokens)
        return None if per_token is None else per_token * 1_000_000


@dataclass(frozen=True)
class TeamDay:
    """One team's day. A sum is None where the marts have no row for anyone on that day: nothing is known of it."""

    team_id: str
    team_name: str
    cost_center_id: str | None
    report_date: date
    chart_days: list[date]
    pool_days: list[PoolDay]
    known_days: frozenset[date]
    month_effective_usd: Decimal | None
    month_billed_usd: Decimal | None
    month_estimated_usd: Decimal | None
    drivers: list[Driver]
    wastes: list[WasteFinding]
    models: list[ModelUnitCosts]
    unread_sources: dict[str, datetime | None] = field(default_factory=dict)  # sources that do not reach the day's end

    def sum_day(self, day: date) -> Decimal | None:
        """The team's effective USD of `day`; None where no team has a row on it."""
        if day not in self.known_days:
            return None
        return sum((row.effective_cost_usd for row in self.pool_days if row.usage_date == day), Decimal(0))

    @property
    def day_cost_usd(self) -> Decimal | None:
        return self.sum_day(self.report_date)

    @property
    def day_before_change_usd(self) -> Decimal | None:
        before = self.sum_day(self.report_date - timedelta(days=1))
        return None if before is None or self.day_cost_usd is None else self.day_cost_usd - before

    @property
    def average_cost_usd(self) -> Decimal | None:
        """Mean of the seven days before, over those that are known."""
        return divide(sum(self._average_sums, Decimal(0)), len(self._average_sums))

    @property
    def average_change_usd(self) -> Decimal | None:
        average = self.average_cost_usd
        return None if average is None or self.day_cost_usd is None else self.day_cost_usd - average

    @property
    def estimate_share(self) -> Decimal | None:
        return divide(self.month_estimated_usd, self.month_effective_usd)

    @property
    def waste_cost_usd(self) -> Decimal | None:
        known = [finding.waste_cost_usd for finding in self.wastes if finding.waste_cost_usd is not None]
        return sum(known, Decimal(0)) if known else None

    @property
    def wasted_gpu_hours(self) -> Decimal | None:
        known = [finding.wasted_gpu_hours for finding in self.wastes if finding.wasted_gpu_hours is not None]
        return sum(known, Decimal(0)) if known else None

    @property
    def listed_drivers(self) -> list[Driver]:
        """The largest movers against the day before, then all others as one, so that the changes add up."""
        moved = sorted(self.drivers, key=lambda row: (-abs(row.change_usd), -row.day_cost_usd, row.cost_pool or ""))
        if len(moved) <= _LISTED_DRIVERS + 1:
            return moved
        rest = moved[_LISTED_DRIVERS:]
        averages = [row.average_cost_usd for row in rest if row.average_cost_usd is not None]
        others = Driver(
            cost_pool=None,
            service_name=f"{len(rest)} others",
            day_cost_usd=sum((row.day_cost_usd for row in rest), Decimal(0)),
            day_before_cost_usd=sum((row.day_before_cost_usd for row in rest), Decimal(0)),
            average_cost_usd=sum(averages, Decimal(0)) if averages else None,
        )
        return [*moved[:_LISTED_DRIVERS], others]

    @property
    def listed_wastes(self) -> list[WasteFinding]:
        return self.wastes[:_LISTED_WASTES]

    @property
    def listed_models(self) -> list[ModelUnitCosts]:
        return self.models[:_LISTED_MODELS]

    @property
    def _average_sums(self) -> list[Decimal]:
        days = list_days(self.report_date - timedelta(days=_AVERAGE_DAYS), self.report_date - timedelta(days=1))
        return [spent for spent in map(self.sum_day, days) if spent is not None]


@dataclass(frozen=True)
class _TeamName:
    team_name: str
    cost_center_id: str | None


@dataclass(frozen=True)
class _Day:
    usage_date: date


@dataclass(frozen=True)
class _TeamId:
    team_id: str


@dataclass(frozen=True)
class _Month:
    effective_cost_usd: Decimal | None
    billed_cost_usd: Decimal | None
    estimated_effective_cost_usd: Decimal | None


@dataclass(frozen=True)
class _ServiceSums:
    cost_pool: str
    service_name: str | None
    day_cost_usd: Decimal
    day_before_cost_usd: Decimal
    week_before_cost_usd: Decimal


def list_spending_teams(marts: Marts, report_date: date) -> list[str]:
    """Teams with a chargeback row in the 30 days up to `report_date`, sorted."""
    rows = marts.fetch(
        _TeamId,
        "select distinct team_id from fct_chargeback_daily where usage_date between ? and ? order by team_id",
        [report_date - timedelta(days=CHART_DAYS - 1), report_date],
    )
    return [row.team_id for row in rows]


def read_team_day(marts: Marts, team_id: str, report_date: date) -> TeamDay:
    """All that the email of `team_id` for `report_date` says; effective USD is what is charged."""
    chart_days = list_days(report_date - timedelta(days=CHART_DAYS - 1), report_date)
    month_start = report_date.replace(day=1)
    first_date = min(chart_days[0], month_start)
    known_days = marts.fetch(
        _Day,
        "select distinct usage_date from fct_chargeback_daily where usage_date between ? and ?",
        [first_date, report_date],
    )
    days = frozenset(row.usage_date for row in known_days)
    name = _read_name(marts, team_id, report_date)
    day_end = datetime.combine(report_date + timedelta(days=1), time.min)
    month = _read_month(marts, team_id, month_start, report_date)
    return TeamDay(
        team_id=team_id,
        team_name=name.team_name,
        cost_center_id=name.cost_center_id,
        report_date=report_date,
        chart_days=chart_days,
        pool_days=_read_pool_days(marts, team_id, first_date, report_date),
        known_days=days,
        month_effective_usd=month.effective_cost_usd,
        month_billed_usd=month.billed_cost_usd,
        month_estimated_usd=month.estimated_effective_cost_usd,
        drivers=_read_drivers(marts, team_id, report_date, days),
        wastes=_read_wastes(marts, team_id, report_date),
        models=read_model_unit_costs(marts, report_date, report_date, team_id),
        unread_sources={
            source: through_at
            for source, through_at in marts.build.data_through.items()
            if through_at is None or through_at < day_end - QUIET_BEFORE_MIDNIGHT
        },
    )


def read_chargeback_rows(marts: Marts, team_id: str, report_date: date) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The team's rows of `fct_chargeback_daily`, month to date, as the mart has them."""
    return marts.fetch_table(
        "select * from fct_chargeback_daily where team_id = ? and usage_date between ? and ? "
        "order by usage_date, cost_center_id nulls last, cost_pool",
        [team_id, report_date.replace(day=1), report_date],
    )


def read_model_unit_costs(
    marts: Marts, first_date: date, last_date: date, team_id: str | None = None
) -> list[ModelUnitCosts]:
    """Unit costs by provider and model, of one team or of all, dearest first; both days included."""
    return marts.fetch(
        ModelUnitCosts,
        """
        select
            provider_name,
            model_id,
            cast(sum(request_count) as bigint) as request_count,
            cast(coalesce(sum(total_tokens), 0) as bigint) as total_tokens,
            cast(sum(request_count - unpriced_request_count) as bigint) as priced_request_count,
            cast(coalesce(sum(total_tokens - unpriced_tokens), 0) as bigint) as priced_tokens,
            cast(sum(calculated_cost_usd) as decimal(38, 9)) as calculated_cost_usd,
            cast(sum(unpriced_request_count) as bigint) as unpriced_request_count,
            cast(sum(unpriced_exposure_usd) as decimal(38, 9)) as unpriced_exposure_usd
        from fct_unit_costs_daily
        where usage_date between ? and ? and (team_id = ? or ? is null)
        group by provider_name, model_id
        order by calculated_cost_usd desc nulls last, request_count desc, provider_name nulls last, model_id nulls last
        """,
        [first_date, last_date, team_id, team_id],
    )


def _read_name(marts: Marts, team_id: str, report_date: date) -> _TeamName:
    """The name that was valid on the day: a team that was renamed reads its own history under its name of then."""
    rows = marts.fetch(
        _TeamName,
        """
        select team_name, cost_center_id
        from dim_teams
        where team_id = ?
        order by
            (valid_from_date is null or valid_from_date <= ?) and (valid_to_date is null or ? < valid_to_date) desc,
            valid_from_date desc nulls last
        limit 1
        """,
        [team_id, report_date, report_date],
    )
    return rows[0] if rows else _TeamName(team_id, None)


def _read_pool_days(marts: Marts, team_id: str, first_date: date, last_date: date) -> list[PoolDay]:
    return marts.fetch(
        PoolDay,
        """
        select usage_date, cost_pool, sum(effective_cost_usd) as effective_cost_usd
        from fct_chargeback_daily
        where team_id = ? and usage_date between ? and ?
        group by usage_date, cost_pool
        order by usage_date, cost_pool
        """,
        [team_id, first_date, last_date],
    )


def _read_month(marts: Marts, team_id: str, month_start: date, report_date: date) -> _Month:
    rows = marts.fetch(
        _Month,
        """
        select
            sum(effective_cost_usd) as effective_cost_usd,
            sum(billed_cost_usd) as billed_cost_usd,
            sum(estimated_effective_cost_usd) as estimated_effective_cost_usd
        from fct_chargeback_daily
        where team_id = ? and usage_date between ? and ?
        """,
        [team_id, month_start, report_date],
    )
    return rows[0]


def _read_drivers(marts: Marts, team_id: str, report_date: date, known_days: frozenset[date]) -> list[Driver]:
    average_days = {report_date - timedelta(days=offset) for offset in range(1, _AVERAGE_DAYS + 1)}
    rows = marts.fetch(
        _ServiceSums,
        """
        select
            cost_pool,
            service_name,
            coalesce(sum(effective_cost_usd) filter (where usage_date = ?), 0) as day_cost_usd,
            coalesce(sum(effective_cost_usd) filter (where usage_date = ?), 0) as day_before_cost_usd,
            coalesce(sum(effective_cost_usd) filter (where usage_date < ?), 0) as week_before_cost_usd
        from fct_cost_ledger
        where team_id = ? and usage_date between ? and ?
        group by cost_pool, service_name
        order by cost_pool, service_name nulls last
        """,
        [
            report_date,
            report_date - timedelta(days=1),
            report_date,
            team_id,
            report_date - timedelta(days=_AVERAGE_DAYS),
            report_date,
        ],
    )
    known_count = len(average_days & known_days)
    return [
        Driver(
            cost_pool=row.cost_pool,
            service_name=row.service_name,
            day_cost_usd=row.day_cost_usd,
            day_before_cost_usd=row.day_before_cost_usd,
            average_cost_usd=divide(row.week_before_cost_usd, known_count),
        )
        for row in rows
    ]


def _read_wastes(marts: Marts, team_id: str, report_date: date) -> list[WasteFinding]:
    return marts.fetch(
        WasteFinding,
        """
        select
            waste_kind,
            resource_id,
            workload_id,
            wasted_gpu_hours,
            waste_cost_usd,
            missing_reason,
            recommended_action,
            is_estimate
        from fct_waste
        where team_id = ? and usage_date = ?
        order by waste_cost_usd desc nulls last, wasted_gpu_hours desc nulls last, finding_key
        """,
        [team_id, report_date],
    )
