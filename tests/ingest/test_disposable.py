"""The warehouse and .state may be broken in any way: they are set aside and made anew, and each repair is said once."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from ingest.disposable import find_warehouse_damage, heal_state, heal_warehouse
from ingest.home import Home
from ingest.landing import land
from ingest.raw_views import pin, record_success
from tests.ingest.landed import LOG_SOURCE, configure, request, write

GARBAGE = b"no such thing \xff\x00" * 500


def build(home: Home) -> bool:
    """Pin and record, as a build would; True when all was touched."""
    plan = pin(home, code_fingerprint="code")
    record_success(home, plan)
    return plan.is_full_refresh


def zero_pages(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:12_288] + bytes(len(content) - 12_288))


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(GARBAGE),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:13_000]),
        zero_pages,
        make_folder,
    ],
    ids=["garbage", "empty", "cut off", "pages of zeroes", "a folder"],
)
def test_a_broken_warehouse_is_set_aside_once_and_built_anew(
    home: Home, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], object]
):
    assert build(home)
    assert not build(home)
    spoil(home.warehouse_path)
    assert find_warehouse_damage(home)
    heal_warehouse(home)
    (said,) = caplog.messages
    assert str(home.warehouse_path) in said and "is rebuilt from the lake" in said
    assert home.warehouse_path.with_name("warehouse.duckdb.broken").exists()
    assert build(home), "all is touched"
    heal_warehouse(home)
    assert len(caplog.messages) == 1
    assert find_warehouse_damage(home) is None


def test_a_second_broken_warehouse_takes_the_place_of_the_first(home: Home):
    for content in (b"first", b"second"):
        home.warehouse_path.write_bytes(content)
        heal_warehouse(home)
    assert home.warehouse_path.with_name("warehouse.duckdb.broken").read_bytes() == b"second"


def test_a_warehouse_that_someone_has_open_is_not_set_aside(home: Home):
    build(home)
    program = "import duckdb, sys\nwith duckdb.connect(sys.argv[1]): print('open', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(home.warehouse_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"open\n"
        heal_warehouse(home)
    finally:
        holder.communicate(b"", timeout=20)
    assert home.warehouse_path.is_file()
    with duckdb.connect(str(home.warehouse_path), read_only=True) as connection:
        assert connection.execute("select count(*) from build_state.built_info").fetchone() == (1,)


@pytest.mark.parametrize(
    "folder", ["", "dagster", "dbt", "dbt/target", "dbt/runs", "dbt/logs", "logs", "tmp", "scratch"]
)
def test_a_file_in_place_of_a_folder_of_state_is_set_aside(home: Home, caplog: pytest.LogCaptureFixture, folder: str):
    path = home.state_dir / folder
    heal_state(home)
    os.rename(path, home.path / "elsewhere")  # noqa: PTH104
    path.write_bytes(GARBAGE)
    heal_state(home)
    assert path.is_dir()
    assert path.with_name(f"{path.name}.broken").read_bytes() == GARBAGE
    (said,) = caplog.messages
    assert said.startswith(f"{path} was no folder")


@pytest.mark.parametrize("name", ["spool", "duckdb", "objects", "pulled", "registry.parquet"])
def test_garbage_in_scratch_stops_no_landing(home: Home, name: str):
    configure(home, LOG_SOURCE)
    write(home.path / "logs/a.jsonl", request("r1"))
    if name.endswith(".parquet"):
        (home.scratch_dir / name).mkdir()
    else:
        (home.scratch_dir / name).write_bytes(GARBAGE)
    assert not land(home).has_refusals


@pytest.mark.parametrize("content", [GARBAGE, b"", b"[]", b'{"files": 1}', b'{"files": [], "models": [1]}', None])
def test_a_broken_list_of_priced_models_is_made_anew(
    home: Home, caplog: pytest.LogCaptureFixture, content: bytes | None
):
    configure(home, LOG_SOURCE)
    write(home.path / "logs/a.jsonl", request("r1"))
    land(home)
    cache = home.state_dir / "priced-models.json"
    written = json.loads(cache.read_bytes())
    cache.unlink()
    if content is None:
        cache.mkdir()
    else:
        cache.write_bytes(content)
    assert not land(home).has_refusals
    assert json.loads(cache.read_bytes()) == written
    assert [said for said in caplog.messages if "priced-models.json cannot be read" in said]


@pytest.fixture(autouse=True)
def hear_repairs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="wattledger")
