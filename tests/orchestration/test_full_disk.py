"""A full disk is one sentence: what needs space, where, how much is free. A small tmpfs is the disk."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.disk import DiskFullError, needing_space, tells_of_full_disk
from ingest.home import Home, create_home
from tests.ingest.landed import LOG_SOURCE, configure, request, write
from tests.orchestration.commands import run_wattledger

MIB = 1 << 20
SENTENCE = r"Error: The disk is full: {what} needs space in {where}\S*, where [\d.,]+ of \d+ MiB are free"

MakeDisk = Callable[[int], Path]


@pytest.fixture
def make_disk(tmp_path: Path) -> Iterator[MakeDisk]:
    """Mounts a tmpfs of so many bytes; skips where this user may not."""
    path = tmp_path / "disk"
    path.mkdir()

    def mount(size_bytes: int) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(path)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("this user may not mount a tmpfs")
        return path

    yield mount
    subprocess.run(["umount", str(path)], capture_output=True, check=False)


def check_sentence(result: subprocess.CompletedProcess[str], what: str, where: Path) -> None:
    assert result.returncode == 1, result.stdout + result.stderr
    assert re.search(SENTENCE.format(what=what, where=re.escape(str(where))), result.stderr), result.stderr
    assert "Traceback" not in result.stderr and "not foreseen" not in result.stderr
    assert result.stderr.count("\n") == 1, "one sentence"


def test_landing_on_a_full_disk_says_so_and_goes_on_when_there_is_space(make_disk: MakeDisk):
    home = create_home(make_disk(24 * MIB) / "home")
    configure(home, LOG_SOURCE)
    write(home.path / "logs/a.jsonl", request("r1"))
    ballast = home.path.parent / "ballast"
    free = shutil.disk_usage(home.path).free
    ballast.write_bytes(bytes(free - (600 << 10)))
    check_sentence(run_wattledger("land", home=home), "(landing|the home)", home.path)
    ballast.unlink()
    landed = run_wattledger("land", home=home)
    assert landed.returncode == 0, landed.stdout + landed.stderr


def copy_to(make_disk: MakeDisk, home: Home, *, spare_bytes: int, without: str) -> Home:
    """A copy of the home, without one thing, on a disk that has so much space left."""
    disk = make_disk(1 << 30)
    copy = Home(disk / "home")
    shutil.copytree(home.path, copy.path, symlinks=True, ignore=shutil.ignore_patterns(without))
    size_bytes = shutil.disk_usage(disk).used + spare_bytes
    subprocess.run(["mount", "-o", f"remount,size={size_bytes}", str(disk)], check=True)
    return copy


def test_building_on_a_full_disk_says_so(built_home: Home, make_disk: MakeDisk):
    home = copy_to(make_disk, built_home, spare_bytes=12 * MIB, without="warehouse.duckdb")
    check_sentence(run_wattledger("build", home=home), "building", home.path)
    assert (home.published_dir / "parquet" / "fct_cost_ledger.parquet").is_file()


def test_publishing_on_a_full_disk_says_so(built_home: Home, make_disk: MakeDisk):
    home = copy_to(make_disk, built_home, spare_bytes=2 * MIB, without="published")
    check_sentence(run_wattledger("publish", home=home), "publishing", home.published_dir)


@pytest.mark.parametrize(
    ("error", "is_full"),
    [
        (OSError(28, "No space left on device"), True),
        (OSError(122, "Disk quota exceeded"), True),
        (OSError(27, "File too large"), True),
        (ValueError('IO Error: Could not write file "x": No space left on device'), True),
        (ValueError("(sqlite3.OperationalError) database or disk is full"), True),
        (OSError(13, "Permission denied"), False),
        (ValueError("Conversion Error: 1e99 is out of range"), False),
    ],
)
def test_words_of_many_tongues_for_a_full_disk(error: Exception, is_full: bool):
    wrapped = RuntimeError("the step failed")
    wrapped.__cause__ = error
    assert tells_of_full_disk(error) is tells_of_full_disk(wrapped) is is_full


def test_a_log_that_cannot_be_closed_does_not_hide_the_step(tmp_path: Path):
    full = OSError(28, "No space left on device")
    with pytest.raises(DiskFullError, match="building needs space"), needing_space("the home", tmp_path):
        try:
            with needing_space("building", tmp_path):
                raise full
        finally:
            raise OSError(28, "No space left on device")
