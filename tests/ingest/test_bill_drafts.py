"""A draft and the final state of a month in one folder: the final one counts, and neither is doubled."""

from decimal import Decimal

import pytest

from ingest.contracts import AWS_CUR_LINE_ITEMS, DELIVERIES, FOCUS_CHARGES, INVOICE_LINES, QUARANTINE, LandingTable
from ingest.home import Home
from ingest.landing import SourceReport, land
from tests.ingest.aws_reports import line, report
from tests.ingest.landed import bill, billed, check_counts, configure, find, query, write

OLD, NEW = 1_790_000_000, 1_790_100_000


def usage(hour: int, invoice_id: str, usd: str = "5", line_item_id: str | None = None) -> dict[str, str]:
    start = f"2026-09-01T{hour:02d}:00:00Z"
    return line(
        identity_line_item_id=line_item_id or f"line-{hour}",
        identity_time_interval=f"{start}/2026-09-01T{hour + 1:02d}:00:00Z",
        bill_invoice_id=invoice_id,
        line_item_usage_start_date=start,
        line_item_usage_end_date=f"2026-09-01T{hour + 1:02d}:00:00Z",
        line_item_unblended_cost=usd,
    )


def land_cur(home: Home, **files: tuple[str, int]) -> SourceReport:
    configure(home, "{name: cur, kind: aws_cur, location: cur/}")
    for name, (text, modified_at) in files.items():
        write(home.path / "cur" / f"{name}.csv", text, modified_at)
    found = find(land(home, only_sources={"cur"}), "cur")
    check_counts(home, AWS_CUR_LINE_ITEMS)
    return found


def unblended(home: Home) -> Decimal | None:
    return query(home, AWS_CUR_LINE_ITEMS, "sum(line_item_unblended_cost)")[0][0]


@pytest.mark.parametrize(("draft_at", "final_at"), [(OLD, NEW), (NEW, OLD)])  # a copy on disk has the copy's time
@pytest.mark.parametrize("is_final_first", [False, True])
def test_the_lines_with_an_invoice_count(home: Home, draft_at: int, final_at: int, is_final_first: bool):
    draft = {"draft": (report(usage(0, ""), usage(1, ""), usage(2, "")), draft_at)}
    # Other files than the draft's, as final reports are cut anew.
    final = {
        "final-1": (report(usage(0, "INV-1"), usage(1, "INV-1", "6")), final_at),
        "final-2": (report(usage(2, "INV-1"), usage(3, "INV-1")), final_at),
    }
    land_cur(home, **(final if is_final_first else draft))
    told = land_cur(home, **draft, **final)
    assert told.deliveries_refused == 0
    assert unblended(home) == 21
    assert query(home, DELIVERIES, "distinct split_part(message, ' ', 2) where status = 'superseded'") == [("draft",)]
    assert land_cur(home).deliveries_unchanged == 3


def test_a_purchase_that_both_have_alike_does_not_hide_the_draft(home: Home):
    bought = usage(5, "INV-0", "100", "purchase")
    land_cur(home, draft=(report(usage(0, ""), bought), OLD), final=(report(usage(0, "INV-1"), bought), NEW))
    assert unblended(home) == 105


def test_of_two_invoices_the_newer_counts_and_without_a_newer_neither(home: Home):
    one, other = report(usage(0, "INV-1")), report(usage(0, "INV-2", "7"))
    assert land_cur(home, one=(one, OLD), other=(other, OLD)).deliveries_refused == 2
    assert unblended(home) is None
    assert land_cur(home, other=(other, NEW)).deliveries_refused == 0
    assert unblended(home) == 7


def test_a_line_that_two_parts_state_otherwise_is_refused(home: Home):
    told = land_cur(home, a=(report(usage(0, "INV-1")), OLD), b=(report(usage(0, "INV-1", "9")), NEW))
    assert told.deliveries_refused == 2
    assert "the same line stands in two parts" in told.messages[0]
    assert unblended(home) is None


def test_a_draft_with_more_than_the_final_one_is_held_back(home: Home):
    other = usage(1, "") | {"line_item_usage_account_id": "333", "line_item_resource_id": "i-9"}
    draft, final = report(usage(0, ""), other), report(usage(0, "INV-1"))
    told = land_cur(home, draft=(draft, OLD), final=(final, NEW))
    assert told.deliveries_refused == 2
    assert "1 sub account(s) (333), 5 USD" in told.messages[0]
    assert query(home, QUARANTINE, "count(*) where starts_with(found, 'loss ')") == [(2,)]


def test_a_refusal_leaves_the_draft_that_stands(home: Home):
    draft = (report(*(usage(hour, "", "100") for hour in range(10))), OLD)
    land_cur(home, draft=draft)
    final = (report(*(usage(hour, "INV-1", "10") for hour in range(10))), NEW)
    told = land_cur(home, final=final)
    assert "100 USD instead of 1,000 USD" in told.messages[0]
    assert unblended(home) == 1000


def test_parts_of_one_state_stand_together_whatever_their_ids(home: Home):
    # An id is unique in one file of a report.
    one = usage(0, "", line_item_id="same")
    other = usage(0, "INV-1", line_item_id="same") | {"line_item_resource_id": "i-9"}
    assert land_cur(home, one=(report(one), OLD), other=(report(other), OLD)).deliveries_refused == 0
    assert unblended(home) == 10


def test_a_draft_is_told_by_all_that_a_line_says_where_lines_have_no_id(home: Home):
    configure(home, "{name: bills, kind: focus, location: exports/}")
    draft, final = bill("3", "4"), bill("3", "4").splitlines()
    final = "\n".join(f"{text},{'InvoiceId' if index == 0 else 'INV-1'}" for index, text in enumerate(final))
    write(home.path / "exports/draft.csv", draft, NEW)
    write(home.path / "exports/final.csv", final, OLD)
    assert find(land(home, only_sources={"bills"}), "bills").deliveries_superseded == 1
    assert billed(home) == 7
    assert query(home, FOCUS_CHARGES, "distinct invoice_id") == [("INV-1",)]


@pytest.mark.parametrize("other", ["2026-09 (1).csv", "Downloads/copy.csv"])
@pytest.mark.parametrize("amount", ["1200.00", "1100.00"])
def test_an_invoice_that_lies_there_twice_counts_once(home: Home, other: str, amount: str):
    header = "provider,account_id,invoice_id,period_start,period_end,charge_type,amount,currency,line_id,description\n"
    lines = "lambda,acme,INV-77,2026-09-01,2026-10-01,usage,{},USD,1,8x\n"
    lines += "lambda,acme,INV-77,2026-09-01,2026-10-01,tax,96.00,USD,2,VAT\n"
    configure(home, "{name: inv, kind: invoice_csv, location: in/}")
    write(home.path / "in/2026-09.csv", header + lines.format("1200.00"), OLD)
    assert not land(home, only_sources={"inv"}).has_refusals
    write(home.path / "in" / other, header + lines.format(amount), NEW)
    land(home, only_sources={"inv"})
    table: LandingTable = INVOICE_LINES
    assert query(home, table, "sum(amount)")[0][0] in (Decimal(1296), Decimal(1196))
    check_counts(home, table)
