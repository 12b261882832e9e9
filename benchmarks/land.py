"""How fast sources land, beside the floor: what DuckDB alone takes to copy the same files to Parquet.

    python -m benchmarks.land --rows 1000000 [focus litellm …]

Writes files of each kind into a temporary home, lands them in a process of their own, and prints rows per second, how
many times the floor it took, and the peak memory of that process with its readers. The floor is
`COPY (FROM read_…) TO … (FORMAT parquet)` of the same files in the same run: no types checked, no quarantine, no
slices, no commit. Run it on an idle machine; compare ratios rather than seconds.
"""

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import duckdb
import psutil
import yaml

from benchmarks.land_files import WORKLOADS, Workload
from ingest.home import create_home
from ingest.landing import land

_SAMPLE_SECONDS = 0.02


class PeakMemory:
    """The most that this process and those it started held at once, sampled while it runs."""

    def __init__(self) -> None:
        self.mib = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        own = psutil.Process(os.getpid())
        while not self._is_over.wait(_SAMPLE_SECONDS):
            held = 0
            for process in (own, *own.children(recursive=True)):
                try:
                    held += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.mib = max(self.mib, held >> 20)


def measure_landing(workload: Workload, files: Path, home_path: Path) -> tuple[int, float, int]:
    """(rows landed, seconds, MiB)."""
    home = create_home(home_path)
    source = {
        "name": "source",
        "kind": workload.kind,
        "location": workload.locate(files),
        "options": dict(workload.options),
    }
    home.sources_path.write_text(yaml.safe_dump({"sources": [source]}))
    with PeakMemory() as memory:
        began_at = time.perf_counter()
        (report,) = land(home, only_sources=["source"]).sources
        seconds = time.perf_counter() - began_at
    if report.deliveries_refused or report.is_stale or report.rows_quarantined:
        raise SystemExit(f"{workload.kind}: {'; '.join(report.messages)}")
    return report.rows_landed, seconds, memory.mib


def measure_copy(scan: str, target: Path) -> tuple[float, int]:
    """(seconds, MiB) that the engine alone takes."""
    with PeakMemory() as memory, duckdb.connect() as engine:
        began_at = time.perf_counter()
        engine.execute("set enable_progress_bar = false")
        engine.execute(f"copy (from {scan}) to '{target}' (format parquet, compression zstd)")
        seconds = time.perf_counter() - began_at
    return seconds, memory.mib


def main() -> None:
    """Generate, land, compare, print."""
    parser = argparse.ArgumentParser(description="Land generated sources and compare with the engine's own copy.")
    parser.add_argument("workloads", nargs="*", help=f"default: all, which are {', '.join(WORKLOADS)}")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of each source (default 100000)")
    arguments = parser.parse_args()
    if unknown := set(arguments.workloads) - WORKLOADS.keys():
        parser.error(f"no workload {', '.join(sorted(unknown))}: expected any of {', '.join(WORKLOADS)}")
    print(f"{'':20} {'rows':>9} {'s':>7} {'rows/s':>9} {'MiB':>6}   floor: {'s':>6} {'MiB':>6}  ratio")
    for name in arguments.workloads or WORKLOADS:
        workload = WORKLOADS[name]
        with (
            tempfile.TemporaryDirectory() as folder,
            # A process each, so that none starts with the memory of the one before.
            ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as processes,
        ):
            files = Path(folder) / "files"
            workload.write(files, arguments.rows)
            landed, seconds, mib = processes.submit(measure_landing, workload, files, Path(folder) / "home").result()
            floor_seconds, floor_mib = processes.submit(
                measure_copy, workload.scan(files), Path(folder) / "copy.parquet"
            ).result()
        print(
            f"{name:20} {landed:>9} {seconds:>7.2f} {landed / seconds:>9.0f} {mib:>6}   "
            f"       {floor_seconds:>6.2f} {floor_mib:>6}  {seconds / floor_seconds:>5.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
