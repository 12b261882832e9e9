"""The report: hand-worked numbers, one file that needs nothing else, hostile text that stays text."""

import re
from datetime import date
from decimal import Decimal as D
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pytest

from delivery.marts import Marts, MartsError, open_marts
from delivery.overview import read_overview
from delivery.publish import publish, read_build_id
from delivery.report import build_report, read_report_build

DAY = date(2026, 3, 10)


class TextParser(HTMLParser):
    """Visible text, and every tag and attribute met."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]

    def handle_data(self, data: str) -> None:
        self.words += data.split()


def parse(path: Path) -> TextParser:
    parser = TextParser()
    parser.feed(path.read_text())
    return parser


def test_the_headline_is_the_hand_worked_sum(marts: Marts) -> None:
    overview = read_overview(marts)
    assert (overview.first_date, overview.last_date, overview.is_everything) == (date(2026, 3, 1), DAY, True)
    # research 1060, chat 10 x 10, nobody 10 x 30.
    assert overview.effective_cost_usd == D(1460)
    assert overview.owned_share == D(1160) / D(1460)
    assert overview.estimate_share == D("135.50") / D(1460)
    assert overview.waste_cost_usd == D(73)
    assert overview.unpriced_finding_count == 1
    assert overview.residual_usd == 0
    assert [team.team_id for team in overview.teams] == ["research", "chat", "unallocated"]
    assert overview.sum_state_hours("worked") == 48
    assert (overview.energy.facility_kwh, overview.energy.energy_cost_usd) == (D("86.4"), D("8.64"))


def test_unit_costs_are_over_what_has_a_cost(marts: Marts) -> None:
    models = {model.model_id: model for model in read_overview(marts).models}
    assert models["claude-sonnet-4-5"].usd_per_mtok == D("7.75")
    assert models["gpt-5-mini"].usd_per_request == D("0.00025")
    assert models["house-llama"].usd_per_mtok is None
    assert models["house-llama"].unpriced_exposure_usd == D("0.75")


def test_a_window_leaves_out_the_days_before_it(marts: Marts) -> None:
    overview = read_overview(marts, window_days=2)
    assert (overview.first_date, overview.is_everything) == (date(2026, 3, 9), False)
    assert overview.effective_cost_usd == D(260 + 20 + 60)


def test_what_is_charged_to_the_months_end_does_not_stretch_the_window(warehouse: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(
            "insert into marts.fct_chargeback_daily "
            "select * replace (date '2026-03-31' as usage_date) from marts.fct_chargeback_daily limit 1"
        )
    publish(warehouse, tmp_path / "out", build_id="b2", data_through={})
    with open_marts(tmp_path / "out") as marts:
        assert read_overview(marts).last_date == date(2026, 3, 10)


def test_the_page_says_the_numbers(published: Path, tmp_path: Path) -> None:
    path = build_report(published, tmp_path / "report", quarantine_counts={"gateway": 7, "dcgm": 1})
    text = " ".join(parse(path).words)
    for part in (
        "AI spend, 1 Mar to 10 Mar 2026",
        "Effective cost $1,460.00",
        "every period foots to the nano-dollar",
        "Owned by a team 79.5%",
        "Wasted $73.00 1 finding has no USD yet",
        "Research $1,060.00 72.6%",
        "25.0% Worked, 48.0 h",
        "86.4 kWh",
        "house-llama vllm; 40 without a cost, exposure $0.75",
        "Stop the notebook when it idles",
        "aws-focus 2026-03-11 00:00 UTC 99.88% 0",
        "gateway 2026-03-10 18:00 UTC \N{EN DASH} 7",
        "dcgm \N{EN DASH} \N{EN DASH} 1",
    ):
        assert part in text


def test_the_page_needs_no_script_and_no_network(published: Path, tmp_path: Path) -> None:
    page = parse(build_report(published, tmp_path / "report"))
    assert page.links == []
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    text = (tmp_path / "report" / "index.html").read_text()
    assert "default-src 'none'" in text
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}


def test_the_same_marts_give_the_same_page(published: Path, tmp_path: Path) -> None:
    first = build_report(published, tmp_path / "a").read_bytes()
    assert build_report(published, tmp_path / "b").read_bytes() == first
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["index.html"]


def test_a_gap_against_the_invoice_is_shown_to_the_nano_dollar(warehouse: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(
            "update marts.fct_reconciliation set effective_cost_usd = -0.000000001 where step = 'residual'"
        )
    publish(warehouse, tmp_path / "out", build_id="b1", data_through={})
    text = " ".join(parse(build_report(tmp_path / "out", tmp_path / "report")).words)
    assert "\N{MINUS SIGN}$0.000000001 the largest gap; see reconciliation" in text


def test_gaps_of_two_periods_do_not_cancel(warehouse: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("update marts.fct_reconciliation set effective_cost_usd = 5 where step = 'residual'")
        connection.execute(
            "insert into marts.fct_reconciliation select * replace (-5 as effective_cost_usd, "
            "date '2026-02-01' as billing_period_start_date) from marts.fct_reconciliation where step = 'residual'"
        )
    publish(warehouse, tmp_path / "out", build_id="b1", data_through={})
    assert "every period foots" not in build_report(tmp_path / "out", tmp_path / "report").read_text()


def test_hostile_text_is_escaped(warehouse: Path, tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("update marts.dim_teams set team_name = ?", [hostile])
        connection.execute(
            "update marts.fct_waste set workload_id = $1, evidence = $1, recommended_action = $1", [hostile]
        )
        connection.execute("update marts.fct_unit_costs_daily set model_id = $1, provider_name = $1", [hostile])
        connection.execute("update marts.fct_reconciliation set billing_account_id = $1, provider_name = $1", [hostile])
        connection.execute("update marts.fct_gpu_state_hours set gpu_state = $1 where gpu_uuid = 'GPU-1'", [hostile])
    publish(warehouse, tmp_path / "out", build_id="b1", data_through={hostile: None})
    page = parse(build_report(tmp_path / "out", tmp_path / "report", quarantine_counts={hostile: 1}))
    assert not {"script", "img"} & set(page.tags)
    assert page.links == []


def test_a_home_with_bills_alone_has_a_report(warehouse: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(warehouse)) as connection:
        for table in ("fct_gpu_state_hours", "fct_gpu_energy_hourly", "fct_unit_costs_daily", "fct_waste", "dim_teams"):
            connection.execute(f"delete from marts.{table}")
    publish(warehouse, tmp_path / "out", build_id="b1", data_through={})
    text = " ".join(parse(build_report(tmp_path / "out", tmp_path / "report")).words)
    for part in (
        "No GPU telemetry in these days",
        "No gateway request in these days",
        "No waste was found",
        "research",
    ):
        assert part in text


def test_marts_without_a_charge_say_what_to_land(warehouse: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("delete from marts.fct_chargeback_daily")
    publish(warehouse, tmp_path / "out", build_id="b1", data_through={})
    text = " ".join(parse(build_report(tmp_path / "out", tmp_path / "report")).words)
    assert "No charge yet" in text
    assert "Name a source of bills in config/sources.yml" in text


def test_a_note_of_what_stands_is_on_the_page_with_charges_and_without(warehouse: Path, tmp_path: Path) -> None:
    note = "The last build failed: these figures are as of 2026-10-03 06:10 UTC."
    publish(warehouse, tmp_path / "out", build_id="b1", data_through={})
    page = build_report(tmp_path / "out", tmp_path / "report", standing_note=note)
    assert note in " ".join(parse(page).words)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("delete from marts.fct_chargeback_daily")
    publish(warehouse, tmp_path / "out", build_id="b2", data_through={})
    page = build_report(tmp_path / "out", tmp_path / "report", standing_note=note)
    assert note in " ".join(parse(page).words)


def test_marts_of_another_version_say_so(warehouse: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("drop table marts.fct_waste")
    publish(warehouse, tmp_path / "out", build_id="b1", data_through={})
    with pytest.raises(MartsError, match="not of this version; publish again"):
        build_report(tmp_path / "out", tmp_path / "report")


def test_the_report_says_of_which_build_it_is_and_a_cut_off_one_says_nothing(published: Path, tmp_path: Path) -> None:
    assert read_report_build(tmp_path) is None
    path = build_report(published, tmp_path)
    assert read_report_build(tmp_path) == read_build_id(published / "marts.duckdb")
    path.write_bytes(path.read_bytes()[:-20])
    assert read_report_build(tmp_path) is None
