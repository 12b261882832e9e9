"""The one code location: everything Dagster knows of the home that $WATTLEDGER_HOME names."""

import json
from pathlib import Path

import dagster as dg

from ingest.home import Home, open_home
from orchestration.assets.delivery import make_delivery_assets
from orchestration.assets.landing import make_landing_assets
from orchestration.assets.warehouse import FolderTranslator, make_dbt_resource, make_warehouse_assets
from orchestration.dbt_runtime import ensure_manifest
from orchestration.landed import list_sources
from orchestration.resources import HomeResource, SilentProgress
from orchestration.schedules import BACKFILL, DAILY, EVERYTHING, REFRESH
from orchestration.sensors import new_objects


def make_definitions(home: Home) -> dg.Definitions:
    """Assets from source to email, with checks, jobs, the schedule and the sensor of one home."""
    manifest_path = ensure_manifest(home)
    return dg.Definitions(
        assets=[
            *make_landing_assets(list_sources(home)),
            make_warehouse_assets(manifest_path),
            *make_delivery_assets(_list_mart_keys(manifest_path)),
        ],
        jobs=[EVERYTHING, REFRESH, BACKFILL],
        schedules=[DAILY],
        sensors=[new_objects],
        resources={
            "home": HomeResource(path=str(home.path)),
            "dbt": make_dbt_resource(),
            "progress": dg.ResourceDefinition.hardcoded_resource(SilentProgress()),
        },
        # One writer a home: parallel steps would only wait for one another's lock, each in a process of its own.
        executor=dg.in_process_executor,
    )


def _list_mart_keys(manifest_path: Path) -> list[dg.AssetKey]:
    manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
    translator = FolderTranslator()
    return [
        translator.get_asset_key(node)
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["schema"] == "marts"
    ]


defs = make_definitions(open_home(None))
