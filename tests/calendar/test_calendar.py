"""A company's days, one run a day: whatever happens, the evening finds right marts, green laws and emails sent once."""

import os
import random
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import pytest

from tests.calendar import events
from tests.calendar.walk import Event, Inbox, live_through, open_walk

pytestmark = pytest.mark.slow

SEED_VARIABLE: Final = "WATTLEDGER_CALENDAR_SEED"
"""Another seed, other days: what the long walks draw their events and the compared evenings from."""

AUTUMN: Final = date(2026, 9, 17)
"""76 days from here hold two month ends and the day on which Europe's clocks go back."""

LEAP_WEEK: Final = date(2024, 2, 24)

WORST_DAYS: Final[Mapping[int, Sequence[Event]]] = {
    2: [events.a_log_is_refused_and_nothing_else_comes],
    4: [events.logs_come_late, events.samples_are_out_of_range],
    5: [events.a_month_is_closed],
    7: [events.an_owner_rule_changes_in_the_past],
    8: [events.a_bill_shrinks_by_mistake],
    9: [events.a_run_is_killed],
    10: [events.no_file_comes],
    11: [events.a_reader_is_upgraded],
    12: [events.the_warehouse_is_deleted],
}

ONCE: Final[Sequence[Event]] = (
    events.a_source_is_added,
    events.a_reader_is_upgraded,
    events.an_owner_rule_changes_in_the_past,
    events.a_rate_arrives,
    events.a_config_file_is_refused,
    events.the_state_is_deleted,
)
OFTEN: Final[Sequence[Event]] = (
    events.no_file_comes,
    events.a_log_is_refused_and_nothing_else_comes,
    events.logs_come_late,
    events.a_log_is_replaced,
    events.a_bill_is_restated,
    events.a_bill_shrinks_by_mistake,
    events.a_bill_shrinks_and_is_accepted,
    events.a_price_changes,
    events.a_source_disappears_and_returns,
    events.the_warehouse_is_deleted,
    events.a_run_is_killed,
    events.samples_are_out_of_range,
)


def read_seed(default: int) -> int:
    return int(os.environ.get(SEED_VARIABLE, default))


def draw_events(seed: int, start: date, days: int) -> tuple[dict[int, list[Event]], list[Event]]:
    """A close after each month's end, by day, and the queue of all else: each event once, then the frequent again."""
    draw = random.Random(f"events/{seed}")
    closes = [number for number in range(4, days - 3) if (start + timedelta(days=number)).day == 4]
    return {number: [events.a_month_is_closed] for number in closes}, [
        *draw.sample([*ONCE, *OFTEN], k=len(ONCE) + len(OFTEN)),
        *draw.choices(OFTEN, k=days),
    ]


def live(
    folder: Path, inbox: Inbox, *, seed: int, start: date, days: int, compared: int, in_dagster: bool = False
) -> None:
    """A walk whose events and compared evenings are drawn by the seed, which is said."""
    closes, queue = draw_events(seed, start, days)
    evenings = set(random.Random(f"compared/{seed}").sample(range(2, days), compared)) | {days}
    print(f"seed {seed}: {days} days from {start}, compared on days {sorted(evenings)}")
    walk = open_walk(folder, seed=seed, start=start, inbox=inbox)
    live_through(walk, days, closes, evenings, folder, queue=queue, in_dagster=in_dagster)
    print(dict(walk.counts), dict(walk.seconds))


@pytest.mark.long
def test_twelve_days_that_hold_the_worst(tmp_path: Path, inbox: Inbox) -> None:
    walk = open_walk(tmp_path, seed=12, start=date(2026, 10, 28), inbox=inbox)
    live_through(walk, 12, WORST_DAYS, compared=[6, 12], folder=tmp_path)


@pytest.mark.long
def test_an_autumn_of_the_command(tmp_path: Path, inbox: Inbox) -> None:
    live(tmp_path, inbox, seed=read_seed(1), start=AUTUMN, days=76, compared=10)


@pytest.mark.long
def test_an_autumn_of_dagsters_own_jobs(tmp_path: Path, inbox: Inbox) -> None:
    live(tmp_path, inbox, seed=read_seed(1), start=AUTUMN, days=76, compared=10, in_dagster=True)


@pytest.mark.long
def test_a_leap_year_has_a_29th_of_february(tmp_path: Path, inbox: Inbox) -> None:
    live(tmp_path, inbox, seed=read_seed(1), start=LEAP_WEEK, days=12, compared=2)
