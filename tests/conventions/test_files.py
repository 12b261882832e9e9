"""What may not stand in any file of the repository."""

import re

import pytest

from tests.conventions.repository import ROOT, tracked_files

MEGABYTE = 1_000_000
TEXT_SUFFIXES = {
    ".py", ".sql", ".yml", ".yaml", ".md", ".toml", ".cfg", ".ini", ".txt", ".lock", ".csv", ".j2", ".html", ".css", "",
}  # fmt: skip
TEXTS = [file for file in tracked_files() if file.suffix in TEXT_SUFFIXES]
REGISTRY = re.compile(r"https?://[^\s\"']*(pypi|pythonhosted|registry\.npmjs|deb\.debian)[^\s\"']*")
HOME_PATH = re.compile(r"(?<![\w.])/(home|Users|root|work)/\w+")


def test_no_file_is_larger_than_a_megabyte():
    assert [str(file) for file in tracked_files() if (ROOT / file).stat().st_size > MEGABYTE] == []


@pytest.mark.parametrize("file", TEXTS, ids=str)
def test_no_registry_host_and_no_machine_path(file):
    if file.parts[:2] == ("tests", "conventions"):
        pytest.skip("the patterns themselves")
    text = (ROOT / file).read_text()
    assert REGISTRY.findall(text) == []
    assert [match.group(0) for match in HOME_PATH.finditer(text)] == []


@pytest.mark.parametrize("file", TEXTS, ids=str)
def test_no_notes_to_self(file):
    if file.parts[:2] == ("tests", "conventions"):
        pytest.skip("the patterns themselves")
    assert re.findall(r"\b(TODO|FIXME|XXX|HACK)\b", (ROOT / file).read_text()) == []


def test_lock_files_hold_no_web_address():
    locks = [file for file in tracked_files() if file.name in ("requirements.lock", "package-lock.json")]
    assert len(locks) == 2
    assert [str(file) for file in locks if "://" in (ROOT / file).read_text()] == []
