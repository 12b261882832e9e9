"""Words of an error that several readers share: what is allowed, and what was likely meant."""

import difflib
from collections.abc import Collection


def list_names(found: str, allowed: Collection[str]) -> str:
    """The allowed names in order, and the one that `found` is close to."""
    near = difflib.get_close_matches(found, list(allowed), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{', '.join(sorted(allowed))}{hint}"
