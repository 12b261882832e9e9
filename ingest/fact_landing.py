"""Landing of the company's own facts and of the price book: small tables, replaced whole.

Each landed version of a config file is appended to the book `config_versions`, so that a changed rule, price or rate
is a known version.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from ingest import lake, slices
from ingest.book_files import append_book, read_book
from ingest.contracts import (
    AUDIT_COLUMNS,
    DATED_FACTS,
    INSTANT,
    LITELLM_REQUESTS,
    LLM_PRICES,
    POLICY_FACTS,
    TEXT,
    LandingTable,
)
from ingest.dated_facts import DatedFact, get_fact_path, read_built_in_fact, read_dated_fact
from ingest.disposable import REPAIRS, set_aside
from ingest.home import Home
from ingest.landing_run import LandingRun, SourceReport
from ingest.quarantine import QuarantineSpool
from ingest.reference.llm_prices import gateway_pairs, price_book

CONFIG_SOURCE = "config"
PRICES_SOURCE = "llm-prices"
CONFIG_VERSIONS = "config_versions"
_VERSION_SCHEMA = pa.schema([("name", TEXT), ("version_id", TEXT), ("landed_at", INSTANT), ("text", TEXT)])


def land_facts(run: LandingRun) -> SourceReport:
    """Replace every `config_*` table whose file says something new; a file with a problem is refused whole."""
    report = SourceReport(CONFIG_SOURCE, CONFIG_SOURCE, "config_*")
    spool = QuarantineSpool(CONFIG_SOURCE, CONFIG_SOURCE, run.spool_dir)
    landed = _read_landed_versions(run)
    uris: list[str] = []
    refused: set[str] = set()
    for name, table in DATED_FACTS.items():
        fact = read_dated_fact(run.home, name)
        uris.append(str(fact.path))
        if fact.problems:
            if uris[-1] not in refused:  # policies.yml holds two facts, and is refused once
                _refuse_fact(fact, spool, report)
            if name not in landed:
                # The models find no policy in an empty table, so a first landing may not leave it empty.
                _replace_table(run, table, read_built_in_fact(name))
                if uris[-1] not in refused:
                    report.messages.append(_describe_first_refusal(fact))
            elif not lake.list_files(run.home, table):
                _replace_table(run, table, _read_booked(run.home, name, landed[name]))  # the lake lost it
            refused.add(uris[-1])
            continue
        is_new = name not in landed or landed[name]["version_id"] != fact.version_id
        if _replace_table(run, table, fact.table) or is_new:
            report.deliveries_landed += 1
            report.rows_read += fact.table.num_rows
            report.rows_landed += fact.table.num_rows
        else:
            report.deliveries_unchanged += 1
        if is_new:
            version = {"name": name, "version_id": fact.version_id, "landed_at": _now(), "text": fact.text}
            append_book(run.home, CONFIG_VERSIONS, pa.Table.from_pylist([version], schema=_VERSION_SCHEMA))
    run.replace_quarantine(CONFIG_SOURCE, list(dict.fromkeys(uris)), spool)
    return report


def land_prices(run: LandingRun) -> SourceReport:
    """Replace the price book's rows for the models that the landed gateway rows name."""
    report = SourceReport(PRICES_SOURCE, LLM_PRICES.name, LLM_PRICES.name)
    cache = run.home.state_dir / "priced-models.json"
    files = [str(file.absolute) for file in lake.list_files(run.home, LITELLM_REQUESTS)]
    seen, models = _read_priced_models(cache)
    fresh = [file for file in lake.list_files(run.home, LITELLM_REQUESTS) if str(file.absolute) not in seen]
    models |= gateway_pairs([file.absolute for file in fresh])
    prices = price_book(models)
    if _replace_table(run, LLM_PRICES, _stamp(prices, LLM_PRICES)):
        report.deliveries_landed = 1
        report.rows_read = report.rows_landed = prices.num_rows
    else:
        report.deliveries_unchanged = 1
    if fresh or not cache.is_file():
        ordered = sorted(models, key=lambda pair: (pair[0] or "", pair[1]))
        aside = cache.with_suffix(".new")
        aside.write_text(json.dumps({"files": files, "models": ordered}), encoding="utf-8")
        aside.replace(cache)
    return report


def _read_priced_models(cache: Path) -> tuple[set[str], set[tuple[str | None, str]]]:
    """The lake's files that were looked through, and the models that they name; nothing when the cache is unusable."""
    try:
        known = json.loads(cache.read_bytes())
        return set(known["files"]), {(provider, model) for provider, model in known["models"]}
    except FileNotFoundError:
        return set(), set()
    except (OSError, ValueError, LookupError, TypeError):
        aside = set_aside(cache)
        REPAIRS.warning("%s cannot be read: it is now %s, and the logs are looked through again.", cache, aside)
        return set(), set()


def _refuse_fact(fact: DatedFact, spool: QuarantineSpool, report: SourceReport) -> None:
    report.deliveries_refused += 1
    for problem in fact.problems:
        scope = "object" if problem.position is None else "row"
        spool.add(str(fact.path), scope, problem.position, problem.field, problem.reason, problem.found)
        report.messages.append(str(problem))


def _describe_first_refusal(fact: DatedFact) -> str:
    holds = (
        "the built-in policies hold" if fact.name in POLICY_FACTS else "the run goes on as if there were no such file"
    )
    return f"{fact.path}: no version of it was ever landed: until it is corrected {holds}"


def _replace_table(run: LandingRun, table: LandingTable, rows: pa.Table) -> bool:
    """Let `rows` be all of an unpartitioned table; False when they were."""
    run.engine.register("landing_facts", rows)
    slice_rows = slices.SliceRows(lake.hash_text(table.name), None, "select * from landing_facts")
    changed = slices.swap_slices(run.home, run.engine, table, [slice_rows])
    run.engine.unregister("landing_facts")
    return changed


def _stamp(rows: pa.Table, table: LandingTable) -> pa.Table:
    """Rows with the audit columns of data that came with a package, not from an object."""
    for name, kind in AUDIT_COLUMNS:
        values = pa.repeat(pa.scalar(table.name), rows.num_rows) if name == "_source" else pa.nulls(rows.num_rows, kind)
        rows = rows.append_column(name, values)
    return rows


def _read_landed_versions(run: LandingRun) -> dict[str, dict[str, Any]]:
    """The row of the book for the last landed version of each file."""
    book = read_book(run.home, CONFIG_VERSIONS)
    return {} if book is None else {row["name"]: row for row in book.to_pylist()}


def _read_booked(home: Home, name: str, version: Mapping[str, Any]) -> pa.Table:
    """The rows of a landed version, out of its text in the book."""
    with TemporaryDirectory(dir=home.scratch_dir) as folder:
        past = Home(Path(folder))
        path = get_fact_path(past, name)
        path.parent.mkdir()
        path.write_text(version["text"], encoding="utf-8")
        rows = read_dated_fact(past, name).table
    told = {"_object": str(get_fact_path(home, name)), "_delivery_id": version["version_id"]}
    for column, value in told.items():
        place = rows.schema.get_field_index(column)
        rows = rows.set_column(place, column, pa.repeat(pa.scalar(value), rows.num_rows))
    return rows


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
