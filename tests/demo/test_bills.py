"""What makes the bills hard is in them, whatever the scale."""

import json
from decimal import Decimal

import duckdb
import pytest

from demo.company import CompanySummary
from tests.demo.reading import read_bill, read_steps

Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def aws(company: CompanySummary) -> Rows:
    """Every row of every AWS delivery."""
    return read_bill(company.sources["aws-focus"])


@pytest.fixture(scope="module")
def october(aws: Rows) -> Rows:
    """Rows of the delivery of October that stands."""
    newest = max(row["folder"] for row in aws if row["BillingPeriodStart"].startswith("2026-10"))
    return [row for row in aws if row["folder"] == newest]


def amount(rows: Rows, column: str) -> Decimal:
    return sum((Decimal(row[column]) for row in rows), Decimal(0))


def test_bills_have_the_57_columns_of_focus_1_2_and_no_placeholders(aws: Rows) -> None:
    assert len(aws[0]) == 58  # and the folder
    assert not any("%(" in value or "\x00" in value for row in aws for value in row.values())


def test_mandatory_cells_are_never_empty(aws: Rows) -> None:
    mandatory = (
        "BilledCost BillingAccountId BillingCurrency BillingPeriodEnd BillingPeriodStart ChargeCategory "
        "ChargePeriodEnd ChargePeriodStart ContractedCost EffectiveCost InvoiceIssuerName ListCost ProviderName "
        "PublisherName ServiceCategory ServiceName"
    ).split()
    assert [row for row in aws if not all(row[column] for column in mandatory)] == []


def test_list_cost_is_price_times_quantity(october: Rows) -> None:
    priced = [row for row in october if row["ListUnitPrice"] and row["CommitmentDiscountStatus"] != "Unused"]
    assert priced
    for row in priced:
        expected = Decimal(row["ListUnitPrice"]) * Decimal(row["PricingQuantity"])
        assert abs(Decimal(row["ListCost"]) - expected) <= abs(expected) * Decimal("1e-9")


def test_amounts_have_many_places_and_scientific_notation(october: Rows) -> None:
    assert any("E-" in row["BilledCost"] for row in october)
    assert any(len(row["BilledCost"].partition(".")[2]) > 18 for row in october)


def test_a_savings_plan_is_bought_used_and_wasted_and_adds_up(october: Rows) -> None:
    plan = [row for row in october if row["CommitmentDiscountId"]]
    bought = [row for row in plan if row["ChargeCategory"] == "Purchase"]
    used = [row for row in plan if row["CommitmentDiscountStatus"] == "Used"]
    unused = [row for row in plan if row["CommitmentDiscountStatus"] == "Unused"]
    assert bought and used and unused
    assert amount(bought, "EffectiveCost") == 0
    assert amount(used + unused, "BilledCost") == 0
    assert amount(used + unused, "EffectiveCost") == amount(bought, "BilledCost") > 0
    assert {row["ResourceId"] for row in unused} == {row["CommitmentDiscountId"] for row in unused}


def test_credits_a_refund_and_tax_are_billed(october: Rows) -> None:
    by_category = {category: [row for row in october if row["ChargeCategory"] == category] for category in
                   ("Credit", "Adjustment", "Tax")}  # fmt: skip
    assert amount(by_category["Credit"], "BilledCost") < 0
    assert amount(by_category["Adjustment"], "BilledCost") < 0
    assert all(row["InvoiceId"] and not row["SkuId"] for row in by_category["Tax"])
    assert amount(by_category["Tax"], "BilledCost") > 0


def test_corrections_are_negative_and_speak_of_the_month_before(october: Rows) -> None:
    corrections = [row for row in october if row["ChargeClass"] == "Correction"]
    assert corrections
    assert all(Decimal(row["BilledCost"]) < 0 for row in corrections)
    assert all(row["ChargePeriodStart"].startswith("2026-09") for row in corrections)
    assert all(row["BillingPeriodStart"].startswith("2026-10") for row in corrections)


def test_a_newer_delivery_brings_late_and_restated_lines(aws: Rows, october: Rows) -> None:
    def by_charge(rows: Rows) -> dict[tuple[str, ...], str]:
        key = ("ResourceId", "SkuId", "ChargePeriodStart", "CommitmentDiscountStatus")
        return {tuple(row[column] for column in key): row["BilledCost"] for row in rows}

    early = [row for row in aws if row["BillingPeriodStart"][:7] == "2026-10" and row not in october]
    last_hour = max(row["ChargePeriodEnd"] for row in early)
    before, after = by_charge(early), by_charge([row for row in october if row["ChargePeriodEnd"] <= last_hour])
    assert [key for key in after if key[2] >= "2026-10" and key not in before]
    assert [key for key in before if key in after and before[key] != after[key]]
    assert not any(row["InvoiceId"] for row in early)


def test_the_month_before_was_delivered_too(aws: Rows) -> None:
    assert any(row["BillingPeriodStart"].startswith("2026-09") for row in aws)


def test_machines_with_gpus_are_billed_by_the_id_that_opencost_calls_provider_id(
    company: CompanySummary, october: Rows
) -> None:
    machines = {row["ResourceId"] for row in october if "GpuCount" in row["SkuPriceDetails"]}
    steps = read_steps(company.sources["opencost"])
    held = {entry["properties"]["providerID"] for step in steps for entry in step.values()}
    assert machines
    assert machines <= held


def test_tags_have_gaps_unknown_teams_and_a_team_renamed(october: Rows) -> None:
    teams = {(json.loads(row["Tags"]) if row["Tags"] else {}).get("team") for row in october}
    assert {None, "growth-exp", "search", "discovery", "research"} <= teams
    assert any(not row["Tags"] for row in october)


def test_the_azure_bill_is_in_euros_with_machines_with_gpus(company: CompanySummary) -> None:
    rows = read_bill(company.sources["azure-focus"])
    assert {row["BillingCurrency"] for row in rows} == {"EUR"}
    assert any('"GpuCount":1' in row["SkuPriceDetails"] for row in rows)
    assert any(row["ChargeCategory"] == "Tax" for row in rows)
    rates = (company.home / "config" / "fx_rates.csv").read_text()
    assert "EUR,USD,1.0842,2026-10-01,2026-11-01" in rates


def test_the_coreweave_bill_is_focus_1_0_parquet_without_list_prices(company: CompanySummary) -> None:
    path = company.sources["coreweave-focus"].files[0].as_posix()
    columns = {row[0]: row[1] for row in duckdb.sql(f"describe select * from '{path}'").fetchall()}
    assert "SkuPriceDetails" not in columns and "x_GpuCount" in columns
    assert columns["BilledCost"].startswith("DECIMAL")
    assert duckdb.sql(f"select count(ListCost), count(ListUnitPrice) from '{path}'").fetchone() == (0, 0)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_model_bills_name_model_and_token_class(company: CompanySummary, provider: str) -> None:
    rows = read_bill(company.sources[f"{provider}-focus"])
    usage = [row for row in rows if row["ChargeCategory"] == "Usage"]
    assert all(row["ServiceSubcategory"] == "Generative AI" for row in rows)
    assert all(json.loads(row["SkuPriceDetails"])["x_ModelId"] == row["ResourceId"] for row in usage)
    assert len({row["SkuMeter"] for row in usage}) == (5 if provider == "anthropic" else 3)


def test_openai_bills_a_contract_price_direct_traffic_and_a_credit(company: CompanySummary) -> None:
    rows = read_bill(company.sources["openai-focus"])
    assert any(Decimal(row["BilledCost"]) < Decimal(row["ListCost"]) for row in rows if row["ResourceId"])
    assert any(row["SubAccountName"] == "research-direct" for row in rows)
    assert any(row["ChargeCategory"] == "Credit" for row in rows)


def test_openais_own_reports_tell_what_its_bill_tells_but_the_credit(company: CompanySummary) -> None:
    pages = [json.loads(line) for file in company.sources["openai-admin"].files for line in file.open()]
    results = [result for page in pages for bucket in page["data"] for result in bucket["results"]]
    usage = [result for result in results if "usage" in result["object"]]
    charged = sum(Decimal(result["amount"]["value"]) for result in results if "amount" in result)
    billed = [row for row in read_bill(company.sources["openai-focus"]) if row["ChargeCategory"] == "Usage"]
    assert len(results) == company.sources["openai-admin"].rows
    assert abs(charged - sum(Decimal(row["BilledCost"]) for row in billed)) < Decimal("0.01")
    assert sum(result["input_tokens"] + result["output_tokens"] for result in usage) == sum(
        Decimal(row["ConsumedQuantity"]) for row in billed
    )


def test_some_resources_keep_the_old_teams_tag_after_the_rename(company: CompanySummary, october: Rows) -> None:
    late = [row for row in october if row["ChargePeriodStart"] >= company.renamed_on.isoformat()]
    assert any('"team":"search"' in row["Tags"] for row in late)


def test_a_node_that_was_down_was_not_billed_and_left_its_commitment_unused(october: Rows) -> None:
    hours = {row["ChargePeriodStart"] for row in october if row["CommitmentDiscountStatus"] == "Unused"}
    covered = {row["ChargePeriodStart"] for row in october if row["CommitmentDiscountStatus"] == "Used"}
    assert len(hours - covered) == 7
