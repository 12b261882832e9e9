"""Fixtures that several packages' tests share, and which worker runs what."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_HOMES = ("built_home", "golden_home")
"""Fixtures of a whole session: their tests, wherever they are, belong to one worker."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Where pytest-xdist runs (`--dist loadgroup`): tests that share a home or a warehouse share a worker, since each
    worker would build one of its own."""
    fixtures = getattr(item, "fixturenames", ())
    home = next((name for name in SHARED_HOMES if name in fixtures), None)
    if home is not None:
        item.add_marker(pytest.mark.slow)
    if home is not None or item.get_closest_marker("slow") is not None:
        item.add_marker(pytest.mark.xdist_group(home or str(item.path)))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data sets kept beside the repository; tests that need them skip where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data sets are not beside the repository: {folder} is absent")
    return folder
