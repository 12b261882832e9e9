"""The way out as assets: published marts, the report, the daily emails. Each reads only what was published."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import dagster as dg
from pydantic import Field

from delivery.email import DEFAULT_SENDER, EmailBatch, build_emails
from delivery.marts import open_marts
from delivery.outbox import ENVIRONMENT_PREFIX, Fate, SendOutcome, read_smtp_settings, send_emails, write_emails
from delivery.publish import publish
from delivery.report import build_report
from ingest.config import load_sources
from ingest.contracts import DATED_FACTS
from ingest.dated_facts import UNOWNED
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.lake import list_files, open_engine, select_files_sql
from orchestration.assets.measures import make_trouble_result, render_markdown, show_instant
from orchestration.build_state import read_built
from orchestration.failures import describe_standing
from orchestration.landed import REFERENCE_KINDS, read_quarantine_counts, read_source_totals
from orchestration.resources import HomeResource
from orchestration.send_book import book_send, read_sends

PUBLISHED_MARTS: Final = dg.AssetKey(["published", "marts"])
REPORT: Final = dg.AssetKey(["delivery", "report"])
DAILY_EMAILS: Final = dg.AssetKey(["delivery", "daily_emails"])
EVERY_TEAM_TOLD: Final = "every_team_told"

_GROUP: Final = "delivery"


class EmailsConfig(dg.Config):
    """Which emails, and whether they leave the house."""

    report_date: str | None = None
    """A UTC day, YYYY-MM-DD; the last one that the marts speak of and that is over when none is given."""

    team_ids: list[str] = Field(default_factory=list)
    """These teams only; all with recipients when empty."""

    send: bool = False


def make_delivery_assets(mart_keys: Sequence[dg.AssetKey]) -> list[dg.AssetsDefinition]:
    """The three assets; the marts behind them are the dbt models of the marts folder."""

    @dg.asset(key=PUBLISHED_MARTS, group_name=_GROUP, deps=list(mart_keys), kinds={"duckdb", "parquet"})
    def published_marts(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
        """The marts as one DuckDB file and one Parquet folder, both of one build, swapped in whole."""
        with home.locked() as opened:
            build_id = read_built(opened)
            data_through = read_data_through(opened)
            report = publish(opened.warehouse_path, opened.published_dir, build_id=build_id, data_through=data_through)
        context.log.info("build %s %s", build_id, "published" if report.is_new else "was published already")
        known = [through_at for through_at in data_through.values() if through_at]
        return dg.MaterializeResult(
            metadata={
                "build_id": build_id,
                "dagster/row_count": sum(report.row_counts.values()),
                "size_bytes": report.size_bytes,
                "is_new": report.is_new,
                "data_through": show_instant(min(known) if known else None),
                "tables": render_markdown(("mart", "rows"), sorted(report.row_counts.items())),
                "sources": render_markdown(
                    ("source", "data through"), [(name, show_instant(at)) for name, at in sorted(data_through.items())]
                ),
            }
        )

    @dg.asset(key=REPORT, group_name=_GROUP, deps=[PUBLISHED_MARTS], kinds={"html"})
    def report(home: HomeResource) -> dg.MaterializeResult:
        """One page that opens from disk: spend by team, GPU states, unit costs."""
        opened = home.open()
        path = write_report(opened)
        return dg.MaterializeResult(
            metadata={"path": dg.MetadataValue.path(path), "size_bytes": path.stat().st_size}
            | _describe_build(opened.published_dir)
        )

    @dg.asset(
        key=DAILY_EMAILS,
        group_name=_GROUP,
        deps=[PUBLISHED_MARTS],
        kinds={"email"},
        check_specs=[
            dg.AssetCheckSpec(
                EVERY_TEAM_TOLD,
                asset=DAILY_EMAILS,
                description="No email was refused or failed to leave, and none needs a person to look.",
            )
        ],
    )
    def daily_emails(
        context: dg.AssetExecutionContext, config: EmailsConfig, home: HomeResource
    ) -> dg.MaterializeResult:
        """One email a team in the outbox; sent by SMTP only when asked to."""
        with home.locked() as opened:
            report_date, batch, outcomes, paths = deliver_day(opened, config)
        troubles = list_troubles(batch, outcomes, config.team_ids)
        for trouble in troubles:
            context.log.warning(trouble)
        return dg.MaterializeResult(
            metadata={
                "report_date": report_date.isoformat(),
                "emails_written": len(paths),
                "emails_sent": sum(outcome.fate is Fate.SENT and not outcome.is_skipped for outcome in outcomes),
                "teams_without_charges": ", ".join(batch.unknown_teams),
                "teams_without_recipients": ", ".join(
                    team_id for team_id in batch.teams_without_recipients if team_id not in (*UNOWNED, "shared")
                ),
                "emails": render_markdown(
                    ("team", "subject", "recipients"),
                    [(email.team_id, email.subject, len(email.recipients)) for email in batch.emails],
                ),
            }
            | _describe_build(opened.published_dir),
            check_results=[make_trouble_result(DAILY_EMAILS, EVERY_TEAM_TOLD, troubles, dg.AssetCheckSeverity.WARN)],
        )

    return [published_marts, report, daily_emails]


def write_report(home: Home) -> Path:
    """The report of what is published, with a note when the last build is not."""
    return build_report(
        home.published_dir,
        home.report_dir,
        quarantine_counts=read_quarantine_counts(home),
        standing_note=describe_standing(home),
    )


def read_data_through(home: Home) -> dict[str, datetime | None]:
    """How far each source of sources.yml speaks, references aside, UTC; None where nothing of it landed."""
    landed = {totals.source_name: totals.data_through_at for totals in read_source_totals(home)}
    sources = load_sources(home, KINDS).sources
    return {source.name: landed.get(source.name) for source in sources if source.kind not in REFERENCE_KINDS}


def find_report_date(published: Path) -> date:
    """The last day that charges reach, yesterday (UTC) at the latest. Raises `MartsError` when nothing is published."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    with open_marts(published) as marts:
        days = marts.read_charged_days()
    return min(days[1], yesterday) if days else yesterday


def read_recipients(home: Home, on_date: date) -> dict[str, list[str]]:
    """Addresses by team that hold on a day, out of the landed recipients."""
    table = DATED_FACTS["recipients"]
    with open_engine(home) as engine:
        rows = engine.execute(
            f"select distinct team_id, email from ({select_files_sql(engine, table, list_files(home, table))}) "
            "where (valid_from is null or valid_from <= $day) and (valid_to is null or valid_to > $day) order by all",
            {"day": on_date},
        ).fetchall()
    recipients: dict[str, list[str]] = {}
    for team_id, address in rows:
        recipients.setdefault(team_id, []).append(address)
    return recipients


def deliver_day(home: Home, config: EmailsConfig) -> tuple[date, EmailBatch, list[SendOutcome], list[Path]]:
    """`deliver_emails` of the day that is asked for, or of the last one that is over; the day comes first."""
    asked = config.report_date
    report_date = date.fromisoformat(asked) if asked else find_report_date(home.published_dir)
    return report_date, *deliver_emails(home, report_date, config.team_ids, send=config.send)


def deliver_emails(
    home: Home, report_date: date, team_ids: Sequence[str], *, send: bool
) -> tuple[EmailBatch, list[SendOutcome], list[Path]]:
    """Make the emails of a day, put them into the outbox, and send those that no earlier sending forbids.

    Raises `OutboxError` when asked to send without a server, `MartsError` when nothing is published.
    """
    settings = read_smtp_settings(os.environ) if send else None
    recipients: Mapping[str, Sequence[str]] = read_recipients(home, report_date)
    if team_ids:
        recipients = {team_id: recipients.get(team_id, ()) for team_id in team_ids}
    sender = settings.sender if settings else os.environ.get(f"{ENVIRONMENT_PREFIX}SENDER") or DEFAULT_SENDER
    note = describe_standing(home)
    batch = build_emails(home.published_dir, report_date, recipients, sender=sender, standing_note=note)
    records = read_sends(home)
    paths = write_emails(home.outbox_dir, batch.emails, records)
    if settings is None:
        return batch, [], paths
    return batch, send_emails(batch.emails, settings, records, lambda record: book_send(home, record)), paths


def list_troubles(batch: EmailBatch, outcomes: Sequence[SendOutcome], asked_team_ids: Sequence[str]) -> list[str]:
    """What a person must know of: refused, failed, of unknown fate, or asked for by name and not there."""
    troubles = [f"{team_id}: no email made: {why}" for team_id, why in batch.refused.items()]
    troubles += [
        f"{team_id}: no email made: the marts have no charge of this team in the 30 days up to then"
        for team_id in batch.unknown_teams
        if team_id in asked_team_ids
    ]
    troubles += [
        f"{outcome.email.team_id}: {outcome.fate.value}: {outcome.detail}"
        for outcome in outcomes
        if outcome.needs_person or outcome.fate is Fate.FAILED
    ]
    return troubles


def _describe_build(published: Path) -> dict[str, Any]:
    with open_marts(published) as marts:
        known = [through_at for through_at in marts.build.data_through.values() if through_at]
        return {"build_id": marts.build.build_id, "data_through": show_instant(min(known) if known else None)}
