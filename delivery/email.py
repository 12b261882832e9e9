"""The daily email of one team: what it spent, what moved, what was wasted, what a request costs.

Rendering is pure: the same published marts give the same bytes, boundary and dates included.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date
from decimal import Decimal
from email.message import EmailMessage, Message
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Any, Final

import css_inline

from delivery import formats
from delivery.charts import Series, Theme, draw_stacked_days, render_png
from delivery.csv_text import write_csv
from delivery.file_names import make_file_stem
from delivery.marts import Marts, open_marts
from delivery.team_day import TeamDay, list_spending_teams, read_chargeback_rows, read_team_day
from delivery.templating import CONTROL_CHARACTERS, open_templates

DEFAULT_SENDER: Final = "wattledger <wattledger@localhost>"
CHART_COLOURS: Final = ("#0a7cb8", "#e69f00", "#0f9d78", "#cc79a7", "#6f7bd9", "#8a8f98")

_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
# Mid tones, readable on a light ground as on a dark one: a mail client may turn the ground, never the picture.
_CHART_THEME: Final = Theme(
    "#7d838c", "rgba(141,147,156,0.28)", "#8d939c", font="Liberation Sans, Arial, sans-serif", font_size=13
)


class RefusedEmailError(ValueError):
    """An email that may not be made: a recipient or a name that would forge a header."""


@dataclass(frozen=True)
class Email:
    """One finished message. `email_key` names team and day alone, so that a second making of it is recognised."""

    email_key: str
    message_id: str
    team_id: str
    report_date: date
    build_id: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    content: bytes = field(repr=False)  # RFC 5322 with CRLF, as it goes over the wire and into the outbox

    @property
    def file_name(self) -> str:
        """The name in the outbox, one per team."""
        return f"{make_file_stem(self.team_id)}.eml"


@dataclass(frozen=True)
class EmailBatch:
    """The emails of one day, and the teams that get none, with why."""

    emails: tuple[Email, ...]
    refused: Mapping[str, str]  # team -> what is wrong with its recipients or name
    unknown_teams: tuple[str, ...]  # have recipients, but no charge in 30 days: a typing error, or a team that is gone
    teams_without_recipients: tuple[str, ...]  # were charged, and nobody is told


def build_emails(
    published: Path,
    report_date: date,
    recipients: Mapping[str, Sequence[str]],
    *,
    sender: str = DEFAULT_SENDER,
    standing_note: str | None = None,
) -> EmailBatch:
    """One email for each team of `recipients` that had a charge in the 30 days up to `report_date`.

    A team whose recipients or name are hostile is refused alone; the others get theirs. `standing_note` is in each.

    Raises:
        MartsError: nothing is published.
        RefusedEmailError: `sender` is no address.
    """
    _check_address(parseaddr(sender)[1], "sender")
    emails, refused = [], {}
    with open_marts(published, standing_note=standing_note) as marts:
        spending = list_spending_teams(marts, report_date)
        for team_id in sorted(set(recipients) & set(spending)):
            try:
                emails.append(_build_email(marts, team_id, report_date, recipients[team_id], sender))
            except RefusedEmailError as error:
                refused[team_id] = str(error)
    return EmailBatch(
        emails=tuple(emails),
        refused=refused,
        unknown_teams=tuple(sorted(set(recipients) - set(spending))),
        teams_without_recipients=tuple(team_id for team_id in spending if not recipients.get(team_id)),
    )


def name_email(team_id: str, report_date: date) -> str:
    """The key of a team's email of a day, whatever build or sender makes it."""
    return f"daily.{report_date:%Y%m%d}.{_digest(team_id)}"


def render_text(facts: TeamDay, marts: Marts) -> str:
    """The text part: everything the HTML part says, in plain lines."""
    return open_templates().get_template("email.txt.j2").render(_name_facts(facts, marts))


def render_html(facts: TeamDay, marts: Marts, chart_source: str) -> str:
    """The HTML part with its styles inlined; `chart_source` is the picture's URL (`cid:…`)."""
    html = open_templates().get_template("email.html.j2").render(_name_facts(facts, marts), chart_source=chart_source)
    return css_inline.CSSInliner(keep_style_tags=False, load_remote_stylesheets=False).inline(html)


def _build_email(marts: Marts, team_id: str, report_date: date, addresses: Sequence[str], sender: str) -> Email:
    if not addresses:
        raise RefusedEmailError("no recipient; add the team to recipients.csv")
    for address in addresses:
        _check_address(address, "recipient")
    facts = read_team_day(marts, team_id, report_date)
    _check_header(facts.team_name, "team name")
    email_key = name_email(team_id, report_date)
    message_id = f"<{email_key}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    subject = f"{facts.team_name}: {formats.format_usd(facts.day_cost_usd)} on {formats.format_date(report_date)}"

    message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    message["From"] = sender
    message["To"] = ", ".join(addresses)
    message["Subject"] = subject
    message["Date"] = format_datetime(marts.build.published_at.replace(tzinfo=UTC))
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    message["X-Wattledger-Build"] = marts.build.build_id
    message.set_content(render_text(facts, marts), cte="quoted-printable")
    picture_id = f"spend.{email_key}@wattledger"
    message.add_alternative(render_html(facts, marts, f"cid:{picture_id}"), subtype="html", cte="quoted-printable")
    html = message.get_body(("html",))
    assert isinstance(html, EmailMessage)
    html.add_related(render_png(_draw_spend(facts)), "image", "png", cid=f"<{picture_id}>", disposition="inline")
    columns, rows = read_chargeback_rows(marts, team_id, report_date)
    name = re.sub(r"[^A-Za-z0-9-]+", "-", team_id).strip("-")[:60] or "team"
    file_name = f"chargeback-{name}-{report_date}.csv"
    message.add_attachment(write_csv(columns, rows), subtype="csv", filename=file_name, cte="base64")
    _fix_boundaries(message, email_key)
    return Email(
        email_key=email_key,
        message_id=message_id,
        team_id=team_id,
        report_date=report_date,
        build_id=marts.build.build_id,
        sender=sender,
        recipients=tuple(addresses),
        subject=subject,
        content=message.as_bytes(),
    )


def _group_pools(facts: TeamDay) -> list[Series]:
    """The chart's colours: the largest pools of the 30 days, and one colour for all others."""
    totals: dict[str, Decimal] = {}
    for row in facts.pool_days:
        if row.usage_date >= facts.chart_days[0]:
            totals[row.cost_pool] = totals.get(row.cost_pool, Decimal(0)) + row.effective_cost_usd
    ranked = sorted(totals, key=lambda pool: (-abs(totals[pool]), pool))
    kept = ranked if len(ranked) <= len(CHART_COLOURS) else ranked[: len(CHART_COLOURS) - 1]
    spent = {(row.usage_date, row.cost_pool): row.effective_cost_usd for row in facts.pool_days}

    def sum_pools(day: date, pools: Sequence[str]) -> Decimal | None:
        found = [spent[day, pool] for pool in pools if (day, pool) in spent]
        return sum(found, Decimal(0)) if day in facts.known_days else None

    groups = [(formats.name_pool(pool), [pool]) for pool in kept]
    if len(kept) < len(ranked):
        groups.append(("All others", ranked[len(kept) :]))
    return [
        Series(name, colour, [sum_pools(day, pools) for day in facts.chart_days])
        for (name, pools), colour in zip(groups, CHART_COLOURS, strict=False)
    ]


def _draw_spend(facts: TeamDay) -> str:
    return draw_stacked_days(
        facts.chart_days,
        _group_pools(facts),
        title=f"Spend of {facts.team_name} by day",
        theme=_CHART_THEME,
        width=572,
        height=210,
        format_axis=formats.format_short_usd,
        format_value=formats.format_usd,
    )


def _name_facts(facts: TeamDay, marts: Marts) -> dict[str, Any]:
    shown = [series for series in _group_pools(facts) if any(series.values)]
    return {"facts": facts, "build": marts.build, "legend": [(series.name, series.fill) for series in shown]}


def _fix_boundaries(message: Message, email_key: str) -> None:
    """Boundaries of our own: the library draws random ones, and the same email would differ each time."""
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"=_wattledger.{number}.{_digest(email_key)}")


def _check_address(address: str, what: str) -> None:
    if len(address) > 254 or not _ADDRESS.fullmatch(address):
        raise RefusedEmailError(f"{what} {address!r}: expected one plain address such as lead@example.com")


def _check_header(text: str, what: str) -> None:
    if CONTROL_CHARACTERS.search(text):
        raise RefusedEmailError(f"{what} {text!r}: expected one line of text, found control characters")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
