"""The warehouse: every dbt model an asset, every dbt test an asset check, built by one dbt process under the lock."""

import contextlib
import functools
import graphlib
import subprocess
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets
from dagster_dbt.asset_utils import default_description_fn
from dagster_dbt.compat import DBT_PYTHON_VERSION
from packaging.version import Version

from ingest.home import Home
from orchestration.assets.check_texts import describe_check
from orchestration.assets.groups import name_group
from orchestration.assets.measures import Relation, measure_tables
from orchestration.build_state import begin_build, end_build, plan_build
from orchestration.dbt_runtime import (
    DBT_EXECUTABLE,
    DEFAULT_TARGET,
    REPOSITORY,
    DbtError,
    bound_environment,
    describe_failures,
    prepare_run_dir,
    read_failures,
)
from orchestration.failures import explain_failures
from orchestration.resources import AgainConfig, HomeResource, ProgressListener

_NODE_ENDED = frozenset({"LogModelResult", "LogTestResult", "LogSeedResult", "LogSnapshotResult", "LogNodeResult"})

# Unit tests are about the code, which `make test` proves; a home's build proves its data.
_DATA_ONLY: Final = ("--exclude-resource-type", "unit_test")


class HomeDbt(DbtCliResource):
    """dbt as a subprocess of this environment's own executable.

    Two things that dagster-dbt does before every call are left out, five seconds together: asking `dbt --version` of
    a version that the lock file pins, and opening an adapter in this process that only row counting would use.
    """

    @functools.cached_property
    def _cli_version(self) -> Version:
        assert DBT_PYTHON_VERSION is not None  # a dependency of this project
        return DBT_PYTHON_VERSION

    def _initialize_dbt_core_adapter(self, args: Any) -> Any:
        return None


class FolderTranslator(DagsterDbtTranslator):
    """Groups follow the folders of dbt_project/models, and subjects inside large ones; every check is described."""

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The layer, and inside intermediate and marts the folder too; seeds are a group of their own."""
        if dbt_resource_props["resource_type"] == "seed":
            return "seeds"
        _, layer, *folders = dbt_resource_props["fqn"][:-1]
        folder = "_".join([layer, *folders]) if layer in ("intermediate", "marts") else layer
        return name_group(folder, dbt_resource_props["name"])

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """What the yml says; the SQL has its own place in Dagster's metadata and in the repository."""
        return default_description_fn(dbt_resource_props, display_raw_sql=False)

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        """dagster-dbt's own, with a description."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec and spec._replace(description=describe_check(manifest["nodes"][unique_id]))


class BuildConfig(AgainConfig):
    """How much to build: what changed, days of which it is asked, or all."""

    full_refresh: bool = False


def make_dbt_resource(target: str = DEFAULT_TARGET) -> HomeDbt:
    """dbt on this repository's project; `target` is one of profiles.yml, the home comes through the environment."""
    repository = str(REPOSITORY)
    return HomeDbt(project_dir=repository, profiles_dir=repository, target=target, dbt_executable=str(DBT_EXECUTABLE))


def make_warehouse_assets(manifest_path: Path) -> dg.AssetsDefinition:
    """All dbt models of the manifest as one step: pin what the lake holds now, build what that touches, check it."""

    @dbt_assets(manifest=manifest_path, dagster_dbt_translator=FolderTranslator(), name="warehouse")
    def warehouse(
        context: dg.AssetExecutionContext,
        config: BuildConfig,
        dbt: HomeDbt,
        home: HomeResource,
        progress: dg.ResourceParam[ProgressListener],
    ) -> Iterator[Any]:
        with home.locked() as opened:
            if not context.selected_asset_keys:
                yield from _stream_dbt(context, dbt, opened, progress, ["test", *_DATA_ONLY], {})
                return
            plan = plan_build(opened, full_refresh=config.full_refresh, again=config.read_again())
            relations = _relations_by_output(context)
            if plan.is_empty:
                context.log.info("Nothing the warehouse reads has changed since its last build: dbt was not started.")
                yield from _confirm_tables(context, opened, relations)
                return
            extent = "everything:" if plan.is_full_refresh else "what changed:"
            context.log.info(f"{extent} {plan.touched_days} days and {plan.touched_periods} billing periods")
            begin_build(opened)
            arguments = ["build", *_DATA_ONLY, *(["--full-refresh"] if plan.is_full_refresh else [])]
            yield from _stream_dbt(context, dbt, opened, progress, arguments, relations)
            # A build of some models only leaves the others behind: what it read stays due.
            if context.selected_asset_keys == context.assets_def.keys:
                end_build(opened, plan)

    return warehouse


def _stream_dbt(
    context: dg.AssetExecutionContext,
    dbt: DbtCliResource,
    home: Home,
    progress: ProgressListener,
    arguments: list[str],
    relations: Mapping[str, Relation],
) -> Iterator[Any]:
    """Run dbt to its end, then hand its outcomes to Dagster: tables can be counted only when nobody writes them."""
    run_dir = prepare_run_dir(home, f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{context.run.run_id[:8]}")
    with bound_environment(home):
        call = dbt.cli(arguments, context=context, target_path=run_dir, raise_on_error=False)
    outcomes: list[Any] = []
    done = 0
    total = _count_nodes(call.manifest) if context.selected_asset_keys == context.assets_def.keys else None
    with _ended_with(call.process):
        for event in call.stream_raw_events():
            info = event.raw_event["info"]
            if info["name"] in _NODE_ENDED:
                node = event.raw_event["data"]["node_info"]
                done += 1
                progress.report("build and check", done, total, str(node["node_name"]))
            outcomes.extend(
                event.to_default_asset_events(
                    manifest=call.manifest,
                    dagster_dbt_translator=call.dagster_dbt_translator,
                    context=context,
                    target_path=call.target_path,
                )
            )
        succeeded = call.process.wait() == 0
    measures = measure_tables(home.warehouse_path, relations.values()) if home.warehouse_path.exists() else {}
    for outcome in outcomes:
        if isinstance(outcome, dg.Output):
            extra = measures.get(relations[outcome.output_name], {})
            yield dg.Output(None, outcome.output_name, metadata={**outcome.metadata, **extra})
        else:
            yield outcome
    if not succeeded:
        raise DbtError(f"{describe_failures(read_failures(run_dir), run_dir)}\n{explain_failures(home, run_dir)}")


@contextlib.contextmanager
def _ended_with(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """The process does not outlive the block, which may be interrupted while it waits for it."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _count_nodes(manifest: Mapping[str, Any]) -> int:
    """What a whole build ends: models that are tables or views, seeds, tests."""
    return sum(
        node["resource_type"] in ("model", "seed", "test") and node["config"]["materialized"] != "ephemeral"
        for node in manifest["nodes"].values()
    )


def _confirm_tables(
    context: dg.AssetExecutionContext, home: Home, relations: Mapping[str, Relation]
) -> Iterator[dg.Output]:
    """Each table as it stands: what comes after in the graph would wait for ever for an asset that says nothing."""
    measures = measure_tables(home.warehouse_path, relations.values())
    for output_name in _sort_outputs(context.assets_def, relations):
        metadata = {**measures.get(relations[output_name], {}), "rebuilt": False}
        yield dg.Output(None, output_name, metadata=metadata)


def _sort_outputs(assets: dg.AssetsDefinition, output_names: Collection[str]) -> list[str]:
    """Each one after those that it is made from: Dagster takes them in no other order."""
    names = {key: name for name, key in assets.keys_by_output_name.items()}
    parents = {spec.key: [dep.asset_key for dep in spec.deps] for spec in assets.specs}
    order = (names.get(key) for key in graphlib.TopologicalSorter(parents).static_order())
    return [name for name in order if name is not None and name in output_names]


def _relations_by_output(context: dg.AssetExecutionContext) -> dict[str, Relation]:
    """Asset keys of dbt models are (schema, table)."""
    return {
        output_name: cast(Relation, tuple(key.path[-2:]))
        for output_name, key in context.assets_def.keys_by_output_name.items()
        if key in context.selected_asset_keys
    }
