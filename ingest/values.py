"""Exact values out of JSON: money to the landing scale, instants to microseconds."""

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_YEAR: Final = 1970
_YEAR_AFTER_LAST: Final = 2200
_MONEY_QUANTUM: Final = Decimal(1).scaleb(-18)
_MONEY_CONTEXT: Final = Context(prec=60, rounding=ROUND_HALF_UP)
_MONEY_LIMIT: Final = Decimal(10) ** 20
ROUNDED_MONEY: Final = "rounded_to_18_places"
"""Repair code of a row that had an amount with more than 18 places."""

CURRENCY_PATTERN: Final = r"^([A-Z]{3}|\S*[A-Za-z]\S*( \S+)+|(?i:[a-z]*(credit|token|unit|point|coin)s?))$"
"""A code of ISO 4217, or the name of a virtual currency: two words or more, or a word such as Credits. `usd`, `US$` and
`Dollars` are neither."""


def round_money(amount: Decimal) -> Decimal:
    """`amount` at 18 places, half away from zero, as `decimal(38,18)` holds it.

    Raises `ValueError` for NaN, infinities and amounts of 10^20 and more.
    """
    if not amount.is_finite() or abs(amount) >= _MONEY_LIMIT:
        raise ValueError(f"not an amount of money below 10^20: {str(amount)[:64]}")
    return amount.quantize(_MONEY_QUANTUM, context=_MONEY_CONTEXT)


def parse_instant(text: str) -> int:
    """Microseconds since 1970 UTC of ISO 8601 text; text without an offset is taken as UTC.

    Raises `ValueError` when it is no time between 1970 and 2200.
    """
    instant = datetime.fromisoformat(text)
    # Go writes year 1 for a time that was never set; no meter ran before 1970.
    if not _FIRST_YEAR <= instant.year < _YEAR_AFTER_LAST:
        raise ValueError(f"not a time between {_FIRST_YEAR} and {_YEAR_AFTER_LAST}: {text}")
    since = (instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
