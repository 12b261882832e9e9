"""Words of an error that several readers share: what is allowed, and what was likely meant."""

import difflib
import re
from collections.abc import Collection
from typing import Final

_LONGEST_SENTENCE: Final = 2_000
_LONGEST_WORD: Final = 200
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffd]+")
_LONG_WORD: Final = re.compile(rf"(\S{{{_LONGEST_WORD}}})\S+")


def list_names(found: str, allowed: Collection[str]) -> str:
    """The allowed names in order, and the one that `found` is close to."""
    near = difflib.get_close_matches(found, list(allowed), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{', '.join(sorted(allowed))}{hint}"


def fit_sentence(text: str) -> str:
    """One printable line of bounded length: what a file holds may be quoted in a reason, whatever it is."""
    return _LONG_WORD.sub(r"\1…", _UNPRINTABLE.sub(" ", text[: 2 * _LONGEST_SENTENCE]))[:_LONGEST_SENTENCE]


def make_encodable(text: str) -> str:
    """`text` with a ? for each half of a surrogate pair, which JSON and file names may hold and UTF-8 may not."""
    return text.encode(errors="replace").decode()


def count_words(count: int, noun: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
