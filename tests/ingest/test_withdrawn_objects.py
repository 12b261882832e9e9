"""A log that leaves its store takes no history with it, unless its source says so."""

from pathlib import Path

import pytest

from ingest.config import ConfigError
from ingest.contracts import DELIVERIES, LITELLM_REQUESTS
from ingest.home import Home
from ingest.landing import land
from tests.ingest.landed import bill, configure, find, query, request, write

KEEP = "{name: gateway, kind: litellm, location: logs/}"
REMOVE = "{name: gateway, kind: litellm, location: logs/, options: {withdrawn: remove}}"


def write_days(home: Home) -> list[Path]:
    return [write(home.path / "logs" / f"{day}.jsonl", request(f"r{day}", day)) for day in (1, 2, 3)]


def list_requests(home: Home) -> list[str]:
    return [request_id for (request_id,) in query(home, LITELLM_REQUESTS, "request_id order by request_id")]


def test_rows_of_logs_that_were_rotated_away_stay_and_are_told(home: Home):
    first, second, _ = write_days(home)
    configure(home, KEEP)
    land(home)
    first.unlink()
    second.unlink()
    report = find(land(home), "gateway")
    assert list_requests(home) == ["r1", "r2", "r3"]
    assert report.messages == ["2 object(s) that landed 2 rows are no longer at the source: the rows are kept"]
    assert (report.deliveries_refused, report.is_stale) == (0, False)


def test_a_source_that_says_so_lets_the_rows_go_once(home: Home):
    first, _, _ = write_days(home)
    configure(home, REMOVE)
    land(home)
    first.unlink()
    report = find(land(home), "gateway")
    assert list_requests(home) == ["r2", "r3"]
    assert "the rows are removed, as options.withdrawn of the source says" in report.messages[0]
    assert query(home, DELIVERIES, "status, rows_landed where object_uri like '%1.jsonl'") == [("superseded", 0)]
    assert find(land(home), "gateway").messages == []
    write(first, request("r1", 1))  # it comes back
    assert find(land(home), "gateway").deliveries_landed == 1
    assert list_requests(home) == ["r1", "r2", "r3"]


def test_the_option_reads_nothing_again(home: Home):
    write_days(home)
    configure(home, KEEP)
    land(home)
    configure(home, REMOVE)
    assert find(land(home), "gateway").deliveries_landed == 0


def test_a_source_that_lists_nothing_has_lost_its_folder_and_not_its_past(home: Home):
    for path in write_days(home):
        configure(home, REMOVE)
        land(home)
        path.rename(path.with_suffix(".moved"))
    configure(home, REMOVE.replace("logs/", '"logs/*.jsonl"'))
    report = find(land(home), "gateway")
    assert len(list_requests(home)) == 3
    assert any("the rows are kept" in message for message in report.messages)


def test_an_object_that_is_replaced_replaces_its_rows(home: Home):
    first, _, _ = write_days(home)
    configure(home, KEEP)
    land(home)
    write(first, request("r9", 1))
    land(home)
    assert list_requests(home) == ["r2", "r3", "r9"]


@pytest.mark.parametrize(
    "source",
    [
        "{name: a, kind: litellm, location: logs/, options: {withdrawn: delete}}",
        "{name: a, kind: focus, location: exports/, options: {withdrawn: remove}}",
    ],
)
def test_what_is_no_choice_is_refused_when_sources_are_read(home: Home, source: str):
    write(home.path / "exports" / "a" / "1.csv", bill("1"))
    configure(home, source)
    with pytest.raises(ConfigError, match=r"options\.withdrawn"):
        land(home)
