"""Every real data set of the kinds, in one run: all of it lands, and the ledger equals the files' own sums."""

import gzip
import json
import subprocess
import sys
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import yaml

from tests.ingest.test_gateway_log import AIDER, CLAUDE_CODE, CODEX, MOONCAKE, TRACE
from tests.ingest.test_kube_pod_table import OPENB

pytestmark = [pytest.mark.slow, pytest.mark.long]

SOURCES = {
    "focus-1-0": ("focus", "focus_1_0_official_sample/*.csv.gz"),
    "focus-1-2": ("focus", "focus_1_2_generated/*.csv.gz"),
    "focus-spec": ("focus", "focus_spec_examples/*.csv"),
    "cur-anonymised": ("aws_cur", "aws_cur_legacy_anonymised/*.csv.gz"),
    "cur-koku": ("aws_cur", "aws_cur_legacy_koku/*.csv"),
    "cur-nise": ("aws_cur", "nise_aws_cur/*.csv.gz"),
    "azure-actual": ("azure_cost", "azure_ea_demo_tenant/EA_ActualCost_Small.csv"),
    "azure-amortized": ("azure_cost", "azure_ea_demo_tenant/EA_AmortizedCost_Small.csv"),
    "azure-enterprise": ("azure_cost", "azure_export_header_variants/Enterprise.csv"),
    "azure-pay-as-you-go": ("azure_cost", "azure_export_header_variants/PayAsYouGo.csv"),
    "azure-nise": ("azure_cost", "nise_azure_cost/*.csv.gz"),
    "oci": ("oci_cost", "oci_cost_report/*.csv.gz"),
    "gcp-nise": ("gcp_billing", "nise_gcp_billing/*.jsonl.gz"),
    "gcp-koku": ("gcp_billing", "gcp_billing_export_koku/*.csv"),
    "opencost": ("opencost_allocation", "opencost_api/*.json"),
    "openshift-nise": ("koku_ocp", "nise_openshift_usage/*.csv.gz"),
    "openb": ("kube_pods", "gpu_cluster_openb/openb_pod_list_default.csv.gz"),
    "dcgm-scrapes": ("dcgm_prometheus", "dcgm_exporter_real/*.prom"),
    "dcgm-answers": ("dcgm_prometheus", "dcgm_exporter_real/*.json"),
    "dcgm-ranges": ("dcgm_prometheus", "prometheus_query_range_dcgm/*.json"),
    "aider": ("gateway_log", "aider_usage_analytics/*.jsonl"),
    "claude-code": ("gateway_log", "coding_agent_session_logs/claude*.jsonl"),
    "codex": ("gateway_log", "coding_agent_session_logs/codex*.jsonl"),
    "langfuse": ("langfuse", "langfuse_trace_exports/*.json"),
    "trace": ("gateway_log", "azure_llm_inference_trace_2023/*.csv.gz"),
    "chat-trace": ("gateway_log", "mooncake_llm_trace/*.jsonl.gz"),
    "litellm-payloads": ("litellm", "litellm_generated_logs/standard_logging_payload.jsonl.gz"),
    "litellm-spend-logs": ("litellm", "litellm_generated_logs/spend_logs.jsonl.gz"),
    "litellm-example": ("litellm", "litellm_generated_logs/*.json"),
    "prices-litellm": ("llm_price_catalogue", "llm_price_catalogs/litellm_*.json.gz"),
    "prices-portkey": ("llm_price_catalogue", "llm_price_catalogs/portkey_anthropic.json"),
    "prices-genai": ("llm_price_catalogue", "llm_price_catalogs/genai_*.json.gz"),
}
OPTIONS = {
    "azure-actual": {"view": "actual"},
    "azure-amortized": {"view": "amortized"},
    "aider": AIDER,
    "claude-code": CLAUDE_CODE,
    "codex": CODEX,
    "trace": TRACE,
    "chat-trace": MOONCAKE,
    "openshift-nise": {"cluster": "ml-prod"},
    "openb": OPENB,
    "prices-portkey": {"provider": "anthropic"},
}
ROWS = {
    "focus-1-0": 497,
    "focus-1-2": 9_000,
    "focus-spec": 22,
    "cur-anonymised": 640,
    "cur-koku": 19,
    "cur-nise": 4_656,
    "azure-actual": 11,
    "azure-amortized": 28,
    "azure-enterprise": 1,
    "azure-pay-as-you-go": 1,
    "azure-nise": 512,
    "oci": 117,
    "gcp-nise": 3_504,
    "gcp-koku": 25,
    "opencost": 3,
    "aider": 63,
    "claude-code": 3,
    "codex": 2,
    "langfuse": 11,
    "trace": 8_819,
    "chat-trace": 6_000,
    "openshift-nise": 3_024,
    "openb": 8_152,
    "litellm-payloads": 700,
    "litellm-spend-logs": 700,
    "litellm-example": 1,
}
"""Records in the raw files, counted by hand or with wc."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """A home whose sources point at the real sets, run once."""
    folder = tmp_path_factory.mktemp("real") / "home"
    (folder / "config").mkdir(parents=True)
    sources = [
        {"name": name, "kind": kind, "location": str(shared_data / pattern), "options": OPTIONS.get(name, {})}
        for name, (kind, pattern) in SOURCES.items()
    ]
    (folder / "config" / "sources.yml").write_text(yaml.safe_dump({"reporting_currency": "USD", "sources": sources}))
    run = subprocess.run(
        [sys.executable, "-m", "orchestration.cli", "run", "--home", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="module")
def warehouse(home: Path):
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        yield connection


def test_every_set_lands_whole(warehouse):
    found = warehouse.execute(
        "select source_name, sum(rows_read), sum(rows_landed), sum(rows_quarantined) from raw.deliveries group by 1"
    ).fetchall()
    landed = {name: (read, kept, refused) for name, read, kept, refused in found}
    assert landed.keys() >= SOURCES.keys()
    for name in SOURCES:
        read, kept, refused = landed[name]
        assert read == kept > 0 and refused == 0, name
        if name in ROWS:
            assert read == ROWS[name], name


@pytest.mark.parametrize(
    ("source", "pattern"),
    [("focus-1-0", "focus_1_0_official_sample/*.csv.gz"), ("focus-1-2", "focus_1_2_generated/*.csv.gz")],
)
@pytest.mark.parametrize("basis", ["BilledCost", "EffectiveCost", "ListCost"])
def test_the_ledger_equals_a_plain_sum_over_the_file(warehouse, shared_data, source, pattern, basis):
    expected = duckdb.execute(
        f"""select ProviderName, BillingAccountId, round(sum(cast({basis} as decimal(38, 18))), 9)
        from read_csv(?, all_varchar = true, nullstr = ['NULL', '']) group by all order by all""",
        [str(shared_data / pattern)],
    ).fetchall()
    column = {"BilledCost": "billed_cost_usd", "EffectiveCost": "effective_cost_usd", "ListCost": "list_cost_usd"}
    found = warehouse.execute(
        f"""select provider_name, billing_account_id, sum({column[basis]}) from marts.fct_cost_ledger
        where source_name = ? group by all order by all""",
        [source],
    ).fetchall()
    assert found == expected


def test_the_control_sums_of_the_generated_files_hold(warehouse):
    found = dict(
        warehouse.execute(
            """select provider_name, sum(effective_cost_usd) from marts.fct_cost_ledger
            where source_name = 'focus-1-2' group by 1"""
        ).fetchall()
    )
    rounded = {provider: round(total, 4) for provider, total in found.items()}
    assert rounded == {
        "AWS": Decimal("65892.5959"),
        "Microsoft Azure": Decimal("115211.9865"),
        "Google Cloud": Decimal("79799.8397"),
    }


@pytest.mark.parametrize(
    ("source", "pattern"),
    [(name, pattern) for name, (kind, pattern) in SOURCES.items() if kind == "aws_cur"],
)
def test_the_ledger_bills_what_an_aws_report_bills(warehouse, shared_data, source, pattern):
    expected = duckdb.execute(
        """select "lineItem/UsageAccountId", round(sum("lineItem/UnblendedCost"::decimal(38, 18)), 9)
        from read_csv(?, all_varchar = true, null_padding = true, nullstr = '') group by all order by all""",
        [str(shared_data / pattern)],
    ).fetchall()
    found = warehouse.execute(
        """select sub_account_id, round(sum(billed_cost_local), 9) from intermediate.int_charges__aws_lines
        where source_name = ? group by all order by all""",
        [source],
    ).fetchall()
    assert found == expected
    (billed,) = warehouse.execute(
        "select sum(billed_cost_usd) from marts.fct_cost_ledger where source_name = ?", [source]
    ).fetchone()
    assert billed == sum(value for _, value in expected)


def sum_azure(path: Path, cost: str, where: str = "true") -> Decimal:
    ((total,),) = duckdb.execute(
        f"""select coalesce(sum(round({cost}::decimal(38, 22), 18)), 0)::decimal(38, 18)
        from read_csv(?, all_varchar = true, nullstr = '') where {where}""",
        [str(path)],
    ).fetchall()
    return total


def test_two_views_of_an_azure_bill_are_billed_once_and_costed_by_use(warehouse, shared_data):
    """The actual view is billed; a reservation's purchase of 3.25 costs nothing, and what commitments cover does."""
    actual, amortized = (
        shared_data / f"azure_ea_demo_tenant/EA_{view}Cost_Small.csv" for view in ("Actual", "Amortized")
    )
    committed = "PricingModel in ('Reservation', 'SavingsPlan')"
    billed = sum_azure(actual, "Cost")
    effective = sum_azure(actual, "Cost", f"not {committed}") + sum_azure(amortized, "Cost", committed)
    found = warehouse.execute(
        """select sum(billed_cost_local), sum(effective_cost_local) from intermediate.int_charges__azure_lines
        where source_name in ('azure-actual', 'azure-amortized')"""
    ).fetchall()
    assert found == [(billed, effective)]
    assert sum_azure(actual, "Cost", committed) == Decimal("3.25")
    ledger = warehouse.execute(
        """select sum(billed_cost_usd), sum(effective_cost_usd) from marts.fct_cost_ledger
        where source_name in ('azure-actual', 'azure-amortized')"""
    ).fetchall()
    assert ledger == [(round(billed, 9), round(effective, 9))]


@pytest.mark.parametrize(
    ("source", "pattern", "cost"),
    [
        ("azure-nise", "nise_azure_cost/*.csv.gz", "CostInBillingCurrency"),
        ("azure-pay-as-you-go", "azure_export_header_variants/PayAsYouGo.csv", "PreTaxCost"),
    ],
)
def test_the_ledger_bills_what_an_azure_export_bills(warehouse, shared_data, source, pattern, cost):
    (billed,) = warehouse.execute(
        "select sum(billed_cost_usd) from marts.fct_cost_ledger where source_name = ?", [source]
    ).fetchone()
    # Each of two months is rounded once.
    assert abs(billed - sum_azure(shared_data / pattern, cost)) <= Decimal("0.000000001")


def test_the_ledger_bills_what_an_oracle_report_bills(warehouse, shared_data):
    ((expected,),) = duckdb.execute(
        """select sum(round("cost/myCost"::decimal(38, 22), 18))::decimal(38, 18)
        from read_csv(?, all_varchar = true, nullstr = '')""",
        [str(shared_data / "oci_cost_report/*.csv.gz")],
    ).fetchall()
    lines = "select sum(billed_cost_local), sum(effective_cost_local) from intermediate.int_charges__oci_lines"
    assert warehouse.execute(lines).fetchall() == [(expected, expected)]
    (billed,) = warehouse.execute(
        "select sum(billed_cost_usd) from marts.fct_cost_ledger where source_name = 'oci'"
    ).fetchone()
    assert billed == round(expected, 9)


def test_a_savings_plan_costs_its_fee_where_it_was_used_and_negations_nothing(warehouse):
    """README of nise_aws_cur: covered usage 7,902.00, negation -7,902.00, recurring fee 5,115.60, all of it used."""
    found = warehouse.execute(
        """select charge_category, commitment_discount_status, sum(billed_cost_local), sum(effective_cost_local)
        from intermediate.int_charges__aws_lines
        where source_name = 'cur-nise' and (pricing_category = 'Committed' or charge_category = 'Purchase')
            and (sku_id like 'P4D%' or charge_category = 'Purchase')
        group by all order by all"""
    ).fetchall()
    fee = Decimal("5115.60")
    assert found == [("Purchase", None, fee, 0), ("Usage", "Used", 0, fee)]


def test_the_ledger_bills_what_a_google_cloud_export_bills(warehouse, shared_data):
    with gzip.open(shared_data / "nise_gcp_billing/gcp_billing_export_resource_nested.jsonl.gz", "rt") as file:
        rows = [json.loads(line, parse_float=Decimal, parse_int=Decimal) for line in file]
    expected: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        month = f"{row['invoice']['month'][:4]}-{row['invoice']['month'][4:]}-01"
        expected[month, row["project"]["id"]] += row["cost"] + row["credits"]["amount"]
    found = warehouse.execute(
        """select cast(billing_period_start_date as varchar), sub_account_id, sum(billed_cost_local)
        from intermediate.int_charges__gcp_lines where source_name = 'gcp-nise' group by all"""
    ).fetchall()
    assert {(month, project): billed for month, project, billed in found} == expected
    (billed,) = warehouse.execute(
        "select sum(billed_cost_usd) from marts.fct_cost_ledger where source_name = 'gcp-nise'"
    ).fetchone()
    assert billed == round(sum(expected.values()), 9)


def test_a_free_trial_pays_for_all_of_its_usage(warehouse):
    """README of gcp_billing_export_koku: the credit cancels each cost."""
    found = warehouse.execute(
        """select charge_category, count(*), sum(billed_cost_local) from intermediate.int_charges__gcp_lines
        where source_name = 'gcp-koku' group by all order by all"""
    ).fetchall()
    usage, credit = Decimal("0.000032"), Decimal("-0.000032")
    assert [(category, billed) for category, _, billed in found] == [("Credit", credit), ("Usage", usage)]
    assert [count for _, count, _ in found] == [found[0][1], 25] and found[0][1] < 25


def test_unused_commitments_are_waste(warehouse):
    found = dict(
        warehouse.execute(
            """select provider_name, sum(effective_cost_usd) from marts.fct_cost_ledger
            where source_name = 'focus-1-2' and cost_pool = 'unused_commitment' group by 1"""
        ).fetchall()
    )
    assert {provider: round(total, 2) for provider, total in found.items()} == {
        "AWS": Decimal("5199.70"),
        "Microsoft Azure": Decimal("10512.18"),
        "Google Cloud": Decimal("7538.46"),
    }
    (wasted,) = warehouse.execute(
        "select sum(waste_cost_usd) from marts.fct_waste"
        " where waste_kind = 'unused_commitment' and usage_date >= date '2026-05-01'"
    ).fetchone()
    assert wasted == sum(found.values())


def test_used_commitments_are_amortised_and_their_purchase_is_not_counted_again(warehouse):
    found = warehouse.execute(
        """select provider_name,
            round(sum(effective_cost_usd) filter (where commitment_discount_status = 'Used'), 2),
            sum(effective_cost_usd) filter (where charge_category = 'Purchase' and commitment_discount_id is not null)
        from intermediate.int_charges__routed where source_name = 'focus-1-2' group by 1 order by 1"""
    ).fetchall()
    assert found == [
        ("AWS", Decimal("12281.03"), 0),
        ("Google Cloud", Decimal("17308.62"), 0),
        ("Microsoft Azure", Decimal("25217.68"), 0),
    ]


def test_the_same_calls_in_two_log_formats_are_counted_once(warehouse):
    (requests,) = warehouse.execute(
        """select sum(request_count) from marts.fct_unit_costs_daily
        where usage_date >= date '2026-05-01' and model_id not like '%codex%'"""
    ).fetchone()
    assert requests == 700


def test_the_exporters_own_pod_owns_no_gpu(warehouse):
    (found,) = warehouse.execute(
        "select count(*) from marts.fct_gpu_state_hours where pod like '%dcgm-exporter%' or namespace = 'gpu-operator'"
    ).fetchone()
    assert found == 0


def test_charges_without_a_currency_or_a_rate_are_held_back_not_guessed(warehouse):
    found = warehouse.execute(
        "select cause, currency_code, billed_cost_usd from marts.fct_reconciliation where step = 'held_back'"
    ).fetchall()
    # OpenCost's example of an Enterprise export is in Canadian dollars.
    assert {(cause, currency) for cause, currency, _ in found} == {("no_currency", None), ("no_fx_rate", "CAD")}
    assert {usd for *_, usd in found} == {None}


def test_gpu_hours_of_the_openshift_reports_are_those_of_the_file(warehouse, shared_data):
    expected = duckdb.execute(
        """select node, namespace, pod, count(distinct gpu_uuid), count(*), sum(cast(gpu_pod_uptime as bigint))
        from read_csv(?, all_varchar = true) group by all order by all""",
        [str(shared_data / "nise_openshift_usage/*-ocp_gpu_usage.csv.gz")],
    ).fetchall()
    found = warehouse.execute(
        """select node_name, namespace, pod, count(distinct gpu_uuid), count(*), sum(held_seconds)
        from staging.stg_koku_ocp__gpus where cluster_name = 'ml-prod' group by all order by all"""
    ).fetchall()
    assert found == expected
    # Five whole H100 (one of them half the time), a whole A100, and one in two instances of one pod.
    assert sum(row[3] for row in found) == 7
    assert sum(row[5] for row in found) == 168 * (4 * 3600 + 1800 + 3000 + 2 * 3600)


def test_prices_disagree_where_the_map_of_litellm_says_another_number_than_the_book(warehouse, shared_data):
    path = shared_data / "llm_price_catalogs/litellm_model_prices_1.109.1.json.gz"
    stated = json.loads(gzip.decompress(path.read_bytes()), parse_float=Decimal)
    names = {"input": "input_cost_per_token", "output": "output_cost_per_token"}
    booked = warehouse.execute(
        """select provider, model, token_class, usd_per_mtok from raw.llm_prices
        where valid_to is null and tier_start_tokens = 0 and token_class in ('input', 'output')"""
    ).fetchall()
    compared = 0
    expected = set()
    for provider, model, token_class, book_rate in booked:
        entry = stated.get(model) or stated.get(f"{provider}/{model}") or {}
        rate = Decimal(entry.get(names[token_class], 0)) * 1_000_000
        if entry.get("litellm_provider") == provider and rate:
            compared += 1
            if rate != book_rate:
                expected.add((provider, model, token_class, book_rate, rate))
    found = warehouse.execute(
        """select gateway_provider, gateway_model, token_class, book_usd_per_mtok, catalogue_usd_per_mtok
        from intermediate.int_tokens__price_disagreements
        where catalogue_name = 'litellm' and tier_start_tokens = 0 and token_class in ('input', 'output')"""
    ).fetchall()
    assert compared > 5
    assert set(found) >= expected
    # Beyond those of one name, models that stand under another door of their provider.
    assert all(row in expected or row[0] not in ("openai", "anthropic") for row in found)
