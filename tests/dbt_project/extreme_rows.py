"""Rows of every landing table with an extreme value in one numeric column each, beside a sound row."""

import itertools
import math
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from ingest.contracts import DCGM_SAMPLES, DELIVERIES, KUBE_STATE_SAMPLES, QUARANTINE, VLLM_SAMPLES, landing_tables
from ingest.control_tables import CONTROL_TOTALS
from ingest.landing_table import DATE, INSTANT, TEXT, LandingTable

DAY: Final = date(2026, 10, 1)
_NOON: Final = datetime(2026, 10, 1, 12)
_TEXTS: Final[dict[str, str]] = {
    "currency": "USD",
    "billing_currency": "USD",
    "pricing_currency": "USD",
    "line_item_currency_code": "USD",
    "cost_currency_code": "USD",
    "charge_category": "Usage",
    "charge_type": "Usage",
    "line_item_line_item_type": "Usage",
    "cost_type": "regular",
    "invoice_month": "202610",
    "allocation_kind": "workload",
    "usage_status": "reported",
    "status": "success",
    "report": "usage",
    "price_kind": "on_demand",
    "priced_part": "instance",
    "token_class": "input",
    "consumed_unit": "Hours",
    "phase": "Running",
    "period": "MONTH",
    "scheduler": "ray",
    "record": "job",
    "state": "COMPLETED",
    "gpu_requests": '{"nvidia.com/gpu": 1}',
    "provider": "openai",
    "provider_name": "AWS",
    "model": "gpt-4o",
    "custom_llm_provider": "openai",
    "layout": "contract",
    "basis": "location",
    "mig_instance_id": "",
    "export_view": "actual",
    "factor_type": "lifecycle",
    "credit_treatment": "INCLUDE_ALL_CREDITS",
}
_JSON: Final = ("labels", "tags", "conditions", "credits", "cost_category", "product", "additional_info", "flavors")
_METRICS: Final = {
    DCGM_SAMPLES.name: (
        "DCGM_FI_PROF_SM_ACTIVE",
        "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
        "DCGM_FI_DEV_GPU_UTIL",
        "DCGM_FI_DEV_FB_TOTAL",
        "DCGM_FI_DEV_FB_USED",
        "DCGM_FI_DEV_FB_FREE",
        "DCGM_FI_DEV_FB_RESERVED",
        "DCGM_FI_DEV_POWER_USAGE",
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
    ),
    KUBE_STATE_SAMPLES.name: (
        "kube_pod_container_resource_requests",
        "kube_pod_status_phase",
        "kube_node_status_allocatable",
        "kube_node_status_condition",
    ),
    VLLM_SAMPLES.name: (
        "vllm:num_requests_running",
        "vllm:prompt_tokens_total",
        "vllm:generation_tokens_total",
        "vllm:num_requests_waiting",
    ),
}

_NOT_FROM_OBJECTS: Final = (CONTROL_TOTALS.name, DELIVERIES.name, QUARANTINE.name, "llm_prices")


def is_numeric(kind: pa.DataType) -> bool:
    return pa.types.is_decimal(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)


def list_numeric(table: LandingTable) -> list[tuple[str, pa.DataType]]:
    return [(name, kind) for name, kind in table.columns if is_numeric(kind)]


def list_type_extremes(kind: pa.DataType) -> list[Any]:
    """What the type alone can hold: rows that an earlier version landed may say any of it."""
    if pa.types.is_decimal(kind):
        whole, places = kind.precision - kind.scale, kind.scale  # type: ignore[attr-defined]
        most = Decimal(f"{'9' * whole}.{'9' * places}")
        return [most, most.copy_negate(), Decimal(-1), Decimal(0), Decimal(1).scaleb(-places)]
    if pa.types.is_integer(kind):
        return [2**63 - 1, -(2**63), -1, 0]
    return [1.7e308, -1.7e308, -1.0, 0.0, 5e-324, math.nan, math.inf, -math.inf]


def list_range_extremes(table: LandingTable, name: str, metric: str | None) -> list[Any]:
    """What the column's range holds at its ends, near zero and below it."""
    bounds = table.ranges[name].choices.get(metric or "USD", table.ranges[name])
    return [value for value in (bounds.most, bounds.least, 0, -1, 1) if bounds.least <= value <= bounds.most]


def make_row(table: LandingTable, number: int, metric: str | None = None) -> dict[str, Any]:
    """A sound row whose ids no other number has."""
    row: dict[str, Any] = {}
    for name, kind in table.columns:
        row[name] = _make_value(name, kind, number)
    row["_source"], row["_object"], row["_position"] = table.name, table.name, number
    if metric is not None:
        row["metric"] = metric
    if table.partition is not None:
        row[table.partition] = DAY
    return row


def _make_value(name: str, kind: pa.DataType, number: int) -> Any:
    if kind == TEXT:
        if name.endswith(_JSON) or name.endswith("_details"):
            return "[]" if name in ("credits", "conditions") else "{}"
        return _TEXTS.get(name, f"{name}-{number}" if name.endswith(("_id", "_uid", "uuid", "_no")) else f"{name}")
    if kind == INSTANT:
        if "period" in name or "billing_month" in name:
            return datetime(2026, 11, 1) if name.endswith(("end", "end_date", "end_at")) else datetime(2026, 10, 1)
        return _NOON + timedelta(hours=1) if "end" in name or "finished" in name else _NOON
    if kind == DATE:
        return None if name in ("valid_from", "valid_to") else DAY
    if kind == pa.bool_():
        return False
    return Decimal(1) if pa.types.is_decimal(kind) else 1


def list_rows(table: LandingTable, extremes: Any) -> Iterator[dict[str, Any]]:
    """A sound row, and one for each extreme value of each numeric column; of samples, of each metric."""
    numbers = itertools.count(1)
    for metric in _METRICS.get(table.name, (None,)):
        yield make_row(table, next(numbers), metric)
        for name, kind in list_numeric(table):
            for value in extremes(table, name, kind, metric):
                yield make_row(table, next(numbers), metric) | {name: value}


def list_landed_tables() -> dict[str, LandingTable]:
    """The tables whose rows come from objects of sources."""
    return {
        name: table
        for name, table in landing_tables().items()
        if not name.startswith("config_") and name not in _NOT_FROM_OBJECTS
    }
