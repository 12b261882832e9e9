"""HOME/books/email_sends: what is known of every email that was sent or may have been. Append-only."""

from dataclasses import asdict, fields
from datetime import UTC
from typing import Final

import pyarrow as pa

from delivery.outbox import Fate, SendRecord
from ingest.book_files import append_book, read_book
from ingest.home import Home

BOOK: Final = "email_sends"
_SCHEMA: Final = pa.schema(
    [
        ("email_key", pa.string()),
        ("message_id", pa.string()),
        ("team_id", pa.string()),
        ("report_date", pa.date32()),
        ("recipients", pa.list_(pa.string())),
        ("fate", pa.string()),
        ("detail", pa.string()),
        ("build_id", pa.string()),
        ("content_sha256", pa.string()),
        ("recorded_at", pa.timestamp("us")),  # UTC
    ]
)


def read_sends(home: Home) -> list[SendRecord]:
    """Every record, oldest first."""
    book = read_book(home, BOOK)
    if book is None:
        return []
    names = [field.name for field in fields(SendRecord)]
    return [
        SendRecord(
            **{name: row[name] for name in names}
            | {
                "recipients": tuple(row["recipients"]),
                "fate": Fate(row["fate"]),
                "recorded_at": row["recorded_at"].replace(tzinfo=UTC),
            }
        )
        for row in book.to_pylist()
    ]


def book_send(home: Home, record: SendRecord) -> None:
    """Append one record; it is on disk when this returns."""
    row = asdict(record) | {
        "recipients": list(record.recipients),
        "fate": record.fate.value,
        "recorded_at": record.recorded_at.astimezone(UTC).replace(tzinfo=None),
    }
    append_book(home, BOOK, pa.Table.from_pylist([row], schema=_SCHEMA))
