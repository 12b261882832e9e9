"""The synthetic company's one entry: write a home's config and source files, and say what was planted."""

from datetime import date
from pathlib import Path

from demo.aws import AwsBill
from demo.clouds import write_azure, write_coreweave
from demo.config_files import write_config
from demo.fleet import MIG_INSTANCES, Fleet
from demo.gateway import open_gateways
from demo.gpus import GpuTelemetry
from demo.kubernetes import Allocations
from demo.model_bills import PROVIDER_NAMES, write_model_bills
from demo.plan import FIRST_DAY, Plan, Progress
from demo.provider_reports import write_provider_reports
from demo.summary import CompanySummary, ProviderTotals, SourceTruth

__all__ = ["CompanySummary", "write_company"]


def write_company(
    home: Path,
    *,
    scale: float = 1.0,
    days: int = 30,
    seed: int = 7,
    start: date = FIRST_DAY,
    sample_seconds: int = 300,
    progress: Progress | None = None,
) -> CompanySummary:
    """Write HOME/config, HOME/exports, HOME/telemetry and HOME/logs; the same arguments write the same bytes.

    `scale` runs from 0.01 to 100 (1: about 1e5 billing lines, 5e5 requests and 2e6 GPU samples in 30 days), `days`
    from 2. Raises ValueError for anything else.
    """
    plan = Plan(home, start=start, days=days, scale=scale, seed=seed, sample_seconds=sample_seconds)
    fleet = Fleet(plan)
    write_config(plan)
    truth, gateways = open_gateways(plan)
    telemetry = GpuTelemetry(plan, fleet)
    allocations = Allocations(plan, fleet)
    steps = 2 * days
    for day_number in range(days):
        for gateway in gateways:
            gateway.write_day(day_number)
        telemetry.write_day(day_number)
        allocations.write_day(day_number)
        if progress is not None:
            progress("telemetry and logs", day_number + 1, steps)

    aws = AwsBill(plan, fleet)
    billed_days = iter(range(days + 1, steps + 1))
    aws.write((lambda: progress("bills", next(billed_days), steps)) if progress is not None else None)
    bills = {name: SourceTruth() for name in ("azure", "coreweave", *PROVIDER_NAMES)}
    totals = {name: ProviderTotals("EUR" if name == "azure" else "USD") for name in bills}
    write_azure(plan, bills["azure"], totals["azure"])
    write_coreweave(plan, fleet, bills["coreweave"], totals["coreweave"])
    write_model_bills(plan, truth.billed_tokens, bills, totals)

    sources = {"aws-focus": aws.source, **{f"{name}-focus": source for name, source in bills.items()}}
    sources |= {"opencost": allocations.source, "dcgm": telemetry.source}
    sources["openai-admin"] = write_provider_reports(plan, truth.billed_tokens)
    sources |= {gateway.name: gateway.source for gateway in gateways}
    provider_names = {"azure": "Microsoft", "coreweave": "CoreWeave", **PROVIDER_NAMES}
    mig_cards = sum(gpu.sharing == "mig" for gpu in fleet.gpus)
    planted = telemetry.truth
    return CompanySummary(
        home=home,
        start=start,
        days=days,
        renamed_on=plan.renamed_on,
        sources=sources,
        providers={"AWS": aws.totals, **{provider_names[name]: total for name, total in totals.items()}},
        gpu_count=len(fleet.gpus),
        mig_instance_count=mig_cards * len(MIG_INSTANCES),
        counter_reset_count=sum(fleet.counter_restarts(gpu, plan.hour_count - 1) for gpu in fleet.gpus),
        held_idle_gpu_hours=planted.held_idle_gpu_hours,
        unallocated_gpu_hours=planted.unallocated_gpu_hours,
        worked_gpu_hours=planted.worked_gpu_hours,
        unseen_gpu_hours=planted.unseen_gpu_hours,
        nan_sample_count=planted.nan_samples,
        request_count=truth.requests,
        duplicate_request_count=truth.duplicates,
        failed_request_count=truth.failed,
        unpriced_request_count=truth.unpriced,
        missing_usage_request_count=truth.missing_usage,
        bytes_written=sum(path.stat().st_size for source in sources.values() for path in source.files),
    )
