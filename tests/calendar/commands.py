"""The `wattledger` command as a fork of a process that has loaded it: what a day costs is then the day's own work.

The fork server imports what every command imports, once. A fork runs `main` in a session of its own with its own
environment and output, and can be killed with all that it started, as any command can.
"""

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from tests.calendar.dagster_day import DagsterDay, run_dagster_day

_FORKS: Final = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.calendar.preloaded"])


@dataclass(frozen=True)
class Done:
    """How one command ended: its exit code (negative: the signal that ended it), and all it printed."""

    arguments: tuple[str, ...]
    returncode: int
    output: str
    seconds: float

    def __str__(self) -> str:
        command = " ".join(self.arguments)
        return f"wattledger {command}: exit {self.returncode} after {self.seconds:.1f} s\n{self.output}"


@dataclass(frozen=True)
class Upgrade:
    """A release that reads one kind of source anew: the version of its reader, from the first command after it on."""

    kind: str
    reader_version: int


def run_command(
    *arguments: str,
    environment: Mapping[str, str],
    folder: Path,
    upgrades: Sequence[Upgrade] = (),
    killed_after_seconds: float | None = None,
) -> Done:
    """Run `wattledger` with `arguments` to its end, or kill it (-9) with its children after some seconds."""
    output = folder / "command-output.txt"
    begun = time.monotonic()
    process = _FORKS.Process(target=_run, args=(arguments, dict(environment), str(output), tuple(upgrades)))
    process.start()
    process.join(killed_after_seconds)
    if process.exitcode is None:
        _kill(process)
    text = output.read_text(encoding="utf-8", errors="replace")
    assert process.exitcode is not None
    return Done(arguments, process.exitcode, text, time.monotonic() - begun)


def run_dagster(home_path: Path, at: str, *, environment: Mapping[str, str], folder: Path) -> DagsterDay:
    """One day of a home through Dagster's sensor, schedule and jobs. Raises `AssertionError` when it died of it."""
    told = folder / "dagster-day.json"
    told.unlink(missing_ok=True)
    given = (str(home_path), at, str(folder / "cursor.json"), str(told), dict(environment))
    process = _FORKS.Process(target=run_dagster_day, args=given)
    process.start()
    process.join()
    assert told.exists(), Path(f"{told}.log").read_text(encoding="utf-8")[-4000:]
    return DagsterDay(**json.loads(told.read_text(encoding="utf-8")))


def _kill(process: BaseProcess) -> None:
    assert process.pid is not None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.join()


def _run(arguments: tuple[str, ...], environment: dict[str, str], output: str, upgrades: tuple[Upgrade, ...]) -> None:
    os.setsid()
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["wattledger", *arguments]
    from ingest.kinds import KINDS
    from orchestration.cli import main

    for upgrade in upgrades:
        type(KINDS[upgrade.kind]).reader_version = upgrade.reader_version
    code: object = 0
    try:
        main(list(arguments))
    except SystemExit as ended:
        code = ended.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
