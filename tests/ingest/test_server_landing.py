"""Windows of a server: which are asked, when they are settled, what stands when the server fails or forgets."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ingest import retrying, server_landing
from ingest.contracts import DCGM_SAMPLES, DELIVERIES, QUARANTINE
from ingest.date_span import DateSpan
from ingest.home import Home
from ingest.landing import LandingReport, land
from tests.ingest.landed import check_counts, configure, find, query
from tests.ingest.scripted_server import Question, Reply, ScriptedServer

METRIC = "DCGM_FI_DEV_POWER_USAGE"
DAY = datetime(2025, 6, 1, tzinfo=UTC)


class FakePrometheus:
    """Samples by instant, asked of a `ScriptedServer` as Prometheus answers."""

    def __init__(self) -> None:
        self.samples: dict[datetime, str] = {}
        self.server = ScriptedServer(self.answer)

    def fill(self, start_hour: float, end_hour: float, value: str = "300") -> None:
        at = DAY + timedelta(hours=start_hour)
        while at < DAY + timedelta(hours=end_hour):
            self.samples[at] = value
            at += timedelta(minutes=1)

    def answer(self, question: Question) -> Reply:
        def read(name: str) -> datetime:
            return datetime.fromisoformat(question.parameters[name][0])

        data: Any = {"resultType": "vector", "result": []}
        if question.path.endswith("/values"):
            data = [METRIC]
        elif question.path.endswith("/query_range"):
            inside = {at: value for at, value in self.samples.items() if read("start") <= at <= read("end")}
            values = [[at.timestamp(), value] for at, value in inside.items()]
            series = {"metric": {"UUID": "GPU-a"}, "values": values}
            data = {"resultType": "matrix", "result": [series] if values else []}
        return Reply(json.dumps({"status": "success", "data": data}))

    @property
    def asked_hours(self) -> list[int]:
        """The hours of the windows asked since this was last read."""
        asked = [item for item in self.server.questions if item.path.endswith("/query_range")]
        self.server.questions.clear()
        return sorted({datetime.fromisoformat(item.parameters["start"][0]).hour for item in asked})


@pytest.fixture
def prometheus(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePrometheus]:
    monkeypatch.setattr(retrying, "FIRST_PAUSE_SECONDS", 0.01)
    prometheus = FakePrometheus()
    yield prometheus
    prometheus.server.close()


@pytest.fixture
def land_at(home: Home, prometheus: FakePrometheus) -> Any:
    configure(
        home,
        f'{{name: gpus, kind: dcgm_prometheus, location: "{prometheus.server.location}", '
        "options: {since: 2025-06-01}}",
    )

    def land_at(hour: float, again: DateSpan | None = None) -> LandingReport:
        prometheus.server.now = DAY + timedelta(hours=hour)
        return land(home, only_sources=["gpus"], again=again)

    return land_at


def rows_by_hour(home: Home) -> dict[int, int]:
    return dict(query(home, DCGM_SAMPLES, "hour(sampled_at), count(*) group by all order by all"))


def test_windows_are_asked_until_two_hours_after_their_end(home: Home, prometheus: FakePrometheus, land_at: Any):
    prometheus.fill(0, 5.5)
    land_at(5.5)
    assert prometheus.asked_hours == [0, 1, 2, 3, 4, 5]
    assert rows_by_hour(home) == {0: 60, 1: 60, 2: 60, 3: 60, 4: 60, 5: 30}
    report = find(land_at(5.5), "gpus")
    assert prometheus.asked_hours == [3, 4, 5]
    assert (report.deliveries_landed, report.deliveries_unchanged) == (0, 6)
    prometheus.fill(5.5, 6.25)
    report = find(land_at(6.25), "gpus")
    assert prometheus.asked_hours == [3, 4, 5, 6]
    assert (report.deliveries_landed, report.deliveries_unchanged) == (2, 5)
    assert rows_by_hour(home) == {0: 60, 1: 60, 2: 60, 3: 60, 4: 60, 5: 60, 6: 15}
    land_at(6.25)
    assert prometheus.asked_hours == [4, 5, 6]
    check_counts(home, DCGM_SAMPLES)


def test_late_samples_replace_their_window_and_no_other(home: Home, prometheus: FakePrometheus, land_at: Any):
    prometheus.fill(0, 2)
    prometheus.fill(3, 4)
    report = find(land_at(4), "gpus")
    assert report.messages[-1] == "no rows in 1 of the windows asked, from 2025-06-01T02:00Z to 2025-06-01T03:00Z"
    prometheus.fill(2, 3)
    prometheus.fill(0, 1, value="999")  # settled: what a server says of it now is not heard
    assert find(land_at(4.9), "gpus").deliveries_landed == 2
    assert rows_by_hour(home) == {0: 60, 1: 60, 2: 60, 3: 60}
    assert query(home, DCGM_SAMPLES, "distinct value") == [(300.0,)]
    versions = query(home, DELIVERIES, "version where object_uri = 'gpus@2025-06-01T02:00Z'")
    assert versions == [("2025-06-01T04:54:00.000000Z",)]


def test_settled_windows_of_days_asked_again_are_heard(home: Home, prometheus: FakePrometheus, land_at: Any):
    prometheus.fill(0, 50)
    land_at(50)
    prometheus.fill(0, 50, value="999")
    prometheus.asked_hours  # noqa: B018 - forgets what was asked
    second = DateSpan(date(2025, 6, 2), date(2025, 6, 2))
    report = find(land_at(50, again=second), "gpus")
    assert prometheus.asked_hours == list(range(24))
    # The 24 hours of the day, and the two of the third day that had not settled.
    assert (report.deliveries_landed, report.deliveries_unchanged) == (26, 24)
    found = query(home, DCGM_SAMPLES, "usage_date, max(value), min(value) group by all order by all")
    assert found == [(date(2025, 6, day), value, value) for day, value in ((1, 300.0), (2, 999.0), (3, 999.0))]
    check_counts(home, DCGM_SAMPLES)


def test_what_a_server_lost_stands_and_what_it_has_anew_lands(home: Home, prometheus: FakePrometheus, land_at: Any):
    prometheus.fill(0, 2.75)
    land_at(2.75)
    prometheus.samples.clear()  # its volume was lost, and it started again
    prometheus.fill(2.8, 4)
    report = find(land_at(4), "gpus")
    assert rows_by_hour(home) == {0: 60, 1: 60, 2: 45, 3: 60}
    assert (report.deliveries_landed, report.deliveries_refused, report.is_stale) == (1, 0, False)
    assert report.messages[1] == (
        "gpus@2025-06-01T00:00Z: 0 rows, fewer than landed before, which are kept: the server has lost some "
        "since, or keeps them no longer"
    )
    assert report.messages[3].startswith("gpus@2025-06-01T02:00Z: 12 rows, fewer than landed before")
    assert query(home, QUARANTINE, "count(*)") == [(0,)]
    check_counts(home, DCGM_SAMPLES)
    land_at(5)
    land_at(5)
    assert prometheus.asked_hours[-2:] == [3, 4]


def test_clocks_that_differ_are_told_and_the_earlier_one_holds(home: Home, prometheus: FakePrometheus, land_at: Any):
    prometheus.fill(0, 1)
    report = find(land_at(1), "gpus")
    assert " s behind ours: windows follow the earlier of the two" in report.messages[0]
    prometheus.server.now = datetime.now(UTC) + timedelta(hours=7)
    configure(
        home,
        f'{{name: gpus, kind: dcgm_prometheus, location: "{prometheus.server.location}", '
        f"options: {{since: {datetime.now(UTC):%Y-%m-%d}}}}}",
    )
    report = find(land(home, only_sources=["gpus"]), "gpus")
    assert "its clock is 25,200 s ahead of ours" in report.messages[0].replace("25,199", "25,200")
    ends = query(home, DELIVERIES, "max(version) where status = 'landed'")
    assert ends[0][0] <= f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.999999Z}"


def test_a_server_that_fails_midway_keeps_what_landed_and_goes_on_next_time(
    home: Home, prometheus: FakePrometheus, land_at: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server_landing, "_ASKED_AT_ONCE", 1)
    prometheus.fill(0, 4)

    def fail_later(question: Question) -> Reply:
        is_late = question.path.endswith("/query_range") and "T02" in question.parameters["start"][0]
        return Reply("out of memory", status=500) if is_late else prometheus.answer(question)

    prometheus.server.answer = fail_later
    report = find(land_at(4), "gpus")
    assert report.is_stale and "status 500 (out of memory); asked 6 times" in report.messages[-1]
    assert rows_by_hour(home) == {0: 60, 1: 60}
    assert query(home, QUARANTINE, "scope, object_uri") == [("object", prometheus.server.location)]
    assert prometheus.asked_hours == [0, 1, 2]
    prometheus.server.answer = prometheus.answer
    assert not find(land_at(4), "gpus").is_stale
    assert prometheus.asked_hours == [2, 3]
    assert rows_by_hour(home) == {0: 60, 1: 60, 2: 60, 3: 60}
    assert query(home, QUARANTINE, "count(*)") == [(0,)]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("[1, 2]", "not an answer of the Prometheus API"),
        ('{"status":"error","errorType":"internal","error":"x"}', "not an answer of the Prometheus API"),
        ('{"status":"success","data":{"a":1}}', "no list of metric names"),
    ],
)
def test_what_is_no_prometheus_is_told(prometheus: FakePrometheus, land_at: Any, body: str, told: str):
    def answer(question: Question) -> Reply:
        return prometheus.answer(question) if question.path.endswith("/query") and "names" in told else Reply(body)

    prometheus.server.answer = answer
    report = find(land_at(1), "gpus")
    assert report.is_stale and told in report.messages[-1]


def test_bad_samples_are_refused_one_by_one_and_a_bad_answer_whole(
    home: Home, prometheus: FakePrometheus, land_at: Any
):
    prometheus.fill(0, 1)
    prometheus.samples[DAY] = "three hundred"
    prometheus.samples[DAY + timedelta(minutes=1)] = "NaN"

    def answer(question: Question) -> Reply:
        is_second = question.path.endswith("/query_range") and "T01" in question.parameters["start"][0]
        return (
            Reply('{"status":"success","data":{"resultType":"scalar"}}') if is_second else prometheus.answer(question)
        )

    prometheus.server.answer = answer
    report = find(land_at(2), "gpus")
    assert (report.deliveries_landed, report.deliveries_refused) == (1, 1)
    assert query(home, DCGM_SAMPLES, "count(*), count(value)") == [(59, 58)]
    assert query(home, QUARANTINE, "object_uri, scope, position, field order by all") == [
        ("gpus@2025-06-01T00:00Z", "row", 1, "value"),
        ("gpus@2025-06-01T01:00Z", "object", None, "data.resultType"),
    ]
    prometheus.server.answer = prometheus.answer
    report = find(land_at(9), "gpus")
    assert report.deliveries_refused == 0
    assert query(home, QUARANTINE, "scope") == [("row",)]
    check_counts(home, DCGM_SAMPLES)


def test_batches_are_bounded_and_land_the_same(
    home: Home, prometheus: FakePrometheus, land_at: Any, monkeypatch: pytest.MonkeyPatch
):
    prometheus.fill(0, 10)
    monkeypatch.setattr(server_landing, "_BATCH_BYTES", 3_000)
    monkeypatch.setattr(server_landing, "_BATCH_WINDOWS", 7)
    assert find(land_at(10), "gpus").deliveries_landed == 10
    assert rows_by_hour(home) == dict.fromkeys(range(10), 60)
    assert not list((home.scratch_dir).rglob("pulled/*"))


def test_a_question_that_times_out_is_asked_in_halves(home: Home, prometheus: FakePrometheus, land_at: Any):
    prometheus.fill(0, 1)

    def answer(question: Question) -> Reply:
        if question.path.endswith("/query_range"):
            start, end = (datetime.fromisoformat(question.parameters[name][0]) for name in ("start", "end"))
            if end - start > timedelta(minutes=15):
                return Reply('{"status":"error","errorType":"timeout","error":"query timed out"}', status=503)
        return prometheus.answer(question)

    prometheus.server.answer = answer
    assert not find(land_at(1), "gpus").is_stale
    assert rows_by_hour(home) == {0: 60}
    asked = [item for item in prometheus.server.questions if item.path.endswith("/query_range")]
    assert len(asked) == 2 + 4  # the hour, a half, then quarters
