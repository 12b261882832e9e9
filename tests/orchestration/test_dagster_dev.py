"""`dagster dev` on a built home: it starts, answers with the asset graph, and stops when told to."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from ingest.home import Home
from tests.orchestration.commands import make_environment

REPOSITORY = Path(__file__).resolve().parents[2]
QUERY = """
query { assetNodes { assetKey { path } groupName latestMaterialization: assetMaterializations(limit: 1) { runId } } }
"""


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, query: str) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def wait_for_answer(process: subprocess.Popen[bytes], port: int) -> dict[str, Any]:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert process.poll() is None, "dagster dev ended by itself"
        try:
            answer = ask(port, QUERY)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
            continue
        if answer.get("data", {}).get("assetNodes"):
            return answer
        time.sleep(0.5)
    raise AssertionError("dagster dev did not answer within 240 s")


def test_dagster_dev_shows_the_graph_with_what_the_command_line_made(built_home: Home, tmp_path: Path):
    port = find_free_port()
    log = tmp_path / "dev.log"
    with log.open("wb") as output:
        # A session of its own: started in the background of a shell it would ignore the signal that stops it.
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("dagster")), "dev", "--host", "127.0.0.1", "--port", str(port)],
            cwd=REPOSITORY,
            env=make_environment(built_home),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            nodes = {
                tuple(node["assetKey"]["path"]): node for node in wait_for_answer(process, port)["data"]["assetNodes"]
            }
        finally:
            process.send_signal(signal.SIGINT)
            ended = process.wait(timeout=60)
    ledger = nodes["marts", "fct_cost_ledger"]
    assert ledger["groupName"] == "marts_chargeback"
    assert ledger["latestMaterialization"]
    assert nodes["delivery", "report"]["latestMaterialization"]
    assert ended in (0, -signal.SIGINT, 130, 1)
    said = log.read_text(errors="replace")
    warned = [line for line in said.splitlines() if "Warning" in line and "SupersessionWarning" not in line]
    assert warned == []
    assert "Traceback" not in said
