"""The daily email: hand-worked numbers, the same bytes each time, and hostile text that stays text."""

import csv
import dataclasses
import email
import email.policy
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import duckdb
import pytest

from delivery.csv_text import write_csv
from delivery.email import EmailBatch, RefusedEmailError, build_emails, name_email
from delivery.marts import Marts
from delivery.publish import publish
from delivery.team_day import read_team_day

DAY = date(2026, 3, 10)
RECIPIENTS = {"research": ["lead@example.com", "second@example.com"]}
MINUS = "\N{MINUS SIGN}"


def parse(batch: EmailBatch, index: int = 0) -> EmailMessage:
    message = email.message_from_bytes(batch.emails[index].content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def read_part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert isinstance(part, EmailMessage)
    return part.get_content().replace("\r\n", "\n")


GOLDEN_TEXT = f"""\
Research | Tue 10 Mar 2026
========================================================================

Spent this day                     $140.00
  against the day before           +$20.00
  against 7-day average            +$37.14
Month to date                    $1,060.00
  billed, same charges           $1,060.00
  share estimated                     3.3%

WHAT MOVED, against the day before
Amazon EC2 (Cluster nodes)                        $130.25        +$30.25
Amazon EC2 (Credit)                                {MINUS}$5.75         {MINUS}$5.75
Amazon Bedrock (LLM APIs)                          $15.50         {MINUS}$4.50

WHAT WAS WASTED
GPU held idle: notebooks/ana                       12.5 h         $25.00
    -> Stop the notebook when it idles
GPU held idle: GPU-2                                2.0 h              \N{EN DASH}
    no USD: no price

UNIT COSTS, by model
claude-sonnet-4-5                    1,000 req      $0.0155        $7.75
house-llama                             40 req            \N{EN DASH}            \N{EN DASH}
(USD per request, then USD per 1M tokens, over the requests that have a price)

------------------------------------------------------------------------
gateway reaches 2026-03-10 18:00 UTC: this day can still change.
Effective USD, UTC days. The rows behind this are attached as CSV.
Build b1, published 2026-03-11 06:00 UTC.
"""


def test_the_text_part_says_the_hand_worked_numbers(published: Path) -> None:
    assert read_part(parse(build_emails(published, DAY, RECIPIENTS)), "plain") == GOLDEN_TEXT


def test_the_html_part_says_the_same_numbers_with_styles_inlined(published: Path) -> None:
    html = read_part(parse(build_emails(published, DAY, RECIPIENTS)), "html")
    for text in (
        "$140.00",
        "+$20.00",
        "+$37.14",
        "$1,060.00",
        "3.3%",
        "$25.00",
        "$0.0155",
        "$7.75",
        "no USD: no price",
    ):
        assert text in html
    assert "prefers-color-scheme: dark" in html
    assert 'class="hero" style="' in html
    assert "http" not in html.replace("http-equiv", "")


def test_the_parts_are_html_with_one_picture_text_and_csv(published: Path) -> None:
    message = parse(build_emails(published, DAY, RECIPIENTS))
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "text/csv",
    ]
    picture = next(part for part in message.walk() if part.get_content_type() == "image/png")
    assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in read_part(message, "html")
    payload = picture.get_payload(decode=True)
    assert isinstance(payload, bytes) and payload.startswith(b"\x89PNG")


def test_the_csv_holds_the_teams_rows_of_the_month(published: Path) -> None:
    (attachment,) = parse(build_emails(published, DAY, RECIPIENTS)).iter_attachments()
    assert attachment.get_filename() == "chargeback-research-2026-03-10.csv"
    rows = list(csv.DictReader(io.StringIO(attachment.get_content())))
    assert len(rows) == 13
    assert {row["team_id"] for row in rows} == {"research"}
    assert rows[-1]["cost_pool"] == "llm_api"
    assert rows[-1]["effective_cost_usd"] == "15.500000000"
    assert rows[-1]["list_cost_usd"] == ""


def test_a_note_of_what_stands_is_in_both_parts(published: Path) -> None:
    note = "The last build failed: these figures are as of 2026-10-03 06:10 UTC."
    message = parse(build_emails(published, DAY, RECIPIENTS, standing_note=note))
    assert note in " ".join(read_part(message, "plain").split())
    assert note in read_part(message, "html")


def test_the_same_marts_give_the_same_bytes(published: Path) -> None:
    assert build_emails(published, DAY, RECIPIENTS) == build_emails(published, DAY, RECIPIENTS)


def test_the_message_id_is_of_team_and_day_whatever_build_made_it(
    warehouse: Path, published: Path, tmp_path: Path
) -> None:
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("update marts.fct_chargeback_daily set effective_cost_usd = effective_cost_usd * 2")
    later = tmp_path / "later"
    publish(warehouse, later, build_id="b2", data_through={}, published_at=datetime(2026, 3, 12, tzinfo=UTC))
    (first,) = build_emails(published, DAY, RECIPIENTS).emails
    (second,) = build_emails(later, DAY, {"research": ["other@example.com"]}).emails
    assert first.content != second.content
    assert first.message_id == second.message_id == f"<{name_email('research', DAY)}@localhost>"
    assert name_email("research", DAY) != name_email("research", DAY + timedelta(days=1))
    message = parse(build_emails(published, DAY, RECIPIENTS))
    assert message["Message-ID"] == first.message_id
    assert message["Date"] == "Wed, 11 Mar 2026 06:00:00 +0000"
    assert message["To"] == "lead@example.com, second@example.com"
    assert message["Subject"] == "Research: $140.00 on Tue 10 Mar 2026"


def test_teams_that_get_no_email_are_named_with_why(published: Path) -> None:
    recipients = {"research": ["lead@example.com"], "reserch": ["typo@example.com"], "chat": ["not an address"]}
    batch = build_emails(published, DAY, recipients)
    assert [made.team_id for made in batch.emails] == ["research"]
    assert batch.unknown_teams == ("reserch",)
    assert batch.teams_without_recipients == ("unallocated",)
    assert "recipient 'not an address'" in batch.refused["chat"]


@pytest.mark.parametrize(
    "address",
    [
        "lead@example.com\r\nBcc: all@example.com",
        "lead@example.com, all@example.com",
        "Lead <lead@example.com>",
        "lead@example.com\n",
        "löad@example.com",
        "@example.com",
        "",
    ],
)
def test_an_address_that_would_forge_a_header_is_refused_and_the_others_go(published: Path, address: str) -> None:
    batch = build_emails(published, DAY, {"research": [address], "chat": ["chat@example.com"]})
    assert [made.team_id for made in batch.emails] == ["chat"]
    assert "expected one plain address" in batch.refused["research"]


def test_a_sender_that_is_no_address_stops_all(published: Path) -> None:
    with pytest.raises(RefusedEmailError, match="sender"):
        build_emails(published, DAY, RECIPIENTS, sender="finance")


def test_a_team_name_with_a_line_break_is_refused(warehouse: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(
            "update marts.dim_teams set team_name = ? where team_id = 'research'", ["R\r\nBcc: x@y.example"]
        )
    publish(warehouse, tmp_path / "out", build_id="b1", data_through={})
    batch = build_emails(tmp_path / "out", DAY, RECIPIENTS)
    assert batch.emails == ()
    assert "found control characters" in batch.refused["research"]


def test_hostile_text_is_escaped_in_html_and_kept_on_its_line_in_text(
    publish_charges: Callable[[list[tuple[date, str, str, str, str, bool]]], Path],
) -> None:
    hostile = "<script>alert(1)</script>\r\nMonth to date   $0.00"
    out = publish_charges([(DAY, "research", "llm_api", hostile, "5", False)])
    message = parse(build_emails(out, DAY, RECIPIENTS))
    assert "<script" not in read_part(message, "html")
    assert "&lt;script&gt;" in read_part(message, "html")
    lines = read_part(message, "plain").splitlines()
    assert [line for line in lines if line.startswith("Month to date")] == [
        "Month to date                        $5.00"
    ]


def test_hostile_findings_and_sources_forge_no_line(warehouse: Path, tmp_path: Path) -> None:
    forged = "stop it\r\nMonth to date   $0.00\u2028Build b9"
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("update marts.fct_waste set recommended_action = ?", [forged])
    publish(warehouse, tmp_path / "out", build_id="b1", data_through={forged: None})
    lines = read_part(parse(build_emails(tmp_path / "out", DAY, RECIPIENTS)), "plain").splitlines()
    assert len([line for line in lines if line.startswith("Month to date")]) == 1
    assert len([line for line in lines if line.startswith("Build ")]) == 1


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_a_text_cell_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    rows = list(csv.reader(io.StringIO(write_csv(["team_id", "usd"], [[text, -5]]), newline="")))
    assert rows == [["team_id", "usd"], [f"'{text}", "-5"]]


def test_a_hostile_team_id_stays_inside_the_outbox_and_the_attachment_name(
    publish_charges: Callable[[list[tuple[date, str, str, str, str, bool]]], Path],
) -> None:
    teams = ["../../etc/passwd", "..", ".hidden", "a/b", "a_b", "x" * 300, 'quote";.csv']
    out = publish_charges([(DAY, team, "llm_api", "Amazon Bedrock", "5", False) for team in teams])
    batch = build_emails(out, DAY, {team: ["lead@example.com"] for team in teams})
    names = [made.file_name for made in batch.emails]
    assert len(set(names)) == len(teams) == len(names)
    for name in names:
        assert "/" not in name and not name.startswith(".") and len(name) < 200
    for made in batch.emails:
        message = email.message_from_bytes(made.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        (attachment,) = message.iter_attachments()
        file_name = attachment.get_filename()
        assert file_name is not None
        assert file_name.replace("chargeback-", "").replace("-2026-03-10.csv", "").replace("-", "a").isalnum()


def test_a_day_of_which_nothing_is_known_is_no_zero(published: Path) -> None:
    batch = build_emails(published, DAY + timedelta(days=1), RECIPIENTS)
    text = read_part(parse(batch), "plain")
    assert "Spent this day                           \N{EN DASH}" in text
    assert "Nothing is known of this day yet" in text


def test_a_team_without_a_charge_on_a_known_day_spent_nothing(
    publish_charges: Callable[[list[tuple[date, str, str, str, str, bool]]], Path],
) -> None:
    before = DAY - timedelta(days=1)
    out = publish_charges([(before, "chat", "llm_api", "S", "7", False), (DAY, "research", "llm_api", "S", "5", False)])
    text = read_part(parse(build_emails(out, DAY, {"chat": ["c@example.com"]})), "plain")
    assert "Spent this day                       $0.00" in text
    assert f"against the day before            {MINUS}$7.00" in text


def test_the_listed_movers_add_up_to_the_whole_change(marts: Marts) -> None:
    facts = read_team_day(marts, "research", DAY)
    driver = facts.drivers[0]
    many = dataclasses.replace(
        facts,
        drivers=[
            dataclasses.replace(driver, service_name=f"s{n}", day_cost_usd=n * driver.day_cost_usd) for n in range(9)
        ],
    )
    assert len(many.listed_drivers) == 6
    assert many.listed_drivers[-1].service_name == "4 others"
    assert sum(row.change_usd for row in many.listed_drivers) == sum(row.change_usd for row in many.drivers)
    assert sum(row.change_usd for row in facts.listed_drivers) == facts.day_before_change_usd
