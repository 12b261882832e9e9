"""Exports that cover different parts of one billing account, such as reports of two member accounts.

They stand side by side when each one's source names its `scope`; without it they are versions of one bill, of which
the newer counts, once a person accepted that what it has nothing of goes.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from ingest import lake, slices
from ingest.config import SourceConfig
from ingest.contracts import LandingTable
from ingest.landing_run import LandingRun
from ingest.registry import LANDED, SUPERSEDED, RegistryRow, supersede
from ingest.source import SourceKind

_SCOPE_MARK: Final = "scope "


def name_slice(source: SourceConfig, values: Sequence[str | None], partition_date: date) -> str:
    """The key of the slice that rows of these claims belong to."""
    scope = source.options.get("scope")
    scoped = [f"{_SCOPE_MARK}{scope}"] if scope else []
    # A bill that does not say whose it is can be told from another one by its source alone.
    owner = [] if all(values) else [f"source {source.name}"]
    return json.dumps([*scoped, *owner, *values, str(partition_date)], ensure_ascii=False)


def _read_scope(slice_key: str) -> str | None:
    first = json.loads(slice_key)[0] if slice_key else None
    return first.removeprefix(_SCOPE_MARK) if isinstance(first, str) and first.startswith(_SCOPE_MARK) else None


def release_rescoped(run: LandingRun, sources: Iterable[SourceConfig], kinds: Mapping[str, SourceKind]) -> None:
    """Empty the slices that sources landed under another scope than they have now, and let whatever claimed them be
    read again: the export itself, and those that it had superseded.
    """
    for source in sources:
        table = kinds[source.kind].table
        rescoped = [
            row
            for rows in run.registry.read_source(source.name).values()
            for row in rows
            if row.slice_key and _read_scope(row.slice_key) != source.options.get("scope")
        ]
        for key in dict.fromkeys(row.slice_key for row in rescoped if row.status == LANDED):
            nothing = slices.SliceRows(lake.hash_text(key), None, slices.scan_spool_sql(table, []))
            slices.swap_slices(run.home, run.engine, table, [nothing])
            _release(run, run.registry.read_slice(table, key))
        if unlanded := [row for row in rescoped if row.status == SUPERSEDED]:
            _release(run, unlanded)


def _release(run: LandingRun, released: Sequence[RegistryRow]) -> None:
    """Let the objects of these rows be read again, whatever their tag, and claim what they then claim."""
    objects = {(row.source_name, row.object_uri) for row in released}
    rows = [row for source_name, uri in objects for row in run.registry.read_source(source_name)[uri]]
    run.registry.record(
        [
            replace(supersede(row, "of another scope now"), slice_key="", etag="") if row in released else row
            for row in rows
        ]
    )


def select_landed(run: LandingRun, table: LandingTable, key: str) -> str:
    """A select of the rows that stand in a slice."""
    slice_id = lake.hash_text(key)
    files = [file for file in lake.list_files(run.home, table) if file.slice_id == slice_id]
    return lake.select_files_sql(run.engine, table, files)
