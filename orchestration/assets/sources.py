"""The sources of sources.yml as assets: what each one delivered, how far its data reaches, and what was refused."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

import dagster as dg

from ingest.config import SourceConfig
from ingest.home import Home
from ingest.landing import SourceReport
from orchestration.assets.measures import NOTES, make_trouble_result, show_instant
from orchestration.landed import LATE_AFTER, find_newest_end, read_source_totals

NOTHING_REFUSED: Final = "nothing_refused"
DATA_IS_CURRENT: Final = "data_is_current"

_GROUP: Final = "sources"


def name_source_key(source_name: str) -> dg.AssetKey:
    """The asset of a source."""
    return dg.AssetKey(["source", source_name])


def make_source_specs(sources: Sequence[SourceConfig]) -> list[dg.AssetSpec]:
    """One asset a source; skipped where landing could not reach it."""
    return [
        dg.AssetSpec(
            name_source_key(source.name),
            group_name=_GROUP,
            kinds={source.kind},
            skippable=True,
            description=f"What {source.location} delivers, as `{source.kind}`.",
        )
        for source in sources
    ]


def make_source_checks(sources: Sequence[SourceConfig]) -> list[dg.AssetCheckSpec]:
    """Two checks a source; neither stops a build."""
    texts = {
        NOTHING_REFUSED: "No object of the source stands refused, and it could be listed or asked.",
        DATA_IS_CURRENT: "Its data ends no more than two days before that of the source whose data ends last.",
    }
    return [
        dg.AssetCheckSpec(name, asset=name_source_key(source.name), blocking=False, description=text)
        for source in sources
        for name, text in texts.items()
    ]


def report_sources(home: Home, chosen: Sequence[SourceReport]) -> Iterator[Any]:
    """A materialisation for each source that was reached, and its checks."""
    totals = {source.source_name: source for source in read_source_totals(home)}
    newest = find_newest_end(totals.values())
    for source in chosen:
        key = name_source_key(source.source_name)
        if not source.is_stale:
            yield dg.MaterializeResult(
                key,
                metadata={
                    "data_through": show_instant(source.data_through_at),
                    "objects_landed": source.deliveries_landed,
                    "objects_refused": source.deliveries_refused,
                    "objects_unchanged": source.deliveries_unchanged,
                    "rows_landed": source.rows_landed,
                    "rows_quarantined": source.rows_quarantined,
                },
            )
        yield make_trouble_result(key, NOTHING_REFUSED, list_troubles(source), dg.AssetCheckSeverity.ERROR)
        through = source.data_through_at
        is_dated = through is not None and not totals[source.source_name].is_reference
        behind = newest - through if newest is not None and through is not None and is_dated else timedelta()
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=DATA_IS_CURRENT,
            passed=behind <= LATE_AFTER and not source.is_stale,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "data_through": show_instant(through),
                "hours_behind_newest_source": round(behind / timedelta(hours=1), 1),
                NOTES: dg.MetadataValue.json(_list_lateness(source, behind)),
            },
        )


def _list_lateness(source: SourceReport, behind: timedelta) -> list[str]:
    """That the data of a source that was reached ends too early; who was not reached is a trouble already."""
    if source.is_stale or behind <= LATE_AFTER:
        return []
    through = show_instant(source.data_through_at)
    return [f"{source.source_name}: its data ends {behind.days} days before the newest source's, at {through}"]


def describe_report(source: SourceReport) -> str:
    """One line of what landing did for one source."""
    parts = (
        f"{source.deliveries_landed} landed",
        f"{source.deliveries_refused} refused",
        f"{source.deliveries_superseded} superseded",
        f"{source.deliveries_unchanged} unchanged",
    )
    rows = f"{source.rows_read} rows read, {source.rows_landed} landed, {source.rows_quarantined} quarantined"
    return f"{source.source_name} ({source.kind}): {', '.join(parts)}; {rows}"


def list_troubles(source: SourceReport) -> list[str]:
    """What of a source was refused or could not be reached, in a person's words."""
    if not (source.deliveries_refused or source.is_stale or source.has_lost):
        return []
    messages = source.messages or [f"{source.deliveries_refused} objects stand refused"]
    return [f"{source.source_name}: {message}" for message in messages]
