"""What may happen to a home on an ordinary day. Each event prepares a day and yields the exit code of its run."""

import random
import shutil
from collections.abc import Iterator
from datetime import timedelta

from tests.calendar.commands import Upgrade
from tests.calendar.company import NODE_HOST, OWNED_HOST, month_of
from tests.calendar.walk import Walk

ALL_SOURCES = {"aws", "openai", "azure", "telemetry", "gateway", "slurm"}


def no_file_comes(walk: Walk) -> Iterator[int]:
    """A day without any file, then one that brings both."""
    missed = walk.day - timedelta(days=1)
    walk.held_off |= ALL_SOURCES
    yield 0
    walk.deliver_log(missed)
    yield 0


def a_log_is_refused_and_nothing_else_comes(walk: Walk) -> Iterator[int]:
    """A gateway's file that is no text; it is taken away the day after."""
    missed = walk.day - timedelta(days=1)
    walk.held_off |= ALL_SOURCES
    broken = walk.write("logs/gateway/broken.jsonl", "")
    broken.write_bytes(b"\x1f\x8b\x08\x00" + bytes(range(128, 256)) * 40)
    yield 1
    broken.unlink()
    walk.deliver_log(missed)
    yield 0


def a_config_file_is_refused(walk: Walk) -> Iterator[int]:
    """A row of owners.csv with a comma too few; corrected the day after."""
    walk.edit_config("owners.csv", "r4,namespace,,vision", "r4,namespace,vision")
    yield 1
    walk.edit_config("owners.csv", "r4,namespace,vision", "r4,namespace,,vision")
    yield 0


def logs_come_late(walk: Walk) -> Iterator[int]:
    """A day's log comes two days later, and a part of last month's with it."""
    missed = walk.day - timedelta(days=1)
    walk.held_off.add("gateway")
    yield 0
    yield 0
    walk.deliver_log(missed)
    last_month = month_of(missed) - timedelta(days=1)
    if last_month >= walk.company.start:
        walk.deliver_log(last_month, part="late")
    yield 0


def a_log_is_replaced(walk: Walk) -> Iterator[int]:
    """The gateway writes a day's log again, with more calls than it had."""
    walk.deliver_log(walk.day - timedelta(days=2), extra=2)
    yield 0


def a_bill_is_restated(walk: Walk) -> Iterator[int]:
    """AWS restates every day of the month."""
    walk.aws_version += 1
    yield 0


def a_bill_shrinks_by_mistake(walk: Walk) -> Iterator[int]:
    """A bill without its last days is held back; the day after it is whole again."""
    month = month_of(walk.day - timedelta(days=1))
    if walk.day - timedelta(days=5) <= max(month, walk.company.start):
        return
    walk.held_off.add("aws")
    walk.deliver_aws(month, walk.day - timedelta(days=5), is_admitted=False)
    yield 1
    yield 0


def a_bill_shrinks_and_is_accepted(walk: Walk) -> Iterator[int]:
    """A bill without its last days is held back until a person says that it is right."""
    month = month_of(walk.day - timedelta(days=1))
    if walk.day - timedelta(days=5) <= max(month, walk.company.start) or walk.day.day > 26:
        return
    short = walk.day - timedelta(days=5)
    walk.held_off.add("aws")
    walk.deliver_aws(month, short, is_admitted=False)
    yield 1
    done = walk.command("accept", "aws", "--reason", "the export was split")
    assert done.returncode == 0, str(done)
    walk.held_off.add("aws")
    walk.deliver_aws(month, short)
    yield 0
    yield 0


def an_owner_rule_changes_in_the_past(walk: Walk) -> Iterator[int]:
    """Whoever held the namespace `vision` did so for another team all along."""
    walk.edit_config("owners.csv", "r4,namespace,,vision,vision,Vision,CC-2", "r4,namespace,,vision,sight,Sight,CC-3")
    yield 0


def a_price_changes(walk: Walk) -> Iterator[int]:
    """A contract's price of a model's output, from a day of last week on."""
    path = walk.home.config_dir / "price_overrides.csv"
    rows = path.read_text(encoding="utf-8")
    usd = len(rows.splitlines())
    end = walk.day - timedelta(days=7)
    if rows.endswith(",,contract\n"):
        rows = rows.replace(",,contract\n", f",{end},contract\n")
    path.write_text(f"{rows}openai,gpt-4o,output,{usd}.5,{end},,contract\n", encoding="utf-8")
    yield 0


def a_rate_arrives(walk: Walk) -> Iterator[int]:
    """The EUR rates of the months so far: bills that were held back are admitted."""
    path = walk.home.config_dir / "fx_rates.csv"
    head = path.read_text(encoding="utf-8").splitlines()[0]
    path.write_text(f"{head}\nEUR,USD,1.10,,,treasury\n", encoding="utf-8")
    yield 0


def a_month_is_closed(walk: Walk) -> Iterator[int]:
    """Last month is closed; the day after, its bill is corrected and its statements stay."""
    yield 0
    period = month_of(month_of(walk.day) - timedelta(days=1))
    done = walk.command("close", f"{period:%Y-%m}", "--accept", "the calendar closes whatever is there")
    assert done.returncode == 0, f"{walk.day}: {done}"
    stood = walk.read_statement_lines(period)
    assert stood, f"{walk.day}: {done}"
    walk.counts["closed"] += 1
    yield 0
    walk.aws_version += 1
    walk.deliver_aws(period, month_of(walk.day) - timedelta(days=1))
    walk.deliver_log(month_of(walk.day) - timedelta(days=1), part="late")
    yield 0
    assert walk.read_statement_lines(period) == stood, f"{walk.day}: the statements of {period} have moved"
    yield 0


def a_source_disappears_and_returns(walk: Walk) -> Iterator[int]:
    """The gateway's folder is gone for two days: what landed stays."""
    folder = walk.home.path / "logs" / "gateway"
    aside = folder.with_name("gateway-aside")
    folder.rename(aside)
    walk.held_off.add("gateway")
    missed = [walk.day - timedelta(days=1)]
    yield 0
    walk.held_off.add("gateway")
    missed.append(walk.day - timedelta(days=1))
    yield 0
    aside.rename(folder)
    for day in missed:
        walk.deliver_log(day)
    yield 0


def a_source_is_added(walk: Walk) -> Iterator[int]:
    """Slurm's accounting joins the sources."""
    walk.add_source('{name: slurm, kind: slurm_sacct, location: "logs/slurm/*.txt"}')
    yield 0


def a_reader_is_upgraded(walk: Walk) -> Iterator[int]:
    """A release whose reader of gateway logs is a newer one: all of them are read again."""
    walk.upgrades = [Upgrade("litellm", reader_version=99)]
    yield 0


def the_warehouse_is_deleted(walk: Walk) -> Iterator[int]:
    """Law 13: the warehouse is disposable."""
    walk.home.warehouse_path.unlink()
    yield 0


def the_state_is_deleted(walk: Walk) -> Iterator[int]:
    """All of .state is disposable too."""
    shutil.rmtree(walk.home.state_dir)
    yield 0


def a_run_is_killed(walk: Walk) -> Iterator[int]:
    """Killed with its children at a moment drawn by the seed; then the next one."""
    walk.kill_after_seconds = random.Random(f"{walk.company.seed}/kill/{walk.day}").uniform(0.2, 25)
    yield 0


def samples_are_out_of_range(walk: Walk) -> Iterator[int]:
    """Readings that no card can have."""
    walk.planted_samples = [
        ("DCGM_FI_PROF_SM_ACTIVE", NODE_HOST, 7, "1700000000"),
        ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", OWNED_HOST, 9, "2000000000000000000"),
        ("DCGM_FI_DEV_POWER_USAGE", NODE_HOST, 11, "-5"),
        ("DCGM_FI_DEV_GPU_UTIL", NODE_HOST, 12, "NaN"),
    ]
    yield 0
