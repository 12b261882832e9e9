"""The AWS bill: exports/aws/<run>/…csv.gz, FOCUS 1.2 in USD. A month is delivered early, and again when it is over."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from demo.fleet import LIST_USD_PER_HOUR, Fleet, Node
from demo.focus import Line, LineFile, month_columns, open_lines
from demo.plan import Month, Plan
from demo.summary import ProviderTotals, SourceTruth
from demo.teams import AWS_ACCOUNTS, AWS_PAYER, NEW_NAME, OLD_NAME, UNKNOWN_TEAM, team_label

_DISCOUNT: Final = Decimal("0.97")  # negotiated on everything
_SAVINGS_RATE: Final = Decimal("0.618")  # of the list price, for what the savings plan covers
_SAVINGS_PLAN: Final = "arn:aws:savingsplans::210000000011:savingsplan/7d0f2a8e-52c1-4b7e-9d31-0c6a4a4d2b10"
_PREVIOUS_DAYS: Final = 2


@dataclass(frozen=True)
class _Meter:
    """A kind of line by resource. `steps` is lines a day; quantities are drawn from [low, high) x 10^exponent."""

    name: str
    service: str
    category: str
    subcategory: str
    resource_type: str
    prefix: str
    count_at_scale_one: int
    steps: int
    unit: str
    list_price: str
    low: int
    high: int
    exponent: int


_METERS: Final = (
    _Meter("Requests-Tier1", "AmazonS3", "Storage", "Object Storage", "Bucket", "bucket", 26, 24, "Requests",
           "0.000005", 1, 90_000, 0),
    _Meter("Requests-Tier2", "AmazonS3", "Storage", "Object Storage", "Bucket", "bucket", 26, 24, "Requests",
           "0.0000004", 1, 900_000, 0),
    _Meter("TimedStorage-ByteHrs", "AmazonS3", "Storage", "Object Storage", "Bucket", "bucket", 26, 1, "GB-Months",
           "0.023", 10_000, 9_000_000, -6),
    _Meter("VolumeUsage.gp3", "AmazonEC2", "Storage", "Block Storage", "Volume", "vol-", 170, 1, "GB-Months",
           "0.08", 100_000, 60_000_000, -6),
    _Meter("NatGateway-Bytes", "AmazonVPC", "Networking", "Network Connectivity", "NAT Gateway", "nat-", 8, 24, "GB",
           "0.045", 1, 2_500_000_000, -9),
    _Meter("NatGateway-Hours", "AmazonVPC", "Networking", "Network Connectivity", "NAT Gateway", "nat-", 8, 24, "Hours",
           "0.045", 1, 2, 0),
    _Meter("InstanceUsage:db.r6g.xlarge", "AmazonRDS", "Databases", "Relational Databases", "DB Instance", "db-", 11,
           24, "Hours", "0.48", 1, 2, 0),
    _Meter("DataTransfer-Out-Bytes", "AWSDataTransfer", "Networking", "Content Delivery", "Instance", "eni-", 12, 24,
           "GB", "0.09", 1, 40_000_000, -7),
    _Meter("DataTransfer-Regional-Bytes", "AWSDataTransfer", "Networking", "Network Connectivity", "Instance", "eni-",
           12, 24, "GB", "0.01", 1, 90_000, -9),
    _Meter("BoxUsage:m6i.2xlarge", "AmazonEC2", "Compute", "Virtual Machines", "Instance", "i-0", 8, 24, "Hours",
           "0.384", 1, 2, 0),
    _Meter("CW:MetricMonitorUsage", "AmazonCloudWatch", "Management and Governance", "Observability", "Metric",
           "metric-", 20, 1, "Metrics", "0.3", 1_000, 900_000, -5),
)  # fmt: skip


class AwsBill:
    """Writes every delivery of every month of the window."""

    def __init__(self, plan: Plan, fleet: Fleet) -> None:
        self.plan = plan
        self.fleet = fleet
        self.source = SourceTruth()
        self.totals = ProviderTotals("USD")
        self._resources = list(self._name_resources())

    def write(self, on_day: Callable[[], None] | None = None) -> None:
        """Write the month before the window, then each month twice: two thirds through, and after its end."""
        first = self.plan.months[0]
        before = _previous_month(first)
        delivered_at = first.start + timedelta(days=4, hours=6)
        with self._open("previous", before, delivered_at, 1, self.totals) as out:
            self._write_days(out, before, before.end, is_final=True, on_day=None)
            self._write_support_and_tax(out, before)
        for month in self.plan.months:
            days = (month.covered_to - month.covered_from).days
            cut = month.covered_from + timedelta(days=max(1, days * 2 // 3))
            if cut < month.covered_to:
                with self._open("run", month, cut + timedelta(hours=6), 1, None) as out:
                    self._write_days(out, month, cut, is_final=False, on_day=None)
                    self._write_nodes(out, month, cut, None)
            final_at = month.covered_to + timedelta(days=1, hours=6)
            with self._open("run", month, final_at, 1, self.totals) as out:
                invoice = f"INV-{month.label}-0001"
                self._write_nodes(out, month, month.covered_to, invoice)
                self._write_savings_plan(out, month, invoice)
                self._write_support_and_tax(out, month)
                self._write_corrections(out, month, before)
            with self._open("run", month, final_at, 2, self.totals) as out:
                self._write_days(out, month, month.covered_to, is_final=True, on_day=on_day)

    def _open(
        self, kind: str, month: Month, at: datetime, part: int, totals: ProviderTotals | None
    ) -> AbstractContextManager[LineFile]:
        folder = self.plan.home / "exports" / "aws" / f"{at:%Y%m%dT%H%M%SZ}-{month.label}"
        return open_lines(folder / f"northwind-focus-{kind}-{part:05d}.csv.gz", at, self.source, totals)

    def _name_resources(self) -> Iterator[tuple[_Meter, str, int, str]]:
        """(meter, resource id, account number, team) of everything but the nodes. The team "" means no tags."""
        owners = ("research", NEW_NAME, "platform", "support-bot", "vision", "data", "", UNKNOWN_TEAM)
        for meter in _METERS:
            for ordinal in range(self.plan.count(meter.count_at_scale_one, 2)):
                rng = self.plan.random("aws", meter.prefix, ordinal)
                name = f"{meter.prefix}{rng.getrandbits(60):015x}"
                if meter.prefix == "bucket":
                    name = f"arn:aws:s3:::northwind-{name}"
                team = rng.choices(owners, (18, 18, 18, 13, 13, 8, 9, 3))[0]
                # Nobody renamed the tag of some; one at least, whatever the scale.
                keeps_old_tag = team == NEW_NAME and rng.random() < 0.12
                if keeps_old_tag or (meter.prefix == "vol-" and ordinal == 0):
                    team = OLD_NAME
                yield meter, name, rng.randrange(1, len(AWS_ACCOUNTS)), team

    def _resource_line(
        self, month: Month, resource: tuple[_Meter, str, int, str], day: date, invoice: str | None
    ) -> Line:
        meter, name, account, team = resource
        label = team_label(team, day, self.plan)
        tags: dict[str, object] = {"environment": ("prod", "staging", "dev")[account % 3], "app": f"app-{account}"}
        if label:
            tags["team"] = label
        elif account % 2:
            tags = {}
        price = Decimal(meter.list_price)
        columns = {
            **self._columns(month, account, invoice),
            **_usage(meter.service, meter.category, meter.subcategory, meter.name, meter.unit),
            "ResourceId": name,
            "ResourceName": name.rsplit(":", 1)[-1],
            "ResourceType": meter.resource_type,
            "Tags": tags,
        }
        # Providers multiply doubles: tiers and blends leave prices of many places.
        contracted = price * (Decimal("0.968584073464102069") if meter.name == "NatGateway-Bytes" else _DISCOUNT)
        return Line(columns, list_price=price, contracted_price=contracted)

    def _write_days(
        self, out: LineFile, month: Month, until: datetime, *, is_final: bool, on_day: Callable[[], None] | None
    ) -> None:
        """Lines of everything but the nodes. Early deliveries lack some lines and hold some that are restated later."""
        invoice = f"INV-{month.label}-0001" if is_final else None
        at = month.covered_from
        lines: list[Line] = []
        while at < until:
            day = at.date()
            if not lines or day == self.plan.renamed_on:
                lines = [self._resource_line(month, resource, day, invoice) for resource in self._resources]
            rng = self.plan.random("aws-day", day)
            for (meter, *_), line in zip(self._resources, lines, strict=True):
                hours = 24 // meter.steps
                for step in range(meter.steps):
                    quantity = Decimal(rng.randrange(meter.low, meter.high)).scaleb(meter.exponent)
                    fate = rng.random()
                    if not is_final and fate < 0.012:
                        continue  # arrives late
                    if not is_final and fate > 0.994:
                        quantity = quantity / 2  # restated later
                    start = at + timedelta(hours=step * hours)
                    out.write(line, start, start + timedelta(hours=hours), quantity=quantity)
            at += timedelta(days=1)
            if on_day is not None:
                on_day()

    def _write_nodes(self, out: LineFile, month: Month, until: datetime, invoice: str | None) -> None:
        """Hours of the cluster's machines. The savings plan covers the p4d: billed 0, effective at its rate."""
        nodes = [node for node in self.fleet.nodes if node.kind in ("p4d", "p5", "g5", "m6i")]
        lines = {node.name: self._node_line(month, node, invoice) for node in nodes}
        unused = Line(self._savings_columns(month, invoice, "Unused"), list_price=Decimal(1), is_unused=True)
        hour = int((month.covered_from - self.plan.start_at).total_seconds() // 3600)
        at = month.covered_from
        while at < until:
            end = at + timedelta(hours=1)
            left = self._commitment_usd_per_hour
            for node in nodes:
                if not self.fleet.is_up(node, hour):
                    continue
                if node.kind == "p4d":
                    used = LIST_USD_PER_HOUR["p4d"] * _SAVINGS_RATE
                    left -= used
                    zero = Decimal(0)
                    out.write(
                        lines[node.name], at, end, quantity=Decimal(1), billed=zero, effective=used, commitment=used
                    )
                else:
                    out.write(lines[node.name], at, end, quantity=Decimal(1))
            out.write(
                unused, at, end, quantity=left, billed=Decimal(0), effective=left, listed=Decimal(0), commitment=left
            )
            hour += 1
            at = end

    def _node_line(self, month: Month, node: Node, invoice: str | None) -> Line:
        kind = node.type
        price = LIST_USD_PER_HOUR[node.kind]
        details: dict[str, object] = {
            "InstanceType": kind.instance_type,
            "InstanceSeries": node.kind,
            "CoreCount": kind.cores,
            "MemorySize": kind.memory_gib,
            "OperatingSystem": "Linux",
        }
        if kind.gpu_count:
            details["GpuCount"] = kind.gpu_count
        columns = {
            **self._columns(month, 0, invoice),
            **_usage("AmazonEC2", "Compute", "Virtual Machines", f"BoxUsage:{kind.instance_type}", "Hours"),
            "SkuPriceDetails": details,
            "ResourceId": node.provider_id,
            "ResourceName": node.name,
            "ResourceType": "Instance",
            "AvailabilityZone": "us-east-1b",
            "Tags": {"environment": "prod", "eks:cluster-name": kind.cluster},
        }
        if node.kind == "p4d":
            columns |= {**self._commitment("Used"), "PricingCategory": "Committed"}
        return Line(columns, list_price=price, contracted_price=price * _DISCOUNT)

    @property
    def _commitment_usd_per_hour(self) -> Decimal:
        covered = sum(node.kind == "p4d" for node in self.fleet.nodes)
        return LIST_USD_PER_HOUR["p4d"] * _SAVINGS_RATE * covered + Decimal("1.25")

    def _write_savings_plan(self, out: LineFile, month: Month, invoice: str) -> None:
        """The month's fee: billed now, effective 0, since its use and waste carry it."""
        hours = int((month.covered_to - month.covered_from).total_seconds() // 3600)
        price = self._commitment_usd_per_hour
        columns = {
            **self._savings_columns(month, invoice, None),
            "ChargeCategory": "Purchase",
            "ChargeFrequency": "Recurring",
            "ChargeDescription": "Compute Savings Plan, no upfront",
            "PricingCategory": "Standard",
        }
        line = Line(columns, list_price=price, is_measured=False)
        quantity = Decimal(hours)
        out.write(
            line,
            month.covered_from,
            month.covered_to,
            quantity=quantity,
            effective=Decimal(0),
            commitment=quantity * price,
        )

    def _write_support_and_tax(self, out: LineFile, month: Month) -> None:
        invoice = f"INV-{month.label}-0001"
        base = {**self._columns(month, 0, invoice), "RegionId": None, "RegionName": None}
        support = base | _usage(
            "AWSSupportBusiness", "Management and Governance", "Support", "SupportBusiness", "Months"
        )
        support |= {"ChargeFrequency": "Recurring", "ResourceId": None}
        span = (month.covered_from, month.covered_to)
        price = Decimal("2900.00") if month.covered_from >= self.plan.start_at else Decimal("2610.00")
        out.write(Line(support, list_price=price), *span, quantity=Decimal(1))
        tax = base | {
            "ChargeCategory": "Tax",
            "ChargeFrequency": "One-Time",
            "ChargeDescription": "US sales tax",
            "ServiceName": "AWSSupportBusiness",
            "ServiceCategory": "Management and Governance",
            "ServiceSubcategory": "Support",
        }
        out.write(Line(tax), *span, billed=(price * Decimal("0.0725")).quantize(Decimal("0.01")))

    def _write_corrections(self, out: LineFile, month: Month, before: Month) -> None:
        """Credits, a refund, and negative lines that correct the month before the window."""
        base = self._columns(month, 0, f"INV-{month.label}-0002") | {"ChargeFrequency": "One-Time"}
        compute = {"ServiceName": "AmazonEC2", "ServiceCategory": "Compute", "ServiceSubcategory": "Virtual Machines"}
        credit = base | compute | {"ChargeCategory": "Credit", "ChargeDescription": "Accelerate programme credit"}
        out.write(Line(credit), month.covered_from, month.covered_to, billed=Decimal("-1500.00"))
        tagged = credit | {"ChargeDescription": "Proof of concept credit", "Tags": {"team": "vision"}}
        out.write(Line(tagged), month.covered_from, month.covered_to, billed=Decimal("-250.333333333333333333333"))
        refund = base | compute | {"ChargeCategory": "Adjustment", "ChargeDescription": "Refund: service level missed"}
        out.write(Line(refund), month.covered_from, month.covered_to, billed=Decimal("-87.4100"))
        for n in range(3):
            storage = {"ServiceName": "AmazonS3", "ServiceCategory": "Storage", "ServiceSubcategory": "Object Storage"}
            wrong = (
                base
                | storage
                | {
                    "ChargeCategory": "Usage",
                    "ChargeClass": "Correction",
                    "ChargeFrequency": "Usage-Based",
                    "ChargeDescription": f"Correction of {before.label}: storage tier {n + 1}",
                    "Tags": {"team": ("data", "research", "platform")[n]},
                }
            )
            start = before.end - timedelta(days=n + 1)
            out.write(Line(wrong), start, start + timedelta(days=1), billed=Decimal(-314159 - n).scaleb(-4 - n))

    def _columns(self, month: Month, account: int, invoice: str | None) -> dict[str, object]:
        return {
            **month_columns(month),
            "ProviderName": "AWS",
            "PublisherName": "AWS",
            "InvoiceIssuerName": "Amazon Web Services, Inc.",
            "InvoiceId": invoice,
            "BillingAccountId": AWS_PAYER[0],
            "BillingAccountName": AWS_PAYER[1],
            "BillingAccountType": "Payer Account",
            "SubAccountId": AWS_ACCOUNTS[account][0],
            "SubAccountName": AWS_ACCOUNTS[account][1],
            "SubAccountType": "Linked Account",
            "BillingCurrency": "USD",
            "PricingCurrency": "USD",
            "RegionId": "us-east-1",
            "RegionName": "US East (N. Virginia)",
        }

    def _savings_columns(self, month: Month, invoice: str | None, status: str | None) -> dict[str, object]:
        usage = _usage("SavingsPlans", "Compute", "Virtual Machines", "ComputeSavingsPlan", "USD")
        return {
            **self._columns(month, 0, invoice),
            **usage,
            **self._commitment(status),
            "PricingCategory": "Committed",
            "ConsumedUnit": None,
            "ResourceId": _SAVINGS_PLAN,
            "ResourceName": "Compute Savings Plan",
            "ResourceType": "Savings Plan",
        }

    def _commitment(self, status: str | None) -> dict[str, object]:
        return {
            "CommitmentDiscountId": _SAVINGS_PLAN,
            "CommitmentDiscountName": "Compute Savings Plan",
            "CommitmentDiscountCategory": "Spend",
            "CommitmentDiscountType": "ComputeSavingsPlan",
            "CommitmentDiscountStatus": status,
            "CommitmentDiscountUnit": "USD",
        }


def _usage(service: str, category: str, subcategory: str, meter: str, unit: str) -> dict[str, object]:
    sku = "".join(c for c in f"{service}-{meter}" if c.isalnum() or c in "-.")
    return {
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "ChargeDescription": f"{service} {meter}",
        "ServiceName": service,
        "ServiceCategory": category,
        "ServiceSubcategory": subcategory,
        "SkuId": f"SKU-{sku}",
        "SkuMeter": meter,
        "SkuPriceId": f"PRICE-{sku}-USE1",
        "PricingCategory": "Standard",
        "PricingUnit": unit,
        "ConsumedUnit": unit,
    }


def _previous_month(month: Month) -> Month:
    """The month before, of which the last days are written."""
    end = month.start
    start = (end - timedelta(days=1)).replace(day=1)
    return Month(start, end, end - timedelta(days=_PREVIOUS_DAYS), end)
