"""Numbers as people read them. Money arrives as Decimal and is rounded half away from zero, for display only."""

from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

MISSING: Final = "–"  # noqa: RUF001  a missing fact is shown as missing, never as 0
_MINUS: Final = "\N{MINUS SIGN}"
_POOL_NAMES: Final = {"llm_api": "LLM APIs", "cluster_nodes": "Cluster nodes"}
_STATE_NAMES: Final = {"held_idle": "Held idle"}
_WASTE_NAMES: Final = {
    "held_idle_gpu": "GPU held idle",
    "unallocated_gpu": "GPU nobody held",
    "unused_commitment": "Unused commitment",
}
_CAUSE_NAMES: Final = {
    "late": "Charges that came late",
    "fx": "Exchange rate",
    "price": "Price list",
    "mapping": "Owner rule",
    "policy": "Allocation policy",
    "code": "Way of calculation",
    "reopened": "Period reopened",
}


def format_usd(value_usd: Decimal | None, places: int = 2) -> str:
    """$1,234.50, with a true minus sign."""
    if value_usd is None:
        return MISSING
    rounded = value_usd.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    return f"{_sign(rounded)}${abs(rounded):,f}"


def format_change_usd(value_usd: Decimal | None) -> str:
    """+$12.30 or -$12.30; no sign where it rounds to nothing."""
    if value_usd is None:
        return MISSING
    text = format_usd(value_usd)
    return f"+{text}" if value_usd.quantize(Decimal("0.01"), ROUND_HALF_UP) > 0 else text


def format_unit_usd(value_usd: Decimal | None) -> str:
    """A unit cost: cents, or as many places as show three digits of a smaller one ($0.000412)."""
    if value_usd is None:
        return MISSING
    places = 2 if value_usd == 0 else min(9, max(2, 2 - value_usd.adjusted()))
    return format_usd(value_usd, places)


def format_short_usd(value_usd: Decimal) -> str:
    """An axis label: $950, $1.2k, $3.4M."""
    return f"{_sign(value_usd)}${_shorten(abs(value_usd))}"


def format_short_count(value: Decimal) -> str:
    """An axis label without a unit: 950, 1.2k, 3.4M."""
    return f"{_sign(value)}{_shorten(abs(value))}"


def format_share(share: Decimal | None, places: int = 1) -> str:
    """0.1234 as 12.3%."""
    if share is None:
        return MISSING
    rounded = (share * 100).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    return f"{_sign(rounded)}{abs(rounded):f}%"


def format_change_share(share: Decimal | None) -> str:
    """0.1234 as +12.3%."""
    text = format_share(share)
    return f"+{text}" if share is not None and share > 0 else text


def format_number(value: Decimal | int | None, places: int = 0) -> str:
    """1,234 or 1,234.5: counts, hours, kWh."""
    if value is None:
        return MISSING
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    return f"{_sign(rounded)}{abs(rounded):,f}"


def format_date(day: date) -> str:
    """Sun 1 Nov 2026."""
    return f"{day:%a} {day.day} {day:%b} {day.year}"


def format_day(day: date) -> str:
    """1 Nov."""
    return f"{day.day} {day:%b}"


def format_instant(instant_at: datetime | None) -> str:
    """2026-11-01 06:00 UTC."""
    return f"{instant_at:%Y-%m-%d %H:%M} UTC" if instant_at is not None else MISSING


def name_pool(cost_pool: str) -> str:
    """A cost pool as a person says it."""
    return _POOL_NAMES.get(cost_pool, _say(cost_pool))


def name_state(gpu_state: str) -> str:
    """A GPU state as a person says it."""
    return _STATE_NAMES.get(gpu_state, _say(gpu_state))


def name_waste(waste_kind: str) -> str:
    """A kind of waste as a person says it."""
    return _WASTE_NAMES.get(waste_kind, _say(waste_kind))


def name_cause(cause: str) -> str:
    """Why a posted amount changed, as a person says it."""
    return _CAUSE_NAMES.get(cause, _say(cause))


def format_month(first_date: date) -> str:
    """October 2026."""
    return f"{first_date:%B %Y}"


def divide(part: Decimal | int | None, whole: Decimal | int | None) -> Decimal | None:
    """`part` / `whole`, or None where either is missing or the whole is zero."""
    if part is None or not whole:
        return None
    return Decimal(part) / Decimal(whole)


def list_days(first_date: date, last_date: date) -> list[date]:
    """Every day from `first_date` to `last_date`, both included."""
    return [first_date + timedelta(days=offset) for offset in range((last_date - first_date).days + 1)]


def _say(code: str) -> str:
    return code.replace("_", " ").capitalize()


def _sign(value: Decimal) -> str:
    return _MINUS if value < 0 else ""


def _shorten(value: Decimal) -> str:
    for size, suffix in ((Decimal(10**9), "B"), (Decimal(10**6), "M"), (Decimal(1000), "k")):
        if value >= size:
            return f"{(value / size).quantize(Decimal('0.1')).normalize():f}{suffix}"
    return f"{value.normalize():f}"
