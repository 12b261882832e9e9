"""What a landing table is: typed columns, the audit columns that every one carries, and the date it is cut by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from ingest.ranges import Range

MONEY: Final = pa.decimal128(38, 18)
RATE: Final = pa.decimal128(18, 9)
INSTANT: Final = pa.timestamp("us")
TEXT: Final = pa.string()
COUNT: Final = pa.int64()
NUMBER: Final = pa.float64()
FLAG: Final = pa.bool_()
DATE: Final = pa.date32()

AUDIT_COLUMNS: Final = (
    ("_source", TEXT),  # the name in sources.yml
    ("_object", TEXT),  # URI or path of the object the row was read from
    ("_delivery_id", TEXT),
    ("_position", COUNT),  # 1-based line or record in the object
    ("_repairs", TEXT),  # comma-separated codes of what was mended on reading, null if nothing
    ("_extra", TEXT),  # JSON of the columns the contract does not name, null if none
)


@dataclass(frozen=True)
class LandingTable:
    """One lake table: `columns` are (name, Arrow type) without audit columns; `partition` is a date column or None.

    A book stands in HOME/books and has no audit columns: nothing it says was read from an object.
    """

    name: str
    columns: tuple[tuple[str, pa.DataType], ...]
    partition: str | None
    is_book: bool = False
    ranges: Mapping[str, Range] = field(default_factory=dict, compare=False)
    """What each numeric column may be; a book has none: it says what was computed."""

    @property
    def schema(self) -> pa.Schema:
        """All columns in order: contract, audit, then the partition date."""
        fields = [*self.columns, *(() if self.is_book else AUDIT_COLUMNS)]
        if self.partition is not None:
            fields.append((self.partition, DATE))
        return pa.schema(fields)
