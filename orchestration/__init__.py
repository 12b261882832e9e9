"""The corridor: Dagster assets, checks, schedules, sensors and the `wattledger` command. Thin; no logic."""
