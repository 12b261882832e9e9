"""OpenCost and Kubecost asked over HTTP: a server on loopback that answers in the documented shape."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingest import retrying
from ingest.contracts import OPENCOST_ALLOCATIONS, QUARANTINE
from ingest.home import Home
from ingest.landing import LandingReport, land
from tests.ingest.landed import check_counts, configure, find, query
from tests.ingest.scripted_server import Question, Reply, ScriptedServer

DAY = datetime(2025, 6, 1, tzinfo=UTC)


def show(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


class FakeOpencost:
    """A pod on every full hour of two days, at `gpu_cost` an hour."""

    def __init__(self) -> None:
        self.gpu_cost: dict[datetime, Decimal] = {DAY + timedelta(hours=hour): Decimal("2.5") for hour in range(48)}
        self.server = ScriptedServer(self.answer)

    def answer(self, question: Question) -> Reply:
        start, end = (datetime.fromisoformat(text) for text in question.parameters["window"][0].split(","))
        steps: list[Any] = []
        step = timedelta(minutes=int(question.parameters.get("step", ["1m"])[0].removesuffix("m")))
        while start < end:
            inside = {at: cost for at, cost in self.gpu_cost.items() if start <= at < start + step}
            steps.append(self.write_step(start, start + step, sum(inside.values(), Decimal(0))) if inside else None)
            start += step
        return Reply(json.dumps({"code": 200, "status": "success", "data": steps}))

    def write_step(self, start: datetime, end: datetime, gpu_cost: Decimal) -> dict[str, Any]:
        window = {"start": show(start), "end": show(end)}
        common = {"window": window, "start": show(start), "end": show(end), "minutes": 60.0}
        pod = {"cluster": "k", "node": "n", "namespace": "ml", "pod": "train-0", "container": "main"}
        return {
            "k/n/ml/train-0/main": common | {"properties": pod, "gpuCost": float(gpu_cost), "gpuCount": 1.0},
            "k/n/__idle__": common | {"properties": {"cluster": "k", "node": "n"}, "gpuCost": 0.5},
        }

    @property
    def asked_windows(self) -> list[str]:
        windows = [item.parameters["window"][0] for item in self.server.questions if "aggregate" not in item.parameters]
        self.server.questions.clear()
        return sorted(windows)


@pytest.fixture
def opencost(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOpencost]:
    monkeypatch.setattr(retrying, "FIRST_PAUSE_SECONDS", 0.01)
    opencost = FakeOpencost()
    yield opencost
    opencost.server.close()


@pytest.fixture
def land_at(home: Home, opencost: FakeOpencost) -> Any:
    def land_at(hour: float, *options: str) -> LandingReport:
        listed = ", ".join(("since: 2025-06-01", *options))
        location = opencost.server.location
        configure(home, f'{{name: k, kind: opencost_allocation, location: "{location}", options: {{{listed}}}}}')
        opencost.server.now = DAY + timedelta(hours=hour)
        return land(home, only_sources=["k"])

    return land_at


def costs_by_day(home: Home) -> list[tuple[Any, ...]]:
    return query(
        home,
        OPENCOST_ALLOCATIONS,
        "day(window_start_at), count(*), sum(gpu_cost) filter (where pod is not null) group by 1 order by 1",
    )


def test_days_land_hour_by_hour_unshared_and_at_the_finest_grain(home: Home, opencost: FakeOpencost, land_at: Any):
    report = find(land_at(27.4), "k")
    asked = [item for item in opencost.server.questions if "aggregate" not in item.parameters]
    assert {item.path for item in asked} == {"/allocation"}
    assert (
        asked[0].parameters
        == {
            "window": ["2025-06-01T00:00:00Z,2025-06-01T01:00:00Z"],
            "step": ["60m"],
            "includeIdle": ["true"],
            "idleByNode": ["true"],
            "shareIdle": ["false"],
            "accumulate": ["false"],
        }
        or len(asked) == 27
    )  # several windows are asked at once, in any order
    assert sorted({item.parameters["window"][0] for item in asked})[-1] == "2025-06-02T02:00:00Z,2025-06-02T03:00:00Z"
    assert costs_by_day(home) == [(1, 48, Decimal(60)), (2, 6, Decimal("7.5"))]
    assert (report.deliveries_landed, report.rows_landed, report.rows_quarantined) == (2, 54, 0)
    check_counts(home, OPENCOST_ALLOCATIONS)


def test_restated_days_replace_what_landed_until_they_settle(home: Home, opencost: FakeOpencost, land_at: Any):
    land_at(48)
    assert costs_by_day(home) == [(1, 48, Decimal(60)), (2, 48, Decimal(60))]
    # The cloud's bill came: the first day is cheaper, and one of its hours was never there.
    opencost.gpu_cost |= {DAY + timedelta(hours=hour): Decimal("2.1") for hour in range(24)}
    del opencost.gpu_cost[DAY + timedelta(hours=23)]
    assert find(land_at(60), "k").deliveries_landed == 2  # the first day, and the third, of which nothing is there
    assert costs_by_day(home) == [(1, 46, Decimal("48.3")), (2, 48, Decimal(60))]
    land_at(24 + 72)
    assert opencost.asked_windows[-1].startswith("2025-06-04T23")
    opencost.gpu_cost |= {DAY + timedelta(hours=hour): Decimal(9) for hour in range(48)}
    land_at(24 + 72)
    assert min(opencost.asked_windows).startswith("2025-06-02T00")
    assert costs_by_day(home) == [(1, 46, Decimal("48.3")), (2, 48, Decimal(216))]


def test_a_day_that_is_empty_now_and_was_not_stands(home: Home, opencost: FakeOpencost, land_at: Any):
    land_at(24)
    opencost.gpu_cost.clear()
    report = find(land_at(25), "k")
    assert costs_by_day(home) == [(1, 48, Decimal(60))]
    assert "k@2025-06-01T00:00Z: 0 rows, fewer than landed before, which are kept" in report.messages[1]
    assert not report.deliveries_refused


def test_kubecost_is_asked_in_its_own_words(opencost: FakeOpencost, land_at: Any):
    report = find(land_at(24, "product: kubecost", "step: 1d", "filter: 'cluster:\"k\"'", "resolution: 30s"), "k")
    (asked,) = [item for item in opencost.server.questions if "aggregate" not in item.parameters]
    assert asked.path == "/model/allocation"
    expected = {"idle": "true", "shareTenancyCosts": "false", "reconcile": "true", "step": "1440m", "resolution": "30s"}
    assert expected.items() <= {name: values[0] for name, values in asked.parameters.items()}.items()
    assert asked.parameters["filter"] == ['cluster:"k"']
    assert report.rows_landed == 2


def test_an_answer_for_another_time_is_refused_row_by_row(home: Home, opencost: FakeOpencost, land_at: Any):
    def shift(question: Question) -> Reply:
        start = datetime.fromisoformat(question.parameters["window"][0].split(",")[0]) - timedelta(hours=2)
        step = opencost.write_step(start, start + timedelta(hours=1), Decimal(1))
        return Reply(json.dumps({"code": 200, "data": [step]}))

    opencost.server.answer = shift
    report = find(land_at(2), "k")
    assert (report.rows_landed, report.rows_quarantined) == (0, 4)
    assert query(home, QUARANTINE, "distinct field, reason order by all")[0] == (
        "window",
        "outside 2025-06-01T00:00:00Z,2025-06-01T01:00:00Z, which was asked for",
    )


def test_a_failure_told_with_status_200_refuses_the_day_until_it_is_well(
    home: Home, opencost: FakeOpencost, land_at: Any
):
    def fail_at_five(question: Question) -> Reply:
        is_five = question.parameters["window"][0].startswith("2025-06-01T05")
        return Reply('{"code":500,"data":null,"message":"query timed out"}') if is_five else opencost.answer(question)

    opencost.server.answer = fail_at_five
    report = find(land_at(24), "k")
    assert report.deliveries_refused == 1
    assert "the server answered code 500: query timed out; ask it again" in report.messages[-1]
    assert costs_by_day(home) == []
    opencost.server.answer = opencost.answer
    assert find(land_at(24), "k").deliveries_refused == 0
    assert costs_by_day(home) == [(1, 48, Decimal(60))]


def test_what_is_no_opencost_is_told(opencost: FakeOpencost, land_at: Any):
    opencost.server.answer = lambda _: Reply('{"status":"success"}')
    report = find(land_at(3), "k")
    assert report.is_stale and "not the allocation API of opencost" in report.messages[0]


def test_the_published_answer_lands_from_a_server_as_from_a_file(home: Home, opencost: FakeOpencost, shared_data: Path):
    path = shared_data / "opencost_api" / "allocation-example-output.json"
    window = next(iter(json.loads(path.read_text())["data"][0].values()))["window"]
    first_day = window["start"][:10]

    def answer(question: Question) -> Reply:
        is_first = question.parameters["window"][0].startswith(f"{first_day}T00:00:00Z")
        body = path.read_text() if is_first else '{"code":200,"data":[null]}'
        # The published answer is for a week; a server answers for what it is asked.
        return Reply(body.replace(window["end"], f"{first_day}T23:59:59Z"))

    opencost.server.answer = answer
    configure(
        home,
        f'{{name: k, kind: opencost_allocation, location: "{opencost.server.location}", '
        f"options: {{since: {first_day}, until: {datetime.fromisoformat(first_day) + timedelta(days=1):%Y-%m-%d}, "
        "step: 1d}}",
        f'{{name: file, kind: opencost_allocation, location: "{path}"}}',
    )
    land(home, only_sources=["k", "file"])
    by_source = query(
        home, OPENCOST_ALLOCATIONS, "_source, count(*), sum(total_cost), sum(cpu_cost), count(labels) group by 1"
    )
    assert {row[0] for row in by_source} == {"k", "file"}
    assert len({row[1:] for row in by_source}) == 1, by_source
