"""What the doctor says of sources that are servers."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import duckdb
import pytest
from rich.console import Console

from ingest import retrying
from ingest.home import create_home
from ingest.landing import land
from orchestration import sensors
from orchestration.assets.delivery import read_data_through
from orchestration.doctor import Finding, State, examine_home
from orchestration.run_summary import print_sources
from tests.ingest.landed import configure, write
from tests.ingest.scripted_server import Question, Reply, ScriptedServer


def examine(tmp_path: Path, *sources: str) -> list[Finding]:
    home = create_home(tmp_path / "home")
    configure(home, *sources)
    return list(examine_home(home))


def gpus(location: str, options: str) -> str:
    return f'{{name: gpus, kind: dcgm_prometheus, location: "{location}", options: {{{options}}}}}'


OWNERS = (
    "rule_id,match_on,match_key,match_value,team_id,team_name,cost_center_id,environment,priority,valid_from,valid_to"
)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (["b,tag,team,ml,vision,,,,1,,", "a,tag,team,ml,speech,,,,1,2026-10-01,"], True),
        (["b,tag,team,ml,vision,,,,1,,2026-10-01", "a,tag,team,ml,speech,,,,1,2026-10-01,"], False),
        (["b,tag,team,ml,vision,,,,1,,", "a,tag,team,ml,speech,,,,2,,"], False),
        (["b,tag,team,ml,vision,,,,1,,", "a,tag,team,ml,vision,,,,1,,"], False),
    ],
    ids=["one claim, two teams", "one after the other", "ranked", "of one team"],
)
def test_rules_that_claim_the_same_for_two_teams_are_told(tmp_path: Path, rules: list[str], told: bool):
    home = create_home(tmp_path / "home")
    (home.config_dir / "owners.csv").write_text("\n".join([OWNERS, *rules, ""]))
    texts = [item.text for item in examine_home(home) if item.state is State.NOTE and item.area == "config"]
    expected = (
        "owners.csv lines 3 and 2: rules a and b claim the same charges for speech and vision with priority 1; "
        "a has them, its id being first"
    )
    assert texts == ([expected] if told else [])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("step_seconds: 60", "options.since (line 3): found nothing; allowed: the first day to read"),
        ("since: 2026-02-30", "options.since (line 3): found '2026-02-30'; allowed: the first day"),
        ("since: 2026-10-01, until: soon", "options.until (line 3): found 'soon'; allowed: the day after the last"),
        ("since: 2026-10-01, step_seconds: 7", "options.step_seconds (line 3): found 7; allowed: whole seconds from 1"),
        ("since: 2026-10-01, step_second: 60", "found an unknown option; allowed: "),
        ("since: 2026-10-01, metrics: 'a'", "options.metrics (line 3): found 'a'; allowed: a list of DCGM field"),
        ("since: 2026-10-01, selector: 'a=b'", "options.selector (line 3): found 'a=b'; allowed: label matchers"),
        ("""since: 2026-10-01, selector: 'a="b"} or {c="d"'""", "allowed: label matchers"),
        ("since: 2026-10-01, replica_labels: [a b]", "allowed: a list of label names"),
        ("since: 2026-10-01, cluster: 7", "options.cluster (line 3): found 7; allowed: a text"),
        ("since: 2026-10-01, re_read_hours: -1", "found -1; allowed: a number from 0 to 8760"),
        ("since: 2026-10-01, timeout_seconds: 0", "found 0; allowed: a number from 1 to 3600"),
        ("since: 2026-10-01, token_env: 'ey-hunter2'", "options.token_env (line 3): found another text; allowed: the"),
        ("since: 2026-10-01, token: hunter2", "no token: keys come from the environment or from files"),
        ("since: 2026-10-01, password: hunter2", "no password: keys come from the environment or from files"),
        ("since: 2026-10-01, password_env: P", "found one without the other; allowed: user with password_env"),
        ("since: 2026-10-01, token_env: A, token_file: b", "options.token_file (line 3): found a second credential"),
        ('since: 2026-10-01, tenant: "a\\nb"', "options.tenant (line 3): found 'a\\nb'; allowed: a text"),
    ],
)
def test_a_servers_options_are_checked_with_key_and_line(tmp_path: Path, options: str, told: str):
    (config,) = [item for item in examine(tmp_path, gpus("http://127.0.0.1:9", options)) if item.state is State.WRONG][
        :1
    ]
    assert config.area == "config"
    assert told in config.text
    assert "hunter2" not in config.text


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (gpus("http://me:hunter2@metrics:9090", "since: 2026-10-01"), "found another address; allowed: http://host"),
        (gpus("http://metrics:9090?x=1", "since: 2026-10-01"), "found another address; allowed: http://host"),
        (gpus("postgresql://db/litellm", "since: 2026-10-01"), "found 'postgresql'; allowed: a path"),
        ('{name: bills, kind: focus, location: "https://bills"}', "no other scheme is read by focus"),
        ('{name: bills, kind: focus, location: "ftp://bills"}', "no other scheme is read"),
    ],
)
def test_an_address_that_the_kind_cannot_ask_is_refused(tmp_path: Path, source: str, told: str):
    config = next(item for item in examine(tmp_path, source) if item.state is State.WRONG)
    assert config.area == "config" and "location (line 3)" in config.text and told in config.text
    assert "hunter2" not in config.text


def test_a_server_that_answers_is_fine_and_one_that_does_not_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(retrying, "FIRST_PAUSE_SECONDS", 0.01)

    def answer(question: Question) -> Reply:
        data = '{"version":"2.53.1"}' if question.path.endswith("buildinfo") else "{}"
        return Reply(f'{{"status":"success","data":{data}}}')

    server = ScriptedServer(answer)
    source = gpus(f"{server.location}/prometheus/", "since: 2026-10-01")
    (finding,) = [item for item in examine(tmp_path, source) if item.area == "source gpus" and "answers" in item.text]
    assert finding == Finding("source gpus", State.FINE, f"{server.location}/prometheus/: Prometheus 2.53.1 answers")
    assert {item.path for item in server.questions} == {
        "/prometheus/api/v1/query",
        "/prometheus/api/v1/status/buildinfo",
    }
    server.answer = lambda _: Reply("no", status=403)
    (finding,) = [
        item for item in examine(tmp_path, source) if item.area == "source gpus" and item.state is State.WRONG
    ]
    assert "status 403: no credential is not enough" in finding.text
    server.close()


def test_windows_without_rows_are_told_by_the_doctor_and_the_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def answer(question: Question) -> Reply:
        data = "[]" if question.path.endswith("values") else "{}"
        return Reply(f'{{"status":"success","data":{data}}}')

    server = ScriptedServer(answer)
    server.now = datetime(2025, 6, 1, 3, 30, tzinfo=UTC)
    home = create_home(tmp_path / "home")
    configure(home, gpus(server.location, "since: 2025-06-01"))
    land(home, only_sources=["gpus"])
    server.close()
    told = "4 of its objects or windows have no rows, last gpus@2025-06-01T03:00Z"
    monkeypatch.setattr(retrying, "FIRST_PAUSE_SECONDS", 0.01)
    notes = [item.text for item in examine_home(home) if item.area == "source gpus" and item.state is State.NOTE]
    assert told in notes
    console = Console(file=StringIO(), width=200)
    print_sources(console, home)
    assert f"gpus: {told}" in console.file.getvalue()  # type: ignore[attr-defined]


def test_prices_that_a_catalogue_states_otherwise_are_told_with_the_line_that_takes_them(tmp_path: Path):
    home = create_home(tmp_path / "home")
    with duckdb.connect(str(home.warehouse_path)) as warehouse:
        warehouse.execute(
            """create schema intermediate; create table intermediate.int_tokens__price_disagreements as
            select 'litellm' as catalogue_name, date '2026-10-02' as catalogue_date, 'openai' as gateway_provider,
                'gpt-' || n as gateway_model, 'output' as token_class, 0 as tier_start_tokens,
                'genai-prices 0.2.3' as price_book, 10::decimal(18, 9) as book_usd_per_mtok,
                12.5::decimal(18, 9) as catalogue_usd_per_mtok, n * 1_000_000 as used_tokens,
                (n * 2.5)::decimal(18, 9) as exposure_usd, n = 7 as has_own_price
            from range(8) as numbers(n)"""
        )
    (found,) = [item for item in examine_home(home) if item.area == "prices"]
    first, *others = found.text.splitlines()
    assert first == (
        "openai/gpt-6 output: 10 USD per million in genai-prices 0.2.3, 12.5 in litellm of 2026-10-02: +15.00 USD for "
        "the 6,000,000 tokens of thirty days"
    )
    assert others[-1] == "and 2 more in int_tokens__price_disagreements"
    assert found.mend.endswith("price_overrides.csv: openai,gpt-6,output,12.5,2026-10-02,,litellm")


def test_prices_and_factors_are_never_late_and_make_nobody_else_late(tmp_path: Path):
    home = create_home(tmp_path / "home")
    started = datetime.now(UTC) - timedelta(hours=1)
    job = {"submission_id": "a", "status": "RUNNING", "start_time": int(started.timestamp() * 1000)}
    write(home.path / "jobs.json", json.dumps([job]))
    next_year = datetime.now(UTC).year + 1
    hour = f"{next_year}-12-31T22:00:00Z,{next_year}-12-31T23:00:00Z"
    write(home.path / "ahead.csv", f"zone,ts_start,ts_end,price_per_mwh,currency\nDE,{hour},80,EUR\n")
    write(home.path / "states.csv", "description,units,cost\nVA,cents per kilowatthour,8.5\n")
    configure(
        home,
        "{name: jobs, kind: ray_jobs, location: jobs.json}",
        "{name: ahead, kind: electricity_prices, location: ahead.csv}",
        "{name: states, kind: electricity_prices, location: states.csv, options: {year: 2017}}",
    )
    land(home)
    told = [item for item in examine_home(home) if item.area.startswith("source ")]
    assert [item.text for item in told if item.state is not State.FINE] == []
    assert list(read_data_through(home)) == ["jobs"]


def test_the_sensor_hears_of_a_server_once_an_hour(tmp_path: Path):
    home = create_home(tmp_path / "home")
    hours = {f"{datetime.now(UTC) + timedelta(seconds=seconds):%Y-%m-%dT%H}" for seconds in (-1, 0, 1)}
    assert sensors._fingerprint_location("https://metrics:9090", {}, home) in hours
