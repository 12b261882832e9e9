"""Windows of a server that the lake lost: asked again though settled, and named when the server forgot them."""

import shutil
from datetime import timedelta
from typing import Any

import pytest

from ingest import lake
from ingest.contracts import DCGM_SAMPLES
from ingest.home import Home
from ingest.stocktaking import LostRowsError, accept_lost, require_whole
from tests.ingest.landed import find
from tests.ingest.test_server_landing import DAY, FakePrometheus, land_at, prometheus, rows_by_hour

__all__ = ["land_at", "prometheus"]  # fixtures


def test_lost_windows_are_asked_again_once(home: Home, prometheus: FakePrometheus, land_at: Any):
    prometheus.fill(0, 3)
    land_at(10)
    assert prometheus.asked_hours == list(range(10))
    land_at(10)
    settled = prometheus.asked_hours
    assert 0 not in settled
    shutil.rmtree(lake.get_table_dir(home, DCGM_SAMPLES))
    assert not land_at(10).has_refusals
    assert {0, 1, 2} <= set(prometheus.asked_hours)
    assert rows_by_hour(home) == {0: 60, 1: 60, 2: 60}
    land_at(10)
    assert prometheus.asked_hours == settled


def test_a_window_that_the_server_forgot_stays_lost_until_it_is_accepted(
    home: Home, prometheus: FakePrometheus, land_at: Any
):
    prometheus.fill(0, 3)
    land_at(10)
    prometheus.samples = {at: value for at, value in prometheus.samples.items() if at >= DAY + timedelta(hours=1)}
    shutil.rmtree(lake.get_table_dir(home, DCGM_SAMPLES))
    for _ in range(2):
        report = land_at(10)
        assert report.has_refusals
        assert "60 rows of 1 object lost and not read again: gpus@2025-06-01T00:00Z" in find(report, "gpus").messages
        with pytest.raises(LostRowsError, match=r"gpus@2025-06-01T00:00Z"):
            require_whole(home)
    assert rows_by_hour(home) == {1: 60, 2: 60}
    assert accept_lost(home, "gpus", "retention is 15 days") == 1
    require_whole(home)
    assert not land_at(10).has_refusals
