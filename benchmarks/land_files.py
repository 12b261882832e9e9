"""What `benchmarks/land.py` lands: files of each kind of source, no two rows alike, in June 2026."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb

_PARTS: Final = 4
_ENDINGS: Final = {"csv": "csv.gz", "jsonl": "jsonl.gz", "parquet": "parquet", "json": "json"}
_HOUR: Final = "(timestamp '2026-06-01' + to_hours((n // 5000)::integer % 719))"
_INSTANT: Final = "(timestamp '2026-06-01' + to_milliseconds(n * 2591000000 // {rows}))"
_START: Final = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Workload:
    """A kind's files: a table of SQL expressions over `n`, the row's number, or JSON documents."""

    kind: str
    layout: str  # csv | jsonl | parquet | json
    columns: Mapping[str, str] = field(default_factory=dict)
    write_documents: Callable[[int], Iterator[str]] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    delimiter: str = ","

    def write(self, folder: Path, row_count: int) -> None:
        """Write that many rows into the files of one delivery."""
        folder.mkdir(parents=True)
        if self.write_documents is not None:
            for number, text in enumerate(self.write_documents(row_count)):
                (folder / f"part-{number:04d}.json").write_text(text)
            return
        how = {
            "csv": f"format csv, header, compression gzip, delimiter '{self.delimiter}'",
            "jsonl": "format json, compression gzip",
            "parquet": "format parquet, compression zstd",
        }[self.layout]
        select = ", ".join(
            f'{text.replace("{rows}", str(row_count))} as "{name}"' for name, text in self.columns.items()
        )
        for part in range(_PARTS):
            rows = f"range({row_count * part // _PARTS}, {row_count * (part + 1) // _PARTS})"
            path = folder / f"part-{part}.{_ENDINGS[self.layout]}"
            duckdb.execute(f"copy (select {select} from {rows} as numbers(n)) to '{path}' ({how})")

    def locate(self, folder: Path) -> str:
        """The location that a source has in sources.yml."""
        return f"{folder}/*.{_ENDINGS[self.layout]}"

    def scan(self, folder: Path) -> str:
        """How the engine alone reads the files."""
        reader = {
            "csv": f"read_csv('{{}}', all_varchar = true, delim = '{self.delimiter}')",
            "jsonl": "read_json('{}', format = 'newline_delimited')",
            "parquet": "read_parquet('{}')",
            "json": "read_json('{}', maximum_object_size = 268435456)",
        }[self.layout]
        return reader.format(self.locate(folder))


def _iso(instant: str) -> str:
    return f"strftime({instant}, '%Y-%m-%dT%H:%M:%SZ')"


_CUR: Final = {
    "identity_line_item_id": "md5(n::varchar)",
    "identity_time_interval": f"{_iso(_HOUR)} || '/' || {_iso(_HOUR + ' + to_hours(1)')}",
    "bill_payer_account_id": "'111111111111'",
    "bill_billing_period_start_date": "'2026-06-01T00:00:00Z'",
    "line_item_usage_account_id": "'2222222222' || (n % 40 + 10)",
    "line_item_line_item_type": "'Usage'",
    "line_item_usage_start_date": _iso(_HOUR),
    "line_item_usage_end_date": _iso(_HOUR + " + to_hours(1)"),
    "line_item_product_code": "'AmazonEC2'",
    "line_item_operation": "'RunInstances'",
    "line_item_resource_id": "printf('i-%017x', n % 5000)",
    "line_item_usage_amount": "'1'",
    "line_item_currency_code": "'USD'",
    "line_item_unblended_cost": "printf('0.%08d', n % 99991)",
    "pricing_public_on_demand_cost": "printf('0.%08d', n % 99991)",
    "resource_tags": 'printf(\'{"user_team":"team-%d"}\', n % 20)',
}


def _write_allocations(row_count: int) -> Iterator[str]:
    """OpenCost answers of a day: 24 steps of as many pods as it takes for 30 days."""
    pods = -(-row_count // (30 * 24))
    for day in range(30):
        steps: list[dict[str, Any]] = []
        for hour in range(24):
            start = _START + timedelta(days=day, hours=hour)
            window = {"start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "end": f"{start + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"}
            first = (day * 24 + hour) * pods
            steps.append(
                {
                    f"c1/node-{pod % 50}/ml/train-{pod}/main": _make_allocation(first + pod, pod, window)
                    for pod in range(max(0, min(pods, row_count - first)))
                }
            )
        yield json.dumps({"code": 200, "data": steps})


def _make_allocation(number: int, pod: int, window: dict[str, str]) -> dict[str, Any]:
    labels = {"team": f"team-{pod % 20}", "app": "train"}
    return {
        "name": f"c1/node-{pod % 50}/ml/train-{pod}/main",
        "properties": {
            "cluster": "c1",
            "node": f"node-{pod % 50}",
            "container": "main",
            "controller": "train",
            "controllerKind": "job",
            "namespace": "ml",
            "pod": f"train-{pod}",
            "providerID": f"i-{pod % 50:017x}",
            "labels": labels,
        },
        "window": window,
        "start": window["start"],
        "end": window["end"],
        "minutes": 60.0,
        "cpuCoreHours": 8.0,
        "cpuCost": number % 9973 / 10_000,
        "gpuCount": 1.0,
        "gpuHours": 1.0,
        "gpuCost": number % 99991 / 10_000,
        "ramByteHours": 68719476736.0,
        "ramCost": number % 997 / 10_000,
        "totalCost": (number % 9973 + number % 99991 + number % 997) / 10_000,
    }


def _write_samples(row_count: int) -> Iterator[str]:
    """Prometheus answers of an hour: 60 steps of eleven fields of as many GPUs as it takes."""
    fields = ("GPU_UTIL", "FB_USED", "FB_FREE", "POWER_USAGE", "TOTAL_ENERGY_CONSUMPTION", "GPU_TEMP", "SM_CLOCK")
    series = [(gpu, name) for gpu in range(128) for name in fields]
    for hour, first_of_hour in enumerate(range(0, row_count, 60 * len(series))):
        at = int((_START + timedelta(hours=hour)).timestamp())
        result = [
            {
                "metric": {
                    "__name__": f"DCGM_FI_DEV_{name}",
                    "UUID": f"GPU-{gpu:08x}",
                    "gpu": str(gpu % 8),
                    "Hostname": f"node-{gpu // 8}",
                    "modelName": "NVIDIA H100 80GB HBM3",
                    "exported_namespace": "ml",
                    "exported_pod": f"train-{gpu}",
                },
                "values": [[at + step * 60, str((first + step) % 997)] for step in range(min(60, row_count - first))],
            }
            for (gpu, name), first in zip(series, range(first_of_hour, row_count, 60), strict=False)
        ]
        yield json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


def _write_spans(row_count: int) -> Iterator[str]:
    """OTLP documents of 10,000 calls."""
    for first in range(0, row_count, 10_000):
        spans = [_make_span(number, row_count) for number in range(first, min(first + 10_000, row_count))]
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "chat"}}]}
        yield json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]})


def _make_span(number: int, row_count: int) -> dict[str, Any]:
    start = int(_START.timestamp()) * 10**9 + number * 2_591_000 * 10**9 // row_count
    texts = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.id": f"chatcmpl-{number:024x}",
        "team": f"team-{number % 20}",
    }
    counts = {"gen_ai.usage.input_tokens": number % 4000 + 1, "gen_ai.usage.output_tokens": number % 700 + 1}
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "chat gpt-4o",
        "kind": 3,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 1_500_000_000),
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in texts.items()]
        + [{"key": key, "value": {"intValue": str(value)}} for key, value in counts.items()],
        "status": {},
    }


WORKLOADS: Final = {
    "focus": Workload(
        "focus",
        "csv",
        {
            "ProviderName": "'AWS'",
            "BillingAccountId": "'123456789012'",
            "BillingCurrency": "'USD'",
            "BillingPeriodStart": "'2026-06-01T00:00:00Z'",
            "BillingPeriodEnd": "'2026-07-01T00:00:00Z'",
            "ChargePeriodStart": _iso(_HOUR),
            "ChargePeriodEnd": _iso(_HOUR + " + to_hours(1)"),
            "ChargeCategory": "'Usage'",
            "ServiceName": "'Amazon EC2'",
            "ResourceId": "printf('i-%017x', n % 5000)",
            "BilledCost": "printf('0.%08d', n % 99991)",
            "EffectiveCost": "printf('0.%08d', n % 89989)",
            "ListCost": "printf('0.%08d', n % 99991)",
            "Tags": 'printf(\'{"team": "team-%d"}\', n % 20)',
        },
    ),
    "aws_cur": Workload("aws_cur", "csv", _CUR),
    "aws_cur parquet": Workload("aws_cur", "parquet", _CUR),
    "azure_cost": Workload(
        "azure_cost",
        "csv",
        {
            "BillingAccountId": "'8611537'",
            "BillingPeriodStartDate": "'06/01/2026'",
            "BillingPeriodEndDate": "'06/30/2026'",
            "SubscriptionId": "'sub-' || n % 40",
            "Date": "strftime(date '2026-06-01' + (n % 30)::integer, '%m/%d/%Y')",
            "MeterCategory": "'Virtual Machines'",
            "Quantity": "'24'",
            "Cost": "printf('0.%08d', n % 99991)",
            "UnitPrice": "'0.11'",
            "BillingCurrency": "'USD'",
            "ResourceId": (
                "'/subscriptions/sub-' || n % 40 || '/resourceGroups/ML/providers/Microsoft.Compute/virtualMachines/ND'"
                " || n % 5000"
            ),
            "Tags": 'printf(\'"team": "team-%d"\', n % 20)',
            "UnitOfMeasure": "'1 Hour'",
            "ChargeType": "'Usage'",
            "PricingModel": "'OnDemand'",
        },
        options={"date_format": "m/d/y"},
    ),
    "gcp_billing": Workload(
        "gcp_billing",
        "jsonl",
        {
            "billing_account_id": "'01A-02B-03C'",
            "invoice": "{'month': '202606'}",
            "cost_type": "'regular'",
            "service": "{'id': '6F81-5844-456A', 'description': 'Compute Engine'}",
            "sku": "{'id': 'AAAA-' || n % 50, 'description': 'Nvidia H100 80GB GPU running in Iowa'}",
            "usage_start_time": f"strftime({_HOUR}, '%Y-%m-%d %H:%M:%S UTC')",
            "usage_end_time": f"strftime({_HOUR} + to_hours(1), '%Y-%m-%d %H:%M:%S UTC')",
            "project": "{'id': 'ml-' || n % 40, 'number': '123', 'labels': []}",
            "labels": "[{'key': 'team', 'value': 'team-' || n % 20}]",
            "resource": "{'name': 'trainer-' || n % 5000, 'global_name': '//compute/instance/' || n % 5000}",
            "cost": "(n % 99991) / 1000",
            "cost_at_list": "(n % 99991) / 900",
            "currency": "'USD'",
            "currency_conversion_rate": "1.0",
            "usage": "{'amount': 28800, 'unit': 'seconds', 'amount_in_pricing_units': 8, 'pricing_unit': 'hour'}",
            "credits": "[{'type': 'SUSTAINED_USAGE_DISCOUNT', 'name': 'd', 'amount': -(n % 997) / 1000}]",
            "export_time": "'2026-07-02 15:04:05.123 UTC'",
        },
    ),
    "litellm": Workload(
        "litellm",
        "jsonl",
        {
            "id": "printf('chatcmpl-%024x', n)",
            "call_type": "'acompletion'",
            "status": "'success'",
            "model": "'gpt-4o'",
            "custom_llm_provider": "'openai'",
            "startTime": f"epoch({_INSTANT})",
            "endTime": f"epoch({_INSTANT}) + 1.5",
            "prompt_tokens": "n % 4000 + 1",
            "completion_tokens": "n % 700 + 1",
            "total_tokens": "n % 4000 + n % 700 + 2",
            "response_cost": "(n % 97) / 10000",
            "request_tags": "['app:app-' || n % 12]",
            "metadata": "{'user_api_key_hash': printf('%064x', n % 40), 'user_api_key_team_id': 'team-' || n % 20}",
        },
    ),
    "gateway_log": Workload(
        "gateway_log",
        "jsonl",
        {
            "request": "printf('%032x', n)",
            "at": _iso(_INSTANT),
            "provider": "'openai'",
            "model": "'gpt-4o'",
            "team": "'team-' || n % 20",
            "input": "n % 4000 + 1",
            "output": "n % 700 + 1",
        },
        options={
            "fields": {
                "request_id": "request",
                "started_at": "at",
                "provider": "provider",
                "model": "model",
                "team_id": "team",
                "prompt_tokens": "input",
                "completion_tokens": "output",
            }
        },
    ),
    "otel_genai": Workload("otel_genai", "json", write_documents=_write_spans),
    "dcgm_prometheus": Workload("dcgm_prometheus", "json", write_documents=_write_samples),
    "opencost_allocation": Workload("opencost_allocation", "json", write_documents=_write_allocations),
    "koku_ocp": Workload(
        "koku_ocp",
        "csv",
        {
            "report_period_start": "'2026-06-01 00:00:00 +0000 UTC'",
            "report_period_end": "'2026-07-01 00:00:00 +0000 UTC'",
            "interval_start": f"strftime({_HOUR}, '%Y-%m-%d %H:%M:%S +0000 UTC')",
            "interval_end": f"strftime({_HOUR} + to_seconds(3599), '%Y-%m-%d %H:%M:%S +0000 UTC')",
            "node": "'node-' || n % 50",
            "namespace": "'ml'",
            "pod": "'train-' || n % 5000",
            "gpu_uuid": "'GPU-' || n % 5000",
            "gpu_model_name": "'H100'",
            "gpu_pod_uptime": "'3600'",
        },
        options={"cluster": "prod"},
    ),
    "slurm_sacct": Workload(
        "slurm_sacct",
        "csv",
        {
            "JobIDRaw": "n",
            "JobName": "'train'",
            "Cluster": "'prod'",
            "Account": "'team-' || n % 20",
            "User": "'user-' || n % 400",
            "Partition": "'h100'",
            "QOS": "'normal'",
            "State": "'COMPLETED'",
            "ExitCode": "'0:0'",
            "Submit": f"epoch({_INSTANT})::bigint",
            "Eligible": f"epoch({_INSTANT})::bigint",
            "Start": f"epoch({_INSTANT})::bigint + 60",
            "End": f"epoch({_INSTANT})::bigint + 3660",
            "ElapsedRaw": "3600",
            "AllocTRES": "'billing=64,cpu=64,gres/gpu=8,gres/gpu:h100=8,mem=512G,node=1'",
        },
        delimiter="|",
    ),
}
