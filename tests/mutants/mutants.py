"""Mutants: a model that loses, doubles or changes rows, rebuilt with all that follows it in a copy of a warehouse.

What stands below the model is as honest as ever, so that only a law that goes round the model can tell.
"""

import random
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from tests.conventions.repository import MODELS
from tests.dbt_project.small_warehouse import try_dbt

LEDGER: Final = "fct_cost_ledger"
_MUTATED_LAYERS: Final = ("staging", "intermediate")
_NEVER_MUTATED: Final = ("books", "landing")
"""What a close booked is read back as it was, and what was refused moves no money."""


@dataclass(frozen=True)
class Mutant:
    """One model whose rows are not what it says: `sql` selects from `{rows}`, the model's own query."""

    model: str
    what: str
    sql: str

    def __str__(self) -> str:
        return f"{self.model}: {self.what}"


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant. `broken` is a model that could not be built of its rows."""

    mutant: Mutant
    noticed_by: tuple[str, ...]
    broken: tuple[str, ...]
    moves_money: bool

    @property
    def is_a_missing_law(self) -> bool:
        return self.moves_money and not (self.noticed_by or self.broken)


def lose_rows(model: str, every: int) -> Mutant:
    """Every so manieth row is lost, and one at least."""
    return Mutant(model, f"every {every}th row is lost", f"{_RANKED} where mutant_rank % {every} != 1")


def lose_where(model: str, condition: str) -> Mutant:
    """The rows of a condition are lost."""
    return Mutant(model, f"rows where {condition} are lost", f"select * from {{rows}} where not ({condition})")


def double_rows(model: str, every: int) -> Mutant:
    """Every so manieth row is there twice."""
    doubled = f"{_RANKED} where mutant_rank % {every} = 1"
    return Mutant(model, f"every {every}th row is doubled", f"select * from {{rows}} union all {doubled}")


def change_column(model: str, column: str, every: int, value: str | None = None) -> Mutant:
    """Every so manieth row has another value in a column: the one of the row after it, unless a value is given."""
    by_rank = "over (order by mutant_rank)"
    other = value or f"coalesce(lead({column}) {by_rank}, first({column}) {by_rank})"
    changed = f"case when mutant_rank % {every} = 1 then {other} else {column} end"
    return Mutant(
        model,
        f"{column} of every {every}th row is {value or 'that of another'}",
        f"select * exclude (mutant_rank) replace ({changed} as {column}) from ({_RANKED_ROWS})",
    )


_RANKED_ROWS: Final = (
    "select *, row_number() over (order by hash(mutated), mutated) as mutant_rank from {rows} as mutated"
)
_RANKED: Final = f"select * exclude (mutant_rank) from ({_RANKED_ROWS})"


def read_verdict(
    mutant: Mutant,
    warehouse: Path,
    folder: Path,
    laws: Sequence[str] = ("test_type:data",),
    targets: Sequence[str] = (),
) -> Verdict:
    """Rebuild what follows the mutant, as far as the targets, in a copy of `warehouse`, and ask the laws. The copy is
    gone afterwards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / "warehouse.duckdb"
    shutil.copy(warehouse, copy)
    wrapped = {mutant.model: mutant.sql.replace("{rows}", "(\n{sql}\n)")}
    rebuilt = [f"{mutant.model}+,+{target}" for target in targets] or [f"{mutant.model}+"]
    _, built = try_dbt(copy, "run", "--select", *rebuilt, wrapped=wrapped)
    broken = [_name(result.unique_id) for result in built if result.status in ("error", "fail")]
    noticed: list[str] = []
    if not broken:
        _, asked = try_dbt(copy, "test", "--select", *laws, wrapped=wrapped)
        noticed = sorted({_name(result.unique_id) for result in asked if result.status in ("fail", "error")})
    verdict = Verdict(mutant, tuple(noticed), tuple(broken), not broken and _differs(warehouse, copy))
    shutil.rmtree(folder)
    return verdict


def draw_mutants(warehouse: Path, seed: int, count: int) -> list[Mutant]:
    """Mutants of models that have rows in `warehouse`, the same ones for the same seed."""
    chance = random.Random(seed)
    columns = _read_columns(warehouse)
    names = sorted(columns)
    mutants: list[Mutant] = []
    for model in chance.sample(names, min(count, len(names))):
        every = chance.choice([2, 7, 13, 97])
        changeable = sorted(columns[model])
        mutants.append(
            chance.choice(
                [
                    lose_rows(model, every),
                    double_rows(model, every),
                    change_column(model, chance.choice(changeable), every),
                ]
            )
        )
    return mutants


def _read_columns(warehouse: Path) -> Mapping[str, list[str]]:
    """Columns by model, of those that are asked for money and have rows."""
    models = {
        file.stem: file
        for layer in _MUTATED_LAYERS
        for file in (MODELS / layer).rglob("*.sql")
        if file.parent.name not in _NEVER_MUTATED
    }
    upstream = _list_upstream(LEDGER)
    found: dict[str, list[str]] = {}
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        for schema, name, column in connection.execute(
            "select table_schema, table_name, column_name from information_schema.columns order by all"
        ).fetchall():
            if name not in models or name not in upstream or schema not in _MUTATED_LAYERS:
                continue
            if name not in found:
                rows = connection.execute(f"select 1 from {schema}.{name} limit 1").fetchone()
                found[name] = [] if rows is None else [column]
            elif found[name]:
                found[name].append(column)
    return {name: columns for name, columns in found.items() if columns}


def _list_upstream(model: str) -> set[str]:
    """Every model that a model is made from."""
    files = {file.stem: file for file in MODELS.rglob("*.sql")}
    upstream: set[str] = set()
    waiting = [model]
    while waiting:
        sql = files[waiting.pop()].read_text()
        named = set(re.findall(r"'((?:stg|int|fct|dim)_\w+)'", sql)) & files.keys()
        waiting += named - upstream
        upstream |= named
    return upstream


def _differs(warehouse: Path, copy: Path) -> bool:
    with duckdb.connect() as connection:
        connection.execute(f"attach '{warehouse}' as before (read_only); attach '{copy}' as after (read_only)")
        found = connection.execute(
            f"""select count(*) from (
                (from before.marts.{LEDGER} except all from after.marts.{LEDGER})
                union all
                (from after.marts.{LEDGER} except all from before.marts.{LEDGER})
            )"""
        ).fetchone()
    assert found is not None
    return found[0] > 0


def _name(unique_id: str) -> str:
    return unique_id.split(".")[2]
