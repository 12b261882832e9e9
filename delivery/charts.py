"""Charts as SVG, drawn here: no script, no network, themed by whoever embeds them, and the same bytes every time.

Heights and positions are floats because they are ink; every sum and every printed number stays Decimal.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

import vl_convert
from markupsafe import Markup, escape

from delivery.formats import format_date, format_day

_LEFT: Final = 54.0
_RIGHT: Final = 6.0
_TOP: Final = 8.0
_BOTTOM: Final = 26.0
_LABEL_SPACING: Final = 58.0
_TICK_STEPS: Final = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))


@dataclass(frozen=True)
class Theme:
    """Paints of a chart: CSS values in a page (`var(--ink)`), plain colours in a picture."""

    text: str
    grid: str
    baseline: str
    font: str = "inherit"
    font_size: float = 11


@dataclass(frozen=True)
class Series:
    """One colour of a stack: a value for each day, None where the day is not known."""

    name: str
    fill: str
    values: Sequence[Decimal | None]


def draw_stacked_days(
    days: Sequence[date],
    series: Sequence[Series],
    *,
    title: str,
    theme: Theme,
    width: int,
    height: int,
    format_axis: Callable[[Decimal], str],
    format_value: Callable[[Decimal], str],
) -> Markup:
    """Stacked columns, one a day, with what each is made of as its tooltip.

    Negative values stack downward from zero. A day on which every series is None gets a hatched column: not known is
    not zero.
    """
    columns = [[row.values[index] for row in series] for index in range(len(days))]
    tops = [sum((value for value in column if value is not None and value > 0), Decimal(0)) for column in columns]
    bottoms = [sum((value for value in column if value is not None and value < 0), Decimal(0)) for column in columns]
    ticks = choose_ticks(min(bottoms, default=Decimal(0)), max(tops, default=Decimal(0)))
    plot_width, plot_height = width - _LEFT - _RIGHT, height - _TOP - _BOTTOM
    span = float(ticks[-1] - ticks[0])

    def place(value: Decimal) -> float:
        return _TOP + plot_height * float(ticks[-1] - value) / span

    band = plot_width / max(len(days), 1)
    bar = band * (0.76 if band > 8 else 0.88)
    parts = [_draw_grid(ticks, place, width, theme, format_axis)]
    for index, (day, column) in enumerate(zip(days, columns, strict=True)):
        x = _LEFT + index * band + (band - bar) / 2
        tip = _describe_day(day, series, column, format_value)
        parts.append(Markup('<g class="day"><title>{}</title>').format(tip))
        if all(value is None for value in column):
            parts.append(_rectangle(x, _TOP, bar, plot_height, f"url(#{_name_hatch(width, height)})"))
        up, down = Decimal(0), Decimal(0)
        for row, value in zip(series, column, strict=True):
            if not value:
                continue
            base = up if value > 0 else down
            upper, lower = place(max(base, base + value)), place(min(base, base + value))
            parts.append(_rectangle(x, upper, bar, lower - upper, row.fill))
            up, down = (base + value, down) if value > 0 else (up, base + value)
        parts.append(_rectangle(x - (band - bar) / 2, _TOP, band, plot_height, "transparent"))
        parts.append(Markup("</g>"))
    parts.append(_draw_day_labels(days, band, height, theme))
    return _wrap(parts, title, width, height, theme)


def draw_sparkline(values: Sequence[Decimal | None], *, title: str, stroke: str, width: int, height: int) -> Markup:
    """A line of values without axes; it breaks where a value is not known, and ends in a dot."""
    known = [value for value in values if value is not None]
    if not known:
        return Markup("")
    low, high = min(Decimal(0), *known), max(Decimal(0), *known)
    span = float(high - low) or 1.0
    step = (width - 6) / max(len(values) - 1, 1)
    path, is_open, last = "", False, (0.0, 0.0)
    for index, value in enumerate(values):
        if value is None:
            is_open = False
            continue
        last = (3 + index * step, 3 + (height - 6) * float(high - value) / span)
        path += f"{'L' if is_open else 'M'}{_point(last[0])} {_point(last[1])}"
        is_open = True
    return Markup(
        '<svg class="spark" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
        "<title>{title}</title>"
        '<path d="{path}" fill="none" stroke="{stroke}" stroke-width="1.5" stroke-linejoin="round"/>'
        '<circle cx="{x}" cy="{y}" r="2.2" fill="{stroke}"/></svg>'
    ).format(width=width, height=height, title=title, path=path, stroke=stroke, x=_point(last[0]), y=_point(last[1]))


def render_png(svg: str, scale: float = 2.0) -> bytes:
    """`svg` as a PNG of `scale` pixels a unit, on a transparent ground."""
    return vl_convert.svg_to_png(svg, scale=scale)


def choose_ticks(low: Decimal, high: Decimal, wanted: int = 4) -> list[Decimal]:
    """Round ticks, evenly spaced, that take in `low`, `high` and zero; at least two."""
    low, high = min(low, Decimal(0)), max(high, Decimal(0))
    if high == low:
        return [Decimal(0), Decimal(1)]
    rough = (high - low) / wanted
    power = Decimal(1).scaleb(rough.adjusted())
    step = next(power * size for size in _TICK_STEPS if power * size >= rough)
    first, last = low // step - (1 if low % step else 0), high // step + (1 if high % step else 0)
    return [step * index for index in range(int(first), int(last) + 1)]


def _draw_grid(
    ticks: Sequence[Decimal],
    place: Callable[[Decimal], float],
    width: int,
    theme: Theme,
    format_axis: Callable[[Decimal], str],
) -> Markup:
    line = Markup('<line x1="{}" x2="{}" y1="{}" y2="{}" stroke="{}"/>')
    label = Markup('<text x="{}" y="{}" text-anchor="end" fill="{}">{}</text>')
    parts = []
    for tick in ticks:
        y = _point(place(tick))
        paint = theme.baseline if tick == 0 else theme.grid
        parts.append(line.format(_point(_LEFT), _point(width - _RIGHT), y, y, paint))
        parts.append(label.format(_point(_LEFT - 8), _point(place(tick) + 3.8), theme.text, format_axis(tick)))
    return Markup("").join(parts)


def _draw_day_labels(days: Sequence[date], band: float, height: int, theme: Theme) -> Markup:
    """Labels as dense as fit, counted back from the last day, which is the one that is read first."""
    stride = max(1, -int(-_LABEL_SPACING // band))
    label = Markup('<text x="{}" y="{}" text-anchor="{}" fill="{}">{}</text>')
    right = _LEFT + len(days) * band
    parts = []
    for index in range((len(days) - 1) % stride, len(days), stride):
        x = _LEFT + (index + 0.5) * band
        is_last = right - x < _LABEL_SPACING / 2.5
        x, anchor = (right, "end") if is_last else (x, "middle")
        parts.append(label.format(_point(x), height - 7, anchor, theme.text, format_day(days[index])))
    return Markup("").join(parts)


def _describe_day(
    day: date, series: Sequence[Series], column: Sequence[Decimal | None], format_value: Callable[[Decimal], str]
) -> str:
    known = [(row.name, value) for row, value in zip(series, column, strict=True) if value is not None]
    if not known:
        return f"{format_date(day)}: not known"
    total = sum((value for _, value in known), Decimal(0))
    lines = [f"{name}: {format_value(value)}" for name, value in reversed(known) if value]
    return "\n".join([f"{format_date(day)}: {format_value(total)}", *lines])


def _rectangle(x: float, y: float, width: float, height: float, fill: str) -> Markup:
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" fill="{}"/>').format(
        _point(x), _point(y), _point(width), _point(height), fill
    )


def _wrap(parts: Sequence[Markup], title: str, width: int, height: int, theme: Theme) -> Markup:
    hatch = Markup(
        '<defs><pattern id="{}" width="6" height="6" patternTransform="rotate(45)" '
        'patternUnits="userSpaceOnUse"><rect width="1.5" height="6" fill="{}"/></pattern></defs>'
    ).format(_name_hatch(width, height), theme.grid)
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {width} {height}" width="{width}" '
        'height="{height}" role="img" aria-label="{title}" font-family="{font}" font-size="{size}">{hatch}{body}</svg>'
    ).format(
        width=width,
        height=height,
        title=escape(title),
        font=theme.font,
        size=_point(theme.font_size),
        hatch=hatch,
        body=Markup("").join(parts),
    )


def _name_hatch(width: int, height: int) -> str:
    # A page shows one of two widths of a chart, and a pattern inside a hidden picture paints nothing.
    return f"not-known-{width}-{height}"


def _point(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
