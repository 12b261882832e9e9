"""The sources of sources.yml as assets: what each one delivered, how far its data reaches, and what was refused."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import dagster as dg

from ingest.config import SourceConfig
from ingest.home import Home
from ingest.landing import SourceReport
from orchestration.assets.measures import NOTES, make_trouble_result, show_instant
from orchestration.landed import read_now, read_source_totals

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
        DATA_IS_CURRENT: "Its data ends no more than two days ago, that of an invoice no more than forty.",
    }
    return [
        dg.AssetCheckSpec(name, asset=name_source_key(source.name), blocking=False, description=text)
        for source in sources
        for name, text in texts.items()
    ]


def report_sources(home: Home, chosen: Sequence[SourceReport]) -> Iterator[Any]:
    """A materialisation for each source that was reached, and its checks."""
    totals = {source.source_name: source for source in read_source_totals(home)}
    now = read_now(totals.values())
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
        staleness = totals[source.source_name].tell_staleness(now)
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=DATA_IS_CURRENT,
            passed=staleness is None and not source.is_stale,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "data_through": show_instant(through),
                NOTES: dg.MetadataValue.json(_list_lateness(source, staleness)),
            },
        )


def _list_lateness(source: SourceReport, staleness: str | None) -> list[str]:
    """That the data of a source that was reached ends too early; who was not reached is a trouble already."""
    return [] if source.is_stale or staleness is None else [f"{source.source_name}: {staleness}"]


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
    """What of a source was refused, did not land or could not be reached, in a person's words."""
    messages = list(source.unlanded)
    if source.deliveries_refused or source.is_stale or source.has_lost:
        messages += source.messages or [f"{source.deliveries_refused} objects stand refused"]
    return [f"{source.source_name}: {message}" for message in messages]
