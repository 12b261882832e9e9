"""What the repository holds, for the convention tests: its tracked files and its dbt models."""

import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "dbt_project" / "models"


@cache
def tracked_files() -> tuple[Path, ...]:
    """Every file that git knows or would add, as paths relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(Path(line) for line in listed.stdout.splitlines() if (ROOT / line).is_file())


@dataclass(frozen=True)
class Model:
    """One dbt model: its file, its SQL and what the yml beside it says."""

    path: Path
    sql: str
    documentation: dict[str, Any]

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def layer(self) -> str:
        return self.path.relative_to(MODELS).parts[0]

    @property
    def folder(self) -> str:
        return self.path.parent.name

    @property
    def references(self) -> set[str]:
        return set(re.findall(r"ref\(\s*'(\w+)'\s*\)", self.sql))


@cache
def models() -> tuple[Model, ...]:
    """Every dbt model of the project, sorted by name."""
    documented = {
        entry["name"]: entry
        for file in MODELS.rglob("*.yml")
        for entry in (yaml.safe_load(file.read_text()) or {}).get("models", [])
    }
    files = sorted(MODELS.rglob("*.sql"), key=lambda file: file.stem)
    return tuple(Model(file, file.read_text(), documented.get(file.stem, {})) for file in files)


def without_comments(sql: str) -> str:
    """SQL with comments and Jinja comments blanked, so that prose is not taken for code."""
    return re.sub(r"\{#.*?#\}|--[^\n]*", " ", sql, flags=re.DOTALL)
