"""Homes that earlier releases wrote, run by this code: closed months stay, and the marts are those of a fresh home.

`<release>/home.tar.xz` is a whole home without .state: bills, gateway logs, DCGM, OpenCost, config, a row in
quarantine, the closed month 2026-09, a built warehouse and what was published. `<release>/statements` is what that
release's `wattledger statement --period 2026-09` wrote. A release adds a folder of its own; none is ever rewritten.
"""

import shutil
import tarfile
from pathlib import Path

import duckdb
import pytest

from ingest.books import list_closes, verify_close
from ingest.home import Home, open_home
from tests.orchestration.commands import read_published, run_wattledger

RELEASES = sorted(folder.parent for folder in Path(__file__).parent.glob("*/home.tar.xz"))
DERIVED = ("lake", "quarantine", "warehouse.duckdb", "published", "report")
CLOSED_ROWS = (
    "select statement_number, team_id, line_number, line_kind, provider_name, cost_pool, effective_cost_usd, "
    "statement_usd from fct_statement_lines where posting_period_start_date = date '2026-09-01' order by all"
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=RELEASES, ids=lambda folder: folder.name)
def release(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture(scope="module")
def upgraded(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The release's home, with what it had published kept aside, run by this code."""
    home = unpack(release, tmp_path_factory.mktemp("upgraded"))
    shutil.copy(home.published_dir / "marts.duckdb", home.path / "before.duckdb")
    run = run_wattledger("run", home=home)
    # A row in quarantine is no failure: everything landed, was built and published.
    assert run.returncode == 0, run.stdout + run.stderr
    return home


def unpack(release: Path, folder: Path) -> Home:
    with tarfile.open(release / "home.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return open_home(folder / "home")


def fetch(marts: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(marts), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_the_closed_month_stays_as_it_was_sent(upgraded: Home, release: Path, tmp_path: Path):
    before = fetch(upgraded.path / "before.duckdb", CLOSED_ROWS)
    assert before
    assert fetch(upgraded.published_dir / "marts.duckdb", CLOSED_ROWS) == before
    (close,) = list_closes(upgraded)
    verify_close(upgraded, close)
    for what in (["--format", "csv"], ["--journal"]):
        shown = run_wattledger("statement", "--period", "2026-09", *what, "--out", str(tmp_path), home=upgraded)
        assert shown.returncode == 0, shown.stderr
    sent = {file.name: file.read_bytes() for file in (release / "statements").iterdir()}
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == sent


def test_no_correction_is_made_of_an_upgrade_alone(upgraded: Home):
    late = "select * from fct_statement_lines where posting_cause is not null"
    assert fetch(upgraded.published_dir / "marts.duckdb", late) == fetch(upgraded.path / "before.duckdb", late) == []


def test_the_marts_are_those_of_a_fresh_home(upgraded: Home, release: Path, tmp_path: Path):
    fresh = unpack(release, tmp_path)
    for name in DERIVED:
        path = fresh.path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    run = run_wattledger("run", home=fresh)
    assert run.returncode == 0, run.stdout + run.stderr
    expected, found = read_published(fresh), read_published(upgraded)
    assert found.keys() == expected.keys()
    for name, rows in expected.items():
        assert found[name] == rows, name


def test_a_second_run_finds_nothing_to_do(upgraded: Home):
    again = run_wattledger("run", home=upgraded)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Nothing had changed since the last run." in again.stdout
