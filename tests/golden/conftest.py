"""The golden day, run once for every test that reads it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DAY = Path(__file__).parent / "2026-10-01"


@pytest.fixture(scope="session")
def golden_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden home, run once."""
    folder = tmp_path_factory.mktemp("golden") / "home"
    shutil.copytree(DAY / "home", folder)
    run = subprocess.run(
        [sys.executable, "-m", "orchestration.cli", "run", "--home", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return folder
