"""What is wrong with a home, and the mend: config, sources, versions, lock, quarantine, build, publication."""

import importlib.metadata
import platform
from collections.abc import Iterator, Sequence
from typing import Any, Final

from delivery.publish import MARTS_FILE, is_published, read_build_id
from delivery.report import read_report_build
from ingest import lake
from ingest.books import BooksError, list_closes, verify_close
from ingest.config import ConfigError, SourceConfig, is_server, load_sources
from ingest.contracts import DATED_FACTS, POLICY_FACTS
from ingest.dated_facts import read_dated_fact
from ingest.disposable import find_warehouse_damage
from ingest.home import Home, LockHeldError, hold_lock
from ingest.kinds import KINDS
from ingest.registry import Registry
from ingest.server_landing import reach_server
from ingest.stock import COPIED_TABLES
from ingest.stocktaking import Damage, describe_lost, list_damages, list_gaps
from ingest.storage import StorageError, list_objects
from ingest.unlanded import list_unlanded
from ingest.validity import Validity, find_overlaps
from orchestration.build_state import NotBuiltError, read_built
from orchestration.findings import Finding, State
from orchestration.landed import SourceTotals, read_now, read_quarantine_reasons, read_set_aside, read_source_totals
from orchestration.money_check import examine_money
from orchestration.price_check import read_price_disagreements

_SHOWN_PRICES: Final = 5
_PACKAGES: Final = ("wattledger", "dagster", "dagster-dbt", "dbt-core", "dbt-duckdb", "duckdb", "deltalake", "polars")


def examine_home(home: Home, *, deep: bool = False) -> Iterator[Finding]:
    """Every finding, in the order in which data flows; `deep` reads every file of the lake. Writes nothing."""
    yield Finding("versions", State.FINE, _list_versions())
    yield _examine_lock(home)
    yield from _examine_config(home)
    damages = list_damages(home, deep=deep)
    yield from _examine_lake(home, damages, deep=deep)
    if any(damage.table.is_book or damage.table.name in COPIED_TABLES for damage in damages):
        return  # all that follows asks the registry and the books
    totals = {source.source_name: source for source in read_source_totals(home)}
    yield from _examine_sources(home, totals)
    for item in read_set_aside(home):
        yield Finding(f"source {item.source_name}", State.NOTE if item.may_lose else State.FINE, str(item))
    yield from _examine_quarantine(home, totals)
    yield from _examine_prices(home)
    yield from _examine_books(home)
    yield from _examine_build(home)
    yield from examine_money(home)


def _list_versions() -> str:
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    return f"Python {platform.python_version()}, {packages}"


def _examine_lock(home: Home) -> Finding:
    try:
        with hold_lock(home):
            return Finding("lock", State.FINE, "nobody is writing this home")
    except LockHeldError as error:
        return Finding("lock", State.NOTE, str(error))


def _examine_config(home: Home) -> Iterator[Finding]:
    try:
        load_sources(home, KINDS)
    except ConfigError as error:
        yield Finding("config", State.WRONG, "\n".join(error.problems), f"correct {home.sources_path}")
    else:
        yield Finding("config", State.FINE, f"{home.sources_path.name} is valid")
    for fact in (read_dated_fact(home, name) for name in DATED_FACTS):
        if fact.problems and fact.name == POLICY_FACTS[-1]:
            continue  # said of the same file before
        if fact.problems:
            lines = "\n".join(str(problem) for problem in fact.problems[:10])
            more = f"\nand {len(fact.problems) - 10} more" if len(fact.problems) > 10 else ""
            yield Finding(
                "config",
                State.WRONG,
                f"{lines}{more}",
                f"correct {fact.path}; until then the last valid version holds, or the built-in one if there was none",
            )
        else:
            yield Finding("config", State.FINE, f"{fact.path.name}: {fact.table.num_rows:,} rows of {fact.name}")
            if fact.name == "owners":
                yield from _examine_owner_rules(fact.table.to_pylist())


def _examine_owner_rules(rules: list[dict[str, Any]]) -> Iterator[Finding]:
    """Rules that claim the very same charges on the same days for different teams, and rank alike."""
    rivals: dict[tuple[Any, ...], dict[int, dict[str, Any]]] = {}
    for rule in rules:
        claim = tuple(rule[name] for name in ("match_on", "match_key", "match_value", "priority"))
        rivals.setdefault(claim, {})[rule["_position"]] = rule
    for same in rivals.values():
        validities = [Validity(rule["valid_from"], rule["valid_to"], line) for line, rule in same.items()]
        for one, other in find_overlaps(validities):
            first, second = sorted((same[one.line], same[other.line]), key=lambda rule: rule["rule_id"])
            if first["team_id"] != second["team_id"]:
                yield Finding(
                    "config",
                    State.NOTE,
                    f"owners.csv lines {first['_position']} and {second['_position']}: rules {first['rule_id']} and "
                    f"{second['rule_id']} claim the same charges for {first['team_id']} and {second['team_id']} with "
                    f"priority {first['priority']}; {first['rule_id']} has them, its id being first",
                    "give the one that is meant a smaller priority, or end one where the other begins",
                )


def _examine_lake(home: Home, damages: Sequence[Damage], *, deep: bool) -> Iterator[Finding]:
    """The tables against what must be in them, and against the registry."""
    mend = f"wattledger land --home {home.path}: what is gone is read again from the sources"
    for damage in damages:
        area = "books" if damage.table.is_book else "lake"
        yield Finding(area, State.WRONG, str(damage), mend)
    if damages:
        return
    faults = [*list_gaps(home), *(f"{name}: {told}" for name, told in describe_lost(home).items())]
    for fault in faults:
        yield Finding("lake", State.WRONG, fault, "put the objects back, or wattledger accept SOURCE --reason")
    if not faults:
        how = "every file was read" if deep else "by versions, sizes and counts; --deep reads every file"
        yield Finding("lake", State.FINE, f"every table holds what the registry says, {how}")


def _examine_sources(home: Home, totals: dict[str, SourceTotals]) -> Iterator[Finding]:
    try:
        sources = load_sources(home, KINDS).sources
    except ConfigError:
        return  # said above
    if not sources:
        yield Finding("sources", State.WRONG, "sources.yml names no source", f"add one to {home.sources_path}")
    now, unlanded = read_now(totals.values()), _list_unlanded(home, sources)
    for source in sources:
        area = f"source {source.name}"
        yield _examine_location(source, home)
        landed = totals[source.name]
        if landed.silence:
            yield Finding(area, State.NOTE, landed.silence, "see whether it was silent then, or its export is")
        if landed.object_count == 0:
            yield Finding(area, State.NOTE, "nothing of it has landed yet", "wattledger run")
        for told in unlanded.get(source.name, ()):
            yield Finding(area, State.WRONG, told, "see whether its kind and location are the right ones")
        if staleness := landed.tell_staleness(now):
            yield Finding(area, State.NOTE, staleness, "see whether its export still runs")


def _list_unlanded(home: Home, sources: Sequence[SourceConfig]) -> dict[str, list[str]]:
    with lake.open_engine(home) as engine:
        registry = Registry(home, engine)
    known = {source.name: registry.read_source(source.name) for source in sources}
    return {
        source.name: list_unlanded(home, source, known[source.name], known[source.name])
        for source in sources
        if known[source.name]
    }


def _examine_location(source: SourceConfig, home: Home) -> Finding:
    area = f"source {source.name}"
    try:
        if is_server(source.location):
            with reach_server(source, KINDS[source.kind], home) as server:
                return Finding(area, State.FINE, f"{source.location}: {server.check()} answers")
        count = len(list_objects(source.location, source.options, home.path))
    except StorageError as error:
        return Finding(area, State.WRONG, f"not reachable: {error}", f"correct its location in {home.sources_path}")
    if count == 0:
        return Finding(
            area, State.WRONG, f"{source.location}: no object there", "correct the location, or export to it"
        )
    return Finding(area, State.FINE, f"{source.location}: {count:,} objects")


def _examine_quarantine(home: Home, totals: dict[str, SourceTotals]) -> Iterator[Finding]:
    refused = {name: source.refused_object_count for name, source in totals.items() if source.refused_object_count}
    for name, count in refused.items():
        yield Finding(
            f"source {name}",
            State.WRONG,
            f"{count:,} of its objects are refused whole; what they replace stands",
            "mend or remove the objects named below, then `wattledger run`",
        )
    for reason in read_quarantine_reasons(home):
        accepted = f", {reason.entry_count - reason.waiting_count:,} of them accepted"
        accept = f', or leave it so: wattledger accept {reason.source_name} --reason "…"'
        yield Finding(
            "quarantine",
            State.NOTE if reason.waiting_count else State.FINE,
            f"{reason.source_name}: {reason.entry_count:,} x {reason.reason}, last in {reason.last_object_uri}"
            + (accepted if reason.waiting_count < reason.entry_count else ""),
            "fix it at the source" + (accept if reason.is_acceptable else ""),
        )


def _examine_prices(home: Home) -> Iterator[Finding]:
    found = [] if find_warehouse_damage(home) else read_price_disagreements(home)
    if found:
        more = f"\nand {len(found) - _SHOWN_PRICES:,} more in int_tokens__price_disagreements"
        yield Finding(
            "prices",
            State.NOTE,
            "\n".join(map(str, found[:_SHOWN_PRICES])) + (more if len(found) > _SHOWN_PRICES else ""),
            "see the provider's own page; where the catalogue is right, take its price into price_overrides.csv: "
            f"{found[0].override_line}",
        )


def _examine_books(home: Home) -> Iterator[Finding]:
    for close in list_closes(home):
        try:
            verify_close(home, close)
        except BooksError as error:
            yield Finding("books", State.WRONG, str(error), "restore HOME/books from a backup")
        else:
            text = f"{close.period_start_date:%Y-%m} is closed with {close.statement_count} statements, as booked"
            yield Finding("books", State.FINE, text)


def _examine_build(home: Home) -> Iterator[Finding]:
    if damage := find_warehouse_damage(home):
        told = f"{home.warehouse_path} cannot be read: {damage}"
        yield Finding("warehouse", State.WRONG, told, f"wattledger run --home {home.path}: it is rebuilt from the lake")
        return
    try:
        built = read_built(home)
    except NotBuiltError as error:
        yield Finding("warehouse", State.WRONG, str(error), f"wattledger run --home {home.path}")
        return
    yield Finding("warehouse", State.FINE, f"build {built}, all laws held")
    yield from _examine_published(home, built)


def _examine_published(home: Home, built: str) -> Iterator[Finding]:
    """What readers open is of the last build and whole, and the report shows it."""
    published = read_build_id(home.published_dir / MARTS_FILE)
    mend = f"wattledger run --home {home.path}"
    if published != built:
        told = f"published is {published or 'nothing that can be read'}, built is {built}"
        yield Finding("published", State.WRONG, told, mend)
    elif not is_published(home.published_dir, built):
        told = (
            f"{home.published_dir}: build {built} is not whole: a table, the Parquet link or a file is broken or gone"
        )
        yield Finding("published", State.WRONG, told, mend)
    else:
        yield Finding("published", State.FINE, f"build {published}")
    shown = read_report_build(home.report_dir)
    if shown != published:
        told = f"{home.report_dir}: shows {f'build {shown}' if shown else 'no whole report'}, published is {published}"
        yield Finding("report", State.WRONG, told, mend)
    else:
        yield Finding("report", State.FINE, f"of build {shown}")
