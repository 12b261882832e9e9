"""The one shape of a source kind: read one object, hand typed rows to a sink, name what was refused.

A kind is a module with one class. It never decides what is replaced or when: `ingest.landing` does, from the rows'
own claims for billing and from the object for logs and telemetry.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pyarrow as pa

from ingest.contracts import LandingTable


@dataclass(frozen=True)
class SourceObject:
    """One object on local disk, ready to be read."""

    uri: str  # as listed: a path or an object-store URL
    path: Path  # where its bytes are now
    modified_at: datetime  # aware, UTC
    options: Mapping[str, Any]  # the source's options from sources.yml


class ObjectRefusedError(Exception):
    """The whole object cannot be landed: wrong kind, truncated, not UTF-8, a required column missing."""

    def __init__(self, reason: str, *, field: str | None = None, position: int | None = None, found: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field
        self.position = position
        self.found = found


class RowSink(Protocol):
    """Takes what a kind read. Memory stays bounded when batches do (about 100,000 rows)."""

    def write(self, batch: pa.Table) -> None:
        """Append rows: contract columns by name (missing ones become null), and optionally `_position`, `_repairs`,
        `_extra`. Values must already have the contract's types; the sink adds the other audit columns and the
        partition date."""
        ...

    def refuse_row(self, position: int | None, field: str | None, reason: str, found: str = "") -> None:
        """Count one row as read and quarantined."""
        ...


class SourceKind(Protocol):
    """What a module under billing/, telemetry/ or tokens/ provides."""

    kind: ClassVar[str]
    table: ClassVar[LandingTable]
    refuses_whole_deliveries: ClassVar[bool]
    """True for billing: one malformed row refuses the delivery, since half a bill is a wrong bill."""

    partition_date_sql: ClassVar[str]
    """SQL over the contract's columns that gives a row's partition date."""

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Read all rows of one object into the sink.

        Every record of the object is either written or refused, so that landed + quarantined = read.
        Raises `ObjectRefusedError` when the object as a whole is not what it should be.
        """
        ...
