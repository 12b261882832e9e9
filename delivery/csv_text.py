"""CSV that a spreadsheet may open: what would run as a formula is text."""

import csv
import io
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

_FORMULA_START: Final = ("=", "+", "-", "@", "\t", "\r")


def write_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """RFC 4180 text; a text cell that a spreadsheet would run as a formula gets a leading apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_defuse(value) for value in row] for row in rows)
    return text.getvalue()


def _defuse(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_START) else value
