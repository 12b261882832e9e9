"""Ask BigQuery for Google Cloud's billing export, an invoice month at a time.

The table is appended to by load day, and rows of an invoice month arrive from its first day until weeks after its end.
What there is of each month, and in which partitions, is told by three columns; a month's rows are then read from those
partitions alone. Retries are the client's own. Credentials are Google's own affair: the environment, a service account,
the machine's.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import google.auth.exceptions
import requests.exceptions
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from ingest.http_client import ServerError
from ingest.server_options import read_span
from ingest.source import ServedBill

_EMULATOR: Final = "BIGQUERY_EMULATOR_HOST"
_RETRY: Final = bigquery.DEFAULT_RETRY.with_timeout(120)
_TIMEOUT_SECONDS: Final = 600
_ROWS_A_PAGE: Final = 5_000
_EARLY: Final = timedelta(days=2)  # a month begins in Pacific time, and its first rows load when they are ready
_LOADED_AT: Final = "_PARTITIONTIME"  # where the table is partitioned by load time; null of rows just streamed in
_REQUIRED: Final = ("billing_account_id", "invoice", "cost", "credits", "export_time")
_SHOWN_CHARACTERS: Final = 300


@dataclass(frozen=True)
class _Span:
    """The partitions that a bill's rows are in, as far as they are in one."""

    first: datetime | None
    last: datetime | None


class GcpBigquery:
    """One table of the export."""

    def __init__(self, location: str, options: Mapping[str, Any]) -> None:
        self._location = location
        self._options = options
        self._table = _read_table_name(location)
        self._spans: dict[str, _Span] = {}
        self._partition = ""
        with self._explain_errors():
            self._client = _open_client(self._table.project, options)

    def check(self) -> str:
        """What table it is, when it is a billing export. Raises `ServerError`."""
        return f"BigQuery table of {self._find_table().num_rows or 0:,} rows"

    def list_bills(self) -> Sequence[ServedBill]:
        """Every invoice month from the one of `since` on, with its partitions remembered."""
        start, end = read_span(self._options, datetime.now(UTC))
        months = (f"{start:%Y%m}", f"{end - timedelta(days=1):%Y%m}" if "until" in self._options else "999912")
        partition = self._read_partition()
        rows = self._query(
            f"""select invoice.month as bill, count(*) as row_count, max(export_time) as changed_at,
            min({partition}) as first_at, max({partition}) as last_at
            from `{self._table}`
            where invoice.month between @first_month and @last_month
            and ({partition} >= @earliest or {partition} is null)
            group by bill order by bill""",
            bigquery.ScalarQueryParameter("first_month", "STRING", months[0]),
            bigquery.ScalarQueryParameter("last_month", "STRING", months[1]),
            bigquery.ScalarQueryParameter("earliest", "TIMESTAMP", start.replace(day=1) - _EARLY),
        )
        bills: list[ServedBill] = []
        for row in rows:
            self._spans[row["bill"]] = _Span(row["first_at"], row["last_at"])
            bills.append(ServedBill(row["bill"], row["row_count"], row["changed_at"].astimezone(UTC)))
        return bills

    def pull(self, bill: ServedBill, target: Path) -> None:
        """One JSON object a row, every column of the table in it."""
        partition, span = self._read_partition(), self._spans[bill.name]
        rows = self._query(
            f"""select to_json_string(charge) as line from `{self._table}` as charge
            where charge.invoice.month = @month
            and ({partition} between @first_at and @last_at or {partition} is null)""",
            bigquery.ScalarQueryParameter("month", "STRING", bill.name),
            bigquery.ScalarQueryParameter("first_at", "TIMESTAMP", span.first),
            bigquery.ScalarQueryParameter("last_at", "TIMESTAMP", span.last),
        )
        with target.open("wb") as file:
            for row in rows:
                file.write(row["line"].encode() + b"\n")

    def close(self) -> None:
        self._client.close()

    def _find_table(self) -> bigquery.Table:
        with self._explain_errors():
            table = self._client.get_table(self._table, retry=_RETRY)
        missing = sorted(set(_REQUIRED) - {field.name for field in table.schema})
        if missing:
            raise ServerError(
                f"{self._location}: no column {', '.join(missing)} in it. Name the table of the billing export: "
                "gcp_billing_export_v1_… or gcp_billing_export_resource_v1_…"
            )
        return table

    def _read_partition(self) -> str:
        """The column whose bounds keep a question from reading the whole table."""
        if not self._partition:
            partitioning = self._find_table().time_partitioning
            by_load_time = partitioning is not None and partitioning.field is None
            self._partition = _LOADED_AT if by_load_time else "export_time"
        return self._partition

    def _query(self, sql: str, *parameters: bigquery.ScalarQueryParameter) -> Iterator[bigquery.Row]:
        """The rows of an answer, all of them. Raises `ServerError`."""
        config = bigquery.QueryJobConfig(query_parameters=list(parameters))
        seconds = float(self._options.get("timeout_seconds", _TIMEOUT_SECONDS))
        read = 0
        with self._explain_errors():
            answer = self._client.query_and_wait(
                sql,
                job_config=config,
                project=self._options.get("query_project"),
                api_timeout=seconds,
                wait_timeout=seconds,
                retry=_RETRY,
                job_retry=_RETRY,  # the usual one goes on for forty minutes
                page_size=_ROWS_A_PAGE,
            )
            for row in answer:
                read += 1
                if read > (answer.total_rows or 0):
                    break
                yield row
        if read != (answer.total_rows or 0):
            raise ServerError(
                f"{self._location}: {answer.total_rows:,} rows were announced, and other ones came: run again."
            )

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        """Say what failed and what to do; never the credentials."""
        try:
            yield
        except exceptions.RetryError as error:
            raise ServerError(f"{self._location}: {_tell(error.cause or error)}. {_LATER}") from error
        except exceptions.GoogleAPICallError as error:
            mend = next((mend for kind, mend in _WHAT_TO_DO if isinstance(error, kind)), _LATER)
            raise ServerError(f"{self._location}: {_tell(error)}. {mend}") from error
        except google.auth.exceptions.GoogleAuthError as error:
            raise ServerError(f"{self._location}: {_tell(error)}. {_RENEW}") from error
        except (requests.exceptions.RequestException, ConnectionError, TimeoutError) as error:
            raise ServerError(f"{self._location}: {_tell(error)}. {_LATER}") from error


_LATER: Final = "Check that it is reachable from here; the next run goes on where this one stopped."
_RENEW: Final = (
    "Set GOOGLE_APPLICATION_CREDENTIALS to a service account's file, run `gcloud auth application-default login`, or "
    "renew what is there."
)
_WHAT_TO_DO: Final[tuple[tuple[type[Exception], str], ...]] = (
    (exceptions.Unauthorized, _RENEW),
    (
        exceptions.Forbidden,
        "Grant the credentials in use roles/bigquery.dataViewer on the dataset and roles/bigquery.jobUser on the "
        "project that asks (options.query_project).",
    ),
    (exceptions.NotFound, "Correct `location` of the source: bigquery://project/dataset/table."),
    (exceptions.BadRequest, "Name the table of the billing export, not a view of other columns."),
)


def _tell(error: object) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:_SHOWN_CHARACTERS]}"


def _read_table_name(location: str) -> bigquery.TableReference:
    parts = urlsplit(location)
    names = [parts.netloc, *parts.path.strip("/").split("/")]
    if len(names) != 3 or not all(names) or "`" in location:
        raise ServerError(f"{location}: expected bigquery://project/dataset/table")
    return bigquery.DatasetReference(names[0], names[1]).table(names[2])


def _open_client(project: str, options: Mapping[str, Any]) -> bigquery.Client:
    endpoint = options.get("endpoint_url")
    return bigquery.Client(
        project=options.get("query_project", project),
        credentials=AnonymousCredentials() if os.environ.get(_EMULATOR) else None,
        client_options=ClientOptions(api_endpoint=endpoint) if endpoint else None,
    )
