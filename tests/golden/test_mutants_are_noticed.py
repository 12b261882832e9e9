"""What a model loses before the charge lines, and a dollar that another team gets, turns a law red: the mutants that
once were published. `make mutants` draws others.
"""

from pathlib import Path

import pytest

from tests.mutants.mutants import Mutant, change_column, lose_rows, lose_where, read_verdict

pytestmark = pytest.mark.slow

LEDGER_LAW = "assert_law_1_ledger_holds_what_was_counted"
CALLS_LAW = "assert_law_1_calls_hold_what_was_counted"
TEAM_LAW = "assert_law_10_every_team_has_a_reason"

_ANOTHER_TEAM = "case team_id when 'vision' then 'research' else 'vision' end"

NOTICED = [
    (lose_rows("stg_focus__charges", 97), LEDGER_LAW),
    (lose_rows("int_charges__provider_lines", 97), LEDGER_LAW),
    (lose_where("int_charges__provider_lines", "charge_category = 'Credit'"), LEDGER_LAW),
    (lose_rows("stg_litellm__requests", 2), CALLS_LAW),
    (change_column("int_charges__direct", "team_id", 97, _ANOTHER_TEAM), TEAM_LAW),
    (change_column("fct_cost_ledger", "team_id", 97, _ANOTHER_TEAM), TEAM_LAW),
]
_READ_BY = {
    LEDGER_LAW: ("fct_cost_ledger", "fct_reconciliation"),
    CALLS_LAW: ("fct_unit_costs_daily",),
    TEAM_LAW: ("fct_cost_ledger",),
}


@pytest.mark.parametrize(("mutant", "law"), NOTICED, ids=str)
def test_the_law_notices(golden_home: Path, tmp_path: Path, mutant: Mutant, law: str) -> None:
    verdict = read_verdict(mutant, golden_home / "warehouse.duckdb", tmp_path / "mutant", [law], _READ_BY[law])
    assert (verdict.broken, verdict.noticed_by) == ((), (law,))
