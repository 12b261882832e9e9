"""Invoices line by line: the contract's own shape, and others by a map of columns."""

import csv
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingest.config import ConfigError, load_sources
from ingest.contracts import INVOICE_LINES, QUARANTINE
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.landing import SourceReport, land
from tests.ingest.landed import check_counts, configure, find, query, write

HEADER = (
    "provider,account_id,invoice_id,line_id,period_start,period_end,charge_type,sku,gpu_model,gpu_count,resource_id,"
    "quantity,unit,unit_price,amount,currency,tags"
)
SOURCE = "{name: neo, kind: invoice_csv, location: invoices/**/*.csv}"
FOLDER = '{name: neo, kind: invoice_csv, location: "invoices/"}'
DIGITALOCEAN = (
    "{name: ocean, kind: invoice_csv, location: ocean/2020-07.csv, options: {columns: {sku: product, "
    "charge_type: product, period_start: start, period_end: end, amount: USD, quantity: hours, project: project_name}, "
    "charge_types: {Taxes: tax, '*': usage}, "
    "defaults: {provider: digitalocean, account_id: acme, invoice_id: '1', currency: USD, unit: Instance-Hours}}}"
)


def line(line_id: str = "1", **cells: str) -> str:
    usual = {
        "provider": "lambda",
        "account_id": "acme",
        "invoice_id": "INV-9",
        "line_id": line_id,
        "period_start": "2026-09-01",
        "period_end": "2026-10-01",
        "charge_type": "usage",
        "sku": "gpu_8x_h100_sxm5",
        "gpu_model": "H100-SXM-80GB",
        "gpu_count": "8",
        "resource_id": "cluster-a",
        "quantity": "5760",
        "unit": "GPU-Hours",
        "unit_price": "2.49",
        "amount": "14342.40",
        "currency": "USD",
        "tags": '"{""team"":""research""}"',
    }
    return ",".join((usual | cells).values())


def land_invoice(home: Home, *lines: str, name: str = "lambda/acme/2026-09.csv") -> SourceReport:
    configure(home, SOURCE)
    write(home.path / "invoices" / name, "\n".join([HEADER, *lines]) + "\n")
    report = find(land(home), "neo")
    check_counts(home, INVOICE_LINES)
    return report


def select(home: Home, columns: str) -> list[tuple[Any, ...]]:
    return query(home, INVOICE_LINES, f"{columns} order by _object, _position")


def test_an_invoice_lands_line_by_line(home: Home):
    assert land_invoice(home, line(), line("2", charge_type="Tax", amount="0.000000000000000001")).rows_landed == 2
    assert select(home, "charge_type, amount, billing_period_date::text, tags") == [
        ("usage", Decimal("14342.40"), "2026-09-01", '{"team":"research"}'),
        ("tax", Decimal("0.000000000000000001"), "2026-09-01", '{"team":"research"}'),
    ]


def test_the_months_bill_is_the_files_whatever_its_lines_are_of(home: Home):
    land_invoice(home, line(), name="lambda/acme/2026-08.csv")
    refund = line("2", charge_type="refund", amount="-40", period_start="2026-08-01", period_end="2026-08-02")
    land_invoice(home, line(), refund)
    months = select(home, "billing_period_date::text, amount")
    assert months == [("2026-08-01", Decimal("14342.40")), ("2026-09-01", Decimal("14342.40")), ("2026-09-01", -40)]
    # Issued, it replaces its draft.
    land_invoice(home, line(invoice_id="INV-10"), refund.replace("INV-9", "INV-10"))
    assert select(home, "invoice_id")[1:] == [("INV-10",), ("INV-10",)]


@pytest.mark.parametrize(
    ("bad", "field", "reason"),
    [
        (line("2", charge_type="rent"), "charge_type", "no charge type: usage"),
        (line("2", amount="14342.42"), "amount", "not quantity x unit_price"),
        (line("2", quantity="20000000", unit_price="1", amount="20000000.029"), "amount", "not quantity x unit_price"),
        (line("2", period_end="2026-09-01"), "period_end", "[start, end)"),
        (line("2", unit_price="-2.49", amount="-14342.40"), "unit_price", "below 0"),
        (line("2", currency="usd"), "currency", "three capital letters"),
        (line("2", amount="lots"), "amount", "not"),
        (line("1"), "line_id", "stands twice"),
    ],
)
def test_a_line_that_cannot_be_charged_refuses_its_invoice(home: Home, bad: str, field: str, reason: str):
    land_invoice(home, line(quantity="1", amount="2.49"))
    assert land_invoice(home, line(), bad).deliveries_refused == 1
    assert select(home, "amount") == [(Decimal("2.49"),)]  # what was there stands
    ((position, named, told),) = query(home, QUARANTINE, "position, field, reason where scope = 'row'")
    assert (position, named, reason in told) == (3, field, True), told


def test_amounts_within_a_cent_and_credits_need_no_product(home: Home):
    lines = [
        line("1", amount="14342.409"),
        line("2", charge_type="credit", amount="-100", quantity="1", unit_price="5"),
        line("3", quantity="", unit_price="", amount="7"),
    ]
    assert land_invoice(home, *lines).rows_quarantined == 0


def state_total(home: Home, text: str, name: str = "lambda/acme/2026-09.meta.json") -> None:
    write(home.path / "invoices" / name, text)
    configure(home, FOLDER)


def test_an_invoice_is_the_total_that_is_stated_beside_it(home: Home):
    land_invoice(home, line(), line("2", charge_type="credit", amount="-0.40"))
    state_total(home, '{"invoice_id": "INV-9", "total": 14342.01, "currency": "USD", "issued_at": "2026-10-01"}')
    report = find(land(home), "neo")
    assert (report.deliveries_refused, report.rows_quarantined) == (0, 0)
    assert select(home, "sum(amount) over ()")[0] == (Decimal("14342.00"),)
    assert not find(land(home), "neo").rows_read  # nothing new
    check_counts(home, INVOICE_LINES)


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ('{"invoice_id": "INV-9", "total": 2.501}', "its lines come to 2.49, invoices/"),
        ('{"total": "-2.49"}', "states -2.49, off by 4.98: deliver the invoice whole"),
        ('{"total": 2.49, "currency": "EUR"}', "states currency EUR; its lines have USD"),
        ('{"total": 2.49, "invoice_id": "INV-8"}', "states invoice_id INV-8; its lines have INV-9"),
        ('{"total": NaN}', "found 'NaN' for total"),
        ('{"total": true}', "found True for total"),
        ("[2.49]", "found None for total"),
        ("{", "no statement of a total: "),
    ],
)
def test_another_total_refuses_the_invoice_until_it_is_right(home: Home, stated: str, told: str):
    state_total(home, stated)
    write(home.path / "invoices/lambda/acme/2026-09.csv", f"{HEADER}\n{line(quantity='1', amount='2.49')}\n")
    report = find(land(home), "neo")
    assert not report.rows_landed
    assert any(told in message for message in report.messages), report.messages
    assert any(told in reason for (reason,) in query(home, QUARANTINE, "reason"))
    state_total(home, '{"total": 2.49}')
    assert find(land(home), "neo").rows_landed == 1
    check_counts(home, INVOICE_LINES)


def test_a_total_that_comes_later_refuses_and_what_was_landed_stands(home: Home):
    land_invoice(home, line())
    state_total(home, '{"total": 99}')
    assert find(land(home), "neo").deliveries_refused == 1
    assert select(home, "amount") == [(Decimal("14342.40"),)]


@pytest.mark.parametrize("draft", [line(invoice_id="draft-2026-09") + ",", line(invoice_id="INV-8") + ",Draft"])
def test_a_draft_left_beside_its_invoice_is_not_charged_with_it(home: Home, draft: str):
    configure(home, FOLDER)
    write(home.path / "invoices/2026-09-draft.csv", f"{HEADER},invoice_status\n{draft}\n")
    assert find(land(home), "neo").rows_landed == 1
    write(home.path / "invoices/2026-09.csv", f"{HEADER}\n{line()}\n")
    assert "take the draft away" in " ".join(find(land(home), "neo").messages)
    assert len(select(home, "amount")) == 1
    (home.path / "invoices/2026-09-draft.csv").unlink()
    land(home)
    assert select(home, "invoice_id, amount") == [("INV-9", Decimal("14342.40"))]


def test_a_files_word_may_hold_any_sign(home: Home):
    configure(home, FOLDER.replace("}", ", options: {charge_types: {\"$it's\": credit, '*': usage}}}"))
    write(
        home.path / "invoices/2026-09.csv",
        f"{HEADER}\n{line(charge_type=chr(36) + 'It' + chr(39) + 's', amount='-5')}\n",
    )
    land(home)
    assert select(home, "charge_type, amount") == [("credit", -5)]


def test_digitaloceans_shape_lands_by_a_map_of_columns(home: Home, shared_data: Path):
    raw = shared_data / "neocloud_invoice_examples/digitalocean_invoice.csv"
    write(home.path / "ocean/2020-07.csv", raw.read_bytes())
    configure(home, DIGITALOCEAN)
    assert not land(home, only_sources=["ocean"]).has_refusals
    with raw.open() as file:
        expected = sum(Decimal(row["USD"].removeprefix("$")) for row in csv.DictReader(file))
    assert select(home, "charge_type, sku, amount, quantity, project") == [
        ("usage", "Floating IPs", Decimal("3.11"), 100, None),
        ("tax", "Taxes", Decimal("0.16"), None, None),
    ]
    assert query(home, INVOICE_LINES, "sum(amount), any_value(billing_period_date)::text") == [(expected, "2020-07-01")]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("columns: {skew: product}", "options.columns.skew (line 3): found no invoice column; allowed: account_id"),
        ("columns: 7", "options.columns (line 3): found 7; allowed: a map of columns to the file's own header"),
        ("columns: {sku: [a]}", "options.columns.sku (line 3): found ['a']; allowed: the file's own header"),
        ("colums: {sku: a}", "found an unknown option; allowed: charge_types, columns"),
        ("charge_types: {Taxes: taxes}", "options.charge_types.Taxes (line 3): found 'taxes'; allowed: adjustment"),
        ("charge_types: tax", "options.charge_types (line 3): found 'tax'; allowed: a map of the file's words"),
        ("defaults: {curency: USD}", "did you mean currency?"),
        ("date_format: ymd", "options.date_format (line 3): found 'ymd'; allowed: m/d/y or d/m/y"),
    ],
)
def test_options_that_do_not_fit_are_told_when_sources_are_read(home: Home, wrong: str, told: str):
    configure(home, f"{{name: neo, kind: invoice_csv, location: invoices/, options: {{{wrong}}}}}")
    with pytest.raises(ConfigError) as caught:
        load_sources(home, KINDS)
    assert told in "\n".join(caught.value.problems)


def test_a_map_of_a_header_that_is_not_there_says_what_is(home: Home):
    write(home.path / "invoices/2026-09.csv", f"{HEADER}\n{line()}\n")
    configure(home, "{name: neo, kind: invoice_csv, location: invoices/, options: {columns: {sku: produkt}}}")
    assert find(land(home), "neo").deliveries_refused == 1
    reason = query(home, QUARANTINE, "reason where scope = 'object'")[0][0]
    assert "sku is to be read from produkt, which is not there: found provider" in reason
