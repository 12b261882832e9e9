"""Which of two deliveries of the same slice is newer: by the export's own time, else a run number, else when its files
were modified, else by path; never by when it arrived.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from ingest.storage import StoredObject

_DATE_RANGE: Final = re.compile(r"\d{8}-\d{8}")
_RUN_NUMBER: Final = re.compile(r"(?:run|version|rev|revision|v)[-_=]?(?:id[-_=]?)?(\d{1,18})", re.IGNORECASE)
_EXPORT_TIME: Final = re.compile(
    r"(?<!\d)(20\d{2})-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])"
    r"(?:[T_ -]?([01]\d|2[0-3])[:-]?([0-5]\d)(?:[:-]?([0-5]\d))?)?(?!\d)"
)
_PERIOD_KEY: Final = re.compile(r"(?:billing[-_]?period|period|month|usage[-_]?date|start|end)=", re.IGNORECASE)


def get_folder(uri: str) -> str:
    """The folder of an object: its files are the parts of one delivery."""
    return uri.rpartition("/")[0]


def read_version(folder: str, objects: Iterable[StoredObject], told_at: datetime | None = None) -> str:
    """A text that sorts as the versions of one slice do. `told_at` is the export's time where a manifest says it."""
    if told_at is not None:
        return f"t:{told_at.replace(tzinfo=None, microsecond=0).isoformat()}|{folder}"
    parts = folder.split("/")[::-1]  # the deepest folder tells most
    for part in parts:
        if (told := _read_export_time(part)) is not None:
            return f"t:{told.isoformat()}|{folder}"
    for part in parts:
        if found := _RUN_NUMBER.fullmatch(part):
            return f"r:{int(found[1]):018d}|{folder}"
    modified = max(item.modified_at for item in objects)
    return f"m:{modified.strftime('%Y-%m-%dT%H:%M:%S.%f')}|{folder}"


def _read_export_time(part: str) -> datetime | None:
    if _DATE_RANGE.fullmatch(part) or _PERIOD_KEY.match(part):
        return None
    found = _EXPORT_TIME.search(part)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(text) if text else 0 for text in found.groups())
    try:
        return datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None
