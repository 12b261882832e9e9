"""A failure of one object or answer is told in words; a failure of the machine is nobody's but the machine's."""

import errno
import json
import os
import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingest.failures import asking, describe_failure
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.landing import land
from ingest.storage import StorageError
from ingest.telemetry.opencost_server import OpencostServer
from tests.ingest.landed import configure, find, request, write


def test_an_interrupted_query_refuses_no_object(home: Home):
    write(home.path / "logs" / "1.jsonl", request("one"))
    configure(home, "{name: gateway, kind: litellm, location: 'logs/*.jsonl'}")
    reader = KINDS["litellm"]

    def read(*_: Any) -> None:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        duckdb.sql("select sum(sqrt(range)) from range(100000000000)").fetchall()

    with pytest.MonkeyPatch.context() as patch, pytest.raises((KeyboardInterrupt, RuntimeError)):
        patch.setattr(type(reader), "read", read)
        land(home)
    (report,) = [source for source in land(home).sources if source.source_name == "gateway"]
    assert (report.deliveries_landed, report.deliveries_refused) == (1, 0)


def test_an_answer_that_no_reader_foresees_makes_its_source_stale_and_no_other(
    home: Home, monkeypatch: pytest.MonkeyPatch
):
    def pull(self: OpencostServer, window: Any, target: Path) -> None:
        target.write_text(json.loads("[]")["data"])

    monkeypatch.setattr(OpencostServer, "read_clock", lambda self: datetime.now(UTC))
    monkeypatch.setattr(OpencostServer, "pull", pull)
    write(home.path / "logs" / "1.jsonl", request("one"))
    configure(
        home,
        "{name: cluster, kind: opencost_allocation, location: 'http://localhost:1', options: {since: 2026-05-01, "
        "until: 2026-05-02}}",
        '{name: calls, kind: litellm, location: "logs/*"}',
    )
    report = land(home)
    assert find(report, "calls").rows_landed == 1
    cluster = find(report, "cluster")
    assert cluster.is_stale
    assert "cluster@2026-05-01" in cluster.messages[0] and "a shape that no such file has" in cluster.messages[0]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), MemoryError()])
def test_a_fault_of_the_machine_is_no_fault_of_the_answer(error: Exception):
    with pytest.raises(type(error)), asking("cluster"):
        raise error


def test_a_storage_error_is_told_as_it_is():
    with pytest.raises(StorageError, match=r"^gone$"), asking("cluster"):
        raise StorageError("gone")


def test_words_name_no_class_of_python():
    for error in (KeyError("a"), TypeError("'NoneType' object"), OverflowError(), ZeroDivisionError(), ValueError("")):
        assert "Error" not in describe_failure(error) and "None" not in describe_failure(error)
    assert describe_failure(timedelta_error()) == "a number or a time in it is too large"


def timedelta_error() -> Exception:
    with pytest.raises(OverflowError) as found:
        timedelta(days=10**10)
    return found.value
