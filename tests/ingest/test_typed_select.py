"""The short ways of typing a bill's texts say what the long ones say."""

from datetime import datetime
from typing import Final

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.billing import typed_select
from ingest.billing.bill_format import BillFormat
from ingest.billing.typed_select import SourceColumns
from ingest.contracts import FOCUS_CHARGES

FORM: Final = BillFormat(
    name="a bill",
    table=FOCUS_CHARGES,
    required=("charge_category",),
    period_column="billing_period_start",
    claim_columns=(),
    spell=str,
    amount_nulls=("Unknown",),
)
SPELLINGS: Final = (
    "2026-05-01T22:00Z",
    "2026-05-01T22:00:00Z",
    "2026-05-01 22:00:00",
    "2026-05-01",
    "2026-05-01 22:00:00 UTC",
    "2026-05-01 22:00:00.123 UTC",
    "2026-05-01T22:00:00.123456Z",
    "2026-05-01T22:00:00+02:00",
    "2026-05-01 24:00:00",
    "2026-05-01T25:00:00Z",
    "05/01/2026",
)
INSTANT_LETTERS: Final = "0123456789-+:.TZ /UTC"


@pytest.fixture(scope="module")
def engine() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("set TimeZone = 'UTC'")
    return connection


def type_texts(
    engine: duckdb.DuckDBPyConnection, column: str, texts: list[str], date_format: str | None
) -> list[tuple[object, str | None]]:
    """Each text's value and repair codes."""
    engine.execute("create or replace temp table texts (c0 varchar)")
    engine.executemany("insert into texts values (?)", [[text] for text in texts])
    columns = SourceColumns({column: "c0"}, {}, {})
    select = typed_select.build_select(FORM, "from texts", columns, {"charge_category": "Usage"}, date_format)
    return engine.execute(f"select {column}, _repairs from ({select.sql})", select.parameters).fetchall()


@given(
    spelling=st.sampled_from(SPELLINGS),
    edits=st.lists(st.tuples(st.integers(0, 30), st.sampled_from(INSTANT_LETTERS), st.booleans()), max_size=4),
    date_format=st.sampled_from((None, typed_select.MONTH_FIRST, typed_select.DAY_FIRST)),
)
def test_a_plain_instant_is_what_the_long_way_reads(
    engine: duckdb.DuckDBPyConnection, spelling: str, edits: list[tuple[int, str, bool]], date_format: str | None
) -> None:
    text = spelling
    for place, letter, is_added in edits:
        text = text[:place] + letter + text[place + (not is_added) :]
    # A blank in front of it is nothing that the short way knows.
    short, long = type_texts(engine, "charge_period_start", [text, f" {text}"], date_format)
    assert short == long, text


@given(
    whole=st.integers(0, 10**12),
    places=st.text("0123456789", min_size=1, max_size=20),
    sign=st.sampled_from(("", "-", "+")),
    edit=st.sampled_from(("", " ", "-", ".", "_", "x", ",")),
    where=st.integers(0, 30),
)
@example(whole=0, places="000000000000000005", sign="-", edit="", where=0)
@example(whole=999_999_999, places="999999999999999999", sign="-", edit="", where=0)
def test_an_amount_of_any_length_is_what_one_wide_cast_reads(
    engine: duckdb.DuckDBPyConnection, whole: int, places: str, sign: str, edit: str, where: int
) -> None:
    text = f"{sign}{whole}.{places}"
    text = text[:where] + edit + text[where:]
    ((amount, _),) = type_texts(engine, "list_cost", [text], None)
    expected = engine.execute("select try_cast(? as decimal(38, 18))", [text]).fetchone()
    assert "_" in text or (amount,) == expected, text


def test_the_short_way_is_taken(engine: duckdb.DuckDBPyConnection) -> None:
    plain = typed_select._cast_plain_instant("c0", typed_select.MONTH_FIRST)  # pyright: ignore[reportPrivateUsage]
    texts = [text for text in SPELLINGS if "+" not in text and " 24:" not in text and "T25:" not in text]
    listed = ", ".join(f"({typed_select.quote_literal(text)})" for text in texts)
    found = engine.execute(f"select c0, {plain} from (values {listed}) as texts(c0)").fetchall()
    assert [text for text, instant in found if not isinstance(instant, datetime)] == []


@pytest.mark.parametrize("text", ["", " ", "   ", "NULL", " NULL", "NULL ", "null  ", "  null"])
def test_a_text_that_stands_for_nothing_is_null(engine: duckdb.DuckDBPyConnection, text: str) -> None:
    assert type_texts(engine, "resource_id", [text], None) == [(None, None)]
    assert type_texts(engine, "list_cost", [text, "Unknown", "Unknown "], None) == [(None, None)] * 3


@pytest.mark.parametrize("text", [" a", "!", "NULLs", "nullable", "Null", "a NULL", "\t", "Unknown"])
def test_a_text_that_only_looks_so_stays_as_it_is(engine: duckdb.DuckDBPyConnection, text: str) -> None:
    assert type_texts(engine, "resource_id", [text], None) == [(text, None)]
