"""What each command of the calendar finds imported already; nothing is run, and no home is opened."""

from importlib import import_module

for name in (
    "delivery.report",
    "ingest.landing",
    "orchestration.assets.delivery",
    "orchestration.assets.landing",
    "orchestration.assets.warehouse",
    "orchestration.cli",
    "orchestration.pipeline",
    "orchestration.run_summary",
):
    import_module(name)
