"""`make mutants`: mutate one model at a time of a small built home, and list which laws notice.

    python -m tests.mutants [--seed N] [--count N] [--home HOME]

Ends with 1 when a mutant moves money and no law notices: that law is missing.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mutants.mutants import Mutant, Verdict, change_column, draw_mutants, lose_rows, lose_where, read_verdict

_ANOTHER_TEAM = "case team_id when 'unknown' then 'shared' else 'unknown' end"

KNOWN = (
    lose_rows("stg_focus__charges", 97),
    lose_rows("int_charges__provider_lines", 97),
    lose_where("int_charges__provider_lines", "charge_category = 'Credit'"),
    lose_rows("stg_litellm__requests", 13),
    lose_rows("stg_dcgm__samples", 97),
    change_column("int_charges__direct", "team_id", 97, _ANOTHER_TEAM),
    change_column("int_charges__held", "team_id", 97, _ANOTHER_TEAM),
    change_column("fct_cost_ledger", "team_id", 97, _ANOTHER_TEAM),
)
"""Losses and swaps that were published once."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="draws the mutants")
    parser.add_argument("--count", type=int, default=10, help="mutants to draw, beside the known ones")
    parser.add_argument("--home", type=Path, help="a built home; without it the demo's, small, is built aside")
    arguments = parser.parse_args()
    os.environ["DBT_LOG_LEVEL"] = "none"  # what fails is listed below, in fewer words
    print(f"seed {arguments.seed}: the same seed draws the same mutants", flush=True)
    with tempfile.TemporaryDirectory(prefix="wattledger-mutants-") as folder:
        home = arguments.home or _build_home(Path(folder) / "home")
        warehouse = home / "warehouse.duckdb"
        mutants = [*KNOWN, *draw_mutants(warehouse, arguments.seed, arguments.count)]
        verdicts = [_judge(mutant, warehouse, Path(folder) / "mutant") for mutant in mutants]
    missing = [verdict for verdict in verdicts if verdict.is_a_missing_law]
    print(f"{len(verdicts)} mutants, {len(missing)} of them move money and no law notices")
    for verdict in missing:
        print(f"  missing law: {verdict.mutant}")
    return 1 if missing else 0


def _build_home(home: Path) -> Path:
    for arguments in (("init", str(home), "--demo", "--days", "4", "--scale", "0.2"), ("run", "--home", str(home))):
        subprocess.run([sys.executable, "-m", "orchestration.cli", *arguments], check=True, stdout=subprocess.DEVNULL)
    return home


def _judge(mutant: Mutant, warehouse: Path, folder: Path) -> Verdict:
    verdict = read_verdict(mutant, warehouse, folder)
    said = ", ".join(verdict.noticed_by) or (
        "the build fails in " + ", ".join(verdict.broken) if verdict.broken else ""
    )
    moved = "moves money" if verdict.moves_money else "the ledger is the same"
    print(f"{mutant}\n    {moved}; noticed by: {said or 'nobody'}", flush=True)
    return verdict


if __name__ == "__main__":
    sys.exit(main())
