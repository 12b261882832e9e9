"""Whatever stands in an object, its reader lands or refuses it in words, and the sources beside it land."""

import json
import random
import re
from pathlib import Path

import pytest

from ingest.contracts import LITELLM_REQUESTS, QUARANTINE
from ingest.dated_facts import get_fact_path, read_dated_fact
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.landing import LandingReport, land
from ingest.source import SourceKind
from tests.ingest.hostile_objects import HOSTILE_OBJECTS, HUGE_CELL, HUGE_NUMBER
from tests.ingest.landed import configure, find, query, request, write

_OPTIONS = {
    "gateway_log": "{fields: {started_at: a, model: b, request_id: c}}",
    "invoice_csv": "{columns: {amount: a, line_id: b, period_start: c}, defaults: {provider: own}}",
    "kube_pods": "{columns: {pod: a, namespace: b, phase: c, created_at: d}}",
    "carbon_intensity": "{year: 2026}",
    "electricity_prices": "{year: 2026}",
}
_CLASS_NAME = re.compile(
    r"\b[A-Z]\w*(Error|Exception|Warning)\b|Traceback|\bNoneType\b|_csv\."
    r"|(Input|IO|Conversion|Binder|Parser) Error"
)


def land_all(home: Home, kinds: list[SourceKind], folder: str) -> LandingReport:
    """Land the same folder as every kind, and a healthy log beside."""
    write(home.path / "logs" / "1.jsonl", request("healthy"))
    sources = [
        f'{{name: {kind.kind}, kind: {kind.kind}, location: "{folder}/{kind.kind}/*"'
        + (f", options: {_OPTIONS[kind.kind]}" if kind.kind in _OPTIONS else "")
        + "}"
        for kind in kinds
    ]
    configure(home, *sources, '{name: healthy, kind: litellm, location: "logs/*.jsonl"}')
    return land(home)


def check_words(home: Home, report: LandingReport) -> None:
    """Every refusal is a sentence for people, and the healthy log has landed."""
    reasons = [reason for (reason,) in query(home, QUARANTINE, "distinct reason")]
    told = [message for item in report.sources for message in item.messages]
    assert [text for text in (*reasons, *told) if _CLASS_NAME.search(text)] == []
    assert [text for text in (*reasons, *told) if "\n" in text or len(text) > 2_300] == []
    assert find(report, "healthy").rows_landed == 1
    assert query(home, LITELLM_REQUESTS, "count(*) filter (where _source = 'healthy')") == [(1,)]


def test_every_kind_lands_or_refuses_every_hostile_object_in_words(home: Home):
    for kind in KINDS:
        for name, content in HOSTILE_OBJECTS.items():
            write(home.path / "hostile" / kind / name, content)
    report = land_all(home, list(KINDS.values()), "hostile")
    check_words(home, report)
    for kind in KINDS:
        item = find(report, kind)
        assert not item.is_stale, item.messages
        done = item.deliveries_landed + item.deliveries_refused + item.deliveries_superseded
        assert done == len(HOSTILE_OBJECTS) or item.deliveries_refused, (kind, item)
    named = {uri for (uri,) in query(home, QUARANTINE, "distinct object_uri")}
    for kind in KINDS:
        for name in ("empty", "binary", "truncated-gzip", "other-parquet", "nested-lists"):
            assert f"hostile/{kind}/{name}" in named, (kind, name)


_HOME_OF_KIND = Path(__file__).resolve().parents[1] / "golden" / "2026-10-01" / "home"
_SOUND_OBJECTS = {
    "focus": _HOME_OF_KIND / "exports" / "aws" / "2026-10.csv",
    "litellm": _HOME_OF_KIND / "logs" / "2026-10-01.jsonl",
    "opencost_allocation": _HOME_OF_KIND / "telemetry" / "opencost" / "2026-10-01.json",
    "dcgm_prometheus": _HOME_OF_KIND / "telemetry" / "dcgm" / "DCGM_FI_PROF_SM_ACTIVE.json",
}
_NUMBER = re.compile(rb'(?<=[:\[,"])\s*-?\d+(\.\d+)?(?=[,\]}"\n])')
_TEXT = re.compile(rb'"[^"\\\n]{1,60}"')
_HOSTILE_VALUES = (
    b"",
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b"-1",
    b"1e400",
    b"NaN",
    b"true",
    HUGE_NUMBER.encode(),
    b"[" * 300 + b"]" * 300,
    b'"\x00"',
    b'"\xff\xfe"',
    b'"\\ud800"',
    b"\r",
    HUGE_CELL[:140_000].encode(),
)


def spoil(content: bytes, dice: random.Random) -> bytes:
    """A sound object with one to three of its values replaced by hostile ones."""
    for _ in range(dice.randint(1, 3)):
        pattern = dice.choice((_NUMBER, _TEXT))
        places = list(pattern.finditer(content))
        if not places:
            continue
        place = dice.choice(places)
        content = content[: place.start()] + dice.choice(_HOSTILE_VALUES) + content[place.end() :]
    return content


@pytest.mark.parametrize("seed", [1])
def test_sound_objects_with_hostile_values_are_landed_or_refused_in_words(home: Home, seed: int):
    dice = random.Random(seed)
    for kind, path in _SOUND_OBJECTS.items():
        content = path.read_bytes()[:20_000] if kind == "litellm" else path.read_bytes()
        for number in range(25):
            write(home.path / "spoiled" / kind / f"{number:02d}{path.suffix}", spoil(content, dice))
    report = land_all(home, [KINDS[kind] for kind in _SOUND_OBJECTS], "spoiled")
    check_words(home, report)
    assert all(not item.is_stale for item in report.sources)


def test_one_hostile_line_costs_that_line_alone(home: Home):
    lines = ["at,model,id", "2026-05-01T10:00:00Z,gpt-4o,one", "2026-05-01T10:00:00Z,gpt\r4o,two"]
    lines += [f"2026-05-01T10:00:00Z,{HUGE_CELL},three", "2026-05-01T10:00:00Z,gpt-4o,four"]
    write(home.path / "calls" / "1.csv", "\n".join(lines) + "\n")
    options = "{fields: {started_at: at, model: model, request_id: id}}"
    configure(home, f'{{name: calls, kind: gateway_log, location: "calls/*", options: {options}}}')
    report = find(land(home), "calls")
    assert (report.rows_read, report.rows_landed, report.rows_quarantined) == (4, 3, 1)
    ((position, reason),) = query(home, QUARANTINE, "position, reason")
    assert position == 3 and "carriage return" in reason


@pytest.mark.parametrize("name", ["owners", "policies"])
def test_a_config_file_that_no_rule_foresees_is_refused_in_words(home: Home, name: str):
    for kind, content in HOSTILE_OBJECTS.items():
        write(get_fact_path(home, name), content)
        problems = read_dated_fact(home, name).problems
        assert problems or kind in ("empty", "blank", "null"), kind
        assert [str(problem) for problem in problems if _CLASS_NAME.search(str(problem))] == [], kind


def test_a_manifest_that_no_rule_foresees_is_refused_in_words(home: Home):
    for name, content in (*HOSTILE_OBJECTS.items(), ("names", json.dumps({"blobs": [{"blobName": "\x00"}]}).encode())):
        write(home.path / "bills" / name / "manifest.json", content)
    configure(home, '{name: bills, kind: azure_cost, location: "bills/**/*"}')
    report = find(land(home), "bills")
    assert report.deliveries_refused == len(HOSTILE_OBJECTS) + 1
    assert [text for text in report.messages if _CLASS_NAME.search(text)] == []
