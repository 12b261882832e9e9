"""The landing tables of what schedulers say of jobs. A row is one attempt of a job as one report tells of it."""

from typing import Final

from ingest import ranges
from ingest.landing_table import COUNT, INSTANT, MONEY, NUMBER, TEXT, LandingTable

SLURM_JOBS: Final = LandingTable(
    name="slurm_jobs",
    columns=(
        ("cluster", TEXT),
        ("job_id", TEXT),  # JobIDRaw: a number of its own for each task of an array
        ("job_label", TEXT),  # JobID: 123, 123_4 of an array, 123+1 of a heterogeneous job
        ("job_name", TEXT),
        ("account", TEXT),
        ("user_name", TEXT),
        ("partition_name", TEXT),
        ("qos", TEXT),
        ("state", TEXT),  # without who cancelled it
        ("exit_code", TEXT),
        ("reason", TEXT),
        ("reservation", TEXT),
        ("node_list", TEXT),
        ("comment", TEXT),
        ("wckey", TEXT),
        ("gpu_model", TEXT),  # of AllocTRES, where it is typed
        ("gpu_count", COUNT),
        ("requested_gpu_count", COUNT),
        ("node_count", COUNT),
        ("cpu_count", COUNT),
        ("restart_count", COUNT),
        ("elapsed_seconds", COUNT),
        ("suspended_seconds", COUNT),
        ("time_limit_minutes", COUNT),
        ("energy_joules", NUMBER),
        ("submitted_at", INSTANT),
        ("eligible_at", INSTANT),
        ("started_at", INSTANT),
        ("ended_at", INSTANT),
        ("reported_at", INSTANT),
    ),
    partition="usage_date",
    ranges={
        **dict.fromkeys(
            ("gpu_count", "requested_gpu_count", "node_count", "cpu_count", "restart_count", "elapsed_seconds"),
            ranges.COUNT,
        ),
        **dict.fromkeys(("suspended_seconds", "time_limit_minutes"), ranges.COUNT),
        "energy_joules": ranges.JOULES,
    },
)

JOB_REPORTS: Final = LandingTable(
    name="job_reports",
    columns=(
        ("scheduler", TEXT),  # skypilot | ray
        ("record", TEXT),  # job | cluster: what SkyPilot launched, whatever ran on it
        ("cluster", TEXT),  # which controller or Ray cluster tells it
        ("job_id", TEXT),
        ("job_name", TEXT),
        ("account", TEXT),  # SkyPilot: workspace; Ray: metadata `team`
        ("user_name", TEXT),
        ("queue", TEXT),
        ("state", TEXT),
        ("reason", TEXT),
        ("cloud", TEXT),
        ("region", TEXT),
        ("zone", TEXT),
        ("resources", TEXT),
        ("gpu_model", TEXT),
        ("gpu_count", NUMBER),  # of all nodes; null where the report says nothing of them
        ("node_count", COUNT),
        ("recovery_count", COUNT),
        ("run_seconds", NUMBER),  # at work, without what was lost to recoveries
        ("catalogue_cost_usd", MONEY),  # at the catalogue's price: an estimate, never a charge
        ("labels", TEXT),
        ("submitted_at", INSTANT),
        ("started_at", INSTANT),
        ("ended_at", INSTANT),
        ("reported_at", INSTANT),
    ),
    partition="usage_date",
    ranges={
        "gpu_count": ranges.UNITS,
        **dict.fromkeys(("node_count", "recovery_count"), ranges.COUNT),
        "run_seconds": ranges.SECONDS,
        "catalogue_cost_usd": ranges.AMOUNT,
    },
)
