"""The landing tables of what Prometheus scrapes, and of what an operator sums up from it by the hour."""

from typing import Final

from ingest.landing_table import INSTANT, NUMBER, TEXT, LandingTable

_SAMPLE = (
    ("sampled_at", INSTANT),
    ("metric", TEXT),  # aliases resolved
    ("value", NUMBER),  # null for NaN and infinities
    ("cluster", TEXT),
    ("namespace", TEXT),
    ("pod", TEXT),
)

VLLM_SAMPLES: Final = LandingTable(
    name="vllm_samples",
    columns=(
        *_SAMPLE,
        ("instance", TEXT),  # the address that was scraped
        ("model_name", TEXT),
        ("engine", TEXT),
        ("finished_reason", TEXT),
    ),
    partition="usage_date",
)

KUBE_STATE_SAMPLES: Final = LandingTable(
    name="kube_state_samples",
    columns=(
        *_SAMPLE,
        ("pod_uid", TEXT),
        ("container", TEXT),
        ("node", TEXT),
        ("resource", TEXT),
        ("unit", TEXT),
        ("phase", TEXT),
        ("reason", TEXT),
        ("owner_kind", TEXT),
        ("owner", TEXT),
        ("labels", TEXT),  # of kube_pod_labels and kube_node_labels, as spelled there: label_<name>
    ),
    partition="usage_date",
)

_KOKU_NUMBERS = (
    "pod_usage_cpu_core_seconds pod_request_cpu_core_seconds pod_limit_cpu_core_seconds pod_usage_memory_byte_seconds "
    "pod_request_memory_byte_seconds pod_limit_memory_byte_seconds node_capacity_cpu_cores "
    "node_capacity_cpu_core_seconds node_capacity_memory_bytes node_capacity_memory_byte_seconds "
    "gpu_memory_capacity_mib gpu_pod_uptime_seconds"
).split()

KOKU_OCP_ROWS: Final = LandingTable(
    name="koku_ocp_rows",
    columns=(
        ("report", TEXT),  # pod_usage | gpu_usage | node_label | namespace_label
        ("cluster", TEXT),
        ("report_period_start_at", INSTANT),
        ("report_period_end_at", INSTANT),
        ("interval_start_at", INSTANT),
        ("interval_end_at", INSTANT),  # exclusive
        ("node", TEXT),
        ("resource_id", TEXT),
        ("namespace", TEXT),
        ("pod", TEXT),
        ("labels", TEXT),  # of the pod, node or namespace
        ("gpu_uuid", TEXT),  # of the card, also for a MIG instance
        ("gpu_model_name", TEXT),
        ("gpu_vendor_name", TEXT),
        ("mig_instance_id", TEXT),
        ("mig_profile", TEXT),
        ("mig_strategy", TEXT),
        *((name, NUMBER) for name in _KOKU_NUMBERS),
    ),
    partition="usage_date",
)
