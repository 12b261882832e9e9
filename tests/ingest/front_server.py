"""A server in front of a true one, which fails on the way when it is told to."""

from urllib.parse import urlencode

import urllib3

from tests.ingest.scripted_server import Question, Reply, ScriptedServer

_OWN_HEADERS = ("host", "connection", "content-length", "transfer-encoding", "server", "date", "keep-alive")


class FrontServer:
    """Passes every question on, unless `failures` has a reply for its path; None cuts the true one. `asked_too` is
    asked beside what a client asks."""

    def __init__(self, behind: str) -> None:
        self._behind = behind
        self._pool = urllib3.PoolManager(maxsize=32)
        self.failures: list[tuple[str, Reply | None]] = []
        self.asked_too: dict[str, str] = {}
        self.server = ScriptedServer(self.answer)

    def answer(self, question: Question) -> Reply:
        cut_after_bytes = None
        for failure in self.failures:
            if failure[0] in question.path:
                self.failures.remove(failure)
                if failure[1] is not None:
                    return failure[1]
                cut_after_bytes = 3
                break
        asked = urlencode({**question.parameters, **self.asked_too}, doseq=True)
        headers = {name: value for name, value in question.headers.items() if name.lower() not in _OWN_HEADERS}
        found = self._pool.request(
            "GET",
            f"{self._behind}{question.path}?{asked}",
            headers=headers,
            decode_content=False,
            retries=False,
        )
        kept = {name: value for name, value in found.headers.items() if name.lower() not in _OWN_HEADERS}
        return Reply(found.data, found.status, kept, cut_after_bytes)
