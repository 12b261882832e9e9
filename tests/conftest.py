"""Fixtures that several packages' tests share, and which worker runs what."""

from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDERS_OF_ONE_HOME = ("tests/golden", "tests/orchestration")
"""Their tests share one home, built once."""
_HOMES = ("built_home", "golden_home")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Who needs a built home is slow, and need not say so."""
    if any(name in getattr(item, "fixturenames", ()) for name in _HOMES):
        item.add_marker(pytest.mark.slow)


class _OneWorkerPerHome(LoadScopeScheduling):
    """pytest-xdist's scheduling by scope, a scope being a file or all the files that share a home: each worker would
    build a home, or a file's warehouse, of its own."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in FOLDERS_OF_ONE_HOME if file.startswith(f"{folder}/")), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Whatever `--dist` says."""
    return _OneWorkerPerHome(config, log)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data sets kept beside the repository; tests that need them skip where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data sets are not beside the repository: {folder} is absent")
    return folder
