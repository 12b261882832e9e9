"""What is to be written: the window, the scale, the seed, and where files go."""

import gzip
import io
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final, cast

Progress = Callable[[str, int, int], None]
"""Called with (what is being written, steps done, steps in all)."""

FIRST_DAY: Final = date(2026, 10, 1)
MAX_SCALE: Final = 100.0
MIN_SCALE: Final = 0.01
_GZIP_LEVEL: Final = 3
_BUFFER_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Month:
    """A billing period and the part of it that the window covers: [covered_from, covered_to), UTC."""

    start: datetime
    end: datetime
    covered_from: datetime
    covered_to: datetime

    @property
    def label(self) -> str:
        """The period as YYYY-MM."""
        return f"{self.start:%Y-%m}"


@dataclass(frozen=True)
class Plan:
    """The one description of a run; equal plans write equal bytes.

    Raises ValueError when the window or the scale cannot hold every hard feature.
    """

    home: Path
    start: date = FIRST_DAY
    days: int = 30
    scale: float = 1.0
    seed: int = 7
    sample_seconds: int = 300

    def __post_init__(self) -> None:
        if self.days < 2:
            raise ValueError(f"days is {self.days}: give 2 or more, so that a rename and a late delivery fit")
        if not MIN_SCALE <= self.scale <= MAX_SCALE:
            raise ValueError(f"scale is {self.scale}: give a number from {MIN_SCALE} to {MAX_SCALE:g}")
        if self.sample_seconds < 1 or 3600 % self.sample_seconds:
            raise ValueError(f"sample_seconds is {self.sample_seconds}: give a divisor of 3600")

    @property
    def start_at(self) -> datetime:
        """First instant of the window."""
        return midnight(self.start)

    @property
    def end_at(self) -> datetime:
        """First instant after the window."""
        return self.start_at + timedelta(days=self.days)

    @property
    def hour_count(self) -> int:
        """Hours in the window."""
        return self.days * 24

    @property
    def renamed_on(self) -> date:
        """The day from which team Search is called Discovery."""
        return self.start + timedelta(days=self.days // 2)

    @property
    def all_days(self) -> list[date]:
        """Every day of the window in order."""
        return [self.start + timedelta(days=n) for n in range(self.days)]

    @property
    def months(self) -> list[Month]:
        """Billing periods the window touches, in order."""
        found: list[Month] = []
        start = midnight(self.start.replace(day=1))
        while start < self.end_at:
            end = midnight(next_month(start.date()))
            found.append(Month(start, end, max(start, self.start_at), min(end, self.end_at)))
            start = end
        return found

    def count(self, at_scale_one: int, minimum: int = 1) -> int:
        """How many of something there are at this scale."""
        return max(minimum, round(at_scale_one * self.scale))

    def random(self, *keys: object) -> random.Random:
        """A generator of its own for `keys`: what one module draws never shifts what another draws."""
        return random.Random("/".join(map(str, (self.seed, *keys))))


def midnight(day: date) -> datetime:
    """The first instant of a UTC day."""
    return datetime.combine(day, time(), tzinfo=UTC)


def next_month(day: date) -> date:
    """The first day of the following month."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


@lru_cache(maxsize=4096)
def instant_text(at: datetime) -> str:
    """RFC 3339 with Z, whole seconds."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


@contextmanager
def open_output(path: Path, modified_at: datetime) -> Iterator[io.BufferedIOBase]:
    """A file to write bytes to (gzipped when the name ends in .gz), whose modified time is the delivery's own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as raw:
        if path.suffix == ".gz":
            packed = gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=raw, mtime=0)
            with packed, io.BufferedWriter(cast(io.RawIOBase, packed), _BUFFER_BYTES) as out:
                yield out
        else:
            yield raw
    stamp_file(path, modified_at)


def stamp_file(path: Path, modified_at: datetime) -> None:
    """Set a file's modified time, since versions of a delivery may be ordered by it."""
    seconds = modified_at.timestamp()
    os.utime(path, (seconds, seconds))
