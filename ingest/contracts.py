"""The landing tables: columns, types and the one date each is partitioned by.

Money and quantities land as `decimal(38,18)`, lossless for every provider's 18 places; instants land as UTC
timestamps without zone; JSON stays text. Every table carries the audit columns, so that any row can be walked back to
the line of the object it was read from.
"""

from functools import cache
from typing import Final

import pyarrow as pa

from ingest import ranges
from ingest.bill_tables import AWS_CUR_LINE_ITEMS as AWS_CUR_LINE_ITEMS
from ingest.bill_tables import AZURE_COST_ROWS as AZURE_COST_ROWS
from ingest.bill_tables import BILL_AMOUNTS as BILL_AMOUNTS
from ingest.bill_tables import BILL_LINES as BILL_LINES
from ingest.bill_tables import BILL_PERIODS as BILL_PERIODS
from ingest.bill_tables import FOCUS_CHARGES as FOCUS_CHARGES
from ingest.bill_tables import GCP_BILLING_ROWS as GCP_BILLING_ROWS
from ingest.bill_tables import INVOICE_LINES as INVOICE_LINES
from ingest.bill_tables import OCI_COST_ROWS as OCI_COST_ROWS
from ingest.budget_tables import PROVIDER_BUDGETS as PROVIDER_BUDGETS
from ingest.control_tables import CONTROL_TOTALS as CONTROL_TOTALS
from ingest.grid_tables import CARBON_INTENSITY as CARBON_INTENSITY
from ingest.grid_tables import ELECTRICITY_PRICES as ELECTRICITY_PRICES
from ingest.job_tables import JOB_REPORTS as JOB_REPORTS
from ingest.job_tables import SLURM_JOBS as SLURM_JOBS
from ingest.kube_tables import KUBE_POD_GROUPS as KUBE_POD_GROUPS
from ingest.kube_tables import KUBE_PODS as KUBE_PODS
from ingest.kube_tables import KUBE_WORKLOADS as KUBE_WORKLOADS
from ingest.landing_table import AUDIT_COLUMNS as AUDIT_COLUMNS
from ingest.landing_table import COUNT, DATE, INSTANT, RATE, TEXT
from ingest.landing_table import FLAG as FLAG
from ingest.landing_table import MONEY as MONEY
from ingest.landing_table import NUMBER as NUMBER
from ingest.landing_table import LandingTable as LandingTable
from ingest.price_tables import GPU_PRICES as GPU_PRICES
from ingest.price_tables import LLM_CATALOGUE_PRICES as LLM_CATALOGUE_PRICES
from ingest.sample_tables import DCGM_SAMPLES as DCGM_SAMPLES
from ingest.sample_tables import KOKU_OCP_ROWS as KOKU_OCP_ROWS
from ingest.sample_tables import KUBE_STATE_SAMPLES as KUBE_STATE_SAMPLES
from ingest.sample_tables import OPENCOST_ALLOCATIONS as OPENCOST_ALLOCATIONS
from ingest.sample_tables import VLLM_SAMPLES as VLLM_SAMPLES
from ingest.token_tables import LITELLM_REQUESTS as LITELLM_REQUESTS
from ingest.token_tables import PROVIDER_RESULTS as PROVIDER_RESULTS

LLM_PRICES: Final = LandingTable(
    name="llm_prices",
    columns=(
        ("price_id", TEXT),  # stable: book, model, class, tier, start
        ("provider", TEXT),  # as the gateway names it (custom_llm_provider)
        ("model", TEXT),  # as the gateway names it
        ("price_model_id", TEXT),  # the price book's own model id
        # input | cache_read | cache_write_5m | cache_write_1h | output | input_audio | output_audio
        ("token_class", TEXT),
        ("tier_start_tokens", COUNT),  # the rate holds for requests with more input tokens than this
        ("usd_per_mtok", RATE),
        ("valid_from", DATE),  # null: since ever
        ("valid_to", DATE),
        ("price_book", TEXT),  # name and version
    ),
    partition=None,
    ranges={"tier_start_tokens": ranges.TIER_TOKENS, "usd_per_mtok": ranges.USD_PER_MTOK},
)


_FACT_RANGES: Final = {RATE: ranges.AMOUNT, COUNT: ranges.SIGNED_COUNT}


def _dated_fact(name: str, *columns: tuple[str, pa.DataType]) -> LandingTable:
    bounds = {column: _FACT_RANGES[kind] for column, kind in columns if kind in _FACT_RANGES}
    if "usd_per_mtok" in bounds:
        bounds["usd_per_mtok"] = ranges.USD_PER_MTOK
    return LandingTable(name=f"config_{name}", columns=columns, partition=None, ranges=bounds)


_VALIDITY = (("valid_from", DATE), ("valid_to", DATE))

DATED_FACTS: Final = {
    "owners": _dated_fact(
        "owners",
        ("rule_id", TEXT),
        ("match_on", TEXT),
        ("match_key", TEXT),
        ("match_value", TEXT),
        ("team_id", TEXT),
        ("team_name", TEXT),
        ("cost_center_id", TEXT),
        ("environment", TEXT),
        ("priority", COUNT),
        *_VALIDITY,
    ),
    "tariffs": _dated_fact("tariffs", ("facility_id", TEXT), *_VALIDITY, ("usd_per_kwh", RATE), ("source", TEXT)),
    "facilities": _dated_fact(
        "facilities",
        ("facility_id", TEXT),
        ("hostname_pattern", TEXT),
        ("pue", RATE),
        ("power_source", TEXT),  # measured | invoice | included
        ("power_invoice_account_id", TEXT),  # of an invoice: the account, sub-account or resource that it is charged to
        *_VALIDITY,
        ("source", TEXT),
    ),
    "owned_hardware": _dated_fact(
        "owned_hardware",
        ("asset_id", TEXT),
        ("resource_id", TEXT),  # as OpenCost names the node
        ("hostname", TEXT),  # as DCGM names it, where that is another name
        ("facility_id", TEXT),
        ("gpu_model", TEXT),
        ("gpu_count", COUNT),
        ("purchase_cost_usd", RATE),
        ("residual_usd", RATE),
        ("in_service_date", DATE),
        ("useful_life_months", COUNT),
        *((f"{kind}_usd_per_month", RATE) for kind in ("space", "staff", "maintenance")),
        *_VALIDITY,  # of the row; the asset is retired when its last row ends
        ("source", TEXT),
    ),
    "adjustments": _dated_fact(
        "adjustments",
        ("adjustment_id", TEXT),
        ("adjustment_kind", TEXT),  # adjustment | dispute
        ("usage_date", DATE),
        ("team_id", TEXT),
        ("cost_center_id", TEXT),
        ("amount_usd", RATE),
        ("reason", TEXT),
        ("approver", TEXT),
        ("reference_charge", TEXT),  # what it is about, as the approver names it
    ),
    "fx_rates": _dated_fact(
        "fx_rates",
        ("currency_code", TEXT),
        ("to_currency_code", TEXT),
        ("rate", RATE),
        *_VALIDITY,
        ("source", TEXT),
    ),
    "price_overrides": _dated_fact(
        "price_overrides",
        ("provider", TEXT),
        ("model", TEXT),
        ("token_class", TEXT),
        ("usd_per_mtok", RATE),
        *_VALIDITY,
        ("source", TEXT),
    ),
    "rate_cards": _dated_fact(
        "rate_cards",
        ("cluster", TEXT),
        ("gpu_model", TEXT),
        ("usd_per_gpu_hour", RATE),
        *_VALIDITY,
        ("source", TEXT),
    ),
    "quotas": _dated_fact(
        "quotas",
        ("cluster", TEXT),
        ("gpu_model", TEXT),  # * for the GPUs of the cluster that no other line names
        ("team_id", TEXT),
        ("nominal_quota_gpu_count", COUNT),  # Kueue's nominalQuota, Volcano's guarantee
        *_VALIDITY,
        ("source", TEXT),
    ),
    "serving_pools": _dated_fact(
        "serving_pools",
        ("pool_id", TEXT),
        ("cluster", TEXT),
        ("namespace", TEXT),
        ("controller", TEXT),
        ("model", TEXT),  # as the gateway names it
        ("mean_running_batch", RATE),
        *_VALIDITY,
    ),
    "gl_accounts": _dated_fact(
        "gl_accounts",
        ("entry_kind", TEXT),
        ("cost_pool", TEXT),
        ("team_id", TEXT),
        ("account_code", TEXT),
        ("account_name", TEXT),
        *_VALIDITY,
    ),
    "recipients": _dated_fact("recipients", ("team_id", TEXT), ("email", TEXT), *_VALIDITY),
    "policies": _dated_fact("policies", ("policy_key", TEXT), ("policy_value", TEXT)),
    "allocation_policies": _dated_fact(
        "allocation_policies",
        ("policy_id", TEXT),  # subject/pool/method/first day, or default/subject
        ("subject", TEXT),
        ("pool", TEXT),  # * for all
        ("method", TEXT),
        ("scope", TEXT),  # of the method holders
        ("recipient_team_id", TEXT),  # a row for each team that the policy names
        ("weight", COUNT),
        ("recipient_share", RATE),  # what the method recipient gives to its recipient
        *((f"{part}_weight", RATE) for part in ("gpu", "cpu", "ram")),  # of node_rate
        *((f"{part}_weight", COUNT) for part in ("compute", "memory")),  # of mig_basis blend
        *_VALIDITY,
    ),
}
"""Company facts by file stem in HOME/config: CSVs, and policies.yml as its numbers by dotted key and its dated list
`allocation`."""

POLICY_FACTS: Final = ("policies", "allocation_policies")
"""The facts that policies.yml holds, the others have a CSV each."""

DELIVERIES: Final = LandingTable(
    name="deliveries",
    columns=(
        ("source_name", TEXT),
        ("source_kind", TEXT),
        ("table_name", TEXT),
        ("slice_key", TEXT),
        ("version", TEXT),
        ("object_uri", TEXT),
        ("etag", TEXT),
        ("sha256", TEXT),
        ("options_sha256", TEXT),  # of options and the reader's version: others read the object again
        ("status", TEXT),  # landed | refused | superseded
        ("message", TEXT),
        ("rows_read", COUNT),
        ("rows_landed", COUNT),
        ("rows_quarantined", COUNT),
        ("data_through_at", INSTANT),
        ("landed_at", INSTANT),
    ),
    partition=None,
)

QUARANTINE: Final = LandingTable(
    name="quarantine",
    columns=(
        ("source_name", TEXT),
        ("source_kind", TEXT),
        ("object_uri", TEXT),
        ("scope", TEXT),  # row | object | delivery
        ("position", COUNT),  # null when the whole object was refused
        ("field", TEXT),
        ("reason", TEXT),
        ("found", TEXT),  # at most 500 characters
        ("refused_at", INSTANT),
    ),
    partition=None,
)


@cache
def landing_tables() -> dict[str, LandingTable]:
    """Every table of the raw schema by name."""
    tables = (
        FOCUS_CHARGES,
        AWS_CUR_LINE_ITEMS,
        GCP_BILLING_ROWS,
        AZURE_COST_ROWS,
        OCI_COST_ROWS,
        INVOICE_LINES,
        OPENCOST_ALLOCATIONS,
        DCGM_SAMPLES,
        KUBE_PODS,
        KUBE_POD_GROUPS,
        KUBE_WORKLOADS,
        KUBE_STATE_SAMPLES,
        VLLM_SAMPLES,
        KOKU_OCP_ROWS,
        LITELLM_REQUESTS,
        PROVIDER_RESULTS,
        GPU_PRICES,
        LLM_CATALOGUE_PRICES,
        CARBON_INTENSITY,
        ELECTRICITY_PRICES,
        PROVIDER_BUDGETS,
        SLURM_JOBS,
        JOB_REPORTS,
        LLM_PRICES,
        *DATED_FACTS.values(),
        DELIVERIES,
        CONTROL_TOTALS,
        QUARANTINE,
    )
    return {table.name: table for table in tables}
