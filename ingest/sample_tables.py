"""The landing tables of what Prometheus scrapes: a row is one sample of one series."""

from typing import Final

from ingest.landing_table import INSTANT, NUMBER, TEXT, LandingTable

_SAMPLE = (
    ("sampled_at", INSTANT),
    ("metric", TEXT),  # aliases resolved
    ("value", NUMBER),  # null for NaN and infinities
    ("cluster", TEXT),
    ("namespace", TEXT),
    ("pod", TEXT),
)

VLLM_SAMPLES: Final = LandingTable(
    name="vllm_samples",
    columns=(
        *_SAMPLE,
        ("instance", TEXT),  # the address that was scraped
        ("model_name", TEXT),
        ("engine", TEXT),
        ("finished_reason", TEXT),
    ),
    partition="usage_date",
)

KUBE_STATE_SAMPLES: Final = LandingTable(
    name="kube_state_samples",
    columns=(
        *_SAMPLE,
        ("pod_uid", TEXT),
        ("container", TEXT),
        ("node", TEXT),
        ("resource", TEXT),
        ("unit", TEXT),
        ("phase", TEXT),
        ("reason", TEXT),
        ("owner_kind", TEXT),
        ("owner", TEXT),
        ("labels", TEXT),  # of kube_pod_labels and kube_node_labels, as spelled there: label_<name>
    ),
    partition="usage_date",
)
