import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ingest.contracts import DATED_FACTS, POLICY_FACTS
from ingest.home import Home, HomeError, LockHeldError, create_home, hold_lock, open_home

HOLD_UNTIL_KILLED = """
import sys, time
from ingest.home import Home, hold_lock
from pathlib import Path
with hold_lock(Home(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""
COUNT_UP = """
import sys, time
from ingest.home import Home, hold_lock
from pathlib import Path
home, counter = Home(Path(sys.argv[1])), Path(sys.argv[1]) / "counter"
for _ in range(20):
    with hold_lock(home, wait_seconds=60):
        value = int(counter.read_text())
        time.sleep(0.002)
        counter.write_text(str(value + 1))
"""


def start_holder(home: Home, seconds: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_UNTIL_KILLED, str(home.path), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_new_home_has_every_folder_and_a_csv_for_every_dated_fact(tmp_path: Path):
    home = create_home(tmp_path / "new home ü")
    assert all(folder.is_dir() for folder in home.folders)
    assert {path.stem for path in home.config_dir.glob("*.csv")} == set(DATED_FACTS) - set(POLICY_FACTS)
    assert home.dbt_target_dir == home.path / ".state/dbt/target"
    assert open_home(home.path) == home


def test_making_a_home_again_keeps_what_was_written_in_it(home: Home):
    home.sources_path.write_text("sources: []\n")
    (home.config_dir / "owners.csv").unlink()
    create_home(home.path)
    assert home.sources_path.read_text() == "sources: []\n"
    assert (home.config_dir / "owners.csv").is_file()


def test_a_home_is_found_by_the_environment_when_none_is_named(home: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WATTLEDGER_HOME", str(home.path))
    assert open_home(None) == home
    monkeypatch.chdir(home.path.parent)
    assert open_home("home") == home


@pytest.mark.parametrize("named", [None, "elsewhere", "empty"])
def test_a_missing_home_is_an_error_that_says_how_to_make_one(
    named: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("WATTLEDGER_HOME", raising=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(HomeError, match="wattledger init"):
        open_home(tmp_path / named if named else None)


def test_a_home_cannot_be_made_where_a_file_is(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match=r"Cannot make a home at .*file"):
        create_home(tmp_path / "file")


def test_a_second_process_is_told_who_holds_the_lock(home: Home):
    holder = start_holder(home, 60)
    try:
        with pytest.raises(LockHeldError) as caught, hold_lock(home):
            pytest.fail("two processes hold one lock")
        assert caught.value.holder["pid"] == str(holder.pid)
        assert set(caught.value.holder) == {"pid", "host", "command", "since"}
        assert f"process {holder.pid} on " in str(caught.value)
        assert caught.value.holder["since"] in str(caught.value)
    finally:
        holder.kill()
        holder.wait()


def test_a_killed_holder_leaves_no_lock(home: Home):
    holder = start_holder(home, 60)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert json.loads(home.lock_path.read_text())["pid"] == str(holder.pid)
    with hold_lock(home):
        assert json.loads(home.lock_path.read_text())["pid"] == str(os.getpid())


def test_a_waiting_process_gets_the_lock_when_it_is_free(home: Home):
    holder = start_holder(home, 0.5)
    started = time.monotonic()
    with hold_lock(home, wait_seconds=30):
        assert time.monotonic() - started < 20
    holder.wait()


def test_waiting_ends_at_its_limit(home: Home):
    holder = start_holder(home, 60)
    started = time.monotonic()
    with pytest.raises(LockHeldError), hold_lock(home, wait_seconds=0.3):
        pass
    assert 0.3 <= time.monotonic() - started < 5
    holder.kill()
    holder.wait()


def test_processes_that_count_under_the_lock_lose_no_count(home: Home):
    (home.path / "counter").write_text("0")
    processes = [subprocess.Popen([sys.executable, "-c", COUNT_UP, str(home.path)]) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert (home.path / "counter").read_text() == "60"


def test_a_holder_takes_the_lock_again_and_keeps_it_until_the_outermost_block_ends(home: Home):
    entered = threading.Event()
    with hold_lock(home):
        with hold_lock(home):
            pass
        with hold_lock(Home(home.path / "." / "config" / "..")):
            thread = threading.Thread(target=take_and_give_back, args=(home, entered))
            thread.start()
            thread.join()
        assert entered.is_set()
        assert try_in_child(home) == "held by another"
    with hold_lock(home):
        pass


def take_and_give_back(home: Home, entered: threading.Event) -> None:
    with hold_lock(home):
        entered.set()


def try_in_child(home: Home) -> str:
    script = (
        "import sys\nfrom pathlib import Path\nfrom ingest.home import Home, LockHeldError, hold_lock\n"
        "try:\n    with hold_lock(Home(Path(sys.argv[1]))): print('free')\n"
        "except LockHeldError: print('held by another')"
    )
    answer = subprocess.run([sys.executable, "-c", script, str(home.path)], capture_output=True, text=True, check=True)
    return answer.stdout.strip()


def test_two_homes_are_locked_apart(home: Home, tmp_path: Path):
    other = create_home(tmp_path / "other")
    with hold_lock(home):
        assert try_in_child(other) == "free"
        assert try_in_child(home) == "held by another"


def test_a_child_left_running_does_not_keep_the_lock(home: Home):
    with hold_lock(home):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
    try:
        assert try_in_child(home) == "free"
    finally:
        child.kill()
        child.wait()


def test_a_forked_child_neither_keeps_nor_frees_the_lock(home: Home):
    read_end, write_end = os.pipe()
    with hold_lock(home):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                hold_lock(home).__enter__()
            except LockHeldError:
                status = 0
            os.write(write_end, bytes([status]))
            time.sleep(60)
            os._exit(0)
        assert os.read(read_end, 1) == b"\x00"
        assert try_in_child(home) == "held by another"
    try:
        assert try_in_child(home) == "free"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(read_end)
        os.close(write_end)


def test_the_lock_of_a_folder_that_is_gone_is_an_error_with_its_place(tmp_path: Path):
    with pytest.raises(HomeError, match=r"Cannot open the lock .*nowhere"), hold_lock(Home(tmp_path / "nowhere")):
        pass
