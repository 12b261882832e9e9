"""SpendLogs asked of a real PostgreSQL: LiteLLM's own rows in LiteLLM's own table."""

import gzip
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from ingest import retrying
from ingest.contracts import LITELLM_REQUESTS, QUARANTINE
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.landing import LandingReport, land
from ingest.landing_run import SourceReport
from ingest.source import Window
from ingest.tokens.litellm_postgres import LitellmPostgresKind
from tests.ingest.landed import check_counts, configure, find, query
from tests.ingest.postgres import PASSWORD, connect, run_postgres

# As the proxy's Prisma schema makes it; columns that we never select are there too.
TABLE = """
create table "LiteLLM_SpendLogs" (
    request_id text primary key, call_type text not null, api_key text not null default '',
    spend double precision not null default 0, total_tokens integer not null default 0,
    prompt_tokens integer not null default 0, completion_tokens integer not null default 0,
    "startTime" timestamp(3) not null, "endTime" timestamp(3) not null, request_duration_ms integer,
    "completionStartTime" timestamp(3), model text not null default '', model_id text default '',
    model_group text default '', custom_llm_provider text default '', api_base text default '', "user" text default '',
    metadata jsonb default '{}', cache_hit text default '', cache_key text default '', request_tags jsonb default '[]',
    team_id text, organization_id text, end_user text, requester_ip_address text, messages jsonb default '{}',
    response jsonb default '{}', session_id text, litellm_call_id text, status text, mcp_namespaced_tool_name text,
    agent_id text, proxy_server_request jsonb default '{}', updated_at timestamp(3) not null default now()
)
"""
DAY = datetime(2025, 6, 1)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with run_postgres() as port:
        yield port


@pytest.fixture
def database(port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    """A database of LiteLLM's, and the password in the environment."""
    monkeypatch.setattr(retrying, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("LITELLM_PASSWORD", PASSWORD)
    with connect(port) as server:
        server.execute("drop database if exists litellm with (force)")
        server.execute("create database litellm")
    with connect(port, "litellm") as connection:
        connection.execute(TABLE)
        yield connection


def source(port: int, *options: str) -> str:
    listed = ", ".join(("user: finops", "password_env: LITELLM_PASSWORD", *options))
    return f'{{name: gateway, kind: litellm, location: "postgresql://127.0.0.1:{port}/litellm", options: {{{listed}}}}}'


def insert(connection: psycopg.Connection, **values: Any) -> None:
    columns = ", ".join(f'"{name}"' for name in values)
    places = ", ".join(["%s"] * len(values))
    rows = [Jsonb(value) if isinstance(value, dict | list) else value for value in values.values()]
    connection.execute(f'insert into "LiteLLM_SpendLogs" ({columns}) values ({places})', rows)  # type: ignore[arg-type]


def insert_request(connection: psycopg.Connection, request_id: str, hour: float, **values: Any) -> None:
    start = DAY + timedelta(hours=hour)
    common = {"call_type": "acompletion", "model": "gpt-4o", "status": "success", "startTime": start, "endTime": start}
    counts = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110, "spend": 0.001}
    insert(connection, request_id=request_id, **{**common, **counts, **values})


def land_gateway(home: Home) -> SourceReport:
    report: LandingReport = land(home, only_sources=["gateway", "file"])
    return find(report, "gateway")


class FixedClock:
    """The kind's server with a clock of the test's choosing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = DAY.replace(tzinfo=UTC)
        self.pulled: list[str] = []
        connect_to = LitellmPostgresKind.connect

        def connect_with_clock(kind: LitellmPostgresKind, *arguments: Any) -> Any:
            server = connect_to(kind, *arguments)
            pull = server.pull

            def note(window: Window, target: Path) -> None:
                self.pulled.append(f"{window.start:%H}")
                pull(window, target)

            monkeypatch.setattr(server, "read_clock", lambda: self.now)
            monkeypatch.setattr(server, "pull", note)
            return server

        monkeypatch.setattr(LitellmPostgresKind, "connect", connect_with_clock)

    def set(self, hour: float) -> None:
        self.now = DAY.replace(tzinfo=UTC) + timedelta(hours=hour)
        self.pulled.clear()


def test_litellms_own_rows_land_as_from_its_own_file(
    home: Home, database: psycopg.Connection, port: int, shared_data: Path
):
    path = shared_data / "litellm_generated_logs" / "spend_logs.jsonl.gz"
    with gzip.open(path, "rt") as lines:
        records = [json.loads(line) for line in lines]
    kept = {row[0] for row in database.execute("select column_name from information_schema.columns").fetchall()}
    for record in records:
        values = {name: value for name, value in record.items() if name in kept and value is not None}
        for name in ("metadata", "request_tags", "messages", "response", "proxy_server_request"):
            if isinstance(values.get(name), str):
                values[name] = json.loads(values[name] or "{}")
        insert(database, **values)
    configure(
        home,
        source(port, "since: 2026-05-04", "until: 2026-05-11"),
        f'{{name: file, kind: litellm, location: "{path}"}}',
    )
    report = land_gateway(home)
    assert (report.rows_landed, report.rows_quarantined, report.deliveries_refused) == (700, 0, 0)
    columns = [name for name, _ in KINDS["litellm"].table.columns]
    # The table keeps milliseconds, and has 0 where the file has no spend.
    told = {
        "ended_at": "date_trunc('second', ended_at)",
        "first_token_at": "date_trunc('second', first_token_at)",
        "gateway_cost_usd": "coalesce(gateway_cost_usd, 0)",
    }
    select = ", ".join(told.get(name, name) for name in columns)
    rows = {
        name: query(home, LITELLM_REQUESTS, f"{select} where _source = '{name}' order by request_id")
        for name in ("gateway", "file")
    }
    assert len(rows["gateway"]) == 700
    assert rows["gateway"] == rows["file"]
    total = sum(record["spend"] or 0 for record in records)
    landed = query(home, LITELLM_REQUESTS, "sum(gateway_cost_usd), sum(total_tokens) where _source = 'gateway'")
    assert float(landed[0][0]) == pytest.approx(total)
    assert landed[0][1] == sum(record["total_tokens"] for record in records)
    check_counts(home, LITELLM_REQUESTS)


def test_hours_are_pulled_anew_only_where_their_rows_changed(
    home: Home, database: psycopg.Connection, port: int, monkeypatch: pytest.MonkeyPatch
):
    clock = FixedClock(monkeypatch)
    for hour in range(6):
        insert_request(database, f"r{hour}", hour + 0.5)
    configure(home, source(port, "since: 2025-06-01"))
    clock.set(6)
    land_gateway(home)
    assert sorted(clock.pulled) == ["00", "01", "02", "03", "04", "05"]
    clock.set(7)
    insert_request(database, "late", 2.25)
    update = "update \"LiteLLM_SpendLogs\" set spend = 0.5, updated_at = now() where request_id = 'r4'"
    database.execute(update)
    report = land_gateway(home)
    assert sorted(clock.pulled) == ["02", "04", "06"]
    assert (report.deliveries_landed, report.deliveries_unchanged) == (3, 4)
    costs = query(home, LITELLM_REQUESTS, "request_id, gateway_cost_usd::double order by 1")
    assert costs == [("late", 0.001), *((f"r{hour}", 0.5 if hour == 4 else 0.001) for hour in range(6))]
    clock.set(51)  # hour 02 ended 48 hours ago: it is settled, 03 is not
    land_gateway(home)
    clock.set(51)
    insert_request(database, "too late", 2.75)
    insert_request(database, "in time", 3.75)
    land_gateway(home)
    assert clock.pulled == ["03"]
    check_counts(home, LITELLM_REQUESTS)


def test_rows_that_retention_deleted_stand(
    home: Home, database: psycopg.Connection, port: int, monkeypatch: pytest.MonkeyPatch
):
    clock = FixedClock(monkeypatch)
    insert_request(database, "a", 0.5)
    insert_request(database, "b", 0.6)
    configure(home, source(port, "since: 2025-06-01"))
    clock.set(1)
    land_gateway(home)
    database.execute("delete from \"LiteLLM_SpendLogs\" where request_id = 'a'")
    report = land_gateway(home)
    assert query(home, LITELLM_REQUESTS, "request_id order by 1") == [("a",), ("b",)]
    assert "gateway@2025-06-01T00:00Z: 1 rows, fewer than landed before, which are kept" in report.messages[-1]


def test_prompts_and_addresses_are_never_asked_for(home: Home, database: psycopg.Connection, port: int):
    secret = {"content": "my secret prompt"}
    insert_request(
        database,
        "r",
        0.5,
        messages=[secret],
        response=secret,
        proxy_server_request=secret,
        requester_ip_address="203.0.113.7",
        metadata={
            "requester_metadata": secret,
            "user_api_key_alias": "search",
            "spend_logs_metadata": {"ticket": "T-1"},
        },
    )
    server = LitellmPostgresKind().connect(
        f"postgresql://127.0.0.1:{port}/litellm", {"user": "finops", "password_env": "LITELLM_PASSWORD"}, home.path
    )
    start = DAY.replace(tzinfo=UTC)
    server.pull(Window(start, start + timedelta(hours=1)), home.path / "pulled")
    text = (home.path / "pulled").read_text()
    assert json.loads(text)["metadata"] == {"user_api_key_alias": "search", "spend_logs_metadata": {"ticket": "T-1"}}
    assert "secret" not in text and "203.0.113.7" not in text


def test_an_older_table_has_fewer_columns_and_text_is_kept_whole(home: Home, database: psycopg.Connection, port: int):
    for column in ("updated_at", "status", "litellm_call_id", "metadata", "agent_id", "mcp_namespaced_tool_name"):
        database.execute(f'alter table "LiteLLM_SpendLogs" drop column {column}')  # type: ignore[arg-type]
    database.execute('alter table "LiteLLM_SpendLogs" alter column "startTime" type timestamptz')
    database.execute('create schema proxy; alter table "LiteLLM_SpendLogs" set schema proxy')
    database.execute("set search_path to proxy")
    odd = 'line\nbreak "quoted" \\ ü'
    start = datetime(2025, 6, 1, 23, 30, tzinfo=UTC)
    insert(
        database,
        **{"request_id": odd, "call_type": "acompletion", "model": "m", "startTime": start, "endTime": DAY},
        **{"prompt_tokens": 5, "total_tokens": 5},
    )
    database.execute('update "LiteLLM_SpendLogs" set "endTime" = %s', [start.replace(tzinfo=None)])
    configure(home, source(port, "since: 2025-06-01", "until: 2025-06-02", "schema: proxy"))
    report = land_gateway(home)
    assert report.rows_quarantined == 0
    rows = query(home, LITELLM_REQUESTS, "request_id, started_at, ended_at, prompt_tokens")
    assert rows == [(odd, start.replace(tzinfo=None), start.replace(tzinfo=None), 5)]


def test_a_bad_row_is_refused_alone(home: Home, database: psycopg.Connection, port: int):
    insert_request(database, "good", 0.1)
    insert_request(database, "negative", 0.2, prompt_tokens=-5)
    insert_request(database, "nan", 0.3, spend=float("nan"))
    insert_request(database, "on the hour", 1)
    configure(home, source(port, "since: 2025-06-01", "until: 2025-06-02"))
    report = land_gateway(home)
    assert (report.rows_landed, report.rows_quarantined, report.deliveries_landed) == (2, 2, 24)
    assert query(home, QUARANTINE, "object_uri, position, field order by position") == [
        ("gateway@2025-06-01T00:00Z", 2, "prompt_tokens"),
        ("gateway@2025-06-01T00:00Z", 3, "spend"),
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("LITELLM_PASSWORD", "NOT_SET_HERE"), "NOT_SET_HERE, named by options.password_env, is not set"),
        (("LITELLM_PASSWORD", "WRONG_PASSWORD"), "password authentication failed"),
        (("/litellm", "/nowhere"), 'database "nowhere" does not exist'),
        (("since:", "table: Other, since:"), "no such table in"),
        (("since:", "table: plain, since:"), "no column startTime, model in"),
        (("since:", "ca_file: ca.pem, since:"), "server does not support SSL"),
    ],
)
def test_what_will_not_pass_is_told_at_once_without_the_password(
    home: Home,
    database: psycopg.Connection,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    change: tuple[str, str],
    told: str,
):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("WRONG_PASSWORD", "hunter2")
    monkeypatch.setattr(retrying, "FIRST_PAUSE_SECONDS", 60)  # a second try would not end
    database.execute("create table plain (request_id text)")
    configure(home, source(port, "since: 2025-06-01").replace(*change))
    (home.path / "ca.pem").write_text("")
    report = land_gateway(home)
    assert report.is_stale and told in report.messages[-1]
    assert "hunter2" not in report.messages[-1] + caplog.text and PASSWORD not in report.messages[-1] + caplog.text


def test_a_session_that_is_cut_is_opened_again(home: Home, database: psycopg.Connection, port: int):
    insert_request(database, "r", 0.5)
    server = LitellmPostgresKind().connect(
        f"postgresql://127.0.0.1:{port}/litellm", {"user": "finops", "password_env": "LITELLM_PASSWORD"}, home.path
    )
    start = DAY.replace(tzinfo=UTC)
    tries: list[int] = []

    def cut_once(session: psycopg.Connection) -> str:
        tries.append(session.info.backend_pid)
        if len(tries) == 1:
            database.execute("select pg_terminate_backend(%s)", [tries[0]])
        row = session.execute('select count(*) from "LiteLLM_SpendLogs"').fetchone()
        assert row is not None
        return str(row[0])

    assert server._ask(cut_once) == "1"
    assert len(tries) == 2
    assert server.peek(Window(start, start + timedelta(hours=1))) is not None


def test_a_server_that_is_down_is_tried_again_and_the_source_is_stale(home: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(retrying, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("LITELLM_PASSWORD", PASSWORD)
    configure(home, source(9, "since: 2025-06-01"))
    report = land_gateway(home)
    assert report.is_stale and "asked 6 times" in report.messages[-1]
