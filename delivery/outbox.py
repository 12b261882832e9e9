"""The outbox: emails as files, and their sending by SMTP with a record of each one's fate.

An intent is booked before a message leaves. A message whose fate is not known (the line was cut after its text was
handed over) is never sent again by itself: it is listed for a person. Settings come from the environment:

WATTLEDGER_SMTP_HOST      the server; without it nothing can be sent
WATTLEDGER_SMTP_SENDER    the From address, "FinOps <finops@example.com>" or plain
WATTLEDGER_SMTP_PORT      587 unless told
WATTLEDGER_SMTP_SECURITY  starttls (unless told), tls, or none
WATTLEDGER_SMTP_USER      with WATTLEDGER_SMTP_PASSWORD, to log in; neither, for a relay that asks for none
"""

import hashlib
import smtplib
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.utils import parseaddr
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, cast

from delivery.email import Email

ENVIRONMENT_PREFIX: Final = "WATTLEDGER_SMTP_"
_SECURITIES: Final = ("starttls", "tls", "none")


class OutboxError(Exception):
    """The settings do not allow sending."""


class Fate(StrEnum):
    """What became of an email. Only `failed` may be tried again: the server said no before it had taken the message."""

    INTENDED = "intended"  # booked, and nothing booked since: the process died, so nobody knows
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class SmtpSettings:
    """Where and how to send."""

    host: str
    sender: str
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout_seconds: float = 30.0
    ca_file: Path | None = None  # a private authority's certificate; the system's own otherwise


@dataclass(frozen=True)
class SendRecord:
    """One line of the book of sendings: append-only, the last one of an `email_key` is its fate."""

    email_key: str
    message_id: str
    team_id: str
    report_date: date
    recipients: tuple[str, ...]
    fate: Fate
    detail: str | None
    build_id: str
    content_sha256: str
    recorded_at: datetime


@dataclass(frozen=True)
class SendOutcome:
    """What one call did with one email. `is_skipped`: an earlier record decided, nothing was sent."""

    email: Email
    fate: Fate
    is_skipped: bool
    detail: str | None

    @property
    def needs_person(self) -> bool:
        """Whether somebody must look: it may or may not have arrived."""
        return self.fate in (Fate.UNKNOWN, Fate.INTENDED)


def read_smtp_settings(environment: Mapping[str, str]) -> SmtpSettings:
    """Settings from `WATTLEDGER_SMTP_*`.

    Raises:
        OutboxError: all that is missing or wrong, at once.
    """
    given = {
        name.removeprefix(ENVIRONMENT_PREFIX).lower(): value.strip()
        for name, value in environment.items()
        if name.startswith(ENVIRONMENT_PREFIX) and value.strip()
    }
    port, security = given.get("port", "587"), given.get("security", "starttls")
    wrong = [f"{ENVIRONMENT_PREFIX}{name.upper()} is not set" for name in ("host", "sender") if name not in given]
    if not (port.isdecimal() and 0 < int(port) < 65536):
        wrong.append(f"{ENVIRONMENT_PREFIX}PORT is {port!r}, expected 1 to 65535")
    if security not in _SECURITIES:
        wrong.append(f"{ENVIRONMENT_PREFIX}SECURITY is {security!r}, expected one of {', '.join(_SECURITIES)}")
    if ("user" in given) != ("password" in given):
        wrong.append(f"{ENVIRONMENT_PREFIX}USER and {ENVIRONMENT_PREFIX}PASSWORD go together, found one")
    if "password" in given and security == "none":
        wrong.append(f"{ENVIRONMENT_PREFIX}SECURITY is none, which would send the password in the clear")
    if wrong:
        raise OutboxError("cannot send email: " + "; ".join(wrong))
    return SmtpSettings(
        host=given["host"],
        sender=given["sender"],
        port=int(port),
        security=cast('Literal["starttls", "tls", "none"]', security),
        user=given.get("user"),
        password=given.get("password"),
    )


def write_emails(outbox: Path, emails: Iterable[Email], records: Iterable[SendRecord] = ()) -> list[Path]:
    """Write each email to `outbox`/<date>/<team>.eml; the same email gives the same bytes.

    An email that left, or may have, keeps the file that left: `records` say which.
    """
    fates = _find_fates(records)
    paths = []
    for email in emails:
        path = outbox / f"{email.report_date}" / email.file_name
        paths.append(path)
        if path.exists() and fates.get(email.email_key, Fate.FAILED) is not Fate.FAILED:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.new")
        aside.write_bytes(email.content)
        aside.replace(path)
    return paths


def send_emails(
    emails: Sequence[Email],
    settings: SmtpSettings,
    records: Iterable[SendRecord],
    book: Callable[[SendRecord], None],
) -> list[SendOutcome]:
    """Send each email that no earlier record forbids, and `book` its intent before and its fate after.

    A server that cannot be reached fails all that are left, with nothing booked for those never tried. `book` must be
    durable when it returns: if it raises, nothing more is sent.
    """
    fates = _find_fates(records)
    outcomes: list[SendOutcome] = []
    client: smtplib.SMTP | None = None
    unreachable: str | None = None
    try:
        for email in emails:
            earlier = fates.get(email.email_key, Fate.FAILED)
            if earlier is not Fate.FAILED:
                reason = "sent before" if earlier is Fate.SENT else "may have been sent before; look, then decide"
                outcomes.append(SendOutcome(email, earlier, True, reason))
                continue
            if client is None and unreachable is None:
                try:
                    client = _connect(settings)
                except (OSError, smtplib.SMTPException) as error:
                    unreachable = f"{settings.host}:{settings.port}: {_explain(error)}"
            if client is None:
                outcomes.append(SendOutcome(email, Fate.FAILED, False, unreachable))
                continue
            book(_record(email, Fate.INTENDED, None))
            fate, detail, is_open = _send_one(client, email)
            book(_record(email, fate, detail))
            outcomes.append(SendOutcome(email, fate, False, detail))
            if not is_open:
                client.close()
                client = None
    finally:
        if client is not None:
            _quit(client)
    return outcomes


def _connect(settings: SmtpSettings) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=settings.ca_file)
    client: smtplib.SMTP
    if settings.security == "tls":
        client = smtplib.SMTP_SSL(settings.host, settings.port, timeout=settings.timeout_seconds, context=context)
    else:
        client = smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_seconds)
    try:
        if settings.security == "starttls":
            client.starttls(context=context)
        if settings.user is not None and settings.password is not None:
            client.login(settings.user, settings.password)
        client.ehlo_or_helo_if_needed()
    except BaseException:
        client.close()
        raise
    return client


def _send_one(client: smtplib.SMTP, email: Email) -> tuple[Fate, str | None, bool]:
    """Fate, detail, and whether the connection is still good. What fails before DATA is certain to have failed."""
    refused: list[str] = []
    try:
        code, reply = client.mail(parseaddr(email.sender)[1])
        if code != 250:
            client.rset()
            return Fate.FAILED, f"sender refused: {_show(code, reply)}", True
        for recipient in email.recipients:
            code, reply = client.rcpt(recipient)
            if code not in (250, 251):
                refused.append(f"{recipient}: {_show(code, reply)}")
        if len(refused) == len(email.recipients):
            client.rset()
            return Fate.FAILED, f"every recipient refused: {'; '.join(refused)}", True
    except (OSError, smtplib.SMTPException) as error:
        return Fate.FAILED, f"before the message was handed over: {_explain(error)}", False
    try:
        code, reply = client.data(email.content)
    except smtplib.SMTPDataError as error:
        return Fate.FAILED, f"message refused: {_show(error.smtp_code, error.smtp_error)}", False
    except (OSError, smtplib.SMTPException) as error:
        return Fate.UNKNOWN, f"the line was cut after the message was handed over: {_explain(error)}", False
    if code != 250:
        return Fate.FAILED, f"message refused: {_show(code, reply)}", False
    return Fate.SENT, f"some recipients refused: {'; '.join(refused)}" if refused else None, True


def _find_fates(records: Iterable[SendRecord]) -> dict[str, Fate]:
    """The last fate of each email key; the order of `records` does not matter."""
    # An intent and its fate may be booked within one tick of the clock, and the fate is the later of the two.
    ordered = sorted(records, key=lambda record: (record.recorded_at, record.fate is not Fate.INTENDED))
    return {record.email_key: record.fate for record in ordered}


def _record(email: Email, fate: Fate, detail: str | None) -> SendRecord:
    return SendRecord(
        email_key=email.email_key,
        message_id=email.message_id,
        team_id=email.team_id,
        report_date=email.report_date,
        recipients=email.recipients,
        fate=fate,
        detail=detail,
        build_id=email.build_id,
        content_sha256=hashlib.sha256(email.content).hexdigest(),
        recorded_at=datetime.now(UTC),
    )


def _quit(client: smtplib.SMTP) -> None:
    try:
        client.quit()
    except (OSError, smtplib.SMTPException):
        # Every fate is booked by now; a server that hangs up first has changed nothing.
        client.close()


def _explain(error: Exception) -> str:
    return str(error) or type(error).__name__


def _show(code: int, reply: bytes | str) -> str:
    return f"{code} {reply.decode(errors='replace') if isinstance(reply, bytes) else reply}"
