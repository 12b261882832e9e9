"""What the doctor finds: one thing of a home, how it stands, and what to do."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rich.console import Console
from rich.markup import escape


class State(StrEnum):
    """How one finding stands: fine, to look at (a note), or wrong, which makes the doctor's exit code 1."""

    FINE = "fine"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    area: str
    state: State
    text: str
    mend: str = ""


_MARKS: Final = {State.FINE: "[green]fine [/]", State.NOTE: "[yellow]note [/]", State.WRONG: "[red]wrong[/]"}


def print_findings(console: Console, findings: Iterable[Finding]) -> int:
    """Print each finding and how many there are to look at; returns how many things are wrong."""
    found: Counter[State] = Counter()
    for finding in findings:
        console.print(
            f"{_MARKS[finding.state]} [bold]{escape(finding.area)}[/]: {escape(finding.text)}", soft_wrap=True
        )
        if finding.mend and finding.state is not State.FINE:
            console.print(f"      mend: {escape(finding.mend)}", soft_wrap=True)
        found[finding.state] += 1
    wrong, notes = found[State.WRONG], found[State.NOTE]
    console.print(f"{wrong} things are wrong, {notes} to look at." if wrong or notes else "Nothing is wrong.")
    return wrong
