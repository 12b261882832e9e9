"""BigQuery's REST API on loopback, as its documents have it: queries are run by DuckDB over rows of the billing export,
answers come in pages, and tokens are given for a service account's signature.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.ingest.scripted_server import Question, Reply, ScriptedServer

TABLE: Final = "bigquery://ml-billing/costs/gcp_billing_export_resource_v1_01A"
REFERENCE: Final = {
    "projectId": "ml-billing",
    "datasetId": "costs",
    "tableId": "gcp_billing_export_resource_v1_01A",
}
_API: Final = "/bigquery/v2/projects/ml-billing"
_TYPES: Final = {"VARCHAR": "STRING", "BIGINT": "INTEGER", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP"}
_ENGINE_TYPES: Final = {"STRING": "varchar", "TIMESTAMP": "timestamptz"}


@dataclass
class FakeBigQuery:
    """`rows` are (row of the export, when it was loaded; None while it is in the streaming buffer)."""

    rows: list[tuple[dict[str, Any], str | None]] = field(default_factory=list)
    rows_a_page: int = 2
    partitioning: dict[str, str] | None = field(default_factory=lambda: {"type": "DAY"})
    repeats_pages: bool = False
    tokens_given: int = 0

    def __post_init__(self) -> None:
        self.server = ScriptedServer(self.answer)
        self._answers: list[tuple[list[dict[str, str]], list[list[str | None]]]] = []

    def add(self, row: dict[str, Any], loaded_on: str | None = "2026-09-02") -> None:
        self.rows.append((row, loaded_on))

    def answer(self, question: Question) -> Reply:
        if question.path == "/token":
            self.tokens_given += 1
            return _reply({"access_token": f"token-{self.tokens_given}", "expires_in": 3600, "token_type": "Bearer"})
        if question.path == f"{_API}/queries":
            asked = json.loads(question.body)
            self._answers.append(self._run(asked["query"], asked.get("queryParameters", [])))
            return self._give_page(len(self._answers) - 1, 0)
        if question.path.startswith(f"{_API}/jobs/"):
            job_id = question.path.rpartition("/")[2]
            done = {"jobType": "QUERY", "query": {"query": "", "destinationTable": REFERENCE}}
            return _reply({"jobReference": _job(job_id), "configuration": done, "status": {"state": "DONE"}})
        if question.path.startswith(f"{_API}/queries/"):
            start = int(question.parameters.get("pageToken", ["0"])[0])
            return self._give_page(int(question.path.rpartition("-")[2]), 0 if self.repeats_pages else start)
        if question.path == f"{_API}/datasets/costs/tables/gcp_billing_export_resource_v1_01A":
            names = ("billing_account_id", "invoice", "cost", "credits", "export_time")
            fields = [{"name": name, "type": "STRING"} for name in names]
            table = {"numRows": str(len(self.rows)), "schema": {"fields": fields}, "tableReference": REFERENCE}
            return _reply(table | ({"timePartitioning": self.partitioning} if self.partitioning else {}))
        return refuse(404, "notFound", f"Not found: {question.path}")

    @property
    def queries(self) -> list[dict[str, Any]]:
        """What was asked since this was last read: each query with its parameters."""
        asked = [json.loads(item.body) for item in self.server.questions if item.path == f"{_API}/queries"]
        self.server.questions.clear()
        return [
            {"sql": item["query"]}
            | {each["name"]: each["parameterValue"].get("value") for each in item.get("queryParameters", ())}
            for item in asked
        ]

    @property
    def pulled_months(self) -> list[str]:
        """The months whose rows were asked since queries were last read."""
        return [query["month"] for query in self.queries if "month" in query]

    def _run(self, query: str, parameters: list[dict[str, Any]]) -> tuple[list[dict[str, str]], list[list[str | None]]]:
        connection = duckdb.connect()
        connection.execute(
            "set TimeZone = 'UTC'; attach ':memory:' as \"ml-billing\"; create schema \"ml-billing\".costs"
        )
        name = '"ml-billing".costs.gcp_billing_export_resource_v1_01A'
        # _PARTITIONTIME is there only where the table is partitioned by load time.
        loaded = ", _PARTITIONTIME timestamptz" if self.partitioning == {"type": "DAY"} else ""
        connection.execute(
            f"create table {name} (invoice struct(month varchar), export_time timestamptz, text varchar{loaded})"
        )
        connection.execute("create macro to_json_string(each) as each.text")
        for row, loaded_on in self.rows:
            values = [row["invoice"], row["export_time"], json.dumps(row), *([loaded_on] if loaded else [])]
            connection.execute(f"insert into {name} values ({', '.join('?' * len(values))})", values)
        query = query.replace("`ml-billing.costs.gcp_billing_export_resource_v1_01A`", name)
        for each in parameters:
            value = each["parameterValue"].get("value")
            text = "null" if value is None else f"'{value}'"
            query = query.replace(f"@{each['name']}", f"{text}::{_ENGINE_TYPES[each['parameterType']['type']]}")
        found = connection.execute(query)
        schema = [{"name": name, "type": _TYPES[str(kind)]} for name, kind, *_ in found.description or ()]
        return schema, [[_spell(value) for value in row] for row in found.fetchall()]

    def _give_page(self, index: int, start: int) -> Reply:
        schema, rows = self._answers[index]
        end = start + self.rows_a_page
        page = {
            "jobReference": _job(f"job-{index}"),
            "jobComplete": True,
            "schema": {"fields": schema},
            "totalRows": str(len(rows)),
            "rows": [{"f": [{"v": value} for value in row]} for row in rows[start:end]],
        }
        return _reply(page | ({"pageToken": str(end)} if end < len(rows) else {}))


def refuse(status: int, reason: str, message: str = "no") -> Reply:
    """An error as BigQuery says it."""
    errors = [{"reason": reason, "message": message, "domain": "global"}]
    return _reply({"error": {"code": status, "message": message, "errors": errors}}, status)


def write_service_account(path: Path, server: ScriptedServer) -> Path:
    """A service account's file, whose tokens the server gives."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "project_id": "ml-billing",
        "private_key_id": "1",
        "private_key": key.decode(),
        "client_email": "finops@ml-billing.iam.gserviceaccount.com",
        "token_uri": f"{server.location}/token",
    }
    path.write_text(json.dumps(account))
    return path


def _job(job_id: str) -> dict[str, str]:
    return {"projectId": "ml-billing", "jobId": job_id, "location": "US"}


def _spell(value: object) -> str | None:
    """Instants are whole microseconds, as the client asks for them."""
    if isinstance(value, datetime):
        since = value.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        return str(round(since.total_seconds() * 1_000_000))
    return None if value is None else str(value)


def _reply(body: dict[str, Any], status: int = 200) -> Reply:
    return Reply(json.dumps(body), status, {"Content-Type": "application/json"})
