"""`wattledger`: thin commands over the same assets that Dagster runs.

Modules that load Dagster are imported inside the commands that run it: `--help` and a wrong option answer at once.
"""

import functools
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape

from ingest.date_span import DateSpan
from ingest.disk import needing_space
from ingest.disposable import heal_state, heal_warehouse
from ingest.home import HomeError, create_home, hold_lock, open_home
from orchestration.console import ConsoleProgress, told_repairs
from orchestration.exit_codes import EXIT_CODES, FAILED, explained_failures, print_troubles

if TYPE_CHECKING:
    from ingest.home import Home
    from orchestration.pipeline import Pipeline


class _DaysType(click.ParamType):
    """One day, or `first..last`."""

    name = "DAYS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> DateSpan:
        first, _, last = str(value).partition("..")
        try:
            return DateSpan(date.fromisoformat(first), date.fromisoformat(last or first))
        except ValueError:
            self.fail(f"expected a day or a span such as 2026-09-01..2026-09-30, found {value!r}", param, ctx)


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of use, not of the alphabet


@click.group(
    cls=_Group,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="wattledger")
def main() -> None:
    """The GPU FinOps warehouse: every cent of an AI bill, to the one team that caused it.

    A home is a folder with all the state of one company.
    """


@dataclass(frozen=True)
class _Command:
    """What every command gets: the home, where to print, how much to say."""

    home: "Home"
    console: Console
    name: str
    is_verbose: bool

    @contextmanager
    def pipeline(self) -> Iterator["Pipeline"]:
        """The steps on the home, under its lock, with bars on the console and all noise in a log."""
        from orchestration.pipeline import Pipeline
        from orchestration.runs import prepare_log

        where = (self.home.path, self.home.state_dir)
        with needing_space("the home", *where), hold_lock(self.home), told_repairs(self.console):
            heal_state(self.home)
            heal_warehouse(self.home)
            with (
                prepare_log(self.home, self.name).open("a", encoding="utf-8") as log,
                ConsoleProgress(self.console) as progress,
            ):
                yield Pipeline(self.home, self.name, progress, log, is_verbose=self.is_verbose)


def _home_command(command: Callable[..., int | None]) -> Callable[..., None]:
    """Open the home, run, and make an exit code of what comes back or is raised."""

    @click.option("--home", "home_path", metavar="HOME", help="The home; else $WATTLEDGER_HOME.")
    @click.option("-v", "--verbose", is_flag=True, help="Print what Dagster and dbt say, too.")
    @click.option("--debug", is_flag=True, help="Print the traceback of a failure.")
    @functools.wraps(command)
    def wrapped(home_path: str | None, verbose: bool, debug: bool, **options: Any) -> None:
        try:
            home = open_home(home_path)
        except HomeError as error:
            raise click.UsageError(str(error)) from error
        name = (click.get_current_context().info_name or "run").replace(" ", "-")
        with explained_failures(debug=debug):
            sys.exit(command(_Command(home, _make_console(), name, verbose), **options) or 0)

    return wrapped


def _make_console() -> Console:
    # The stream is named, since runs divert sys.stdout. A file or a pipe gets tables wide enough to be whole.
    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 160)


@main.command()
@click.argument("path", metavar="HOME")
@click.option("--demo", is_flag=True, help="Fill it with the synthetic company's files.")
@click.option("--scale", type=click.FloatRange(0.01, 100), default=1.0, show_default=True, help="Size of the company.")
@click.option("--days", type=click.IntRange(2, 366), default=30, show_default=True, help="Days of its history.")
@click.option("--seed", type=int, default=7, show_default=True, help="Same seed, same files.")
@click.option("--debug", is_flag=True, help="Print the traceback of a failure.")
def init(path: str, demo: bool, scale: float, days: int, seed: int, debug: bool) -> None:
    """Make a home: folders, a commented sources.yml and policies.yml, and headers of every config CSV."""
    console = _make_console()
    context = click.get_current_context()
    given = [
        name
        for name in ("scale", "days", "seed")
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    if given and not demo:
        raise click.UsageError(f"--{given[0]} is about the synthetic company: give --demo with it")
    with explained_failures(debug=debug):
        home = _create_demo(path, console, scale=scale, days=days, seed=seed) if demo else create_home(path)
        console.print(f"Home: {escape(str(home.path))}", soft_wrap=True)
        if not demo:
            console.print(f"Next: name your sources in {escape(str(home.sources_path))}", soft_wrap=True)
        console.print(f"Then: wattledger run --home {escape(str(home.path))}", soft_wrap=True)


def _create_demo(path: str, console: Console, *, scale: float, days: int, seed: int) -> "Home":
    """A home with the synthetic company, there whole or not at all. An existing home is left alone."""
    from demo.company import write_company

    target = Path(path).expanduser().absolute()
    if target.exists() and any(target.iterdir()):
        raise HomeError(f"{target} is not empty, and the demo's files would mix with what is there. Name a new folder.")
    aside = target.with_name(f".{target.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    create_home(aside)
    with ConsoleProgress(console) as progress:
        write_company(aside, scale=scale, days=days, seed=seed, progress=progress.report)
    aside.replace(target)
    return open_home(target)


@main.command()
@_home_command
@click.option("--target", type=click.Choice(["duckdb"]), default="duckdb", show_default=True, help="The engine.")
@click.option("--full-refresh", is_flag=True, help="Build everything anew, not only what changed.")
@click.option("--again", type=_DaysType(), help="Days to ask servers for and to build again, changed or not.")
def run(command: _Command, target: str, full_refresh: bool, again: DateSpan | None) -> int:
    """Land what is new, build, check, publish, and write the report."""
    from orchestration.run_summary import print_marts, print_sources

    with command.pipeline() as pipeline:
        landed = pipeline.land(again=again)
        # First, and whatever becomes of the build.
        code = print_troubles(command.console, landed.troubles, landed.notes)
        with pipeline.reported_failure():
            built = pipeline.build(target=target, full_refresh=full_refresh, again=again)
        published = pipeline.publish()
        pipeline.refresh_report()
    print_sources(command.console, command.home)
    print_marts(command.console, command.home)
    if not (built or published):
        command.console.print("Nothing had changed since the last run.")
    return code


@main.command()
@_home_command
def land(command: _Command) -> int:
    """Land what is new or changed in the sources and the config."""
    from orchestration.run_summary import print_sources

    with command.pipeline() as pipeline:
        landed = pipeline.land()
    code = print_troubles(command.console, landed.troubles, landed.notes)
    print_sources(command.console, command.home)
    return code


@main.command()
@_home_command
@click.option("--target", type=click.Choice(["duckdb"]), default="duckdb", show_default=True, help="The engine.")
@click.option("--full-refresh", is_flag=True, help="Build everything anew, not only what changed.")
def build(command: _Command, target: str, full_refresh: bool) -> None:
    """Build and check what the lake's changes touch; nothing touched, nothing done."""
    with command.pipeline() as pipeline:
        built = pipeline.build(target=target, full_refresh=full_refresh)
    command.console.print(
        "Built; every test and law holds." if built else "Nothing to build: the lake has not changed."
    )


@main.command()
@_home_command
def check(command: _Command) -> None:
    """Run every test and law against the warehouse as it stands."""
    with command.pipeline() as pipeline:
        pipeline.check()
    command.console.print("Every test and law holds.")


@main.command()
@_home_command
def publish(command: _Command) -> None:
    """Publish the marts of the last good build."""
    with command.pipeline() as pipeline:
        published = pipeline.publish()
    said = "Published" if published else "Published already"
    command.console.print(f"{said}: {escape(str(command.home.published_dir))}", soft_wrap=True)


@main.command()
@_home_command
def report(command: _Command) -> None:
    """Write the one-page report of what is published."""
    with command.pipeline() as pipeline:
        pipeline.write_report()
    command.console.print(f"Report: {escape(str(command.home.report_dir / 'index.html'))}", soft_wrap=True)


@main.command()
@_home_command
@click.option("--date", "report_date", type=click.DateTime(["%Y-%m-%d"]), required=True, help="The UTC day.")
@click.option("--team", "team_ids", multiple=True, help="This team only; may be given again.")
@click.option("--send", is_flag=True, help="Send by SMTP (WATTLEDGER_SMTP_*); else they stay in the outbox.")
def email(command: _Command, report_date: datetime, team_ids: tuple[str, ...], send: bool) -> int:
    """Write the daily emails of a day to the outbox, and send them if told to."""
    from orchestration.assets.delivery import EmailsConfig

    config = EmailsConfig(report_date=f"{report_date:%Y-%m-%d}", team_ids=list(team_ids), send=send)
    with command.pipeline() as pipeline:
        done, troubles = pipeline.deliver_emails(config)
    outbox = command.home.outbox_dir / done["report_date"]
    command.console.print(f"{done['emails_written']} emails in {escape(str(outbox))}", soft_wrap=True)
    if send:
        command.console.print(f"{done['emails_sent']} sent")
    for what in ("teams_without_recipients", "teams_without_charges"):
        if done[what]:
            command.console.print(f"{what.replace('_', ' ')}: {escape(done[what])}", soft_wrap=True)
    return print_troubles(command.console, troubles)


class _Month(click.ParamType):
    name = "YYYY-MM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return datetime.strptime(str(value), "%Y-%m").date()
        except ValueError:
            self.fail(f"expected a month such as 2026-10, found {value!r}", param, ctx)


@main.command()
@click.argument("period", type=_Month())
@click.option("--accept", "accepted_reason", metavar="REASON", help="Close in spite of what stands against it.")
@_home_command
def close(command: _Command, period: date, accepted_reason: str | None) -> None:
    """Close a month: number its statements and book them, so that they never move again."""
    from orchestration.closing import close_month, list_statements

    with command.pipeline() as pipeline:
        pipeline.build()
        closed = close_month(command.home, period, accepted_reason=accepted_reason)
        _finish_books(pipeline)
    command.console.print(f"Closed {period:%Y-%m} as {closed.close_id}, fingerprint {closed.fingerprint[:16]}.")
    for _, number, total in list_statements(command.home, period):
        command.console.print(f"  {escape(number):40} {total:>14,.2f} USD")


@main.command()
@click.argument("period", type=_Month())
@click.option("--reason", required=True, help="Why; kept in the books.")
@_home_command
def reopen(command: _Command, period: date, reason: str) -> None:
    """Open the last closed month again; its statements stay in the books as they were sent."""
    from orchestration.closing import reopen_month

    with command.pipeline() as pipeline:
        reopened = reopen_month(command.home, period, reason=reason)
        _finish_books(pipeline)
    command.console.print(f"Reopened {period:%Y-%m} ({reopened.close_id}); close it again when it is right.")


def _finish_books(pipeline: "Pipeline") -> None:
    """Let the marts say what the books say now."""
    pipeline.build()
    if pipeline.publish():
        pipeline.write_report()


@main.command("trace")
@click.argument("reference")
@_home_command
def trace_command(command: _Command, reference: str) -> None:
    """Walk from a statement line or ledger row down to invoice lines, or from an invoice line up.

    REFERENCE is TEAM/2026-10/3 for a line of a statement, path/of/bill.csv:12 for a line of a bill, or the id of a
    ledger row, a charge group or an invoice line. Reads what is published.
    """
    from delivery.marts import open_marts
    from delivery.trace import trace
    from orchestration.trace_tables import print_trace

    with open_marts(command.home.published_dir) as marts:
        print_trace(command.console, trace(marts, reference))


@main.command()
@_home_command
@click.option("--period", type=_Month(), required=True, help="The month.")
@click.option("--team", "team_id", help="This team only.")
@click.option(
    "--format", "file_format", type=click.Choice(["table", "csv", "html"]), default="table", show_default=True
)
@click.option("--journal", is_flag=True, help="Write the month's journal for an ERP (CSV) instead.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder; else HOME/outbox/statements/.")
def statement(
    command: _Command, period: date, team_id: str | None, file_format: str, journal: bool, out: Path | None
) -> None:
    """Show or write what each team owes for a month; a draft until the month is closed."""
    from orchestration.statements import deliver_journal, deliver_statements

    if journal:
        if team_id or file_format == "html":
            raise click.UsageError(
                "--journal is one CSV of the whole month: give no --team, nor --format html, with it"
            )
        deliver_journal(command.console, command.home, period, out)
        return
    if out and file_format == "table":
        raise click.UsageError("--out is for files: give --format csv, --format html or --journal with it")
    deliver_statements(command.console, command.home, period, team_id, file_format, out)


@main.command()
@_home_command
@click.option("--deep", is_flag=True, help="Read every file of the lake, too.")
def doctor(command: _Command, deep: bool) -> int:
    """Say what is wrong with the home, and how to fix it. Changes nothing."""
    from orchestration.doctor import examine_home
    from orchestration.findings import print_findings

    return FAILED if print_findings(command.console, examine_home(command.home, deep=deep)) else 0


@main.command()
@click.argument("source_name", metavar="SOURCE")
@click.option("--reason", required=True, help="Why; kept in the books.")
@_home_command
def accept(command: _Command, source_name: str, reason: str) -> None:
    """Accept what waits of a source: a bill held back since it shrinks lands on the next run, rows in quarantine are
    acknowledged as they are, and rows that the lake lost are given up.
    """
    from orchestration.accepting import accept_all

    for told in accept_all(command.home, source_name, reason):
        command.console.print(f"accepted {escape(told)}", soft_wrap=True)


if __name__ == "__main__":
    main()
