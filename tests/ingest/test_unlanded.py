"""A source that should have landed something and did not is a trouble, though nothing of it is refused whole."""

import pytest

from ingest.acceptances import accept_source
from ingest.home import Home
from ingest.landing import SourceReport, land
from tests.ingest.landed import bill, configure, find, request, write

BAD = '{"model": "gpt-4o"}\n'


def land_logs(home: Home, *files: str) -> SourceReport:
    configure(home, "{name: gateway, kind: litellm, location: logs/}")
    for number, text in enumerate(files):
        write(home.path / f"logs/{number}.jsonl", text)
    report = land(home, only_sources={"gateway"})
    found = find(report, "gateway")
    assert report.has_refusals == bool(found.unlanded)
    return found


def test_a_log_whose_every_row_is_refused_is_told_until_it_is_accepted(home: Home):
    for _ in range(2):
        (told,) = land_logs(home, request("good") + "\n", BAD * 3).unlanded
        assert "1.jsonl: every row is refused (3), such as: " in told
        assert "wattledger accept gateway" in told
    accept_source(home, "gateway", "an experiment of ours")
    assert land_logs(home).unlanded == []
    assert "every row is refused (4)" in land_logs(home, request("good") + "\n", BAD * 4).unlanded[0]


def test_a_bad_row_among_good_ones_or_alone_in_its_object_is_no_failed_delivery(home: Home):
    assert land_logs(home, request("good") + "\n" + BAD * 9, BAD).unlanded == []


def test_a_source_whose_only_row_is_refused_is_told(home: Home):
    assert "every row is refused (1)" in land_logs(home, BAD).unlanded[0]
    accept_source(home, "gateway", "a try")
    assert land_logs(home).unlanded == []


@pytest.mark.parametrize("kind", ["langfuse", "litellm"])
def test_a_source_of_which_no_row_lands_is_told(home: Home, kind: str):
    configure(home, f"{{name: traces, kind: {kind}, location: export/}}")
    write(home.path / "export/empty.jsonl", '{"type": "SPAN", "id": "1"}\n' if kind == "langfuse" else "\n")
    report = land(home, only_sources={"traces"})
    assert report.has_refusals
    found = find(report, "traces")
    assert found.unlanded or found.deliveries_refused


def test_a_location_where_nothing_is_is_told_until_something_landed(home: Home):
    path = home.path / "logs/0.jsonl"
    path.parent.mkdir()
    assert "logs/: nothing is there, nor did ever land" in land_logs(home).unlanded[0]
    assert land_logs(home, request("good") + "\n").unlanded == []
    path.unlink()
    assert land_logs(home).unlanded == []  # what it landed stands, or its withdrawal is said


def test_what_another_source_has_is_no_failed_delivery(home: Home):
    configure(home, "{name: one, kind: focus, location: exports/}", "{name: two, kind: focus, location: more/}")
    write(home.path / "exports/may.csv", bill("1"), 1_790_100_000)
    write(home.path / "more/may.csv", bill("1"), 1_790_000_000)
    report = land(home, only_sources={"one", "two"})
    assert (report.has_refusals, find(report, "two").deliveries_superseded) == (False, 1)


@pytest.mark.parametrize("kind", ["langfuse", "litellm", "otel_genai", "opencost_allocation", "ray_jobs"])
def test_parquet_for_a_kind_that_reads_text_is_refused_with_what_to_choose(home: Home, kind: str):
    options = {"ray_jobs": ", options: {cluster: c}"}.get(kind, "")
    configure(home, f"{{name: traces, kind: {kind}, location: export/{options}}}")
    write(home.path / "export/observations_v2/a.parquet", b"PAR1" + b"\x15\x04\x15\n" * 40 + b"PAR1")
    report = find(land(home, only_sources={"traces"}), "traces")
    assert report.deliveries_refused == 1
    assert "is Parquet" in report.messages[0]
    assert "JSON lines" in report.messages[0]
