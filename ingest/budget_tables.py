"""The landing table of budgets kept at cloud providers. A row is one budget in one listing of its billing account."""

from typing import Final

from ingest import ranges
from ingest.landing_table import DATE, FLAG, INSTANT, MONEY, TEXT, LandingTable

PROVIDER_BUDGETS: Final = LandingTable(
    name="provider_budgets",
    columns=(
        ("provider", TEXT),  # gcp
        ("billing_account_id", TEXT),
        ("budget_id", TEXT),  # unique in the billing account
        ("budget_name", TEXT),  # as people see it
        ("period", TEXT),  # MONTH | QUARTER | YEAR | CUSTOM
        ("custom_start_date", DATE),  # of CUSTOM, days of the provider's own time zone
        ("custom_end_date", DATE),  # null: it does not end
        ("budgeted_amount", MONEY),  # of one period, in currency; null where it is the last period's spend
        ("currency", TEXT),
        ("is_last_period_amount", FLAG),
        ("credit_treatment", TEXT),  # INCLUDE_ALL_CREDITS | EXCLUDE_ALL_CREDITS | INCLUDE_SPECIFIED_CREDITS
        # What the budget is of, JSON, in the provider's own ids; null: everything that the account pays.
        ("credit_types", TEXT),
        ("projects", TEXT),
        ("resource_ancestors", TEXT),
        ("services", TEXT),
        ("subaccounts", TEXT),
        ("labels", TEXT),  # an object of lists: {"team": ["search"]}
        ("threshold_rules", TEXT),  # JSON: [{"threshold_share": 0.9, "spend_basis": "CURRENT_SPEND"}], 1 is all of it
        ("as_of", INSTANT),  # of the listing
    ),
    partition="usage_date",
    ranges={"budgeted_amount": ranges.BUDGET},
)
