"""In-process Dagster runs for the command line: same assets, same instance as the web UI, noise into a log file."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO, cast

import dagster as dg
import yaml
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager

from ingest.disk import tells_of_full_disk
from ingest.disposable import REPAIRS, set_aside
from ingest.home import Home
from orchestration.event_log import HomeStorage
from orchestration.interrupts import raised_as_keyboard_interrupt
from orchestration.resources import HomeResource, ProgressListener

CLI_TAG: Final = "wattledger/command"
_LOGS_KEPT: Final = 20
_INSTANCE_SETTINGS: Final = {
    "telemetry": {"enabled": False},
    "nux": {"enabled": False},
}


class HomeRuns:
    """The runs of one command on one home. The caller holds the home's lock."""

    def __init__(self, home: Home, command: str, progress: ProgressListener, log: TextIO, *, is_verbose: bool) -> None:
        self._home = home
        self._command = command
        self._progress = progress
        self._log = log
        self._is_verbose = is_verbose

    def materialize(
        self,
        assets: Sequence[dg.AssetsDefinition],
        *,
        selection: dg.AssetSelection | None = None,
        resources: Mapping[str, object] | None = None,
        run_config: dg.RunConfig | None = None,
    ) -> dg.ExecuteInProcessResult:
        """One run of `assets`, named after the command. Raises what a failing asset raised."""
        shared = {"home": HomeResource(path=str(self._home.path)), "progress": self._progress}
        name = name_job(self._command)
        definitions = dg.Definitions(
            assets=assets,
            jobs=[dg.define_asset_job(name, selection=selection)],
            resources={**shared, **(resources or {})},
        )
        with (
            raised_as_keyboard_interrupt(),
            divert_output(self._log, is_verbose=self._is_verbose),
            open_instance(self._home) as instance,
        ):
            close_dead_runs(instance)
            return definitions.resolve_job_def(name).execute_in_process(
                instance=instance, run_config=run_config, tags={CLI_TAG: self._command}
            )


def name_job(command: str) -> str:
    """What Dagster's list of runs calls the runs of a command."""
    return f"wattledger_{command.replace('-', '_')}"


def prepare_instance_dir(home: Home) -> Path:
    """HOME/.state/dagster with its settings: what DAGSTER_HOME is for this home, wherever it stands now."""
    home.dagster_dir.mkdir(parents=True, exist_ok=True)
    storage = {
        "module": HomeStorage.__module__,
        "class": HomeStorage.__name__,
        "config": {"base_dir": str(home.dagster_dir)},
    }
    settings = yaml.safe_dump({**_INSTANCE_SETTINGS, "storage": {"custom": storage}})
    path = home.dagster_dir / "dagster.yaml"
    if not path.exists() or path.read_bytes() != settings.encode():
        path.write_text(settings, encoding="utf-8")
    return home.dagster_dir


@contextlib.contextmanager
def open_instance(home: Home) -> Iterator[dg.DagsterInstance]:
    """Dagster's record of runs and assets of this home; `dagster dev` shows the same."""
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
    with _open_usable_instance(home) as instance:
        yield instance


def _open_usable_instance(home: Home) -> dg.DagsterInstance:
    """The instance with its records, or a new one where the settings or records that are there cannot be read."""
    try:
        return _open_read_instance(home)
    except Exception as error:
        said = str(error)
        if tells_of_full_disk(error) or "locked" in said:
            raise
        aside = set_aside(home.dagster_dir)
        REPAIRS.warning(
            "Dagster's record of past runs cannot be read (%s): it is now %s, and a new one was begun.",
            said.splitlines()[0] if said else type(error).__name__,
            aside,
        )
        return _open_read_instance(home)


def _open_read_instance(home: Home) -> dg.DagsterInstance:
    instance = _open_quiet_instance(home)
    try:
        # One question to each of its three databases.
        instance.get_runs(limit=1)
        instance.get_asset_keys(limit=1)
        instance.all_instigator_state()
    except Exception:
        instance.dispose()
        raise
    return instance


def _open_quiet_instance(home: Home) -> dg.DagsterInstance:
    """Without Dagster's copies of what is printed, which a command keeps in a log of its own: for each step they take
    four processes, which a Ctrl-C meets as they start.
    """
    quiet = {"compute_logs": {"module": NoOpComputeLogManager.__module__, "class": NoOpComputeLogManager.__name__}}
    reference = InstanceRef.from_dir(str(prepare_instance_dir(home)), overrides=quiet)
    return dg.DagsterInstance.from_ref(reference)


def close_dead_runs(instance: dg.DagsterInstance) -> None:
    """Mark as failed what a killed command left running: this process has the lock that they would need."""
    unfinished = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=unfinished)):
        if CLI_TAG in run.tags:
            instance.report_run_failed(run, "The command that ran this was killed.")


def prepare_log(home: Home, command: str) -> Path:
    """Path of a log file for one command; the oldest ones are removed."""
    logs_dir = home.state_dir / "logs"
    logs_dir.mkdir(parents=True, exist_ok=True)
    for old in sorted(logs_dir.glob("*.log"))[: -(_LOGS_KEPT - 1)]:
        old.unlink(missing_ok=True)
    return logs_dir / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{command}-{os.getpid()}.log"


@contextlib.contextmanager
def divert_output(log: TextIO, *, is_verbose: bool) -> Iterator[None]:
    """Inside the block, what Dagster and dbt print goes to the log; to the terminal as well when verbose."""
    out: TextIO = cast(TextIO, _Tee(sys.stdout, log)) if is_verbose else log
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        yield


class _Tee:
    """Two text streams as one."""

    def __init__(self, *streams: TextIO) -> None:
        self._streams = streams

    def write(self, text: str) -> int:
        for stream in self._streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self._streams:
            stream.flush()

    def isatty(self) -> bool:
        return False
