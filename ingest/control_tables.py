"""The landing table of control totals: what landing counted and summed of each object, beside the registry.

A row is one figure of one object: of one slice, partition date, payer and kind of line. The models never read it; the
laws hold the marts against it.
"""

from typing import Final

from ingest.landing_table import DATE, INSTANT, MONEY, TEXT, LandingTable

CONTROL_TOTALS: Final = LandingTable(
    name="control_totals",
    columns=(
        ("source_name", TEXT),
        ("table_name", TEXT),
        ("slice_key", TEXT),  # as in the registry
        ("object_uri", TEXT),
        ("partition_date", DATE),
        ("provider_name", TEXT),  # of bills, as are the next four
        ("billing_account_id", TEXT),
        ("billing_profile_id", TEXT),
        ("currency_code", TEXT),
        ("line_kind", TEXT),  # null, or what tells lines apart that are added up differently
        ("measure", TEXT),  # row_count, billed_cost, effective_cost, list_cost, contracted_cost, or a table's own
        ("total", MONEY),
        ("counted_from", TEXT),  # reading: what was read of the object | lake: counted later, of what stood there
        ("counted_at", INSTANT),
    ),
    partition=None,
)
