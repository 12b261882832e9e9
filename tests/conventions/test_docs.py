"""Docs are checked against the code they speak of."""

import re
import runpy

import pytest

from tests.conventions.repository import ROOT, models, tracked_files

README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
PAGES = [file for file in tracked_files() if file.suffix == ".md"]


def test_the_data_dictionary_is_what_the_models_say():
    render = runpy.run_path(str(ROOT / "docs" / "data_dictionary.py"))["render"]
    assert (ROOT / "docs" / "data_dictionary.md").read_text() == render(), "run `make docs`"


def test_every_make_target_that_the_docs_name_exists():
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, flags=re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"`make (\w+)", (ROOT / page).read_text())}
    assert named and named <= targets


def test_the_readme_lists_every_mart():
    marts = {model.name for model in models() if model.layer == "marts"}
    assert {name for name in marts if f"`{name}`" not in README} == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_between_pages_lead_somewhere(page):
    folder = (ROOT / page).parent
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", (ROOT / page).read_text())
    assert [link for link in links if not (folder / link).exists()] == []


def test_every_law_test_that_the_docs_name_exists():
    text = (ROOT / "docs" / "laws.md").read_text()
    named = set(re.findall(r"`(assert_\w+)`", text))
    written = {file.stem for file in (ROOT / "dbt_project" / "tests").rglob("assert_*.sql")}
    assert named <= written
    unit_tests = "\n".join(file.read_text() for file in (ROOT / "dbt_project").rglob("_*__unit_tests.yml"))
    for name in re.findall(r"`([a-z]\w+_\w+_\w+_\w+)`", text):
        assert name in unit_tests or name.startswith("assert_"), name
