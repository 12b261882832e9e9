"""The hash that decides whether everything is rebuilt covers every module that decides what is built."""

import ast
from pathlib import Path

import pytest

from orchestration.dbt_runtime import REPOSITORY, fingerprint_code, list_code_files

_DECLARING_CALLS = ("LandingTable", "_book")


def find_table_modules() -> set[Path]:
    """Modules of ingest that declare landing tables or books."""
    declared: set[Path] = set()
    for file in (REPOSITORY / "ingest").rglob("*.py"):
        calls = [
            node
            for statement in ast.parse(file.read_bytes()).body
            if isinstance(statement, ast.Assign | ast.AnnAssign)
            for node in ast.walk(statement)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _DECLARING_CALLS
        ]
        if calls:
            declared.add(file)
    return declared


def test_every_module_that_declares_a_table_is_in_the_hash():
    modules = find_table_modules()
    assert len(modules) >= 9, "the search finds what is there"
    missing = [str(file.relative_to(REPOSITORY)) for file in modules if file not in list_code_files()]
    assert missing == []


@pytest.mark.parametrize(
    "name",
    [
        "ingest/raw_views.py",
        "ingest/touched.py",
        "ingest/registry.py",
        "ingest/landing_table.py",
        "dbt_project/macros/money/usd.sql",
        "dbt_project.yml",
    ],
)
def test_what_decides_a_build_is_in_the_hash(name: str):
    assert REPOSITORY / name in list_code_files()


def test_each_kind_of_project_file_is_in_the_hash():
    files = list_code_files()
    for folder in ("models", "macros", "seeds"):
        there = [file for file in (REPOSITORY / "dbt_project" / folder).rglob("*") if file.is_file()]
        assert there and set(there) <= set(files)


def test_another_rule_of_what_is_touched_is_another_hash(monkeypatch: pytest.MonkeyPatch):
    before = fingerprint_code()
    read_bytes = Path.read_bytes
    changed = REPOSITORY / "ingest" / "bill_tables.py"
    monkeypatch.setattr(Path, "read_bytes", lambda file: read_bytes(file) + (b"\n" if file == changed else b""))
    assert fingerprint_code() != before
