"""How JSON answers of a server wait to be read: a line each, with what was asked, so that one at a time is read."""

import json
from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec

from ingest.http_client import HttpClient, Parameters, ServerError
from ingest.payload import iterate_lines
from ingest.source import ObjectRefusedError, SourceObject

_START: Final = b'{"asked":'


class _Line(msgspec.Struct):
    asked: str
    answer: msgspec.Raw


def save_line(
    client: HttpClient, path: str, parameters: Parameters, asked: str, file: BinaryIO, most_bytes: int
) -> None:
    """Append an answer to `file`, or nothing when it fails. Raises as `HttpClient.save` does."""
    start = file.tell()
    file.write(_START + json.dumps(asked).encode() + b',"answer":')
    try:
        client.save(path, parameters, file, most_bytes)
    except ServerError:
        file.seek(start)
        file.truncate()
        raise
    file.write(b"}\n")


def write_line(file: BinaryIO, asked: str, answer: bytes) -> None:
    """Append an answer that is JSON to `file`."""
    # A JSON text has line ends between its tokens alone, never inside a string.
    file.write(_START + json.dumps(asked).encode() + b',"answer":' + answer.replace(b"\n", b" ") + b"}\n")


def is_pulled(source_object: SourceObject) -> bool:
    """True for a file of such lines."""
    with source_object.path.open("rb") as file:
        return file.read(len(_START)) == _START


def iterate_pulled(source_object: SourceObject) -> Iterator[tuple[str, bytes]]:
    """Yield (what was asked, answer). Raises `ObjectRefusedError` for an answer that is no JSON."""
    for number, line in iterate_lines(source_object):
        try:
            pulled = msgspec.json.decode(line, type=_Line)
        except msgspec.DecodeError as error:
            raise ObjectRefusedError(f"an answer that is no JSON: {error}", position=number) from error
        yield pulled.asked, bytes(pulled.answer)
