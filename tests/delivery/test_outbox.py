"""Sending over real SMTP on loopback: intent first, fate after, and nothing twice."""

import asyncio
import dataclasses
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from delivery.email import Email, build_emails
from delivery.outbox import Fate, OutboxError, SendRecord, SmtpSettings, read_smtp_settings, send_emails, write_emails

DAY = date(2026, 3, 10)


class Server:
    """A mail server that keeps what it takes and misbehaves on demand."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.refused_recipients: set[str] = set()
        self.answer = "250 OK"
        self.is_cut_after_data = False

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list) -> str:
        if address in self.refused_recipients:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.answer.startswith("250"):
            self.taken.append(envelope)
        if self.is_cut_after_data:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            await asyncio.sleep(0)
        return self.answer


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def server() -> Iterator[tuple[Server, SmtpSettings]]:
    handler = Server()
    port = find_free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield (
        handler,
        SmtpSettings(host="127.0.0.1", sender="w@example.com", port=port, security="none", timeout_seconds=10),
    )
    controller.stop()


@pytest.fixture(scope="module")
def emails(published: Path) -> tuple[Email, ...]:
    recipients = {"research": ["lead@example.com", "second@example.com"], "chat": ["chat@example.com"]}
    return build_emails(published, DAY, recipients, sender="wattledger <w@example.com>").emails


def list_fates(book: list[SendRecord]) -> list[tuple[str, Fate]]:
    return [(record.team_id, record.fate) for record in book]


def test_an_email_arrives_as_it_stands_in_the_outbox(
    server: tuple[Server, SmtpSettings], emails: tuple[Email, ...], tmp_path: Path
) -> None:
    handler, settings = server
    book: list[SendRecord] = []
    paths = write_emails(tmp_path, emails)
    outcomes = send_emails(emails, settings, [], book.append)
    assert [outcome.fate for outcome in outcomes] == [Fate.SENT, Fate.SENT]
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "2026-03-10/chat.eml",
        "2026-03-10/research.eml",
    ]
    # aiosmtpd takes the last line end for a part of the terminator.
    assert [envelope.original_content for envelope in handler.taken] == [path.read_bytes() for path in paths]
    assert handler.taken[1].rcpt_tos == ["lead@example.com", "second@example.com"]
    assert handler.taken[1].mail_from == "w@example.com"
    assert list_fates(book) == [
        ("chat", Fate.INTENDED),
        ("chat", Fate.SENT),
        ("research", Fate.INTENDED),
        ("research", Fate.SENT),
    ]
    assert book[0].message_id == emails[0].message_id


def test_what_was_sent_is_not_sent_again(server: tuple[Server, SmtpSettings], emails: tuple[Email, ...]) -> None:
    handler, settings = server
    book: list[SendRecord] = []
    send_emails(emails, settings, [], book.append)
    again = send_emails(emails, settings, reversed(list(book)), book.append)
    assert [(outcome.fate, outcome.is_skipped) for outcome in again] == [(Fate.SENT, True), (Fate.SENT, True)]
    assert len(handler.taken) == 2
    assert len(book) == 4


def test_a_line_cut_after_data_leaves_the_fate_unknown_for_a_person(
    server: tuple[Server, SmtpSettings], emails: tuple[Email, ...]
) -> None:
    handler, settings = server
    handler.is_cut_after_data = True
    book: list[SendRecord] = []
    (first,) = send_emails(emails[:1], settings, [], book.append)
    assert first.fate is Fate.UNKNOWN and first.needs_person
    assert "after the message was handed over" in (first.detail or "")
    handler.is_cut_after_data = False
    again = send_emails(emails, settings, book, book.append)
    assert [(outcome.fate, outcome.is_skipped, outcome.needs_person) for outcome in again] == [
        (Fate.UNKNOWN, True, True),
        (Fate.SENT, False, False),
    ]
    assert len(handler.taken) == 2


def test_one_cut_line_does_not_stop_the_next_email(
    server: tuple[Server, SmtpSettings], emails: tuple[Email, ...]
) -> None:
    handler, settings = server
    handler.is_cut_after_data = True
    outcomes = send_emails(emails, settings, [], lambda record: None)
    assert [outcome.fate for outcome in outcomes] == [Fate.UNKNOWN, Fate.UNKNOWN]
    assert len(handler.taken) == 2


def test_a_process_that_died_after_its_intent_is_for_a_person(
    server: tuple[Server, SmtpSettings], emails: tuple[Email, ...]
) -> None:
    handler, settings = server
    book: list[SendRecord] = []

    def book_and_die(record: SendRecord) -> None:
        book.append(record)
        if record.fate is not Fate.INTENDED:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send_emails(emails[:1], settings, [], book_and_die)
    (outcome,) = send_emails(emails[:1], settings, book[:1], book.append)
    assert outcome.fate is Fate.INTENDED and outcome.is_skipped and outcome.needs_person
    assert len(handler.taken) == 1


def test_nothing_is_sent_when_the_intent_cannot_be_booked(
    server: tuple[Server, SmtpSettings], emails: tuple[Email, ...]
) -> None:
    handler, settings = server

    def refuse(record: SendRecord) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        send_emails(emails, settings, [], refuse)
    assert handler.taken == []


def test_a_clear_refusal_is_failed_and_is_tried_again(
    server: tuple[Server, SmtpSettings], emails: tuple[Email, ...]
) -> None:
    handler, settings = server
    handler.answer = "451 try later"
    book: list[SendRecord] = []
    first = send_emails(emails, settings, [], book.append)
    assert [(outcome.fate, outcome.detail) for outcome in first] == [
        (Fate.FAILED, "message refused: 451 try later")
    ] * 2
    handler.answer = "250 OK"
    again = send_emails(emails, settings, book, book.append)
    assert [outcome.fate for outcome in again] == [Fate.SENT, Fate.SENT]
    assert len(handler.taken) == 2


def test_refused_recipients_are_named_and_all_of_them_refused_is_a_failure(
    server: tuple[Server, SmtpSettings], emails: tuple[Email, ...]
) -> None:
    handler, settings = server
    handler.refused_recipients = {"second@example.com", "chat@example.com"}
    chat, research = send_emails(emails, settings, [], lambda record: None)
    assert chat.fate is Fate.FAILED and "every recipient refused" in (chat.detail or "")
    assert research.fate is Fate.SENT and "second@example.com: 550" in (research.detail or "")
    assert handler.taken[0].rcpt_tos == ["lead@example.com"]


def test_a_server_that_is_down_fails_all_and_books_nothing(emails: tuple[Email, ...]) -> None:
    book: list[SendRecord] = []
    settings = SmtpSettings(host="127.0.0.1", sender="w@example.com", port=1, security="none", timeout_seconds=5)
    outcomes = send_emails(emails, settings, [], book.append)
    assert [outcome.fate for outcome in outcomes] == [Fate.FAILED, Fate.FAILED]
    assert "127.0.0.1:1" in (outcomes[0].detail or "")
    assert book == []


def test_a_sent_email_keeps_the_file_that_left(
    server: tuple[Server, SmtpSettings], emails: tuple[Email, ...], tmp_path: Path
) -> None:
    _, settings = server
    book: list[SendRecord] = []
    (path, _) = write_emails(tmp_path, emails)
    send_emails(emails[:1], settings, [], book.append)
    changed = [dataclasses.replace(made, content=b"changed") for made in emails]
    write_emails(tmp_path, changed, book)
    assert path.read_bytes() == emails[0].content
    assert (tmp_path / "2026-03-10" / "research.eml").read_bytes() == b"changed"


def test_login_goes_over_starttls_and_never_in_the_clear(
    emails: tuple[Email, ...], make_certificate: Callable[[], tuple[Path, Path]]
) -> None:
    certificate, key = make_certificate()
    handler, seen = Server(), []

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, auth: object) -> AuthResult:
        assert isinstance(auth, LoginPassword)
        seen.append((auth.login, auth.password, session.ssl is not None))
        return AuthResult(success=auth.password == b"secret", handled=False)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    port = find_free_port()
    controller = Controller(
        handler,
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=True,
        authenticator=authenticate,
        auth_required=True,
    )
    controller.start()
    settings = SmtpSettings("127.0.0.1", "w@example.com", port, user="finops", password="secret", ca_file=certificate)
    try:
        (outcome,) = send_emails(emails[:1], settings, [], lambda record: None)
        (refused,) = send_emails(emails[:1], dataclasses.replace(settings, password="no"), [], lambda record: None)
        (untrusted,) = send_emails(emails[:1], dataclasses.replace(settings, ca_file=None), [], lambda record: None)
    finally:
        controller.stop()
    assert outcome.fate is Fate.SENT
    assert refused.fate is Fate.FAILED and "535" in (refused.detail or "")
    assert untrusted.fate is Fate.FAILED and "CERTIFICATE_VERIFY_FAILED" in (untrusted.detail or "")
    assert seen[0] == (b"finops", b"secret", True)
    assert "secret" not in repr(settings)


def test_all_wrong_settings_are_named_at_once() -> None:
    environment = {"WATTLEDGER_SMTP_PORT": "smtp", "WATTLEDGER_SMTP_SECURITY": "ssl", "WATTLEDGER_SMTP_USER": "u"}
    with pytest.raises(OutboxError) as caught:
        read_smtp_settings(environment)
    for name in ("HOST is not set", "SENDER is not set", "PORT is 'smtp'", "SECURITY is 'ssl'", "go together"):
        assert name in str(caught.value)


def test_settings_are_read_and_a_password_is_refused_without_encryption() -> None:
    environment = {"WATTLEDGER_SMTP_HOST": "mail", "WATTLEDGER_SMTP_SENDER": "w@example.com"}
    assert read_smtp_settings(environment) == SmtpSettings("mail", "w@example.com", 587, "starttls")
    login = {"WATTLEDGER_SMTP_USER": "u", "WATTLEDGER_SMTP_PASSWORD": "p", "WATTLEDGER_SMTP_SECURITY": "none"}
    with pytest.raises(OutboxError, match="in the clear"):
        read_smtp_settings(environment | login)
