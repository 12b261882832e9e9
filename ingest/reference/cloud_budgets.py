"""Ask Google's Cloud Billing Budget API over gRPC for the budgets of a billing account, once a day.

Through google-cloud-billing-budgets. The service tells what stands now and nothing of the past: a day's budgets are
those that stood when the day was first asked for, and a day that has passed unasked has none. Retries are the client's
own; credentials are Google's affair.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from google.cloud.billing import budgets_v1
from google.cloud.billing.budgets_v1.services.budget_service.transports import BudgetServiceGrpcTransport

from ingest.http_client import ServerError
from ingest.reference.google_grpc import RETRY, explain_errors, open_client
from ingest.source import Window

_BUDGETS_A_PAGE: Final = 100  # the most that the service gives
_TIMEOUT_SECONDS: Final = 150
_CORRECT: Final = "Correct the billing account's id."


class CloudBudgets:
    """The budgets of one billing account."""

    def __init__(self, location: str, options: Mapping[str, Any]) -> None:
        self._location = location
        self._seconds = float(options.get("timeout_seconds", _TIMEOUT_SECONDS))
        parts = urlsplit(location)
        self._parent = "/".join([parts.netloc, *parts.path.strip("/").split("/")])
        if parts.netloc != "billingAccounts" or self._parent.count("/") != 1 or self._parent.endswith("/"):
            raise ServerError(f"{location}: expected billingbudgets://billingAccounts/ and the account's id")
        with explain_errors(location, _CORRECT):
            self._client = open_client(
                budgets_v1.BudgetServiceClient, BudgetServiceGrpcTransport, options.get("endpoint_url")
            )

    def check(self) -> str:
        """What answers. Raises `ServerError`."""
        with explain_errors(self._location, _CORRECT):
            request = budgets_v1.ListBudgetsRequest(parent=self._parent, page_size=1)
            answer = self._client.list_budgets(request=request, retry=RETRY, timeout=self._seconds)
            first = next(iter(answer.budgets), None)
        return f"budgets of {self._parent}" + (f", such as {first.display_name or first.name}" if first else ": none")

    def close(self) -> None:
        self._client.transport.close()

    def read_clock(self) -> datetime:
        """Ours: the service tells none."""
        return datetime.now(UTC)

    def peek(self, window: Window) -> str:
        """The day: what was listed on it once is not listed again."""
        return window.start.isoformat()

    def pull(self, window: Window, target: Path) -> None:
        """One JSON object a budget, as the REST API spells it; nothing for a day that has passed."""
        with target.open("wb") as file:
            if window.start.date() < self.read_clock().date():
                return
            for budget in self._list_budgets():
                spelled = budgets_v1.Budget.to_dict(
                    budget,
                    preserving_proto_field_name=False,
                    use_integers_for_enums=False,
                    always_print_fields_with_no_presence=False,
                )
                file.write(json.dumps(spelled).encode() + b"\n")

    def _list_budgets(self) -> Iterator[budgets_v1.Budget]:
        request = budgets_v1.ListBudgetsRequest(parent=self._parent, page_size=_BUDGETS_A_PAGE)
        tokens: set[str] = set()
        with explain_errors(self._location, _CORRECT):
            pager = self._client.list_budgets(request=request, retry=RETRY, timeout=self._seconds)
            for page in pager.pages:
                yield from page.budgets
                if page.next_page_token in tokens:
                    raise ServerError(f"{self._location}: its pages have no end: run again.")
                tokens |= {page.next_page_token} - {""}
