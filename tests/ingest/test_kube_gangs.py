"""Groups of pods that start together: Volcano's pod groups and Kueue's workloads."""

import json
from datetime import datetime
from typing import Any

import pytest

from ingest.contracts import KUBE_POD_GROUPS, KUBE_WORKLOADS, QUARANTINE, LandingTable
from ingest.home import Home
from ingest.landing import land
from ingest.source import ObjectRefusedError
from ingest.telemetry.kueue import Kueue
from ingest.telemetry.volcano import Volcano
from tests.ingest.kube import at, condition, container, kube_list, metadata, pod
from tests.ingest.landed import check_counts, configure, find, query, write


def minute(number: int) -> datetime:
    return datetime(2026, 5, 1, 10, number)


def pod_group(name: str, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "scheduling.volcano.sh/v1beta1",
        "kind": "PodGroup",
        "metadata": metadata(
            name,
            ownerReferences=[
                {"apiVersion": "v1", "kind": "Other", "name": "o", "uid": "u-0"},
                {
                    "apiVersion": "batch.volcano.sh/v1alpha1",
                    "kind": "Job",
                    "name": "j",
                    "uid": "u-1",
                    "controller": True,
                },
            ],
        ),
        "spec": {"minMember": 4, "queue": "research", "minResources": {"cpu": "32", "nvidia.com/gpu": "32"}},
        "status": status,
    }


def workload(name: str, *conditions: dict[str, Any], version: str = "v1beta1", **spec: Any) -> dict[str, Any]:
    def pod_set(name: str, count: int, gpus: str, **more: Any) -> dict[str, Any]:
        template = {"metadata": {}, "spec": {"containers": [container(nvidia_com__gpu=gpus)]}}
        return {"name": name, "count": count, "template": template} | more

    return {
        "apiVersion": f"kueue.x-k8s.io/{version}",
        "kind": "Workload",
        "metadata": metadata(name),
        "spec": {"podSets": [pod_set("launcher", 1, "1"), pod_set("worker", 8, "4", minCount=6)], "queueName": "team-a"}
        | spec,
        "status": {
            "conditions": list(conditions),
            "admission": {
                "clusterQueue": "gpus",
                "podSetAssignments": [{"name": "worker", "flavors": {"nvidia.com/gpu": "h100"}, "count": 8}],
            },
            "requeueState": {"count": 2},
        },
    }


def test_a_pod_group_says_what_must_start_together(read_object: Any):
    waiting = pod_group(
        "a",
        phase="Inqueue",
        conditions=[
            condition("Scheduled", 1, "False"),
            condition("Unschedulable", 5, reason="NotEnoughResources", message="3/4 tasks in gang unschedulable"),
        ],
    )
    part = pod_group("b", phase="Unknown", running=3, failed=1, conditions=[condition("Scheduled", 6)])
    rows = read_object(Volcano(), kube_list(waiting, part)).rows
    names = (
        "pod_group queue phase min_member running failed gpu_count unschedulable_reason unschedulable_at scheduled_at"
    )
    assert [tuple(row[name] for name in names.split()) for row in rows] == [
        ("a", "research", "Inqueue", 4, 0, 0, 32, "NotEnoughResources", minute(5), None),
        ("b", "research", "Unknown", 4, 3, 1, 32, None, None, minute(6)),
    ]
    assert (rows[0]["owner_kind"], rows[0]["owner_uid"], rows[0]["created_at"]) == ("Job", "u-1", minute(0))


def test_a_group_that_states_no_resources_needs_an_unknown_count(read_object: Any):
    new = pod_group("a")
    new["spec"] = {"minMember": 2}
    quota = pod_group("b")
    quota["spec"] = {"minResources": {"requests.nvidia.com/gpu": "16", "limits.nvidia.com/gpu": "16"}}
    rows = read_object(Volcano(), kube_list(new, quota)).rows
    assert [(row["phase"], row["min_member"], row["gpu_count"], row["gpu_requests"]) for row in rows] == [
        ("Pending", 2, None, None),
        ("Pending", None, 16, '{"nvidia.com/gpu":16}'),
    ]


@pytest.mark.parametrize("version", ["v1beta1", "v1beta2"])
def test_a_workload_says_when_it_was_admitted_and_ready(read_object: Any, version: str):
    spelled = {"v1beta1": {"priorityClassName": "high"}, "v1beta2": {"priorityClassRef": {"name": "high", "kind": "x"}}}
    conditions = (
        condition("QuotaReserved", 3, reason="QuotaReserved"),
        condition("Admitted", 4, reason="Admitted"),
        condition("PodsReady", 9),
    )
    (row,) = read_object(Kueue(), kube_list(workload("w", *conditions, version=version, **spelled[version]))).rows
    names = "queue cluster_queue priority_class pod_count min_pod_count gpu_count requeue_count is_active"
    assert [row[name] for name in names.split()] == ["team-a", "gpus", "high", 9, 7, 33, 2, True]
    assert [row[f"{name}_at"] for name in ("quota_reserved", "admitted", "pods_ready", "pods_unready", "finished")] == [
        minute(3),
        minute(4),
        minute(9),
        None,
        None,
    ]
    assert json.loads(row["flavors"]) == {"worker": {"nvidia.com/gpu": "h100"}}


def test_a_workload_says_why_it_waits_or_was_put_out(read_object: Any):
    waiting = workload("a", condition("QuotaReserved", 2, "False", reason="Pending"), active=False)
    waiting["status"]["admission"] = None
    evicted = workload(
        "b",
        condition("QuotaReserved", 7, "False", reason="WaitingForQuota"),
        condition("PodsReady", 6, "False"),
        condition("Evicted", 7, reason="PodsReadyTimeout"),
        condition("Preempted", 7),
        condition("Finished", 8, reason="JobFinished"),
    )
    rows = read_object(Kueue(), kube_list(waiting, evicted)).rows
    names = "pending_reason evicted_reason finished_reason cluster_queue is_active".split()
    assert [[row[name] for name in names] for row in rows] == [
        ["Pending", None, None, None, False],
        ["WaitingForQuota", "PodsReadyTimeout", "JobFinished", "gpus", True],
    ]
    times = ("pods_unready_at", "evicted_at", "preempted_at", "finished_at")
    assert [rows[1][name] for name in times] == [minute(number) for number in (6, 7, 7, 8)]


def test_one_dump_of_everything_serves_each_kind(home: Home):
    sorts = ("kube_pods", "volcano", "kueue")
    configure(home, *(f"{{name: {kind}, kind: {kind}, location: dump.json}}" for kind in sorts))
    other = pod_group("kai") | {"apiVersion": "scheduling.run.ai/v2alpha2"}
    dump = kube_list(pod("p"), pod_group("g", phase="Running"), workload("w"), other)
    write(home.path / "dump.json", dump)
    report = land(home)
    assert [(item.source_name, item.rows_read, item.rows_landed) for item in report.sources[:3]] == [
        (kind, 1, 1) for kind in sorts
    ]
    assert [item.deliveries_unchanged for item in land(home).sources[:3]] == [1, 1, 1]


@pytest.mark.parametrize(
    ("kind", "table", "good", "bad", "field"),
    [
        ("volcano", KUBE_POD_GROUPS, pod_group("a"), pod_group("b", phase="Dancing"), "status.phase"),
        ("volcano", KUBE_POD_GROUPS, pod_group("a"), pod_group("b", running="three"), None),
        ("kueue", KUBE_WORKLOADS, workload("a"), workload("b", podSets=None), None),
        (
            "kueue",
            KUBE_WORKLOADS,
            workload("a"),
            workload("b", condition("Admitted", 1) | {"lastTransitionTime": "now"}),
            "status.conditions[Admitted].lastTransitionTime",
        ),
        (
            "kueue",
            KUBE_WORKLOADS,
            workload("a"),
            workload("b", podSets=[{"count": 2, "minCount": 3, "template": {"spec": {"containers": []}}}]),
            "spec.podSets",
        ),
    ],
)
def test_malformed_groups_are_refused_one_by_one(
    home: Home, kind: str, table: LandingTable, good: Any, bad: Any, field: str | None
):
    configure(home, f"{{name: gangs, kind: {kind}, location: dumps/, options: {{observed_at: '{at(30)}'}}}}")
    write(home.path / "dumps/dump.json", kube_list(bad, good))
    report = find(land(home), "gangs")
    assert (report.rows_read, report.rows_landed, report.rows_quarantined) == (2, 1, 1)
    assert report.data_through_at == minute(30)
    check_counts(home, table)
    assert query(home, QUARANTINE, "position, field") == [(1, field)]


@pytest.mark.parametrize("kind", [Volcano(), Kueue()])
def test_a_dump_without_a_group_of_the_kind_is_refused(read_object: Any, kind: Any):
    with pytest.raises(ObjectRefusedError, match="holds no"):
        read_object(kind, kube_list(pod("p")))
