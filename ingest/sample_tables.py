"""The landing tables of what Prometheus scrapes, and of what is summed up from it by the window or the hour."""

from dataclasses import replace
from typing import Final

from ingest import ranges
from ingest.landing_table import FLAG, INSTANT, MONEY, NUMBER, TEXT, LandingTable

_SAMPLE = (
    ("sampled_at", INSTANT),
    ("metric", TEXT),  # aliases resolved
    ("value", NUMBER),  # null for NaN and infinities
    ("cluster", TEXT),
    ("namespace", TEXT),
    ("pod", TEXT),
)

_VLLM_RANGES: Final = dict.fromkeys(
    ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:num_requests_swapped"), ranges.UNITS
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
    ranges={"value": replace(ranges.SAMPLE, chosen_by="metric", choices=_VLLM_RANGES)},
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
    ranges={"value": ranges.SAMPLE},
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
    ranges={
        **{name: ranges.BYTE_SECONDS if "byte_seconds" in name else ranges.SECONDS for name in _KOKU_NUMBERS},
        "node_capacity_cpu_cores": ranges.UNITS,
        "node_capacity_memory_bytes": ranges.BYTES,
        "gpu_memory_capacity_mib": ranges.MEBIBYTES,
    },
)

_ALLOCATION_COSTS = (
    "cpu_cost cpu_cost_adjustment gpu_cost gpu_cost_adjustment ram_cost ram_cost_adjustment pv_cost "
    "pv_cost_adjustment network_cost network_cost_adjustment load_balancer_cost load_balancer_cost_adjustment "
    "shared_cost external_cost total_cost"
).split()
_ALLOCATION_NUMBERS = (
    "minutes cpu_core_hours cpu_core_request_average cpu_core_usage_average ram_byte_hours "
    "ram_byte_request_average ram_byte_usage_average gpu_count gpu_hours gpu_request_average gpu_usage_average"
).split()

OPENCOST_ALLOCATIONS: Final = LandingTable(
    name="opencost_allocations",
    columns=(
        ("allocation_name", TEXT),
        ("allocation_kind", TEXT),  # workload | idle | unallocated | unmounted | shared | external | filtered
        ("cluster", TEXT),
        ("node", TEXT),
        ("provider_id", TEXT),
        ("namespace", TEXT),
        ("controller_kind", TEXT),
        ("controller", TEXT),
        ("pod", TEXT),
        ("container", TEXT),
        ("labels", TEXT),
        ("namespace_labels", TEXT),
        ("gpu_model", TEXT),
        ("gpu_uuid", TEXT),
        ("is_gpu_shared", FLAG),
        ("window_start_at", INSTANT),
        ("window_end_at", INSTANT),
        ("started_at", INSTANT),
        ("ended_at", INSTANT),
        *((name, NUMBER) for name in _ALLOCATION_NUMBERS),
        *((name, MONEY) for name in _ALLOCATION_COSTS),
    ),
    partition="usage_date",
    ranges={
        **dict.fromkeys(_ALLOCATION_NUMBERS, ranges.UNITS),
        **dict.fromkeys(("minutes", "cpu_core_hours", "gpu_hours"), ranges.HOURS),
        **dict.fromkeys(("ram_byte_request_average", "ram_byte_usage_average"), ranges.BYTES),
        "ram_byte_hours": ranges.BYTE_HOURS,
        **dict.fromkeys(_ALLOCATION_COSTS, ranges.ALLOCATION_AMOUNT),
    },
)

_DCGM_RANGES: Final = {
    **dict.fromkeys(
        (
            "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
            "DCGM_FI_PROF_SM_ACTIVE",
            "DCGM_FI_PROF_SM_OCCUPANCY",
            "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
            "DCGM_FI_PROF_DRAM_ACTIVE",
            "DCGM_FI_PROF_PIPE_FP64_ACTIVE",
            "DCGM_FI_PROF_PIPE_FP32_ACTIVE",
            "DCGM_FI_PROF_PIPE_FP16_ACTIVE",
        ),
        ranges.SHARE,
    ),
    **dict.fromkeys(
        (
            "DCGM_FI_DEV_GPU_UTIL",
            "DCGM_FI_DEV_MEM_COPY_UTIL",
            "DCGM_FI_DEV_ENC_UTIL",
            "DCGM_FI_DEV_DEC_UTIL",
        ),
        ranges.PERCENT,
    ),
    **dict.fromkeys(("DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_MEMORY_TEMP"), ranges.CELSIUS),
    **dict.fromkeys(
        ("DCGM_FI_DEV_FB_TOTAL", "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_FB_RESERVED"),
        ranges.MEBIBYTES,
    ),
    "DCGM_FI_DEV_POWER_USAGE": ranges.WATTS,
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": ranges.MILLIJOULES,
}
"""Ranges by DCGM field; a field that is not here is a sample like any other."""

DCGM_SAMPLES: Final = LandingTable(
    name="dcgm_samples",
    columns=(
        ("sampled_at", INSTANT),
        ("metric", TEXT),  # DCGM field name, aliases resolved
        ("value", NUMBER),  # null for NaN, infinities and DCGM blank sentinels
        ("gpu_uuid", TEXT),
        ("gpu_index", TEXT),
        ("device", TEXT),
        ("model_name", TEXT),
        ("hostname", TEXT),
        ("cluster", TEXT),
        ("mig_profile", TEXT),
        ("mig_instance_id", TEXT),
        ("namespace", TEXT),  # the workload's, never the exporter's own
        ("pod", TEXT),
        ("container", TEXT),
    ),
    partition="usage_date",
    ranges={"value": replace(ranges.SAMPLE, chosen_by="metric", choices=_DCGM_RANGES)},
)
