"""What `benchmarks/land.py` lands: files of each kind of source, no two rows alike, in June 2026."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import duckdb

from benchmarks.land_documents import (
    write_allocations,
    write_jobs,
    write_pods,
    write_samples,
    write_spans,
    write_traces,
)

_PARTS: Final = 4
_ENDINGS: Final = {"csv": "csv.gz", "jsonl": "jsonl.gz", "parquet": "parquet", "json": "json"}
_HOUR: Final = "(timestamp '2026-06-01' + to_hours((n // 5000)::integer % 719))"
_INSTANT: Final = "(timestamp '2026-06-01' + to_milliseconds(n * 2591000000 // {rows}))"


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
    "oci_cost": Workload(
        "oci_cost",
        "csv",
        {
            "lineItem/referenceNo": "md5(n::varchar)",
            "lineItem/tenantId": "'ocid1.tenancy.oc1..a'",
            "lineItem/intervalUsageStart": f"strftime({_HOUR}, '%Y-%m-%dT%H:%MZ')",
            "lineItem/intervalUsageEnd": f"strftime({_HOUR} + to_hours(1), '%Y-%m-%dT%H:%MZ')",
            "product/service": "'COMPUTE'",
            "product/compartmentName": "'ml-' || n % 40",
            "product/region": "'us-ashburn-1'",
            "product/resourceId": "'ocid1.instance.oc1.iad.' || n % 5000",
            "usage/billedQuantity": "'8.000000000000000000'",
            "cost/productSku": "'B98415'",
            "product/Description": "'OCI - Compute - GPU - H100'",
            "cost/unitPrice": "'10.000000000000000000'",
            "cost/myCost": "printf('%d.%018d', n % 97, n % 99991)",
            "cost/currencyCode": "'USD'",
            "lineItem/isCorrection": "'false'",
            "tags/team.name": "'team-' || n % 20",
        },
    ),
    "invoice_csv": Workload(
        "invoice_csv",
        "csv",
        {
            "provider": "'lambda'",
            "account_id": "'acme'",
            "invoice_id": "'INV-9'",
            "line_id": "n",
            "period_start": "'2026-06-01'",
            "period_end": "'2026-07-01'",
            "charge_type": "'usage'",
            "sku": "'gpu_8x_h100_sxm5'",
            "gpu_model": "'H100-SXM-80GB'",
            "gpu_count": "'8'",
            "resource_id": "'cluster-' || n % 5000",
            "quantity": "n % 997",
            "unit": "'GPU-Hours'",
            "unit_price": "'2.5'",
            "amount": "printf('%.1f', (n % 997) * 2.5)",
            "currency": "'USD'",
            "tags": 'printf(\'{"team":"team-%d"}\', n % 20)',
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
    "otel_genai": Workload("otel_genai", "json", write_documents=write_spans),
    "langfuse": Workload("langfuse", "json", write_documents=write_traces, options={"provider": "openai"}),
    "dcgm_prometheus": Workload("dcgm_prometheus", "json", write_documents=write_samples),
    "opencost_allocation": Workload("opencost_allocation", "json", write_documents=write_allocations),
    "kube_pods": Workload(
        "kube_pods", "json", write_documents=write_pods, options={"cluster": "c1", "observed_at": "2026-06-02"}
    ),
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
    "skypilot_jobs": Workload("skypilot_jobs", "json", write_documents=write_jobs),
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
