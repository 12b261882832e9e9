"""What holds of every source kind alike."""

import pytest

from ingest.config import SERVER_SCHEMES
from ingest.contracts import landing_tables
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
