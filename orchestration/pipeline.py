"""The steps of the way, each one Dagster run on one home: land, build, check, publish, report, emails."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO, cast

import dagster as dg

from delivery.publish import MARTS_FILE, is_published, read_build_id
from delivery.report import read_report_build
from ingest.date_span import DateSpan
from ingest.disk import needing_space
from ingest.disposable import set_aside_warehouse, tells_of_corruption
from ingest.home import Home
from orchestration.assets.delivery import DAILY_EMAILS, PUBLISHED_MARTS, REPORT, EmailsConfig, make_delivery_assets
from orchestration.assets.landing import make_landing_assets
from orchestration.assets.measures import NOTES, TROUBLES
from orchestration.build_state import plan_build, read_built
from orchestration.dbt_runtime import DbtError, ensure_manifest
from orchestration.landed import list_sources
from orchestration.resources import AgainConfig, ProgressListener
from orchestration.runs import HomeRuns


@dataclass(frozen=True)
class Landed:
    """What a person must know of a landing: what did not land, and what to know besides."""

    troubles: list[str]
    notes: list[str]


class Pipeline:
    """The caller holds the home's lock, so that nothing moves between the steps."""

    def __init__(self, home: Home, command: str, progress: ProgressListener, log: TextIO, *, is_verbose: bool) -> None:
        self._home = home
        self._progress = progress
        self._runs = HomeRuns(home, command, progress, log, is_verbose=is_verbose)

    def land(self, *, again: DateSpan | None = None) -> Landed:
        """Land what is new of every source and of the config, and ask servers for days `again`."""
        with needing_space("landing", self._home.lake_dir, self._home.scratch_dir):
            result = self._runs.materialize(
                make_landing_assets(list_sources(self._home)),
                run_config=dg.RunConfig(ops={"landing": AgainConfig(**_name_days(again))}),
            )
        return Landed(_list_messages(result, TROUBLES), _list_messages(result, NOTES))

    def build(self, *, target: str = "duckdb", full_refresh: bool = False, again: DateSpan | None = None) -> bool:
        """Build and check what the lake's changes touch, and days `again`; False when they touch nothing, and dbt was
        not started.

        Raises `DbtError` when a model or a law fails.
        """
        with needing_space("building", self._home.path, self._home.state_dir):
            try:
                return self._build(target=target, full_refresh=full_refresh, again=again)
            except Exception as error:
                if not tells_of_corruption(error):
                    raise
                # A damaged page is met only by who reads it.
                set_aside_warehouse(self._home, "a page of it is damaged")
                return self._build(target=target, full_refresh=True, again=None)

    def _build(self, *, target: str, full_refresh: bool, again: DateSpan | None) -> bool:
        # Decided here, before the asset decides again: loading dagster-dbt takes longer than a run with nothing to do.
        if plan_build(self._home, full_refresh=full_refresh, again=again).is_empty:
            return False
        self._run_warehouse(dg.AssetSelection.all(), target=target, full_refresh=full_refresh, again=again)
        return True

    @contextlib.contextmanager
    def reported_failure(self) -> Iterator[None]:
        """When a build of the block fails, the report of what stays published says that it is not the last one."""
        try:
            yield
        except DbtError:
            if (self._home.published_dir / MARTS_FILE).exists():
                self.write_report()
            raise

    def check(self) -> None:
        """Every dbt test and law against the warehouse as it stands. Raises `DbtError` when one fails."""
        read_built(self._home)
        self._run_warehouse(dg.AssetSelection.all_asset_checks())

    def publish(self) -> bool:
        """Publish the warehouse's marts; False when that build is published already, and whole."""
        build_id = read_built(self._home)
        if is_published(self._home.published_dir, build_id):
            return False
        with needing_space("publishing", self._home.published_dir):
            self._deliver(PUBLISHED_MARTS)
        return True

    def write_report(self) -> None:
        """HOME/report/index.html out of the published marts."""
        with needing_space("the report", self._home.report_dir):
            self._deliver(REPORT)

    def refresh_report(self) -> None:
        """Write the report where it is absent, cut off, or of another build than the one that is published."""
        if read_report_build(self._home.report_dir) != read_build_id(self._home.published_dir / MARTS_FILE):
            self.write_report()

    def deliver_emails(self, config: EmailsConfig) -> tuple[dict[str, str], list[str]]:
        """The daily emails; returns what was done, by name, and what a person must know of."""
        result = self._deliver(DAILY_EMAILS, dg.RunConfig(ops={DAILY_EMAILS.to_python_identifier(): config}))
        (materialization,) = result.asset_materializations_for_node(DAILY_EMAILS.to_python_identifier())
        done = {name: str(value.value) for name, value in materialization.metadata.items()}
        return done, _list_messages(result, TROUBLES)

    def _run_warehouse(
        self,
        selection: dg.AssetSelection,
        *,
        target: str = "duckdb",
        full_refresh: bool = False,
        again: DateSpan | None = None,
    ) -> None:
        self._progress.report("read the models", 0, 1)
        manifest_path = ensure_manifest(self._home)
        # Loading dagster-dbt takes seconds, so only a command that runs dbt does.
        from orchestration.assets.warehouse import BuildConfig, make_dbt_resource, make_warehouse_assets

        warehouse = make_warehouse_assets(manifest_path)
        self._progress.report("read the models", 1, 1)
        self._runs.materialize(
            [warehouse],
            selection=selection,
            resources={"dbt": make_dbt_resource(target)},
            run_config=dg.RunConfig(ops={"warehouse": BuildConfig(full_refresh=full_refresh, **_name_days(again))}),
        )

    def _deliver(self, key: dg.AssetKey, run_config: dg.RunConfig | None = None) -> dg.ExecuteInProcessResult:
        selection = dg.AssetSelection.assets(key)
        return self._runs.materialize(make_delivery_assets([]), selection=selection, run_config=run_config)


def _name_days(again: DateSpan | None) -> dict[str, str]:
    return {} if again is None else {"first_date": str(again.first_date), "last_date": str(again.last_date)}


def _list_messages(result: dg.ExecuteInProcessResult, name: str) -> list[str]:
    """What the failed checks of a run say under one name of their metadata."""
    messages: list[str] = []
    for evaluation in result.get_asset_check_evaluations():
        said = evaluation.metadata.get(name)
        if not evaluation.passed and isinstance(said, dg.JsonMetadataValue):
            messages += cast(list[str], said.value)
    return list(dict.fromkeys(messages))  # two tables may come from one file
