"""`wattledger run` on a small home of the synthetic company: what ends where, and what a failure leaves standing."""

import gzip
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import duckdb
import psutil
import pytest

from delivery.publish import read_build_id
from ingest.home import Home, create_home
from orchestration.dbt_runtime import DBT_EXECUTABLE, REPOSITORY, build_environment
from tests.orchestration.commands import WATTLEDGER, make_environment, read_published, run_wattledger


def published_build(home: Home) -> str | None:
    return read_build_id(home.published_dir / "marts.duckdb")


def add_requests(home: Home) -> None:
    """A log object that arrives late: the last one of a gateway once more, under another name and other ids."""
    last = max((home.path / "logs" / "gateway-a").glob("*.jsonl.gz"))
    late = gzip.decompress(last.read_bytes()).replace(b'"id":"', b'"id":"late-')
    last.with_name("late.jsonl.gz").write_bytes(gzip.compress(late))


def count_dbt_runs(home: Home) -> int:
    return len(list((home.state_dir / "dbt" / "runs").iterdir()))


def test_a_second_run_starts_no_dbt_and_changes_nothing(built_home: Home):
    before = (built_home.published_dir / "marts.duckdb").stat().st_mtime_ns, count_dbt_runs(built_home)
    report = (built_home.report_dir / "index.html").read_bytes()
    started = time.monotonic()
    again = run_wattledger("run", home=built_home)
    assert again.returncode == 0, again.stderr
    assert time.monotonic() - started < 40
    assert "Nothing had changed since the last run." in again.stdout
    after = (built_home.published_dir / "marts.duckdb").stat().st_mtime_ns, count_dbt_runs(built_home)
    assert after == before
    assert (built_home.report_dir / "index.html").read_bytes() == report


def test_the_summary_shows_rows_usd_teams_and_where_the_marts_are(built_home: Home):
    shown = run_wattledger("run", home=built_home).stdout
    providers = [line for line in shown.splitlines() if line.startswith(("| AWS", "| Microsoft", "| OpenAI"))]
    assert len(providers) == 3
    assert all(line.split("|")[-3].strip() == "0" for line in providers)
    for name in ("gateway-a", "opencost", "dcgm", "unallocated"):
        assert f"| {name} " in shown
    assert str(built_home.published_dir / "marts.duckdb") in shown
    assert "\x1b[" not in shown


def test_landed_and_quarantined_add_up_to_read_for_every_source(built_home: Home):
    shown = run_wattledger("land", home=built_home).stdout
    rows = [[cell.strip() for cell in line.split("|")] for line in shown.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 10
    for _, _name, _kind, _objects, _refused, read, landed, quarantined, *_ in rows:
        assert int(read.replace(",", "")) == int(landed.replace(",", "")) + int(quarantined.replace(",", ""))


def test_a_refused_bill_ends_with_1_and_the_rest_is_published(built_home: Home):
    before = published_build(built_home)
    bill = next((built_home.path / "exports" / "openai").glob("*/*.csv"))
    bill.write_text(bill.read_text().replace("USD", "??", 1))
    add_requests(built_home)
    result = run_wattledger("run", home=built_home)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "refused openai-focus" in result.stdout
    assert published_build(built_home) not in (None, before)
    assert "| OpenAI" in result.stdout  # the slice that the bill would have replaced stands
    doctor = run_wattledger("doctor", home=built_home)
    assert doctor.returncode == 1
    assert "wrong source openai-focus: 1 of its objects are refused whole" in doctor.stdout


def test_a_refused_config_row_alone_is_said_first_and_all_else_is_built_and_published(built_home: Home):
    before = published_build(built_home)
    owners = built_home.config_dir / "owners.csv"
    owners.write_text(owners.read_text() + "namespace,short\n")
    result = run_wattledger("run", home=built_home)
    assert result.returncode == 1, result.stdout + result.stderr
    refused = result.stdout.index("refused ")
    assert "owners.csv" in result.stdout[refused:].splitlines()[0]
    assert refused < result.stdout.index("Rows by source")
    assert published_build(built_home) not in (None, before)
    # Refused as before, and nothing to build: said first all the same.
    again = run_wattledger("run", home=built_home)
    assert again.returncode == 1
    assert again.stdout.index("refused ") < again.stdout.index("Rows by source")
    assert "Nothing had changed since the last run." in again.stdout


def test_a_company_whose_every_delivery_is_refused_is_published_empty_and_hears_why(tmp_path: Path):
    home = create_home(tmp_path / "home")
    (home.path / "bill.csv").write_text("not,a,bill\n1,2,3\n")
    home.sources_path.write_text("sources:\n  - {name: bad, kind: focus, location: bill.csv}\n")
    result = run_wattledger("run", home=home)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "refused bad" in result.stdout
    assert result.stderr == ""
    assert "No charge is published yet" in result.stdout
    assert "No charge yet" in (home.report_dir / "index.html").read_text()
    assert published_build(home)


def test_a_broken_law_stops_publishing_and_names_itself(built_home: Home):
    before = published_build(built_home)
    with duckdb.connect(str(built_home.warehouse_path)) as warehouse:
        # A dollar that no invoice has, in a period that the next build does not touch.
        warehouse.execute(
            "insert into marts.fct_cost_ledger by name "
            "select * replace (date '2020-01-01' as billing_period_start_date, date '2020-01-01' as usage_date, "
            "date '2020-01-01' as posting_period_start_date, 1 as billed_cost_usd, 1 as effective_cost_usd) "
            "from marts.fct_cost_ledger limit 1"
        )
    checked = run_wattledger("check", home=built_home)
    assert checked.returncode == 1
    assert "test assert_law_1_every_cent_once: Got 1 result, configured to fail if != 0" in checked.stderr
    assert "billing_period_start_date=2020-01-01" in checked.stderr
    add_requests(built_home)
    (built_home.path / "logs" / "gateway-b" / "torn.jsonl.gz").write_bytes(b"\x1f\x8b torn")
    result = run_wattledger("run", home=built_home)
    assert result.returncode == 1
    assert "refused gateway-b" in result.stdout  # also when the build fails
    assert "test assert_law_1_every_cent_once" in result.stderr
    assert re.search(r"new since the last good build: \S*late\.jsonl\.gz of gateway-a", result.stderr)
    assert f"Published stays build {before} of 20" in result.stderr
    assert "run again" in result.stderr
    assert "dbt.log" in result.stderr
    assert "Traceback" not in result.stderr
    assert published_build(built_home) == before
    refused = run_wattledger("publish", home=built_home)
    assert refused.returncode == 1
    assert "failed or was killed" in refused.stderr
    # What goes out meanwhile says how old it is.
    assert "The last build failed" in (built_home.report_dir / "index.html").read_text()
    assert run_wattledger("email", "--date", "2026-10-03", "--team", "research", home=built_home).returncode == 0
    email = (built_home.outbox_dir / "2026-10-03" / "research.eml").read_text()
    assert "The last build failed" in email


def find_dbt(parent: psutil.Process) -> psutil.Process | None:
    children = parent.children(recursive=True)
    return next((child for child in children if any("wattledger-dbt" in part for part in child.cmdline())), None)


def wait_until_models_are_written(home: Home, run: subprocess.Popen[str], known: set[Path]) -> psutil.Process:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert run.poll() is None, "the run ended before it could be killed"
        for folder in set((home.state_dir / "dbt" / "runs").iterdir()) - known:
            log = folder / "dbt.log"
            if log.exists() and log.read_text(errors="replace").count("OK created") > 20:
                child = find_dbt(psutil.Process(run.pid))
                assert child is not None
                return child
        time.sleep(0.1)
    raise AssertionError("dbt wrote no model within 300 s")


@pytest.mark.long
def test_after_a_kill_in_the_middle_of_dbt_the_next_run_ends_with_the_same_tables(built_home: Home):
    add_requests(built_home)
    before = published_build(built_home)
    known = set((built_home.state_dir / "dbt" / "runs").iterdir())
    run = subprocess.Popen(
        [str(WATTLEDGER), "run"], env=make_environment(built_home), stdout=subprocess.DEVNULL, stderr=None, text=True
    )
    child = wait_until_models_are_written(built_home, run, known)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    # dbt ends with its parent: what would go on writing would write a home that is free to the next run.
    _, alive = psutil.wait_procs([child], timeout=10)
    assert not alive
    assert published_build(built_home) == before

    again = run_wattledger("run", home=built_home)
    assert again.returncode == 0, again.stdout + again.stderr
    incremental = read_published(built_home)

    built_home.warehouse_path.unlink()
    anew = run_wattledger("run", home=built_home)
    assert anew.returncode == 0, anew.stdout + anew.stderr
    from_scratch = read_published(built_home)
    assert incremental.keys() == from_scratch.keys()
    for name, rows in from_scratch.items():
        assert incremental[name] == rows, name


def test_emails_of_a_day_go_to_the_outbox_and_a_team_without_recipients_is_told(built_home: Home):
    result = run_wattledger("email", "--date", "2026-10-03", "--team", "research", home=built_home)
    assert result.returncode == 0, result.stderr
    assert [path.name for path in (built_home.outbox_dir / "2026-10-03").iterdir()] == ["research.eml"]
    nobody = run_wattledger("email", "--date", "2026-10-03", "--team", "nobody", home=built_home)
    assert nobody.returncode == 1
    assert "nobody: no email made" in nobody.stdout


def test_sending_without_a_mail_server_says_which_settings_are_missing(built_home: Home):
    result = run_wattledger("email", "--date", "2026-10-03", "--send", home=built_home)
    assert result.returncode == 1
    assert "WATTLEDGER_SMTP_HOST is not set" in result.stderr


def test_the_unit_tests_of_the_models_hold(built_home: Home):
    # They are left out of a home's builds, which prove data and not code.
    command = [str(DBT_EXECUTABLE), "--no-use-colors", "test", "--select", "test_type:unit"]
    environment = make_environment() | build_environment(built_home)
    tested = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout[-5000:]
    assert "ERROR=0" in tested.stdout
    assert "PASS=0" not in tested.stdout
