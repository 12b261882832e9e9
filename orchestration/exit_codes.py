"""One rule for what a command's exit code says, and the words that go with each."""

import contextlib
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Final

import click
from rich.console import Console
from rich.markup import escape

from orchestration.interrupts import raised_as_keyboard_interrupt

FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130

EXIT_CODES: Final = f"""\b
Exit codes:
  0    done
  {FAILED}    a model or a law failed; or something that should have landed did not: a file, a delivery or a
       config file is refused or held back, or a source cannot be reached; or the command says what
       else went wrong
  {USAGE}    wrong usage
  {INTERRUPTED}  interrupted (Ctrl-C)
Single rows in quarantine are shown first, and do not change the exit code."""


@contextlib.contextmanager
def explained_failures(*, debug: bool) -> Iterator[None]:
    """Make one paragraph and an exit code of what the block raises."""
    try:
        with raised_as_keyboard_interrupt():
            yield
    except KeyboardInterrupt:
        # A second Ctrl-C finds nothing left to stop.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if debug:
            traceback.print_exc()
        click.echo("Stopped. What was landed and published stays; the next run goes on from there.", err=True)
        sys.exit(INTERRUPTED)
    except click.ClickException:
        raise
    except Exception as error:
        if debug:
            traceback.print_exc()
        click.echo(_describe_error(error), err=True)
        sys.exit(FAILED)


def print_troubles(console: Console, troubles: Sequence[str], notes: Sequence[str] = ()) -> int:
    """Print what did not land, and what to know besides; returns the exit code that the troubles make."""
    for trouble in troubles:
        console.print(f"[red]refused[/] {escape(trouble)}", soft_wrap=True)
    for note in notes:
        console.print(f"[yellow]note[/] {escape(note)}", soft_wrap=True)
    return FAILED if troubles else 0


def _describe_error(error: Exception) -> str:
    """Our own errors say what, where and what to do; any other is named with its type, as the fault that it is."""
    module = type(error).__module__.partition(".")[0]
    if module in ("ingest", "delivery", "orchestration", "demo"):
        return f"Error: {error}"
    return f"Error: {type(error).__name__}: {error}\nThis was not foreseen; --debug shows where it happened."
