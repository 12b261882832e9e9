"""A real Prometheus on loopback, its samples backfilled with promtool."""

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

Sample = tuple[str, dict[str, str], datetime, float]
"""(metric, labels, instant, value)."""


def skip_without_prometheus() -> None:
    if not (shutil.which("prometheus") and shutil.which("promtool")):
        pytest.skip("no prometheus and promtool on this machine: install the Debian package `prometheus`")


@cache
def is_range_closed() -> bool:
    """Before 3.0 a range selector counts the sample at its beginning too."""
    told = subprocess.run(["prometheus", "--version"], check=True, capture_output=True, text=True)
    return (told.stdout + told.stderr).partition("version ")[2].startswith(("2.", "1."))


def backfill(folder: Path, samples: Iterable[Sample]) -> Path:
    """A folder of blocks that hold the samples."""
    text = folder / "samples.om"
    by_metric: dict[str, list[str]] = {}
    for metric, labels, at, value in samples:
        named = ",".join(f'{name}="{text}"' for name, text in labels.items())
        by_metric.setdefault(metric, []).append(f"{metric}{{{named}}} {value} {at.astimezone(UTC).timestamp():.3f}")
    blocks = [f"# TYPE {metric} gauge\n" + "\n".join(lines) for metric, lines in by_metric.items()]
    text.write_text("\n".join(blocks) + "\n# EOF\n")
    data = folder / "data"
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)]
    subprocess.run(command, check=True, capture_output=True)
    return data


@contextmanager
def run_prometheus(data: Path, folder: Path, *flags: str, web_config: str = "") -> Iterator[str]:
    """`host:port` of a server over a copy of the blocks, ended with the block."""
    shutil.copytree(data, folder / "tsdb")
    (folder / "prometheus.yml").write_text("scrape_configs: []\n")
    if web_config:
        (folder / "web.yml").write_text(web_config)
        flags = (*flags, f"--web.config.file={folder / 'web.yml'}")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address={address}",
        "--log.level=error",
        *flags,
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait_until_ready(process, address, is_open=not web_config, log=folder / "log")
            yield address
        finally:
            process.terminate()


def _wait_until_ready(process: "subprocess.Popen[bytes]", address: str, *, is_open: bool, log: Path) -> None:
    host, _, port = address.partition(":")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if is_open:
                urllib.request.urlopen(f"http://{address}/-/ready", timeout=5).close()
            else:
                socket.create_connection((host, int(port)), timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    pytest.fail(f"Prometheus did not start: {log.read_text()}")
