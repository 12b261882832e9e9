"""Google Cloud's billing export of every layout becomes the same typed rows, or says what is wrong with it."""

import gzip
import json
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.billing import json_lines
from ingest.billing.gcp_billing import GcpBilling
from ingest.contracts import GCP_BILLING_ROWS
from ingest.home import Home
from ingest.landing import land
from ingest.source import ObjectRefusedError
from tests.ingest.conftest import ReadObject
from tests.ingest.gcp_rows import ROW, flat, lines, row, table
from tests.ingest.landed import configure, find, query, write

NISE = "nise_gcp_billing/gcp_billing_export_resource_nested.jsonl.gz"
SETS = {
    NISE: 3504,
    "nise_gcp_billing/gcp_billing_export_resource_202605.csv.gz": 3504,
    "gcp_billing_export_koku/202011_billing_export_standard.csv": 25,
}


def told(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What rows say of the charge, without where they stood."""
    return [{name: value for name, value in each.items() if value is not None and name != "_position"} for each in rows]


def credited(landed: dict[str, Any]) -> Decimal:
    return sum((Decimal(item["amount"]) for item in json.loads(landed["credits"] or "[]")), Decimal(0))


def plain_sums(path: Path) -> dict[str, tuple[Decimal, Decimal]]:
    """Cost and credits by invoice month, summed from the file without the reader."""
    sums: dict[str, tuple[Decimal, Decimal]] = {}
    if path.name.endswith(".jsonl.gz"):
        with gzip.open(path, "rt") as file:
            found = [json.loads(line, parse_float=Decimal, parse_int=Decimal) for line in file]
        rows = [(each["invoice"]["month"], each["cost"], Decimal(each["credits"]["amount"])) for each in found]
    else:
        texts = duckdb.execute(
            'select "invoice.month", cost, credits from read_csv(?, all_varchar = true)', [str(path)]
        ).fetchall()
        rows = []
        for month, cost, credits in texts:
            amounts = [Decimal(str(item["amount"])) for item in eval(credits or "[]", {"__builtins__": {}})]
            rows.append((month, Decimal(cost), sum(amounts, Decimal(0))))
    for month, cost, credit in rows:
        before = sums.get(month, (Decimal(0), Decimal(0)))
        sums[month] = (before[0] + cost, before[1] + credit)
    return sums


@pytest.mark.parametrize("name", SETS)
def test_a_real_export_lands_whole_with_the_sums_of_its_file(name: str, shared_data: Path, read_object: ReadObject):
    result = read_object(GcpBilling(), shared_data / name)
    assert (result.row_count, result.refused) == (SETS[name], [])
    found: dict[str, tuple[Decimal, Decimal]] = {}
    for each in result.rows:
        before = found.get(each["invoice_month"], (Decimal(0), Decimal(0)))
        found[each["invoice_month"]] = (before[0] + each["cost"], before[1] + credited(each))
    assert found == plain_sums(shared_data / name)
    assert any(cost for cost, _ in found.values())


def test_every_layout_of_one_row_is_the_same_row(tmp_path: Path, read_object: ReadObject, pack: Callable[[str], bytes]):
    expected = told(read_object(GcpBilling(), pack(lines(ROW))).rows)
    (first,) = expected
    assert first["cost"] == Decimal("78.4")
    assert first["usage_start_time"] == datetime(2026, 9, 1, 10)
    assert first["labels"] == '[{"key":"team","value":"research"},{"key":"goog-k8s-cluster-name","value":"ml"}]'
    assert json.loads(first["credits"])[0] == ROW["credits"][0] | {"amount": "-23.500000000000000000"}
    assert (first["project_id"], first["price_effective_price"]) == ("ml-train", Decimal("9.8"))
    for spell in (json.dumps, repr):
        assert told(read_object(GcpBilling(), pack(table(flat(ROW, spell)))).rows) == expected
    flattened = {name.replace(".", "_"): value for name, value in flat(ROW).items()}
    assert told(read_object(GcpBilling(), pack(table(flattened))).rows) == expected
    nested = row(
        usage_start_time=datetime(2026, 9, 1, 10),
        usage_end_time=datetime(2026, 9, 1, 11),
        export_time=datetime(2026, 9, 1, 15, 4, 5, 123_000),
        cost_at_effective_price_default=Decimal("78.4"),
    )
    pq.write_table(pa.Table.from_pylist([nested]), tmp_path / "part.parquet")
    assert told(read_object(GcpBilling(), tmp_path / "part.parquet").rows) == expected


def test_amounts_are_never_floats(read_object: ReadObject):
    text = lines(row()).replace("78.4,", "0.123456789012345678,", 1).replace("-23.5", "-5.5e-07")
    (found,) = read_object(GcpBilling(), text).rows
    assert found["cost"] == Decimal("0.123456789012345678")
    assert credited(found) == Decimal("-0.00000055")


def test_credits_stay_with_their_row_and_no_credits_are_none(read_object: ReadObject):
    credits = [
        {"type": "PROMOTION", "name": 'a "free" trial, [d\'accord]', "id": None, "amount": -1},
        {"type": "SOMETHING_NEW", "amount": "-0.1"},
    ]
    rows = [row(credits=credits), row(credits=[])]
    rows.append(row())
    del rows[2]["credits"]
    both, none, absent = read_object(GcpBilling(), lines(*rows)).rows
    assert [item["name"] for item in json.loads(both["credits"])] == ['a "free" trial, [d\'accord]', None]
    assert credited(both) == Decimal("-1.1")
    assert (none["credits"], absent["credits"]) == ("[]", None)
    assert (both["_repairs"], none["_repairs"]) == ("unknown_credit_type", None)
    (printed,) = read_object(GcpBilling(), table(flat(row(credits=credits), repr))).rows
    assert printed["credits"] == both["credits"]


def test_fields_nobody_named_are_kept(read_object: ReadObject):
    rows = [row(partition_date="2026-09-01", project__parent={"kind": "folder", "ids": [1, 2]}), row(is_new=True)]
    first, second = read_object(GcpBilling(), lines(*rows)).rows
    assert json.loads(first["_extra"]) == {
        "partition_date": "2026-09-01",
        "project.parent.kind": "folder",
        "project.parent.ids": "[1,2]",
    }
    assert second["_extra"] == '{"is_new":"true"}'


def test_what_no_money_hangs_on_is_null_and_told(read_object: ReadObject):
    (found,) = read_object(GcpBilling(), lines(row(labels="team=a", usage__amount="1e30", cost_type="Odd"))).rows
    assert (found["labels"], found["usage_amount"]) == (None, None)
    assert set(found["_repairs"].split(",")) == {"unreadable:labels", "unreadable:usage.amount", "unknown_cost_type"}


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"cost": "free"}, "cost", "not an amount"),
        ({"cost": None}, "cost", "this column is required"),
        ({"currency": "dollars"}, "currency", "not a currency code"),
        ({"invoice__month": "2026-09"}, "invoice.month", "not a month: expected YYYYMM"),
        ({"invoice__month": "202613"}, "invoice.month", "not a month: expected YYYYMM"),
        ({"invoice": None}, "invoice.month", "this column is required"),
        ({"usage_end_time": "2026-09-01T09:00:00Z"}, "usage_end_time", "ends before it starts"),
        ({"usage_start_time": "yesterday"}, "usage_start_time", "not an instant"),
        ({"credits": "[{'type': 'PROMOTION'"}, "credits", "not a list of amounts"),
        ({"credits": "none"}, "credits", "not a list of amounts"),
        ({"credits": [{"type": "PROMOTION"}]}, "credits", "not a list of amounts"),
        ({"credits": [{"type": "PROMOTION", "amount": "much"}]}, "credits", "not a list of amounts"),
        ({"credits": [None]}, "credits", "not a list of amounts"),
    ],
)
def test_a_row_whose_money_or_time_is_not_known_is_refused(
    fields: dict[str, Any], field: str, reason: str, read_object: ReadObject
):
    result = read_object(GcpBilling(), f"{lines(row(), row())}\n{lines(row(**fields))}")
    ((position, found_field, found_reason, _),) = result.refused
    assert (position, found_field, result.row_count) == (4, field, 2)
    assert reason in found_reason


@pytest.mark.parametrize("bad", ['{"cost": 1', "[1]", '"text"', '{"cost": NaN}', "not json", "\ufeff{", "[" * 100_000])
def test_a_line_that_is_no_object_is_refused_by_its_number(bad: str, read_object: ReadObject):
    result = read_object(GcpBilling(), f"{lines(row())}{bad}\n{lines(row())}")
    ((position, _, reason, _),) = result.refused
    assert (position, result.row_count) == (2, 2)
    assert reason.startswith("not a JSON object")
    assert [each["_position"] for each in result.rows] == [1, 3]


@pytest.mark.parametrize("content", [json.dumps([ROW, ROW]), json.dumps([ROW], indent=1)])
def test_a_json_array_is_refused_with_what_to_export(content: str, read_object: ReadObject):
    with pytest.raises(ObjectRefusedError, match="NEWLINE_DELIMITED_JSON"):
        read_object(GcpBilling(), content)


def test_an_export_that_lost_a_required_column_is_refused_by_name(read_object: ReadObject):
    columns = flat(ROW)
    del columns["cost"]
    with pytest.raises(ObjectRefusedError, match="missing required column cost"):
        read_object(GcpBilling(), table(columns))


def test_a_record_that_became_a_list_is_refused(tmp_path: Path, read_object: ReadObject):
    pq.write_table(pa.Table.from_pylist([row(cost=[1.0])]), tmp_path / "part.parquet")
    with pytest.raises(ObjectRefusedError, match=r"column cost has type DOUBLE\[\]"):
        read_object(GcpBilling(), tmp_path / "part.parquet")


def test_a_month_is_the_invoices_whatever_the_usage_and_a_later_export_takes_its_place(home: Home):
    tail = row(usage_start_time="2026-10-01 06:00:00 UTC", usage_end_time="2026-10-01 07:00:00 UTC", cost=1)
    source = "{{name: {0}, kind: gcp_billing, location: {0}/}}"
    write(home.path / "first/000.json", lines(row(), tail), 1_000_000_000)
    write(home.path / "first/001.json", lines(row(invoice__month="202610", cost=2)), 1_000_000_000)
    configure(home, source.format("first"))
    report = land(home)
    assert (find(report, "first").deliveries_landed, find(report, "first").rows_landed) == (2, 3)
    by_month = "billing_period_date, sum(cost), max(_source) group by all order by all"
    september, october = date(2026, 9, 1), date(2026, 10, 1)
    assert query(home, GCP_BILLING_ROWS, by_month) == [(september, Decimal("79.4"), "first"), (october, 2, "first")]
    # The export is appended to: a later one has the month's rows and its corrections.
    again = [row(), tail, row(cost=-78.4, credits=[], cost_type="adjustment")]
    write(home.path / "later/000.json", lines(*again), 1_000_000_100)
    configure(home, source.format("first"), source.format("later"))
    land(home)
    assert query(home, GCP_BILLING_ROWS, by_month) == [(september, 1, "later"), (october, 2, "first")]


def test_a_field_that_only_late_lines_have_keeps_its_place_and_lines_keep_their_numbers(
    read_object: ReadObject, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(json_lines, "_RECORDS_PER_TABLE", 3)
    monkeypatch.setattr(json_lines, "_TABLES_PER_BATCH", 2)
    texts = [json.dumps(row(resource__name=f"r{number}")) for number in range(1, 17)]
    texts[4] = json.dumps(row(resource__name="r5") | {"late": {"field": "x"}})
    texts[6] = "no JSON"
    texts[8] = json.dumps(row(resource__name="r9", cost="much"))
    texts[13] = json.dumps(row(resource__name="r14") | {"later": "y", "late": {"field": "z"}})
    result = read_object(GcpBilling(), "\n".join(texts))
    assert [entry[:2] for entry in result.refused] == [(7, None), (9, "cost")]
    assert [(each["_position"], each["resource_name"]) for each in result.rows] == [
        (number, f"r{number}") for number in range(1, 17) if number not in (7, 9)
    ]
    extras = {each["_position"]: json.loads(each["_extra"]) for each in result.rows if each["_extra"]}
    assert extras == {5: {"late.field": "x"}, 14: {"late.field": "z", "later": "y"}}
    assert {each["cost"] for each in result.rows} == {Decimal("78.4")}
