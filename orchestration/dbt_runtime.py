"""What dbt needs around it: its environment, its manifest, and a plain account of what failed.

dbt always runs as a subprocess: in this process it would keep the warehouse file locked after it ended.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest.home import Home
from orchestration.dbt_child import PARENT_VARIABLE

REPOSITORY: Final = Path(__file__).resolve().parents[1]
DEFAULT_TARGET: Final = "duckdb"
DBT_EXECUTABLE: Final = Path(sys.executable).parent / "wattledger-dbt"

_PROJECT_DIR: Final = REPOSITORY / "dbt_project"
_CODE_PATHS: Final = (
    _PROJECT_DIR / "models",
    _PROJECT_DIR / "macros",
    _PROJECT_DIR / "seeds",
    REPOSITORY / "dbt_project.yml",
    REPOSITORY / "ingest" / "contracts.py",
)
_MANIFEST_PATHS: Final = (*_CODE_PATHS, _PROJECT_DIR / "tests", REPOSITORY / "profiles.yml")
_RUNS_KEPT: Final = 10
_MEGABYTE: Final = 1024 * 1024


class DbtError(Exception):
    """dbt could not read the project, or a model or test failed. The message names each one and the log."""


@dataclass(frozen=True)
class DbtFailure:
    """One model or test that failed, in dbt's words."""

    unique_id: str
    status: str  # error: did not run to its end; fail: a test that found rows
    message: str

    @property
    def name(self) -> str:
        """`test assert_no_gap`, `model fct_cost_ledger`."""
        resource_type, _, name = self.unique_id.split(".", 2)
        return f"{resource_type} {name.rsplit('.', 1)[0] if resource_type == 'test' else name}"


def fingerprint_code() -> str:
    """A hash of all that decides what a model computes; when it changes, everything is rebuilt."""
    return _hash_files(_CODE_PATHS)


def ensure_manifest(home: Home) -> Path:
    """Path of the home's manifest, parsed anew when any file of the dbt project differs from what it was made from.

    Raises `DbtError` with dbt's own words when the project cannot be parsed.
    """
    manifest_path = home.dbt_target_dir / "manifest.json"
    stamp_path = home.dbt_target_dir / "manifest.fingerprint"
    expected = f"{_hash_files(_MANIFEST_PATHS)} {importlib.metadata.version('dbt-core')}"
    if manifest_path.is_file() and stamp_path.is_file() and stamp_path.read_text(encoding="utf-8") == expected:
        return manifest_path
    # Parsed aside and renamed: a web server may be reading the manifest that stands.
    aside = home.dbt_target_dir / f"parse-{os.getpid()}"
    aside.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(home.dbt_target_dir / "partial_parse.msgpack", aside)
        environment = os.environ | build_environment(home) | {"DBT_TARGET_PATH": str(aside)}
        # With the target named as the build names it, or dbt takes the parse for another profile's and starts anew.
        command = [str(DBT_EXECUTABLE), "--no-use-colors", "parse", "--target", DEFAULT_TARGET]
        parsed = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
        if parsed.returncode != 0:
            raise DbtError(f"dbt cannot read {_PROJECT_DIR}:\n{(parsed.stdout + parsed.stderr).strip()}")
        for name in ("partial_parse.msgpack", "manifest.json"):
            (aside / name).replace(home.dbt_target_dir / name)
        stamp_path.write_text(expected, encoding="utf-8")
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return manifest_path


def build_environment(home: Home) -> dict[str, str]:
    """The variables that bind dbt to one home: two homes that shared a target folder would parse each other away."""
    temp_dir = home.state_dir / "tmp"
    temp_dir.mkdir(parents=True, exist_ok=True)
    return {
        "WATTLEDGER_HOME": str(home.path),
        "WATTLEDGER_WAREHOUSE": str(home.warehouse_path),
        "WATTLEDGER_MEMORY_LIMIT": os.environ.get("WATTLEDGER_MEMORY_LIMIT") or _halve_memory(),
        "WATTLEDGER_TEMP_DIRECTORY": str(temp_dir),
        PARENT_VARIABLE: str(os.getpid()),
        "DBT_PROJECT_DIR": str(REPOSITORY),
        "DBT_PROFILES_DIR": str(REPOSITORY),
        "DBT_TARGET_PATH": str(home.dbt_target_dir),
        "DBT_LOG_PATH": str(home.dbt_log_dir),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_VERSION_CHECK": "false",
    }


@contextlib.contextmanager
def bound_environment(home: Home) -> Iterator[None]:
    """`os.environ` bound to one home inside the block; dagster-dbt hands it to dbt as it is."""
    variables = build_environment(home)
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def prepare_run_dir(home: Home, run_id: str) -> Path:
    """An empty folder for one dbt run's artifacts and log; older ones than the last few are removed."""
    runs_dir = home.state_dir / "dbt" / "runs"
    runs_dir.mkdir(parents=True, exist_ok=True)
    past = sorted((path for path in runs_dir.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for path in past[: -(_RUNS_KEPT - 1)]:
        shutil.rmtree(path, ignore_errors=True)
    run_dir = runs_dir / run_id
    shutil.rmtree(run_dir, ignore_errors=True)
    run_dir.mkdir()
    return run_dir


def read_failures(run_dir: Path) -> list[DbtFailure]:
    """What failed in the dbt run whose artifacts are in `run_dir`; empty when dbt never got to run a node."""
    results_path = run_dir / "run_results.json"
    if not results_path.is_file():
        return []
    results = json.loads(results_path.read_text(encoding="utf-8"))["results"]
    return [
        DbtFailure(result["unique_id"], result["status"], " ".join((result["message"] or "").split()))
        for result in results
        if result["status"] in ("error", "fail", "runtime error")
    ]


def describe_failures(failures: Iterable[DbtFailure], run_dir: Path) -> str:
    """One paragraph for a person: each failing model or test with its message, and where the log is."""
    lines = [f"  {failure.name}: {failure.message}" for failure in failures]
    log = f"Log: {run_dir / 'dbt.log'}; the SQL of each is under {run_dir / 'compiled'}."
    if not lines:
        return f"dbt ended before it ran anything. {log}"
    return "\n".join([f"{len(lines)} of the warehouse's models or laws failed:", *lines, log])


def _hash_files(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(f"{file.relative_to(REPOSITORY).as_posix()}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _halve_memory() -> str:
    """Half of what this machine or its container has, in DuckDB's words."""
    available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        available = min(available, int(limit))  # the word "max" is no limit
    return f"{max(available // 2 // _MEGABYTE, 512)}MiB"
