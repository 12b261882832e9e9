"""What tells one tabular bill format from another: its columns by name, which must be there, and what must hold."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from ingest.contracts import INSTANT, MONEY, LandingTable

_NOT_ALPHANUMERIC: Final = re.compile(r"[^a-z0-9]")


@dataclass(frozen=True)
class ListShape:
    """A repeated record of a bill, a contract column of JSON: landed as a JSON array of objects with these fields."""

    texts: tuple[str, ...]
    amounts: tuple[str, ...] = ()
    """Money: an element without a readable amount refuses its row; other lists that cannot be read become null."""


@dataclass(frozen=True)
class BillFormat:
    """A format that `ingest.billing.tabular` reads: CSV, Parquet or JSON lines with one charge a row.

    `rules` are (contract column, SQL condition that breaks it, reason), the first match refuses the row; `repairs` are
    (code, SQL condition). Both see the contract's typed columns by name.
    """

    name: str  # as errors say it
    table: LandingTable
    required: tuple[str, ...]
    period_column: str  # the start of a billing period, an instant unless `period_sql` reads it
    claim_columns: tuple[str, ...]
    spell: Callable[[str], str]
    """The name that the format's own documents give a contract column."""

    expected: Mapping[str, str | None] = field(default_factory=dict)
    """Columns whose absence lands as null with a repair code, and the column that may stand for each."""

    rules: tuple[tuple[str, str, str], ...] = ()
    repairs: tuple[tuple[str, str], ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    """SQL of contract columns that are not just what their own field says."""

    lenient_amounts: frozenset[str] = frozenset()
    """Amounts that no money hangs on: a text that is none lands as null with a repair code."""

    amount_nulls: tuple[str, ...] = ()
    """Texts that stand for no amount, beside those of every format."""

    keyed: Mapping[str, Callable[[str], str | None]] = field(default_factory=dict)
    """Contract columns of JSON that may come spread over columns: the key that a header's column has in it, or None."""

    rewritten: Mapping[str, str] = field(default_factory=dict)
    """SQL with `$` for the text of a contract column, where its text needs one spelling."""

    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other names that the format's own versions have for contract columns: column by name."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    """Headers of a file by the contract column that they give, whatever else they mean; one may give several."""

    lists: Mapping[str, ListShape] = field(default_factory=dict)

    period_sql: str = ""
    """SQL of the first day of a billing period over the contract's columns, where the column is no instant."""

    other_datasets: Mapping[str, str] = field(default_factory=dict)
    """Columns that only another dataset of the format has, simplified, and its name: such a file is no bill where it
    lacks a column that every bill has."""

    has_records: bool = False
    """Its files may be JSON lines, and records in Parquet, whose fields are columns."""

    @cached_property
    def partition_date_sql(self) -> str:
        return self.period_sql or f"cast({self.period_column} as date)"

    @cached_property
    def money_columns(self) -> tuple[str, ...]:
        return tuple(name for name, kind in self.table.columns if kind == MONEY)

    @cached_property
    def instant_columns(self) -> tuple[str, ...]:
        return tuple(name for name, kind in self.table.columns if kind == INSTANT)

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.table.columns)

    @cached_property
    def _column_by_key(self) -> dict[str, str]:
        spelled = {name: name for name in self.column_names} | dict(self.aliases)
        return {_simplify(name): column for name, column in spelled.items()}

    def find_column(self, header: str) -> str | None:
        """The contract column that a header names, in whatever case and with whatever separators."""
        return self._column_by_key.get(_simplify(header))

    def find_other_dataset(self, header: Iterable[str]) -> str | None:
        """The dataset of the format that a file without a bill's columns is."""
        names = {_simplify(name) for name in header}
        return next((dataset for column, dataset in self.other_datasets.items() if column in names), None)

    def find_key(self, header: str) -> tuple[str, str] | None:
        """The contract column of JSON that a header's column is a part of, and its key there."""
        for column, key_of in self.keyed.items():
            if (key := key_of(header.strip())) is not None:
                return column, key
        return None


def _simplify(name: str) -> str:
    return _NOT_ALPHANUMERIC.sub("", name.lower())
