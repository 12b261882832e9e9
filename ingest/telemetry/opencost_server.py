"""Ask OpenCost or Kubecost for the allocations of a day, step by step, unshared and at the finest grain.

Days are restated for some time: OpenCost fills up, Kubecost reconciles with the cloud's bill one to three days later.
A day that is not over is asked up to the last full hour.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

from ingest.http_client import Answer, AnswerTooLongError, HttpClient, ServerError
from ingest.pulled_lines import save_line
from ingest.server_options import check_server_names
from ingest.source import OptionProblem, Window
from ingest.wording import list_names

_MOST_ANSWER_BYTES: Final = 48 << 20
_HOUR: Final = timedelta(hours=1)
_STEPS: Final = {"1h": _HOUR, "1d": timedelta(days=1)}
_USUAL_STEP: Final = "1h"
# Nothing shared and nothing added up: who pays for what nobody held is decided in the warehouse.
_PRODUCTS: Final = {
    "opencost": (
        "/allocation",
        (("includeIdle", "true"), ("idleByNode", "true"), ("shareIdle", "false"), ("accumulate", "false")),
    ),
    "kubecost": (
        "/model/allocation",
        (
            ("idle", "true"),
            ("idleByNode", "true"),
            ("shareIdle", "false"),
            ("splitIdle", "true"),
            ("accumulate", "false"),
            ("reconcile", "true"),
            ("external", "false"),
            ("shareTenancyCosts", "false"),
            ("includeSharedCostBreakdown", "false"),
        ),
    ),
}
_USUAL_PRODUCT: Final = "opencost"
_DURATION: Final = re.compile(r"[1-9]\d{0,3}[smh]")
_OWN_OPTIONS: Final = ("product", "step", "resolution", "filter")


class OpencostServerKind:
    """OpenCost's `/allocation` and Kubecost's `/model/allocation`, a day at a time."""

    schemes: ClassVar[tuple[str, ...]] = ("http", "https")
    window: ClassVar[timedelta] = timedelta(days=1)
    re_read: ClassVar[timedelta] = timedelta(days=3)
    is_append_only: ClassVar[bool] = False

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """`product`, `step`, `resolution`, `filter`."""
        yield from check_server_names(options, _OWN_OPTIONS)
        for name, allowed in (("product", _PRODUCTS), ("step", _STEPS)):
            value = options.get(name)
            if name in options and value not in allowed:
                yield OptionProblem(name, repr(value), list_names(str(value), allowed))
        resolution = options.get("resolution", "1m")
        if not isinstance(resolution, str) or not _DURATION.fullmatch(resolution):
            yield OptionProblem("resolution", repr(resolution), "a duration such as 1m or 30s")
        text = options.get("filter", "a")
        if not isinstance(text, str) or not text.isprintable() or not text.strip():
            yield OptionProblem("filter", repr(text), "a filter as the product's API takes it")

    def connect(self, location: str, options: Mapping[str, Any], base_dir: Path) -> "OpencostServer":
        return OpencostServer(HttpClient(location, options, base_dir), options)


class OpencostServer:
    """One OpenCost or Kubecost."""

    def __init__(self, client: HttpClient, options: Mapping[str, Any]) -> None:
        self._client = client
        self._product: str = options.get("product", _USUAL_PRODUCT)
        self._path, self._parameters = _PRODUCTS[self._product]
        for name in ("resolution", "filter"):
            if name in options:
                self._parameters += ((name, options[name]),)
        self._step = _STEPS[options.get("step", _USUAL_STEP)]

    def check(self) -> str:
        """The product, when it answers as one. Raises `ServerError`."""
        self._ask_a_minute()
        return f"the allocation API of {self._product}"

    def read_clock(self) -> datetime:
        return self._ask_a_minute().answered_at

    def peek(self, window: Window) -> None:
        """Nothing is cheaper to ask than all of it."""

    def pull(self, window: Window, target: Path) -> None:
        """One line for each step, so that one step is in memory at a time."""
        # An hour that is not over has no price yet.
        end = window.start + (window.end - window.start) // _HOUR * _HOUR
        start = window.start
        with target.open("wb") as file:
            while start < end:
                step_end = min(start + self._step, end)
                asked = f"{_show(start)},{_show(step_end)}"
                step = f"{(step_end - start) // timedelta(minutes=1)}m"
                parameters = [("window", asked), ("step", step), *self._parameters]
                try:
                    save_line(self._client, self._path, parameters, asked, file, _MOST_ANSWER_BYTES)
                except AnswerTooLongError as error:
                    raise ServerError(
                        f"{error} for {asked}: set options.step to 1h, or split the cluster by options.filter"
                    ) from error
                start = step_end

    def close(self) -> None:
        self._client.close()

    def _ask_a_minute(self) -> Answer:
        end = datetime.now(UTC).replace(second=0, microsecond=0)
        asked = f"{_show(end - timedelta(minutes=1))},{_show(end)}"
        answer = self._client.ask(self._path, [("window", asked), ("aggregate", "cluster")])
        try:
            told = json.loads(answer.body)
        except ValueError:
            told = None
        if not isinstance(told, dict) or "data" not in told:
            raise ServerError(
                f"{self._client.location}: not the allocation API of {self._product}. Correct `location`: the address "
                f"before {self._path}; or options.product."
            )
        return answer


def _show(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
