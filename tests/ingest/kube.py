"""Objects of the Kubernetes API as `kubectl get -o json` writes them."""

import json
from typing import Any


def at(minute: int, second: int = 0) -> str:
    return f"2026-05-01T10:{minute:02d}:{second:02d}Z"


def condition(name: str, minute: int, status: str = "True", **others: Any) -> dict[str, Any]:
    return {"type": name, "status": status, "lastTransitionTime": at(minute), "lastProbeTime": None} | others


def metadata(name: str, **others: Any) -> dict[str, Any]:
    return {"name": name, "namespace": "train", "uid": f"uid-{name}", "creationTimestamp": at(0)} | others


def container(**resources: Any) -> dict[str, Any]:
    spelled = {key.replace("__", "/").replace("_", "."): value for key, value in resources.items()}
    return {"name": "main", "env": [{"name": "TOKEN", "value": "hunter2"}], "resources": {"limits": spelled}}


def running(minute: int) -> dict[str, Any]:
    return {"name": "main", "restartCount": 0, "state": {"running": {"startedAt": at(minute)}}, "lastState": {}}


def pod(name: str, *containers: dict[str, Any], **others: Any) -> dict[str, Any]:
    """A running pod: created at 10:00, scheduled at 10:01, initialised at 10:02, started at 10:03, ready at 10:04."""
    made = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(name),
        "spec": {
            "containers": list(containers) or [container(nvidia_com__gpu="8")],
            "nodeName": "gpu-1",
            "schedulerName": "default-scheduler",
        },
        "status": {
            "phase": "Running",
            "startTime": at(1),
            "conditions": [
                condition("PodScheduled", 1),
                condition("Initialized", 2),
                condition("Ready", 4),
                condition("PodReadyToStartContainers", 2),
            ],
            "containerStatuses": [running(3)],
        },
    }
    for part, changes in others.items():
        made[part] = made[part] | changes
    return made


def kube_list(*objects: Any, indent: int | None = 4) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": objects}, indent=indent)
