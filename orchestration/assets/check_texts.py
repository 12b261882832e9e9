"""What each check of the warehouse says in words: of a law its text in docs/laws.md, of a column's test a sentence."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from orchestration.dbt_runtime import REPOSITORY

LAWS_PAGE: Final = REPOSITORY / "docs" / "laws.md"

_LAW_ROW: Final = re.compile(r"^\| (\d+) \| (.+?) \| (.+?) \|$", re.MULTILINE)
_LAW_TEST: Final = re.compile(r"assert_law_(\d+)_")
_COMMENT: Final = re.compile(r"(?:--[^\n]*\n)+")


def describe_check(test: Mapping[str, Any]) -> str:
    """The description of a dbt test, by its node in the manifest."""
    if described := test.get("description"):
        return str(described)
    generic = test.get("test_metadata")
    return _describe_column_test(test, generic) if generic else _describe_assertion(test)


@functools.cache
def read_laws() -> Mapping[int, str]:
    """The laws by number, as docs/laws.md words them."""
    return {int(number): text for number, text, _ in _LAW_ROW.findall(LAWS_PAGE.read_text(encoding="utf-8"))}


@functools.cache
def read_law_tests() -> Mapping[str, int]:
    """The law that docs/laws.md says a test enforces, by the test's name."""
    rows = _LAW_ROW.findall(LAWS_PAGE.read_text(encoding="utf-8"))
    return {name: int(number) for number, _, enforced_by in rows for name in re.findall(r"`(assert_\w+)`", enforced_by)}


def _describe_assertion(test: Mapping[str, Any]) -> str:
    """The law that the test enforces, and the comment that its file begins with."""
    name = str(test["name"])
    own = _read_first_comment(str(test["raw_code"]))
    numbered = _LAW_TEST.match(name)
    law = read_law_tests().get(name) or (int(numbered[1]) if numbered else None)
    if law is None:
        return own
    return f"Law {law}: {read_laws()[law]}.\n\nThis check: {own}"


def _read_first_comment(sql: str) -> str:
    found = _COMMENT.match(sql.lstrip())
    lines = found[0].splitlines() if found else []
    return " ".join(line.removeprefix("--").strip() for line in lines)


def _describe_column_test(test: Mapping[str, Any], generic: Mapping[str, Any]) -> str:
    sentence = _SENTENCES[generic["name"]](generic["kwargs"])
    condition = test["config"].get("where")
    return f"{sentence} Rows where {condition} only." if condition else sentence


def _list_names(names: Sequence[object]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _name_target(to: str) -> str:
    found = re.search(r"'(\w+)'\s*\)", to)
    return found[1] if found else to


_SENTENCES: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "not_null": lambda said: f"No row has a null `{said['column_name']}`.",
    "never_null": lambda said: f"No row has a null in any of {_list_names(said['columns'])}.",
    "unique": lambda said: f"No two rows have the same `{said['column_name']}`.",
    "one_row_per": lambda said: f"The grain: no two rows have the same {_list_names(said['columns'])}.",
    "accepted_values": lambda said: f"`{said['column_name']}` is one of {_list_names(said['values'])}.",
    "relationships": lambda said: (
        f"Each `{said['column_name']}` is a `{said['field']}` of `{_name_target(said['to'])}`."
    ),
}
"""By the name of a generic test, what it says with its arguments."""
