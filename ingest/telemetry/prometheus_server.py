"""Ask Prometheus, or what speaks its HTTP API, for an hour of the samples that a kind wants.

Each metric that is there is one `query_range`, rolled up to the step: gauges by their mean, so that a short spike is
not sampled away, counters by their last value. Both look back one step and no further: a plain selector would let a
pod's last sample live on for five minutes after its end. Samples come late by remote write: two hours are asked again.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final

from ingest.http_client import Answer, AnswerTooLongError, HttpClient, QuestionRefusedError, ServerError
from ingest.pulled_lines import save_line
from ingest.server_options import check_server_names
from ingest.source import OptionProblem, Window

MOST_POINTS: Final = 11_000
"""Prometheus refuses a question for more points of one series."""

_MOST_ANSWER_BYTES: Final = 32 << 20
_TIMED_OUT: Final = '"errorType":"timeout"'  # the question was too heavy, and would be again
_USUAL_STEP_SECONDS: Final = 60
_USUAL_REPLICA_LABELS: Final = ("prometheus_replica", "replica")
_METRIC: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_MATCHER: Final = r'[a-zA-Z_][a-zA-Z0-9_]*\s*(?:=~|!~|!=|=)\s*"(?:[^"\\\x00-\x1f]|\\.)*"'
_SELECTOR: Final = re.compile(rf"\s*{_MATCHER}\s*(?:,\s*{_MATCHER}\s*)*")
_OWN_OPTIONS: Final = ("cluster", "step_seconds", "metrics", "selector", "replica_labels")
# Thanos and VictoriaMetrics answer with what they have when a store is down, unless told not to.
_WHOLE_ANSWERS: Final = (("partial_response", "false"), ("deny_partial_response", "1"))


class AskedMetrics:
    """Which metrics a kind asks for, and how each is rolled up."""

    what: ClassVar[str]
    """What a name of the option `metrics` is, in words."""

    usual: ClassVar[tuple[str, ...]]
    """Asked for where that option names none."""

    def resolve(self, name: str) -> str:
        """The name that a metric lands under."""
        return name

    def list_spellings(self, name: str) -> list[str]:
        """Every metric that lands under a name, itself first."""
        return [name]

    def is_counter(self, name: str) -> bool:
        """True for what a step's last value tells, not its mean."""
        raise NotImplementedError

    def list_matchers(self, name: str) -> str:
        """Label matchers that all wanted series of the metric have, such as `,resource="x"`."""
        return ""

    def is_flag(self, name: str) -> bool:
        """True where a series of value 0 tells nothing."""
        return False


class PrometheusServerKind:
    """Prometheus, Thanos, Mimir, VictoriaMetrics: an hour of samples at a time."""

    schemes: ClassVar[tuple[str, ...]] = ("http", "https")
    window: ClassVar[timedelta] = timedelta(hours=1)
    re_read: ClassVar[timedelta] = timedelta(hours=2)
    is_append_only: ClassVar[bool] = True

    def __init__(self, metrics: AskedMetrics) -> None:
        self._metrics = metrics

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """`cluster`, `step_seconds`, `metrics`, `selector`, `replica_labels`."""
        yield from check_server_names(options, _OWN_OPTIONS)
        step = options.get("step_seconds", _USUAL_STEP_SECONDS)
        if isinstance(step, bool) or not isinstance(step, int) or not 1 <= step <= 300 or 3600 % step:
            allowed = "whole seconds from 1 to 300 that divide an hour, no fewer than the scrape interval"
            yield OptionProblem("step_seconds", repr(step), allowed)
        for name, pattern, what in (("metrics", _METRIC, self._metrics.what), ("replica_labels", _LABEL, "label")):
            value = options.get(name, [])
            if not isinstance(value, list) or not all(
                isinstance(item, str) and pattern.fullmatch(item) for item in value
            ):
                yield OptionProblem(name, repr(value), f"a list of {what} names")
        selector = options.get("selector", 'a=""')
        if not isinstance(selector, str) or not _SELECTOR.fullmatch(selector):
            yield OptionProblem("selector", repr(selector), 'label matchers, such as cluster="prod",job=~"dcgm.*"')
        if not isinstance(options.get("cluster", ""), str):
            yield OptionProblem("cluster", repr(options["cluster"]), "a text")

    def connect(self, location: str, options: Mapping[str, Any], base_dir: Path) -> "PrometheusServer":
        return PrometheusServer(HttpClient(location, options, base_dir, [_TIMED_OUT]), options, self._metrics)


class PrometheusServer:
    """One Prometheus."""

    def __init__(self, client: HttpClient, options: Mapping[str, Any], metrics: AskedMetrics) -> None:
        self._client = client
        self._metrics = metrics
        self._step_seconds: int = options.get("step_seconds", _USUAL_STEP_SECONDS)
        self._wanted = {metrics.resolve(name) for name in options.get("metrics") or metrics.usual}
        self._matchers = f",{options['selector']}" if options.get("selector") else ""
        self._replica_labels: Sequence[str] = options.get("replica_labels", _USUAL_REPLICA_LABELS)
        self._most_points = MOST_POINTS

    def check(self) -> str:
        """The version where the server tells it. Raises `ServerError`."""
        self._ask_clock()
        try:
            told = json.loads(self._client.ask("/api/v1/status/buildinfo", ()).body)
            return f"Prometheus {told['data']['version']}"
        except (ServerError, ValueError, LookupError, TypeError):  # optional in what speaks the API
            return "a Prometheus API"

    def read_clock(self) -> datetime:
        return self._ask_clock().answered_at

    def peek(self, window: Window) -> None:
        """Nothing is cheaper to ask than all of it."""

    def pull(self, window: Window, target: Path) -> None:
        """One line for each metric and chunk of time."""
        with target.open("wb") as file:
            for name in self._list_names(window):
                self._pull_metric(name, window, file)

    def close(self) -> None:
        self._client.close()

    def _ask_clock(self) -> Answer:
        answer = self._client.ask("/api/v1/query", [("query", "vector(1)")])
        self._read_success(answer)
        return answer

    def _list_names(self, window: Window) -> list[str]:
        """The metrics that are there, under whatever names this exporter's version gives them."""
        names = "|".join(sorted(metric for name in self._wanted for metric in self._metrics.list_spellings(name)))
        asked = [
            ("match[]", f'{{__name__=~"{names}"{self._matchers}}}'),
            ("start", _show(window.start - timedelta(seconds=self._step_seconds))),  # as far as the first point looks
            ("end", _show(window.end)),
            *_WHOLE_ANSWERS,
        ]
        found = self._read_success(self._client.ask("/api/v1/label/__name__/values", asked))
        if found is None:
            return []
        if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
            raise ServerError(f"{self._client.location}: no list of metric names: correct `location`")
        # Some servers that speak the API do not narrow the list.
        return sorted(name for name in set(found) if self._metrics.resolve(name) in self._wanted)

    def _pull_metric(self, name: str, window: Window, file: BinaryIO) -> None:
        """Chunks as long as the server answers; both ends of a question are inclusive."""
        step = timedelta(seconds=self._step_seconds)
        start = window.start
        while start < window.end:
            points = min(self._most_points, -(-(window.end - start) // step))
            asked = [
                ("query", self._write_query(name)),
                ("start", _show(start)),
                ("end", _show(start + (points - 1) * step)),
                ("step", str(self._step_seconds)),
                *_WHOLE_ANSWERS,
            ]
            try:
                save_line(self._client, "/api/v1/query_range", asked, name, file, _MOST_ANSWER_BYTES)
            except (AnswerTooLongError, QuestionRefusedError) as error:
                if (isinstance(error, QuestionRefusedError) and not _is_too_much(error)) or points == 1:
                    raise
                self._most_points = min(self._most_points, points // 2)  # for all that follows: it would be so again
                continue
            start += points * step

    def _write_query(self, name: str) -> str:
        rollup = "last_over_time" if self._metrics.is_counter(name) else "avg_over_time"
        matchers = self._metrics.list_matchers(name) + self._matchers
        series = f'{rollup}({{__name__="{name}"{matchers}}}[{self._step_seconds}s])'
        if self._replica_labels:
            series = f"max without ({', '.join(self._replica_labels)}) ({series})"
        return f"{series} > 0" if self._metrics.is_flag(name) else series

    def _read_success(self, answer: Answer) -> Any:
        """`data` of an answer. Raises `ServerError` for one that is no success."""
        try:
            told = json.loads(answer.body)
        except ValueError:
            told = None
        if not isinstance(told, dict) or told.get("status") != "success":
            raise ServerError(
                f"{self._client.location}: not an answer of the Prometheus API. "
                "Correct `location`: the address before /api/v1."
            )
        return told.get("data")


def _is_too_much(error: QuestionRefusedError) -> bool:
    """The question is good, and too large: fewer points at a time may be answered."""
    told = ("maximum resolution", "exceed", _TIMED_OUT)
    return error.status == 422 or any(words in error.body for words in told)


def _show(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
