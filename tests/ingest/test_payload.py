"""Bytes of an object: inflated in bounded blocks, cut into lines with the numbers an editor shows."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.payload import iterate_blocks, iterate_lines, read_payload
from ingest.source import ObjectRefusedError, SourceObject


def make_object(folder: Path, content: bytes) -> SourceObject:
    path = folder / "object"
    path.write_bytes(content)
    return SourceObject(uri=str(path), path=path, modified_at=datetime(2026, 9, 1, tzinfo=UTC), options={})


def test_lines_keep_their_numbers_over_blanks_and_a_missing_last_end(tmp_path: Path):
    lines = iterate_lines(make_object(tmp_path, b"\xef\xbb\xbfa\n\n  \nb\r\nc"))
    assert list(lines) == [(1, b"a"), (4, b"b\r"), (5, b"c")]


def test_a_mark_before_an_only_line_is_not_part_of_it(tmp_path: Path):
    assert list(iterate_lines(make_object(tmp_path, b"\xef\xbb\xbfa"))) == [(1, b"a")]


def test_lines_are_whole_wherever_blocks_end(tmp_path: Path):
    content = b"".join(b"%d %s\n" % (number, b"x" * (number % 997)) for number in range(40_000))
    for packed in (content, gzip.compress(content, mtime=0)):
        lines = list(iterate_lines(make_object(tmp_path, packed)))
        assert b"".join(line + b"\n" for _, line in lines) == content
        assert [number for number, _ in lines] == list(range(1, 40_001))


def test_what_expands_a_thousandfold_is_inflated_in_bounded_blocks(tmp_path: Path):
    blocks = list(iterate_blocks(make_object(tmp_path, gzip.compress(bytes(50_000_000), mtime=0))))
    assert max(len(block) for block in blocks) <= 8 << 20
    assert sum(len(block) for block in blocks) == 50_000_000


def test_members_with_padding_after_them_are_one_payload(tmp_path: Path):
    packed = gzip.compress(b"a", mtime=0) + gzip.compress(b"b", mtime=0) + bytes(512)
    assert read_payload(make_object(tmp_path, packed)) == b"ab"


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path):
    with pytest.raises(ObjectRefusedError, match="line 2 is longer than 64 MiB"):
        list(iterate_lines(make_object(tmp_path, b"short\n" + b"x" * (80 << 20))))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (gzip.compress(b"a", mtime=0)[:-1], "truncated gzip"),
        (gzip.compress(b"a", mtime=0) + b"\x1f\x8b", "truncated gzip"),
        (gzip.compress(b"a", mtime=0) + b"tail", "damaged gzip"),
        (gzip.compress(b"a" * 100, mtime=0)[:14] + b"\xff" * 30, "damaged gzip"),
    ],
)
def test_broken_objects_are_refused_with_their_reason(tmp_path: Path, content: bytes, reason: str):
    with pytest.raises(ObjectRefusedError, match=reason):
        read_payload(make_object(tmp_path, content))
