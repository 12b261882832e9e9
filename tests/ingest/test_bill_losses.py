"""A bill that shrinks by days, sub accounts or charges is held back, named with its amounts, until it is accepted."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from ingest.acceptances import AcceptError, accept_source, list_unaccepted
from ingest.contracts import DELIVERIES, FOCUS_CHARGES, INVOICE_LINES, OCI_COST_ROWS, QUARANTINE
from ingest.home import Home
from ingest.landing import SourceReport, land
from tests.ingest.landed import billed, check_counts, configure, find, query, write

HEADER = (
    "ProviderName,BillingAccountId,SubAccountId,BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,"
    "BilledCost,EffectiveCost,BillingCurrency,ResourceId\n"
)
SOURCE = "{name: bills, kind: focus, location: exports/}"


def charge(
    first: str, after: str, usd: str, account: str = "sub-1", resource: str = "i-1", currency: str = "USD"
) -> str:
    at = "T00:00:00Z"
    return f"AWS,acct-1,{account},2026-09-01{at},{first}{at},{after}{at},Usage,{usd},{usd},{currency},{resource}\n"


def day(number: int, usd: str = "10", account: str = "sub-1") -> str:
    return charge(f"2026-09-{number:02d}", f"2026-09-{number + 1:02d}", usd, account, f"i-{account}")


def days(first: int, last: int, usd: str = "10", account: str = "sub-1") -> str:
    return "".join(day(number, usd, account) for number in range(first, last + 1))


def land_bills(home: Home) -> SourceReport:
    return find(land(home, only_sources={"bills"}), "bills")


def deliver(home: Home, rows: str, path: str = "daily/month.csv", modified_at: int = 1_790_000_000) -> SourceReport:
    """Write one export and land it; a later `modified_at` is a newer one."""
    configure(home, SOURCE)
    write(home.path / "exports" / path, HEADER + rows, modified_at)
    report = land_bills(home)
    check_counts(home, FOCUS_CHARGES)
    return report


@pytest.mark.parametrize("path", ["daily/month.csv", "one-off/part.csv"])
@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (days(1, 5), "10 day(s) (2026-09-06 to 2026-09-15), 100 USD; 50 USD instead of 150 USD"),
        (days(1, 15)[: -len(day(15))] + days(16, 20), "1 day(s) (2026-09-15), 10 USD; 190 USD instead of 150 USD"),
        (days(1, 15, "9"), "135 USD instead of 150 USD"),
        (days(1, 15, "30", "sub-2"), "1 sub account(s) (sub-1), 150 USD; 450 USD instead of 150 USD"),
    ],
)
def test_a_bill_that_shrinks_is_held_back_and_what_stands_stays(home: Home, path: str, rows: str, told: str):
    deliver(home, days(1, 15))
    for _ in range(2):  # and held back it stays
        report = deliver(home, rows, path, 1_790_100_000)
        assert report.deliveries_refused == 1
        assert told in " ".join(report.messages)
        assert "wattledger accept bills --reason" in " ".join(report.messages)
        assert billed(home) == 150
    (reason, scope) = query(home, QUARANTINE, "reason, scope")[0]
    assert told in reason
    assert scope == "delivery"


@pytest.mark.parametrize(
    "rows",
    [
        days(1, 16),  # the month to date
        days(1, 15, "9.6"),  # a restatement, by less than the policy's share
        days(1, 15) + charge("2026-09-01", "2026-09-02", "-60", resource="credit"),  # a credit takes no charge away
        "".join(charge("2026-09-01", "2026-10-01", "150", resource="month") for _ in "1"),  # one row for the month
        days(1, 15, "5", "sub-1") + days(1, 15, "5", "sub-2"),
    ],
)
def test_a_bill_that_grows_or_is_restated_lands(home: Home, rows: str):
    deliver(home, days(1, 15) + charge("2026-09-20", "2026-09-21", "0", "sub-9"))  # of nothing nothing goes
    report = deliver(home, rows, modified_at=1_790_100_000)
    assert (report.deliveries_landed, report.deliveries_refused, report.messages) == (1, 0, [])


def test_a_fee_for_the_month_or_a_year_hides_no_day(home: Home):
    fees = charge("2026-09-01", "2026-10-01", "500", resource="support") + charge("2026-09-01", "2027-09-01", "900")
    deliver(home, days(1, 15) + fees)
    report = deliver(home, days(1, 14) + fees, modified_at=1_790_100_000)
    assert "1 day(s) (2026-09-15), 10 USD; 1,540 USD instead of 1,550 USD" in " ".join(report.messages)


def test_an_unknown_currency_that_becomes_known_is_no_loss(home: Home):
    deliver(home, days(1, 3).replace(",USD,", ",,"))
    assert deliver(home, days(1, 3), modified_at=1_790_100_000).deliveries_landed == 1


def test_the_policy_says_how_much_less_is_too_much(home: Home):
    home.policies_path.write_text("landing: {shrink_share: 0.2}\n")
    deliver(home, days(1, 15))
    assert deliver(home, days(1, 15, "9"), modified_at=1_790_100_000).deliveries_refused == 0
    assert deliver(home, days(1, 15, "7"), modified_at=1_790_200_000).deliveries_refused == 1


def test_broken_policies_hold_back_by_the_built_in_share(home: Home):
    home.policies_path.write_text("landing: {shrink_share: much}\n")
    deliver(home, days(1, 15))
    assert deliver(home, days(1, 15, "9"), modified_at=1_790_100_000).deliveries_refused == 1


def test_an_older_export_with_more_days_is_named_and_not_passed_over(home: Home):
    deliver(home, days(1, 5), "one-off/part.csv", 1_790_100_000)
    report = deliver(home, days(1, 15))
    assert report.deliveries_refused == 1
    assert "one-off of source bills is newer and counts, and has not what this one has: 10 day(s)" in report.messages[0]
    assert billed(home) == 50
    accept_source(home, "bills", "the daily one was made by hand")
    assert (land_bills(home).deliveries_superseded, billed(home)) == (1, 50)
    assert land_bills(home).deliveries_unchanged == 2


def test_two_exports_of_one_month_found_together_lose_nothing_in_silence(home: Home):
    write(home.path / "exports/one-off/part.csv", HEADER + days(1, 5), 1_790_100_000)
    report = deliver(home, days(1, 15))
    assert report.deliveries_refused == 1
    assert "10 day(s) (2026-09-06 to 2026-09-15), 100 USD" in " ".join(report.messages)


def test_an_older_export_with_nothing_of_its_own_is_passed_over(home: Home):
    deliver(home, days(1, 15), modified_at=1_790_100_000)
    report = deliver(home, days(1, 5, "12"), "one-off/part.csv")
    assert (report.deliveries_superseded, report.messages, billed(home)) == (1, [], 150)


def test_what_is_accepted_lands_once_and_no_other_loss_with_it(home: Home):
    deliver(home, days(1, 15))
    deliver(home, days(1, 10), modified_at=1_790_100_000)
    accept_source(home, "bills", "the tail was billed to another account")
    # Another loss than the one that was accepted.
    assert deliver(home, days(1, 9), modified_at=1_790_200_000).deliveries_refused == 1
    assert billed(home) == 150
    assert deliver(home, days(1, 10), modified_at=1_790_300_000).deliveries_landed == 1
    assert billed(home) == 100
    assert list_unaccepted(home) == []
    (message,) = query(home, DELIVERIES, "message where status = 'landed'")[0]
    assert message is None
    # The same loss of another day is another loss.
    assert deliver(home, days(1, 15), modified_at=1_790_400_000).deliveries_landed == 1
    assert deliver(home, days(1, 10), modified_at=1_790_500_000).deliveries_refused == 1
    assert billed(home) == 150


def test_to_accept_needs_a_reason_and_something_to_accept(home: Home):
    deliver(home, days(1, 15))
    with pytest.raises(AcceptError, match="Nothing of source bills waits"):
        accept_source(home, "bills", "because")
    deliver(home, days(1, 2), modified_at=1_790_100_000)
    with pytest.raises(AcceptError, match="needs a reason"):
        accept_source(home, "bills", " ")
    with pytest.raises(AcceptError, match=r"Nothing of source other waits.*: bills"):
        accept_source(home, "other", "because")


def test_a_part_of_the_folder_that_is_gone_is_a_loss_too(home: Home):
    configure(home, SOURCE)
    gone = write(home.path / "exports/daily/two.csv", HEADER + days(1, 5, "7", "sub-2"), 1_790_000_000)
    deliver(home, days(1, 5))
    gone.unlink()
    report = deliver(home, days(1, 6), modified_at=1_790_100_000)
    assert report.deliveries_refused == 1
    assert "1 sub account(s) (sub-2), 35 USD; 60 USD instead of 85 USD" in " ".join(report.messages)
    assert billed(home) == 85


def invoice(usd: str) -> str:
    header = "provider,account_id,invoice_id,period_start,period_end,charge_type,amount,currency,line_id\n"
    return f"{header}lambda,acme,INV-1,2026-09-01,2026-10-01,usage,{usd},EUR,1\n"


def oracle(usd: str) -> str:
    header = (
        "lineItem/referenceNo,lineItem/tenantId,lineItem/intervalUsageStart,lineItem/intervalUsageEnd,product/service,"
        "usage/billedQuantity,cost/unitPrice,cost/myCost,cost/currencyCode,lineItem/isCorrection\n"
    )
    return f"{header}r-1,ocid1.tenancy.a,2026-09-01T00:00Z,2026-09-01T01:00Z,COMPUTE,1,{usd},{usd},EUR,false\n"


@pytest.mark.parametrize(
    ("kind", "table", "column", "make"),
    [("invoice_csv", INVOICE_LINES, "amount", invoice), ("oci_cost", OCI_COST_ROWS, "cost_my_cost", oracle)],
)
def test_every_kind_of_bill_shrinks_with_a_person_only(
    home: Home, kind: str, table: object, column: str, make: Callable[[str], str]
):
    configure(home, f"{{name: bills, kind: {kind}, location: in/}}")
    write(home.path / "in/a.csv", make("100"), 1_790_000_000)
    assert land_bills(home).deliveries_refused == 0
    write(home.path / "in/a.csv", make("40"), 1_790_100_000)
    report = land_bills(home)
    assert "40 EUR instead of 100 EUR" in " ".join(report.messages)
    assert query(home, table, f"sum({column})") == [(Decimal(100),)]  # pyright: ignore[reportArgumentType]
