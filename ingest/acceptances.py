"""HOME/books/acceptances: what a person accepted of a source. Append-only.

What a held-back bill would lose is accepted once: the landing that makes use of it books that too, so that the same
loss of another day is held back again. Rows in quarantine are accepted as they stand, by object: other rows of it are
not.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from ingest import lake
from ingest.book_files import append_book, read_book
from ingest.contracts import QUARANTINE
from ingest.home import Home, hold_lock

BOOK: Final = "acceptances"
LOSS: Final = "loss"
ROWS: Final = "rows"
_ACCEPT: Final = "accept"
_USE: Final = "use"
_SCHEMA: Final = pa.schema(
    [
        ("action", pa.string()),  # accept | use
        ("subject", pa.string()),  # loss | rows
        ("source_name", pa.string()),
        ("object_uri", pa.string()),
        ("fingerprint", pa.string()),
        ("entry_count", pa.int64()),
        ("described", pa.string()),
        ("reason", pa.string()),
        ("acted_at", pa.timestamp("us")),  # UTC
    ]
)

_STANDING_SQL: Final = """
select
    source_name,
    object_uri,
    '{rows_subject}' as subject,
    -- MD5, since the engine's own hash may change with its version.
    sum(md5_number_lower(concat_ws(
        chr(31), coalesce(position, -1), coalesce(field, ''), reason, coalesce(found, '')
    ))::hugeint)::varchar || '-' || count(*) as fingerprint,
    count(*) as entry_count,
    min(reason) as described
from ({entries})
where scope = 'row'
group by source_name, object_uri
union all
select source_name, object_uri, '{loss_subject}', substr(found, 6), 1, reason
from ({entries})
where scope = 'delivery' and starts_with(found, 'loss ')
order by all
"""


class AcceptError(Exception):
    """There is nothing to accept, or no reason was given."""


@dataclass(frozen=True)
class Standing:
    """What of one object stands in quarantine and can be accepted: its refused rows, or what its bill would lose."""

    source_name: str
    object_uri: str
    subject: str
    fingerprint: str
    entry_count: int
    described: str

    def __str__(self) -> str:
        what = "a bill that shrinks" if self.subject == LOSS else f"{self.entry_count:,} row(s) in quarantine"
        return f"{what} of {self.source_name}, {self.object_uri}: {self.described}"


def list_unaccepted(home: Home) -> list[Standing]:
    """What stands of every source and nobody accepted."""
    rows = {(row["source_name"], row["object_uri"], row["fingerprint"]) for row in _read_acts(home, _ACCEPT, ROWS)}
    losses = {name: read_accepted_losses(home, name, unused_only=True) for name in _list_source_names(home)}
    return [
        item
        for item in _list_standing(home)
        if (
            (item.source_name, item.object_uri, item.fingerprint) not in rows
            if item.subject == ROWS
            else item.fingerprint not in losses.get(item.source_name, ())
        )
    ]


def accept_source(home: Home, source_name: str, reason: str) -> list[Standing]:
    """Book that what stands of a source is accepted; returns what was not before.

    Raises `AcceptError` when nothing of it stands, or no reason is given.
    """
    if not reason.strip():
        raise AcceptError(f"To accept what stands of {source_name} needs a reason: it is kept in the books.")
    with hold_lock(home):
        accepted = [item for item in list_unaccepted(home) if item.source_name == source_name]
        if not accepted:
            names = ", ".join(sorted({item.source_name for item in list_unaccepted(home)})) or "none"
            raise AcceptError(
                f"Nothing of source {source_name} waits to be accepted. Sources with rows in quarantine or bills held "
                f"back that nobody accepted: {names}."
            )
        _append(home, _ACCEPT, [asdict(item) | {"reason": reason.strip()} for item in accepted])
        return accepted


def book_uses(home: Home, source_name: str, fingerprints: Sequence[str]) -> None:
    """Book that a landing made use of accepted losses."""
    used = [{"source_name": source_name, "subject": LOSS, "fingerprint": fingerprint} for fingerprint in fingerprints]
    _append(home, _USE, used)


def read_accepted_losses(home: Home, source_name: str, *, unused_only: bool) -> set[str]:
    """The fingerprints of losses that a person accepted; of those that no landing made use of, if told so."""
    accepted = _count_losses(home, _ACCEPT, source_name)
    return set(accepted - _count_losses(home, _USE, source_name) if unused_only else accepted)


def _count_losses(home: Home, action: str, source_name: str) -> Counter[str]:
    acts = _read_acts(home, action, LOSS)
    return Counter(row["fingerprint"] for row in acts if row["source_name"] == source_name)


def _list_standing(home: Home) -> list[Standing]:
    with lake.open_engine(home) as engine:
        entries = lake.select_files_sql(engine, QUARANTINE, lake.list_files(home, QUARANTINE))
        sql = _STANDING_SQL.format(entries=entries, rows_subject=ROWS, loss_subject=LOSS)
        found = engine.execute(sql).fetchall()
    return [
        Standing(source_name, object_uri, subject, fingerprint, entry_count, described)
        for source_name, object_uri, subject, fingerprint, entry_count, described in found
    ]


def _list_source_names(home: Home) -> set[str]:
    return {row["source_name"] for row in _read_acts(home, _ACCEPT, LOSS)}


def _read_acts(home: Home, action: str, subject: str) -> list[dict[str, Any]]:
    book = read_book(home, BOOK)
    rows = [] if book is None else book.to_pylist()
    return [row for row in rows if row["action"] == action and row["subject"] == subject]


def _append(home: Home, action: str, rows: Sequence[dict[str, Any]]) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    acts = [row | {"action": action, "acted_at": now} for row in rows]
    append_book(home, BOOK, pa.Table.from_pylist(acts, schema=_SCHEMA))
