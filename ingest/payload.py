"""The bytes of one object: gunzipped when they are gzip, whatever the name says; refused with a reason when broken."""

import csv
import zlib
from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from ingest.source import ObjectRefusedError, RowSink, SourceObject

JSON_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises of a text: no JSON, a string that is not UTF-8, brackets without an end."""

_GZIP_MAGIC: Final = b"\x1f\x8b"
_PARQUET_MAGIC: Final = b"PAR1"
_READ_BYTES: Final = 1 << 20
_BLOCK_BYTES: Final = 8 << 20  # also bounds what one gzip block may expand to at a time
_LONGEST_LINE_BYTES: Final = 64 << 20
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_DOCUMENT_STARTS: Final = (b"{", b"[")
_BARE_RETURN: Final = "a carriage return without a line feed: save the file with line ends LF or CRLF"
_BINARY: Final = "not text but a binary file: expected CSV or JSON in UTF-8, plain or as gzip"

# A prompt or a map of tags in a cell is longer than Python's default of 131,072; a line bounds it.
csv.field_size_limit(_LONGEST_LINE_BYTES)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def iterate_blocks(source_object: SourceObject) -> Iterator[bytes]:
    """Yield the object's bytes in blocks of at most 8 MiB.

    Raises `ObjectRefusedError` for an empty object, for Parquet, and for gzip that is truncated or damaged.
    """
    with source_object.path.open("rb") as file:
        head = file.read(len(_PARQUET_MAGIC))
        file.seek(0)
        if not head:
            raise ObjectRefusedError("the object is empty (0 bytes): deliver it again, or remove it from the source")
        if head == _PARQUET_MAGIC:
            raise ObjectRefusedError(
                "is Parquet, where text is read: choose JSON lines (or JSON, or CSV where the kind reads it) as the "
                "file type of the export, and let `location` name the folder that has them"
            )
        if head.startswith(_GZIP_MAGIC):
            yield from _iterate_gunzipped(file)
            return
        while block := file.read(_BLOCK_BYTES):
            yield block


def read_payload(source_object: SourceObject) -> bytes:
    """All bytes of an object that is one document, without a byte order mark.

    Raises `ObjectRefusedError` as `iterate_blocks` does, and when nothing but blanks is inside.
    """
    payload = b"".join(iterate_blocks(source_object)).removeprefix(_BYTE_ORDER_MARK)
    if not payload.strip():
        raise ObjectRefusedError("the object holds nothing but blanks: deliver it again, or remove it from the source")
    return payload


def iterate_lines(source_object: SourceObject) -> Iterator[tuple[int, bytes]]:
    """Yield (1-based line number, line without its end) for every line that is not blank.

    Raises `ObjectRefusedError` as `iterate_blocks` does, and for a line longer than 64 MiB.
    """
    number = 0
    tail = b""
    for block in iterate_blocks(source_object):
        lines = (tail + block).split(b"\n")
        tail = lines.pop()
        if len(tail) > _LONGEST_LINE_BYTES:
            raise ObjectRefusedError(
                f"line {number + len(lines) + 1} is longer than {_LONGEST_LINE_BYTES >> 20} MiB: expected one JSON "
                "record a line",
                position=number + len(lines) + 1,
            )
        for line in lines:
            number += 1
            if number == 1:
                line = line.removeprefix(_BYTE_ORDER_MARK)
            if line and not line.isspace():
                yield number, line
    last = tail.removeprefix(_BYTE_ORDER_MARK) if number == 0 else tail
    if last and not last.isspace():
        yield number + 1, last


def iterate_csv(source_object: SourceObject, sink: RowSink) -> Iterator[tuple[int, list[str]]]:
    """Yield (1-based line, cells) of the header, which is stripped, and of each record; lines that are no CSV are
    refused to the sink.

    Raises `ObjectRefusedError` as `iterate_lines` does, and where the header is no CSV.
    """
    reader = csv.reader(text.decode("utf-8", "replace") + "\n" for _, text in iterate_lines(source_object))
    is_header = True
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = f"not CSV: {_BARE_RETURN if 'new-line' in str(error) else error}"
            if is_header:
                raise ObjectRefusedError(reason, position=reader.line_num) from error
            sink.refuse_row(reader.line_num, None, reason)
            continue
        if is_header:
            cells = [name.strip() for name in cells]
            if any("\x00" in name for name in cells):
                raise ObjectRefusedError(_BINARY, position=reader.line_num)
        yield reader.line_num, cells
        is_header = False


def iterate_records(source_object: SourceObject) -> Iterator[tuple[int, bytes | msgspec.Raw]]:
    """Yield (position, JSON text of one record), from lines, or from one JSON document: an object or an array of them.

    Raises `ObjectRefusedError` as `iterate_lines` does, and for a document that is neither.
    """
    for number, line in iterate_lines(source_object):
        start = line.strip()
        # A record on a line of its own starts with a brace and its first key; a bracket, or a brace alone, opens a
        # document that goes on below.
        if start in _DOCUMENT_STARTS or start.startswith(b"["):
            yield from _iterate_document(source_object)
            return
        yield number, line
        break
    lines = iterate_lines(source_object)
    next(lines, None)
    yield from lines


def _iterate_document(source_object: SourceObject) -> Iterator[tuple[int, msgspec.Raw]]:
    payload = read_payload(source_object)
    try:
        if payload.lstrip().startswith(b"["):
            records = msgspec.json.decode(payload, type=list[msgspec.Raw])
        else:
            records = [msgspec.json.decode(payload, type=msgspec.Raw)]
    except JSON_ERRORS as error:
        raise ObjectRefusedError(
            f"not one JSON document: {error}: expected JSON lines, one object, or an array of objects"
        ) from error
    yield from enumerate(records, start=1)


def _iterate_gunzipped(file: _Readable) -> Iterator[bytes]:
    """Inflate all gzip members in turn; concatenated members are what log shippers append."""
    inflater = zlib.decompressobj(wbits=31)
    is_inside_member = True
    while chunk := file.read(_READ_BYTES):
        while True:
            if not is_inside_member:
                chunk = chunk.lstrip(b"\x00")  # padding after the last member
                if not chunk:
                    break
                inflater = zlib.decompressobj(wbits=31)
                is_inside_member = True
            try:
                block = inflater.decompress(chunk, _BLOCK_BYTES)
            except zlib.error as error:
                raise ObjectRefusedError(f"damaged gzip: {error}: deliver the object again") from error
            if block:
                yield block
            if inflater.eof:
                chunk = inflater.unused_data
                is_inside_member = False
            else:
                chunk = inflater.unconsumed_tail
                # A full block may hide more output of input already taken: ask again with nothing new.
                if not chunk and len(block) < _BLOCK_BYTES:
                    break
    if is_inside_member:
        raise ObjectRefusedError("truncated gzip: the last member has no end: deliver the object again")
