"""Names of files after teams, whatever the teams are called."""

import hashlib
from urllib.parse import quote


def make_file_stem(text: str) -> str:
    """`text` as part of a file name: no separator, no leading dot, not too long, another one for each text."""
    name = quote(text, safe="")
    name = f"%2E{name[1:]}" if name.startswith(".") else name
    return name if len(name) <= 150 else f"{name[:120]}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"
