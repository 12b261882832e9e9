"""The templates of this package, with the formats and filters that they share. HTML is escaped, text is not."""

import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2

from delivery import formats

CONTROL_CHARACTERS: Final = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")
_TEMPLATES_DIR: Final = Path(__file__).parent / "templates"


@cache
def open_templates() -> jinja2.Environment:
    """The environment; a name that a template uses and nobody gave is an error, not an empty string."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES_DIR),
        autoescape=lambda name: name is not None and ".html." in name,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["f"] = formats
    environment.filters |= {
        "fit": _fit,
        "right": lambda text, width: f"{text:>{width}}",
        "one_line": _put_on_one_line,
        "say": lambda code: code.replace("_", " "),
        "driver_name": _name_driver,
        "waste_subject": lambda finding: finding.workload_id or finding.resource_id or "not named",
    }
    return environment


def _name_driver(driver: Any) -> str:
    service = driver.service_name or "service not named"
    return service if driver.cost_pool is None else f"{service} ({formats.name_pool(driver.cost_pool)})"


def _fit(text: str, width: int) -> str:
    """`text` in exactly `width` places, the last one free."""
    line = CONTROL_CHARACTERS.sub(" ", text)
    return (line if len(line) < width else f"{line[: width - 2]}…").ljust(width)


def _put_on_one_line(text: str) -> str:
    """Text of a tag or a name may hold line breaks, which would forge lines of the text part."""
    return " ".join(CONTROL_CHARACTERS.sub(" ", text).split())
