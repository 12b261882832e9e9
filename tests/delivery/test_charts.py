"""Charts: ticks that take in the data, columns that stack both ways, and days that are not known."""

import re
from datetime import date
from decimal import Decimal as D

import pytest

from delivery.charts import Series, Theme, choose_ticks, draw_sparkline, draw_stacked_days, render_png
from delivery.formats import format_short_usd, format_usd

DAYS = [date(2026, 3, day) for day in (1, 2, 3)]


def draw(*series: Series) -> str:
    return draw_stacked_days(
        DAYS,
        series,
        title="Spend",
        theme=Theme("#777", "#ddd", "#888"),
        width=360,
        height=234,
        format_axis=format_short_usd,
        format_value=format_usd,
    )


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (D(0), D(100), [0, 25, 50, 75, 100]),
        (D("0.0"), D("0.37"), [D("0.0"), D("0.1"), D("0.2"), D("0.3"), D("0.4")]),
        (D(-30), D(90), [-50, 0, 50, 100]),
        (D(0), D(0), [0, 1]),
    ],
)
def test_ticks_are_round_and_take_in_the_data(low: D, high: D, ticks: list[D]) -> None:
    assert choose_ticks(low, high) == ticks


def test_columns_stack_up_from_zero_and_negative_ones_down() -> None:
    svg = draw(
        Series("a", "red", [D(50), D(50), D(100)]),
        Series("credit", "green", [D(50), D(-50), D(0)]),
        Series("b", "blue", [D(0), D(50), D(0)]),
    )
    # 200 units of height from 100 at the top to -50 at the bottom: zero is at 8 + 200 * 100 / 150.
    bars = re.findall(r'y="([\d.]+)" width="[\d.]+" height="([\d.]+)" fill="(red|green|blue)"', svg)
    assert bars == [
        ("74.67", "66.67", "red"),
        ("8", "66.67", "green"),
        ("74.67", "66.67", "red"),
        ("141.33", "66.67", "green"),
        ("8", "66.67", "blue"),
        ("8", "133.33", "red"),
    ]


def test_a_day_that_is_not_known_is_hatched_and_said() -> None:
    svg = draw(Series("a", "red", [D(50), None, D(0)]))
    assert svg.count('fill="url(#not-known-360-234)"') == 1
    assert "Mon 2 Mar 2026: not known" in svg
    assert "Tue 3 Mar 2026: $0.00" in svg


def test_names_are_escaped() -> None:
    svg = draw(Series("<b>&", "red", [D(50), D(1), D(1)]))
    assert "<b>" not in svg
    assert "&lt;b&gt;&amp;: $50.00" in svg


def test_a_sparkline_breaks_where_nothing_is_known() -> None:
    svg = draw_sparkline([D(1), None, D(2), D(1)], title="t", stroke="red", width=66, height=26)
    assert re.findall(r' d="([^"]*)"', svg) == ["M3 13M43 3L63 13"]
    assert draw_sparkline([None], title="t", stroke="red", width=66, height=26) == ""


def test_a_chart_becomes_the_same_png_each_time() -> None:
    svg = draw(Series("a", "red", [D(50), D(1), D(1)]))
    assert render_png(svg) == render_png(svg)
    assert render_png(svg).startswith(b"\x89PNG")
