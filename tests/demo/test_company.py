"""The synthetic company as a whole: the same bytes, the planted totals, any scale."""

import gzip
import hashlib
import json
import re
import time
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from demo.company import CompanySummary, write_company
from demo.summary import land_amount
from tests.demo.reading import read_bill, read_lines


def fingerprint(home: Path) -> dict[str, tuple[str, int]]:
    files = sorted(path for path in home.rglob("*") if path.is_file())
    return {
        path.relative_to(home).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in files
    }


def test_the_same_seed_writes_the_same_bytes_and_times(company: CompanySummary, tmp_path: Path) -> None:
    write_company(tmp_path, scale=0.02, days=3)
    assert fingerprint(tmp_path) == fingerprint(company.home)


def test_another_seed_writes_other_bytes(company: CompanySummary, tmp_path: Path) -> None:
    write_company(tmp_path, scale=0.02, days=3, seed=8)
    ours, theirs = fingerprint(company.home), fingerprint(tmp_path)
    changed = {name for name in ours.keys() & theirs.keys() if ours[name][0] != theirs[name][0]}
    assert {name for name in ours if name.startswith(("logs/", "telemetry/"))} <= changed


def test_a_tiny_company_is_quick(tmp_path: Path) -> None:
    started = time.monotonic()
    write_company(tmp_path, scale=0.02, days=3)
    assert time.monotonic() - started < 5


def test_a_window_may_cross_the_end_of_a_month(tmp_path: Path) -> None:
    summary = write_company(tmp_path, scale=0.01, days=4, start=date(2026, 12, 30))
    periods = {row["BillingPeriodStart"][:7] for row in read_bill(summary.sources["aws-focus"])}
    assert periods == {"2026-11", "2026-12", "2027-01"}
    assert len(summary.sources["opencost"].files) == 4


def test_scale_multiplies_requests_and_gpus(tmp_path: Path) -> None:
    small = write_company(tmp_path / "small", scale=0.2, days=2, sample_seconds=3600)
    large = write_company(tmp_path / "large", scale=0.8, days=2, sample_seconds=3600)
    assert large.request_count == pytest.approx(4 * small.request_count, rel=0.01)
    assert large.gpu_count > 1.5 * small.gpu_count


@pytest.mark.parametrize(("argument", "value"), [("scale", 0.001), ("scale", 101), ("days", 1), ("sample_seconds", 7)])
def test_arguments_that_cannot_hold_every_feature_are_refused_with_what_is_allowed(
    tmp_path: Path, argument: str, value: Any
) -> None:
    with pytest.raises(ValueError, match=f"{argument} is {value}: give"):
        write_company(tmp_path, **{argument: value})


def test_progress_counts_up_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    write_company(tmp_path, scale=0.01, days=2, progress=lambda *step: seen.append(step))
    assert [done for _, done, _ in seen] == [1, 2, 3, 4]
    assert {total for _, _, total in seen} == {4}


def test_every_source_of_sources_yml_finds_its_files(company: CompanySummary) -> None:
    sources = yaml.safe_load((company.home / "config" / "sources.yml").read_text())["sources"]
    assert {source["name"] for source in sources} == set(company.sources)
    for source in sources:
        assert sorted(company.home.glob(source["location"])) == sorted(company.sources[source["name"]].files)


def test_bills_add_up_to_the_planted_totals(company: CompanySummary) -> None:
    billed = dict.fromkeys(company.providers, Decimal(0))
    effective = dict.fromkeys(company.providers, Decimal(0))
    for name in ("aws-focus", "azure-focus", "openai-focus", "anthropic-focus"):
        rows = read_bill(company.sources[name])
        assert len(rows) == company.sources[name].rows
        newest: dict[str, str] = {}
        for row in rows:
            newest[row["BillingPeriodStart"]] = max(newest.get(row["BillingPeriodStart"], ""), row["folder"])
        standing = [row for row in rows if row["folder"] == newest[row["BillingPeriodStart"]]]
        assert len(rows) - len(standing) == company.sources[name].superseded_rows
        for row in standing:
            assert row["BillingCurrency"] == company.providers[row["ProviderName"]].currency_code
            billed[row["ProviderName"]] += land_amount(Decimal(row["BilledCost"]))
            effective[row["ProviderName"]] += land_amount(Decimal(row["EffectiveCost"]))
    coreweave = company.sources["coreweave-focus"].files[0].as_posix()
    sums = duckdb.sql(f"select sum(BilledCost), sum(EffectiveCost), count(*) from '{coreweave}'").fetchone()
    assert sums is not None
    billed["CoreWeave"], effective["CoreWeave"] = sums[0], sums[1]
    assert sums[2] == company.sources["coreweave-focus"].rows
    assert billed == {name: totals.billed for name, totals in company.providers.items()}
    assert effective == {name: totals.effective for name, totals in company.providers.items()}


def test_logs_and_samples_hold_as_many_rows_as_planted(company: CompanySummary) -> None:
    for name in ("gateway-a", "gateway-b"):
        records, broken = read_lines(company.sources[name])
        assert len(records) + broken == company.sources[name].rows
    samples = steps = 0
    for path in company.sources["dcgm"].files:
        answer = json.loads(gzip.decompress(path.read_bytes()))
        samples += sum(len(series["values"]) for series in answer["data"]["result"])
    for path in company.sources["opencost"].files:
        steps += sum(len(step) for step in json.loads(path.read_bytes())["data"])
    assert samples == company.sources["dcgm"].rows
    assert steps == company.sources["opencost"].rows


def test_about_one_row_in_a_hundred_of_logs_and_telemetry_is_malformed_and_none_of_bills(
    company: CompanySummary,
) -> None:
    for name, source in company.sources.items():
        if name.endswith(("-focus", "-admin")):
            assert source.malformed_rows == 0
        else:
            assert 0 < source.malformed_rows < 0.03 * source.rows


def test_provider_bills_differ_little_from_the_gateways_traffic_at_list(tmp_path: Path) -> None:
    summary = write_company(tmp_path, scale=0.1, days=3, sample_seconds=3600)
    logged: dict[str, float] = {}
    for name in ("gateway-a", "gateway-b"):
        for record in read_lines(summary.sources[name])[0]:
            if record["custom_llm_provider"] == "anthropic":
                logged[record["litellm_call_id"]] = record.get("spend", record.get("response_cost")) or 0.0
    share = sum(logged.values()) / float(summary.providers["Anthropic"].billed)
    assert 0.96 < share < 1  # what streams without usage and malformed lines hide


def test_no_prompt_and_no_real_address_is_written(company: CompanySummary) -> None:
    records, _ = read_lines(company.sources["gateway-a"])
    assert not any(record["messages"] or record["response"] for record in records)
    recipients = (company.home / "config" / "recipients.csv").read_text()
    assert re.findall(r"@(\S+?),", recipients)
    assert all(domain.endswith(".example") for domain in re.findall(r"@(\S+?),", recipients))
