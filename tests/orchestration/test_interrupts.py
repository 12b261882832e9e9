"""Ctrl-C at each step, in a real terminal: one sentence, exit code 130, no process left, and the next run is clean."""

import io
import os
import pty
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from ingest.home import Home
from orchestration.console import ConsoleProgress
from orchestration.interrupts import raised_as_keyboard_interrupt
from tests.orchestration.commands import WATTLEDGER, make_environment, read_published, run_wattledger
from tests.orchestration.test_run import add_requests

CTRL_C = b"\x03"


@dataclass(frozen=True)
class Stopped:
    """What came of a command that was interrupted."""

    code: int
    said: str
    left_behind: list[psutil.Process]
    seconds: float


def interrupt(home: Home, *arguments: str, at: str, times: int = 1) -> Stopped:
    """Run a command in a terminal of its own, and press Ctrl-C there as soon as a log of it has a line that matches."""
    known = set(find_logs(home))
    terminal, inner = pty.openpty()
    process = subprocess.Popen(
        [str(WATTLEDGER), *arguments],
        env=make_environment(home) | {"TERM": "xterm", "COLUMNS": "200"},
        stdin=inner,
        stdout=inner,
        stderr=inner,
        preexec_fn=lambda: os.login_tty(inner),
    )
    os.close(inner)
    os.set_blocking(terminal, False)
    said = b""
    children: list[psutil.Process] = []
    pressed_at: list[float] = []
    deadline = time.monotonic() + 300
    while process.poll() is None:
        assert time.monotonic() < deadline, said.decode(errors="replace")
        said += read_all(terminal)
        if not pressed_at and any(at in log.read_text() for log in set(find_logs(home)) - known):
            children = psutil.Process(process.pid).children(recursive=True)
            pressed_at.append(time.monotonic())
            os.write(terminal, CTRL_C)
        elif pressed_at and len(pressed_at) < times and time.monotonic() - pressed_at[-1] > 0.2:
            pressed_at.append(time.monotonic())
            os.write(terminal, CTRL_C)
        time.sleep(0.01)
    said += read_all(terminal)
    os.close(terminal)
    assert pressed_at, said.decode(errors="replace")
    _, alive = psutil.wait_procs(children, timeout=10)
    return Stopped(process.returncode, said.decode(errors="replace"), alive, time.monotonic() - pressed_at[0])


def find_logs(home: Home) -> list[Path]:
    return [*home.state_dir.glob("logs/*.log"), *home.state_dir.glob("dbt/runs/*/dbt.log")]


def read_all(terminal: int) -> bytes:
    said = b""
    try:
        while more := os.read(terminal, 65536):
            said += more
    except (BlockingIOError, OSError):
        pass  # nothing more yet; or the other side has ended
    return said


def assert_one_sentence(stopped: Stopped) -> None:
    assert stopped.code == 130, stopped.said
    assert "Traceback" not in stopped.said
    assert "Error" not in stopped.said
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stopped.said).replace("^C", "").strip().splitlines()
    assert shown[-1].strip() == "Stopped. What was landed and published stays; the next run goes on from there."
    assert stopped.left_behind == []
    assert stopped.seconds < 60


def forget_the_lake(home: Home) -> None:
    for folder in (home.path / "lake", home.path / "quarantine"):
        shutil.rmtree(folder, ignore_errors=True)


def forget_what_is_published(home: Home) -> None:
    shutil.rmtree(home.published_dir)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    ("prepare", "arguments", "at"),
    [
        pytest.param(forget_the_lake, ["land"], "landing - STEP_START", id="land"),
        pytest.param(forget_what_is_published, ["publish"], "published__marts - STEP_START", id="publish"),
        pytest.param(lambda _: None, ["email", "--date", "2026-10-03"], "daily_emails - STEP_START", id="email"),
    ],
)
def test_a_step_that_is_interrupted_says_one_sentence_and_runs_again(
    built_home: Home, prepare: Callable[[Home], None], arguments: list[str], at: str, times: int
):
    before = read_published(built_home)
    prepare(built_home)
    assert_one_sentence(interrupt(built_home, *arguments, at=at, times=times))
    again = run_wattledger(*arguments, home=built_home)
    assert again.returncode == 0, again.stdout + again.stderr
    assert read_published(built_home) == before


def test_an_interrupted_build_leaves_what_is_published(built_home: Home):
    add_requests(built_home)
    before = read_published(built_home)
    assert_one_sentence(interrupt(built_home, "run", at="OK created"))
    assert read_published(built_home) == before


@pytest.mark.long
def test_after_an_interrupted_build_the_next_run_builds(built_home: Home):
    add_requests(built_home)
    before = read_published(built_home)
    assert_one_sentence(interrupt(built_home, "run", at="OK created", times=3))
    assert read_published(built_home) == before
    again = run_wattledger("run", home=built_home)
    assert again.returncode == 0, again.stdout + again.stderr
    assert read_published(built_home) != before


def test_an_interrupt_that_dagster_forgets_still_stops_the_command():
    with pytest.raises(KeyboardInterrupt), raised_as_keyboard_interrupt():
        previous = signal.signal(signal.SIGINT, lambda *_: None)  # as Dagster does between two steps
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            signal.signal(signal.SIGINT, previous)


def test_what_an_engine_makes_of_an_interrupt_is_one_too():
    with pytest.raises(KeyboardInterrupt), raised_as_keyboard_interrupt():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        except KeyboardInterrupt:
            raise RuntimeError("Query interrupted") from None


def test_an_interrupt_inside_an_inner_block_is_known_to_the_outer_one():
    with pytest.raises(KeyboardInterrupt), raised_as_keyboard_interrupt():
        try:
            with raised_as_keyboard_interrupt():
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(1)
        except KeyboardInterrupt:
            raise KeyError("what clean-up stumbled on") from None


def test_a_task_that_was_interrupted_before_it_had_a_bar_ends():
    console = Console(force_terminal=True, file=io.StringIO())
    with ConsoleProgress(console) as progress:
        progress.report("build", 0, 2)
        progress._tasks.clear()
