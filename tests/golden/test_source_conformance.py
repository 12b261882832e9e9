"""The conformance of real FOCUS files, line by line, against plain questions to the files themselves."""

from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import yaml

from ingest.home import open_home
from ingest.landing import land
from ingest.raw_views import pin
from tests.dbt_project.small_warehouse import read_rows, run_dbt
from tests.ingest.landed import HEADER

pytestmark = pytest.mark.slow

SETS = {
    "focus-1-0": "focus_1_0_official_sample/*.csv.gz",
    "focus-1-2": "focus_1_2_generated/*.csv.gz",
    "focus-spec": "focus_spec_examples/*.csv",
}
SLOPPY = f"""{HEADER},InvoiceIssuerName
AWS,a,2026-10-01,2026-10-01T00:00:00Z,2026-10-01T24:00:00Z,Usage,$1.50,1.50,USD,i-1,
AWS,a,2026-10-01,2026-10-01T00:00:00Z,2026-10-02T00:00:00Z,Rebate,-1.00,-1.00,Acme Credits,i-2,AWS
"""
REFUSED = f"""{HEADER}
AWS,b,2026-10-01,2026-10-01T00:00:00Z,2026-10-02T00:00:00Z,Usage,much,1,USD,i-1
AWS,b,2026-10-01,2026-10-01T00:00:00Z,2026-10-02T00:00:00Z,Usage,more,1,USD,i-1
"""
SPOILED = """copy (
    select * replace (
        case when line % 7 > 0 then InvoiceIssuerName end as InvoiceIssuerName,
        case when line % 5 > 0 then PricingUnit end as PricingUnit,
        case when line % 3 > 0 then ChargeFrequency else 'Monthly' end as ChargeFrequency,
        case when line % 11 > 0 then RegionName end as RegionName,
        case when line % 13 > 0 then ConsumedUnit end as ConsumedUnit,
        case when line % 17 > 0 then ListUnitPrice else '-1' end as ListUnitPrice
    )
    from (select *, row_number() over () as line from read_csv('{source}', all_varchar = true, nullstr = ['NULL', '']))
) to '{target}'"""
"""A clean file with flaws sown into it."""


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """Three published sets and two bills by hand, landed, with the conformance mart built on them."""
    path = tmp_path_factory.mktemp("conformance") / "home"
    bills = {"sloppy": SLOPPY, "refused": REFUSED}
    for name, text in bills.items():
        (path / name).mkdir(parents=True)
        (path / name / "bill.csv").write_text(text)
    (path / "spoiled").mkdir()
    bills["spoiled"] = SPOILED.format(
        source=next(shared_data.glob("focus_1_2_generated/*aws*")), target=path / "spoiled" / "bill.csv"
    )
    duckdb.execute(bills["spoiled"])
    locations = {name: str(shared_data / pattern) for name, pattern in SETS.items()}
    locations |= {name: f"{name}/*.csv" for name in bills}
    sources = [{"name": name, "kind": "focus", "location": location} for name, location in locations.items()]
    (path / "config").mkdir()
    (path / "config" / "sources.yml").write_text(yaml.safe_dump({"reporting_currency": "USD", "sources": sources}))
    home = open_home(path)
    land(home)
    pin(home, code_fingerprint="test")
    run_dbt(home.warehouse_path, "build", "--select", "+fct_source_conformance", "--exclude-resource-type", "unit_test")
    return home.warehouse_path


def read_failures(warehouse: Path, source: str) -> dict[str, int]:
    """Failing lines of a source by check."""
    return dict(
        read_rows(
            warehouse,
            "select check_code, sum(failed_line_count)::bigint from marts.fct_source_conformance "
            f"where source_name = '{source}' and failed_line_count > 0 group by 1 order by 1",
        )
    )


# Asked of the text of the files: the column, and the condition of a line that breaks the rule, written anew.
ASKED = {
    "required_contracted_cost": "ContractedCost is null",
    "required_invoice_issuer_name": "InvoiceIssuerName is null",
    "null_pricing_quantity": """(PricingQuantity is null and ChargeCategory in ('Usage', 'Purchase')
        and ChargeClass is null)
        or (PricingQuantity is not null and ChargeCategory = 'Tax')""",
    "null_pricing_unit": "(PricingUnit is null) <> (PricingQuantity is null)",
    "null_consumed_unit": "(ConsumedUnit is null) <> (ConsumedQuantity is null)",
    "null_commitment_type": "(CommitmentDiscountType is null) <> (CommitmentDiscountId is null)",
    "null_region_name": "(RegionName is null) <> (RegionId is null)",
    "value_charge_class": "ChargeClass <> 'Correction'",
    "value_charge_frequency": "ChargeFrequency not in ('One-Time', 'Recurring', 'Usage-Based')",
    "value_pricing_category": "PricingCategory not in ('Standard', 'Dynamic', 'Committed', 'Other')",
    "value_list_unit_price": "try_cast(ListUnitPrice as double) < 0",
}


@pytest.mark.parametrize("source", ["focus-1-0", "focus-1-2", "spoiled"])
def test_the_failing_lines_are_those_that_the_files_show(warehouse: Path, shared_data: Path, source: str) -> None:
    counts = ", ".join(f"count(*) filter (where {condition})" for condition in ASKED.values())
    asked = duckdb.execute(
        f"select {counts} from read_csv(?, all_varchar = true, nullstr = ['NULL', ''])",
        [str(shared_data / SETS[source]) if source in SETS else str(warehouse.parent / source / "bill.csv")],
    ).fetchone()
    assert asked is not None and (source != "spoiled" or sum(map(bool, asked)) == 6)
    found = read_failures(warehouse, source)
    assert {code: found.get(code, 0) for code in ASKED} == dict(zip(ASKED, asked, strict=True))


def test_a_score_is_the_share_of_checks_that_hold_and_adds_up_from_the_rows(warehouse: Path) -> None:
    rows = read_rows(
        warehouse,
        "select source_name, any_value(source_conformance_share), count(distinct source_conformance_share), "
        "sum(line_count) filter (where is_scored), sum(failed_line_count) filter (where is_scored) "
        "from marts.fct_source_conformance where line_count is not null group by 1 order by 1",
    )
    assert [row[0] for row in rows] == ["focus-1-0", "focus-1-2", "focus-spec", "sloppy", "spoiled"]
    for _, share, count, made, failed in rows:
        assert count == 1 and share == round(1 - Decimal(failed) / Decimal(made), 6)


def test_a_sloppy_bill_lands_with_each_flaw_by_its_code(warehouse: Path) -> None:
    assert read_failures(warehouse, "sloppy") == {
        "currency_text": 1,
        "derived_billing_period_end": 2,
        "hour_past_midnight": 1,
        "null_pricing_category": 1,
        "null_pricing_quantity": 1,
        "required_contracted_cost": 2,
        "required_invoice_issuer_name": 1,
        "required_list_cost": 2,
        "required_publisher_name": 2,
        "required_service_category": 2,
        "required_service_name": 2,
        "value_charge_category": 1,
    }


def test_what_is_refused_stands_beside_with_its_reason_and_no_score(warehouse: Path) -> None:
    rows = read_rows(
        warehouse,
        "select check_code, field_name, check_rule, failed_line_count, line_count, source_conformance_share "
        "from marts.fct_source_conformance where source_name = 'refused' order by 1",
    )
    assert [(code, field, count) for code, field, _, count, *_ in rows if code == "refused_row"] == [
        ("refused_row", "BilledCost", 2)
    ]
    assert all(lines is None and share is None for *_, lines, share in rows)
    assert "not an amount" in next(rule for code, _, rule, *_ in rows if code == "refused_row")
