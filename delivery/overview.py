"""What the one-page report says of a window of days, read from the marts."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from delivery.formats import divide, list_days
from delivery.marts import Marts, NoChargesError
from delivery.team_day import ModelUnitCosts, read_model_unit_costs

WINDOW_DAYS = 90
GPU_STATES = ("worked", "held_idle", "gang_wait", "starting", "unallocated", "unknown")
_LISTED_WASTES = 10


@dataclass(frozen=True)
class Team:
    """`is_named_owner`: one of the four owners of an unowned dollar (unallocated, shared, untagged, unknown)."""

    team_id: str
    team_name: str | None
    is_named_owner: bool
    billed_cost_usd: Decimal
    effective_cost_usd: Decimal
    estimated_effective_cost_usd: Decimal


@dataclass(frozen=True)
class TeamSpend:
    usage_date: date
    team_id: str
    effective_cost_usd: Decimal


@dataclass(frozen=True)
class StateHours:
    usage_date: date
    gpu_state: str
    gpu_hours: Decimal


@dataclass(frozen=True)
class ModelDay:
    usage_date: date
    provider_name: str | None
    model_id: str | None
    calculated_cost_usd: Decimal | None
    priced_tokens: int

    @property
    def usd_per_mtok(self) -> Decimal | None:
        per_token = divide(self.calculated_cost_usd, self.priced_tokens)
        return None if per_token is None else per_token * 1_000_000


@dataclass(frozen=True)
class Energy:
    """GPU-hours with a reading give kWh; the others are counted, not filled in."""

    gpu_kwh: Decimal | None
    facility_kwh: Decimal | None
    energy_cost_usd: Decimal | None
    hour_count: int
    missing_hour_count: int


@dataclass(frozen=True)
class WasteGroup:
    """Findings of one kind, owner, thing and action over the window."""

    waste_kind: str
    team_id: str | None
    resource_id: str | None
    workload_id: str | None
    recommended_action: str | None
    wasted_gpu_hours: Decimal | None
    waste_cost_usd: Decimal | None
    missing_reason: str | None
    evidence: str | None
    day_count: int
    is_estimate: bool


@dataclass(frozen=True)
class WasteKind:
    waste_kind: str
    wasted_gpu_hours: Decimal | None
    waste_cost_usd: Decimal | None
    finding_count: int
    unpriced_finding_count: int


@dataclass(frozen=True)
class Reconciliation:
    """All periods of one provider and account: what was delivered, held back, allocated, and the largest gap left."""

    provider_name: str | None
    billing_account_id: str | None
    currency_code: str | None
    period_count: int
    delivered_effective_usd: Decimal | None
    allocated_effective_usd: Decimal | None
    residual_billed_usd: Decimal | None
    residual_effective_usd: Decimal | None
    held_back_effective_local: Decimal | None


@dataclass(frozen=True)
class Overview:
    """The window's facts. `first_date` and `last_date` are both included; `is_everything` when no day lies before."""

    first_date: date
    last_date: date
    is_everything: bool
    teams: list[Team]
    team_spends: list[TeamSpend]
    state_hours: list[StateHours]
    models: list[ModelUnitCosts]
    model_days: list[ModelDay]
    energy: Energy
    waste_kinds: list[WasteKind]
    wastes: list[WasteGroup]
    waste_group_count: int
    reconciliations: list[Reconciliation]
    conformance_shares: dict[str, Decimal | None]  # by billing source: of all checks of all its lines, what holds

    @property
    def days(self) -> list[date]:
        return list_days(self.first_date, self.last_date)

    @property
    def billed_cost_usd(self) -> Decimal:
        return sum((team.billed_cost_usd for team in self.teams), Decimal(0))

    @property
    def effective_cost_usd(self) -> Decimal:
        return sum((team.effective_cost_usd for team in self.teams), Decimal(0))

    @property
    def owned_share(self) -> Decimal | None:
        """Share of effective USD that a real team answers for."""
        owned = sum((team.effective_cost_usd for team in self.teams if not team.is_named_owner), Decimal(0))
        return divide(owned, self.effective_cost_usd)

    @property
    def estimate_share(self) -> Decimal | None:
        estimated = sum((team.estimated_effective_cost_usd for team in self.teams), Decimal(0))
        return divide(estimated, self.effective_cost_usd)

    @property
    def waste_cost_usd(self) -> Decimal | None:
        known = [kind.waste_cost_usd for kind in self.waste_kinds if kind.waste_cost_usd is not None]
        return sum(known, Decimal(0)) if known else None

    @property
    def unpriced_finding_count(self) -> int:
        return sum(kind.unpriced_finding_count for kind in self.waste_kinds)

    @property
    def residual_usd(self) -> Decimal | None:
        """The largest gap of any provider, account and period, billed or effective, signed; None with none to read."""
        gaps = [
            gap
            for row in self.reconciliations
            for gap in (row.residual_billed_usd, row.residual_effective_usd)
            if gap is not None
        ]
        return max(gaps, key=abs, default=None)

    def sum_state_hours(self, gpu_state: str) -> Decimal:
        return sum((row.gpu_hours for row in self.state_hours if row.gpu_state == gpu_state), Decimal(0))


@dataclass(frozen=True)
class _Count:
    row_count: int


def read_overview(marts: Marts, window_days: int = WINDOW_DAYS) -> Overview:
    """Facts of the last `window_days` days that have a charge; reconciliation is of all periods, for it has no days.

    Raises:
        NoChargesError: the marts hold no charge at all.
    """
    days = marts.read_charged_days()
    if days is None:
        raise NoChargesError(f"{marts.path}: no charge is published yet; land a billing source, then `wattledger run`")
    earliest_date, last_date = days
    first_date = max(earliest_date, last_date - timedelta(days=window_days - 1))
    window = [first_date, last_date]
    wastes = _read_wastes(marts, window)
    return Overview(
        first_date=first_date,
        last_date=last_date,
        is_everything=first_date == earliest_date,
        teams=_read_teams(marts, window),
        team_spends=marts.fetch(
            TeamSpend,
            """
            select usage_date, team_id, sum(effective_cost_usd) as effective_cost_usd
            from fct_chargeback_daily
            where usage_date between ? and ?
            group by usage_date, team_id
            order by usage_date, team_id
            """,
            window,
        ),
        state_hours=marts.fetch(
            StateHours,
            """
            select usage_date, gpu_state, sum(gpu_hours) as gpu_hours
            from fct_gpu_state_hours
            where usage_date between ? and ?
            group by usage_date, gpu_state
            order by usage_date, gpu_state
            """,
            window,
        ),
        models=read_model_unit_costs(marts, first_date, last_date),
        model_days=_read_model_days(marts, window),
        energy=_read_energy(marts, window),
        waste_kinds=_read_waste_kinds(marts, window),
        wastes=wastes[:_LISTED_WASTES],
        waste_group_count=len(wastes),
        reconciliations=_read_reconciliations(marts),
        conformance_shares=_read_conformance_shares(marts),
    )


def _read_teams(marts: Marts, window: list[date]) -> list[Team]:
    return marts.fetch(
        Team,
        """
        with names as (
            select team_id, team_name, is_named_owner
            from dim_teams
            qualify row_number() over (partition by team_id order by valid_from_date desc nulls last) = 1
        )

        select
            charges.team_id,
            any_value(names.team_name) as team_name,
            coalesce(any_value(names.is_named_owner), false) as is_named_owner,
            sum(charges.billed_cost_usd) as billed_cost_usd,
            sum(charges.effective_cost_usd) as effective_cost_usd,
            sum(charges.estimated_effective_cost_usd) as estimated_effective_cost_usd
        from fct_chargeback_daily as charges
        left join names on charges.team_id = names.team_id
        where charges.usage_date between ? and ?
        group by charges.team_id
        order by is_named_owner, effective_cost_usd desc, charges.team_id
        """,
        window,
    )


def _read_model_days(marts: Marts, window: list[date]) -> list[ModelDay]:
    return marts.fetch(
        ModelDay,
        """
        select
            usage_date,
            provider_name,
            model_id,
            sum(calculated_cost_usd) as calculated_cost_usd,
            cast(coalesce(sum(total_tokens - unpriced_tokens), 0) as bigint) as priced_tokens
        from fct_unit_costs_daily
        where usage_date between ? and ?
        group by usage_date, provider_name, model_id
        order by usage_date, provider_name nulls last, model_id nulls last
        """,
        window,
    )


def _read_energy(marts: Marts, window: list[date]) -> Energy:
    rows = marts.fetch(
        Energy,
        """
        select
            sum(gpu_kwh) as gpu_kwh,
            sum(facility_kwh) as facility_kwh,
            sum(energy_cost_usd) as energy_cost_usd,
            count(*) as hour_count,
            count(*) filter (where gpu_kwh is null) as missing_hour_count
        from fct_gpu_energy_hourly
        where usage_date between ? and ?
        """,
        window,
    )
    return rows[0]


def _read_waste_kinds(marts: Marts, window: list[date]) -> list[WasteKind]:
    return marts.fetch(
        WasteKind,
        """
        select
            waste_kind,
            sum(wasted_gpu_hours) as wasted_gpu_hours,
            sum(waste_cost_usd) as waste_cost_usd,
            count(*) as finding_count,
            count(*) filter (where waste_cost_usd is null) as unpriced_finding_count
        from fct_waste
        where usage_date between ? and ?
        group by waste_kind
        order by waste_cost_usd desc nulls last, waste_kind
        """,
        window,
    )


def _read_wastes(marts: Marts, window: list[date]) -> list[WasteGroup]:
    return marts.fetch(
        WasteGroup,
        """
        select
            waste_kind,
            team_id,
            resource_id,
            workload_id,
            recommended_action,
            sum(wasted_gpu_hours) as wasted_gpu_hours,
            sum(waste_cost_usd) as waste_cost_usd,
            max(missing_reason) as missing_reason,
            max_by(evidence, usage_date) as evidence,
            count(distinct usage_date) as day_count,
            bool_or(is_estimate) as is_estimate
        from fct_waste
        where usage_date between ? and ?
        group by waste_kind, team_id, resource_id, workload_id, recommended_action
        order by
            waste_cost_usd desc nulls last,
            wasted_gpu_hours desc nulls last,
            waste_kind, team_id, resource_id, workload_id, recommended_action
        """,
        window,
    )


def _read_reconciliations(marts: Marts) -> list[Reconciliation]:
    return marts.fetch(
        Reconciliation,
        """
        select
            provider_name,
            billing_account_id,
            string_agg(distinct currency_code, ', ' order by currency_code) as currency_code,
            count(distinct billing_period_start_date) as period_count,
            sum(effective_cost_usd) filter (where step = 'delivered') as delivered_effective_usd,
            sum(effective_cost_usd) filter (where step = 'allocated') as allocated_effective_usd,
            max_by(billed_cost_usd, abs(billed_cost_usd)) filter (where step = 'residual') as residual_billed_usd,
            max_by(effective_cost_usd, abs(effective_cost_usd)) filter (where step = 'residual')
                as residual_effective_usd,
            -sum(effective_cost_local) filter (where step = 'held_back') as held_back_effective_local
        from fct_reconciliation
        group by provider_name, billing_account_id
        order by delivered_effective_usd desc nulls last, provider_name nulls last, billing_account_id nulls last
        """,
    )


def _read_conformance_shares(marts: Marts) -> dict[str, Decimal | None]:
    _, rows = marts.fetch_table(
        "select source_name, max(source_conformance_share) from fct_source_conformance group by source_name"
    )
    return dict(rows)
