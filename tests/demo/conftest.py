"""One tiny company for all tests of the demo."""

from pathlib import Path

import pytest

from demo.company import CompanySummary, write_company


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> CompanySummary:
    """Three days at scale 0.02."""
    home: Path = tmp_path_factory.mktemp("company")
    return write_company(home, scale=0.02, days=3)
