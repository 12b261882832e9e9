"""Sources and the lake's tables as assets, landed in one step: what is refused is a failed check, never an error."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import Any, Final

import dagster as dg

from ingest.acceptances import ROWS, Standing, list_unaccepted
from ingest.config import SourceConfig
from ingest.contracts import (
    CONTROL_TOTALS,
    DATED_FACTS,
    DELIVERIES,
    LLM_PRICES,
    QUARANTINE,
    LandingTable,
    landing_tables,
)
from ingest.dated_facts import get_fact_path
from ingest.fact_landing import CONFIG_SOURCE
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.lake import list_files
from ingest.landing import LandingReport, SourceReport, land
from orchestration.assets.groups import name_group
from orchestration.assets.measures import NOTES, make_trouble_result, render_markdown, show_instant
from orchestration.assets.sources import (
    NOTHING_REFUSED,
    describe_report,
    list_troubles,
    make_source_checks,
    make_source_specs,
    name_source_key,
    report_sources,
)
from orchestration.landed import list_sources, read_quarantine_reasons, read_source_totals
from orchestration.resources import AgainConfig, HomeResource, ProgressListener

EVERY_ROW_LANDED: Final = "every_row_landed"

_GROUP: Final = "landing"
_BOOKKEEPING: Final = (DELIVERIES.name, CONTROL_TOTALS.name, QUARANTINE.name)
_FACTS: Final = (*(table.name for table in DATED_FACTS.values()), LLM_PRICES.name)
_DESCRIPTIONS: Final = {
    DELIVERIES.name: "Every object that was landed, superseded or refused, in which version and with what result.",
    CONTROL_TOTALS.name: "What landing counted and summed of every object, for the laws to hold the marts against.",
    QUARANTINE.name: "Every refused row, object and delivery, with position, field and reason.",
    LLM_PRICES.name: "Dated prices of models by token class, out of the price book.",
}


def name_key(table_name: str) -> dg.AssetKey:
    """The asset of a landing table; dbt's sources name the same."""
    return dg.AssetKey(["raw", table_name])


def make_landing_assets(sources: Sequence[SourceConfig]) -> list[dg.AssetsDefinition]:
    """One asset for each source, and one for each landing table; all but the bookkeeping have checks."""
    names = list(landing_tables())
    source_keys = {source.name: name_source_key(source.name) for source in sources}
    specs = make_source_specs(sources)
    specs += [
        dg.AssetSpec(
            name_key(name),
            group_name=name_group(_GROUP, name),
            kinds={"deltalake"},
            skippable=True,
            description=_describe_table(name),
            deps=[source_keys[source.name] for source in sources if KINDS[source.kind].table.name == name],
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
            description="No row stands in quarantine that nobody accepted (`wattledger accept SOURCE`).",
        )
        for name in checked
    ]

    @dg.multi_asset(
        name="landing",
        specs=specs,
        check_specs=[*make_source_checks(sources), *refusal_checks, *row_checks],
        can_subset=True,
    )
    def landing(
        context: dg.AssetExecutionContext,
        config: AgainConfig,
        home: HomeResource,
        progress: dg.ResourceParam[ProgressListener],
    ) -> Iterator[Any]:
        selected = {key.path[-1] for key in context.selected_asset_keys if key not in source_keys.values()}
        chosen = [name for name, key in source_keys.items() if key in context.selected_asset_keys]
        with home.locked() as opened:
            report = land(
                opened,
                only_sources=_choose_sources(opened, selected, chosen),
                again=config.read_again(),
                progress=lambda source, done, total: progress.report(f"land {source}", done, total),
            )
            for source in report.sources:
                context.log.info("\n".join([describe_report(source), *source.messages]))
            yield from report_sources(opened, [source for source in report.sources if source.source_name in chosen])
            waiting = [item for item in list_unaccepted(opened) if item.subject == ROWS]
            for name in (name for name in names if name in selected):
                yield from _report_table(opened, landing_tables()[name], report, waiting)

    return [landing]


def _choose_sources(home: Home, tables: set[str], chosen: Collection[str]) -> set[str] | None:
    """Names of the sources that are chosen or land in a chosen table; None, which is all, when facts are among those:
    facts land with all."""
    if tables & set(_FACTS) or not (tables - set(_BOOKKEEPING) or chosen):
        return None
    # A source that was added since the definitions were loaded lands with its table.
    return {*chosen, *(source.name for source in list_sources(home) if KINDS[source.kind].table.name in tables)}


def _describe_table(name: str) -> str:
    if name in _DESCRIPTIONS:
        return _DESCRIPTIONS[name]
    kinds = sorted(kind for kind, reader in KINDS.items() if reader.table.name == name)
    if kinds:
        return f"What sources of kind {', '.join(kinds)} delivered, row by row, typed."
    return f"HOME/config/{name.removeprefix('config_')} as landed: dated facts that people keep."


def _report_table(home: Home, table: LandingTable, report: LandingReport, waiting: Sequence[Standing]) -> Iterator[Any]:
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
    of_table = [item for item in waiting if item.source_name in {source.source_name for source in sources}]
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name=EVERY_ROW_LANDED,
        passed=not of_table,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "rows_quarantined": sum(source.rows_quarantined for source in sources),
            "rows_to_accept": sum(item.entry_count for item in of_table),
            NOTES: dg.MetadataValue.json(_list_waiting(of_table)),
        },
    )


def _list_waiting(waiting: Sequence[Standing]) -> list[str]:
    """How many rows of each source stand in quarantine that nobody accepted."""
    counts: Counter[str] = Counter()
    for item in waiting:
        counts[item.source_name] += item.entry_count
    return [
        f"{name}: {count:,} row(s) stand in quarantine; `wattledger doctor` names why, `wattledger accept {name}` "
        "acknowledges them"
        for name, count in counts.items()
    ]


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
