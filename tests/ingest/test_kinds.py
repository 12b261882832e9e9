"""What holds of every source kind alike."""

import pytest

from ingest.config import SERVER_SCHEMES, ConfigError, load_sources
from ingest.contracts import landing_tables
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.slices import DATA_THROUGH_SQL
from ingest.source import SourceKind

EACH_KIND = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@EACH_KIND
def test_its_table_is_landed_and_says_up_to_when_its_rows_tell(kind: SourceKind):
    assert landing_tables()[kind.table.name] == kind.table
    assert kind.table.name in DATA_THROUGH_SQL


@EACH_KIND
def test_the_schemes_of_its_server_are_read(kind: SourceKind):
    assert kind.server is None or set(kind.server.schemes) <= set(SERVER_SCHEMES)


def test_an_option_of_servers_is_refused_where_files_are_read(home: Home):
    home.sources_path.write_text(
        "sources:\n  - {name: jobs, kind: slurm_sacct, location: jobs/, options: {since: 2026-10-01}}\n"
    )
    with pytest.raises(ConfigError, match=r"options\.since.*an unknown option"):
        load_sources(home, KINDS)
