"""September is closed, then everything about it changes: what was booked stays, and each change says why (law 9)."""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from ingest.allocation_policies import AllocationPolicy, list_default_rows
from ingest.books import BOOKED
from tests.dbt_project.small_warehouse import read_rows, run_dbt, write_landing
from tests.dbt_project.test_charge_chain import DAYS, OCTOBER, SEPTEMBER, request, touch
from tests.dbt_project.test_laws import charge, failing_tests

pytestmark = pytest.mark.slow

MARTS = (
    "fct_allocation_edges",
    "fct_cost_ledger",
    "fct_invoice_bridge",
    "fct_statement_lines",
    "fct_gl_journal",
    "fct_restatements",
    "dim_billing_periods",
    "dim_price_sets",
)
TESTED = (*MARTS, "dim_teams", "fct_chargeback_daily", "fct_showback_daily", "fct_unit_costs_daily", "fct_waste")
SELECTED = ("--select", *(f"+{name}" for name in TESTED), "--exclude-resource-type", "unit_test")
CHARGED_BACK = AllocationPolicy(subject="charge_mode", pool="ml", method="chargeback")
MODEL_BILL = {"provider_name": "OpenAI", "service_subcategory": "Generative AI", "service_name": "OpenAI API"}
THIRD = {"charge_period_start": datetime(2026, 9, 3), "charge_period_end": datetime(2026, 9, 4)}


def september(account: str, usd: str, **columns: object) -> dict[str, object]:
    """One day's charge of September in an account named after what will happen to it."""
    money = {basis: Decimal(usd) for basis in ("billed_cost", "effective_cost", "list_cost")}
    return charge(billing_account_id=account, billing_period_date=SEPTEMBER, **THIRD, **money) | columns


def call(number: int, key: str, tokens: int, model: str = "gpt-4o") -> dict[str, object]:
    """A call of the 3rd of September, all input tokens."""
    logged = {"provider": "openai", "model": model, "api_key_alias": key, "prompt_tokens": tokens}
    return request(number, datetime(2026, 9, 3, 5)) | logged | {"completion_tokens": 0}


def override(model: str, usd: str, **columns: object) -> dict[str, object]:
    priced = {"provider": "openai", "model": model, "token_class": "input", "usd_per_mtok": Decimal(usd)}
    return priced | columns


def policies(*written: AllocationPolicy) -> list[dict[str, object]]:
    return [*(row for policy in written for row in policy.to_rows()), *list_default_rows(written)]


def owner(rule_id: str, match_on: str, value: str, team_id: str) -> dict[str, object]:
    key: dict[str, object] = {"match_key": "team"} if match_on == "tag" else {}
    return key | {"rule_id": rule_id, "match_on": match_on, "match_value": value, "team_id": team_id, "priority": 1}


BEFORE: dict[str, list[dict[str, object]]] = {
    "focus_charges": [
        september("still", "1.004", tags=json.dumps({"team": "ml"})),
        september("late", "2.004", tags=json.dumps({"team": "ml"})),
        september("fx", "3", billing_currency="EUR", tags=json.dumps({"team": "ml"})),
        september("mapping", "4", tags=json.dumps({"team": "web"})),
        september("withdrawn", "6"),
        september("price", "9", **MODEL_BILL),
        september("policy", "-8", charge_category="Credit"),
        september("code", "1", tags=json.dumps({"team": "ml"})),
        charge(billing_account_id="october", billing_period_date=OCTOBER),
    ],
    "litellm_requests": [call(1, "key-ml", 1_000_000), call(2, "key-web", 1_000_000, "gpt-4o-mini")],
    "config_owners": [
        owner("r1", "tag", "ml", "ml"),
        owner("r2", "tag", "web", "web"),
        owner("r3", "key", "key-ml", "ml"),
        owner("r4", "key", "key-web", "web"),
    ],
    "config_fx_rates": [{"currency_code": "EUR", "to_currency_code": "USD", "rate": Decimal("1.1")}],
    "config_price_overrides": [override("gpt-4o", "2"), override("gpt-4o-mini", "1")],
}
BEFORE |= {
    "config_allocation_policies": policies(CHARGED_BACK),
    "config_gl_accounts": [
        {"entry_kind": "expense", "cost_pool": "*", "team_id": "*", "account_code": "6400"},
        {"entry_kind": "expense", "cost_pool": "llm_api", "team_id": "*", "account_code": "6410"},
        {"entry_kind": "clearing", "cost_pool": "*", "team_id": "AWS", "account_code": "2100"},
        {"entry_kind": "central", "cost_pool": "*", "team_id": "*", "account_code": "6499"},
    ],
}
AFTER: dict[str, list[dict[str, object]]] = BEFORE | {
    "focus_charges": [
        *(line for line in BEFORE["focus_charges"] if line["billing_account_id"] != "withdrawn"),
        september("late", "0.5", tags=json.dumps({"team": "ml"})),
    ],
    "config_owners": [
        *(rule for rule in BEFORE["config_owners"] if rule["rule_id"] != "r2"),
        owner("r5", "tag", "web", "shop"),
    ],
    "config_fx_rates": [{"currency_code": "EUR", "to_currency_code": "USD", "rate": Decimal("1.2")}],
    "config_price_overrides": [
        override("gpt-4o", "2"),
        override("gpt-4o-mini", "4", valid_from=date(2026, 9, 2)),
    ],
    "config_allocation_policies": policies(
        CHARGED_BACK, AllocationPolicy(subject="credit", method="weights", weights={"ml": 1})
    ),
}


def land(warehouse: Path, rows: dict[str, list[dict[str, object]]], inputs: Iterable[tuple[str, str]]) -> None:
    """Land `rows` beside what the books hold."""
    books = {}
    with duckdb.connect(str(warehouse)) as connection:
        for (name,) in connection.execute(
            "select table_name from information_schema.tables where table_schema = 'raw' and table_name like 'book%'"
        ).fetchall():
            books[name] = connection.execute(f"from raw.{name}").to_arrow_table().to_pylist()
    write_landing(warehouse, rows | books)
    with duckdb.connect(str(warehouse)) as connection:
        connection.executemany("insert into raw.build_inputs values (?, null, ?)", list(inputs))


def close(warehouse: Path, period: date, close_id: str) -> None:
    """Book a period as `wattledger close` does."""
    with duckdb.connect(str(warehouse)) as connection:
        for table, mart, _ in BOOKED:
            names = ", ".join(name for name in table.schema.names if name != "close_id")
            connection.execute(
                f"insert into raw.{table.name} by name select '{close_id}' as close_id, {names} "
                f"from {mart} where posting_period_start_date = ?",
                [period],
            )
        connection.execute(
            "insert into raw.book_close_inputs select ?, input_name, usage_date, fingerprint from raw.build_inputs",
            [close_id],
        )
        connection.execute(
            "insert into raw.book_closes by name select ? as close_id, ? as period_start_date, 1 as revision, "
            "'close' as action, timestamp '2026-10-02' as acted_at",
            [close_id, period],
        )


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """September closed, then everything changed and built again, with every law green."""
    warehouse = tmp_path_factory.mktemp("closed") / "warehouse.duckdb"
    write_landing(warehouse, {})
    land(warehouse, BEFORE, [("config_owners", "a"), ("code", "1")])
    touch(warehouse, DAYS)
    run_dbt(warehouse, "build", *SELECTED)
    close(warehouse, SEPTEMBER, "2026-09/1-x")
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(
            "update raw.book_closed_ledger set allocation_method = 'as_older_code_said' "
            "where billing_account_id = 'code'"
        )
    land(warehouse, AFTER, [("config_owners", "b"), ("code", "1")])
    touch(warehouse, DAYS)
    run_dbt(warehouse, "build", *SELECTED)
    return warehouse


def test_what_was_booked_stays_to_the_nano_dollar(closed: Path) -> None:
    assert read_rows(
        closed,
        "select billing_account_id, team_id, sum(effective_cost_usd)::decimal(18, 3)::varchar "
        f"from marts.fct_cost_ledger where posting_period_start_date = date '{SEPTEMBER}' group by all order by all",
    ) == [
        ("code", "ml", "1.000"),
        ("fx", "ml", "3.300"),
        ("late", "ml", "2.004"),
        ("mapping", "web", "4.000"),
        ("policy", "shared", "-8.000"),
        # Two million tokens of gpt-4o and gpt-4o-mini at 2 and 1 USD: two thirds and one.
        ("price", "ml", "6.000"),
        ("price", "web", "3.000"),
        ("still", "ml", "1.004"),
        ("withdrawn", "untagged", "6.000"),
    ]


def test_each_change_is_posted_in_october_with_its_cause(closed: Path) -> None:
    assert read_rows(
        closed,
        "select billing_account_id, team_id, posting_cause, sum(effective_cost_usd)::decimal(18, 3)::varchar "
        f"from marts.fct_cost_ledger where posting_period_start_date = date '{OCTOBER}' "
        f"and billing_period_start_date = date '{SEPTEMBER}' group by all order by all",
    ) == [
        ("code", "ml", "code", "0.000"),
        ("fx", "ml", "fx", "0.300"),
        ("late", "ml", "late", "0.500"),
        ("mapping", "shop", "mapping", "4.000"),
        ("mapping", "web", "mapping", "-4.000"),
        ("policy", "ml", "policy", "-8.000"),
        ("policy", "shared", "policy", "8.000"),
        # At 2 and 4 USD: one third and two.
        ("price", "ml", "price", "-3.000"),
        ("price", "web", "price", "3.000"),
        ("withdrawn", "untagged", "late", "-6.000"),
    ]


def test_restatements_name_the_statement_and_whether_it_matters(closed: Path) -> None:
    found = read_rows(
        closed,
        "select team_id, restatement_cause, delta_cost_usd::decimal(18, 3)::varchar, is_material "
        "from marts.fct_restatements order by all",
    )
    assert found == [
        # Of 13.308 USD: 0.3 + 0.5 - 8 - 3 is more than a dollar.
        ("ml", "fx", "0.300", True),
        ("ml", "late", "0.500", True),
        ("ml", "policy", "-8.000", True),
        ("ml", "price", "-3.000", True),
        ("shared", "policy", "8.000", True),
        ("shop", "mapping", "4.000", True),
        ("untagged", "late", "-6.000", True),
        ("web", "mapping", "-4.000", True),
        ("web", "price", "3.000", True),
    ]


def test_the_prices_of_a_closed_month_are_read_back_beside_those_of_its_correction(closed: Path) -> None:
    # The price book of now has no more the 1 USD that September was closed at.
    assert read_rows(
        closed,
        "select posting_period_start_date, gateway_model, token_class, usd_per_mtok, valid_from_date, price_source "
        "from marts.fct_cost_ledger join marts.dim_price_sets using (price_set_id) where team_id = 'web' order by 1",
    ) == [
        (SEPTEMBER, "gpt-4o-mini", "input", 1, None, "price_overrides.csv"),
        (OCTOBER, "gpt-4o-mini", "input", 4, date(2026, 9, 2), "price_overrides.csv"),
    ]


def test_statements_foot_in_cents_from_line_to_period(closed: Path) -> None:
    found = read_rows(
        closed,
        "select team_id, sum(statement_usd)::varchar from marts.fct_statement_lines "
        f"where posting_period_start_date = date '{SEPTEMBER}' group by all order by all",
    )
    ml_usd = "3.300 + 2.004 + 6.000 + 1.004 + 1.000 = 13.308"
    assert found == [("ml", "13.31"), ("shared", "-8.00"), ("untagged", "6.00"), ("web", "7.00")], ml_usd


def test_the_journal_debits_who_is_charged_back_and_keeps_the_rest_with_the_platform(closed: Path) -> None:
    found = read_rows(
        closed,
        "select line_number, account_code, coalesce(team_id, provider_name), debit_usd::varchar, credit_usd::varchar "
        f"from marts.fct_gl_journal where posting_period_start_date = date '{SEPTEMBER}' order by all",
    )
    assert found == [
        (1, "6400", "ml", "7.31", "0.00"),
        (2, "6410", "ml", "6.00", "0.00"),
        (3, "6499", "shared", "0.00", "8.00"),
        (4, "6499", "untagged", "6.00", "0.00"),
        (5, "6499", "web", "7.00", "0.00"),
        (6, "2100", "AWS", "0.00", "9.31"),
        # No account is named for OpenAI: the line says so, and the journal balances all the same.
        (7, None, "OpenAI", "0.00", "9.00"),
    ]


@pytest.mark.long
def test_any_order_of_rebuilding_gives_the_same_rows(closed: Path) -> None:
    """Law 11 with a closed period in between: month by month, and all at once."""

    def read_all() -> dict[str, Counter[tuple]]:
        return {name: Counter(read_rows(closed, f"select * from marts.{name}")) for name in MARTS}

    once = read_all()
    assert all(once.values())
    for period in (OCTOBER, SEPTEMBER):
        touch(closed, [period])
        run_dbt(closed, "run", "--select", *(f"+{name}" for name in MARTS))
        assert read_all() == once
    touch(closed, DAYS)
    run_dbt(closed, "run", "--full-refresh", "--select", *(f"+{name}" for name in MARTS))
    assert read_all() == once


def test_laws_of_the_books_turn_red_when_they_are_broken(closed: Path) -> None:
    with duckdb.connect(str(closed)) as connection:
        connection.execute(
            "update marts.fct_cost_ledger set effective_cost_usd = effective_cost_usd + 0.000000001 "
            f"where posting_period_start_date = date '{SEPTEMBER}' and billing_account_id = 'still'"
        )
        connection.execute("update marts.fct_statement_lines set statement_usd = statement_usd + 0.01")
        connection.execute("update marts.fct_gl_journal set debit_usd = debit_usd + 0.01 where line_number = 1")
        connection.execute("delete from marts.dim_price_sets where usd_per_mtok = 1")
        connection.execute(
            "update marts.fct_unit_costs_daily set cache_hit_request_count = cache_hit_request_count + 1"
        )
    broken = {
        "assert_law_9_closed_periods_never_move",
        "assert_law_3_statements_foot",
        "assert_usage_statuses_add_up_to_the_calls",
        "relationships_fct_cost_ledger_price_set_id__price_set_id__ref_dim_price_sets_",
    }
    assert failing_tests(closed, broken) == broken
