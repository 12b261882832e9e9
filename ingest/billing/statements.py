"""What an invoice says beside its lines: `<name>.meta.json` next to `<name>.csv`, with the total that was asked for.

A file whose lines are not its total is refused: a line is missing, or one too many, and nobody knows whose it is.
"""

import json
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, Final

from ingest.source import ObjectRefusedError

_SUFFIX: Final = ".meta.json"
_BILL_SUFFIXES: Final = (".csv", ".csv.gz", ".parquet")


def is_statement(uri: str) -> bool:
    """True for what states the total of the file beside it."""
    return uri.endswith(_SUFFIX)


def name_statement(uri: str) -> str | None:
    """Where the total of a bill's file would stand."""
    suffix = next((suffix for suffix in _BILL_SUFFIXES if uri.endswith(suffix)), None)
    return None if suffix is None else f"{uri.removesuffix(suffix)}{_SUFFIX}"


def find_unread_bills(uris: Collection[str], changed: Collection[str]) -> set[str]:
    """The bills whose statement changed: they are judged anew."""
    return {uri for uri in uris if name_statement(uri) in changed}


def read_statement(payload: bytes) -> Mapping[str, Any]:
    """A statement with its `total` as a decimal. Raises `ObjectRefusedError` for what is none."""
    try:
        document = json.loads(payload, parse_float=Decimal, parse_int=Decimal, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise ObjectRefusedError(f"no statement of a total: {error}: deliver it again") from error
    found = document.get("total") if isinstance(document, dict) else None
    try:
        total = Decimal(found) if isinstance(found, (str, Decimal)) else None
    except ArithmeticError:
        total = None
    if total is None or not total.is_finite():
        raise ObjectRefusedError(
            f"no statement of a total: found {found!r} for total; allowed: a JSON object with invoice_id, total "
            "(a number) and currency",
            field="total",
        )
    return {**document, "total": total}
