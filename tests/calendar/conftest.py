"""One mail server for the walks of this folder."""

from collections.abc import Iterator

import pytest

from tests.calendar.walk import Inbox


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """A mail server that nobody has written to yet."""
    with Inbox() as opened:
        yield opened
