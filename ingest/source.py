"""The one shape of a source kind: read one object, hand typed rows to a sink, name what was refused.

A kind is a module with one class. It never decides what is replaced or when: `ingest.landing` does, from the rows'
own claims for billing and from the object for logs and telemetry. A kind that can also be asked of a server names its
`ServerKind`: that one writes what the server has of a window, or of a bill, to a file, which the kind then reads like
any object.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import pyarrow as pa

from ingest.contracts import LandingTable
from ingest.wording import fit_sentence


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
        self.reason = fit_sentence(reason)
        super().__init__(self.reason)
        self.field = field
        self.position = position
        self.found = found


class NoBillError(ObjectRefusedError):
    """The object is sound and holds no bill, such as another dataset of the same export: it is set aside by name."""


@dataclass(frozen=True)
class Window:
    """A span of what a server has, `[start, end)`, aware UTC: what one delivery of it is."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class OptionProblem:
    """One option of a source that cannot be used. `found` never holds a secret."""

    name: str
    found: str
    allowed: str


class Server(Protocol):
    """One server, reached."""

    def check(self) -> str:
        """What answers there, in a few words, by a question that costs it nothing. Raises `ServerError`."""
        ...

    def close(self) -> None: ...


class WindowedServer(Server, Protocol):
    """One server of logs or telemetry. `peek` and `pull` are called from several threads at once."""

    def read_clock(self) -> datetime:
        """The server's time, aware UTC. Raises `ServerError`."""
        ...

    def peek(self, window: Window) -> str | None:
        """By a cheap question, a text that changes whenever the answer would; None where there is no such question.
        Raises `ServerError`.
        """
        ...

    def pull(self, window: Window, target: Path) -> None:
        """Write all that the server has of the window to a new file. Raises `ServerError`."""
        ...


@dataclass(frozen=True)
class ServedBill:
    """What a server has of bills that is landed together, such as an invoice month. Rows are only ever added to it."""

    name: str
    row_count: int
    changed_at: datetime  # aware, UTC: when the server last added to it


class BillServer(Server, Protocol):
    """One server of bills."""

    def list_bills(self) -> Sequence[ServedBill]:
        """All that is wanted of what it has, by cheap questions. Raises `ServerError`."""
        ...

    def pull(self, bill: ServedBill, target: Path) -> None:
        """Write all rows of a bill to a new file. Raises `ServerError`, also when the answer is not whole."""
        ...


class ServerKind(Protocol):
    """How a kind is asked of a server."""

    schemes: ClassVar[tuple[str, ...]]

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """What is wrong with the kind's own options, unknown ones included; the common ones are checked already."""
        ...

    def connect(self, location: str, options: Mapping[str, Any], base_dir: Path) -> Server:
        """Make ready to ask; relative paths in options start at `base_dir`. Raises `ServerError`."""
        ...


class BillServerKind(ServerKind, Protocol):
    """How bills of a kind are asked of a server, each whole."""

    def connect(self, location: str, options: Mapping[str, Any], base_dir: Path) -> BillServer: ...


class WindowedServerKind(ServerKind, Protocol):
    """How records of a kind are asked of a server, window by window."""

    window: ClassVar[timedelta]
    """The length of a window; it divides a day or is a day. Never an option: a window is a delivery's identity."""

    re_read: ClassVar[timedelta]
    """For so long after its end a window is asked again: late samples, restated costs."""

    is_append_only: ClassVar[bool]
    """True when what was once there stays: a later answer with fewer rows is a loss at the server, never landed. Where
    rows may be restated, only an answer without any is."""

    def connect(self, location: str, options: Mapping[str, Any], base_dir: Path) -> WindowedServer: ...


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


@runtime_checkable
class ChecksOptions(Protocol):
    """A kind that can tell from sources.yml alone what is wrong with its options."""

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """What is wrong with the kind's own options; those of storage and of every kind are checked already."""
        ...


class SourceKind(Protocol):
    """What a module under billing/, telemetry/ or tokens/ provides."""

    kind: ClassVar[str]
    table: ClassVar[LandingTable]

    reader_version: ClassVar[int]
    """1, and one more whenever a reader says other rows of the same object: what it landed before is read again."""

    refuses_whole_deliveries: ClassVar[bool]
    """True for billing: one malformed row refuses the delivery, since half a bill is a wrong bill."""

    partition_date_sql: ClassVar[str]
    """SQL over the contract's columns that gives a row's partition date."""

    server: ClassVar[ServerKind | None]
    """How to ask a server for it: a `BillServerKind` for bills, else a `WindowedServerKind`. None for kinds that come
    as objects alone."""

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Read all rows of one object into the sink.

        Every record of the object is either written or refused, so that landed + quarantined = read.
        Raises `ObjectRefusedError` when the object as a whole is not what it should be.
        """
        ...
