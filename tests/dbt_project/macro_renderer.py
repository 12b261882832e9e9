"""Renders the project's SQL macros without dbt, so that properties can be tried on thousands of cases."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jinja2 import Environment

MACROS = Path(__file__).resolve().parents[2] / "dbt_project" / "macros"


def render(expression: str, dialect: str = "duckdb") -> str:
    """SQL text of a Jinja expression over the macros, in one engine's dialect."""
    macros: dict[str, Any] = {}

    def dispatch(name: str, _package: str) -> Any:
        return macros[f"{dialect}__{name}"]

    environment = Environment(extensions=["jinja2.ext.do"])
    environment.globals |= {"adapter": SimpleNamespace(dispatch=dispatch), "return": lambda value: value}
    # Two passes: in the second every macro sees all others, whatever the order of the files.
    for _ in range(2):
        for file in sorted(MACROS.rglob("*.sql")):
            module = environment.from_string(file.read_text(), globals=macros).module
            macros |= {name: value for name, value in vars(module).items() if not name.startswith("_")}
    return environment.from_string("{{ " + expression + " }}", globals=macros).render()
