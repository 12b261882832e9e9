"""What makes allocations and GPU samples hard is in them, whatever the scale."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from demo.company import CompanySummary
from tests.demo.reading import read_series, read_steps

ENERGY = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
POWER = "DCGM_FI_DEV_POWER_USAGE"
ACTIVE = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"


def named(company: CompanySummary, metric: str) -> list[dict[str, Any]]:
    return [series for series in read_series(company.sources["dcgm"], metric) if "UUID" in series["metric"]]


@pytest.fixture(scope="module")
def allocations(company: CompanySummary) -> list[dict[str, Any]]:
    """Every allocation of every step."""
    return [entry for step in read_steps(company.sources["opencost"]) for entry in step.values()]


def test_every_running_card_is_sampled_on_the_grid(company: CompanySummary) -> None:
    series = named(company, POWER)
    assert len({one["metric"]["UUID"] for one in series}) == company.gpu_count
    assert all(epoch % 300 == 0 and isinstance(text, str) for one in series for epoch, text in one["values"])


def test_idle_cards_carry_the_exporters_own_pod(company: CompanySummary) -> None:
    idle = [one["metric"] for one in named(company, POWER) if one["metric"]["namespace"] == "gpu-operator"]
    assert idle
    assert all(labels["pod"].startswith("nvidia-dcgm-exporter-") for labels in idle)


def test_a_mig_card_repeats_its_power_on_each_instance_and_has_no_utilisation(company: CompanySummary) -> None:
    by_profile: dict[Any, dict[int, str]] = defaultdict(dict)
    power = named(company, POWER)
    card = next(one["metric"]["UUID"] for one in power if "GPU_I_ID" in one["metric"])
    for one in power:
        if one["metric"]["UUID"] == card:
            by_profile[one["metric"].get("GPU_I_PROFILE")] |= dict(one["values"])
    assert set(by_profile) == {None, "1g.5gb", "2g.10gb", "3g.20gb"}
    assert len({tuple(sorted(samples.items())) for samples in by_profile.values()}) == 1
    assert card not in {one["metric"]["UUID"] for one in named(company, "DCGM_FI_DEV_GPU_UTIL")}
    assert all("GPU_I_ID" in one["metric"] for one in named(company, ACTIVE) if one["metric"]["UUID"] == card)


def test_a_time_sliced_card_repeats_its_sample_for_each_pod(company: CompanySummary) -> None:
    pods_at: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    for one in named(company, POWER):
        if "GPU_I_ID" not in one["metric"]:
            for epoch, text in one["values"]:
                pods_at[one["metric"]["UUID"], epoch][one["metric"]["pod"]] = text
    shared = [texts for (_, _), texts in pods_at.items() if len(texts) == 2 and "gpu-operator" not in texts]
    assert shared
    assert all(len(set(texts.values())) == 1 for texts in shared)


def restarts(company: CompanySummary) -> Iterator[tuple[str, int, int]]:
    """(UUID, seconds since the sample before, drop of the counter) wherever a counter falls."""
    samples: dict[str, dict[int, int]] = defaultdict(dict)
    for one in named(company, ENERGY):
        samples[one["metric"]["UUID"]] |= {epoch: int(text) for epoch, text in one["values"]}
    for uuid, points in samples.items():
        epochs = sorted(points)
        for before, after in pairwise(epochs):
            if points[after] < points[before]:
                yield uuid, after - before, points[before] - points[after]


def test_energy_counters_rise_but_for_the_planted_restarts(company: CompanySummary) -> None:
    found = list(restarts(company))
    assert len(found) == company.counter_reset_count
    assert {seconds for _, seconds, _ in found} == {300, 7 * 3600 + 300}  # a driver reload, and a node that was down


def test_a_counter_gives_the_energy_that_its_power_says(company: CompanySummary) -> None:
    energy, power = named(company, ENERGY)[0], named(company, POWER)[0]
    assert energy["metric"]["UUID"] == power["metric"]["UUID"]
    rise = int(energy["values"][-1][1]) - int(energy["values"][0][1])
    drawn = sum(float(text) for _, text in power["values"][1:]) * 300 * 1000
    assert rise == pytest.approx(drawn, rel=1e-6)


def test_samples_have_gaps_nan_and_a_series_without_a_card(company: CompanySummary) -> None:
    active = named(company, ACTIVE)
    assert any(text == "NaN" for one in active for _, text in one["values"])
    assert company.unseen_gpu_hours > 0
    unnamed = [one for one in read_series(company.sources["dcgm"], ACTIVE) if "UUID" not in one["metric"]]
    assert unnamed


def test_hours_of_every_card_are_planted_once(company: CompanySummary) -> None:
    states = (company.held_idle_gpu_hours, company.unallocated_gpu_hours, company.worked_gpu_hours)
    assert sum(states) + company.unseen_gpu_hours == company.gpu_count * company.days * 24
    assert min(states) > 0


def test_owned_and_rented_machines_are_told_apart_by_facility(company: CompanySummary) -> None:
    hosts = {one["metric"]["Hostname"] for one in named(company, POWER)}
    assert {host.split("-")[0] for host in hosts} == {"ip", "cw", "gpu"}
    facilities = (company.home / "config" / "facilities.csv").read_text()
    assert "dc1,gpu-dc1-%,1.42,measured" in facilities


def test_pods_on_cards_are_the_pods_of_opencost(company: CompanySummary, allocations: list[dict[str, Any]]) -> None:
    keys = ("namespace", "pod", "container")
    known = {tuple(entry["properties"].get(key) for key in keys) for entry in allocations}
    holders = {tuple(one["metric"][key] for key in keys) for one in named(company, ACTIVE)}
    assert {holder for holder in holders if holder[0] != "gpu-operator"} <= known
    assert {holder[0] for holder in holders if holder[0] == "gpu-operator"} == {"gpu-operator"}


def test_allocations_of_a_node_hour_add_up_to_its_price_with_idle(company: CompanySummary) -> None:
    totals: dict[str, float] = defaultdict(float)
    for entry in read_steps(company.sources["opencost"])[5].values():
        totals[entry["properties"]["node"]] += entry["totalCost"]
    p4d = [total for node, total in totals.items() if node.startswith("ip-") and total > 30]
    assert p4d
    assert all(total == pytest.approx(32.77257, abs=0.001) for total in p4d)


def test_allocations_have_idle_system_pods_nulls_and_cards(allocations: list[dict[str, Any]]) -> None:
    assert any(entry["name"].endswith("/__idle__") for entry in allocations)
    assert any(entry["properties"].get("namespace") == "kube-system" for entry in allocations)
    assert any(entry["cpuCoreUsageAverage"] is None for entry in allocations)
    assert any(entry["gpuAllocation"] and entry["gpuAllocation"]["isGPUShared"] for entry in allocations)
    assert any(entry["gpuAllocation"] and entry["gpuCount"] == 0 for entry in allocations)  # MIG counts as none
    assert any(entry["minutes"] < 60 for entry in allocations)


def test_the_team_is_renamed_and_a_running_job_may_keep_its_label(
    company: CompanySummary, allocations: list[dict[str, Any]]
) -> None:
    days: dict[str, set[str]] = defaultdict(set)
    for entry in allocations:
        if entry["properties"].get("labels", {}).get("app") == "search-api":
            days[entry["properties"]["labels"]["team"]].add(entry["window"]["start"][:10])
    assert max(days["search"]) < company.renamed_on.isoformat() == min(days["discovery"])
    owners = (company.home / "config" / "owners.csv").read_text()
    assert f"tag,team,search,discovery,Search,CC-2100,,100,2026-01-01,{company.renamed_on}" in owners
    assert f"tag,team,discovery,discovery,Discovery,CC-2100,,100,{company.renamed_on}," in owners


def test_malformed_allocations_end_before_they_start(
    company: CompanySummary, allocations: list[dict[str, Any]]
) -> None:
    reversed_entries = [entry for entry in allocations if entry["end"] < entry["start"]]
    assert len(reversed_entries) == company.sources["opencost"].malformed_rows


def test_an_exporter_falls_silent_while_its_pods_run_on(
    company: CompanySummary, allocations: list[dict[str, Any]]
) -> None:
    card = next(one["metric"] for one in named(company, POWER) if one["metric"]["cluster"] == "cw-train")
    epochs = sorted(
        epoch for one in named(company, POWER) if one["metric"]["UUID"] == card["UUID"] for epoch, _ in one["values"]
    )
    assert max(after - before for before, after in pairwise(epochs)) == 3 * 3600 + 300
    steps = {entry["window"]["start"] for entry in allocations if entry["properties"]["node"] == card["Hostname"]}
    assert len(steps) == company.days * 24
