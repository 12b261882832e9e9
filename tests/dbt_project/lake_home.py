"""A home whose landing tables are written by hand, object by object, and built as the product builds it: what is
touched follows from the lake's files."""

import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ingest import lake
from ingest.contracts import LandingTable, landing_tables
from ingest.control_totals import record_totals
from ingest.home import Home, create_home
from ingest.raw_views import pin, record_success
from ingest.registry import LANDED, SUPERSEDED, Registry, RegistryRow
from tests.dbt_project.small_warehouse import read_rows, run_dbt
from tests.dbt_project.touched_models import TOUCHED_LISTS, TouchedModels

Rows = Iterable[Mapping[str, object]]
Arrival = Mapping[str, Mapping[str, Rows]]
"""Rows by object and landing table. An object that came before is replaced; without rows it is withdrawn."""

_CODE: Final = "code of the test"


def _select(tests: tuple[str, ...]) -> list[str]:
    return ["--select", *tests] if tests else []


class LakeHome:
    """One home and its warehouse."""

    def __init__(self, path: Path) -> None:
        self.home: Home = create_home(path)
        self._written: dict[tuple[str, str], list[lake.NewFile]] = defaultdict(list)

    def land(self, arrival: Arrival) -> None:
        """Write the rows of each object, in place of those that it had."""
        for table_name, objects in arrival.items():
            for uri, rows in objects.items():
                self._swap(table_name, uri, [dict(row) for row in rows])

    def _swap(self, table_name: str, uri: str, rows: list[dict[str, object]]) -> None:
        table = landing_tables()[table_name]
        parts: dict[object, list[dict[str, object]]] = defaultdict(list)
        for position, row in enumerate(rows, start=1):
            landed = {"_source": table_name} | row | {"_object": uri, "_position": position}
            parts[landed[table.partition] if table.partition else None].append(landed)
        current = {file.path: file for file in lake.list_files(self.home, table)}
        gone = [current[file.path] for file in self._written.pop((table_name, uri), [])]
        files = [self._write(table_name, uri, day, part) for day, part in parts.items()]
        lake.swap_files(self.home, table, files, gone)
        self._written[table_name, uri] = files
        if table.partition:
            self._count(table, uri, Counter(str(row.get("_source", table_name)) for row in rows))

    def _count(self, table: LandingTable, uri: str, rows_by_source: Counter[str]) -> None:
        """What landing says of an object beside its rows: its control totals, then its rows in the registry."""
        slice_id = lake.hash_text(uri)
        files = [file for file in lake.list_files(self.home, table) if file.slice_id == slice_id]
        known = {"source_kind": "by-hand", "table_name": table.name, "slice_key": uri, "object_uri": uri}
        known |= {"version": "", "etag": "", "sha256": "", "options_sha256": "", "message": None}
        with lake.open_engine(self.home) as engine:
            record_totals(self.home, engine, table, {uri: lake.select_files_sql(engine, table, files)})
            registry = Registry(self.home, engine)
            for source in {*rows_by_source, *registry.find_owners(table, uri)}:
                count = rows_by_source[source]
                counts = {"rows_read": count, "rows_landed": count, "rows_quarantined": 0}
                outcome = {"status": LANDED if count else SUPERSEDED, "data_through_at": None}
                registry.record([RegistryRow(source_name=source, **known, **counts, **outcome)])  # type: ignore[arg-type]

    def _write(self, table_name: str, uri: str, day: object, rows: list[dict[str, object]]) -> lake.NewFile:
        table = landing_tables()[table_name]
        assert day is None or isinstance(day, date)
        self.home.scratch_dir.mkdir(parents=True, exist_ok=True)
        arrow_rows = pa.Table.from_pylist(rows, schema=table.schema)
        content = lake.hash_text(json.dumps(rows, default=str, sort_keys=True))
        written = self.home.scratch_dir / f"{content}.parquet"
        stored = arrow_rows.drop_columns([table.partition]) if table.partition else arrow_rows
        pq.write_table(stored, written)
        path = lake.name_file(table, lake.hash_text(uri), content, day)
        return lake.NewFile(path, written, len(rows), day, uri, uri)

    def build(self) -> None:
        """One build of what is touched, all of it in a warehouse made anew."""
        plan = pin(self.home, code_fingerprint=_CODE)
        if plan.is_full_refresh:
            run_dbt(self.home.warehouse_path, "seed")
        run_dbt(self.home.warehouse_path, "run", *(["--full-refresh"] if plan.is_full_refresh else []))
        record_success(self.home, plan)

    def check(self, *tests: str) -> None:
        """Tests of dbt by name are green, all that are no unit tests where none is named."""
        run_dbt(self.home.warehouse_path, "test", "--exclude-resource-type", "unit_test", *_select(tests))

    def rebuild(self) -> "LakeHome":
        """The same lake in a home and a warehouse made anew."""
        again = LakeHome(self.home.path.with_name(f"{self.home.path.name}-anew"))
        shutil.copytree(self.home.lake_dir, again.home.lake_dir, dirs_exist_ok=True)
        again.build()
        return again

    def read_touched_models(self) -> TouchedModels:
        """The models as the last build knew them."""
        return TouchedModels(json.loads((self.home.path / "target" / "manifest.json").read_text()))

    def read_models(self) -> dict[str, Counter[tuple]]:
        """Every row of every model that holds all keys, by model."""
        models = self.read_touched_models()
        with duckdb.connect(str(self.home.warehouse_path), read_only=True) as connection:
            return {
                name: Counter(connection.execute(f"select * from {relation}").fetchall())
                for name, relation in models.whole_relations().items()
            }

    def read_foreign_keys(self) -> dict[str, list[object]]:
        """By incremental model, keys that its query yields now although the last build was not to replace them."""
        compiled = self.home.path / "target" / "compiled" / "wattledger"
        found: dict[str, list[object]] = {}
        for node in self.read_touched_models().incremental():
            key = node["config"]["unique_key"]
            touched = f"select {key} from raw.{TOUCHED_LISTS[key].rpartition('.')[2]}"
            if node["config"]["incremental_strategy"] == "replace_around_touched":
                touched = f"select unnest([{key} - 1, {key}, {key} + 1]) from ({touched})"
            query = (compiled / node["original_file_path"]).read_text()
            rows = self.read(f"select distinct {key} from ({query}) where ({key} in ({touched})) is not true")
            found |= {node["name"]: [row[0] for row in rows]} if rows else {}
        return found

    def read(self, query: str) -> list[tuple]:
        return read_rows(self.home.warehouse_path, query)
