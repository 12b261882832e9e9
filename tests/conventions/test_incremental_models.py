"""What a build of the touched keys leaves alone is whole, and what it replaces it replaces by the same keys."""

import json
import re

import pytest

from ingest.home import create_home
from orchestration.dbt_runtime import ensure_manifest
from tests.conventions.repository import ROOT, tracked_files
from tests.dbt_project.touched_models import TOUCHED_LISTS, TouchedModels


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> TouchedModels:
    home = create_home(tmp_path_factory.mktemp("manifest") / "home")
    return TouchedModels(json.loads(ensure_manifest(home).read_text()))


def list_tests() -> set[str]:
    """Names of all tests in Python."""
    files = [file for file in tracked_files() if file.suffix == ".py" and file.name.startswith("test_")]
    return {name for file in files for name in re.findall(r"^def (test_\w+)\(", (ROOT / file).read_text(), re.M)}


def test_an_incremental_model_filters_by_the_keys_it_replaces_or_says_why_its_rows_are_touched(models: TouchedModels):
    tests = list_tests()
    wrong: dict[str, str] = {}
    for node in models.incremental():
        touched = TOUCHED_LISTS.get(node["config"]["unique_key"])
        meta = node["config"]["meta"]
        passing = {models.name(parent) for parent in models.parents(node) & models.passing}
        if touched is None:
            wrong[node["name"]] = f"expected unique_key among {[*TOUCHED_LISTS]}"
        elif touched in node["depends_on"]["nodes"]:
            continue
        elif not meta.get("touched_by"):
            wrong[node["name"]] = f"filter by {touched}, or name the parents that hold touched keys alone"
        elif not set(meta["touched_by"]) <= passing:
            wrong[node["name"]] = f"touched_by names {meta['touched_by']}, touched keys alone are in {passing}"
        elif meta["shown_by"] not in tests:
            wrong[node["name"]] = f"shown_by names a test that does not exist: {meta['shown_by']}"
    assert wrong == {}


def test_what_holds_touched_keys_alone_is_read_as_whole_by_no_mart_and_no_view(models: TouchedModels):
    wrong = {
        node["name"]: [models.name(parent) for parent in models.parents(node) & models.passing]
        for id_, node in models.nodes.items()
        if id_ in models.passing and (node["fqn"][1] == "marts" or node["config"]["materialized"] == "view")
    }
    assert wrong == {}, "make the model that they read incremental: after a build of one day it holds that day alone"


def test_a_law_compares_touched_keys_with_touched_keys_and_all_with_all(models: TouchedModels):
    wrong = {}
    for test in models.singular_tests.values():
        parents = models.parents(test)
        if parents & models.passing and parents - models.passing:
            wrong[test["name"]] = sorted(models.name(parent) for parent in parents & models.passing)
    assert wrong == {}, "these hold the touched keys alone and are compared with tables that hold all"


def test_nothing_but_models_reads_what_holds_touched_keys_alone(models: TouchedModels):
    names = {models.name(id_) for id_ in models.passing}
    wrong = {
        str(file): found
        for file in tracked_files()
        if file.suffix == ".py" and file.parts[0] not in ("tests", "benchmarks")
        if (found := names & set(re.findall(r"\bint_\w+", (ROOT / file).read_text())))
    }
    assert wrong == {}, "a reader of the warehouse sees whatever the last build touched"


@pytest.mark.parametrize("materialized", ["view", "table"])
def test_the_check_sees_a_mart_over_touched_keys(materialized: str):
    def node(name: str, layer: str, kind: str, *parents: str) -> dict[str, object]:
        return {
            "resource_type": "model",
            "name": name,
            "fqn": ["wattledger", layer],
            "config": {"materialized": kind, "unique_key": "usage_date", "meta": {}},
            "depends_on": {"nodes": list(parents)},
        }

    nodes = {
        "a": node("a", "intermediate", "table", TOUCHED_LISTS["usage_date"]),
        "b": node("b", "intermediate", "incremental", "a"),
        "c": node("c", "marts", materialized, "b"),
        "d": node("d", "marts", materialized, "a"),
    }
    assert TouchedModels({"nodes": nodes}).passing == {"a", "d"}
