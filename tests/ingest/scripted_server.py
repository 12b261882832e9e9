"""A small HTTP server that answers as a test says, and keeps what it was asked."""

import gzip
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass
class Question:
    path: str
    parameters: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Reply:
    body: str | bytes = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut_after_bytes: int | None = None
    is_gzip: bool = False


class ScriptedServer:
    """`answer` gives the reply to each question; replies in `first` go before it, one each. `now` is its clock."""

    def __init__(self, answer: Callable[[Question], Reply]) -> None:
        self.answer = answer
        self.first: list[Reply] = []
        self.now: datetime = datetime.now(UTC)
        self.questions: list[Question] = []
        self._lock = threading.Lock()
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                scripted._reply(self)

            def do_POST(self) -> None:
                scripted._reply(self)

            def date_time_string(self, timestamp: float | None = None) -> str:
                return format_datetime(scripted.now, usegmt=True)

            def log_message(self, format: str, *args: object) -> None:
                """Be silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.location = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _reply(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        sent = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        question = Question(parts.path, parse_qs(parts.query), dict(handler.headers.items()), sent)
        with self._lock:
            self.questions.append(question)
            reply = self.first.pop(0) if self.first else None
        reply = reply or self.answer(question)
        body = reply.body.encode() if isinstance(reply.body, str) else reply.body
        body = gzip.compress(body) if reply.is_gzip else body
        handler.send_response(reply.status)
        for name, value in (reply.headers | ({"Content-Encoding": "gzip"} if reply.is_gzip else {})).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: reply.cut_after_bytes])
        if reply.cut_after_bytes is not None:
            handler.wfile.flush()
            handler.close_connection = True
