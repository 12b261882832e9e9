"""A connection that breaks in the middle of an answer."""

import socket
import threading


class CuttingProxy:
    """Passes connections on to `port`, and cuts the first `cuts` of them `body_bytes` into the body of the answer."""

    def __init__(self, port: int, body_bytes: int, cuts: int) -> None:
        self._port = port
        self.body_bytes = body_bytes
        self.cuts_left = cuts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(connection,), daemon=True).start()

    def _pass_on(self, connection: socket.socket) -> None:
        with connection, socket.create_connection(("127.0.0.1", self._port)) as upstream:
            threading.Thread(target=self._copy, args=(connection, upstream), daemon=True).start()
            answer = b""
            while chunk := upstream.recv(65536):
                answer += chunk
                _, end, body = answer.partition(b"\r\n\r\n")
                if end and len(body) > self.body_bytes and self.cuts_left:
                    self.cuts_left -= 1
                    connection.sendall(chunk[: len(chunk) - (len(body) - self.body_bytes)])
                    connection.shutdown(socket.SHUT_RDWR)
                    return
                connection.sendall(chunk)

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> None:
        try:
            while chunk := source.recv(65536):
                sink.sendall(chunk)
        except OSError:
            return
