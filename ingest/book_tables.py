"""The tables of HOME/books that the warehouse reads: what was closed, and what the closed statements said.

Source: `wattledger close` and `reopen`. Rows are only ever appended. What a close booked counts while it is in force:
until a reopen names it.
"""

from typing import Final

import pyarrow as pa

from ingest.contracts import COUNT, DATE, FLAG, INSTANT, RATE, TEXT, LandingTable

_ROW_USD: Final = pa.decimal128(18, 9)
_SUM_USD: Final = pa.decimal128(38, 9)
_CENTS_USD: Final = pa.decimal128(18, 2)


def _book(name: str, *columns: tuple[str, pa.DataType]) -> LandingTable:
    return LandingTable(name=f"book_{name}", columns=columns, partition=None, is_book=True)


CLOSES: Final = _book(
    "closes",
    ("close_id", TEXT),  # 2026-10/1
    ("period_start_date", DATE),
    ("revision", COUNT),
    ("action", TEXT),  # close | reopen
    ("acted_at", INSTANT),
    ("reason", TEXT),  # of a reopen, or of a close in spite of what stood against it
    ("accepted_blockers", TEXT),
    ("ledger_row_count", COUNT),
    ("statement_count", COUNT),
    ("fingerprint", TEXT),  # SHA-256 of the rows that were booked
    ("code_fingerprint", TEXT),
)

CLOSED_LEDGER: Final = _book(
    "closed_ledger",
    ("close_id", TEXT),
    ("ledger_row_id", TEXT),
    ("usage_date", DATE),
    ("billing_period_start_date", DATE),
    ("posting_period_start_date", DATE),
    *(
        (name, TEXT)
        for name in (
            "posting_cause provider_name billing_account_id invoice_id charge_category service_name resource_id "
            "cost_pool team_id cost_center_id environment workload_id consumer_id model_id allocation_step "
            "allocation_method"
        ).split()
    ),
    ("is_estimate", FLAG),
    ("owner_rule_id", TEXT),
    ("price_set_id", TEXT),
    ("usd_per_unit", RATE),
    ("policy_id", TEXT),
    ("charge_version", TEXT),
    ("source_name", TEXT),
    ("charge_key", TEXT),
    *((name, _ROW_USD) for name in ("billed_cost_usd", "effective_cost_usd", "list_cost_usd", "contracted_cost_usd")),
)

CLOSED_STATEMENT_LINES: Final = _book(
    "closed_statement_lines",
    ("close_id", TEXT),
    ("statement_number", TEXT),
    ("posting_period_start_date", DATE),
    ("team_id", TEXT),
    ("line_number", COUNT),
    ("line_kind", TEXT),
    ("billing_period_start_date", DATE),
    *((name, TEXT) for name in "posting_cause provider_name cost_pool cost_center_id charge_mode".split()),
    ("effective_cost_usd", _SUM_USD),
    ("estimated_cost_usd", _SUM_USD),
    ("statement_usd", _CENTS_USD),
)

CLOSED_JOURNAL: Final = _book(
    "closed_journal",
    ("close_id", TEXT),
    ("posting_period_start_date", DATE),
    ("line_number", COUNT),
    *((name, TEXT) for name in "entry_kind account_code account_name team_id cost_center_id provider_name".split()),
    ("debit_usd", _CENTS_USD),
    ("credit_usd", _CENTS_USD),
    ("description", TEXT),
)

CLOSED_PRICES: Final = _book(
    "closed_prices",  # the prices behind each price_set_id of the closed ledger
    ("close_id", TEXT),
    *((name, TEXT) for name in "price_set_id price_id gateway_provider gateway_model token_class".split()),
    ("tier_start_tokens", COUNT),
    ("usd_per_mtok", RATE),
    ("valid_from_date", DATE),
    ("price_source", TEXT),
)

CLOSE_INPUTS: Final = _book(
    "close_inputs",
    ("close_id", TEXT),
    ("input_name", TEXT),  # a landing table, or `code`
    ("usage_date", DATE),  # null for what speaks for any day
    ("fingerprint", TEXT),
)

BOOK_TABLES: Final = {
    table.name: table
    for table in (CLOSES, CLOSED_LEDGER, CLOSED_STATEMENT_LINES, CLOSED_JOURNAL, CLOSED_PRICES, CLOSE_INPUTS)
}
"""Book tables by the name of their view in the raw schema."""
