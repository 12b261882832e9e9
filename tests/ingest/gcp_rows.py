"""Rows of Google Cloud's billing export to land, in the layouts that BigQuery writes."""

import copy
import csv
import io
import json
from collections.abc import Mapping
from typing import Any

ROW: dict[str, Any] = {
    "billing_account_id": "01A-02B-03C",
    "invoice": {"month": "202609"},
    "cost_type": "regular",
    "service": {"id": "6F81-5844-456A", "description": "Compute Engine"},
    "sku": {"id": "AAAA-1", "description": "Nvidia H100 80GB GPU running in Iowa"},
    "usage_start_time": "2026-09-01 10:00:00 UTC",
    "usage_end_time": "2026-09-01 11:00:00 UTC",
    "project": {"id": "ml-train", "number": "123", "labels": [{"key": "team", "value": "platform"}]},
    "labels": [{"key": "team", "value": "research"}, {"key": "goog-k8s-cluster-name", "value": "ml"}],
    "system_labels": [{"key": "compute.googleapis.com/machine_spec", "value": "a3-highgpu-8g"}],
    "location": {"location": "us-central1-a", "country": "US", "region": "us-central1", "zone": "us-central1-a"},
    "resource": {"name": "trainer-0", "global_name": "//compute.googleapis.com/projects/123/zones/z/instance/77"},
    "cost": 78.4,
    "cost_at_list": 88.0,
    "cost_at_effective_price_default": "78.4",
    "currency": "USD",
    "currency_conversion_rate": 1.0,
    "usage": {"amount": 28800, "unit": "seconds", "amount_in_pricing_units": 8, "pricing_unit": "hour"},
    "price": {"effective_price": "9.8", "unit": "hour"},
    "consumption_model": {"id": "7754-699E-0EBF", "description": "Default"},
    "credits": [
        {
            "type": "COMMITTED_USAGE_DISCOUNT",
            "name": "Committed use discount: H100",
            "full_name": "Committed use discount: H100, Iowa",
            "id": "c1",
            "amount": -23.5,
        }
    ],
    "export_time": "2026-09-01 15:04:05.123 UTC",
}
"""One hour of eight GPUs, as `bq extract` writes it."""


def row(**fields: Any) -> dict[str, Any]:
    """The usual row with other fields; `invoice__month` is a field of a record."""
    changed = copy.deepcopy(ROW)
    for name, value in fields.items():
        *parents, last = name.split("__")
        record = changed
        for parent in parents:
            record = record[parent]
        record[last] = value
    return changed


def lines(*rows: Mapping[str, Any]) -> str:
    return "".join(f"{json.dumps(each)}\n" for each in rows)


def flat(record: Mapping[str, Any], spell: Any = json.dumps) -> dict[str, Any]:
    """A row as columns named by their path; `spell` writes lists."""
    columns: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            columns |= {f"{name}.{key}": each for key, each in flat(value, spell).items()}
        else:
            columns[name] = spell(value) if isinstance(value, list) else value
    return columns


def table(*rows: Mapping[str, Any]) -> str:
    """CSV of flat rows."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
