"""The README's queries run on what a home publishes, and the columns they show are the ones it prints."""

import re
from pathlib import Path

import duckdb
import pytest

from ingest.home import Home

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
SHOWN = re.findall(r"```sql\n(.*?)```\n\n```\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize(("query", "output"), SHOWN, ids=lambda text: text.splitlines()[0][:40])
def test_a_query_of_the_readme_gives_the_columns_it_shows(built_home: Home, query: str, output: str):
    with duckdb.connect(str(built_home.published_dir / "marts.duckdb"), read_only=True) as connection:
        answer = connection.execute(query)
        columns = [name for name, *_ in answer.description]
        assert answer.fetchall()
    assert output.splitlines()[0].split() == columns


def test_the_readme_shows_a_query_for_each_family():
    assert len(SHOWN) == 4
