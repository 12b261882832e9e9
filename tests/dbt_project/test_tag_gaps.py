"""What nobody owns, who likely does, and the line that says so: pasted into owners.csv, it moves the dollars."""

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from ingest.dated_facts import read_dated_fact
from ingest.home import Home, create_home
from tests.dbt_project.small_warehouse import read_rows, run_dbt, touch_days, write_landing
from tests.dbt_project.test_charge_chain import node_allocation, node_charge, request
from tests.dbt_project.test_laws import PERIOD, charge

pytestmark = pytest.mark.slow

OWNERS = """\
rule_id,match_on,match_key,match_value,team_id,team_name,cost_center_id,environment,priority,valid_from,valid_to
r1,tag,team,research,research,Research,CC-1,,100,,
r2,namespace,,vision,vision,"Vision, and more",CC-2,,200,,
r3,key,,etl-1,data,,,,100,,
r4,account,,sandbox,data,,,,300,,2026-10-01
r5,account,,later,data,,,,300,2026-10-20,
"""


def untagged(account: str, **columns: object) -> dict[str, object]:
    return charge(billing_account_id=account, **columns)


def landed(home: Home) -> dict[str, list[dict[str, object]]]:
    """Owner rules as the home's file says them, and dollars that nobody owns, each in an account of its own."""
    owners = read_dated_fact(home, "owners")
    assert not owners.problems
    calls = [("etl-1", 3), ("etl-2", 1)]
    return {
        "config_owners": owners.table.to_pylist(),
        "focus_charges": [
            # Nine dollars of the account are research's, one is vision's; the bucket has no tag.
            untagged("majority", effective_cost=Decimal(9), tags=json.dumps({"team": "research"}), resource_id="a"),
            node_charge("majority", "i-vision", 1),
            untagged("majority", resource_id="bucket"),
            # A tag that no rule knows, and whose name is a team's but for a letter.
            untagged("typed", effective_cost=Decimal(2), tags=json.dumps({"team": "reserch"})),
            # A rule ended the day before; another starts later in the month.
            untagged("sandbox", effective_cost=Decimal(4)),
            untagged("later", effective_cost=Decimal(5)),
            # A namespace that no rule knows, named after a team.
            node_charge("nodes", "i-batch", 6),
            # A bill by the calls of two keys, one of which no rule knows.
            untagged(
                "tokens", provider_name="Mistral AI", service_subcategory="Generative AI", effective_cost=Decimal(8)
            )
            | {"charge_period_start": datetime(2026, 10, 2), "charge_period_end": datetime(2026, 10, 3)},
            # Nothing points to anybody.
            untagged("nobody", effective_cost=Decimal(7), service_name="Something else"),
        ],
        "opencost_allocations": [
            node_allocation("i-vision", "workload", "serve", 1, namespace="vision", labels=None),
            node_allocation("i-batch", "workload", "job", 1, namespace="vision-batch", labels=None),
        ],
        "litellm_requests": [
            request(10 * number + call, datetime(2026, 10, 2), api_key_alias=alias)
            for number, (alias, count) in enumerate(calls)
            for call in range(count)
        ],
    }


def build(warehouse: Path, home: Home) -> None:
    write_landing(warehouse, landed(home))
    touch_days(warehouse, [PERIOD, date(2026, 10, 2)])
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("insert into raw.touched_periods values (?)", [PERIOD])
    run_dbt(warehouse, "build", "--select", "+fct_tag_gaps", "--resource-type", "model", "--resource-type", "seed")


def read_teams(warehouse: Path) -> dict[tuple[str, str], Decimal]:
    rows = read_rows(
        warehouse,
        "select billing_account_id, team_id, sum(effective_cost_usd) from marts.fct_cost_ledger group by all",
    )
    return {(account, team): usd for account, team, usd in rows}


def test_each_gap_names_who_likely_owns_it_and_its_line_gives_it_to_them(tmp_path: Path) -> None:
    home = create_home(tmp_path / "home")
    owners_path = home.config_dir / "owners.csv"
    owners_path.write_text(OWNERS)
    warehouse = tmp_path / "warehouse.duckdb"
    build(warehouse, home)
    gaps = read_rows(
        warehouse,
        "select thing_id, account_id, team_id, match_on, match_value, effective_cost_usd::int, suggested_team_id, "
        "evidence_kind, confidence_share, evidence from marts.fct_tag_gaps order by effective_cost_usd, thing_id",
    )
    eight_tenths = Decimal("0.8000")
    assert [gap[:-1] for gap in gaps] == [
        ("bucket", "majority", "untagged", "account", "majority", 1, "research", "account_majority", Decimal("0.4500")),
        ("Amazon EC2", "typed", "unknown", "tag", "reserch", 2, "research", "name_of_team", eight_tenths),
        ("etl-2", "tokens", "untagged", "key", "etl-2", 2, "data", "same_name_prefix", Decimal("0.6000")),
        ("Amazon EC2", "sandbox", "untagged", "account", "sandbox", 4, "data", "rule_that_ended", Decimal("0.9000")),
        ("Amazon EC2", "later", "untagged", "account", "later", 5, "data", "rule_that_ended", Decimal("0.9000")),
        (
            "vision-batch/job",
            "nodes",
            "untagged",
            "namespace",
            "vision-batch",
            6,
            "vision",
            "name_of_team",
            eight_tenths,
        ),
        ("Something else", "nobody", "untagged", "account", "nobody", 7, None, None, None),
    ]
    assert gaps[0][-1] == "90% of the 10.00 USD with an owner in the same account are of research"
    assert gaps[3][-1] == "a rule for account sandbox gives it to data on other days"

    before = read_teams(warehouse)
    lines = read_rows(warehouse, "select owners_line from marts.fct_tag_gaps where owners_line is not null")
    owners_path.write_text(OWNERS + "".join(f"{line}\n" for (line,) in lines))
    build(warehouse, home)
    after = read_teams(warehouse)
    for _, account, team, *_, suggested, _, _, _ in gaps:
        if suggested:
            assert (account, team) not in after
            assert after[account, suggested] == before.get((account, suggested), 0) + before[account, team]
    assert sum(after.values()) == sum(before.values())
    left = read_rows(warehouse, "select account_id, effective_cost_usd::int from marts.fct_tag_gaps")
    assert left == [("nobody", 7)]
