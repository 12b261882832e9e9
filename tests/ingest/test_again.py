"""Days that somebody asks for again: every object whose rows speak for them is read, changed or not."""

from datetime import date

import pytest

from ingest.contracts import FOCUS_CHARGES, LITELLM_REQUESTS
from ingest.date_span import DateSpan
from ingest.home import Home
from ingest.landing import land
from ingest.source import RowSink, SourceObject
from ingest.tokens.litellm import Litellm
from tests.ingest.landed import FOCUS_SOURCE, LOG_SOURCE, bill, configure, find, query, request, write

SECOND = DateSpan(date(2026, 5, 2), date(2026, 5, 2))


@pytest.fixture
def days(home: Home) -> Home:
    for day in (1, 2, 3):
        write(home.path / "logs" / f"{day}.jsonl", request(f"r{day}", day))
    write(home.path / "exports" / "a" / "1.csv", bill("3.75"))
    write(home.path / "exports" / "b" / "1.csv", bill("1", month=7))
    configure(home, FOCUS_SOURCE, LOG_SOURCE)
    return home


def test_the_objects_of_the_days_are_read_again_and_no_other(days: Home, monkeypatch: pytest.MonkeyPatch):
    land(days)
    seen: list[str] = []
    read = Litellm.read

    def note(self: Litellm, source_object: SourceObject, sink: RowSink) -> None:
        seen.append(source_object.uri)
        read(self, source_object, sink)

    monkeypatch.setattr(Litellm, "read", note)
    report = land(days, again=SECOND)
    assert seen == ["logs/2.jsonl"]
    assert find(report, "gateway").deliveries_landed == 1
    assert find(report, "bills").deliveries_unchanged == 1  # July's; that of May speaks for 2 May
    assert query(days, LITELLM_REQUESTS, "count(*)") == [(3,)]
    assert query(days, FOCUS_CHARGES, "sum(billed_cost)::double") == [(4.75,)]


def test_an_object_whose_rows_were_lost_in_its_lake_is_whole_again(days: Home, monkeypatch: pytest.MonkeyPatch):
    def read_wrongly(self: Litellm, source_object: SourceObject, sink: RowSink) -> None:
        read(self, SourceObject(source_object.uri, wrong, source_object.modified_at, source_object.options), sink)

    read, wrong = Litellm.read, write(days.path / "wrong.jsonl", request("wrong", 2))
    with monkeypatch.context() as patch:
        patch.setattr(Litellm, "read", read_wrongly)
        land(days, only_sources=["gateway"])
    land(days, again=SECOND)
    found = query(days, LITELLM_REQUESTS, "_object, request_id order by _object")
    assert ("wrong" in {request_id for _, request_id in found}) is False
