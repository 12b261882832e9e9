"""OpenShift usage reports of koku: pods, GPUs and labels by the hour."""

import csv
import gzip
import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.contracts import KOKU_OCP_ROWS, QUARANTINE
from ingest.home import Home
from ingest.landing import land
from ingest.source import ObjectRefusedError
from ingest.telemetry.koku_ocp import KokuOcp
from tests.ingest.landed import check_counts, configure, find, query, write

KIND = KokuOcp()
TIMES = "report_period_start,report_period_end,interval_start,interval_end"
HOUR = (
    "2026-05-01 00:00:00 +0000 UTC,2026-06-01 00:00:00 +0000 UTC,"
    "2026-05-01 07:00:00 +0000 UTC,2026-05-01 07:59:59 +0000 UTC"
)
GPU_HEADER = f"{TIMES},node,namespace,pod,gpu_uuid,gpu_model_name,gpu_pod_uptime,mig_instance_id,mig_profile,driver"


def gpu(uptime: str = "1800", pod: str = "train-0", hour: str = HOUR) -> str:
    return f"{hour},n1,ml,{pod},GPU-a,A100,{uptime},MIG-1,1g.5gb,570"


def test_an_hour_is_half_open_and_what_has_no_column_is_kept(read_object: Any):
    (row,) = read_object(KIND, f"{GPU_HEADER}\n{gpu()}\n", cluster="prod").rows
    assert (row["interval_start_at"], row["interval_end_at"]) == (datetime(2026, 5, 1, 7), datetime(2026, 5, 1, 8))
    assert row["report_period_end_at"] == datetime(2026, 6, 1)
    names = "report cluster node namespace pod gpu_uuid mig_instance_id mig_profile gpu_pod_uptime_seconds _extra"
    assert [row[name] for name in names.split()] == [
        "gpu_usage",
        "prod",
        "n1",
        "ml",
        "train-0",
        "GPU-a",
        "MIG-1",
        "1g.5gb",
        1800.0,
        '{"driver":"570"}',
    ]


def test_an_offset_is_heard(read_object: Any):
    hour = HOUR.replace("07:00:00 +0000 UTC", "07:00:00 -0500 EST").replace("07:59:59 +0000 UTC", "07:59:59 -0500 EST")
    (row,) = read_object(KIND, f"{GPU_HEADER}\n{gpu(hour=hour)}\n").rows
    assert row["interval_start_at"] == datetime(2026, 5, 1, 12)


def test_labels_are_split_at_their_first_colon(read_object: Any):
    text = (
        f"{TIMES},namespace,namespace_labels\n{HOUR},ml,label_team:search|label_url:http://x|gpu:1|odd\n{HOUR},web,\n"
    )
    rows = read_object(KIND, text).rows
    assert json.loads(rows[0]["labels"]) == {"team": "search", "url": "http://x", "gpu": "1"}
    assert (rows[0]["report"], rows[1]["labels"]) == ("namespace_label", None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{TIMES},persistentvolumeclaim\n", "none of the reports"),
        (f"{TIMES.partition(',')[2]},node,node_labels\n", "node_label report without report_period_start"),
        (f"{TIMES},node,pod,gpu_pod_uptime,gpu_uuid\n", "gpu_usage report without namespace"),
        ("", "empty"),
        (f"{GPU_HEADER}\n".encode() + b"\xff\n", "not UTF-8"),
    ],
)
def test_what_is_no_report_is_refused(read_object: Any, text: Any, reason: str):
    with pytest.raises(ObjectRefusedError, match=reason):
        read_object(KIND, text)


def test_malformed_lines_are_refused_one_by_one(home: Home):
    configure(home, "{name: ocp, kind: koku_ocp, location: reports/}")
    lines = [
        gpu(),
        gpu(uptime="half"),
        gpu(uptime="-1"),
        gpu(uptime="3601"),
        gpu(pod=""),
        gpu(hour=HOUR.replace("2026-05-01 07:00:00", "yesterday")),
        gpu(hour=HOUR.replace("07:59:59", "06:59:59")),
        "short,line",
    ]
    write(home.path / "reports/gpu.csv", "\n".join([GPU_HEADER, *lines]))
    report = find(land(home), "ocp")
    assert (report.rows_read, report.rows_landed, report.rows_quarantined) == (8, 1, 7)
    assert report.data_through_at == datetime(2026, 5, 1, 8)
    check_counts(home, KOKU_OCP_ROWS)
    assert query(home, QUARANTINE, "position, field order by 1") == [
        (3, "gpu_pod_uptime"),
        (4, "gpu_pod_uptime"),
        (5, "gpu_pod_uptime"),
        (6, "pod"),
        (7, "interval_start"),
        (8, "interval_end"),
        (9, None),
    ]


def test_nises_reports_add_up_as_the_raw_files_do(home: Home, shared_data: Path):
    folder = shared_data / "nise_openshift_usage"
    configure(home, f'{{name: ocp, kind: koku_ocp, location: "{folder}/*.csv.gz", options: {{cluster: ml-prod}}}}')
    report = find(land(home), "ocp")
    rows: dict[str, list[dict[str, str]]] = {}
    for path in sorted(folder.glob("*.csv.gz")):
        with gzip.open(path, "rt", newline="") as file:
            rows[path.name.partition("-ocp_")[2].partition(".")[0]] = list(csv.DictReader(file))
    counted = {name: len(lines) for name, lines in rows.items()}
    assert (report.rows_read, report.rows_quarantined) == (sum(counted.values()), 0)
    assert dict(query(home, KOKU_OCP_ROWS, "report, count(*) group by 1")) == counted
    held: Counter[tuple[str, str, str]] = Counter()
    for line in rows["gpu_usage"]:
        held[line["pod"], line["gpu_uuid"], line["mig_profile"]] += int(line["gpu_pod_uptime"])
    landed = query(
        home,
        KOKU_OCP_ROWS,
        "pod, gpu_uuid, coalesce(mig_profile, ''), sum(gpu_pod_uptime_seconds)::bigint where report = 'gpu_usage' "
        "group by 1, 2, 3",
    )
    assert {row[:3]: row[3] for row in landed} == dict(held)
    requested: Counter[tuple[str, str]] = Counter()
    for line in rows["pod_usage"]:
        requested[line["interval_start"][:10], line["pod"]] += int(float(line["pod_request_cpu_core_seconds"]))
    landed = query(
        home,
        KOKU_OCP_ROWS,
        "usage_date::text, pod, sum(pod_request_cpu_core_seconds)::bigint where report = 'pod_usage' group by 1, 2",
    )
    assert {row[:2]: row[2] for row in landed} == dict(requested)
    teams = query(home, KOKU_OCP_ROWS, "labels->>'$.team', count(*) where report = 'pod_usage' group by 1 order by 1")
    raw = Counter(
        dict(part.split(":", 1) for part in line["pod_labels"].split("|") if part).get("label_team")
        for line in rows["pod_usage"]
    )
    assert dict(teams) == dict(raw)
