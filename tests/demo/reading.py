"""Plain readers of what the demo writes: csv, json and gzip, nothing of ours."""

import csv
import gzip
import io
import json
from typing import Any

from demo.summary import SourceTruth


def read_bill(source: SourceTruth) -> list[dict[str, str]]:
    """Rows of every CSV of a bill; `folder` is the delivery's."""
    rows: list[dict[str, str]] = []
    for path in source.files:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
        rows += [{**row, "folder": path.parent.name} for row in csv.DictReader(io.StringIO(text))]
    return rows


def read_lines(source: SourceTruth) -> tuple[list[dict[str, Any]], int]:
    """Records of a log that are JSON, and how many lines are not."""
    records, broken = [], 0
    for path in source.files:
        for line in gzip.decompress(path.read_bytes()).splitlines():
            try:
                records.append(json.loads(line))
            except ValueError:
                broken += 1
    return records, broken


def read_series(source: SourceTruth, metric: str) -> list[dict[str, Any]]:
    """Series of a DCGM metric, day after day."""
    series: list[dict[str, Any]] = []
    for path in source.files:
        if path.parent.name == metric:
            answer = json.loads(gzip.decompress(path.read_bytes()))
            assert answer["status"] == "success"
            series += answer["data"]["result"]
    return series


def read_steps(source: SourceTruth) -> list[dict[str, dict[str, Any]]]:
    """Hourly steps of the allocation answers, in order."""
    return [step for path in source.files for step in json.loads(path.read_bytes())["data"]]
