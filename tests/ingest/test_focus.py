"""FOCUS files of every version and dialect become the same typed rows, or say what is wrong with them."""

import gzip
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.billing.focus import FOCUS, Focus
from ingest.contracts import FOCUS_CHARGES, INSTANT, MONEY, TEXT
from ingest.source import ObjectRefusedError, SourceObject

HEADER = "BilledCost,EffectiveCost,BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,BillingCurrency"
ROW = "1.5,1.25,2026-05-01T00:00:00Z,2026-05-02T00:00:00Z,2026-05-03T00:00:00Z,Usage,USD"


class ListSink:
    """Keeps what a kind reads."""

    def __init__(self) -> None:
        self.batches: list[pa.Table] = []
        self.refused: list[tuple[int | None, str | None, str, str]] = []

    def write(self, batch: pa.Table) -> None:
        self.batches.append(batch)

    def refuse_row(self, position: int | None, field: str | None, reason: str, found: str = "") -> None:
        self.refused.append((position, field, reason, found))

    @property
    def rows(self) -> list[dict[str, Any]]:
        rows = (row for batch in self.batches for row in batch.to_pylist())
        return [dict.fromkeys(FOCUS_CHARGES.schema.names) | row for row in rows]


def read(path: Path, options: Mapping[str, Any] | None = None) -> ListSink:
    sink = ListSink()
    Focus().read(SourceObject(str(path), path, datetime.now(UTC), options or {}), sink)
    return sink


def read_text(folder: Path, text: str, options: Mapping[str, Any] | None = None) -> ListSink:
    path = folder / "charges.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return read(path, options)


def read_cells(folder: Path, options: Mapping[str, Any] | None = None, /, **cells: str) -> ListSink:
    """One row; `cells` by FOCUS column replace or add to the plain ones."""
    row = dict(zip(HEADER.split(","), ROW.split(","), strict=True)) | cells
    quoted = ('"' + value.replace('"', '""') + '"' for value in row.values())
    return read_text(folder, f"{','.join(row)}\n{','.join(quoted)}\n", options)


def only_row(sink: ListSink) -> dict[str, Any]:
    assert sink.refused == []
    (row,) = sink.rows
    return row


def test_columns_are_found_by_name_in_any_order_and_case(tmp_path: Path) -> None:
    text = (
        "chargecategory,SkuPriceid,CHARGEPERIODEND,ChargePeriodStart,BillingPeriodStart,EffectiveCost,BilledCost,Id\n"
        "Usage,price-1,2026-05-03T00:00:00Z,2026-05-02T00:00:00Z,2026-05-01T00:00:00Z,1.25,1.5,77\n"
    )
    row = only_row(read_text(tmp_path, text))
    assert row["billed_cost"] == Decimal("1.5")
    assert row["sku_price_id"] == "price-1"
    assert row["_extra"] == '{"Id":"77"}'
    assert row["_position"] == 2


def test_every_contract_column_comes_with_its_type(tmp_path: Path) -> None:
    example = {TEXT: "x", MONEY: "1", INSTANT: "2026-05-01T00:00:00Z"}
    cells = {FOCUS.spell(name): example[kind] for name, kind in FOCUS_CHARGES.columns if name != "billing_currency"}
    cells |= {f"{period}PeriodEnd": "2026-06-01T00:00:00Z" for period in ("Billing", "Charge")}
    (batch,) = read_cells(tmp_path, BillingCurrency="USD", **cells).batches
    for name, kind in FOCUS_CHARGES.columns:
        assert batch.schema.field(name).type == kind, name


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-01T22:00:00Z",
        "2026-05-01 22:00:00",
        "2026-05-02T00:00:00+02:00",
        "2026-05-01T22:00:00.000Z",
        "2026-05-01T22:00Z",
        "2026-05-01T17:00:00-05:00",
        " 2026-05-01T22:00:00Z ",
    ],
)
def test_an_instant_is_the_same_moment_in_every_spelling(tmp_path: Path, text: str) -> None:
    assert only_row(read_cells(tmp_path, ChargePeriodStart=text))["charge_period_start"] == datetime(2026, 5, 1, 22)


def test_hours_past_midnight_belong_to_the_next_day_and_are_told(tmp_path: Path) -> None:
    row = only_row(read_cells(tmp_path, ChargePeriodEnd="2026-05-02T30:00:00Z"))
    assert row["charge_period_end"] == datetime(2026, 5, 3, 6)
    assert "hour_past_midnight" in row["_repairs"].split(",")


@pytest.mark.parametrize(
    ("text", "expected", "is_rounded"),
    [
        ("0.00000080000", "0.0000008", False),
        ("1e-7", "0.0000001", False),
        ("8.0E-7", "0.0000008", False),
        ("-12.5", "-12.5", False),
        ("0.0000000000000000005", "0.000000000000000001", True),
        ("-0.0000000000000000005", "-0.000000000000000001", True),
        ("0.1234567890123456780000000000", "0.123456789012345678", False),
        ("0.1234567890123456785000000000", "0.123456789012345679", True),
        ("1.2345678901234567891e-1", "0.123456789012345679", True),
        ("1.234567890123456789012e3", "1234.567890123456789012", False),
        ("10e-19", "0.000000000000000001", False),
        ("99999999999999999999", "99999999999999999999", False),
        ("0e-30", "0", False),
    ],
)
def test_amounts_are_exact_to_18_places_and_rounding_is_told(
    tmp_path: Path, text: str, expected: str, is_rounded: bool
) -> None:
    row = only_row(read_cells(tmp_path, BilledCost=text))
    by_python = Decimal(text).quantize(Decimal(1).scaleb(-18), context=Context(prec=60, rounding=ROUND_HALF_UP))
    assert row["billed_cost"] == Decimal(expected) == by_python
    assert ("rounded_to_18_places" in (row["_repairs"] or "").split(",")) is is_rounded


@pytest.mark.parametrize(
    "text", ["twelve", "1,000.00", "1_000", "100000000000000000000", "inf", "nan", "12.5 USD", "0x10"]
)
def test_what_is_no_amount_refuses_its_row_and_is_never_zero(tmp_path: Path, text: str) -> None:
    sink = read_cells(tmp_path, EffectiveCost=text)
    assert sink.rows == []
    ((position, field, reason, found),) = sink.refused
    assert (position, field, found) == (2, "EffectiveCost", text)
    assert "not an amount" in reason


@pytest.mark.parametrize(("text", "expected"), [("$10,000.00 ", "10000"), ("-$5.25", "-5.25"), ("$100", "100")])
def test_dollar_texts_are_amounts_and_are_told(tmp_path: Path, text: str, expected: str) -> None:
    row = only_row(read_cells(tmp_path, BilledCost=text))
    assert row["billed_cost"] == Decimal(expected)
    assert "currency_text" in row["_repairs"].split(",")


def test_any_spelling_of_an_amount_is_what_exact_arithmetic_says(tmp_path: Path) -> None:
    generator = random.Random(20260501)
    texts = []
    while len(texts) < 4_000:
        whole, fraction = ("".join(generator.choices("0123456789", k=generator.randint(0, n))) for n in (20, 24))
        exponent = f"{generator.choice('eE')}{generator.randint(-22, 3)}" if generator.random() < 0.3 else ""
        if whole or fraction:
            texts.append(f"{generator.choice(['', '-', '+'])}{whole}{'.' if fraction else ''}{fraction}{exponent}")
    lines = [f"{text},1,2026-05-01,2026-05-01,2026-05-02,Usage,USD" for text in texts]
    sink = read_text(tmp_path, "\n".join([HEADER, *lines]))
    refused = {position for position, *_ in sink.refused}
    rows = {row["_position"]: row for row in sink.rows}
    for position, text in enumerate(texts, 2):
        exact = Decimal(text)
        expected = exact.quantize(Decimal(1).scaleb(-18), context=Context(prec=80, rounding=ROUND_HALF_UP))
        if abs(expected) >= 10**20:
            assert position in refused, text
            continue
        assert rows[position]["billed_cost"] == expected, text
        assert ("rounded_to_18_places" in (rows[position]["_repairs"] or "")) == (expected != exact), text


def test_null_has_three_spellings(tmp_path: Path) -> None:
    for spelling in ("", "NULL", "null"):
        assert only_row(read_cells(tmp_path, ResourceId=spelling, ListCost=spelling))["resource_id"] is None


@pytest.mark.parametrize(
    ("cells", "field", "reason"),
    [
        ({"ChargePeriodEnd": "2026-05-01T00:00:00Z"}, "ChargePeriodEnd", "ends before"),
        ({"ChargePeriodEnd": "2026-05-02T00:00:00Z"}, "ChargePeriodEnd", "ends before"),
        ({"BillingPeriodEnd": "2026-04-01T00:00:00Z"}, "BillingPeriodEnd", "ends before"),
        ({"BillingCurrency": "usd"}, "BillingCurrency", "three capital letters"),
        ({"BillingCurrency": "Dollars"}, "BillingCurrency", "three capital letters"),
        ({"BilledCost": ""}, "BilledCost", "required"),
        ({"ChargePeriodStart": "yesterday"}, "ChargePeriodStart", "not an instant"),
        ({"ChargePeriodStart": "2026-02-30T00:00:00Z"}, "ChargePeriodStart", "not an instant"),
        ({"ChargePeriodStart": "4/1/25"}, "ChargePeriodStart", "options.date_format"),
    ],
)
def test_a_broken_rule_names_the_field(tmp_path: Path, cells: dict[str, str], field: str, reason: str) -> None:
    sink = read_cells(tmp_path, **cells)
    assert sink.rows == []
    ((_, found_field, found_reason, _),) = sink.refused
    assert found_field == field
    assert reason in found_reason


def test_an_unknown_currency_lands_as_it_is(tmp_path: Path) -> None:
    assert only_row(read_cells(tmp_path, BillingCurrency="XQZ"))["billing_currency"] == "XQZ"


@pytest.mark.parametrize(
    ("starts", "expected"),
    [(["4/1/25", "5/1/25"], datetime(2025, 4, 1)), (["1/4/25", "1/5/25"], datetime(2025, 4, 1))],
)
def test_slash_dates_are_read_where_only_one_order_makes_months(
    tmp_path: Path, starts: list[str], expected: datetime
) -> None:
    end = "6/1/25" if starts[0] == "4/1/25" else "1/6/25"
    lines = [f"1,1,{start},{start},{end},Usage,USD" for start in starts]
    sink = read_text(tmp_path, "\n".join([HEADER, *lines]))
    assert sink.refused == []
    assert sink.rows[0]["billing_period_start"] == expected
    assert {row["_repairs"].split(",")[0] for row in sink.rows} <= {
        "us_date",
        "d_m_y_date",
        "derived_billing_period_end",
    }


def test_slash_dates_that_fit_both_orders_need_a_word_from_the_user(tmp_path: Path) -> None:
    cells = {"BillingPeriodStart": "1/1/25", "ChargePeriodStart": "1/1/25", "ChargePeriodEnd": "1/2/25"}
    assert "m/d/y or d/m/y" in read_cells(tmp_path, **cells).refused[0][2]
    row = only_row(read_cells(tmp_path, {"date_format": "d/m/y"}, **cells))
    assert row["charge_period_end"] == datetime(2025, 2, 1)
    with pytest.raises(ObjectRefusedError, match="allowed: m/d/y, d/m/y"):
        read_cells(tmp_path, {"date_format": "iso"}, **cells)


def test_a_missing_required_column_names_what_was_found_and_the_mend(tmp_path: Path) -> None:
    text = "\n".join(",".join(line.split(",")[1:]) for line in (HEADER, ROW))
    with pytest.raises(
        ObjectRefusedError, match=r"BilledCost.*EffectiveCost, BillingPeriodStart.*options\.defaults"
    ) as caught:
        read_text(tmp_path, text)
    assert caught.value.field == "BilledCost"
    assert only_row(read_text(tmp_path, text, {"defaults": {"BilledCost": "0"}}))["billed_cost"] == 0


def test_an_absent_currency_is_null_and_told_or_given_by_default(tmp_path: Path) -> None:
    text = "\n".join(",".join(line.split(",")[:-1]) for line in (HEADER, ROW))
    row = only_row(read_text(tmp_path, text))
    assert row["billing_currency"] is None
    assert "missing_column:BillingCurrency" in row["_repairs"].split(",")
    row = only_row(read_text(tmp_path, text, {"defaults": {"BillingCurrency": "EUR"}}))
    assert row["billing_currency"] == "EUR"
    assert "missing_column:BillingCurrency" not in row["_repairs"]


def test_providers_are_told_by_either_generation_of_columns(tmp_path: Path) -> None:
    old = only_row(read_cells(tmp_path, ProviderName="AWS", PublisherName="Shop"))
    new = only_row(read_cells(tmp_path, ServiceProviderName="AWS", HostProviderName="Shop"))
    names = ("provider_name", "service_provider_name", "publisher_name", "host_provider_name")
    assert [old[name] for name in names] == [new[name] for name in names] == ["AWS", "AWS", "Shop", "Shop"]
    assert "derived_provider_name" in new["_repairs"].split(",")


def test_short_and_long_lines_are_counted_and_named(tmp_path: Path) -> None:
    lines = [HEADER, ROW, "", "1,2", ROW, f"{ROW},more", ROW]
    sink = read_text(tmp_path, "\n".join(lines))
    assert len(sink.rows) == 3
    assert [(position, found) for position, _, _, found in sink.refused] == [(4, "1,2"), (6, f"{ROW},more")]


def test_quotes_newlines_and_a_byte_order_mark_are_csv(tmp_path: Path) -> None:
    text = f'\ufeff{HEADER},ChargeDescription\r\n{ROW},"a ""big""\nmachine, rented"\r\n\r\n{ROW},plain\r\n'
    assert [row["charge_description"] for row in read_text(tmp_path, text).rows] == [
        'a "big"\nmachine, rented',
        "plain",
    ]


def test_lines_keep_their_order_and_number_in_a_large_file(tmp_path: Path) -> None:
    lines = (f"{number},1,2026-05-01,2026-05-01,2026-05-02,Usage,USD" for number in range(2, 250_002))
    sink = read_text(tmp_path, "\n".join([HEADER, *lines]))
    assert sum(batch.num_rows for batch in sink.batches) == 250_000
    for batch in sink.batches:
        assert batch.column("_position").to_pylist() == [int(cost) for cost in batch.column("billed_cost").to_pylist()]


def test_gzip_is_known_by_its_bytes_and_must_be_whole(tmp_path: Path) -> None:
    packed = gzip.compress(f"{HEADER}\n{ROW}\n".encode(), mtime=0) + gzip.compress(f"{ROW}\n".encode(), mtime=0)
    whole, torn = tmp_path / "charges.csv", tmp_path / "torn.csv.gz"
    whole.write_bytes(packed)
    assert len(read(whole).rows) == 2
    torn.write_bytes(packed[:-9])
    with pytest.raises(ObjectRefusedError, match="truncated gzip"):
        read(torn)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\n \n", "blanks"),
        (b'{"data": []}', "JSON"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 40, "PNG"),
        (b"PK\x03\x04xx", "spreadsheet"),
        (b"PAR1 but not really PAR1", "Parquet"),
        (f"{HEADER}\n{ROW}".encode("utf-16"), "UTF-16"),
        (f"{HEADER}\n{ROW.replace('Usage', 'café')}\n{ROW}\n".encode("latin-1"), "not UTF-8"),
        (b"name,age\nann,7\n", "missing required column"),
        (f"{HEADER},billedcost\n{ROW},1\n".encode(), "twice"),
    ],
)
def test_what_is_no_focus_file_is_refused_with_what_it_is(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "charges.csv"
    path.write_bytes(content)
    with pytest.raises(ObjectRefusedError, match=reason):
        read(path)


def parquet_columns(**columns: Any) -> dict[str, Any]:
    at = [datetime(2026, 5, day, tzinfo=UTC) for day in (1, 2, 3)]
    return {
        "BilledCost": pa.array([Decimal("1.000000000000000000005")], pa.decimal128(30, 21)),
        "EffectiveCost": pa.array([8e-07]),
        "BillingPeriodStart": pa.array([at[0]], pa.timestamp("ms", "UTC")),
        "ChargePeriodStart": pa.array([at[1]], pa.timestamp("ns", "Europe/Paris")),
        "ChargePeriodEnd": pa.array([at[2].replace(tzinfo=None)], pa.timestamp("us")),
        "ChargeCategory": pa.array(["Usage"]),
        "Tags": pa.array([[("team", "search")]], pa.map_(pa.string(), pa.string())),
        "x_Discount": pa.array([{"rate": 0.5}]),
        "ListCost": pa.nulls(1),
        **columns,
    }


def test_parquet_is_typed_as_csv_is(tmp_path: Path) -> None:
    path = tmp_path / "charges.parquet"
    pq.write_table(pa.table(parquet_columns()), path)
    row = only_row(read(path))
    assert row["billed_cost"] == Decimal("1")
    assert "rounded_to_18_places" in row["_repairs"].split(",")
    assert row["effective_cost"] == Decimal("0.0000008")
    assert row["charge_period_start"] == datetime(2026, 5, 2)
    assert row["charge_period_end"] == datetime(2026, 5, 3)
    assert row["tags"] == '{"team":"search"}'
    assert row["_extra"] == '{"x_Discount":{"rate":0.5}}'
    assert row["_position"] == 1


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("BilledCost", pa.array([True]), "BilledCost has type BOOLEAN: expected a decimal"),
        ("BillingPeriodStart", pa.array([7]), "BillingPeriodStart has type BIGINT: expected a timestamp"),
        ("BillingAccountId", pa.array([123456789012]), "BillingAccountId has type BIGINT: expected text"),
    ],
)
def test_a_parquet_column_of_another_type_is_refused(
    tmp_path: Path, column: str, values: pa.Array, expected: str
) -> None:
    path = tmp_path / "charges.parquet"
    pq.write_table(pa.table(parquet_columns(**{column: values})), path)
    with pytest.raises(ObjectRefusedError, match=expected):
        read(path)


@pytest.mark.parametrize(
    "name",
    [
        "focus_1_0_official_sample/focus_sample_part1.csv.gz",
        "focus_1_2_generated/focus_1_2_cost_and_usage_aws_seed4101.csv.gz",
        "focus_1_2_generated/focus_1_2_cost_and_usage_azure_seed4101.csv.gz",
        "focus_1_2_generated/focus_1_2_cost_and_usage_gcp_seed4101.csv.gz",
    ],
)
def test_real_files_sum_to_what_a_plain_reader_sums(shared_data: Path, name: str) -> None:
    path = shared_data / name
    if not path.exists():
        pytest.skip(f"{path} is absent")
    sink = read(path)
    expected = duckdb.execute(
        """select count(*), sum(BilledCost::decimal(38, 18)), sum(EffectiveCost::decimal(38, 18))
        from read_csv($path, all_varchar = true, nullstr = ['', 'NULL'])""",
        {"path": str(path)},
    ).fetchone()
    rows = sink.rows
    assert sink.refused == []
    assert expected == (len(rows), sum(r["billed_cost"] for r in rows), sum(r["effective_cost"] for r in rows))


def test_every_example_of_the_specification_is_read_whole(shared_data: Path) -> None:
    folder = shared_data / "focus_spec_examples"
    counts = {}
    for path in sorted(folder.glob("*.csv")):
        sink = read(path)
        assert sink.refused == [], path.name
        counts[path.name] = len(sink.rows)
    assert len(counts) == 12
    assert sum(counts.values()) == 22
