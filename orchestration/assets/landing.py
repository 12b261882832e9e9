"""The lake's tables as assets, landed in one step: what is refused is a failed check, never an error."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

import dagster as dg

from ingest.contracts import DATED_FACTS, DELIVERIES, LLM_PRICES, QUARANTINE, LandingTable, landing_tables
from ingest.dated_facts import get_fact_path
from ingest.fact_landing import CONFIG_SOURCE
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.lake import list_files
from ingest.landing import LandingReport, SourceReport, land
from orchestration.assets.measures import make_trouble_result, render_markdown, show_instant
from orchestration.landed import read_quarantine_reasons, read_source_totals
from orchestration.resources import HomeResource, ProgressListener

NOTHING_REFUSED: Final = "nothing_refused"
EVERY_ROW_LANDED: Final = "every_row_landed"

_GROUP: Final = "landing"
_BOOKKEEPING: Final = (DELIVERIES.name, QUARANTINE.name)
_FACTS: Final = (*(table.name for table in DATED_FACTS.values()), LLM_PRICES.name)
_DESCRIPTIONS: Final = {
    DELIVERIES.name: "Every object that was landed, superseded or refused, in which version and with what result.",
    QUARANTINE.name: "Every refused row, object and delivery, with position, field and reason.",
    LLM_PRICES.name: "Dated prices of models by token class, out of the price book.",
}


def name_key(table_name: str) -> dg.AssetKey:
    """The asset of a landing table; dbt's sources name the same."""
    return dg.AssetKey(["raw", table_name])


def make_landing_assets() -> list[dg.AssetsDefinition]:
    """One asset for each landing table; those of sources and facts have checks."""
    names = list(landing_tables())
    specs = [
        dg.AssetSpec(
            name_key(name), group_name=_GROUP, kinds={"deltalake"}, skippable=True, description=_describe_table(name)
        )
        for name in names
    ]
    checked = [name for name in names if name not in _BOOKKEEPING]
    refusal_checks = [
        dg.AssetCheckSpec(
            NOTHING_REFUSED,
            asset=name_key(name),
            blocking=False,
            description="No object or delivery stands refused, and every source could be listed.",
        )
        for name in checked
    ]
    row_checks = [
        dg.AssetCheckSpec(
            EVERY_ROW_LANDED,
            asset=name_key(name),
            blocking=False,
            description="No row of what was read in this run went to quarantine.",
        )
        for name in checked
    ]

    @dg.multi_asset(name="landing", specs=specs, check_specs=[*refusal_checks, *row_checks], can_subset=True)
    def landing(
        context: dg.AssetExecutionContext, home: HomeResource, progress: dg.ResourceParam[ProgressListener]
    ) -> Iterator[Any]:
        selected = {key.path[-1] for key in context.selected_asset_keys}
        with home.locked() as opened:
            report = land(
                opened,
                only_kinds=_choose_kinds(selected),
                progress=lambda source, done, total: progress.report(f"land {source}", done, total),
            )
            for source in report.sources:
                context.log.info("\n".join([describe_report(source), *source.messages]))
            for name in (name for name in names if name in selected):
                yield from _report_table(opened, landing_tables()[name], report)

    return [landing]


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
    if not (source.deliveries_refused or source.is_stale):
        return []
    messages = source.messages or [f"{source.deliveries_refused} objects stand refused"]
    return [f"{source.source_name}: {message}" for message in messages]


def _choose_kinds(selected: set[str]) -> list[str] | None:
    """Kinds that land in the selected tables; None, which is all, when facts are among them: those land with all."""
    if selected & set(_FACTS) or not selected - set(_BOOKKEEPING):
        return None
    return [name for name, kind in KINDS.items() if kind.table.name in selected]


def _describe_table(name: str) -> str:
    if name in _DESCRIPTIONS:
        return _DESCRIPTIONS[name]
    kinds = sorted(kind for kind, reader in KINDS.items() if reader.table.name == name)
    if kinds:
        return f"What sources of kind {', '.join(kinds)} delivered, row by row, typed."
    return f"HOME/config/{name.removeprefix('config_')} as landed: dated facts that people keep."


def _report_table(home: Home, table: LandingTable, report: LandingReport) -> Iterator[Any]:
    key = name_key(table.name)
    files = list_files(home, table)
    metadata: dict[str, Any] = {"dagster/row_count": sum(file.row_count for file in files), "files": len(files)}
    if table.name == DELIVERIES.name:
        totals = read_source_totals(home)
        metadata["sources"] = render_markdown(
            ("source", "objects", "refused", "rows read", "landed", "quarantined", "data through"),
            [
                (
                    source.source_name,
                    source.object_count,
                    source.refused_object_count,
                    source.rows_read,
                    source.rows_landed,
                    source.rows_quarantined,
                    show_instant(source.data_through_at),
                )
                for source in totals
            ],
        )
    elif table.name == QUARANTINE.name:
        metadata["reasons"] = render_markdown(
            ("source", "entries", "reason", "last object"),
            [
                (reason.source_name, reason.entry_count, reason.reason, reason.last_object_uri)
                for reason in read_quarantine_reasons(home)
            ],
        )
    sources = [source for source in report.sources if source.table_name == table.name]
    fact_names = [name for name, fact in DATED_FACTS.items() if fact.name == table.name]
    if sources:
        metadata |= _describe_sources(sources)
    yield dg.MaterializeResult(key, metadata=metadata)
    if table.name in _BOOKKEEPING:
        return
    refused = list(chain.from_iterable(list_troubles(source) for source in sources))
    refused += [message for name in fact_names for message in _list_fact_messages(home, name, report)]
    yield make_trouble_result(key, NOTHING_REFUSED, refused, dg.AssetCheckSeverity.ERROR)
    quarantined = sum(source.rows_quarantined for source in sources)
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name=EVERY_ROW_LANDED,
        passed=quarantined == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"rows_quarantined": quarantined},
    )


def _list_fact_messages(home: Home, name: str, report: LandingReport) -> list[str]:
    """What landing said of the config file that holds the fact."""
    start = f"{get_fact_path(home, name)}:"
    messages = chain.from_iterable(source.messages for source in report.sources if source.source_name == CONFIG_SOURCE)
    return [message for message in messages if message.startswith(start)]


def _describe_sources(sources: list[SourceReport]) -> dict[str, Any]:
    ends = [source.data_through_at for source in sources if source.data_through_at]
    return {
        "rows_read": sum(source.rows_read for source in sources),
        "rows_landed": sum(source.rows_landed for source in sources),
        "rows_quarantined": sum(source.rows_quarantined for source in sources),
        "data_through": show_instant(min(ends) if ends else None),
        "sources": render_markdown(
            ("source", "landed", "refused", "unchanged", "rows landed", "quarantined", "data through"),
            [
                (
                    source.source_name,
                    source.deliveries_landed,
                    source.deliveries_refused,
                    source.deliveries_unchanged,
                    source.rows_landed,
                    source.rows_quarantined,
                    show_instant(source.data_through_at),
                )
                for source in sources
            ],
        ),
    }
