"""Cost and Usage Reports to land, in the layouts that AWS delivers."""

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LINE: dict[str, str] = {
    "identity_line_item_id": "a1",
    "identity_time_interval": "2026-09-01T00:00:00Z/2026-09-01T01:00:00Z",
    "bill_payer_account_id": "111111111111",
    "bill_billing_period_start_date": "2026-09-01T00:00:00Z",
    "line_item_usage_account_id": "222222222222",
    "line_item_line_item_type": "Usage",
    "line_item_usage_start_date": "2026-09-01T00:00:00Z",
    "line_item_usage_end_date": "2026-09-01T01:00:00Z",
    "line_item_product_code": "AmazonEC2",
    "line_item_operation": "RunInstances",
    "line_item_resource_id": "i-0abc",
    "line_item_usage_amount": "1",
    "line_item_currency_code": "USD",
    "line_item_unblended_cost": "55.04",
    "pricing_public_on_demand_cost": "55.04",
    "resource_tags": '{"user_team":"research"}',
}
"""One hour of a node, by the columns of CUR 2.0."""

LEGACY_NAMES = {
    "identity_line_item_id": "identity/LineItemId",
    "identity_time_interval": "identity/TimeInterval",
    "bill_payer_account_id": "bill/PayerAccountId",
    "bill_billing_period_start_date": "bill/BillingPeriodStartDate",
    "line_item_usage_account_id": "lineItem/UsageAccountId",
    "line_item_line_item_type": "lineItem/LineItemType",
    "line_item_usage_start_date": "lineItem/UsageStartDate",
    "line_item_usage_end_date": "lineItem/UsageEndDate",
    "line_item_product_code": "lineItem/ProductCode",
    "line_item_operation": "lineItem/Operation",
    "line_item_resource_id": "lineItem/ResourceId",
    "line_item_usage_amount": "lineItem/UsageAmount",
    "line_item_currency_code": "lineItem/CurrencyCode",
    "line_item_unblended_cost": "lineItem/UnblendedCost",
    "pricing_public_on_demand_cost": "pricing/publicOnDemandCost",
}


def line(**columns: str) -> dict[str, str]:
    """The usual line with other values, or more columns."""
    return LINE | columns


def report(*lines: Mapping[str, str]) -> str:
    """CSV of the lines: every column that any of them has."""
    header = list(dict.fromkeys(name for row in lines for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, header, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def legacy_line(**columns: str) -> dict[str, str]:
    """The usual line under the names of the legacy report."""
    row = {LEGACY_NAMES.get(name, name): value for name, value in line(**columns).items()}
    del row["resource_tags"]
    return row | {"resourceTags/user:team": "research"}


def packed(text: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0)


def write_export(
    folder: Path,
    parts: Mapping[str, bytes],
    *,
    named: Sequence[str] | None = None,
    run: str = "",
    period: str = "2026-09",
) -> Path:
    """A Data Export below `folder`: the parts of one billing period, and the manifest that names them (or `named`).

    With `run`, the layout of exports that create new folders: a folder a run, and a copy of its manifest above.
    """
    place = f"BILLING_PERIOD={period}"
    below = f"{place}/{run}" if run else place
    data = folder / "data" / below
    data.mkdir(parents=True, exist_ok=True)
    for name, content in parts.items():
        (data / name).write_bytes(content)
    files = [f"s3://cur-bucket/exports/{folder.name}/data/{below}/{name}" for name in (named or parts)]
    manifest: dict[str, Any] = {"executionId": run or "0f1e", "dataFiles": files, "columns": []}
    target = folder / "metadata" / place / f"{folder.name}-Manifest.json"
    for path in {target, folder / "metadata" / below / target.name}:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(manifest))
    return target


def write_legacy(
    folder: Path, parts: Mapping[str, bytes], *, assembly: str = "", period: str = "20260901-20261001"
) -> Path:
    """A legacy report below `folder`: parts in the period's folder, or in that of an assembly, and the manifest."""
    below = f"{period}/{assembly}" if assembly else period
    for name, content in parts.items():
        (folder / below).mkdir(parents=True, exist_ok=True)
        (folder / below / name).write_bytes(content)
    manifest = {
        "assemblyId": assembly or "3f2a",
        "account": "111111111111",
        "billingPeriod": {"start": f"{period[:8]}T000000.000Z", "end": f"{period[9:]}T000000.000Z"},
        "bucket": "cur-bucket",
        "reportKeys": [f"cur/{folder.name}/{below}/{name}" for name in parts],
    }
    target = folder / period / f"{folder.name}-Manifest.json"
    for path in {target, folder / below / target.name}:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(manifest))
    return target
