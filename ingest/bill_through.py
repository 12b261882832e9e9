"""Up to which instant a bill tells: as far as its rows reach, and no farther than what was known at its export."""

from datetime import UTC, datetime

from ingest.contracts import BILL_PERIODS, LandingTable


def tell_through_sql(table: LandingTable, modified_at: datetime) -> str:
    """An aggregate over the rows of an object that was written at `modified_at`.

    A row that ends more than a day after that, such as a commitment bought for a year, says nothing of use until then.
    Where all rows are of later, the file has another time than its export had: then the clock holds, if it can.
    """
    start, end = BILL_PERIODS[table.name]
    branches: list[str] = []
    for known_at in map(_quote_instant, (modified_at, datetime.now(UTC))):
        reached = f"max({end}) filter ({end} <= {known_at} + interval 1 day)"
        # Rows of a month that is running tell up to now; of longer ones alone it is known when they began.
        running = f"max({known_at}) filter ({start} <= {known_at} and {end} - {start} <= interval 31 days)"
        begun = f"max({start}) filter ({start} <= {known_at})"
        branches.append(
            f"when min({start}) <= {known_at} then least(coalesce({reached}, {running}, {begun}), {known_at})"
        )
    return f"case {' '.join(branches)} else max({end}) end"


def _quote_instant(instant: datetime) -> str:
    return f"timestamp '{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}'"
