"""Numbers as people read them."""

from decimal import Decimal as D

import pytest

from delivery import formats

MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("value_usd", "text"),
    [
        (D("1234567.895"), "$1,234,567.90"),
        (D("-12.345"), f"{MINUS}$12.35"),
        (D("-0.001"), "$0.00"),
        (D("0"), "$0.00"),
        (None, formats.MISSING),
    ],
)
def test_usd_has_thousands_and_a_true_minus_and_missing_is_no_zero(value_usd: D | None, text: str) -> None:
    assert formats.format_usd(value_usd) == text


@pytest.mark.parametrize(
    ("value_usd", "text"),
    [
        (D("7.75"), "$7.75"),
        (D("0.0155"), "$0.0155"),
        (D("0.000412345"), "$0.000412"),
        (D("0.0000000004"), "$0.000000000"),
        (D("0"), "$0.00"),
    ],
)
def test_a_unit_cost_shows_three_digits_down_to_the_nano_dollar(value_usd: D, text: str) -> None:
    assert formats.format_unit_usd(value_usd) == text


def test_a_change_carries_its_sign_unless_it_rounds_to_nothing() -> None:
    assert formats.format_change_usd(D("0.004")) == "$0.00"
    assert formats.format_change_usd(D("3")) == "+$3.00"
    assert formats.format_change_usd(D("-3")) == f"{MINUS}$3.00"


def test_axis_labels_are_short() -> None:
    assert formats.format_short_usd(D(2500)) == "$2.5k"
    assert formats.format_short_usd(D(20000)) == "$20k"
    assert formats.format_short_usd(D("-3000000")) == f"{MINUS}$3M"
    assert formats.format_short_count(D("0.25")) == "0.25"


def test_a_share_of_nothing_is_missing() -> None:
    assert formats.format_share(formats.divide(D(1), D(0))) == formats.MISSING
    assert formats.format_share(formats.divide(D(1), D(3))) == "33.3%"
