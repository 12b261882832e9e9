"""A gRPC server on loopback that answers one method of a Google service, from a script first."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

Answer = Callable[[Any, grpc.ServicerContext], Any]


class ScriptedGrpc:
    """`asked` holds every request; each answer of `script` is given once, then `usual` answers."""

    def __init__(self, method: str, request_type: Any, response_type: Any, usual: Answer) -> None:
        self.asked: list[Any] = []
        self.script: list[Answer] = []
        self._usual = usual
        handler = grpc.unary_unary_rpc_method_handler(
            self._answer,
            request_deserializer=request_type.deserialize,
            response_serializer=response_type.serialize,
        )
        service, _, name = method.rpartition("/")
        self.server = grpc.server(ThreadPoolExecutor(4))
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {name: handler})])
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def _answer(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.asked.append(request)
        answer = self.script.pop(0) if self.script else self._usual
        return answer(request, context)


def fail(code: grpc.StatusCode) -> Answer:
    """An answer that is this error."""

    def abort(request: Any, context: grpc.ServicerContext) -> Any:
        context.abort(code, "as the script says")
        raise AssertionError

    return abort
