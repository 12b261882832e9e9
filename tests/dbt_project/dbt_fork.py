"""dbt in forks of a process that has read the project once: reading it costs more than building a small warehouse.

Imported by the fork server alone, which reads the project as it imports; every call is a fork of it, and a fork that
has ended holds no lock on a warehouse.
"""

import os
import tempfile
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_NOWHERE: Final = tempfile.TemporaryDirectory(prefix="dbt-fork-")


def _arguments(command: str, arguments: tuple[str, ...], folder: Path) -> list[str]:
    places = {"project-dir": _REPOSITORY, "profiles-dir": _REPOSITORY}
    written = {"target-path": folder / "target", "log-path": folder / "logs"}
    named = [word for name, path in (places | written).items() for word in (f"--{name}", str(path))]
    return ["--quiet", command, *named, *arguments]


# Names of relations are read with the project: they say what every warehouse here is called.
os.environ["WATTLEDGER_WAREHOUSE"] = "warehouse.duckdb"
_PARSED: Final = dbtRunner().invoke(_arguments("parse", (), Path(_NOWHERE.name)))


def answer(
    end: Connection,
    warehouse: Path,
    command: str,
    arguments: tuple[str, ...],
    environment: Mapping[str, str],
    wrapped: Mapping[str, str],
) -> None:
    """Send `(what failed in words, or nothing; [(unique id, status, failures)])` of one call of dbt on `warehouse`.

    `wrapped` has models whose own query stands in another one, as its `{sql}`.
    """
    os.environ.clear()
    os.environ.update(environment, WATTLEDGER_WAREHOUSE=str(warehouse))
    time.tzset()
    done = _PARSED
    results: Any = ()
    if isinstance(done.result, Manifest):
        for node in done.result.nodes.values():
            if node.name in wrapped:
                node.raw_code = wrapped[node.name].replace("{sql}", node.raw_code)
        done = dbtRunner(manifest=done.result).invoke(_arguments(command, arguments, warehouse.parent))
        results = getattr(done.result, "results", ())
    told = [f"{result.node.unique_id}: {result.status}: {result.message}" for result in results if result.message]
    failed = "" if done.success else "\n".join(filter(None, [str(done.exception or ""), *told]))
    # A fork ends without the interpreter's farewell, which is where dbt would fold the write-ahead log into the file.
    DuckDBConnectionManager.close_all_connections()
    end.send((failed, [(result.node.unique_id, str(result.status), result.failures) for result in results]))
