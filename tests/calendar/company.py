"""A company so small that a day of it builds in seconds, and with something in every room: the files of each day.

Everything follows from the seed and the day, so that a day can be written again, late, or in another version. What the
files say in sum is told beside them (`Truth`), so that the marts can be held against it.
"""

import csv
import io
import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

FOCUS_COLUMNS: Final = (
    "ProviderName BillingAccountId BillingCurrency BillingPeriodStart BillingPeriodEnd ChargePeriodStart "
    "ChargePeriodEnd ChargeCategory ServiceName ServiceCategory ServiceSubcategory ResourceId CommitmentDiscountId "
    "CommitmentDiscountStatus SkuPriceDetails BilledCost EffectiveCost ListCost Tags"
).split()
NODE: Final = "i-0a1"
NODE_HOST: Final = "ip-10-0-0-1"
OWNED_HOST: Final = "dc1-node-1"
MODELS: Final = {"gpt-4o": "openai", "gpt-4o-mini": "openai", "claude-sonnet-4-5": "anthropic"}
_SAMPLE_STEP: Final = timedelta(minutes=30)
_MILLIJOULES_PER_STEP: Final = {NODE_HOST: 360_000_000, OWNED_HOST: 180_000_000}  # 200 W and 100 W

CONFIG: Final = {
    "sources.yml": """\
reporting_currency: USD
sources:
  - {name: aws, kind: focus, location: "exports/aws/*/*.csv"}
  - {name: openai, kind: focus, location: "exports/openai/*/*.csv"}
  - {name: openai-admin, kind: provider_costs, location: "exports/openai-admin/*.json"}
  - {name: opencost, kind: opencost_allocation, location: "telemetry/opencost/*.json"}
  - {name: dcgm, kind: dcgm_prometheus, location: "telemetry/dcgm/*.json"}
  - {name: gateway, kind: litellm, location: "logs/gateway/*.jsonl"}
""",
    "owners.csv": """\
rule_id,match_on,match_key,match_value,team_id,team_name,cost_center_id,environment,priority,valid_from,valid_to
r1,tag,team,research,research,Research,CC-1,,100,,
r2,tag,team,vision,vision,Vision,CC-2,,100,,
r3,namespace,,ml,research,Research,CC-1,,200,,
r4,namespace,,vision,vision,Vision,CC-2,,200,,
r5,key,,research-notebooks,research,Research,CC-1,,100,,
r6,key,,vision-app,vision,Vision,CC-2,,100,,
""",
    "recipients.csv": """\
team_id,email,valid_from,valid_to
research,research@acme.example,,
vision,vision@acme.example,,
""",
    "facilities.csv": """\
facility_id,hostname_pattern,pue,power_source,valid_from,valid_to,source
dc1,dc1-%,1.4,measured,,,own meter
aws,ip-10-%,1.2,included,,,provider
""",
    "tariffs.csv": "facility_id,valid_from,valid_to,usd_per_kwh,source\ndc1,,,0.12,contract\n",
    "owned_hardware.csv": """\
asset_id,resource_id,hostname,facility_id,gpu_model,gpu_count,purchase_cost_usd,residual_usd,in_service_date,\
useful_life_months,space_usd_per_month,staff_usd_per_month,maintenance_usd_per_month,valid_from,valid_to,source
srv-1,dc1-node-1,dc1-node-1,dc1,L40S,1,9600,0,2023-01-01,96,31,62,15,,,order 1
""",
    "fx_rates.csv": "currency_code,to_currency_code,rate,valid_from,valid_to,source\n",
    "price_overrides.csv": "provider,model,token_class,usd_per_mtok,valid_from,valid_to,source\n",
}


@dataclass
class Truth:
    """What was delivered so far, by the writer's own count."""

    billed: dict[tuple[str, date], Decimal] = field(default_factory=dict)
    """Of the provider's bill of a month, as its newest delivery says, in its currency."""

    calls: dict[date, set[str]] = field(default_factory=dict)
    """Ids of the calls that were logged, by the day of the call."""


class Company:
    """The files of a company that begins on a day, by day."""

    def __init__(self, seed: int, start: date) -> None:
        self.seed = seed
        self.start = start

    def _random(self, *keys: object) -> random.Random:
        return random.Random("/".join(map(str, (self.seed, *keys))))

    def aws_bill(self, month: date, through: date, *, version: int = 0) -> tuple[str, Decimal]:
        """The month's bill up to a day, included; another version restates amounts. Returns text and billed sum."""
        rows: list[dict[str, Any]] = []
        for day in _days(max(month, self.start), min(through, _next_month(month) - timedelta(days=1))):
            draw = self._random("aws", day)
            usd = Decimal(draw.randint(20, 60)) + Decimal(version) / 4
            instance = f"arn:aws:ec2:us-east-1:111:instance/{NODE}"
            rows += [
                _charge("AWS", "111", month, day, "Usage", "Amazon EC2", usd, cells={"ResourceId": instance}),
                _charge("AWS", "111", month, day, "Usage", "Amazon S3", Decimal(draw.randint(100, 300)) / 100,
                        cells={"ResourceId": "bucket-1", "Tags": _tag("research")}),
                _charge("AWS", "111", month, day, "Usage", "Amazon S3", Decimal(draw.randint(10, 90)) / 100,
                        cells={"ResourceId": "bucket-2"}),
                _charge("AWS", "111", month, day, "Usage", "Savings Plans", Decimal(0), effective=Decimal(2),
                        cells={"ResourceId": "sp-1", "CommitmentDiscountId": "sp-1",
                               "CommitmentDiscountStatus": "Unused"}),
            ]  # fmt: skip
            if day.day % 9 == 5:
                rows.append(_charge("AWS", "111", month, day, "Credit", "Amazon EC2", Decimal(-3)))
            if day.day % 9 == 7:
                rows.append(_charge("AWS", "111", month, day, "Tax", "AWS", Decimal("1.10")))
        return _write_focus(rows), _sum_billed(rows)

    def openai_bill(self, month: date, through: date) -> tuple[str, Decimal]:
        """The month's bill of OpenAI up to a day, included, a line a day and model."""
        rows = [
            _charge(
                "OpenAI", "org-1", month, day, "Usage", "OpenAI API",
                Decimal(self._random("openai", day, model).randint(1000, 9000)) / 100_000,
                cells={"ServiceCategory": "AI and Machine Learning", "ServiceSubcategory": "Generative AI",
                       "SkuPriceDetails": json.dumps({"x_ModelId": model})},
            )
            for day in _days(max(month, self.start), min(through, _next_month(month) - timedelta(days=1)))
            for model, provider in MODELS.items()
            if provider == "openai"
        ]  # fmt: skip
        return _write_focus(rows), _sum_billed(rows)

    def azure_bill(self, month: date) -> tuple[str, Decimal]:
        """A whole month in EUR: a line that lasts it, one of a day, and a credit for last month's."""
        draw = self._random("azure", month)
        span = {"ChargePeriodStart": _instant(month), "ChargePeriodEnd": _instant(_next_month(month))}
        rows = [
            _charge("Microsoft", "sub-9", month, month, "Usage", "Virtual Machines", Decimal(draw.randint(30, 90)),
                    cells=span | {"ResourceId": "vm-1", "Tags": _tag("vision")}, currency="EUR"),
            _charge("Microsoft", "sub-9", month, month + timedelta(days=9), "Usage", "Storage", Decimal("4.50"),
                    cells={"ResourceId": "disk-1"}, currency="EUR"),
            _charge("Microsoft", "sub-9", month, month, "Credit", "Virtual Machines", Decimal(-2),
                    cells=span | {"ResourceId": "vm-1"}, currency="EUR"),
        ]  # fmt: skip
        return _write_focus(rows), _sum_billed(rows)

    def usage_report(self, day: date, *, version: int = 0) -> str:
        """What OpenAI's usage API says of a day."""
        draw = self._random("usage", day)
        results = [
            {
                "object": "organization.usage.completions.result",
                "model": model,
                "input_tokens": draw.randint(5_000, 9_000) + version,
                "output_tokens": draw.randint(500, 900),
                "num_model_requests": 8,
            }
            for model in ("gpt-4o", "gpt-4o-mini")
        ]
        bucket = {"start_time": _epoch(day), "end_time": _epoch(day) + 86_400, "results": results}
        return json.dumps({"object": "page", "data": [bucket], "has_more": False, "next_page": None})

    def allocations(self, day: date) -> str:
        """OpenCost's answer of a day: the rented node by the hour for some hours, the owned one by the day."""
        items: dict[str, Any] = {}
        for hour in range(0, 24, 3):
            window = (_epoch(day) + hour * 3600, _epoch(day) + (hour + 3) * 3600)
            draw = self._random("opencost", day, hour)
            shares = draw.randint(1, 3), draw.randint(0, 2)
            for namespace, pod, share in (("ml", "train-0", shares[0]), ("vision", "detect-0", shares[1])):
                items |= _allocation(NODE_HOST, NODE, namespace, pod, window, 3.0 * share, gpus=int(pod == "train-0"))
            items |= _allocation(NODE_HOST, NODE, None, None, window, 3.0 * (6 - sum(shares)), gpus=0)
        whole = (_epoch(day), _epoch(day) + 86_400)
        items |= _allocation(OWNED_HOST, OWNED_HOST, "vision", "serve-0", whole, 6.0, gpus=1)
        items |= _allocation(OWNED_HOST, OWNED_HOST, None, None, whole, 2.0, gpus=0)
        return json.dumps({"code": 200, "status": "success", "data": [items]})

    def samples(self, day: date, *, planted: Iterable[tuple[str, str, int, str]] = ()) -> str:
        """DCGM's day of two GPUs, counters going on from the day before. `planted` replaces the values of (metric,
        host, index of the sample)."""
        wrong = {(metric, host, at): value for metric, host, at, value in planted}
        result: list[dict[str, Any]] = []
        steps = int(timedelta(days=1) / _SAMPLE_STEP)
        for host, holder in ((NODE_HOST, ("ml", "train-0")), (OWNED_HOST, ("vision", "serve-0"))):
            first = (day - self.start).days * steps
            draw = self._random("dcgm", host, day)
            busy = [draw.choice((0.01, 0.6, 0.95)) for _ in range(steps)]
            values = {
                "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": [
                    str(36_000_000_000 + (first + at) * _MILLIJOULES_PER_STEP[host]) for at in range(steps)
                ],
                "DCGM_FI_PROF_SM_ACTIVE": [str(value) for value in busy],
                "DCGM_FI_DEV_GPU_UTIL": [str(int(100 * value)) for value in busy],
                "DCGM_FI_DEV_FB_USED": ["20000"] * steps,
                "DCGM_FI_DEV_POWER_USAGE": [str(_MILLIJOULES_PER_STEP[host] // 1_800_000)] * steps,
            }
            for metric, series in values.items():
                labels = {
                    "__name__": metric, "UUID": f"GPU-{host}", "gpu": "0", "device": "nvidia0",
                    "modelName": "NVIDIA L40S", "Hostname": host,
                    "namespace": holder[0], "pod": holder[1], "container": "main",
                }  # fmt: skip
                points = [
                    [_epoch(day) + at * int(_SAMPLE_STEP.total_seconds()), wrong.get((metric, host, at), value)]
                    for at, value in enumerate(series)
                ]
                result.append({"metric": labels, "values": points})
        return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})

    def gateway_log(self, day: date, *, part: str = "all", extra: int = 0) -> tuple[str, set[str]]:
        """The calls of a day as LiteLLM logs them, one of them twice; returns the ids too. `part` names another set of
        calls of the same day."""
        draw = self._random("gateway", day, part)
        lines: list[str] = []
        ids: set[str] = set()
        for number in range(6 + extra):
            model, provider = draw.choice(list(MODELS.items()))
            alias, team = draw.choice((("research-notebooks", None), ("vision-app", "vision"), ("lost-key", None)))
            started = _epoch(day) + draw.randint(0, 86_000)
            prompt, completion = draw.randint(100, 4000), draw.randint(10, 500)
            usage = {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
            }
            call_id = f"{day}-{part}-{number}"
            ids.add(call_id)
            call = {
                "id": f"chatcmpl-{call_id}", "litellm_call_id": call_id, "call_type": "acompletion",
                "status": "success", "custom_llm_provider": provider, "model": model, "startTime": started,
                "endTime": started + draw.randint(1, 30), **usage, "response_cost": None,
                "request_tags": [f"app:{draw.choice(('chat', 'search'))}"],
                "metadata": {
                    "user_api_key_hash": f"hash-{alias}", "user_api_key_alias": alias,
                    "user_api_key_team_id": team, "usage_object": usage,
                },
            }  # fmt: skip
            lines += [json.dumps(call)] * (2 if number == 0 else 1)
        return "\n".join(lines) + "\n", ids

    def slurm_report(self, day: date) -> str:
        """`sacct --parsable2` of a day's jobs."""
        head = (
            "JobIDRaw|JobName|Cluster|Account|User|Partition|QOS|State|ExitCode|Submit|Eligible|Start|End|ElapsedRaw|"
            "AllocTRES"
        )
        start = _epoch(day) + 3600
        jobs = [
            f"{(day - date(2020, 1, 1)).days * 10 + number}|train|prod|research|alice|h100|normal|COMPLETED|0:0|{start}"
            f"|{start}|{start + 60}|{start + 3660}|3600|billing=8,cpu=8,gres/gpu:h100=1,mem=64G,node=1"
            for number in range(2)
        ]
        return "\n".join([head, *jobs, ""])


def month_of(day: date) -> date:
    """The first day of a day's month."""
    return day.replace(day=1)


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=at) for at in range((last - first).days + 1)]


def _epoch(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())


def _instant(day: date) -> str:
    return f"{day}T00:00:00Z"


def _tag(team: str) -> str:
    return json.dumps({"team": team})


def _charge(
    provider: str, account: str, month: date, day: date, category: str, service: str, billed: Decimal, *,
    effective: Decimal | None = None, currency: str = "USD", cells: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:  # fmt: skip
    effective = billed if effective is None else effective
    row = {
        "ProviderName": provider,
        "BillingAccountId": account,
        "BillingCurrency": currency,
        "BillingPeriodStart": _instant(month),
        "BillingPeriodEnd": _instant(_next_month(month)),
        "ChargePeriodStart": _instant(day),
        "ChargePeriodEnd": _instant(day + timedelta(days=1)),
        "ChargeCategory": category,
        "ServiceName": service,
        "BilledCost": billed,
        "EffectiveCost": effective,
        "ListCost": "" if category == "Tax" else billed,
    }
    return row | dict(cells)


def _write_focus(rows: Iterable[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FOCUS_COLUMNS)
    writer.writerows([row.get(name, "") for name in FOCUS_COLUMNS] for row in rows)
    return out.getvalue()


def _sum_billed(rows: Iterable[dict[str, Any]]) -> Decimal:
    return sum((row["BilledCost"] for row in rows), Decimal(0))


def _allocation(
    host: str, provider_id: str, namespace: str | None, pod: str | None, window: tuple[int, int], cost: float, *,
    gpus: int,
) -> dict[str, Any]:  # fmt: skip
    start, end = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for at in window)
    name = f"c1/{host}/__idle__" if pod is None else f"c1/{host}/{namespace}/{pod}/main"
    properties: dict[str, Any] = {"cluster": "c1", "node": host, "providerID": provider_id}
    if pod is not None:
        properties |= {
            "namespace": namespace, "pod": pod, "container": "main", "controller": pod.rsplit("-", 1)[0],
            "controllerKind": "job",
        }  # fmt: skip
    hours = (window[1] - window[0]) / 3600
    item = {
        "name": name, "properties": properties, "window": {"start": start, "end": end}, "start": start, "end": end,
        "minutes": 60 * hours, "gpuCount": gpus, "gpuHours": gpus * hours, "cpuCoreHours": 4 * hours,
        "ramByteHours": 16e9 * hours, "totalCost": cost,
    }  # fmt: skip
    return {f"{name}/{start}": item}
