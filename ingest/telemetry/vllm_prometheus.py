"""Read what vLLM says of its load: requests that run and wait, tokens, seconds in prefill and decode, cache in use.

Source: Prometheus API answers saved as JSON, or the text of vLLM's own `/metrics`; gzip or not; or a Prometheus, asked
(`prometheus_server`). Counters land as they stand, and start again from 0 with the process: only differences of
successive readings tell anything. Of histograms sum and count are kept. Landing table: vllm_samples.
"""

import re
from typing import ClassVar, Final

from ingest.landing_table import LandingTable
from ingest.sample_tables import VLLM_SAMPLES
from ingest.source import RowSink, ServerKind, SourceObject
from ingest.telemetry.labelled_samples import LabelledShape
from ingest.telemetry.prometheus_samples import read_samples
from ingest.telemetry.prometheus_server import AskedMetrics, PrometheusServerKind

_OWN: Final = re.compile(r"vllm:(?!.*_(?:bucket|created|info)$).+")
_COUNTER: Final = re.compile(r"_(total|sum|count)$")
_ALIASES: Final = {  # the names before the cache of other devices was known
    "vllm:gpu_cache_usage_perc": "vllm:kv_cache_usage_perc",
    "vllm:gpu_prefix_cache_queries_total": "vllm:prefix_cache_queries_total",
    "vllm:gpu_prefix_cache_hits_total": "vllm:prefix_cache_hits_total",
}
_SPANS: Final = ("queue", "prefill", "decode", "inference")
_SHAPE: Final = LabelledShape(
    name="vLLM",
    table=VLLM_SAMPLES,
    is_own=lambda metric: bool(_OWN.fullmatch(metric)),
    labels={
        "cluster": ("cluster",),
        "namespace": ("namespace", "exported_namespace"),
        "pod": ("pod", "exported_pod"),
        "instance": ("instance",),
        "model_name": ("model_name",),
        "engine": ("engine",),
        "finished_reason": ("finished_reason",),
    },
    find_missing=lambda row: None if row["model_name"] else "model_name",
    aliases=_ALIASES,
)


class _VllmMetrics(AskedMetrics):
    what: ClassVar[str] = "vLLM metric"
    usual: ClassVar[tuple[str, ...]] = (
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
        "vllm:kv_cache_usage_perc",
        "vllm:prompt_tokens_total",
        "vllm:generation_tokens_total",
        "vllm:request_success_total",
        "vllm:num_preemptions_total",
        "vllm:prefix_cache_queries_total",
        "vllm:prefix_cache_hits_total",
        *(f"vllm:request_{span}_time_seconds_{part}" for span in _SPANS for part in ("sum", "count")),
    )

    def resolve(self, name: str) -> str:
        return _ALIASES.get(name, name)

    def list_spellings(self, name: str) -> list[str]:
        return [name, *(alias for alias, own in _ALIASES.items() if own == name)]

    def is_counter(self, name: str) -> bool:
        return bool(_COUNTER.search(name))


class VllmPrometheus:
    """One row per sample; grain (`metric`, `pod`, `instance`, `model_name`, `engine`, `finished_reason`,
    `sampled_at`)."""

    kind: ClassVar[str] = "vllm_prometheus"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = VLLM_SAMPLES
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(sampled_at as date)"
    server: ClassVar[ServerKind | None] = PrometheusServerKind(_VllmMetrics())

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write one row per sample; see `prometheus_samples.read_samples` for refusals.

        Options: `cluster` for series without that label, `scraped_at` (ISO time) for text without timestamps.
        """
        read_samples(source_object, sink, _SHAPE)
