"""The one-page report: a single file that opens from disk, with no script and no network."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Final

from markupsafe import Markup

from delivery import formats
from delivery.charts import Series, Theme, draw_sparkline, draw_stacked_days
from delivery.marts import BuildInfo, NoChargesError, open_marts
from delivery.overview import GPU_STATES, WINDOW_DAYS, Overview, Team, read_overview
from delivery.team_day import ModelUnitCosts
from delivery.templating import open_templates

REPORT_FILE: Final = "index.html"

_THEME: Final = Theme("var(--muted)", "var(--grid)", "var(--baseline)")
_BUILD_OF_PAGE: Final = re.compile(rb'<meta name="build" content="([^"]+)">')
_TEAM_COLOURS: Final = 7
# A chart is drawn twice, for a desk and for a hand, and CSS shows one: text in a scaled picture would be unreadable.
_WIDTHS: Final = {"wide": (1016, 280), "narrow": (372, 240)}
_LISTED_MODELS: Final = 12


@dataclass(frozen=True)
class TeamLine:
    """A line of the team table, which is the chart's legend too."""

    team: Team
    name: str
    fill: str
    share: Decimal | None
    estimate_share: Decimal | None
    sparkline: Markup


@dataclass(frozen=True)
class StateLine:
    """A GPU state of the window."""

    name: str
    fill: str
    gpu_hours: Decimal
    share: Decimal | None


@dataclass(frozen=True)
class ModelLine:
    """A model's unit costs; `bar_share` is its USD per 1M tokens against the dearest."""

    costs: ModelUnitCosts
    bar_share: Decimal | None
    sparkline: Markup


def build_report(
    published: Path,
    report_dir: Path,
    *,
    quarantine_counts: Mapping[str, int] | None = None,
    window_days: int = WINDOW_DAYS,
    standing_note: str | None = None,
) -> Path:
    """Write `report_dir`/index.html from the published marts and return its path; the same marts, the same bytes.

    `quarantine_counts`: rows and files in quarantine by source; the report says nothing of them when not given.
    `standing_note` is shown on top. A company without a charge gets a page that says so.

    Raises:
        MartsError: nothing is published.
    """
    with open_marts(published, standing_note=standing_note) as marts:
        try:
            html = render_report(read_overview(marts, window_days), marts.build, quarantine_counts)
        except NoChargesError:
            html = open_templates().get_template("empty_report.html.j2").render(build=marts.build)
    report_dir.mkdir(parents=True, exist_ok=True)
    path = report_dir / REPORT_FILE
    aside = path.with_name(f".{REPORT_FILE}.{os.getpid()}.new")
    aside.write_text(html, encoding="utf-8")
    aside.replace(path)
    return path


def read_report_build(report_dir: Path) -> str | None:
    """The build that the report in `report_dir` shows; None where there is no whole report."""
    path = report_dir / REPORT_FILE
    page = path.read_bytes() if path.is_file() else b""
    found = _BUILD_OF_PAGE.search(page)
    return found[1].decode() if found and page.rstrip().endswith(b"</html>") else None


def render_report(overview: Overview, build: BuildInfo, quarantine_counts: Mapping[str, int] | None) -> str:
    """The page as text."""
    teams = _list_team_lines(overview)
    states = _list_state_lines(overview)
    sources = sorted(set(build.data_through) | set(quarantine_counts or {}))
    return (
        open_templates()
        .get_template("report.html.j2")
        .render(
            overview=overview,
            build=build,
            teams=teams,
            team_names={line.team.team_id: line.name for line in teams},
            named_owners={line.team.team_id for line in teams if line.team.is_named_owner},
            spend_charts=_draw_spend(overview, teams),
            states=states,
            state_charts=_draw_states(overview, states),
            models=_list_model_lines(overview),
            listed_models=_LISTED_MODELS,
            sources=sources,
            quarantine_counts=quarantine_counts,
        )
    )


def _list_team_lines(overview: Overview) -> list[TeamLine]:
    spent = {(row.usage_date, row.team_id): row.effective_cost_usd for row in overview.team_spends}
    known = {row.usage_date for row in overview.team_spends}
    lines = []
    for rank, team in enumerate(overview.teams):
        name = team.team_name or team.team_id
        values = [spent.get((day, team.team_id), Decimal(0)) if day in known else None for day in overview.days]
        lines.append(
            TeamLine(
                team=team,
                name=name,
                fill=_choose_fill(team, rank),
                share=formats.divide(team.effective_cost_usd, overview.effective_cost_usd),
                estimate_share=formats.divide(team.estimated_effective_cost_usd, team.effective_cost_usd),
                sparkline=_draw_spark(values, f"{name} by day"),
            )
        )
    return lines


def _choose_fill(team: Team, rank: int) -> str:
    """A colour for each of the largest teams, one for all others, greys for what no team owns."""
    if team.is_named_owner:
        return f"var(--owner-{team.team_id})"
    return f"var(--c{rank + 1})" if rank < _TEAM_COLOURS else "var(--c-other)"


def _draw_spend(overview: Overview, teams: list[TeamLine]) -> dict[str, Markup]:
    spent = {(row.usage_date, row.team_id): row.effective_cost_usd for row in overview.team_spends}
    known = {row.usage_date for row in overview.team_spends}

    def list_values(team_ids: list[str]) -> list[Decimal | None]:
        return [
            sum((spent.get((day, team_id), Decimal(0)) for team_id in team_ids), Decimal(0)) if day in known else None
            for day in overview.days
        ]

    groups: dict[str, list[TeamLine]] = {}
    for line in teams:
        groups.setdefault(line.fill, []).append(line)
    series = [
        Series(
            lines[0].name if len(lines) == 1 else f"{len(lines)} other teams",
            fill,
            list_values([line.team.team_id for line in lines]),
        )
        for fill, lines in groups.items()
    ]
    return _draw_both(
        overview.days, series, "Effective USD by team and day", formats.format_short_usd, formats.format_usd
    )


def _list_state_lines(overview: Overview) -> list[StateLine]:
    states = {row.gpu_state for row in overview.state_hours}
    total = sum((row.gpu_hours for row in overview.state_hours), Decimal(0))
    ordered = [state for state in GPU_STATES if state in states] + sorted(states - set(GPU_STATES))
    lines = []
    for state in ordered:
        gpu_hours = overview.sum_state_hours(state)
        fill = f"var(--state-{state})" if state in GPU_STATES else "var(--c-other)"
        lines.append(StateLine(formats.name_state(state), fill, gpu_hours, formats.divide(gpu_hours, total)))
    return lines


def _draw_states(overview: Overview, states: list[StateLine]) -> dict[str, Markup]:
    if not states:
        return {}
    hours = {(row.usage_date, formats.name_state(row.gpu_state)): row.gpu_hours for row in overview.state_hours}
    known = {row.usage_date for row in overview.state_hours}
    series = [
        Series(
            line.name,
            line.fill,
            [hours.get((day, line.name), Decimal(0)) if day in known else None for day in overview.days],
        )
        for line in states
    ]
    return _draw_both(
        overview.days,
        series,
        "GPU-hours by state and day",
        formats.format_short_count,
        lambda value: f"{formats.format_number(value, 1)} GPU-hours",
    )


def _list_model_lines(overview: Overview) -> list[ModelLine]:
    rates = {(row.provider_name, row.model_id, row.usage_date): row.usd_per_mtok for row in overview.model_days}
    shown = overview.models[:_LISTED_MODELS]
    dearest = max((costs.usd_per_mtok for costs in shown if costs.usd_per_mtok is not None), default=None)
    return [
        ModelLine(
            costs=costs,
            bar_share=formats.divide(costs.usd_per_mtok, dearest),
            sparkline=_draw_spark(
                [rates.get((costs.provider_name, costs.model_id, day)) for day in overview.days],
                f"USD per 1M tokens of {costs.model_id} by day",
            ),
        )
        for costs in shown
    ]


def _draw_both(
    days: list[date],
    series: list[Series],
    title: str,
    format_axis: Callable[[Decimal], str],
    format_value: Callable[[Decimal], str],
) -> dict[str, Markup]:
    return {
        name: draw_stacked_days(
            days,
            series,
            title=title,
            theme=_THEME,
            width=width,
            height=height,
            format_axis=format_axis,
            format_value=format_value,
        )
        for name, (width, height) in _WIDTHS.items()
    }


def _draw_spark(values: list[Decimal | None], title: str) -> Markup:
    return draw_sparkline(values, title=title, stroke="var(--spark)", width=120, height=30)
