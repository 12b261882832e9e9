"""Read invoices line by line: of neoclouds, colocation and whoever else sends no export of its own. CSV and Parquet.

Source: one file a provider, account and billing period, `<provider>/<account>/<YYYY-MM>.csv`; delivered again, it
replaces what it said. A file of another shape is read by `options.columns`. The billing period is `billing_month`, or
the month in the file's name, or the month that a line starts in. A total that `<YYYY-MM>.meta.json` states must be that
of its lines. Landing table: invoice_lines.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

import pyarrow as pa

from ingest.billing.bill_format import BillFormat
from ingest.billing.bill_options import check_bill_options
from ingest.billing.claims import Claim, ClaimSink
from ingest.billing.statements import is_statement, read_statement
from ingest.billing.tabular import read_bill
from ingest.billing.typed_select import quote_literal
from ingest.contracts import INVOICE_LINES, LandingTable
from ingest.source import ObjectRefusedError, OptionProblem, RowSink, ServerKind, SourceObject
from ingest.wording import list_names

CHARGE_TYPES: Final = (
    "usage commitment_purchase commitment_unused support storage network tax credit refund adjustment"
).split()
_UNMULTIPLIED: Final = ("tax", "credit", "refund", "adjustment")
_MONTH_NAME: Final = re.compile(r"(?<!\d)(20\d{2})-(0[1-9]|1[0-2])(?!\d|-\d)")
_PERIOD: Final = "cast(date_trunc('month', coalesce(billing_month, period_start)) as date)"
_PRODUCT_GAP: Final = "abs(quantity::double * unit_price::double - amount::double)"

INVOICE: Final = BillFormat(
    name="invoice",
    table=INVOICE_LINES,
    required=(
        "provider",
        "account_id",
        "invoice_id",
        "period_start",
        "period_end",
        "charge_type",
        "amount",
        "currency",
    ),
    period_column="period_start",
    period_sql=_PERIOD,
    claim_columns=("provider", "account_id"),
    spell=str,
    expected={"line_id": None, "quantity": None, "unit": None, "unit_price": None},
    rules=(
        ("charge_type", f"charge_type not in {tuple(CHARGE_TYPES)}", f"no charge type: {', '.join(CHARGE_TYPES)}"),
        ("period_end", "period_end <= period_start", "ends before or when it starts: periods are [start, end)"),
        ("unit_price", "unit_price < 0", "below 0: a credit is a line of its own with a negative amount"),
        (
            "currency",
            "not regexp_matches(currency, '^[A-Z]{3}$')",
            "not a currency code: expected three capital letters (ISO 4217), such as USD",
        ),
        (
            "amount",
            f"charge_type not in {tuple(_UNMULTIPLIED)} and {_PRODUCT_GAP} > 0.01 + abs(amount::double) * 1e-15",
            "not quantity x unit_price, to a cent",
        ),
    ),
    rewritten={"charge_type": "lower(trim($))"},
)


class InvoiceCsv:
    """One row per invoice line; `line_id` is unique in its invoice."""

    kind: ClassVar[str] = "invoice_csv"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = INVOICE_LINES
    refuses_whole_deliveries: ClassVar[bool] = True
    partition_date_sql: ClassVar[str] = _PERIOD
    server: ClassVar[ServerKind | None] = None
    claim_columns: ClassVar[tuple[str, ...]] = INVOICE.claim_columns
    sub_account_column: ClassVar[str] = "project"

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """Those of `check_bill_options`, and `charge_types`."""
        yield from check_bill_options(INVOICE, options, "charge_types")
        given = options.get("charge_types") or {}
        if not isinstance(given, Mapping):
            yield OptionProblem("charge_types", repr(given), "a map of the file's words to charge types")
            return
        for word, charge_type in given.items():
            if charge_type not in CHARGE_TYPES:
                allowed = list_names(str(charge_type), CHARGE_TYPES)
                yield OptionProblem(f"charge_types.{word}", repr(charge_type), allowed)

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write every readable line, refuse the others by line and field.

        Options: those of `read_bill`, and `charge_types`, from the file's words to the contract's (`*` for all others).
        Raises `ObjectRefusedError` for what is no invoice.
        """
        if is_statement(source_object.uri):
            read_statement(source_object.path.read_bytes())  # no lines; the file beside it is held against it
            return
        options = dict(source_object.options)
        form = replace(INVOICE, rewritten={"charge_type": _spell_charge_types(options.get("charge_types"))})
        if month := _MONTH_NAME.search(source_object.uri.rpartition("/")[2]):
            # A refund or a fee of another month stands on this month's bill all the same.
            options["defaults"] = {"billing_month": f"{month[0]}-01", **(options.get("defaults") or {})}
        read_bill(form, replace(source_object, options=options), _UniqueLines(sink))


def _spell_charge_types(given: Any) -> str:
    """SQL with `$` for the file's word of a charge type."""
    if given is None:
        return INVOICE.rewritten["charge_type"]
    if not isinstance(given, Mapping):
        raise ObjectRefusedError(f"options.charge_types of the source: expected words with types, found {given!r}")
    for word, charge_type in given.items():
        if charge_type not in CHARGE_TYPES:
            allowed = list_names(str(charge_type), CHARGE_TYPES)
            raise ObjectRefusedError(
                f"options.charge_types of the source: {word} is to be {charge_type}, which is no charge type; "
                f"allowed: {allowed}"
            )
    words = {str(word): charge_type for word, charge_type in given.items()}
    other = quote_literal(words.pop("*")) if "*" in words else "lower(trim($))"
    # A `$` stands for the text of the cell, so that a word must not hold one as it is.
    literals = {quote_literal(word.lower()).replace("$", "' || chr(36) || '"): to for word, to in words.items()}
    cases = " ".join(f"when {literal} then {quote_literal(to)}" for literal, to in literals.items())
    return f"case lower(trim($)) {cases} else {other} end" if cases else f"coalesce({other}, $)"


class _UniqueLines:
    """A sink that refuses a line whose id its invoice has had: it would be charged twice."""

    def __init__(self, sink: RowSink) -> None:
        self._sink = sink
        self._seen: set[tuple[str, str]] = set()

    def write(self, batch: pa.Table) -> None:
        if "line_id" not in batch.column_names:
            self._sink.write(batch)
            return
        keep: list[bool] = []
        rows = batch.select(["invoice_id", "line_id", "_position"]).to_pylist()
        for row in rows:
            key = (row["invoice_id"], row["line_id"])
            is_repeated = row["line_id"] is not None and key in self._seen
            if is_repeated:
                self.refuse_row(row["_position"], "line_id", "stands twice in its invoice", row["line_id"])
                self.note_refused_claims({None})
            self._seen.add(key)
            keep.append(not is_repeated)
        self._sink.write(batch.filter(pa.array(keep, pa.bool_())))

    def refuse_row(self, position: int | None, field: str | None, reason: str, found: str = "") -> None:
        self._sink.refuse_row(position, field, reason, found)

    def note_refused_claims(self, claims: Collection[Claim | None]) -> None:
        if isinstance(self._sink, ClaimSink):
            self._sink.note_refused_claims(claims)
