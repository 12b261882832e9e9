"""The Azure bill in EUR (FOCUS 1.2, CSV) and the CoreWeave bill (FOCUS 1.0, Parquet, no list prices)."""

from datetime import timedelta
from decimal import Decimal
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from demo.fleet import LIST_USD_PER_HOUR, Fleet
from demo.focus import Line, month_columns, open_lines
from demo.plan import Month, Plan, stamp_file
from demo.summary import ProviderTotals, SourceTruth
from demo.teams import AZURE_SUBSCRIPTION

EUR_TO_USD: Final = Decimal("1.0842")
_VM_EUR_PER_HOUR: Final = Decimal("3.2127")
_BATCH_ROWS: Final = 50_000


def write_azure(plan: Plan, source: SourceTruth, totals: ProviderTotals) -> None:
    """Virtual machines with GPUs of team Vision, outside Kubernetes, with disks and tax, in euros."""
    for month in plan.months:
        at = month.covered_to + timedelta(days=2, hours=5)
        path = plan.home / "exports" / "azure" / f"{at:%Y%m%d}-{month.label}" / "part-00000.csv.gz"
        with open_lines(path, at, source, totals) as out:
            base = _azure_columns(month)
            lines: list[tuple[Line, Line]] = []
            for n in range(plan.count(2, 1)):
                name = f"vm-vision-{n + 1:02d}"
                identity = (
                    f"/subscriptions/{AZURE_SUBSCRIPTION}/resourcegroups/rg-vision/providers/"
                    f"microsoft.compute/virtualmachines/{name}"
                )
                tags = {"team": "vision", "environment": "prod"} if n % 2 == 0 else {}
                machine = base | {
                    **_azure_usage("Virtual Machines", "Compute", "Virtual Machines", "NC24ads A100 v4", "Hours"),
                    "SkuPriceDetails": {"InstanceType": "Standard_NC24ads_A100_v4", "GpuCount": 1, "CoreCount": 24},
                    "ResourceId": identity,
                    "ResourceName": name,
                    "ResourceType": "Virtual machine",
                    "Tags": tags,
                }
                disk = base | {
                    **_azure_usage("Storage", "Storage", "Block Storage", "P30 LRS Disk", "Days"),
                    "ResourceId": identity.replace("virtualmachines", "disks"),
                    "ResourceName": f"{name}-disk",
                    "ResourceType": "Disk",
                    "Tags": tags,
                }
                lines.append(
                    (
                        Line(_in_usd(machine, _VM_EUR_PER_HOUR), list_price=_VM_EUR_PER_HOUR),
                        Line(disk, list_price=Decimal("4.081632653061")),
                    )
                )
            day, taxed = month.covered_from, Decimal(0)
            while day < month.covered_to:
                for machine_line, disk_line in lines:
                    for hour in range(24):
                        start = day + timedelta(hours=hour)
                        out.write(machine_line, start, start + timedelta(hours=1), quantity=Decimal(1))
                    out.write(disk_line, day, day + timedelta(days=1), quantity=Decimal(1))
                    taxed += 24 * _VM_EUR_PER_HOUR
                day += timedelta(days=1)
            tax = base | {
                "ChargeCategory": "Tax",
                "ChargeFrequency": "One-Time",
                "ChargeDescription": "VAT 21%",
                "ServiceName": "Virtual Machines",
                "ServiceCategory": "Compute",
                "ServiceSubcategory": "Virtual Machines",
            }
            vat = (taxed * Decimal("0.21")).quantize(Decimal("0.01"))
            out.write(Line(tax), month.covered_from, month.covered_to, billed=vat)


def _azure_columns(month: Month) -> dict[str, object]:
    return {
        **month_columns(month),
        "ProviderName": "Microsoft",
        "PublisherName": "Microsoft",
        "InvoiceIssuerName": "Microsoft Ireland Operations Limited",
        "InvoiceId": f"E0400{month.label.replace('-', '')}",
        "BillingAccountId": "/providers/Microsoft.Billing/billingAccounts/7654321",
        "BillingAccountName": "Northwind AI BV",
        "BillingAccountType": "Billing Account",
        "SubAccountId": f"/subscriptions/{AZURE_SUBSCRIPTION}",
        "SubAccountName": "vision-eu",
        "SubAccountType": "Subscription",
        "BillingCurrency": "EUR",
        "RegionId": "westeurope",
        "RegionName": "West Europe",
    }


def _azure_usage(service: str, category: str, subcategory: str, meter: str, unit: str) -> dict[str, object]:
    sku = meter.replace(" ", "")
    return {
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "ChargeDescription": meter,
        "ServiceName": service,
        "ServiceCategory": category,
        "ServiceSubcategory": subcategory,
        "SkuId": f"AZ-{sku}",
        "SkuMeter": meter,
        "SkuPriceId": f"AZ-{sku}-WE",
        "PricingCategory": "Standard",
        "PricingUnit": unit,
        "ConsumedUnit": unit,
    }


def _in_usd(columns: dict[str, object], eur_price: Decimal) -> dict[str, object]:
    """The same hour in the currency in which Microsoft sets its prices."""
    price = (eur_price * EUR_TO_USD).quantize(Decimal("0.0001"))
    return columns | {
        "PricingCurrency": "USD",
        "PricingCurrencyContractedUnitPrice": price,
        "PricingCurrencyEffectiveCost": price,
        "PricingCurrencyListUnitPrice": price,
    }


_AMOUNT: Final = pa.decimal128(28, 12)
_INSTANT: Final = pa.timestamp("us", tz="UTC")
_COREWEAVE_TYPES: Final = (
    ("AvailabilityZone BillingAccountId BillingAccountName BillingCurrency ChargeCategory ChargeClass "
     "ChargeDescription ChargeFrequency CommitmentDiscountCategory CommitmentDiscountId CommitmentDiscountName "
     "CommitmentDiscountStatus CommitmentDiscountType ConsumedUnit InvoiceIssuerName PricingCategory PricingUnit "
     "ProviderName PublisherName RegionId RegionName ResourceId ResourceName ResourceType ServiceCategory "
     "ServiceName SkuId SkuPriceId SubAccountId SubAccountName Tags x_CapacityPlan x_ClusterId x_ClusterName "
     "x_ProductFamily", pa.string()),
    ("BillingPeriodStart BillingPeriodEnd ChargePeriodStart ChargePeriodEnd", _INSTANT),
    ("BilledCost ConsumedQuantity ContractedCost ContractedUnitPrice EffectiveCost ListCost ListUnitPrice "
     "PricingQuantity", _AMOUNT),
    ("x_GpuCount", pa.int32()),
)  # fmt: skip
_COREWEAVE_SCHEMA: Final = pa.schema(
    [(name, kind) for names, kind in _COREWEAVE_TYPES for name in sorted(names.split())]
)


def write_coreweave(plan: Plan, fleet: Fleet, source: SourceTruth, totals: ProviderTotals) -> None:
    """Hours of whole machines, a daily line of storage; what has no list price says nothing instead of zero."""
    nodes = [node for node in fleet.nodes if node.kind == "cw"]
    price = LIST_USD_PER_HOUR["cw"]
    for month in plan.months:
        at = month.covered_to + timedelta(days=1, hours=9)
        path = plan.home / "exports" / "coreweave" / f"{at:%Y%m%d}-{month.label}" / "focus.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows: list[dict[str, object]] = []
        written = 0
        base: dict[str, object] = {
            "ProviderName": "CoreWeave",
            "PublisherName": "CoreWeave",
            "InvoiceIssuerName": "CoreWeave, Inc.",
            "BillingAccountId": "northwind-ai",
            "BillingCurrency": "USD",
            "BillingPeriodStart": month.start,
            "BillingPeriodEnd": month.end,
            "ChargeCategory": "Usage",
            "ChargeFrequency": "Usage-Based",
            "PricingCategory": "Standard",
            "RegionId": "US-EAST-04",
            "RegionName": "US-EAST-04",
            "x_CapacityPlan": "reserved-cancelable",
            "x_ClusterId": "cks-19af",
            "x_ClusterName": "cw-train",
        }
        with pq.ParquetWriter(path, _COREWEAVE_SCHEMA, compression="zstd", store_schema=False) as writer:
            hour = month.covered_from
            while hour < month.covered_to:
                for node in nodes:
                    rows.append(
                        base
                        | _coreweave_usage("GPU Compute", "Compute", node.type.instance_type, "Hours", price, 1)
                        | {"ChargePeriodStart": hour, "ChargePeriodEnd": hour + timedelta(hours=1)}
                        | {"ResourceId": node.provider_id, "ResourceName": node.name, "ResourceType": "Node"}
                        | {"x_GpuCount": node.type.gpu_count, "Tags": '{"environment":"prod"}'}
                    )
                    totals.add(price, price)
                if hour.hour == 0:
                    stored = Decimal(plan.random("cw-storage", hour).randrange(40_000, 60_000)).scaleb(-2)
                    rows.append(
                        base
                        | _coreweave_usage(
                            "Storage", "Storage", "object-storage", "GiB-Days", Decimal("0.00197"), stored
                        )
                        | {"ChargePeriodStart": hour, "ChargePeriodEnd": hour + timedelta(days=1)}
                        | {"Tags": '{"team":"research","environment":"prod"}'}
                    )
                    totals.add(stored * Decimal("0.00197"), stored * Decimal("0.00197"))
                if len(rows) >= _BATCH_ROWS:
                    written += len(rows)
                    writer.write_table(pa.Table.from_pylist(rows, _COREWEAVE_SCHEMA))
                    rows = []
                hour += timedelta(hours=1)
            written += len(rows)
            writer.write_table(pa.Table.from_pylist(rows, _COREWEAVE_SCHEMA))
        stamp_file(path, at)
        source.add(path, rows=written)


def _coreweave_usage(
    family: str, category: str, sku: str, unit: str, price: Decimal, quantity: Decimal | int
) -> dict[str, object]:
    amount = Decimal(quantity) * price
    return {
        "ServiceName": family,
        "ServiceCategory": category,
        "ChargeDescription": f"{sku} {unit}",
        "SkuId": sku,
        "SkuPriceId": f"{sku}-contract",
        "PricingUnit": unit,
        "PricingQuantity": Decimal(quantity),
        "ConsumedUnit": unit,
        "ConsumedQuantity": Decimal(quantity),
        "ContractedUnitPrice": price,
        "ContractedCost": amount,
        "BilledCost": amount,
        "EffectiveCost": amount,
        "x_ProductFamily": family,
    }
