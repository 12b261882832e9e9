"""Usage, exit codes and errors of the command line."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from ingest.home import create_home, hold_lock, open_home
from orchestration.cli import main
from tests.orchestration.commands import WATTLEDGER, make_environment, run_wattledger


@pytest.fixture(autouse=True)
def _no_home_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATTLEDGER_HOME", raising=False)


def test_without_a_home_the_command_is_misused_and_says_how_to_make_one():
    result = CliRunner().invoke(main, ["run"])
    assert result.exit_code == 2
    assert "wattledger init HOME" in result.output


def test_the_help_states_every_exit_code():
    said = CliRunner().invoke(main, ["--help"]).output
    assert re.findall(r"^ +(\d+) {2,}\w", said, flags=re.MULTILINE) == ["0", "1", "2", "130"]


def test_a_folder_that_is_no_home_is_named(tmp_path: Path):
    result = CliRunner().invoke(main, ["doctor", "--home", str(tmp_path)])
    assert result.exit_code == 2
    assert f"No home at {tmp_path}" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["land", "--frobnicate"], id="unknown option"),
        pytest.param(["run", "--target", "spark"], id="engine that is not offered"),
        pytest.param(["run", "--again", "2026-09-30..2026-09-01"], id="span that ends before it begins"),
        pytest.param(["run", "--again", "September"], id="no day"),
        pytest.param(["email", "--date", "31.10.2026"], id="date in another form"),
        pytest.param(["fly"], id="unknown command"),
    ],
)
def test_misuse_ends_with_2(arguments: list[str]):
    assert CliRunner().invoke(main, arguments).exit_code == 2


def test_init_makes_a_home_that_the_environment_can_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    home = tmp_path / "home"
    assert CliRunner().invoke(main, ["init", str(home)]).exit_code == 0
    monkeypatch.setenv("WATTLEDGER_HOME", str(home))
    assert open_home(None).sources_path.is_file()


def test_init_twice_keeps_what_a_person_wrote(tmp_path: Path):
    home = create_home(tmp_path / "home")
    home.sources_path.write_text("sources: []  # ours\n")
    assert CliRunner().invoke(main, ["init", str(home.path)]).exit_code == 0
    assert home.sources_path.read_text() == "sources: []  # ours\n"


def test_the_demo_never_mixes_with_a_folder_that_holds_something(tmp_path: Path):
    (tmp_path / "bill.csv").write_text("mine")
    result = CliRunner().invoke(main, ["init", str(tmp_path), "--demo", "--days", "2", "--scale", "0.01"])
    assert result.exit_code == 1
    assert "is not empty" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["bill.csv"]


def test_the_size_of_the_demo_without_the_demo_is_misuse(tmp_path: Path):
    result = CliRunner().invoke(main, ["init", str(tmp_path / "home"), "--days", "3"])
    assert result.exit_code == 2
    assert "--demo" in result.output


def test_a_broken_sources_file_is_one_paragraph_and_no_traceback(tmp_path: Path):
    home = create_home(tmp_path / "home")
    home.sources_path.write_text("sources:\n  - {name: aws, kind: focsu, location: exports/}\n")
    result = run_wattledger("land", home=home)
    assert result.returncode == 1
    assert "did you mean focus?" in result.stderr
    assert "sources[0].kind (line 2)" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_debug_shows_the_traceback_too(tmp_path: Path):
    home = create_home(tmp_path / "home")
    home.sources_path.write_text("sources: 3\n")
    result = run_wattledger("land", "--debug", home=home)
    assert result.returncode == 1
    assert "Traceback" in result.stderr


def test_a_new_home_has_nothing_to_publish_and_says_what_to_run(tmp_path: Path):
    result = run_wattledger("publish", home=create_home(tmp_path / "home"))
    assert result.returncode == 1
    assert "wattledger build" in result.stderr


def test_the_doctor_names_each_thing_that_is_wrong_and_its_mend(tmp_path: Path):
    home = create_home(tmp_path / "home")
    (home.path / "logs").mkdir()
    home.sources_path.write_text(
        "sources:\n"
        "  - {name: gone, kind: focus, location: exports/bill.csv}\n"
        "  - {name: empty, kind: litellm, location: 'logs/*.jsonl'}\n"
    )
    (home.config_dir / "fx_rates.csv").write_text(
        "currency_code,to_currency_code,rate,valid_from,valid_to,source\nEUR,USD,much,2026-01-01,,desk\n"
    )
    result = CliRunner().invoke(main, ["doctor", "--home", str(home.path)])
    assert result.exit_code == 1
    assert "source gone: not reachable" in result.output
    assert "source empty: logs/*.jsonl: no object there" in result.output
    assert "fx_rates.csv:2" in result.output
    assert "warehouse.duckdb holds no build" in result.output
    assert "mend: correct its location" in result.output
    assert "4 things are wrong, 2 to look at." in result.output


def test_the_doctor_says_who_holds_the_lock(tmp_path: Path):
    home = create_home(tmp_path / "home")
    with hold_lock(home):
        result = run_wattledger("doctor", home=home)
    assert f"process {os.getpid()} on" in result.stdout


def test_of_two_runs_at_once_the_second_says_who_holds_the_home(tmp_path: Path):
    home = create_home(tmp_path / "home")
    holder = subprocess.Popen(
        [
            str(WATTLEDGER.with_name("python")),
            "-c",
            "import sys, time; from ingest.home import hold_lock, open_home\n"
            "with hold_lock(open_home(sys.argv[1])): print('held', flush=True); time.sleep(60)",
            str(home.path),
        ],
        env=make_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        started = time.monotonic()
        second = run_wattledger("run", home=home)
        assert time.monotonic() - started < 20
        assert second.returncode == 1
        assert f"is being written by process {holder.pid} on" in second.stderr
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert run_wattledger("land", home=home).returncode == 0
