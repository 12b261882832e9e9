"""The HTTP client of all sources with an API, against a server that misbehaves on loopback."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest import http_client, retrying
from ingest.http_client import AnswerTooLongError, HttpClient, QuestionRefusedError, ServerError
from tests.ingest.scripted_server import Reply, ScriptedServer

TOKEN = "tok-5f1e"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    monkeypatch.setattr(retrying, "FIRST_PAUSE_SECONDS", 0.01)
    server = ScriptedServer(lambda _: Reply('{"fine":true}'))
    yield server
    server.close()


@pytest.fixture
def ask(server: ScriptedServer, tmp_path: Path) -> Any:
    def ask(**options: Any) -> bytes:
        client = HttpClient(server.location, options, tmp_path)
        try:
            return client.ask("/a", [("q", "b c&d")]).body
        finally:
            client.close()

    return ask


@pytest.mark.parametrize(
    "reply",
    [
        Reply("slow down", status=429, headers={"Retry-After": "0"}),
        Reply("slow down", status=429, headers={"Retry-After": "Thu, 01 Jan 2026 00:00:00 GMT"}),
        Reply("slow down", status=429, headers={"Retry-After": "soon"}),
        Reply("down", status=500),
        Reply("", status=503),
        Reply('{"fine":true}', cut_after_bytes=5),
        Reply('{"fine":true}', cut_after_bytes=0),
        Reply(b"\x1f\x8b broken", headers={"Content-Encoding": "gzip"}),
        Reply(""),
        Reply("<html>please wait</html>"),
    ],
    ids=lambda reply: f"{reply.status}-{reply.headers or reply.cut_after_bytes or reply.body}",
)
def test_what_may_pass_is_asked_again(server: ScriptedServer, ask: Any, reply: Reply):
    server.first = [reply, reply]
    assert ask() == b'{"fine":true}'
    assert len(server.questions) == 3
    assert server.questions[0].parameters == {"q": ["b c&d"]}


def test_it_gives_up_after_six_tries_and_says_what_to_do(server: ScriptedServer, ask: Any):
    server.answer = lambda _: Reply("overload", status=503)
    with pytest.raises(ServerError, match=r"status 503 \(overload\); asked 6 times\. Check that it is up"):
        ask()
    assert len(server.questions) == 6


def test_pauses_grow_have_jitter_and_are_no_shorter_than_asked_for(
    server: ScriptedServer, ask: Any, monkeypatch: pytest.MonkeyPatch
):
    pauses: list[float] = []
    monkeypatch.setattr(retrying, "FIRST_PAUSE_SECONDS", 0.5)
    monkeypatch.setattr("tenacity.nap.time.sleep", pauses.append)
    server.first = [Reply(status=500)] * 3 + [Reply(status=429, headers={"Retry-After": "37"})]
    ask()
    assert pauses[3] == 37
    assert all(0.5 * 2**n <= pause <= 0.5 * 2**n + 0.5 for n, pause in enumerate(pauses[:3]))
    assert len({round(pause % 0.5, 6) for pause in pauses[:3]}) > 1


def test_a_server_that_wants_a_long_pause_is_left_for_the_next_run(server: ScriptedServer, ask: Any):
    server.first = [Reply(status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(ServerError, match="left alone for 3600 s"):
        ask()
    assert len(server.questions) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_is_named_by_its_option_and_never_shown(
    server: ScriptedServer, ask: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int
):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("METRICS_TOKEN", TOKEN)
    server.answer = lambda question: Reply(f"no: {question.headers['Authorization']}", status=status)
    with pytest.raises(ServerError, match=f"status {status}: the credential of token_env") as caught:
        ask(token_env="METRICS_TOKEN")
    assert server.questions[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert len(server.questions) == 1
    assert TOKEN not in str(caught.value) + caplog.text + repr(caught.value.__cause__)
    with pytest.raises(ServerError, match=f"status {status}: no credential"):
        server.answer = lambda _: Reply("no", status=status)
        ask()


def test_a_token_that_is_renewed_in_its_file_goes_on(server: ScriptedServer, ask: Any, tmp_path: Path):
    (tmp_path / "token").write_text("old\n")

    def answer(question: Any) -> Reply:
        (tmp_path / "token").write_text("new\n")
        is_new = question.headers["Authorization"] == "Bearer new"
        return Reply('{"fine":true}') if is_new else Reply("expired", status=401)

    server.answer = answer
    assert ask(token_file="token") == b'{"fine":true}'
    assert len(server.questions) == 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"token_env": "NOT_SET_HERE"}, "NOT_SET_HERE, named by options.token_env, is not set"),
        ({"token_file": "nowhere"}, "named by options.token_file, cannot be read: No such file"),
        ({"token_file": "two-lines"}, "options.token_file names is empty or has more than one line"),
        ({"token_file": "blank"}, "options.token_file names is empty"),
        ({"token_file": "binary"}, "cannot be read: not UTF-8"),
    ],
)
def test_a_credential_that_is_not_there_is_told(ask: Any, tmp_path: Path, options: dict[str, str], told: str):
    (tmp_path / "two-lines").write_text("a\nInjected: b\n")
    (tmp_path / "blank").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"\xff")
    with pytest.raises(ServerError, match=told):
        ask(**options)


def test_a_user_and_a_tenant_are_sent(server: ScriptedServer, ask: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("METRICS_PASSWORD", "pässword")
    ask(user="finops", password_env="METRICS_PASSWORD", tenant="acme")
    headers = server.questions[0].headers
    assert headers["Authorization"] == "Basic Zmlub3BzOnDDpHNzd29yZA=="
    assert headers["X-Scope-OrgID"] == "acme"


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(status=302, headers={"Location": "https://sso.example/login?q"}), "it sends on to sso.example"),
        (Reply("nothing here", status=404), "no such address there"),
    ],
)
def test_an_address_that_is_not_the_apis_is_told_at_once(server: ScriptedServer, ask: Any, reply: Reply, told: str):
    server.answer = lambda _: reply
    with pytest.raises(ServerError, match=told):
        ask()
    assert len(server.questions) == 1


def test_a_question_that_is_refused_is_not_repeated(server: ScriptedServer, ask: Any):
    server.answer = lambda _: Reply('{"error":"too many samples"}', status=422)
    with pytest.raises(QuestionRefusedError) as caught:
        ask()
    assert (caught.value.status, len(server.questions)) == (422, 1)
    assert "too many samples" in caught.value.body


def test_an_answer_is_saved_whole_or_not_at_all(server: ScriptedServer, tmp_path: Path):
    client = HttpClient(server.location, {}, tmp_path)
    whole = '{"a":\n"' + "x" * 3_000_000 + '"}\n'
    server.answer = lambda _: Reply(whole, is_gzip=True)
    server.first = [Reply(whole, cut_after_bytes=2_500_000), Reply(status=500)]
    with (tmp_path / "saved").open("wb") as file:
        file.write(b"before ")
        size_bytes = client.save("/a", (), file, 4_000_000)
        with pytest.raises(AnswerTooLongError):
            client.save("/a", (), file, 2_000_000)
        file.write(b" after")
    saved = (tmp_path / "saved").read_bytes()
    assert saved == b"before " + whole.replace("\n", " ").encode() + b" after"
    assert size_bytes == len(whole)
    client.close()


def test_the_servers_clock_is_its_date(server: ScriptedServer, tmp_path: Path):
    server.now = datetime(2025, 6, 1, 5, 20, tzinfo=UTC)
    client = HttpClient(server.location, {}, tmp_path)
    assert client.ask("/a", ()).answered_at == server.now
    client.close()
    assert datetime.now(UTC) - http_client.read_date(None) < timedelta(seconds=5)
    assert datetime.now(UTC) - http_client.read_date("yesterday") < timedelta(seconds=5)


def test_a_server_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(retrying, "FIRST_PAUSE_SECONDS", 0.01)
    server = ScriptedServer(lambda _: Reply("{}"))
    server.close()
    with pytest.raises(ServerError, match="asked 6 times"):
        HttpClient(server.location, {"timeout_seconds": 2}, tmp_path).ask("/a", ())
