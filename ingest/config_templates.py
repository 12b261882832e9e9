"""What a new home's config files say of themselves: every file explains its columns and shows one line."""

from typing import Final

from ingest.allocation_policies import ALLOCATION_TEMPLATE

SOURCES_TEMPLATE: Final = """\
# What to land. A source is a name, a kind, and a location: a path, a glob (** crosses folders), a folder (all files
# in it), s3://bucket/prefix, or the address of a server. Paths are relative to this home; absolute ones and ~ work too.
# `wattledger doctor` checks this file.
reporting_currency: USD
sources: []
#  - {name: aws-focus, kind: focus, location: "exports/aws/*.csv.gz"}
#  - {name: aws-cur, kind: aws_cur, location: "s3://cur-bucket/exports/hourly/"}
#  - {name: gcp, kind: gcp_billing, location: "exports/gcp/"}
#  - {name: azure, kind: azure_cost, location: "exports/azure/"}
#  - {name: oci, kind: oci_cost, location: "exports/oci/"}
#  - {name: neocloud, kind: invoice_csv, location: "invoices/"}
#  - {name: cluster, kind: opencost_allocation, location: "exports/opencost/"}
#  - {name: gpus, kind: dcgm_prometheus, location: "exports/dcgm/**/*.json"}
#  - name: more-gpus
#    kind: dcgm_prometheus
#    location: "https://prometheus.example:9090"
#    options: {since: 2026-10-01, token_env: PROMETHEUS_TOKEN}  # credentials by the name of a variable or a file
#  - {name: openshift, kind: koku_ocp, location: "exports/koku/", options: {cluster: prod}}
#  - {name: pods, kind: kube_pods, location: "exports/pods/", options: {cluster: prod}}
#  - {name: gangs, kind: volcano, location: "exports/podgroups/", options: {cluster: prod}}
#  - {name: workloads, kind: kueue, location: "exports/workloads/", options: {cluster: prod}}
#  - {name: price-check, kind: llm_price_catalogue, location: prices/model_prices_and_context_window.json}
#  - {name: budgets, kind: gcp_budgets, location: "exports/gcp-budgets/"}   # or billingbudgets://billingAccounts/ID
#  - {name: grid, kind: carbon_intensity, location: "exports/grid/*.json"}
#  - {name: power-market, kind: electricity_prices, location: "exports/day-ahead/*.csv"}
#  - {name: jobs, kind: slurm_sacct, location: "exports/sacct/", options: {cluster: prod, timezone: Europe/Berlin}}
#  - {name: managed-jobs, kind: skypilot_jobs, location: "exports/skypilot/"}
#  - {name: ray, kind: ray_jobs, location: "exports/ray/", options: {cluster: ray-prod}}
#  - name: pod-states
#    kind: kube_state_prometheus
#    location: "https://prometheus.example:9090"
#    options: {since: 2026-10-01, cluster: prod}
#  - name: serving
#    kind: vllm_prometheus
#    location: "https://prometheus.example:9090"
#    options: {since: 2026-10-01, cluster: prod}
#  - name: gateway
#    kind: litellm
#    location: "s3://logs/litellm/"
#    options: {region: eu-west-1}  # also endpoint_url and profile; keys come from the environment or ~/.aws
#  - name: proxy
#    kind: litellm
#    location: "postgresql://db.example/litellm"
#    options: {since: 2026-10-01, user: finops_reader, password_env: LITELLM_PASSWORD}
#  - name: openai
#    kind: provider_costs
#    location: "https://api.openai.com/v1"
#    options: {since: 2026-10-01, provider: openai, token_env: OPENAI_ADMIN_KEY}
"""

POLICIES_TEMPLATE: Final = (
    """\
# How to judge. A key left out has the value shown.
# unpriced_exposure_usd_per_mtok:  # assumed for tokens without a known price: shown as exposure, never as cost
#   input: 3
#   output: 15
# gpu_idle_activity_share: 0.05    # a held GPU less active than this is idle
# gpu_sample_gap_multiple: 3       # a gap between samples longer than this many usual steps is unknown, not idle
# restatement_materiality_usd: 1   # a closed statement that changed by less, or by less than the share, is listed
# restatement_materiality_share: 0.001   # and need not be sent again
# landing:
#   shrink_share: 0.05             # a newer bill is held back until accepted when it loses days or sub accounts that
#                                  # stand, or more than this share of their charges
# doctor:
#   untagged_share: 0.05           # a month with more than this share of its cost untagged is named
"""
    + ALLOCATION_TEMPLATE
)

_DATES_NOTE: Final = "# valid_from is the first day, valid_to the day after the last; blank is open.\n"

CSV_NOTES: Final = {
    "owners": (
        "# Who owns what. match_on: tag (match_key is the tag's key), namespace, account or key (a gateway key).\n"
        "# The lowest priority wins.\n"
        f"{_DATES_NOTE}"
        "# owners-1,tag,team,search,search,Search,CC-100,production,100,2026-01-01,\n"
    ),
    "tariffs": (
        "# What electricity costs in a facility.\n"
        f"{_DATES_NOTE}"
        "# fra1,2026-01-01,2027-01-01,0.185,supply contract 4711\n"
    ),
    "facilities": (
        "# Where machines stand. hostname_pattern as in SQL: % any text, _ one character.\n"
        "# power_source: measured (energy is charged: kWh x pue x tariff), invoice (usage billed to the account,\n"
        "# sub-account or resource power_invoice_account_id is split by kWh), or included (in another price).\n"
        f"{_DATES_NOTE}"
        "# fra1,gpu-fra1-%,1.32,measured,,2026-01-01,,facility report 2026\n"
    ),
    "owned_hardware": (
        "# Machines you own: depreciation in a straight line, space, staff and maintenance become monthly charges.\n"
        "# resource_id: the node as OpenCost names it; hostname: as DCGM does, if not the same. valid_to retires an\n"
        "# asset; other monthly costs are a new row of it.\n"
        f"{_DATES_NOTE}"
        "# a-17,gpu-fra1-03,,fra1,H100 SXM,8,290000,29000,2026-01-15,48,450,300,250,,,order 8812\n"
    ),
    "adjustments": (
        "# Dollars moved by hand. The rows of one adjustment_id add up to 0. adjustment_kind: adjustment or dispute.\n"
        "# cost_center_id and reference_charge may be blank.\n"
        "#\n"
        "# adj-1,adjustment,2026-03-31,search,,0,wrong queue in March,cfo@example.com,\n"
    ),
    "fx_rates": (
        "# One unit of currency_code is worth `rate` units of to_currency_code.\n"
        f"{_DATES_NOTE}"
        "# EUR,USD,1.0832,2026-01-01,2026-02-01,European Central Bank\n"
    ),
    "price_overrides": (
        "# Your own prices of models, over the price book. token_class: input, cache_read, cache_write_5m,\n"
        "# cache_write_1h, output, input_audio, output_audio.\n"
        f"{_DATES_NOTE}"
        "# openai,gpt-4o,input,2.25,2026-01-01,,enterprise agreement\n"
    ),
    "rate_cards": (
        "# What a team is charged for a held GPU-hour, instead of its part of the bill; the difference stays with the\n"
        "# platform. cluster and gpu_model: * for any; the most special line wins; without a line, the actual cost.\n"
        f"{_DATES_NOTE}"
        "# *,H100 SXM,2.75,2026-01-01,,platform price list 2026\n"
    ),
    "quotas": (
        "# GPUs that a team can always have: Kueue's nominalQuota, Volcano's guarantee. gpu_model: * for the\n"
        "# cluster's GPUs whose model no other line names. Who pays: unused_quota in policies.yml.\n"
        f"{_DATES_NOTE}"
        "# prod,H100 SXM,search,16,2026-01-01,,ClusterQueue search\n"
    ),
    "serving_pools": (
        "# Workloads that serve a model of your own: their nodes' cost goes on to whoever the gateway saw calling it.\n"
        "# model: as the gateway names it. mean_running_batch: requests that decode together; blank: by tokens alone,\n"
        "# but for hours that a source of kind vllm_prometheus has sampled.\n"
        f"{_DATES_NOTE}"
        "# llama,prod,inference,vllm-llama,llama-3.3-70b,24,2026-01-01,\n"
    ),
    "gl_accounts": (
        "# Which account a closed period is booked to. entry_kind: expense (what a team is charged), central (what\n"
        "# stays with the platform: showback teams and dollars without an owner), clearing (the other side).\n"
        "# cost_pool and team_id: * for any; the most special line wins.\n"
        f"{_DATES_NOTE}"
        "# expense,*,*,6410,Cloud services,2026-01-01,\n"
    ),
    "recipients": (
        "# Who gets the email of a team; one line per address.\n"
        f"{_DATES_NOTE}"
        "# search,search-leads@example.com,2026-01-01,\n"
    ),
}
