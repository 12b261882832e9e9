"""What runs by the clock. Stopped until somebody starts it in the UI, so that `dagster dev` on a laptop stays quiet."""

from typing import Any, cast

import dagster as dg

from delivery.publish import MARTS_FILE
from orchestration.assets.delivery import DAILY_EMAILS, PUBLISHED_MARTS, EmailsConfig, deliver_day, write_report
from orchestration.resources import HomeResource

_BEFORE_EMAILS = ("landing", "warehouse", PUBLISHED_MARTS.to_python_identifier())
"""Steps whose failure would leave out the report and the emails."""


@dg.failure_hook(required_resource_keys={"home"})
def deliver_what_stands(context: dg.HookContext) -> None:
    """Report and emails of the day go out on the last good build, and say so."""
    if context.op.name not in _BEFORE_EMAILS:
        return
    resource: HomeResource = context.resources.home
    run = context.instance.get_run_by_id(context.run_id)
    ops: dict[str, Any] = cast(Any, run.run_config.get("ops", {})) if run else {}
    settings = ops.get(DAILY_EMAILS.to_python_identifier(), {}).get("config", {})
    with resource.locked() as home:
        if not (home.published_dir / MARTS_FILE).exists():
            return
        write_report(home)
        deliver_day(home, EmailsConfig(**settings))


EVERYTHING = dg.define_asset_job(
    "everything",
    selection=dg.AssetSelection.all(),
    hooks={deliver_what_stands},
    description="Land what is new, build what it touches, check, publish, write the report and the daily emails.",
)

REFRESH = dg.define_asset_job(
    "refresh",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets(DAILY_EMAILS),
    description="Everything but the emails, which belong to a day and not to an arrival.",
)


@dg.config_mapping(config_schema={"first_date": str, "last_date": str})
def _choose_days(days: dict[str, str]) -> dict[str, Any]:
    return {"ops": {"landing": {"config": days}, "warehouse": {"config": days}}}


BACKFILL = dg.define_asset_job(
    "backfill",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets(DAILY_EMAILS),
    config=_choose_days,
    description=(
        "The days from first_date to last_date in one run: servers are asked for them again, settled or not, and they "
        "and their billing periods are built again. What a closed period says does not move; corrections are posted."
    ),
)

# Providers close a UTC day within about five hours; what comes later is a restatement the next run picks up.
DAILY = dg.ScheduleDefinition(
    name="daily",
    job=EVERYTHING,
    cron_schedule="0 6 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every day at 06:00 UTC: the whole way, ending with the emails in the outbox.",
)
