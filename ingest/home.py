"""A home: the folder with all the state of one company, and the lock that lets one writer in at a time.

Nothing is written outside a home, so two homes never meet. The lock is flock(2) on HOME/.lock: the kernel drops it when
its holder dies, however it dies, so a killed run never blocks the next one.
"""

import contextlib
import fcntl
import json
import os
import shlex
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ingest.config_templates import CSV_NOTES, POLICIES_TEMPLATE, SOURCES_TEMPLATE
from ingest.contracts import DATED_FACTS, POLICY_FACTS

HOME_VARIABLE: Final = "WATTLEDGER_HOME"
_POLL_SECONDS: Final = 0.1


class HomeError(Exception):
    """The home is absent, not a home, or cannot be made."""


class LockHeldError(Exception):
    """Another process writes this home. `holder` is what it said of itself, empty where it could not be read."""

    def __init__(self, message: str, holder: dict[str, str]) -> None:
        super().__init__(message)
        self.holder = holder


@dataclass(frozen=True)
class Home:
    """Where everything of one company is. Paths only: making a `Home` touches no disk."""

    path: Path

    @property
    def config_dir(self) -> Path:
        return self.path / "config"

    @property
    def sources_path(self) -> Path:
        return self.config_dir / "sources.yml"

    @property
    def policies_path(self) -> Path:
        return self.config_dir / "policies.yml"

    @property
    def lake_dir(self) -> Path:
        return self.path / "lake"

    @property
    def books_dir(self) -> Path:
        return self.path / "books"

    @property
    def quarantine_dir(self) -> Path:
        return self.path / "quarantine"

    @property
    def warehouse_path(self) -> Path:
        return self.path / "warehouse.duckdb"

    @property
    def published_dir(self) -> Path:
        return self.path / "published"

    @property
    def outbox_dir(self) -> Path:
        return self.path / "outbox"

    @property
    def report_dir(self) -> Path:
        return self.path / "report"

    @property
    def state_dir(self) -> Path:
        return self.path / ".state"

    @property
    def dagster_dir(self) -> Path:
        return self.state_dir / "dagster"

    @property
    def dbt_target_dir(self) -> Path:
        return self.state_dir / "dbt" / "target"

    @property
    def dbt_log_dir(self) -> Path:
        return self.state_dir / "dbt" / "logs"

    @property
    def scratch_dir(self) -> Path:
        """What may be deleted whenever nobody holds the lock."""
        return self.state_dir / "scratch"

    @property
    def lock_path(self) -> Path:
        return self.path / ".lock"

    @property
    def folders(self) -> tuple[Path, ...]:
        """Every folder of a home, parents first."""
        return (
            self.config_dir,
            self.lake_dir,
            self.books_dir,
            self.quarantine_dir,
            self.published_dir,
            self.outbox_dir,
            self.report_dir,
            self.dagster_dir,
            self.dbt_target_dir,
            self.dbt_log_dir,
            self.scratch_dir,
        )


def open_home(path: str | Path | None) -> Home:
    """The home at `path`, or at $WATTLEDGER_HOME when `path` is None.

    Raises `HomeError` when neither is given, or when there is no home there.
    """
    named_by = "--home"
    if path is None:
        named_by = HOME_VARIABLE
        path = os.environ.get(HOME_VARIABLE) or None
    if path is None:
        raise HomeError(
            f"No home was named: expected --home HOME or ${HOME_VARIABLE}, found neither. "
            "Make one with `wattledger init HOME`, or one with a synthetic company with `wattledger init HOME --demo`."
        )
    home = Home(_make_absolute(path))
    if not home.sources_path.is_file():
        found = "no such folder" if not home.path.exists() else "no config/sources.yml in it"
        raise HomeError(
            f"No home at {home.path} (from {named_by}): {found}. Make one there with `wattledger init {home.path}`."
        )
    return home


def create_home(path: str | Path) -> Home:
    """Make folders and commented config files at `path`. What is there already is kept as it is.

    Raises `HomeError` when the folder cannot be made or written.
    """
    home = Home(_make_absolute(path))
    files = {home.sources_path: SOURCES_TEMPLATE, home.policies_path: POLICIES_TEMPLATE}
    for name, table in DATED_FACTS.items():
        if name not in POLICY_FACTS:
            header = ",".join(column for column, _ in table.columns)
            files[home.config_dir / f"{name}.csv"] = f"{CSV_NOTES[name]}{header}\n"
    try:
        for folder in home.folders:
            folder.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            with contextlib.suppress(FileExistsError), file.open("x", encoding="utf-8", newline="") as stream:
                stream.write(text)
    except OSError as error:
        raise HomeError(
            f"Cannot make a home at {home.path}: {error.strerror} ({error.filename}). "
            "Name a folder that can be written, or one that does not exist yet."
        ) from error
    return home


def _make_absolute(path: str | Path) -> Path:
    return Path(os.path.normpath(Path(path).expanduser().absolute()))


# --- the lock --------------------------------------------------------------------------------------------------------

_FileKey = tuple[int, int]


class _Held:
    """One lock this process holds: its descriptor and how many `hold_lock` blocks are inside it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.depth = 1


_held: dict[_FileKey, _Held] = {}
_held_guard = threading.Lock()


def _forget_inherited_locks() -> None:
    # A forked child shares the parent's open file: left open, it would keep the home locked after the parent died.
    global _held_guard
    _held_guard = threading.Lock()
    for held in _held.values():
        os.close(held.descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget_inherited_locks)


@contextlib.contextmanager
def hold_lock(home: Home, wait_seconds: float = 0.0) -> Iterator[None]:
    """Be the one writer of `home` inside the block; wait up to `wait_seconds` for another process to finish.

    A process that holds the lock may take it again, from any thread. Child processes never inherit it.
    Raises `LockHeldError` saying who holds it, `HomeError` when the lock file cannot be opened.
    """
    key = _take_lock(home, time.monotonic() + wait_seconds)
    try:
        yield
    finally:
        _give_back_lock(key)


def _take_lock(home: Home, deadline: float) -> _FileKey:
    while True:
        key = _try_lock(home)
        if key is not None:
            return key
        left_seconds = deadline - time.monotonic()
        if left_seconds <= 0:
            raise _describe_holder(home)
        time.sleep(min(_POLL_SECONDS, left_seconds))


def _try_lock(home: Home) -> _FileKey | None:
    """The lock's key when it is ours now, None when another process has it."""
    with _held_guard:
        try:
            descriptor = os.open(home.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise HomeError(
                f"Cannot open the lock {home.lock_path}: {error.strerror}. "
                "Check that the home exists and that this user may write it."
            ) from error
        status = os.fstat(descriptor)
        key = (status.st_dev, status.st_ino)
        held = _held.get(key)
        if held is not None:
            os.close(descriptor)
            held.depth += 1
            return key
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_holder(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        _held[key] = _Held(descriptor)
        return key


def _give_back_lock(key: _FileKey) -> None:
    with _held_guard:
        held = _held.get(key)
        if held is None:  # this is a forked child leaving the parent's block
            return
        held.depth -= 1
        if held.depth == 0:
            del _held[key]
            with contextlib.suppress(OSError):
                os.ftruncate(held.descriptor, 0)
            os.close(held.descriptor)


def _write_holder(descriptor: int) -> None:
    holder = {
        "pid": str(os.getpid()),
        "host": socket.gethostname(),
        "command": shlex.join(sys.argv),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _describe_holder(home: Home) -> LockHeldError:
    try:
        holder = json.loads(home.lock_path.read_text(encoding="utf-8"))
        holder = {name: str(holder[name]) for name in ("pid", "host", "command", "since")}
    except (OSError, ValueError, KeyError, TypeError):
        holder = {}
    who = (
        "process {pid} on {host} (`{command}`), since {since}".format_map(holder)
        if holder
        else "another process, which has not written its name yet"
    )
    return LockHeldError(
        f"The home {home.path} is being written by {who}. Wait for it to finish or end it; its lock goes with it.",
        holder,
    )
