"""What a person is asked to look at, and how they accept it: by the commands alone."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from ingest.acceptances import accept_source
from ingest.contracts import FOCUS_CHARGES
from ingest.home import Home, create_home
from ingest.landing import land
from orchestration.doctor import Finding, State, examine_home
from orchestration.landed import read_source_totals
from tests.ingest.landed import configure, query, request, write
from tests.orchestration.commands import run_wattledger

HEADER = (
    "ProviderName,BillingAccountId,BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,BilledCost,"
    "EffectiveCost,BillingCurrency\n"
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return create_home(tmp_path / "home")


def write_days(home: Home, last: int) -> None:
    at = "T00:00:00Z"
    rows = "".join(
        f"AWS,acct-1,2026-09-01{at},2026-09-{day:02d}{at},2026-09-{day + 1:02d}{at},Usage,10,10,USD\n"
        for day in range(1, last + 1)
    )
    write(home.path / "exports/month.csv", HEADER + rows)


def find(home: Home, area: str, *states: State) -> list[Finding]:
    return [item for item in examine_home(home) if item.area == area and item.state in states]


def test_a_held_back_bill_is_named_accepted_and_landed_by_commands(home: Home):
    configure(home, "{name: daily, kind: focus, location: exports/}")
    write_days(home, 15)
    assert run_wattledger("land", home=home).returncode == 0
    write_days(home, 5)
    held = run_wattledger("land", home=home)
    assert held.returncode == 1
    assert "10 day(s) (2026-09-06 to 2026-09-15), 100 USD; 50 USD instead of 150 USD" in held.stdout
    assert 'wattledger accept daily --reason "…"' in held.stdout
    assert run_wattledger("accept", "daily", home=home).returncode == 2
    accepted = run_wattledger("accept", "daily", "--reason", "the account was split", home=home)
    assert (accepted.returncode, accepted.stderr) == (0, "")
    assert "accepted a bill that shrinks of daily" in accepted.stdout
    again = run_wattledger("accept", "daily", "--reason", "the account was split", home=home)
    assert again.returncode == 1
    assert "Nothing of source daily waits to be accepted" in again.stderr
    assert run_wattledger("land", home=home).returncode == 0
    assert query(home, FOCUS_CHARGES, "sum(billed_cost)") == [(50,)]


def test_the_doctor_names_every_reason_until_somebody_accepts_them(home: Home):
    configure(home, "{name: gateway, kind: litellm, location: logs/}")
    bad = [f'{{"request_id": "r{number}", "startTime": "{"x" * number}"}}' for number in range(1, 4)]
    lines = [request("good"), *bad, '{"spend": []}', "no json", "[1]"]
    write(home.path / "logs/a.jsonl", "\n".join(lines) + "\n")
    land(home, only_sources={"gateway"})
    found = find(home, "quarantine", State.NOTE)
    assert sum(int(item.text.split()[1]) for item in found) == len(lines) - 1
    assert all("wattledger accept gateway" in item.mend for item in found)
    accept_source(home, "gateway", "our own tests")
    assert find(home, "quarantine", State.NOTE, State.WRONG) == []
    assert len(find(home, "quarantine", State.FINE)) == len(found)


def test_a_source_that_stopped_long_ago_is_stale_by_the_clock(home: Home):
    day = f"{datetime.now(UTC) - timedelta(days=40):%Y-%m-%d}"
    write(home.path / "logs/a.jsonl", request("old").replace("2026-05-01", day) + "\n")
    configure(home, "{name: gateway, kind: litellm, location: logs/}")
    land(home, only_sources={"gateway"})
    notes = [item.text for item in find(home, "source gateway", State.NOTE)]
    assert [text for text in notes if text.startswith(f"stale: its data ends {day} 10:00 UTC, ")] == notes
    shown = run_wattledger("land", home=home)
    assert shown.returncode == 0
    assert f"gateway: stale: its data ends {day}" in shown.stdout


def test_a_source_without_any_object_is_in_the_table(home: Home):
    (home.path / "logs").mkdir()
    configure(home, "{name: nothing-there, kind: litellm, location: 'logs/*.jsonl'}")
    shown = run_wattledger("land", home=home)
    assert shown.returncode == 1
    assert "| nothing-there | litellm |" in " ".join(shown.stdout.split())
    assert [(item.source_name, item.object_count) for item in read_source_totals(home)] == [("nothing-there", 0)]


def publish(home: Home, teams: dict[str, str], bills: dict[str, str]) -> None:
    """Marts with a month of these USD by team, and bills by the step of reconciliation that keeps them out."""
    home.published_dir.mkdir(exist_ok=True)
    with duckdb.connect(str(home.published_dir / "marts.duckdb")) as marts:
        marts.execute(
            """create table build_info(
                build_id varchar, published_at timestamp, source_name varchar, data_through_at timestamp);
            insert into build_info values ('b1', now()::timestamp, null, null);
            create table fct_chargeback_daily(usage_date date, team_id varchar, effective_cost_usd decimal(38, 9));
            create table fct_reconciliation(
                step varchar, provider_name varchar, billing_account_id varchar, billing_period_start_date date,
                currency_code varchar, billed_cost_local decimal(38, 18))"""
        )
        for team, usd in teams.items():
            marts.execute("insert into fct_chargeback_daily values ('2026-09-03', ?, ?)", [team, usd])
            marts.execute("insert into fct_chargeback_daily values ('2026-08-03', 'untagged', 1000)")
        for step, amount in bills.items():
            marts.execute(
                "insert into fct_reconciliation values (?, 'AWS', 'a', '2026-09-01', 'EUR', ?)", [step, amount]
            )


@pytest.mark.parametrize(
    ("teams", "bills", "expected"),
    [
        ({"search": "95", "untagged": "5"}, {}, [State.FINE]),
        ({"search": "94", "untagged": "4", "unknown": "2"}, {}, [State.NOTE]),
        ({"search": "0"}, {}, [State.FINE]),
        ({"search": "95"}, {"set_aside": "7"}, [State.NOTE, State.FINE]),
        ({"search": "95"}, {"held_back": "-7"}, [State.WRONG, State.FINE]),
    ],
)
def test_dollars_without_an_owner_or_in_no_total_are_told(
    home: Home, teams: dict[str, str], bills: dict[str, str], expected: list[State]
):
    publish(home, teams, bills)
    found = find(home, "money", *State)
    assert [item.state for item in found] == expected
    assert all("7.00 EUR" in item.text for item in found[:-1])


def test_the_policy_says_from_which_share_on(home: Home):
    home.policies_path.write_text("doctor: {untagged_share: 0.5}\n")
    publish(home, {"search": "60", "untagged": "40"}, {})
    (found,) = find(home, "money", *State)
    assert (found.state, found.text) == (
        State.FINE,
        "40.0% of 2026-09 has no owner (untagged or unknown): 40.00 of 100.00 USD",
    )
