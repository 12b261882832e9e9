"""OpenAI's usage and cost reports, a file a day: what its admin API answers, saved page by page.

They tell of the same tokens as its bill, by project and model, before its credit.
"""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from demo.gateway import BilledTokens
from demo.model_bills import contract_share, list_use
from demo.plan import Plan, midnight, open_output
from demo.summary import SourceTruth

_PROVIDER: Final = "openai"


def write_provider_reports(plan: Plan, tokens: BilledTokens) -> SourceTruth:
    """Write exports/openai-admin/<day>.json: a page of usage and a page of costs."""
    source = SourceTruth()
    for day in plan.all_days:
        start = midnight(day)
        usage: list[dict[str, Any]] = []
        costs: list[dict[str, Any]] = []
        for model, used, (project_id, _) in list_use(plan, _PROVIDER, day, tokens):
            counts = {name: count for name, count in used.items() if count}
            if not counts or model.prices is None:
                continue
            common = {"project_id": project_id, "model": model.name}
            usage.append(_write_usage(counts) | common)
            for token_class, count in counts.items():
                price = model.prices[token_class] * contract_share(model.name, day, plan)
                value = Decimal(count).scaleb(-6) * price
                costs.append(_write_cost(value, f"{model.name}, {token_class}", project_id))
        path = plan.home / "exports" / "openai-admin" / f"{day}.json"
        with open_output(path, start + timedelta(days=1, hours=4)) as out:
            out.write(_write_page(start, usage) + _write_page(start, costs))
        source.add(path, len(usage) + len(costs))
    return source


def _write_usage(counts: dict[str, int]) -> dict[str, Any]:
    inputs = {name: count for name, count in counts.items() if name != "output"}
    return {
        "object": "organization.usage.completions.result",
        "input_tokens": sum(inputs.values()),
        "input_cached_tokens": inputs.get("cache_read", 0),
        "output_tokens": counts.get("output", 0),
        "num_model_requests": None,
    }


def _write_cost(value: Decimal, line_item: str, project_id: str) -> dict[str, Any]:
    return {
        "object": "organization.costs.result",
        "amount": {"value": str(value), "currency": "usd"},
        "line_item": line_item,
        "project_id": project_id,
    }


def _write_page(start: datetime, results: list[dict[str, Any]]) -> bytes:
    bucket = {
        "object": "bucket",
        "start_time": int(start.timestamp()),
        "end_time": int((start + timedelta(days=1)).timestamp()),
        "results": results,
    }
    page = {"object": "page", "data": [bucket], "has_more": False, "next_page": None}
    return json.dumps(page, separators=(",", ":")).encode() + b"\n"
