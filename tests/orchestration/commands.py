"""Our command as a person runs it, and what it published, for the tests of this folder."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb

from ingest.home import Home

WATTLEDGER = Path(sys.executable).parent / "wattledger"


def make_environment(home: Home | None = None) -> dict[str, str]:
    """The environment of a command of ours, bound to a home or to none."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("WATTLEDGER_", "DAGSTER_"))}
    if home is None:
        return clean
    bound = {"WATTLEDGER_HOME": str(home.path), "DAGSTER_HOME": str(home.dagster_dir)}
    return clean | bound | {"DAGSTER_DISABLE_TELEMETRY": "yes"}


def run_wattledger(*arguments: str, home: Home | None = None) -> subprocess.CompletedProcess[str]:
    """`wattledger …` in a process of its own, as a person runs it."""
    environment = make_environment(home)
    return subprocess.run(
        [str(WATTLEDGER), *arguments], env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def read_published(home: Home) -> dict[str, list[tuple[object, ...]]]:
    """Every published mart as sorted rows; the build's own record is left out."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{home.published_dir / 'marts.duckdb'}' as published (read_only)")
        names = [
            name
            for (name,) in connection.execute(
                "select table_name from duckdb_tables() where database_name = 'published' order by 1"
            ).fetchall()
            if name != "build_info"
        ]
        return {
            name: connection.execute(f"select * from published.{name} order by all").fetchall()  # type: ignore[misc]
            for name in names
        }
