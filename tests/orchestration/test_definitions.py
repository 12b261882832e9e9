"""What Dagster knows of a home: assets, groups, checks, the schedule, the sensor, and what materialisations say."""

import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from ingest.acceptances import accept_source
from ingest.contracts import landing_tables
from ingest.home import Home, create_home
from orchestration.assets.delivery import PUBLISHED_MARTS
from orchestration.assets.landing import EVERY_ROW_LANDED, make_landing_assets, name_key
from orchestration.assets.sources import DATA_IS_CURRENT, NOTHING_REFUSED, name_source_key
from orchestration.landed import list_sources
from orchestration.resources import HomeResource
from orchestration.runs import open_instance, prepare_instance_dir
from orchestration.schedules import DAILY
from orchestration.sensors import new_objects
from tests.ingest.landed import request
from tests.orchestration.commands import make_environment

REPOSITORY = Path(__file__).resolve().parents[2]
MODELS = REPOSITORY / "dbt_project" / "models"


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    home = create_home(tmp_path_factory.mktemp("definitions") / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATTLEDGER_HOME", str(home.path))
        from orchestration.definitions import make_definitions
    return make_definitions(home)


@pytest.fixture(scope="module")
def nodes(definitions: dg.Definitions) -> dict[dg.AssetKey, dg.AssetSpec]:
    return {spec.key: spec for spec in definitions.resolve_all_asset_specs()}


@pytest.mark.slow
def test_dagster_validates_the_code_location_without_a_warning_of_ours(tmp_path: Path):
    home = create_home(tmp_path / "home")
    prepare_instance_dir(home)
    result = subprocess.run(
        [str(Path(sys.executable).with_name("dagster")), "definitions", "validate"],
        cwd=REPOSITORY,
        env=make_environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    said = result.stdout + result.stderr
    assert result.returncode == 0, said
    assert "All code locations passed validation" in said
    warnings = [line for line in said.splitlines() if re.search(r"warning", line, re.IGNORECASE)]
    # Dagster's own, about the command that this test runs.
    assert [line for line in warnings if "SupersessionWarning" not in line] == []


def test_every_landing_table_and_every_model_is_an_asset(nodes: dict[dg.AssetKey, dg.AssetSpec]):
    assert {name_key(name) for name in landing_tables()} <= nodes.keys()
    models = {path.stem for path in MODELS.rglob("*.sql") if "materialized='ephemeral'" not in path.read_text()}
    assert models <= {key.path[-1] for key in nodes}


def test_groups_follow_the_folders(nodes: dict[dg.AssetKey, dg.AssetSpec]):
    for path in MODELS.glob("marts/*/*.sql"):
        assert nodes[dg.AssetKey(["marts", path.stem])].group_name == f"marts_{path.parent.name}"
    assert nodes[dg.AssetKey(["staging", "stg_focus__charges"])].group_name == "staging_bills"
    assert nodes[dg.AssetKey(["intermediate", "int_charges__aws_lines"])].group_name == "intermediate_charges_bills"
    assert nodes[name_key("litellm_requests")].group_name == "landing"
    assert nodes[name_key("config_owners")].group_name == "landing_config"
    assert nodes[PUBLISHED_MARTS].group_name == "delivery"


def test_no_group_is_too_large_to_look_at(nodes: dict[dg.AssetKey, dg.AssetSpec]):
    sizes = Counter(spec.group_name for spec in nodes.values())
    assert {group: size for group, size in sizes.items() if size > 20} == {}


def test_no_description_has_sql(nodes: dict[dg.AssetKey, dg.AssetSpec]):
    assert [key for key, spec in nodes.items() if "```" in (spec.description or "")] == []


def test_every_dbt_test_is_a_check_and_every_check_says_what_it_asks(definitions: dg.Definitions):
    graph = definitions.resolve_asset_graph()
    checks = {key.name: graph.get(key).description or "" for key in graph.asset_check_keys}
    written = {path.stem for path in (REPOSITORY / "dbt_project" / "tests").rglob("assert_*.sql")}
    assert written
    assert written <= checks.keys()
    assert {name for name, description in checks.items() if len(description) < 15 or "select" in description} == set()


def test_laws_are_described_by_their_page(definitions: dg.Definitions):
    page = (REPOSITORY / "docs" / "laws.md").read_text()
    graph = definitions.resolve_asset_graph()
    described = {key.name: graph.get(key).description or "" for key in graph.asset_check_keys}
    rows = [line.split(" | ") for line in page.splitlines() if re.match(r"\| \d+ \|", line)]
    named = [(number, text, name) for number, text, by in rows for name in re.findall(r"`(assert_\w+)`", by)]
    assert len(named) > 20
    for number, text, name in named:
        assert described[name].startswith(f"Law {number.strip('| ')}: {text}."), name


def test_lineage_runs_from_each_source_to_the_published_marts(definitions: dg.Definitions):
    graph = definitions.resolve_asset_graph()
    upstream = {PUBLISHED_MARTS}
    while True:
        more = {parent for key in upstream for parent in graph.get(key).parent_keys} - upstream
        if not more:
            break
        upstream |= more
    for table in ("focus_charges", "opencost_allocations", "dcgm_samples", "litellm_requests", "config_owners"):
        assert name_key(table) in upstream


def test_every_law_is_a_check_and_stands_in_the_way_of_publishing(definitions: dg.Definitions):
    graph = definitions.resolve_asset_graph()
    checks = {key.name: graph.get(key) for key in graph.asset_check_keys}
    laws = {path.stem for path in (REPOSITORY / "dbt_project" / "tests" / "laws").glob("*.sql")}
    assert laws
    assert laws <= checks.keys()
    assert all(checks[law].blocking for law in laws)
    assert not checks[NOTHING_REFUSED].blocking


def test_the_schedule_and_the_sensor_wait_for_somebody_to_start_them(definitions: dg.Definitions):
    assert DAILY.default_status is dg.DefaultScheduleStatus.STOPPED
    assert new_objects.default_status is dg.DefaultSensorStatus.STOPPED
    assert DAILY.cron_schedule == "0 6 * * *"
    everything = definitions.resolve_job_def("everything")
    assert {"landing", "warehouse", "published__marts", "delivery__report", "delivery__daily_emails"} <= {
        node.name for node in everything.nodes
    }


def test_a_backfill_reads_and_builds_its_days_again_in_one_run(definitions: dg.Definitions):
    backfill = definitions.resolve_job_def("backfill")
    assert "delivery__daily_emails" not in {node.name for node in backfill.nodes}
    config = {"first_date": "2026-09-01", "last_date": "2026-09-30"}
    mapping = backfill.config_mapping
    assert mapping is not None
    resolved = mapping.resolve_from_unvalidated_config(config)
    assert {name: resolved["ops"][name]["config"] for name in ("landing", "warehouse")} == {
        "landing": config,
        "warehouse": config,
    }
    with pytest.raises(dg.DagsterInvalidConfigError, match="last_date"):
        mapping.resolve_from_unvalidated_config({"first_date": "2026-09-01"})


def tick(home: Home, cursor: str | None) -> dg.SensorResult | dg.SkipReason:
    with dg.build_sensor_context(cursor=cursor, resources={"home": HomeResource(path=str(home.path))}) as context:
        result = new_objects(context)
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    return result


def test_the_sensor_asks_for_a_run_when_an_object_is_new_and_only_then(tmp_path: Path):
    home = create_home(tmp_path / "home")
    logs = home.path / "logs"
    logs.mkdir()
    home.sources_path.write_text("sources:\n  - {name: gateway, kind: litellm, location: 'logs/*.jsonl'}\n")
    first = tick(home, None)
    assert isinstance(first, dg.SensorResult)
    assert isinstance(tick(home, first.cursor), dg.SkipReason)

    (logs / "a.jsonl").write_text("{}\n")
    second = tick(home, first.cursor)
    assert isinstance(second, dg.SensorResult)
    assert second.run_requests is not None
    assert [request.tags["wattledger/changed"] for request in second.run_requests] == ["gateway"]
    assert isinstance(tick(home, second.cursor), dg.SkipReason)

    (logs / "a.jsonl").unlink()
    assert isinstance(tick(home, second.cursor), dg.SensorResult)


def test_the_sensor_sees_a_changed_rule(tmp_path: Path):
    home = create_home(tmp_path / "home")
    first = tick(home, None)
    assert isinstance(first, dg.SensorResult)
    (home.config_dir / "tariffs.csv").write_text("facility_id,valid_from,valid_to,usd_per_kwh,source\n")
    changed = tick(home, first.cursor)
    assert isinstance(changed, dg.SensorResult)
    assert changed.run_requests is not None
    assert changed.run_requests[0].tags["wattledger/changed"] == "config/"


def test_a_source_out_of_reach_does_not_hide_another_from_the_sensor(tmp_path: Path):
    home = create_home(tmp_path / "home")
    (home.path / "logs").mkdir()
    home.sources_path.write_text(
        "sources:\n"
        "  - {name: gone, kind: focus, location: exports/bill.csv}\n"
        "  - {name: gateway, kind: litellm, location: 'logs/*.jsonl'}\n"
    )
    first = tick(home, None)
    assert isinstance(first, dg.SensorResult)
    quiet = tick(home, first.cursor)
    assert isinstance(quiet, dg.SkipReason)
    assert "not reachable: gone" in str(quiet.skip_message)
    (home.path / "logs" / "a.jsonl").write_text("{}\n")
    assert isinstance(tick(home, first.cursor), dg.SensorResult)


def test_a_refused_object_fails_a_check_and_not_the_run(tmp_path: Path):
    home = create_home(tmp_path / "home")
    (home.path / "bill.csv").write_text("not,a,bill\n1,2,3\n")
    home.sources_path.write_text("sources:\n  - {name: bad, kind: focus, location: bill.csv}\n")
    result = land_in_dagster(home)
    assert list_failed_checks(result) == {
        (name_key("focus_charges"), NOTHING_REFUSED),
        (name_source_key("bad"), NOTHING_REFUSED),
    }


def land_in_dagster(home: Home, *selected: dg.AssetKey) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            make_landing_assets(list_sources(home)),
            selection=list(selected) or None,
            instance=instance,
            resources={
                "home": HomeResource(path=str(home.path)),
                "progress": dg.ResourceDefinition.hardcoded_resource(_Progress()),
            },
        )
    assert result.success
    return result


def list_failed_checks(result: dg.ExecuteInProcessResult) -> set[tuple[dg.AssetKey, str]]:
    return {(check.asset_key, check.check_name) for check in result.get_asset_check_evaluations() if not check.passed}


def test_a_source_is_an_asset_that_lands_alone_and_says_how_far_its_data_reaches(tmp_path: Path):
    home = create_home(tmp_path / "home")
    today = datetime.now(UTC).date()
    days = {"early": today - timedelta(days=4), "late": today - timedelta(days=1)}
    for name, day in days.items():
        (home.path / f"{name}.jsonl").write_text(request(name).replace("2026-05-01", f"{day}") + "\n")
    home.sources_path.write_text(
        "sources:\n"
        "  - {name: early, kind: litellm, location: early.jsonl}\n"
        "  - {name: late, kind: litellm, location: late.jsonl}\n"
    )
    early, late = name_source_key("early"), name_source_key("late")
    alone = land_in_dagster(home, early)
    (materialization,) = alone.asset_materializations_for_node("landing")
    assert materialization.asset_key == early
    assert str(materialization.metadata["data_through"].value).startswith(f"{days['early']} 10:00")
    assert materialization.metadata["rows_landed"].value == 1
    assert list_failed_checks(alone) == {(early, DATA_IS_CURRENT)}
    # The other one is of yesterday.
    assert list_failed_checks(land_in_dagster(home)) == {(early, DATA_IS_CURRENT)}
    assert list_failed_checks(land_in_dagster(home, late)) == set()
    # A table's sources land with it.
    landed = land_in_dagster(home, name_key("litellm_requests")).asset_materializations_for_node("landing")
    assert [one.asset_key for one in landed] == [name_key("litellm_requests")]


def test_rows_in_quarantine_keep_their_check_red_until_somebody_accepts_them(tmp_path: Path):
    home = create_home(tmp_path / "home")
    log = home.path / "a.jsonl"
    day = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    good = request("good").replace("2026-05-01", day)
    log.write_text(f'{good}\n{{"model": "gpt-4o"}}\n')
    home.sources_path.write_text("sources:\n  - {name: gateway, kind: litellm, location: '*.jsonl'}\n")
    red = {(name_key("litellm_requests"), EVERY_ROW_LANDED)}
    assert list_failed_checks(land_in_dagster(home)) == red
    assert list_failed_checks(land_in_dagster(home)) == red  # though nothing is read again
    accept_source(home, "gateway", "a test of ours")
    assert list_failed_checks(land_in_dagster(home)) == set()
    (home.path / "b.jsonl").write_text('{"model": "gpt-4o"}\n')
    assert list_failed_checks(land_in_dagster(home)) == red


def test_a_source_out_of_reach_fails_its_checks_and_is_not_materialised(tmp_path: Path):
    home = create_home(tmp_path / "home")
    home.sources_path.write_text("sources:\n  - {name: gone, kind: focus, location: exports/bill.csv}\n")
    gone = name_source_key("gone")
    result = land_in_dagster(home)
    assert {(gone, NOTHING_REFUSED), (gone, DATA_IS_CURRENT)} <= list_failed_checks(result)
    assert gone not in {one.asset_key for one in result.asset_materializations_for_node("landing")}


class _Progress:
    def report(self, task: str, done: int, total: int | None, note: str = "") -> None:
        assert task.startswith("land ")


def test_materialisations_say_rows_usd_how_far_and_show_a_few_rows(built_home: Home):
    with open_instance(built_home) as instance:
        ledger = instance.get_latest_materialization_event(dg.AssetKey(["marts", "fct_cost_ledger"]))
        landed = instance.get_latest_materialization_event(name_key("litellm_requests"))
        published = instance.get_latest_materialization_event(PUBLISHED_MARTS)
        names = {run.job_name for run in instance.get_runs()}
    assert names == {"wattledger_run"}
    assert ledger is not None
    assert landed is not None
    assert published is not None
    said = [
        event.asset_materialization.metadata for event in (ledger, landed, published) if event.asset_materialization
    ]
    of_ledger, of_landing, of_published = said
    rows = of_ledger["dagster/row_count"].value
    assert isinstance(rows, int)
    assert rows > 100
    assert re.fullmatch(r"\d+\.\d{9} USD", str(of_ledger["effective_cost_usd"].value))
    assert str(of_ledger["preview"].value).startswith("| usage_date |")
    # Owned hardware and monthly fees are charged hour by hour to the end of the month that was begun.
    assert of_ledger["last_date"].value == "2026-10-31"
    assert str(of_landing["data_through"].value).startswith("2026-10-03 23:")
    assert "| fct&#95;cost&#95;ledger |" in str(of_published["tables"].value)
