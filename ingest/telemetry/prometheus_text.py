"""Prometheus exposition text: sample lines to name, labels, value and time."""

import re
from typing import Final

_SAMPLE: Final = re.compile(
    r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*"
    r'(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?'
    r"\s*(\S+)(?:\s+(-?[0-9.]+(?:[eE][+-]?[0-9]+)?))?\s*(?:#.*)?"  # an OpenMetrics exemplar may follow
)
_LABEL: Final = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,|$)')
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "\\": "\\", '"': '"'}


def split_sample(line: str) -> tuple[str, str, str, str | None] | None:
    """(metric, text between the braces, value, timestamp or None) of a sample line; None when it is not one."""
    found = _SAMPLE.fullmatch(line)
    return None if found is None else (found[1], found[2] or "", found[3], found[4])


def parse_labels(text: str) -> dict[str, str]:
    """Labels of the text between the braces, escapes resolved; raises `ValueError` when it is not a list of labels."""
    labels: dict[str, str] = {}
    position = 0
    while text[position:].strip():
        found = _LABEL.match(text, position)
        if found is None:
            raise ValueError(f"not a label at {text[position : position + 40]!r}")
        labels[found[1]] = _ESCAPE.sub(_unescape, found[2]) if "\\" in found[2] else found[2]
        position = found.end()
    return labels


def _unescape(found: re.Match[str]) -> str:
    return _ESCAPED.get(found[1], found[0])
