from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from ingest.allocation_policies import METHODS
from ingest.config import ConfigError, load_allocation_policies, load_policies
from ingest.contracts import DATED_FACTS
from ingest.dated_facts import read_dated_fact
from ingest.home import Home


def write(home: Home, *entries: str) -> None:
    home.policies_path.write_text("allocation:\n" + "".join(f"  - {entry}\n" for entry in entries))


def read(home: Home, *entries: str) -> list[dict[str, Any]]:
    """The rows that were written, without the defaults."""
    write(home, *entries)
    return [row for row in load_allocation_policies(home) if not row["policy_id"].startswith("default/")]


def read_problems(home: Home, *entries: str) -> list[str]:
    write(home, *entries)
    with pytest.raises(ConfigError) as caught:
        load_allocation_policies(home)
    return list(caught.value.problems)


def test_the_defaults_are_what_a_finance_team_would_sign(home: Home):
    rows = load_allocation_policies(home)
    assert {row["subject"]: row["method"] for row in rows} == {
        "idle": "platform",
        "unused_quota": "as_idle",
        "shared": "central",
        "tax": "follow_invoice",
        "credit": "central",
        "support": "central",
        "commitment_benefit": "pool_rate",
        "commitment_purchase": "central",
        "unused_commitment": "buyer",
        "node_rate": "residual",
        "mig_basis": "compute",
        "charge_mode": "showback",
    }
    assert {row["policy_id"] for row in rows} == {f"default/{subject}" for subject in METHODS}
    assert {(row["pool"], row["valid_from"], row["valid_to"]) for row in rows} == {("*", None, None)}


def test_a_default_holds_on_the_days_on_which_no_entry_speaks_for_all_pools(home: Home):
    write(
        home,
        "{subject: tax, method: even, valid_from: 2026-10-01, valid_to: 2026-11-01}",
        "{subject: tax, pool: AWS, method: even}",
        "{subject: tax, method: central, valid_from: 2026-12-01}",
        "{subject: idle, method: even}",
    )
    rows = load_allocation_policies(home)
    assert [(row["valid_from"], row["valid_to"]) for row in rows if row["policy_id"] == "default/tax"] == [
        (None, date(2026, 10, 1)),
        (date(2026, 11, 1), date(2026, 12, 1)),
    ]
    assert not [row for row in rows if row["policy_id"] == "default/idle"]


def test_an_entry_is_a_row_for_each_team_that_it_names_with_its_line(home: Home):
    rows = read(
        home,
        "{subject: idle, pool: prod, method: holders, scope: quota, weights: {web: 3, ml: 1}, valid_from: 2026-10-16}",
        "{subject: tax, pool: AWS, method: recipient, recipient: finance, share: 0.19}",
        "{subject: node_rate, pool: prod, method: weights, weights: {gpu: 9, cpu: 0.9, ram: .1}}",
        "{subject: mig_basis, method: blend, weights: {compute: 2, memory: 1}, valid_to: '2027-01-01'}",
    )
    quota = {"policy_id": "idle/prod/holders/2026-10-16", "subject": "idle", "pool": "prod", "method": "holders"}
    quota |= {"scope": "quota", "valid_from": date(2026, 10, 16), "valid_to": None, "_position": 2}
    assert rows[:2] == [
        quota | {"recipient_team_id": "ml", "weight": 1},
        quota | {"recipient_team_id": "web", "weight": 3},
    ]
    tax, node, mig = rows[2:]
    assert (tax["policy_id"], tax["recipient_team_id"], tax["weight"]) == ("tax/AWS/recipient/ever", "finance", 1)
    assert (tax["recipient_share"], tax["_position"]) == (Decimal("0.19"), 3)
    assert [node[f"{part}_weight"] for part in ("gpu", "cpu", "ram")] == [9, Decimal("0.9"), Decimal("0.1")]
    assert (mig["compute_weight"], mig["memory_weight"], mig["valid_to"]) == (2, 1, date(2027, 1, 1))


def test_the_rows_land_with_the_contracts_types(home: Home):
    write(home, "{subject: idle, method: weights, weights: {web: 3}}", "{subject: support, method: even}")
    fact = read_dated_fact(home, "allocation_policies")
    assert fact.problems == ()
    assert fact.table.schema == DATED_FACTS["allocation_policies"].schema
    assert fact.table.column("_position").to_pylist()[:3] == [2, 3, None]
    assert fact.table.num_rows == len(METHODS)


def test_the_commented_entries_of_a_new_home_are_valid(home: Home):
    text = home.policies_path.read_text()
    entries = text[text.index("# allocation:") :].splitlines()
    home.policies_path.write_text("\n".join(line.removeprefix("# ") for line in entries))
    rows = [row for row in load_allocation_policies(home) if not row["policy_id"].startswith("default/")]
    assert [row["subject"] for row in rows] == ["idle", "shared", "shared", "tax", "node_rate", "charge_mode"]


@pytest.mark.parametrize("subject", METHODS)
def test_a_new_home_names_every_method_of_a_subject(home: Home, subject: str):
    notes = home.policies_path.read_text()
    assert subject in notes
    assert all(method in notes for method in METHODS[subject])


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("{subject: idel, method: even}", ".subject (line 2): found 'idel'; allowed: charge_mode, commitment_benefit"),
        ("{subject: idel, method: even}", "did you mean idle?"),
        ("{method: even}", ".subject (line 2): found nothing; allowed: this key is required"),
        ("{subject: idle}", ".method (line 2): found nothing; allowed: this key is required"),
        ("{subject: idle, method: evne}", ".method (line 2): found 'evne'; allowed: for idle: even, holders, platform"),
        ("{subject: idle, method: evne}", "did you mean even?"),
        ("{subject: idle, method: central}", "allowed: for idle: even, holders, platform, weights"),
        (
            "{subject: idle, method: holders, scope: nod}",
            "holders: cluster, node, quota; did you mean node?",
        ),
        ("{subject: idle, method: holders}", ".scope (line 2): found None; allowed: for idle by holders: cluster"),
        ("{subject: tax, method: holders, scope: node}", "for tax by holders: account, all, provider"),
        ("{subject: idle, method: even, scope: node}", ".scope (line 2): found 'node'; allowed: none; even has no"),
        ("{subject: idle, method: weights}", ".weights (line 2): found None; allowed: the teams that pay"),
        ("{subject: idle, method: weights, weights: {}}", ".weights (line 2): found {}; allowed: the teams that pay"),
        ("{subject: idle, method: holders, scope: quota}", ".weights (line 2): found None; allowed: the teams"),
        ("{subject: idle, method: weights, weights: {web: 0, ml: 0}}", "allowed: one weight above 0 at least"),
        ("{subject: idle, method: weights, weights: {web: 2, ml: -1}}", "from 0 to 10^9 each; ml has -1"),
        ("{subject: idle, method: weights, weights: {web: 0.5}}", "from 0 to 10^9 each; web has 0.5"),
        ("{subject: idle, method: weights, weights: {web: yes}}", "from 0 to 10^9 each; web has True"),
        ("{subject: idle, method: weights, weights: {web: 1000000001}}", "from 0 to 10^9 each"),
        ("{subject: idle, method: weights, weights: {Unallocated: 1}}", "allowed: teams; unallocated, shared"),
        ("{subject: idle, method: even, weights: {web: 1}}", "allowed: none; even has no weights"),
        ("{subject: tax, method: recipient}", ".recipient (line 2): found None; allowed: the team that pays"),
        ("{subject: tax, method: recipient, recipient: ''}", ".recipient (line 2): found ''; allowed: a text that"),
        ("{subject: tax, method: recipient, recipient: shared}", "allowed: teams; unallocated, shared"),
        ("{subject: tax, method: even, recipient: finance}", "allowed: none; even names no recipient"),
        ("{subject: tax, method: recipient, recipient: f, share: 1.1}", ".share (line 2): found 1.1; allowed: less"),
        ("{subject: tax, method: recipient, recipient: f, share: 0}", "allowed: greater than 0"),
        ("{subject: tax, method: even, share: 0.5}", "allowed: none; a share is what the method recipient gives"),
        ("{subject: node_rate, method: fixed}", "a weight each of gpu, cpu, ram, such as {gpu: 1, cpu: 1, ram: 1}"),
        ("{subject: node_rate, method: fixed, weights: {gpu: 95, cpu: 5}}", "a weight each of gpu, cpu, ram"),
        ("{subject: node_rate, method: fixed, weights: {gpu: 0, cpu: 0, ram: 0}}", "one weight above 0 at least"),
        ("{subject: node_rate, method: weights, weights: {gpu: 9, cpu: -1, ram: 0}}", "0 or more, at most 9 decimal"),
        ("{subject: node_rate, method: weights, weights: {gpu: .nan, cpu: 1, ram: 0}}", "gpu is"),
        ("{subject: mig_basis, method: blend, weights: {compute: 0.5, memory: 1}}", "whole numbers; compute is"),
        ("{subject: charge_mode, pool: ' ', method: chargeback}", ".pool (line 2): found ' '; allowed: a text"),
        ("{subject: idle, method: even, valid_from: 2026-02-30}", "a day of the calendar as YYYY-MM-DD"),
        ("{subject: idle, method: even, valid_from: 20261001}", "a day of the calendar as YYYY-MM-DD"),
        ("{subject: idle, method: even, valid_from: 2026-10-01 12:00:00}", "a day of the calendar as YYYY-MM-DD"),
        (
            "{subject: idle, method: even, valid_from: 2026-10-01, valid_to: 2026-10-01}",
            ".valid_to (line 2): found '2026-10-01'; allowed: a day after valid_from, 2026-10-01",
        ),
        ("{subject: idle, method: even, pol: prod}", ".pol (line 2): found an unknown key; allowed: method, pool,"),
    ],
)
def test_a_wrong_entry_is_named_with_line_field_found_and_allowed(home: Home, entry: str, expected: str):
    (problem,) = read_problems(home, entry)
    assert problem.startswith("allocation[0].")
    assert expected in problem


def test_two_entries_that_hold_for_one_pool_on_one_day_are_both_named(home: Home):
    october = "{subject: idle, pool: prod, method: even, valid_from: 2026-10-01, valid_to: 2026-11-01}"
    assert read(home, october, "{subject: idle, pool: dev, method: even}", "{subject: idle, method: platform}")
    assert read(home, october, "{subject: idle, pool: prod, method: platform, valid_from: 2026-11-01}")
    assert read_problems(home, october, "{subject: idle, pool: prod, method: platform, valid_from: 2026-10-31}") == [
        "allocation[1].valid_from (line 3): found idle/prod/platform/2026-10-31 from 2026-10-31 to ever; allowed: one "
        "entry at a time for idle of prod, and allocation[0] (line 2), idle/prod/even/2026-10-01, holds from "
        "2026-10-01 to 2026-11-01; end one where the other begins"
    ]


def test_one_wrong_entry_refuses_the_file_whole(home: Home):
    home.policies_path.write_text("gpu_idle_activity_share: 0.1\nallocation: [{subject: idle, method: none}]\n")
    for name in ("policies", "allocation_policies"):
        fact = read_dated_fact(home, name)
        assert (len(fact.problems), fact.table.num_rows) == (1, 0)
    with pytest.raises(ConfigError):
        load_policies(home)


@pytest.mark.parametrize("text", ["allocation: 5\n", "allocation: {subject: idle}\n", "allocation:\n"])
def test_entries_that_are_no_list_are_refused(home: Home, text: str):
    home.policies_path.write_text(text)
    with pytest.raises(ConfigError, match=r"allocation \(line 1\): found .*; allowed: a list"):
        load_policies(home)
