"""An S3 server that refuses for a while: what it is told to refuse, it answers itself; all else it passes on."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import urlsplit

_OWN_HEADERS: Final = ("connection", "transfer-encoding", "server", "date")


class RefusingProxy:
    """In front of the server at `endpoint`."""

    def __init__(self, endpoint: str) -> None:
        self._refusal = (0, "")
        self._path_part = ""
        self._times_left = 0
        self._lock = threading.Lock()
        self.refused_count = 0
        proxy, upstream = self, urlsplit(endpoint).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                refusal = proxy._take(self.path)
                if refusal is not None:
                    status, code = refusal
                    body = f"<Error><Code>{code}</Code><Message>as told</Message></Error>".encode() if code else b""
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                    return
                connection = http.client.HTTPConnection(upstream)
                connection.request("GET", self.path, headers=dict(self.headers))
                answer = connection.getresponse()
                body = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in (*_OWN_HEADERS, "content-length"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                connection.close()

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def refuse(self, status: int, code: str, times: int, path_part: str = "") -> None:
        """Answer the next `times` requests whose path has `path_part` with this status and S3 error code."""
        with self._lock:
            self._refusal, self._times_left, self._path_part = (status, code), times, path_part

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _take(self, path: str) -> tuple[int, str] | None:
        with self._lock:
            if not self._times_left or self._path_part not in path:
                return None
            self._times_left -= 1
            self.refused_count += 1
            return self._refusal
