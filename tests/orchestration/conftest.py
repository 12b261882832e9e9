"""One small home of the synthetic company, built once by the real command, put back as it was before each test."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ingest.home import Home, open_home
from tests.orchestration.commands import run_wattledger


@dataclass(frozen=True)
class _BuiltHome:
    home: Home
    snapshot: Path


@pytest.fixture(scope="session")
def _built_once(tmp_path_factory: pytest.TempPathFactory) -> _BuiltHome:
    folder = tmp_path_factory.mktemp("built")
    path = folder / "home"
    made = run_wattledger("init", str(path), "--demo", "--scale", "0.02", "--days", "3")
    assert made.returncode == 0, made.stderr
    home = open_home(path)
    built = run_wattledger("run", home=home)
    assert built.returncode == 0, built.stdout + built.stderr
    snapshot = folder / "snapshot"
    shutil.copytree(path, snapshot, symlinks=True)
    return _BuiltHome(home, snapshot)


@pytest.fixture
def built_home(_built_once: _BuiltHome) -> Iterator[Home]:
    """The home, landed, built and published; a test may do to it what it likes."""
    yield _built_once.home
    shutil.rmtree(_built_once.home.path)
    shutil.copytree(_built_once.snapshot, _built_once.home.path, symlinks=True)
