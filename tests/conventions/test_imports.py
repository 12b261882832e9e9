"""Imports run one way: orchestration -> delivery, ingest; neither of those knows the other, Dagster or dbt."""

import ast

import pytest

from tests.conventions.repository import ROOT, tracked_files

FORBIDDEN = {
    "ingest": {"delivery", "orchestration", "demo", "dagster", "dagster_dbt", "dbt"},
    "delivery": {"ingest", "orchestration", "demo", "dagster", "dagster_dbt", "dbt"},
    "demo": {"ingest", "delivery", "orchestration", "dagster", "dagster_dbt", "dbt"},
}


def imported_packages(source: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_imports_nothing_it_must_not_know(package):
    offenders = {
        str(file): sorted(imported_packages((ROOT / file).read_text()) & FORBIDDEN[package])
        for file in tracked_files()
        if file.parts[0] == package and file.suffix == ".py"
    }
    assert {file: names for file, names in offenders.items() if names} == {}


def test_the_check_sees_an_import_inside_a_function():
    assert "dagster" in imported_packages("def f():\n    from dagster import asset\n")
