"""What an older version of a reader landed is read again once, and what a server forgot since is kept."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest import lake, retrying
from ingest.config import SourceConfig
from ingest.contracts import DCGM_SAMPLES, FOCUS_CHARGES, LITELLM_REQUESTS
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.landing import LandingReport, land
from ingest.landing_run import hash_options
from ingest.source import RowSink, SourceObject
from ingest.telemetry.dcgm_prometheus import DcgmPrometheus
from ingest.tokens.litellm import Litellm
from tests.ingest.landed import FOCUS_SOURCE, LOG_SOURCE, bill, configure, find, query, request, write
from tests.ingest.test_server_landing import FakePrometheus


def test_an_object_that_an_older_reader_landed_wrongly_is_read_again_once(home: Home, monkeypatch: pytest.MonkeyPatch):
    read = Litellm.read

    def read_wrongly(self: Litellm, source_object: SourceObject, sink: RowSink) -> None:
        wrong = source_object.path.with_suffix(".wrong")
        wrong.write_text(source_object.path.read_text().replace("3.75", "1.50"))
        read(self, SourceObject(source_object.uri, wrong, source_object.modified_at, source_object.options), sink)
        wrong.unlink()

    write(home.path / "logs" / "1.jsonl", request("one").replace("0.001", "3.75"))
    write(home.path / "exports" / "a" / "1.csv", bill("3.75"))
    configure(home, FOCUS_SOURCE, LOG_SOURCE)
    with monkeypatch.context() as older:
        older.setattr(Litellm, "read", read_wrongly)
        land(home)
    assert [str(cost) for (cost,) in query(home, LITELLM_REQUESTS, "gateway_cost_usd::decimal(9, 2)")] == ["1.50"]
    assert find(land(home), "gateway").deliveries_landed == 0
    monkeypatch.setattr(Litellm, "reader_version", Litellm.reader_version + 1)
    report = land(home)
    assert find(report, "gateway").deliveries_landed == 1
    assert find(report, "bills").deliveries_unchanged == 1
    assert [str(cost) for (cost,) in query(home, LITELLM_REQUESTS, "gateway_cost_usd::decimal(9, 2)")] == ["3.75"]
    assert find(land(home), "gateway").deliveries_landed == 0


def test_objects_that_a_new_reader_reads_alike_keep_their_files(home: Home, monkeypatch: pytest.MonkeyPatch):
    write(home.path / "logs" / "1.jsonl", request("one"))
    write(home.path / "exports" / "a" / "1.csv", bill("3.75"))
    configure(home, FOCUS_SOURCE, LOG_SOURCE)
    land(home)
    before = [lake.list_files(home, table) for table in (LITELLM_REQUESTS, FOCUS_CHARGES)]
    for kind in (KINDS["litellm"], KINDS["focus"]):
        monkeypatch.setattr(type(kind), "reader_version", kind.reader_version + 1)
    assert [find(land(home), name).deliveries_landed for name in ("gateway", "bills")] != [0, 0]
    assert [lake.list_files(home, table) for table in (LITELLM_REQUESTS, FOCUS_CHARGES)] == before


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_first_version_of_a_reader_reads_nothing_again_that_landed_before_there_were_versions(
    kind: Any, monkeypatch: pytest.MonkeyPatch
):
    source = SourceConfig(name="any", kind=kind.kind, location="x", options={"scope": "a", "region": "b"})
    monkeypatch.setattr(type(kind), "reader_version", 1)
    first = hash_options(source)
    assert first == lake.hash_text(kind.kind, json.dumps({"scope": "a"}))
    monkeypatch.setattr(type(kind), "reader_version", 2)
    assert hash_options(source) != first


@pytest.fixture
def prometheus(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePrometheus]:
    monkeypatch.setattr(retrying, "FIRST_PAUSE_SECONDS", 0.01)
    prometheus = FakePrometheus()
    yield prometheus
    prometheus.server.close()


def test_a_new_reader_asks_a_server_once_and_keeps_what_it_has_no_longer(
    home: Home, prometheus: FakePrometheus, monkeypatch: pytest.MonkeyPatch
):
    def land_at(hour: int) -> LandingReport:
        prometheus.server.now = datetime(2025, 6, 1, tzinfo=UTC) + timedelta(hours=hour)
        return land(home, only_sources=["gpus"])

    location = prometheus.server.location
    options = "options: {since: 2025-06-01, until: 2025-06-02}"
    configure(home, f'{{name: gpus, kind: dcgm_prometheus, location: "{location}", {options}}}')
    prometheus.fill(0, 24)
    land_at(48)
    prometheus.samples.clear()  # the server keeps its samples for a day
    monkeypatch.setattr(DcgmPrometheus, "reader_version", DcgmPrometheus.reader_version + 1)
    prometheus.server.questions.clear()
    land_at(49)
    assert len(prometheus.asked_hours) == 24
    land_at(50)
    assert prometheus.asked_hours == []
    assert query(home, DCGM_SAMPLES, "count(*)") == [(24 * 60,)]
