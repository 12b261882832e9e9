"""A home that lives day by day: what arrives, the command that a person would run, and what must hold every evening."""

import os
import random
import shutil
import socket
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any, Final, Protocol

import duckdb
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from delivery.publish import read_build_id
from ingest.home import Home, create_home
from orchestration.build_state import read_built
from tests.calendar.commands import Done, Upgrade, run_command, run_dagster
from tests.calendar.company import CONFIG, Company, Truth, month_of


class Event(Protocol):
    """What happens to a home: each step prepares one day and yields the exit code that this day's run must have."""

    __name__: str

    def __call__(self, walk: "Walk", /) -> Iterator[int]: ...


_AUDIT_COLUMNS: Final = ("build_id", "built_at", "pinned_at", "landed_at", "refused_at")
_NOT_COPIED: Final = ("warehouse.duckdb", ".state", "published", "report", "outbox", ".lock")


class Inbox:
    """A mail server on loopback that counts what it was given."""

    def __init__(self) -> None:
        self.subjects: Counter[tuple[str, str]] = Counter()  # recipient, subject
        with socket.socket() as free:  # the controller connects to the port that it was told, so 0 will not do
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        for recipient in envelope.rcpt_tos:
            self.subjects[recipient, str(message_from_bytes(content)["Subject"])] += 1
        return "250 OK"

    def __enter__(self) -> "Inbox":
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()


@dataclass
class Walk:
    """One home, the company whose files it gets, and what it was given so far."""

    home: Home
    company: Company
    day: date
    random: random.Random
    inbox: Inbox
    truth: Truth = field(default_factory=Truth)
    upgrades: list[Upgrade] = field(default_factory=list)
    held_off: set[str] = field(default_factory=set)  # sources that deliver nothing today
    aws_version: int = 0
    aws_through: date | None = None  # the bill ends before today
    planted_samples: list[tuple[str, str, int, str]] = field(default_factory=list)
    kill_after_seconds: float | None = None
    seconds: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a command on this home."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("WATTLEDGER_", "DAGSTER_"))}
        smtp = {"HOST": "127.0.0.1", "PORT": str(self.inbox.port), "SECURITY": "none", "SENDER": "finops@acme.example"}
        return (
            clean
            | {f"WATTLEDGER_SMTP_{name}": value for name, value in smtp.items()}
            | {"WATTLEDGER_HOME": str(self.home.path), "DAGSTER_DISABLE_TELEMETRY": "yes", "PYTHONHASHSEED": "0"}
        )

    def write(self, name: str, text: str) -> Path:
        """Put a file into the home as an export would: whole, by a rename, as old as the calendar's day."""
        path = self.home.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.new")
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
        return path

    def edit_config(self, name: str, old: str, new: str) -> None:
        """Change a file of the config by hand."""
        path = self.home.config_dir / name
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{name} has no {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def add_source(self, line: str) -> None:
        """Name one more source, unless it is named already: a source that never delivered is a trouble."""
        if line not in self.home.sources_path.read_text(encoding="utf-8"):
            with self.home.sources_path.open("a", encoding="utf-8") as file:
                file.write(f"  - {line}\n")

    def command(self, *arguments: str, killed_after_seconds: float | None = None) -> Done:
        """Run our command on the home."""
        done = run_command(
            *arguments,
            environment=self.environment,
            folder=self.home.path.parent,
            upgrades=self.upgrades,
            killed_after_seconds=killed_after_seconds,
        )
        self.seconds[arguments[0]] += int(done.seconds)
        self.counts[arguments[0]] += 1
        return done

    def deliver(self) -> None:
        """What the company's systems export on this day, of the day before included: bills and logs of a day are
        complete when it is over."""
        yesterday = self.day - timedelta(days=1)
        if yesterday < self.company.start:
            return
        if "aws" not in self.held_off:
            through = self.aws_through or yesterday
            self.deliver_aws(month_of(yesterday), through)
        if "openai" not in self.held_off:
            month = month_of(yesterday)
            text, billed = self.company.openai_bill(month, yesterday)
            self.write(f"exports/openai/{month:%Y-%m}/focus.csv", text)
            self.truth.billed["OpenAI", month] = billed
        if self.day.day == 3 and "azure" not in self.held_off:
            month = month_of(self.day - timedelta(days=5))
            if month >= month_of(self.company.start):
                self.add_source('{name: azure, kind: focus, location: "exports/azure/*/*.csv"}')
                self.write(f"exports/azure/{month:%Y-%m}/focus.csv", self.company.azure_bill(month)[0])
        if "telemetry" not in self.held_off:
            self.write(f"telemetry/opencost/{yesterday}.json", self.company.allocations(yesterday))
            samples = self.company.samples(yesterday, planted=self.planted_samples)
            self.write(f"telemetry/dcgm/{yesterday}.json", samples)
            self.write(f"exports/openai-admin/{yesterday}.json", self.company.usage_report(yesterday))
        if "gateway" not in self.held_off:
            self.deliver_log(yesterday)
        if "slurm" not in self.held_off and "slurm" in (self.home.config_dir / "sources.yml").read_text():
            self.write(f"logs/slurm/{yesterday}.txt", self.company.slurm_report(yesterday))

    def deliver_aws(self, month: date, through: date, *, is_admitted: bool = True) -> None:
        """AWS's bill of a month up to a day. One that will be held back is not what the ledger must say."""
        text, billed = self.company.aws_bill(month, through, version=self.aws_version)
        self.write(f"exports/aws/{month:%Y-%m}/focus.csv", text)
        if is_admitted:
            self.truth.billed["AWS", month] = billed

    def deliver_log(self, day: date, *, part: str = "all", extra: int = 0) -> None:
        """The gateway's log of a day; another part of it comes as another file."""
        text, ids = self.company.gateway_log(day, part=part, extra=extra)
        self.write(f"logs/gateway/{day}-{part}.jsonl", text)
        others = {call for call in self.truth.calls.get(day, set()) if f"-{part}-" not in call}
        self.truth.calls[day] = others | ids

    def live(self, expected_code: int) -> Done:
        """Run the day and look at what stands in the evening."""
        if self.kill_after_seconds is not None:
            killed = self.command("run", killed_after_seconds=self.kill_after_seconds)
            assert killed.returncode in (-9, 0, 1), str(killed)
            self.counts["killed"] += killed.returncode == -9
            self.kill_after_seconds = None
        done = self.command("run")
        assert done.returncode == expected_code, f"{self.day}: expected exit {expected_code}\n{done}"
        assert "Traceback" not in done.output, str(done)
        self.check_published(done)
        self.check_emails()
        return done

    def live_in_dagster(self, expected_code: int) -> Done:
        """The same day through Dagster: its sensor sees what came, its schedule ends with the emails."""
        report_date = self.day - timedelta(days=1)
        lived = run_dagster(
            self.home.path, f"{self.day}T06:00:00", environment=self.environment, folder=self.home.path.parent
        )
        done = Done(("dagster", str(self.day)), 0, str(lived), 0)
        assert lived.succeeded, f"{self.day}: {lived}"
        assert bool(lived.failed_checks) == bool(expected_code), f"{self.day}: {lived}"
        self.check_published(done)
        written = sorted(path.stem for path in (self.home.outbox_dir / str(report_date)).glob("*.eml"))
        assert written, f"{self.day}: no email of {report_date}: {lived}"
        self.counts["refreshed"] += lived.refreshed
        self.counts["dagster"] += 1
        return done

    def check_published(self, done: Done) -> None:
        """What is published is the last build, and says what was delivered."""
        published = self.home.published_dir / "marts.duckdb"
        assert published.exists(), f"{self.day}: nothing is published\n{done}"
        with duckdb.connect(str(published), read_only=True) as marts:
            billed = marts.execute(
                """select provider_name, billing_period_start_date, sum(billed_cost_usd) from fct_cost_ledger
                where allocation_step <> 'accrual' group by all"""
            ).fetchall()
            calls = marts.execute(
                "select usage_date, sum(request_count)::bigint from fct_unit_costs_daily group by all"
            ).fetchall()
        assert read_build_id(published) == read_built(self.home), f"{self.day}: {done}"
        ledger = {(name, month): usd for name, month, usd in billed if name in ("AWS", "OpenAI")}
        expected = {key: usd for key, usd in self.truth.billed.items() if usd}
        assert ledger == expected, f"{self.day}: the ledger against what was billed\n{done}"
        counted = {day: len(ids) for day, ids in self.truth.calls.items() if ids}
        assert dict(calls) == counted, f"{self.day}: calls\n{done}"

    def read_statement_lines(self, period: date) -> list[tuple[Any, ...]]:
        """The published statements of a month, line by line."""
        with duckdb.connect(str(self.home.published_dir / "marts.duckdb"), read_only=True) as marts:
            return marts.execute(
                "select * from fct_statement_lines where posting_period_start_date = ? order by all", [period]
            ).fetchall()

    def check_emails(self) -> None:
        """The day's emails leave once, however often they are asked for."""
        report_date = self.day - timedelta(days=1)
        if report_date < self.company.start:
            return
        for _ in range(1 + (self.random.random() < 0.2)):
            done = self.command("email", "--date", str(report_date), "--send")
            assert done.returncode == 0, f"{self.day}: {done}"
        twice = {key: count for key, count in self.inbox.subjects.items() if count > 1}
        assert not twice, f"{self.day}: sent more than once: {twice}"

    def compare_with_full_refresh(self, folder: Path) -> None:
        """Build a copy of the home from its lake and books alone: every table has the same rows (law 11)."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.home.path, folder, ignore=shutil.ignore_patterns(*_NOT_COPIED), symlinks=True)
        (folder / "outbox").mkdir()
        done = run_command(
            "build",
            "--home",
            str(folder),
            environment=self.environment | {"WATTLEDGER_HOME": str(folder)},
            folder=folder.parent,
        )
        assert done.returncode == 0, f"{self.day}: {done}"
        differing = list_differing_tables(self.home.warehouse_path, folder / "warehouse.duckdb")
        assert not differing, f"{self.day}: incremental and full builds differ:\n" + "\n".join(differing)
        self.counts["compared"] += 1
        shutil.rmtree(folder)


def open_walk(folder: Path, *, seed: int, start: date, inbox: Inbox) -> Walk:
    """A new home with the company's config, on the day on which the company begins."""
    home = create_home(folder / "home")
    for name, text in CONFIG.items():
        (home.config_dir / name).write_text(text, encoding="utf-8")
    return Walk(home, Company(seed, start), start, random.Random(f"walk/{seed}"), inbox)


def live_through(
    walk: Walk,
    days: int,
    events: Mapping[int, Sequence[Event]],
    compared: Collection[int],
    folder: Path,
    *,
    queue: Iterable[Event] = (),
    in_dagster: bool = False,
) -> None:
    """Live so many days, by the command or in Dagster. `events` begin on their day, counted from 1, those of `queue`
    when the one before is over; each lasts as many days as it has steps. On the days of `compared` the evening is held
    against a full refresh."""
    running: dict[str, Iterator[int]] = {}
    waiting = iter(queue)
    for number in range(1, days + 1):
        walk.day = walk.company.start + timedelta(days=number)
        walk.held_off.clear()
        walk.planted_samples = []
        begun = time.monotonic()
        for event in events.get(number, ()):
            running[event.__name__] = event(walk)
        expected = max(_step(running), default=0)
        # The first days are ordinary ones, and one in four is.
        if not running and number > 2 and walk.random.random() < 0.75 and (event := next(waiting, None)):
            running[event.__name__] = event(walk)
            expected = max(_step(running), default=0)
        walk.deliver()
        (walk.live_in_dagster if in_dagster else walk.live)(expected)
        print(f"{walk.day} exit {expected} {time.monotonic() - begun:5.1f} s {', '.join(running)}", flush=True)
        walk.counts.update(running.keys())
        if number in compared:
            walk.compare_with_full_refresh(folder / "full")


def _step(running: dict[str, Iterator[int]]) -> list[int]:
    """Let each event prepare its day; those that are over are gone. Returns the exit codes that they expect."""
    codes: list[int] = []
    for name in list(running):
        code = next(running[name], None)
        if code is None:
            del running[name]
        else:
            codes.append(code)
    return codes


def list_differing_tables(one: Path, other: Path) -> list[str]:
    """A sentence for each table whose rows differ as multisets; audit columns aside, doubles to nine places."""
    found: list[str] = []
    with duckdb.connect() as connection:
        connection.execute(f"attach '{one}' as one (read_only); attach '{other}' as other (read_only)")
        tables = connection.execute(
            """select schema_name, table_name, list(distinct database_name) from duckdb_tables()
            where schema_name in ('seeds', 'intermediate', 'marts') group by all order by all"""
        ).fetchall()
        for schema, name, databases in tables:
            if len(databases) < 2:
                found.append(f"{schema}.{name}: only in {databases[0]}")
                continue
            columns = ", ".join(
                f"printf('%.9e', {column}) as {column}" if kind == "DOUBLE" else column
                for column, kind in _read_columns(connection, schema, name)
                if column not in _AUDIT_COLUMNS
            )
            missing, extra = (
                connection.execute(
                    f"""from (select {columns} from {left}.{schema}.{name} except all
                    select {columns} from {right}.{schema}.{name})"""
                ).fetchall()
                for left, right in (("other", "one"), ("one", "other"))
            )
            if missing or extra:
                found.append(
                    f"{schema}.{name}: {len(missing)} rows missing, {len(extra)} too many, such as "
                    f"{(missing or extra)[0]}" + (f" against {extra[0]}" if missing and extra else "")
                )
    return found


def _read_columns(connection: duckdb.DuckDBPyConnection, schema: str, name: str) -> list[tuple[str, Any]]:
    return connection.execute(
        """select column_name, data_type from duckdb_columns()
        where database_name = 'one' and schema_name = ? and table_name = ? order by column_index""",
        [schema, name],
    ).fetchall()
