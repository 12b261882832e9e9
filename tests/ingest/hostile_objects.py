"""Objects that no reader foresees: one of each way in which a file can be wrong."""

import gzip
import io
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

HUGE_CELL: Final = "x" * 200_000
HUGE_NUMBER: Final = "9" * 400


def _write_parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"colour": ["red"], "ts": pa.array([2**62], pa.timestamp("us"))}), sink)
    return sink.getvalue()


HOSTILE_OBJECTS: Final[dict[str, bytes]] = {
    "empty": b"",
    "blank": b"\n\n  \n",
    "binary": bytes(range(256)) * 64,
    "zip": b"PK\x03\x04" + bytes(200),
    "truncated-gzip": gzip.compress("".join(f'{{"a": {number}}}\n' for number in range(5_000)).encode())[:-200],
    "damaged-gzip": b"\x1f\x8b\x08\x00" + bytes(range(100)),
    "huge-cell": f"a,b,c\n1,{HUGE_CELL},3\n".encode(),
    "huge-header": f"a,{HUGE_CELL},c\n1,2,3\n".encode(),
    "bare-return": b"a,b,c\r1,2,3\r4,5,6\r",
    "bare-return-in-a-row": b"a,b,c\n1,2\r3,4\n5,6,7\n",
    "nul": b"a,b,c\n1,\x00,3\n",
    "nul-in-json": b'{"a": "\x00"}\n',
    "open-quote": b'a,b,c\n1,"2,3\n4,5,6\n',
    "latin-1": "Käufer,Größe\nMüller,1\n".encode("latin-1"),
    "utf-16": "a,b,c\n1,2,3\n".encode("utf-16"),
    "nested-lists": b"[" * 20_000 + b"]" * 20_000,
    "nested-objects": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "nested-value": b'{"data": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "long-number": f'{{"value": {HUGE_NUMBER}, "data": [[{HUGE_NUMBER}, "1"]]}}\n'.encode(),
    "exponent": b'{"value": 1e999999999, "status": "success", "data": {"result": [{"values": [[1e400, "1e400"]]}]}}\n',
    "not-a-number": b'{"value": NaN, "total": -Infinity}\n',
    "other-object": b'{"colour": "red", "sizes": [1, 2, {"deep": null}]}\n',
    "other-list": b'[{"colour": "red"}, 5, null, "text", [1]]\n',
    "a-number": b"42\n",
    "a-text": b'"text"\n',
    "null": b"null\n",
    "other-parquet": _write_parquet(),
    "damaged-parquet": b"PAR1" + bytes(40) + b"PAR1",
}
