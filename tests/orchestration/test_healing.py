"""What was broken on purpose in a built home: the next run makes it whole again and says so, or says what it cannot."""

import shutil
from pathlib import Path

import pytest

from delivery.publish import read_build_id
from ingest.home import Home
from tests.orchestration.commands import read_published, run_wattledger
from tests.orchestration.test_run import add_requests

GARBAGE = b"no such thing \xff\x00" * 500


def spoil_published(home: Home) -> None:
    (home.published_dir / "parquet").unlink()
    (home.published_dir / "parquet").symlink_to("nowhere")
    (home.report_dir / "index.html").unlink()


def test_what_readers_open_is_restored_when_it_is_gone(built_home: Home):
    spoil_published(built_home)
    sick = run_wattledger("doctor", home=built_home)
    assert sick.returncode == 1
    assert "wrong published" in sick.stdout and "wrong report" in sick.stdout
    again = run_wattledger("run", home=built_home)
    assert again.returncode == 0, again.stdout + again.stderr
    assert (built_home.published_dir / "parquet" / "fct_cost_ledger.parquet").is_file()
    well = run_wattledger("doctor", home=built_home)
    assert "wrong published" not in well.stdout and "wrong report" not in well.stdout


def test_a_report_that_a_killed_run_did_not_write_is_written_by_the_next(built_home: Home):
    report = built_home.report_dir / "index.html"
    build = read_build_id(built_home.published_dir / "marts.duckdb")
    assert build is not None
    page = report.read_bytes()
    report.write_bytes(page.replace(build.encode(), b"an-older-build"))
    assert "wrong report" in run_wattledger("doctor", home=built_home).stdout
    assert run_wattledger("run", home=built_home).returncode == 0
    assert report.read_bytes() == page


def list_state(home: Home) -> list[Path]:
    """Everything in .state that a run reads again: databases, settings, the parse of the models, caches."""
    dagster = [file for file in home.dagster_dir.rglob("*") if file.suffix in (".db", ".yaml")]
    parsed = [home.dbt_target_dir / name for name in ("manifest.json", "manifest.fingerprint", "partial_parse.msgpack")]
    return [*dagster, *parsed, home.state_dir / "priced-models.json"]


def test_all_of_state_may_be_garbage(built_home: Home):
    for file in list_state(built_home):
        assert file.is_file()
        file.write_bytes(GARBAGE)
    shutil.rmtree(built_home.scratch_dir)
    built_home.scratch_dir.write_bytes(GARBAGE)
    add_requests(built_home)
    again = run_wattledger("run", home=built_home)
    assert again.returncode == 0, again.stdout + again.stderr
    said = [line for line in again.stdout.splitlines() if line.startswith("repaired: ")]
    for what in ("scratch was no folder", "Dagster's record", "partial_parse.msgpack", "priced-models.json"):
        assert len([line for line in said if what in line]) == 1, (what, said)
    assert "not foreseen" not in again.stderr


@pytest.mark.parametrize("damage", ["garbage", "a page"])
def test_a_damaged_warehouse_is_rebuilt_with_the_same_marts(built_home: Home, damage: str):
    before = read_published(built_home)
    content = built_home.warehouse_path.read_bytes()
    if damage == "garbage":
        built_home.warehouse_path.write_bytes(GARBAGE)
        assert "wrong warehouse" in run_wattledger("doctor", home=built_home).stdout
    else:
        add_requests(built_home)
        half = len(content) // 2
        built_home.warehouse_path.write_bytes(content[:half] + bytes(b ^ 255 for b in content[half:]))
    again = run_wattledger("run", home=built_home)
    assert again.returncode == 0, again.stdout + again.stderr
    (said,) = [line for line in again.stdout.splitlines() if line.startswith("repaired: ")]
    assert "warehouse.duckdb cannot be read" in said and "is rebuilt from the lake" in said
    after = read_published(built_home)
    if damage == "garbage":
        assert after == before
    assert after["fct_cost_ledger"]
