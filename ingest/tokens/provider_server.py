"""Ask OpenAI's or Anthropic's admin API for the usage and the costs of a day, page by page, by day buckets.

An admin key is a credential of its own (`sk-admin-…`, `sk-ant-admin…`), not the key that calls models.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec

from ingest.http_client import Answer, HttpClient, Parameters, ServerError
from ingest.pulled_lines import write_line
from ingest.server_options import check_server_names
from ingest.source import OptionProblem, Window
from ingest.wording import list_names

_DAY: Final = timedelta(days=1)
_MOST_PAGES: Final = 10_000
_MOST_BUCKETS: Final = "1"  # of one day each


@dataclass(frozen=True)
class _Api:
    """How one provider is asked."""

    paths: tuple[str, ...]
    costs_path: str
    start: str
    end: str
    group_by: str
    usage_groups: tuple[str, ...]
    cost_groups: tuple[str, ...]
    token_header: str
    headers: Mapping[str, str]

    def show(self, instant: datetime) -> str:
        is_seconds = self.start == "start_time"
        return str(int(instant.timestamp())) if is_seconds else instant.strftime("%Y-%m-%dT%H:%M:%SZ")

    def list_parameters(self, path: str, window: Window) -> list[tuple[str, str]]:
        groups = self.cost_groups if path == self.costs_path else self.usage_groups
        return [
            (self.start, self.show(window.start)),
            (self.end, self.show(window.end)),
            ("bucket_width", "1d"),
            *((self.group_by, name) for name in groups),
            ("limit", _MOST_BUCKETS),
        ]


_APIS: Final = {
    "openai": _Api(
        paths=("/organization/usage/completions", "/organization/usage/embeddings", "/organization/costs"),
        costs_path="/organization/costs",
        start="start_time",
        end="end_time",
        group_by="group_by",
        usage_groups=("project_id", "api_key_id", "model"),
        cost_groups=("project_id", "line_item"),
        token_header="Authorization",
        headers={},
    ),
    "anthropic": _Api(
        paths=("/organizations/usage_report/messages", "/organizations/cost_report"),
        costs_path="/organizations/cost_report",
        start="starting_at",
        end="ending_at",
        group_by="group_by[]",
        usage_groups=("workspace_id", "api_key_id", "model", "service_tier", "context_window"),
        cost_groups=("workspace_id", "description"),
        token_header="x-api-key",
        headers={"anthropic-version": "2023-06-01"},
    ),
}


class _Paging(msgspec.Struct):
    data: list[msgspec.Raw]
    has_more: bool = False
    next_page: str | None = None


class ProviderServerKind:
    """The admin API of a model provider, a day at a time."""

    schemes: ClassVar[tuple[str, ...]] = ("http", "https")
    window: ClassVar[timedelta] = _DAY
    re_read: ClassVar[timedelta] = timedelta(days=3)
    is_append_only: ClassVar[bool] = False

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """`provider`."""
        yield from check_server_names(options, ("provider",))
        provider = options.get("provider")
        if provider not in _APIS:
            yield OptionProblem("provider", repr(provider), list_names(str(provider), _APIS))

    def connect(self, location: str, options: Mapping[str, Any], base_dir: Path) -> "ProviderServer":
        api = _APIS[options["provider"]]
        client = HttpClient(location, options, base_dir, token_header=api.token_header, headers=api.headers)
        return ProviderServer(client, api)


class ProviderServer:
    """One organisation's reports."""

    def __init__(self, client: HttpClient, api: _Api) -> None:
        self._client = client
        self._api = api

    def check(self) -> str:
        """That the key may read costs. Raises `ServerError`."""
        self._ask_yesterday()
        return "the admin API"

    def read_clock(self) -> datetime:
        return self._ask_yesterday().answered_at

    def peek(self, window: Window) -> None:
        """Nothing is cheaper to ask than all of it."""

    def pull(self, window: Window, target: Path) -> None:
        """One line for each page of each report."""
        day = Window(window.start, window.start + _DAY)  # a day that is not over has a bucket too
        with target.open("wb") as file:
            for path in self._api.paths:
                for body in self._iterate_pages(path, self._api.list_parameters(path, day)):
                    write_line(file, f"{_show(day.start)},{_show(day.end)}", body)

    def close(self) -> None:
        self._client.close()

    def _iterate_pages(self, path: str, parameters: Parameters) -> Iterator[bytes]:
        page: str | None = None
        seen: set[str] = set()
        while True:
            body = self._client.ask(path, [*parameters, *([("page", page)] if page else [])]).body
            paging = self._read_paging(path, body)
            yield body
            if not paging.has_more:
                return
            page = paging.next_page
            if not page or page in seen or len(seen) >= _MOST_PAGES:
                raise ServerError(
                    f"{self._client.location}{path}: there is more, and its next_page is "
                    f"{'not there' if not page else 'one that was asked already'}: the day would never be whole. "
                    "The next run asks again."
                )
            seen.add(page)

    def _read_paging(self, path: str, body: bytes) -> _Paging:
        try:
            return msgspec.json.decode(body, type=_Paging)
        except msgspec.DecodeError as error:
            raise ServerError(
                f"{self._client.location}{path}: no page of a report: {error}. Correct `location`, the address before "
                f"{path}, or options.provider."
            ) from error

    def _ask_yesterday(self) -> Answer:
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        path = self._api.costs_path
        answer = self._client.ask(path, self._api.list_parameters(path, Window(today - _DAY, today)))
        self._read_paging(path, answer.body)
        return answer


def _show(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_asked(asked: str) -> tuple[datetime, datetime]:
    """(start, end) of the day that a saved answer was asked for, naive UTC."""
    start, _, end = asked.partition(",")
    return datetime.fromisoformat(start).replace(tzinfo=None), datetime.fromisoformat(end).replace(tzinfo=None)
