"""What runs when something arrives: the locations of sources.yml are listed and compared, no object is opened."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import dagster as dg

from ingest.config import ConfigError, is_server, load_sources
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.storage import StorageError, list_objects
from orchestration.resources import HomeResource
from orchestration.schedules import REFRESH

_CONFIG_FOLDER: Final = "config/"  # no source can have this name


@dg.sensor(
    job=REFRESH,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Lists every source and the config folder once a minute; starts `refresh` when anything changed.",
)
def new_objects(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult | dg.SkipReason:
    """One run for all that changed since the last tick; the cursor is a hash of each location's listing."""
    opened = home.open()
    before: dict[str, str] = json.loads(context.cursor) if context.cursor else {}
    try:
        sources = load_sources(opened, KINDS).sources
    except ConfigError as error:
        return dg.SkipReason(str(error))
    seen = {_CONFIG_FOLDER: _fingerprint_location(_CONFIG_FOLDER, {}, opened)}
    unreachable: list[str] = []
    for source in sources:
        try:
            seen[source.name] = _fingerprint_location(source.location, source.options, opened)
        except StorageError as error:
            unreachable.append(source.name)
            context.log.warning("source %s cannot be listed: %s", source.name, error)
            if source.name in before:
                seen[source.name] = before[source.name]
    changed = sorted(name for name, fingerprint in seen.items() if before.get(name) != fingerprint)
    if not changed:
        silent = f"; not reachable: {', '.join(unreachable)}" if unreachable else ""
        return dg.SkipReason(f"nothing new in {len(seen) - 1} sources{silent}")
    # No run key: content that went back to what it once was is a change too.
    request = dg.RunRequest(tags={"wattledger/changed": ", ".join(changed)[:250]})
    return dg.SensorResult(run_requests=[request], cursor=json.dumps(seen, sort_keys=True))


def _fingerprint_location(location: str, options: Mapping[str, Any], home: Home) -> str:
    if is_server(location):  # asked and not listed: each hour it has an hour more
        return f"{datetime.now(UTC):%Y-%m-%dT%H}"
    digest = hashlib.sha256()
    for stored in list_objects(location, options, home.path):
        digest.update(f"{stored.uri}\0{stored.etag}\n".encode())
    return digest.hexdigest()
