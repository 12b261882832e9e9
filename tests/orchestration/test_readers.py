"""BI reads the published file while a build and a publish run: no error, and never half of a build."""

import subprocess

import duckdb
import pytest

from ingest.home import Home
from tests.orchestration.commands import WATTLEDGER, make_environment

_STATE = """
select
    (select string_agg(distinct build_id, ',') from build_info),
    (select sum(effective_cost_usd) from fct_cost_ledger),
    (select sum(effective_cost_usd) from fct_chargeback_daily)
"""


@pytest.mark.long
def test_a_reader_in_a_loop_sees_the_old_build_or_the_new_one(built_home: Home):
    marts = str(built_home.published_dir / "marts.duckdb")
    seen: list[str] = []
    with duckdb.connect(marts, read_only=True) as held:
        before = held.execute(_STATE).fetchone()
        run = subprocess.Popen(
            [str(WATTLEDGER), "run", "--full-refresh"],
            env=make_environment(built_home),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        while run.poll() is None:
            with duckdb.connect() as reader:
                reader.execute(f"attach '{marts}' as published (read_only)")
                reader.execute("use published")
                row = reader.execute(_STATE).fetchone()
            assert row is not None
            build_id, ledger_usd, chargeback_usd = row
            assert ledger_usd == chargeback_usd
            seen.append(build_id)
        assert run.stdout is not None
        assert run.returncode == 0, run.stdout.read()
        # Who had the old file open keeps its rows.
        assert held.execute(_STATE).fetchone() == before
    with duckdb.connect(marts, read_only=True) as after:
        published = after.execute(_STATE).fetchone()
    assert before is not None and published is not None
    assert published[0] != before[0]
    assert published[1:] == before[1:]
    assert len(seen) > 20
    assert set(seen) <= {before[0], published[0]}
