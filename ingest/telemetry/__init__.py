"""Telemetry source kinds: one file each, all of the shape in `ingest.source`."""
