"""The datasets of FOCUS that are no bills, beside the bills: set aside by name, and no bill held back for them."""

import pytest

from ingest.contracts import DELIVERIES, QUARANTINE
from ingest.home import Home
from ingest.landing import SourceReport, count_changes, land
from tests.ingest.landed import bill, billed, configure, find, query, write

COMMITMENT = (
    "ContractCommitmentId,ContractId,ContractCommitmentCategory,ContractCommitmentType,ContractCommitmentCost,"
    "ContractCommitmentPeriodStart,ContractCommitmentPeriodEnd,BillingCurrency\n"
    "cc-1,c-1,Spend,Plan,1000,2026-01-01T00:00:00Z,2027-01-01T00:00:00Z,USD\n"
)
INVOICE_DETAIL = (
    "InvoiceId,InvoiceDetailId,InvoiceDetailGrain,InvoiceIssuerName,BilledCost,BillingAccountId,BillingCurrency,"
    "BillingPeriodStart,BillingPeriodEnd,ChargeCategory\n"
    "INV-1,1,{},AWS,3,acct-1,USD,2026-05-01T00:00:00Z,2026-06-01T00:00:00Z,Usage\n"
)
BILLING_PERIOD = (
    "BillingPeriodStart,BillingPeriodEnd,BillingPeriodStatus,InvoiceIssuerName\n"
    "2026-05-01T00:00:00Z,2026-06-01T00:00:00Z,Open,AWS\n"
)


def land_exports(home: Home) -> SourceReport:
    configure(home, "{name: bills, kind: focus, location: exports/}")
    return find(land(home, only_sources={"bills"}), "bills")


@pytest.mark.parametrize(
    ("text", "name"),
    [(COMMITMENT, "Contract Commitment"), (INVOICE_DETAIL, "Invoice Detail"), (BILLING_PERIOD, "Billing Period")],
)
@pytest.mark.parametrize("path", ["other.csv", "elsewhere/other.csv"])
def test_another_dataset_is_set_aside_by_name(home: Home, text: str, name: str, path: str):
    write(home.path / "exports/may.csv", bill("1", "2"))
    write(home.path / "exports" / path, text)
    report = land_exports(home)
    assert (report.deliveries_landed, report.deliveries_refused, report.deliveries_superseded) == (1, 0, 1)
    assert billed(home) == 3
    assert query(home, DELIVERIES, "message where status = 'superseded'") == [
        (f"the {name} dataset of FOCUS, and no bill",)
    ]
    assert query(home, QUARANTINE, "count(*)") == [(0,)]
    assert set(count_changes(home).values()) == {0}
    assert land_exports(home).deliveries_unchanged == 2


def test_a_bill_that_names_its_commitments_is_a_bill(home: Home):
    lines = bill("1", "2").splitlines()
    text = "\n".join(f"{line},{'cc-1' if index else 'ContractCommitmentId'}" for index, line in enumerate(lines))
    write(home.path / "exports/may.csv", text)
    assert land_exports(home).deliveries_landed == 1
    assert billed(home) == 3


def test_a_bill_without_a_column_is_refused_as_before(home: Home):
    write(home.path / "exports/may.csv", bill("1").replace("ChargeCategory", "Category"))
    assert "missing required column ChargeCategory" in land_exports(home).messages[0]


def test_a_bill_that_another_dataset_replaced_is_refused_and_what_stands_stays(home: Home):
    write(home.path / "exports/may.csv", bill("1", "2"), 1_790_000_000)
    land_exports(home)
    write(home.path / "exports/may.csv", COMMITMENT, 1_790_100_000)
    assert "Contract Commitment dataset of FOCUS" in land_exports(home).messages[0]
    assert billed(home) == 3
    assert query(home, DELIVERIES, "status, rows_landed order by 1") == [("landed", 2), ("refused", 0)]
