"""How far a bill's data reaches: not into what was not known yet when it was exported."""

from datetime import datetime

import pytest

from ingest.home import Home
from ingest.landing import land
from tests.ingest.landed import HEADER, configure, find, write

AT = "T00:00:00Z"
USED = [("2024-09-01", "2024-09-02"), ("2024-09-14", "2024-09-15")]
BOUGHT = ("2024-09-01", "2025-09-01")
EXPORTED = datetime.fromisoformat("2024-09-15T06:00:00+00:00")


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        (USED, "2024-09-15T00:00"),
        ([*USED, BOUGHT], "2024-09-15T00:00"),
        ([*USED, ("2024-09-15", "2024-09-16")], "2024-09-15T06:00"),  # the day that was running
        ([*USED, ("2024-09-01", "2024-10-01")], "2024-09-15T00:00"),  # a fee for the month
        ([("2024-09-01", "2024-10-01"), BOUGHT], "2024-09-15T06:00"),  # one row a month, to date
        ([BOUGHT], "2024-09-01T00:00"),  # a purchase alone
        # A file that is older than its rows: then the clock holds.
        ([("2024-10-01", "2024-10-03"), ("2024-10-01", "2025-10-01")], "2025-10-01T00:00"),
    ],
)
def test_data_reaches_no_farther_than_the_export(home: Home, spans: list[tuple[str, str]], expected: str):
    month = spans[0][0][:7]
    rows = [
        f"AWS,acct-1,{month}-01{AT},{start}{AT},{end}{AT},Usage,1,1,USD,i-{number}"
        for number, (start, end) in enumerate(spans)
    ]
    write(home.path / "in/bill.csv", "\n".join([HEADER, *rows]) + "\n", int(EXPORTED.timestamp()))
    configure(home, "{name: bills, kind: focus, location: in/}")
    report = find(land(home, only_sources={"bills"}), "bills")
    assert report.data_through_at == datetime.fromisoformat(expected)
