"""Pods of a cluster: what they asked for, and when they got how far."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from ingest.contracts import KUBE_PODS, QUARANTINE
from ingest.home import Home
from ingest.landing import land
from ingest.source import ObjectRefusedError
from ingest.telemetry.kube_pods import KubePods
from tests.ingest.kube import at, condition, container, kube_list, metadata, pod, running
from tests.ingest.landed import check_counts, configure, find, query, write

KIND = KubePods()
SEEN = "2026-05-01T12:00:00Z"


def minute(number: int) -> datetime:
    return datetime(2026, 5, 1, 10, number)


def test_a_running_pod_says_when_it_got_how_far(read_object: Any, pack: Callable[[str], bytes]):
    text = kube_list(pod("a", metadata=metadata("a", labels={"team": "x"})))
    (row,) = read_object(KIND, pack(text), cluster="prod", observed_at=SEEN).rows
    told = {name: row[name] for name in ("cluster", "pod_uid", "namespace", "pod", "node", "phase", "labels")}
    assert list(told.values()) == ["prod", "uid-a", "train", "a", "gpu-1", "Running", '{"team":"x"}']
    names = "created scheduled initialized first_container_started ready kubelet_started".split()
    assert [row[f"{name}_at"] for name in names] == [minute(number) for number in (0, 1, 2, 3, 4, 1)]
    assert (row["observed_at"], row["last_container_finished_at"], row["_repairs"]) == (
        datetime(2026, 5, 1, 12),
        None,
        None,
    )
    assert [item["type"] for item in json.loads(row["conditions"])] == [
        "PodScheduled",
        "Initialized",
        "Ready",
        "PodReadyToStartContainers",
    ]


def test_nothing_of_a_containers_environment_is_kept(read_object: Any):
    (row,) = read_object(KIND, kube_list(pod("a"))).rows
    assert "hunter2" not in str(row)


def test_a_dump_that_says_no_time_was_seen_when_it_was_written(read_object: Any):
    (row,) = read_object(KIND, kube_list(pod("a"))).rows
    assert (row["observed_at"], row["_repairs"]) == (datetime(2026, 9, 1, 12), "observed_at_from_object")
    with pytest.raises(ObjectRefusedError, match="observed_at"):
        read_object(KIND, kube_list(pod("a")), observed_at="noon")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [container(nvidia_com__gpu="2"), container(nvidia_com__gpu=1)]}, (3, 0, {"nvidia.com/gpu": 3})),
        ({"containers": [container(cpu="4", memory="8Gi")]}, (0, 0, {})),
        ({"containers": [{"name": "bare"}]}, (0, 0, {})),
        ({"containers": [container(amd_com__gpu="8")]}, (8, 0, {"amd.com/gpu": 8})),
        (
            {"containers": [{"resources": {"limits": {"nvidia.com/mig-1g.10gb": "2", "nvidia.com/mig-2g.20gb": "1"}}}]},
            (0, 3, {"nvidia.com/mig-1g.10gb": 2, "nvidia.com/mig-2g.20gb": 1}),
        ),
        # An init container runs before the others and gives back; a sidecar stays beside them.
        (
            {"containers": [container(nvidia_com__gpu="2")], "initContainers": [container(nvidia_com__gpu="4")]},
            (4, 0, {"nvidia.com/gpu": 4}),
        ),
        (
            {
                "containers": [container(nvidia_com__gpu="2")],
                "initContainers": [container(nvidia_com__gpu="1") | {"restartPolicy": "Always"}],
            },
            (3, 0, {"nvidia.com/gpu": 3}),
        ),
        ({"containers": [{"name": "claimed"}], "resourceClaims": [{"name": "gpu"}]}, (None, None, {})),
    ],
)
def test_requests_are_what_the_scheduler_counts(read_object: Any, spec: Any, expected: Any):
    (row,) = read_object(KIND, kube_list(pod("a", spec=spec))).rows
    assert (row["gpu_count"], row["mig_count"], json.loads(row["gpu_requests"])) == expected


@pytest.mark.parametrize(
    ("labels", "annotations", "expected"),
    [
        (
            {"kueue.x-k8s.io/pod-group-name": "g", "kueue.x-k8s.io/queue-name": "q"},
            {"kueue.x-k8s.io/pod-group-total-count": "16"},
            ("kueue", "g", 16, "q"),
        ),
        (
            {"training.kubeflow.org/job-name": "job"},
            {"scheduling.k8s.io/group-name": "g"},
            ("volcano", "g", None, None),
        ),
        ({"training.kubeflow.org/job-name": "job"}, {}, ("kubeflow", "job", None, None)),
        ({"scheduling.x-k8s.io/pod-group": "g"}, {}, ("coscheduling", "g", None, None)),
        ({"kai.scheduler/queue": "q"}, {"pod-group-name": "g"}, ("kai", "g", None, "q")),
        ({"app": "web"}, {}, (None, None, None, None)),
    ],
)
def test_a_pod_names_its_group(read_object: Any, labels: Any, annotations: Any, expected: Any):
    named = pod("a", metadata={"labels": labels, "annotations": annotations})
    (row,) = read_object(KIND, kube_list(named)).rows
    assert (row["pod_group_system"], row["pod_group"], row["pod_group_size"], row["queue"]) == expected


def test_a_gated_pod_has_no_node_and_no_times(read_object: Any):
    gated = pod(
        "a",
        spec={"nodeName": None, "schedulingGates": [{"name": "kueue.x-k8s.io/admission"}]},
        status={
            "phase": "Pending",
            "startTime": None,
            "conditions": [condition("PodScheduled", 1, "False", reason="SchedulingGated")],
            "containerStatuses": None,
        },
    )
    (row,) = read_object(KIND, kube_list(gated)).rows
    assert json.loads(row["scheduling_gates"]) == ["kueue.x-k8s.io/admission"]
    assert [row[name] for name in ("node", "scheduled_at", "ready_at", "first_container_started_at")] == [None] * 4
    assert json.loads(row["conditions"])[0]["reason"] == "SchedulingGated"


def test_a_pod_has_ended_when_all_its_containers_have(read_object: Any):
    def ended(start: int, finish: int, **more: Any) -> dict[str, Any]:
        span = {"startedAt": at(start), "finishedAt": at(finish), "exitCode": 0, "reason": "Completed"} | more
        return {"restartCount": 1, "state": {"terminated": span}}

    failed = [ended(5, 30), ended(3, 40, exitCode=137, reason="OOMKilled")]
    half = [ended(5, 30), running(3)]
    rows = read_object(
        KIND,
        kube_list(
            pod("a", status={"phase": "Failed", "reason": "Evicted", "containerStatuses": failed}),
            pod("b", status={"containerStatuses": half}),
        ),
    ).rows
    assert [
        (row["first_container_started_at"], row["last_container_finished_at"], row["exit_code"], row["restart_count"])
        for row in rows
    ] == [(minute(3), minute(40), 137, 2), (minute(3), None, 0, 1)]
    assert (rows[0]["terminated_reason"], rows[0]["status_reason"]) == ("OOMKilled", "Evicted")


def test_the_events_of_a_watch_are_seen_one_by_one(read_object: Any):
    events = [
        {"type": "ADDED", "observed_at": at(1), "object": pod("a")},
        {"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": "7"}}},
        {"type": "DELETED", "observed_at": at(9), "object": pod("a", metadata={"deletionTimestamp": at(8)})},
    ]
    lines = read_object(KIND, "\n".join(map(json.dumps, events)) + "\n").rows
    printed = read_object(KIND, "".join(json.dumps(event, indent=2) + "\n" for event in events)).rows
    assert lines == printed
    assert [(row["event_type"], row["observed_at"], row["deleted_at"], row["_position"]) for row in lines] == [
        ("ADDED", minute(1), None, 1),
        ("DELETED", minute(9), minute(8), 2),
    ]


def test_other_sorts_of_object_are_passed_over(read_object: Any):
    group = {"apiVersion": "scheduling.volcano.sh/v1beta1", "kind": "PodGroup", "metadata": metadata("g")}
    result = read_object(KIND, kube_list(group, pod("a")))
    assert ([row["pod"] for row in result.rows], result.refused) == (["a"], [])


def test_a_list_of_the_api_says_its_kind_once(read_object: Any):
    bare = {key: value for key, value in pod("a").items() if key not in ("kind", "apiVersion")}
    text = json.dumps({"kind": "PodList", "apiVersion": "v1", "items": [bare]})
    assert [row["pod"] for row in read_object(KIND, text).rows] == ["a"]
    assert read_object(KIND, kube_list()).row_count == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (kube_list(pod("a"))[:-40], "not JSON"),
        ('{"kind": "Status", "status": "Failure", "message": "Unauthorized"}', "Unauthorized"),
        ('{"data": []}', "has no kind"),
        (kube_list({"kind": "Node", "apiVersion": "v1"}), "holds no Pod"),
        ("name,uid\na,b\n", "not JSON"),
    ],
)
def test_what_holds_no_pods_is_refused(read_object: Any, text: str, reason: str):
    with pytest.raises(ObjectRefusedError, match=reason):
        read_object(KIND, text)


def test_malformed_pods_are_refused_one_by_one_and_all_are_counted(home: Home):
    configure(home, "{name: pods, kind: kube_pods, location: dumps/, options: {cluster: prod}}")
    bad = [
        pod("a", metadata={"creationTimestamp": "last week"}),
        pod("b", status={"phase": "Sleeping"}),
        pod("c", container(nvidia_com__gpu="half")),
        pod("d", status={"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "soon"}]}),
        {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "e"}},
        pod("f", metadata={"namespace": None}),
    ]
    lines = [json.dumps(item) for item in (pod("good"), *bad)] + ["{broken", "7"]
    write(home.path / "dumps/pods.jsonl", "\n".join(lines))
    report = find(land(home), "pods")
    assert (report.rows_read, report.rows_landed, report.rows_quarantined) == (9, 1, 8)
    check_counts(home, KUBE_PODS)
    fields = query(home, QUARANTINE, "position, field order by position")
    assert fields == [
        (2, "metadata.creationTimestamp"),
        (3, "status.phase"),
        (4, "nvidia.com/gpu"),
        (5, "status.conditions[Ready].lastTransitionTime"),
        (6, None),
        (7, "metadata.namespace"),
        (8, None),
        (9, None),
    ]


def test_data_goes_through_the_last_time_a_cluster_was_seen(home: Home):
    configure(home, f"{{name: pods, kind: kube_pods, location: dumps/, options: {{observed_at: '{SEEN}'}}}}")
    write(home.path / "dumps/pods.json", kube_list(pod("a")))
    report = find(land(home), "pods")
    assert report.data_through_at == datetime(2026, 5, 1, 12)
