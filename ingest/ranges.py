"""What a number of a landing table may be: nothing outside its range reaches a model.

`ingest.sink` holds every row against the ranges of its table when it lands, and `ingest.raw_views` every row that an
earlier version landed. The bounds are what the world holds, and what the types of the models hold: a row's USD is a
`decimal(18,9)`, below 1e9.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, cast

import pyarrow as pa
import pyarrow.compute as pc

Bound = int | float | Decimal


@dataclass(frozen=True)
class Range:
    """`least` to `most`, both included. A number outside is null with a repair code, or its row is refused."""

    least: Bound
    most: Bound
    what: str  # as a refusal says it
    refuses: bool = False
    chosen_by: str = ""
    """The column whose text chooses one of `choices`; other texts have this range."""

    choices: "Mapping[str, Range]" = field(default_factory=dict)

    def find_outside(self, rows: pa.Table, name: str) -> pa.ChunkedArray | None:
        """Which rows have a number outside, as a mask; None where none has."""
        column = rows.column(name)
        if column.null_count == len(column):
            return None
        least, most = self._list_bounds(rows, column.type)
        inside = pc.and_(pc.greater_equal(column, least), pc.less_equal(column, most))  # type: ignore[attr-defined]
        if pc.all(inside).as_py() is not False:  # type: ignore[attr-defined]
            return None
        return pc.fill_null(pc.invert(inside), False)  # type: ignore[attr-defined]

    def _list_bounds(self, rows: pa.Table, kind: pa.DataType) -> tuple[pa.Scalar | pa.Array, pa.Scalar | pa.Array]:
        if not self.choices:
            return pa.scalar(self.least, kind), pa.scalar(self.most, kind)
        chosen = cast(pa.DictionaryArray, rows.column(self.chosen_by).combine_chunks().dictionary_encode("encode"))
        ranges = [self.choices.get(text, self) for text in chosen.dictionary.to_pylist()]
        least = pa.array([each.least for each in ranges], kind).take(chosen.indices)
        most = pa.array([each.most for each in ranges], kind).take(chosen.indices)
        return least, most

    def select_sql(self, name: str) -> str:
        """`name`, null where it is outside."""
        return f"case when {self.inside_sql(name)} then {name} end"

    def inside_sql(self, name: str) -> str:
        """A condition that is false outside, and null where there is no number."""
        plain = _between(name, self)
        if not self.choices:
            return plain
        branches = " ".join(f"when '{text}' then {_between(name, each)}" for text, each in self.choices.items())
        return f"(case {self.chosen_by} {branches} else {plain} end)"


def _between(name: str, bounds: Range) -> str:
    return f"{name} between {bounds.least} and {bounds.most}"


def name_repair(column: str) -> str:
    """The repair code of a row whose number was outside its range."""
    return f"{column}_out_of_range"


_ROW_USD: Final = Decimal("999999999.999999999")
SHARE: Final = Range(0.0, 1.01, "a share of 0 to 1")  # an exporter's average may be a little over
PERCENT: Final = Range(0.0, 101.0, "a percentage of 0 to 100")
CELSIUS: Final = Range(-60.0, 200.0, "a temperature in degrees Celsius")
WATTS: Final = Range(0.0, 2_000.0, "the watts of one card, at most 2,000")
MILLIJOULES: Final = Range(0.0, 1e16, "the millijoules that one card drew so far")
MEBIBYTES: Final = Range(0.0, 1e8, "mebibytes of memory")
SAMPLE: Final = Range(-9e18, 9e18, "a sample that a whole number of 64 bits holds")
HOURS: Final = Range(0.0, 1e9, "hours of a window below 1e9")
UNITS: Final = Range(0.0, 1e7, "a number of cores, cards or replicas")
BYTES: Final = Range(0.0, 1e19, "bytes of memory")
BYTE_HOURS: Final = Range(0.0, 1e19, "bytes of memory times hours")
BYTE_SECONDS: Final = Range(0.0, 1e23, "bytes of memory times seconds")
SECONDS: Final = Range(0.0, 1e12, "seconds of work")
JOULES: Final = Range(0.0, 1e16, "joules of one job")
COUNT: Final = Range(0, 10**9, "a count of 0 to 1e9")
SIGNED_COUNT: Final = Range(-(10**9), 10**9, "a whole number below 1e9")
QUANTITY: Final = Range(-1e15, 1e15, "a quantity below 1e15")
AMOUNT: Final = Range(-_ROW_USD, _ROW_USD, "an amount below 1e9")
_ALLOCATION_USD: Final = Decimal(10**7)
ALLOCATION_AMOUNT: Final = Range(-_ALLOCATION_USD, _ALLOCATION_USD, "an amount of one allocation, at most 1e7")

TOKENS: Final = Range(0, 10**9, "the tokens of one call, at most 1e9", refuses=True)
CALL_COUNT: Final = Range(0, 10**9, "a count of one call", refuses=True)
REPORTED_TOKENS: Final = Range(0, 10**13, "the tokens of one result, at most 1e13", refuses=True)
CALL_USD: Final = Range(-_ROW_USD, _ROW_USD, "the USD of one call, below 1e9", refuses=True)
REPORTED_AMOUNT: Final = Range(-_ROW_USD, _ROW_USD, "an amount of one result, below 1e9", refuses=True)
USD_PER_HOUR: Final = Range(Decimal(0), Decimal(10**6), "USD an hour, at most 1e6", refuses=True)
USD_PER_MTOK: Final = Range(Decimal(0), Decimal(50_000), "USD for a million tokens, at most 50,000", refuses=True)
TIER_TOKENS: Final = Range(0, 10**12, "the tokens from which a price holds", refuses=True)
GRAMS_PER_KWH: Final = Range(Decimal(0), Decimal(5_000), "grams of CO2 a kWh, at most 5,000", refuses=True)
PRICE_PER_KWH: Final = Range(Decimal(-(10**6)), Decimal(10**6), "a price of a kWh below 1e6", refuses=True)
BUDGET: Final = Range(Decimal(0), Decimal(10**14), "a budget of 0 to 1e14", refuses=True)
BILL_QUANTITY: Final = Range(Decimal(-(10**18)), Decimal(10**18), "a quantity of one line below 1e18")
BILL_PRICE: Final = Range(Decimal(-(10**12)), Decimal(10**12), "a price of one unit below 1e12")
EXCHANGE_RATE: Final = Range(Decimal(0), Decimal(10**8), "a rate between two currencies, at most 1e8")


def bill_amount(currency_column: str) -> Range:
    """Money of a bill's line, in the currency that another column names: what a row's USD holds, of others 1e14."""
    usd = Range(-_ROW_USD, _ROW_USD, "USD of one line, below 1e9", refuses=True)
    most = Decimal(10**14)
    what = "an amount of one line, below 1e9 USD and 1e14 of another currency"
    return Range(-most, most, what, True, currency_column, {"USD": usd})
