"""What dbt needs around it: its environment, its manifest, and a plain account of what failed.

dbt always runs as a subprocess: in this process it would keep the warehouse file locked after it ended.
"""

import ast
import contextlib
import functools
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

from ingest.disposable import REPAIRS, remove
from ingest.home import Home
from orchestration.dbt_child import PARENT_VARIABLE

REPOSITORY: Final = Path(__file__).resolve().parents[1]
DEFAULT_TARGET: Final = "duckdb"
DBT_EXECUTABLE: Final = Path(sys.executable).parent / "wattledger-dbt"

_PROJECT_DIR: Final = REPOSITORY / "dbt_project"
_MODEL_PATHS: Final = (
    _PROJECT_DIR / "models",
    _PROJECT_DIR / "macros",
    _PROJECT_DIR / "seeds",
    REPOSITORY / "dbt_project.yml",
)
_MANIFEST_PATHS: Final = (*_MODEL_PATHS, _PROJECT_DIR / "tests", REPOSITORY / "profiles.yml")
_RAW_VIEWS: Final = REPOSITORY / "ingest" / "raw_views.py"
"""With what it imports: the landing tables, their views, and the rule of what is touched."""

_ENGINES: Final = ("dbt-core", "dbt-duckdb", "duckdb")
_PARSED_FILES: Final = ("partial_parse.msgpack", "manifest.json")
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
    """A hash of all that decides what a build computes; when it changes, everything is rebuilt."""
    engines = " ".join(f"{name} {importlib.metadata.version(name)}" for name in _ENGINES)
    return hashlib.sha256(f"{_hash_files(list_code_files())} {engines}".encode()).hexdigest()


def list_code_files() -> list[Path]:
    """Models, macros and seeds; and the module of the raw views with every module of ours that it imports."""
    return sorted([*_list_files(_MODEL_PATHS), *_follow_imports(_RAW_VIEWS)])


@functools.cache
def _follow_imports(module: Path) -> frozenset[Path]:
    """The files of a module and of all modules of its package that it imports, directly or not."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _list_imports(file)
    return frozenset(found)


def _list_imports(file: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        paths = (REPOSITORY.joinpath(*name.split(".")).with_suffix(".py") for name in names)
        yield from (path for path in paths if path.is_file())


def ensure_manifest(home: Home) -> Path:
    """Path of the home's manifest, parsed anew when any file of the dbt project differs from what it was made from.

    Raises `DbtError` with dbt's own words when the project cannot be parsed.
    """
    manifest_path = home.dbt_target_dir / "manifest.json"
    stamp_path = home.dbt_target_dir / "manifest.fingerprint"
    made_from = f"{_hash_files(_MANIFEST_PATHS)} {importlib.metadata.version('dbt-core')}"
    found = stamp_path.read_bytes() if stamp_path.is_file() else b""
    if found == _describe_parse(home, made_from).encode():
        return manifest_path
    _remove_spoiled_parse(home, found)
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
        for name in _PARSED_FILES:
            (aside / name).replace(home.dbt_target_dir / name)
        remove(stamp_path)
        stamp_path.write_text(_describe_parse(home, made_from), encoding="utf-8")
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return manifest_path


def _describe_parse(home: Home, made_from: str) -> str:
    """What the last parse was made from, and a hash of each file that it wrote."""
    return " ".join([made_from, *(_hash_parsed(home.dbt_target_dir / name) for name in _PARSED_FILES)])


def _hash_parsed(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "absent"


def _remove_spoiled_parse(home: Home, stamp: bytes) -> None:
    """Delete files of the last parse that are not as it wrote them: dbt would trust them."""
    written = stamp.decode(errors="replace").split()
    files = [home.dbt_target_dir / name for name in _PARSED_FILES]
    spoiled = [file for file in files if file.exists() and _hash_parsed(file) not in written]
    for file in spoiled:
        remove(file)
    if len(written) > len(_PARSED_FILES) and spoiled:
        names = " and ".join(file.name for file in spoiled)
        REPAIRS.warning("%s: %s changed since dbt wrote it: the models are read anew.", home.dbt_target_dir, names)


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
    for file in _list_files(paths):
        digest.update(f"{file.relative_to(REPOSITORY).as_posix()}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _list_files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield from (file for file in (sorted(path.rglob("*")) if path.is_dir() else [path]) if file.is_file())


def _halve_memory() -> str:
    """Half of what this machine or its container has, in DuckDB's words."""
    available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        available = min(available, int(limit))  # the word "max" is no limit
    return f"{max(available // 2 // _MEGABYTE, 512)}MiB"
