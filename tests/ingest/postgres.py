"""A real PostgreSQL on loopback, with a password."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

PASSWORD = "open sesame"


def find_binary(name: str) -> str:
    """Debian keeps most of them out of the path."""
    found = shutil.which(name) or next((str(path) for path in Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), None)
    if found is None:
        pytest.skip(f"no {name} on this machine: install the Debian package `postgresql`")
    return found


@contextmanager
def run_postgres(*flags: str) -> Iterator[int]:
    """The port of a server with the superuser `finops`, ended and removed with the block."""
    initdb, postgres = find_binary("initdb"), find_binary("postgres")
    # It refuses to run as root, and another user cannot see into pytest's folders.
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="wattledger-postgres-") as name, socket.create_server(("", 0)) as free:
        folder, port = Path(name), free.getsockname()[1]
        (folder / "password").write_text(PASSWORD)
        if user:
            for path in (folder, folder / "password"):
                shutil.chown(path, user)
        data = folder / "data"
        options = ["-A", "scram-sha-256", f"--pwfile={folder / 'password'}", "-U", "finops", "-N", "-E", "UTF8"]
        subprocess.run([initdb, "-D", str(data), *options], check=True, capture_output=True, user=user, cwd=folder)
        free.close()
        settings = ["listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", "fsync=off", *flags]
        command = [postgres, "-D", str(data), *(part for setting in settings for part in ("-c", setting))]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, user=user, cwd=folder)
        try:
            _wait_until_ready(process, port, folder / "log")
            yield port
        finally:
            process.send_signal(2)  # fast: sessions are ended
            process.wait()


def connect(port: int, database: str = "postgres") -> psycopg.Connection:
    return psycopg.connect(
        host="127.0.0.1", port=port, user="finops", password=PASSWORD, dbname=database, autocommit=True
    )


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            connect(port).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.05)
    pytest.fail(f"PostgreSQL did not start: {log.read_text()}")
