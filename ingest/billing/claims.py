"""Whose bill a refused row belongs to, so that only that bill is held back."""

from collections.abc import Collection
from datetime import date
from typing import ClassVar, Protocol, runtime_checkable

from ingest.source import SourceKind

Claim = tuple[tuple[str | None, ...], date]
"""The values of a kind's `claim_columns`, and the partition date."""


@runtime_checkable
class ClaimSink(Protocol):
    """A row sink that wants to know which slices the refused rows belong to."""

    def note_refused_claims(self, claims: Collection[Claim | None]) -> None:
        """`None` stands for rows that do not tell: any slice of the folder may miss them."""
        ...


class BillKind(SourceKind, Protocol):
    """A kind whose rows claim slices: by the values of these columns and the partition date."""

    claim_columns: ClassVar[tuple[str, ...]]

    sub_account_column: ClassVar[str]
    """The column that says whose use a row bills, inside the billing account."""
