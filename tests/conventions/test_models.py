"""Models are named, placed, sized and documented as docs/naming.md says."""

import re

import pytest

from ingest.contracts import BILL_PERIODS
from ingest.control_measures import MEASURES
from ingest.kinds import KINDS
from tests.conventions.repository import MODELS, ROOT, models, tracked_files, without_comments

LAYER_OF_PREFIX = {"stg": "staging", "int": "intermediate", "fct": "marts", "dim": "marts"}
MAY_REFERENCE = {
    "staging": set(),
    "intermediate": {"staging", "intermediate", "seeds"},
    "marts": {"intermediate", "marts", "seeds"},
}
SQL_LINES = 150
PYTHON_LINES = 400
BARE_WORDS = {"cost", "amount", "token", "tokens", "usage", "price", "spend"}
MARTS = [model for model in models() if model.layer == "marts"]


@pytest.mark.parametrize("model", models(), ids=lambda model: model.name)
def test_a_model_is_named_after_its_layer_and_folder(model):
    prefix = model.name.split("_")[0]
    assert LAYER_OF_PREFIX.get(prefix) == model.layer
    if model.layer != "marts":
        assert model.name.startswith(f"{prefix}_{model.folder}__"), "expected <layer>_<folder>__<things>"


@pytest.mark.parametrize("model", models(), ids=lambda model: model.name)
def test_references_run_one_way(model):
    layer_of = {other.name: other.layer for other in models()}
    layer_of |= {seed.stem: "seeds" for seed in (ROOT / "dbt_project" / "seeds").glob("*.csv")}
    wrong = {name for name in model.references if layer_of.get(name, "nowhere") not in MAY_REFERENCE[model.layer]}
    assert wrong == set()
    # The build's own lists of what is touched are no data, so that every layer may filter by them.
    sources = {source for source in re.findall(r"source\(\s*'(\w+)'", model.sql) if source != "build"}
    assert not sources or model.layer == "staging", f"only staging reads landing tables, found {sources}"


@pytest.mark.parametrize("model", models(), ids=lambda model: model.name)
def test_a_model_opens_with_its_grain_and_stays_short(model):
    assert model.sql.startswith("-- One row per "), "the first line says the grain"
    assert len(model.sql.splitlines()) <= SQL_LINES


@pytest.mark.parametrize("model", models(), ids=lambda model: model.name)
def test_a_model_is_described(model):
    assert model.documentation.get("description", "").strip(), f"describe {model.name} in _{model.folder}__models.yml"


@pytest.mark.parametrize("model", MARTS, ids=lambda model: model.name)
def test_every_mart_column_is_typed_described_and_carries_its_unit(model):
    columns = model.documentation["columns"]
    assert columns
    for column in columns:
        assert column.get("description"), column["name"]
        assert column.get("data_type"), column["name"]
        assert column["name"] not in BARE_WORDS, column["name"]
        if re.search(r"_usd($|_per_)|_local$|^usd_per_", column["name"]):
            assert column["data_type"].startswith("decimal"), f"money is decimal: {column['name']}"
        if column["name"].endswith("_at"):
            assert column["data_type"] == "timestamp", column["name"]
        if column["name"].endswith("_date"):
            assert column["data_type"] == "date", column["name"]


@pytest.mark.parametrize("model", MARTS, ids=lambda model: model.name)
def test_every_mart_tests_its_grain(model):
    tests = model.documentation.get("data_tests", [])
    assert any("one_row_per" in test for test in tests), f"{model.name} has no one_row_per test"


def test_documentation_names_only_models_that_exist():
    names = {model.name for model in models()}
    documented = {
        line.split("name:")[1].strip()
        for file in MODELS.rglob("_*__models.yml")
        for line in file.read_text().splitlines()
        if line.startswith("  - name:")
    }
    assert documented - names == set()


# What DuckDB and Spark spell or do differently stands in macros/engine/ with both dialects written (law 12).
ENGINE_CONSTRUCTS = re.compile(
    r"\bunnest\s*\(|\bexplode\s*\(|\bsequence\s*\(|\brange\s*\(|\bgenerate_series\s*\(|\bstruct_pack\s*\(|\blist_\w+\s*\("
    r"|\bexclude\s*\(|\bepoch\w*\s*\(|\bdate_diff\s*\(|\bdatediff\s*\(|\btimestampdiff\s*\(|\bstrftime\s*\("
    r"|\bdate_format\s*\(|\bjson_(?!text)\w+\s*\(|\bget_json_object\s*\(|->|\bhugeint\b|//|\basof\b|\bread_parquet\s*\("
    r"|\binterval\b|\bdayofweek\s*\(|\bto_hours\s*\(|\bas\s+varchar\s*\)",
    re.IGNORECASE,
)


@pytest.mark.parametrize(
    "file",
    [
        file
        for file in tracked_files()
        if file.suffix == ".sql"
        and file.parts[0] == "dbt_project"
        and file.parts[:3] != ("dbt_project", "macros", "engine")
    ],
    ids=str,
)
def test_engine_constructs_stand_in_engine_macros_alone(file):
    assert ENGINE_CONSTRUCTS.findall(without_comments((ROOT / file).read_text())) == []


@pytest.mark.parametrize("construct", ["unnest(x)", "a // b", "interval 1 day", "x->'y'", "cast(a as varchar)"])
def test_the_check_sees_engine_constructs(construct):
    assert ENGINE_CONSTRUCTS.search(construct)


def test_every_engine_macro_has_both_dialects():
    files = (ROOT / "dbt_project" / "macros" / "engine").glob("*.sql")
    text = "\n".join(file.read_text() for file in files)
    dispatched = set(re.findall(r"dispatch\('(\w+)'", text))
    assert dispatched
    for name in dispatched:
        for dialect in ("duckdb", "spark"):
            assert f"macro {dialect}__{name}(" in text, f"{name} has no {dialect} dialect"


def test_every_test_of_the_data_is_seen_to_turn_red():
    told = "\n".join((ROOT / file).read_text() for file in tracked_files() if file.match("tests/*/test_*.py"))
    tests = [file.stem for file in (ROOT / "dbt_project" / "tests").rglob("assert_*.sql")]
    assert [test for test in sorted(tests) if f'"{test}"' not in told] == [], "break it in test_laws_turn_red.py"


def test_a_law_holds_the_rows_of_every_landing_table():
    counted = (ROOT / "dbt_project" / "macros" / "laws" / "control_totals.sql").read_text()
    landed = {kind.table.name for kind in KINDS.values()}
    assert [name for name in sorted(landed) if counted.count(f"'{name}'") < 1] == []
    assert {name for name in landed if name in BILL_PERIODS} <= MEASURES.keys(), "sum what a bill asks for"


def windows(sql: str) -> list[str]:
    """The text inside every `over ( … )`."""
    found = []
    for opening in re.finditer(r"\bover\s*\(", sql, flags=re.IGNORECASE):
        depth, end = 1, opening.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(sql[end], 0)
            end += 1
        found.append(" ".join(sql[opening.end() : end - 1].split()))
    return found


def test_every_window_order_says_where_nulls_go():
    offenders = [
        f"{file.name}: {window}"
        for file in (ROOT / "dbt_project").rglob("*.sql")
        for window in windows(without_comments(file.read_text()))
        if "order by" in window.lower() and "nulls " not in window.lower()
    ]
    assert offenders == []


@pytest.mark.parametrize(
    "file", [file for file in tracked_files() if file.suffix == ".py" and "templates" not in file.parts], ids=str
)
def test_a_python_module_stays_short(file):
    assert len((ROOT / file).read_text().splitlines()) <= PYTHON_LINES
