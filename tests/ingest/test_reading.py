"""Many objects are read by several processes, with the same outcome as one; few are read here."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from ingest import lake, reading
from ingest.contracts import DELIVERIES, FOCUS_CHARGES, LITELLM_REQUESTS, QUARANTINE, LandingTable
from ingest.home import Home, create_home
from ingest.landing import land
from ingest.reader_pool import ReaderPool
from ingest.reading import ReadingTask

REPOSITORY = Path(__file__).resolve().parents[2]
_SOURCES = """sources:
  - {name: bills, kind: focus, location: "bills/*/*.csv"}
  - {name: gateway, kind: litellm, location: "logs/*.jsonl"}
"""
_HEADER = (
    "ProviderName,BillingAccountId,BillingCurrency,BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd,"
    "ChargeCategory,BilledCost,EffectiveCost\n"
)


def write_sources(home: Home) -> None:
    """Two bills, one of them restated, and five logs: one with a malformed line, one unreadable."""
    home.sources_path.write_text(_SOURCES)
    for folder, cost in (("20260601", 1), ("20260602", 2)):
        path = home.path / "bills" / folder / "part.csv"
        path.parent.mkdir(parents=True)
        start = "2026-05-01T00:00:00Z,2026-05-02T00:00:00Z,2026-05-03T00:00:00Z,Usage"
        path.write_text(_HEADER + "".join(f"AWS,a,USD,{start},{cost}.{line},1\n" for line in range(50)))
        os.utime(path, (1_780_000_000, 1_780_000_000))
    (home.path / "logs").mkdir()
    for day in range(1, 6):
        lines = [
            json.dumps({"id": f"{day}-{number}", "model": "m", "startTime": f"2026-05-0{day}T10:00:00Z"})
            for number in range(20)
        ]
        if day == 2:
            lines.append('{"id": "no model"}')
        path = home.path / "logs" / f"{day}.jsonl"
        path.write_text("nothing of ours" if day == 3 else "\n".join(lines))
        os.utime(path, (1_780_000_000, 1_780_000_000))


def read_table(home: Home, table: LandingTable) -> list[tuple[Any, ...]]:
    """All rows in one order, without where the home is and when it landed."""
    with lake.open_engine(home) as engine:
        sql = lake.select_files_sql(engine, table, lake.list_files(home, table))
        stamps = {"refused_at", "recorded_at", "landed_at", "_delivery_id", "slice_key"} & set(table.schema.names)
        excluded = f" exclude ({', '.join(sorted(stamps))})" if stamps else ""
        rows = engine.execute(f"select *{excluded} from ({sql})").fetchall()
    return sorted(tuple(str(value).replace(str(home.path), "") for value in row) for row in rows)


@pytest.fixture
def share_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_POOL_BYTES", 0)
    monkeypatch.setattr(reading, "count_readers", lambda: 2)


def count_pools(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    started: list[int] = []
    start = ReaderPool.__init__

    def note(self: ReaderPool, size: int) -> None:
        started.append(size)
        start(self, size)

    monkeypatch.setattr(ReaderPool, "__init__", note)
    return started


def test_several_readers_land_what_one_lands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, shared = create_home(tmp_path / "a"), create_home(tmp_path / "b")
    before = psutil.Process().children()
    started = count_pools(monkeypatch)
    for home in (alone, shared):
        write_sources(home)
    told_alone = land(alone)
    assert started == []  # a small home starts no process
    monkeypatch.setattr(reading, "_POOL_BYTES", 0)
    monkeypatch.setattr(reading, "count_readers", lambda: 2)
    steps: list[tuple[str, int, int]] = []
    told_shared = land(shared, progress=lambda *step: steps.append(step))
    assert started == [2]
    for table in (FOCUS_CHARGES, LITELLM_REQUESTS, QUARANTINE, DELIVERIES):
        rows = read_table(shared, table)
        assert rows and rows == read_table(alone, table), table.name
    for one, other in zip(told_alone.sources, told_shared.sources, strict=True):
        assert (one.rows_read, one.rows_landed, one.rows_quarantined) == (
            other.rows_read,
            other.rows_landed,
            other.rows_quarantined,
        )
        assert one.data_through_at == other.data_through_at
    assert ("bills", 2, 2) in steps and ("gateway", 5, 5) in steps
    assert all(report.deliveries_landed == 0 for report in land(shared).sources)
    assert not list(shared.scratch_dir.glob("spool/*"))
    assert psutil.Process().children() == before


@pytest.mark.usefixtures("share_everything")
def test_a_reader_that_dies_is_told_of_its_source_and_nothing_of_its_batch_lands(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = psutil.Process().children()
    write_sources(home)
    give = ReaderPool._give

    def give_and_kill(self: ReaderPool, reader: Any, waiting: Any, tasks: list[ReadingTask]) -> None:
        if tasks[0].source.name == "gateway":
            reader.process.kill()
            reader.process.wait()
        give(self, reader, waiting, tasks)

    with monkeypatch.context() as patch:
        patch.setattr(ReaderPool, "_give", give_and_kill)
        (bills, gateway, *_) = land(home).sources
    assert gateway.is_stale and not bills.is_stale
    assert re.search(r"killed by signal 9 .*logs/1\.jsonl of source gateway", gateway.messages[0])
    assert psutil.Process().children() == before
    assert lake.list_files(home, LITELLM_REQUESTS) == []
    assert len(read_table(home, FOCUS_CHARGES)) == 50
    land(home)
    assert len(read_table(home, LITELLM_REQUESTS)) == 80


@pytest.mark.usefixtures("share_everything")
def test_what_the_machine_does_to_a_reader_is_told_and_never_counted_as_refused(home: Home) -> None:
    write_sources(home)
    land(home, only_sources=["bills"])
    (home.scratch_dir / "spool").rmdir()
    (home.scratch_dir / "spool").write_text("a file where a folder must be")
    (gateway, *_) = land(home, only_sources=["gateway"]).sources
    assert gateway.is_stale and gateway.deliveries_refused == 0
    assert re.search(r"nothing of this batch was landed: .*File exists", gateway.messages[0])
    assert lake.list_files(home, QUARANTINE) == []


def test_readers_end_with_a_landing_that_was_killed(home: Home) -> None:
    write_sources(home)
    os.mkfifo(home.path / "logs" / "9.jsonl")  # a log that never ends keeps its reader in mid-task
    script = (
        "import sys; from pathlib import Path; from datetime import datetime, UTC\n"
        "from ingest.config import SourceConfig; from ingest.reader_pool import ReaderPool\n"
        "from ingest.reading import ReadingTask; from ingest.storage import StoredObject\n"
        "folder = Path(sys.argv[1]); log = StoredObject(str(folder / 'logs/9.jsonl'), 1, 'e', datetime.now(UTC))\n"
        "source = SourceConfig(name='gateway', kind='litellm', location='logs')\n"
        "pool = ReaderPool(2)\n"
        "list(pool.map([ReadingTask(source, (log,), folder)] * 2))\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(home.path)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        cwd=REPOSITORY,
    )
    readers = _wait_for(lambda: [child for child in psutil.Process(parent.pid).children() if child.is_running()], 2)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs(readers, timeout=20)
    assert not alive


def _wait_for(find: Any, count: int) -> Any:
    deadline = time.monotonic() + 20
    while len(found := find()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found
