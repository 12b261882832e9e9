"""The billing export asked of BigQuery's REST API by Google's own client: every month whole, once, and as it is now."""

import json
import logging
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import CredentialsWithRegionalAccessBoundary as RegionalCredentials

from ingest.billing import gcp_bigquery
from ingest.billing.gcp_bigquery import GcpBigquery
from ingest.config import ConfigError, load_sources
from ingest.contracts import DELIVERIES, GCP_BILLING_ROWS, QUARANTINE
from ingest.home import Home
from ingest.http_client import ServerError
from ingest.kinds import KINDS
from ingest.landing import count_changes, land
from ingest.landing_run import SourceReport
from tests.ingest.bigquery import REFERENCE, TABLE, FakeBigQuery, refuse, write_service_account
from tests.ingest.gcp_rows import lines, row
from tests.ingest.landed import check_counts, configure, find, query, write
from tests.ingest.scripted_server import Reply

BY_MONTH = "billing_period_date, count(*), sum(cost) group by all order by all"
SEPTEMBER, OCTOBER = date(2026, 9, 1), date(2026, 10, 1)


@pytest.fixture
def bigquery(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeBigQuery]:
    """Three rows of September and one of October, with a service account in the environment."""
    fake = FakeBigQuery()
    for hour in range(3):
        fake.add(row(cost=10 + hour, usage__amount=hour))
    fake.add(row(cost=1, invoice__month="202610", export_time="2026-10-01T09:00:00Z"), "2026-10-01")
    account = write_service_account(tmp_path / "account.json", fake.server)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account))
    monkeypatch.delenv("BIGQUERY_EMULATOR_HOST", raising=False)
    # The library would ask Google where the account may be used from.
    monkeypatch.setattr(RegionalCredentials, "_is_regional_access_boundary_lookup_required", lambda _: False)
    fast = gcp_bigquery._RETRY.with_delay(initial=0.01, maximum=0.05).with_timeout(3)
    monkeypatch.setattr(gcp_bigquery, "_RETRY", fast)
    yield fake
    fake.server.close()


def source(fake: FakeBigQuery, *options: str, location: str = TABLE) -> str:
    listed = ", ".join((f'endpoint_url: "{fake.server.location}"', *options))
    since = "" if "since" in listed else ", since: 2026-09-01"
    return f'{{name: gcp, kind: gcp_billing, location: "{location}", options: {{{listed}{since}}}}}'


def land_from(home: Home, fake: FakeBigQuery, *options: str) -> SourceReport:
    configure(home, source(fake, *options))
    return find(land(home), "gcp")


def test_every_month_lands_whole_and_only_what_changed_is_asked_again(home: Home, bigquery: FakeBigQuery):
    report = land_from(home, bigquery)
    assert report.messages == []
    assert (report.deliveries_landed, report.rows_landed) == (2, 4)
    assert query(home, GCP_BILLING_ROWS, BY_MONTH) == [(SEPTEMBER, 3, 33), (OCTOBER, 1, 1)]
    assert query(home, GCP_BILLING_ROWS, "distinct _object order by 1") == [("gcp@202609",), ("gcp@202610",)]
    assert bigquery.pulled_months == ["202609", "202610"]
    again = land_from(home, bigquery)
    assert (again.deliveries_unchanged, again.deliveries_landed, bigquery.pulled_months) == (2, 0, [])
    # A correction of September, in October.
    bigquery.add(row(cost=-12, cost_type="adjustment", export_time="2026-10-03T00:00:00Z"), "2026-10-03")
    assert count_changes(home) == {"gcp": 1}
    later = land_from(home, bigquery)
    assert (later.deliveries_landed, later.rows_landed, bigquery.pulled_months) == (1, 4, ["202609"])
    assert query(home, GCP_BILLING_ROWS, BY_MONTH) == [(SEPTEMBER, 4, 21), (OCTOBER, 1, 1)]
    check_counts(home, GCP_BILLING_ROWS)


def test_a_row_is_the_same_row_as_from_a_file(home: Home, bigquery: FakeBigQuery):
    land_from(home, bigquery)
    columns = ", ".join(name for name, _ in GCP_BILLING_ROWS.columns)
    served = query(home, GCP_BILLING_ROWS, f"{columns} where billing_period_date = '2026-10-01'")
    write(home.path / "files/000.json", lines(bigquery.rows[-1][0]), 4_000_000_000)
    configure(home, "{name: files, kind: gcp_billing, location: files/}")
    assert find(land(home), "files").messages == []
    # The file is newer than the row, and takes the month's place: a bill counts once, whichever way it comes.
    taken = query(home, GCP_BILLING_ROWS, f"{columns} where billing_period_date = '2026-10-01'")
    assert taken == served
    assert query(home, DELIVERIES, "object_uri where status = 'superseded'") == [("gcp@202610",)]
    assert query(home, GCP_BILLING_ROWS, BY_MONTH) == [(SEPTEMBER, 3, 33), (OCTOBER, 1, 1)]


def test_only_the_partitions_that_hold_a_month_are_read(home: Home, bigquery: FakeBigQuery):
    bigquery.add(row(cost=5), "2026-09-20")
    bigquery.add(row(cost=7), None)
    land_from(home, bigquery)
    assert query(home, GCP_BILLING_ROWS, BY_MONTH)[0] == (SEPTEMBER, 5, 45)
    listing, september, _ = bigquery.queries
    assert datetime.fromisoformat(listing["earliest"]).date() == date(2026, 8, 30)
    bounds = [datetime.fromisoformat(september[name]).date() for name in ("first_at", "last_at")]
    assert bounds == [date(2026, 9, 2), date(2026, 9, 20)]
    assert "_PARTITIONTIME" in september["sql"]


@pytest.mark.parametrize("partitioning", [None, {"type": "DAY", "field": "export_time"}])
def test_a_copy_of_the_table_has_the_export_time_to_go_by(
    home: Home, bigquery: FakeBigQuery, partitioning: dict[str, str] | None
):
    bigquery.partitioning = partitioning
    land_from(home, bigquery)
    assert query(home, GCP_BILLING_ROWS, BY_MONTH) == [(SEPTEMBER, 3, 33), (OCTOBER, 1, 1)]
    assert "_PARTITIONTIME" not in bigquery.queries[0]["sql"]


def test_since_and_until_bound_the_months(home: Home, bigquery: FakeBigQuery):
    land_from(home, bigquery, "since: 2026-09-15", "until: 2026-10-01")
    assert query(home, GCP_BILLING_ROWS, BY_MONTH) == [(SEPTEMBER, 3, 33)]
    land_from(home, bigquery, "since: 2026-10-02")
    assert query(home, GCP_BILLING_ROWS, BY_MONTH) == [(SEPTEMBER, 3, 33), (OCTOBER, 1, 1)]


@pytest.mark.parametrize(
    "failure",
    [
        refuse(429, "rateLimitExceeded"),
        refuse(403, "rateLimitExceeded"),
        refuse(500, "internalError"),
        refuse(502, "badGateway"),
        refuse(503, "backendError"),
        Reply("<html>bad gateway</html>", 502),
        Reply('{"jobComplete": true, "rows": [', cut_after_bytes=9),
    ],
    ids=["429", "403 rate", "500", "502", "503", "no JSON", "cut"],
)
def test_what_may_pass_is_asked_again(home: Home, bigquery: FakeBigQuery, failure: Reply):
    answer, failed = bigquery.server.answer, set()

    def fail_once_each(question: Any) -> Reply:
        kind = (question.path, bool(question.parameters.get("pageToken")))
        if question.path == "/token" or kind in failed:
            return answer(question)
        failed.add(kind)
        return failure

    bigquery.server.answer = fail_once_each
    report = land_from(home, bigquery)
    assert (report.is_stale, report.messages) == (False, [])
    assert query(home, GCP_BILLING_ROWS, BY_MONTH) == [(SEPTEMBER, 3, 33), (OCTOBER, 1, 1)]
    assert len(failed) >= 3, "the table, a query and a further page were all asked twice"


def test_an_expired_token_is_renewed(home: Home, bigquery: FakeBigQuery):
    answer = bigquery.server.answer

    def expire(question: Any) -> Reply:
        is_old = "Bearer token-1" in question.headers.values()
        return refuse(401, "authError") if is_old and question.path.endswith("/queries") else answer(question)

    bigquery.server.answer = expire
    report = land_from(home, bigquery)
    assert (report.messages, bigquery.tokens_given) == ([], 2)
    assert query(home, GCP_BILLING_ROWS, BY_MONTH) == [(SEPTEMBER, 3, 33), (OCTOBER, 1, 1)]


@pytest.mark.parametrize(
    ("failure", "mend"),
    [
        (refuse(403, "accessDenied", "Access Denied: Table"), "roles/bigquery.dataViewer"),
        (refuse(404, "notFound", "Not found: Table"), "Correct `location`"),
        (refuse(400, "invalidQuery", "Unrecognized name: invoice"), "Name the table of the billing export"),
        (refuse(503, "backendError"), "the next run goes on"),
    ],
)
def test_what_lasts_is_told_with_its_mend_and_nothing_moves(
    home: Home, bigquery: FakeBigQuery, failure: Reply, mend: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    land_from(home, bigquery)
    before = query(home, GCP_BILLING_ROWS, BY_MONTH)
    bigquery.add(row(cost=100))
    answer = bigquery.server.answer
    bigquery.server.answer = lambda question: failure if question.path.endswith("/queries") else answer(question)
    report = land_from(home, bigquery)
    assert report.is_stale
    assert mend in report.messages[0] and TABLE in report.messages[0]
    assert query(home, GCP_BILLING_ROWS, BY_MONTH) == before
    assert query(home, QUARANTINE, "count(*)") == [(1,)]
    told = f"{caplog.text}{report.messages}{query(home, QUARANTINE, 'reason')}"
    assert "PRIVATE KEY" not in told and "token-1" not in told


def test_without_credentials_it_is_said_where_they_are_looked_for(
    home: Home, bigquery: FakeBigQuery, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    report = land_from(home, bigquery)
    assert report.is_stale and "GOOGLE_APPLICATION_CREDENTIALS" in report.messages[0]


def test_an_emulator_needs_no_credentials(home: Home, bigquery: FakeBigQuery, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery.server.location)
    assert land_from(home, bigquery).rows_landed == 4
    assert bigquery.tokens_given == 0


def test_pages_that_repeat_are_no_rows(home: Home, bigquery: FakeBigQuery):
    bigquery.repeats_pages = True
    report = land_from(home, bigquery)
    assert report.is_stale and "3 rows were announced, and other ones came" in report.messages[0]
    assert query(home, GCP_BILLING_ROWS, "count(*)") == [(0,)]


def test_months_landed_before_a_failure_stand(home: Home, bigquery: FakeBigQuery):
    answer = bigquery.server.answer

    def fail_october(question: Any) -> Reply:
        is_october = question.path.endswith("/queries") and b'"202610"' in question.body
        return refuse(403, "accessDenied") if is_october else answer(question)

    bigquery.server.answer = fail_october
    assert land_from(home, bigquery).is_stale
    assert query(home, GCP_BILLING_ROWS, BY_MONTH) == [(SEPTEMBER, 3, 33)]
    bigquery.server.answer = answer
    assert not land_from(home, bigquery).is_stale
    assert query(home, GCP_BILLING_ROWS, BY_MONTH) == [(SEPTEMBER, 3, 33), (OCTOBER, 1, 1)]
    assert bigquery.pulled_months == ["202609", "202610", "202610"]


def test_rows_that_the_server_keeps_no_longer_stay_landed(home: Home, bigquery: FakeBigQuery):
    land_from(home, bigquery)
    del bigquery.rows[0]
    report = land_from(home, bigquery)
    assert "gcp@202609: 2 rows, fewer than the 3 that landed before, which are kept" in report.messages[0]
    bigquery.rows = [each for each in bigquery.rows if each[0]["invoice"]["month"] == "202610"]
    assert land_from(home, bigquery).messages == [], "old partitions expire, and are not missed"
    assert query(home, GCP_BILLING_ROWS, BY_MONTH) == [(SEPTEMBER, 3, 33), (OCTOBER, 1, 1)]


def test_a_month_with_a_row_of_unknown_cost_is_refused_whole(home: Home, bigquery: FakeBigQuery):
    land_from(home, bigquery)
    bigquery.add(row(cost=None, export_time="2026-09-05T00:00:00Z"))
    report = land_from(home, bigquery)
    assert (report.deliveries_refused, report.deliveries_unchanged) == (1, 1)
    assert query(home, GCP_BILLING_ROWS, BY_MONTH) == [(SEPTEMBER, 3, 33), (OCTOBER, 1, 1)]
    assert query(home, DELIVERIES, "object_uri where status = 'refused'") == [("gcp@202609",)]
    check_counts(home, GCP_BILLING_ROWS)
    bigquery.rows.pop()
    bigquery.add(row(cost=4, export_time="2026-09-06T00:00:00Z"))
    land_from(home, bigquery)
    assert query(home, GCP_BILLING_ROWS, BY_MONTH)[0] == (SEPTEMBER, 4, Decimal(37))


def test_doctor_asks_what_table_it_is(bigquery: FakeBigQuery):
    options = {"endpoint_url": bigquery.server.location, "since": "2026-09-01"}
    assert GcpBigquery(TABLE, options).check() == "BigQuery table of 4 rows"
    with pytest.raises(ServerError, match="expected bigquery://project/dataset/table"):
        GcpBigquery("bigquery://ml-billing/costs", options)
    with pytest.raises(ServerError, match="Correct `location`"):
        GcpBigquery("bigquery://ml-billing/costs/other", options).check()
    answer = bigquery.server.answer
    other = json.dumps({"tableReference": REFERENCE, "schema": {"fields": [{"name": "id", "type": "STRING"}]}})
    bigquery.server.answer = lambda question: Reply(other) if "tables" in question.path else answer(question)
    with pytest.raises(ServerError, match="no column billing_account_id, cost, credits, export_time, invoice in it"):
        GcpBigquery(TABLE, options).check()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["token_env: GCP_TOKEN"], "options.token_env"),
        (["re_read_hours: 5"], "no month is ever settled"),
        (["query_project: ''"], "options.query_project"),
        (["cluster: a"], "options.cluster"),
        (["since: soon"], "options.since"),
    ],
)
def test_options_that_it_does_not_have_are_refused(
    home: Home, bigquery: FakeBigQuery, options: list[str], problem: str
):
    configure(home, source(bigquery, *options))
    with pytest.raises(ConfigError, match=problem):
        load_sources(home, KINDS)
    bad = source(bigquery).replace("gcp_billing,", "focus,")
    configure(home, bad)
    with pytest.raises(ConfigError, match="no other scheme is read by focus"):
        load_sources(home, KINDS)
