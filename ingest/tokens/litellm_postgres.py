"""Ask the Postgres of a LiteLLM proxy for the SpendLogs rows of an hour, by their start.

A row is written when its request ends, and costs of batch jobs are finalised later: hours are asked again for two days.
First an hour's count and sums are asked, and its rows only when these differ from before. Prompts, responses and
addresses of callers are never selected; of `metadata` only the keys that are read.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import unquote, urlsplit

import msgspec
import psycopg
from psycopg import sql

from ingest.http_client import ServerError, read_secret
from ingest.retrying import ATTEMPTS, PassingError, repeat
from ingest.server_options import check_server_names
from ingest.source import OptionProblem, Window
from ingest.tokens.litellm_records import Metadata

_USUAL_TABLE: Final = "LiteLLM_SpendLogs"
_REQUIRED: Final = ("request_id", "startTime", "model")
_READ: Final = (
    *_REQUIRED,
    *"endTime completionStartTime call_type api_key spend total_tokens prompt_tokens completion_tokens".split(),
    *"model_id model_group custom_llm_provider api_base user team_id organization_id end_user agent_id".split(),
    *"cache_hit request_tags session_id litellm_call_id status mcp_namespaced_tool_name".split(),
)
_SUMMED: Final = ("spend", "prompt_tokens", "completion_tokens")
_LATEST: Final = ("updated_at", "endTime")
_ROWS_AT_ONCE: Final = 5_000
_TIMEOUT_SECONDS: Final = 150
_CONNECT_SECONDS: Final = 10
_OWN_OPTIONS: Final = ("schema", "table")
_METADATA_KEYS: Final = [field.encode_name for field in msgspec.structs.fields(Metadata)]
# Of what may be tried again: the connection broke, the server is starting, stopping, full, or ended a deadlock.
_PASSING_STATES: Final = ("08", "57P01", "57P02", "57P03", "53", "40")
# A refused connection has no state, only words.
_LASTING: Final = re.compile(
    r"authentication failed|no pg_hba\.conf entry|does not exist|certificate|no password supplied|not permitted|SSL",
    re.IGNORECASE,
)
_T = TypeVar("_T")


class LitellmPostgresKind:
    """The table LiteLLM_SpendLogs, an hour of `startTime` at a time."""

    schemes: ClassVar[tuple[str, ...]] = ("postgresql",)
    window: ClassVar[timedelta] = timedelta(hours=1)
    re_read: ClassVar[timedelta] = timedelta(hours=48)
    is_append_only: ClassVar[bool] = True

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """`schema`, `table`."""
        yield from check_server_names(options, _OWN_OPTIONS)
        for name in _OWN_OPTIONS:
            value = options.get(name, "a")
            if not isinstance(value, str) or not value.strip() or not value.isprintable():
                yield OptionProblem(name, repr(value), f"the name of a {name}")

    def connect(self, location: str, options: Mapping[str, Any], base_dir: Path) -> "LitellmPostgres":
        return LitellmPostgres(location, options, base_dir)


class LitellmPostgres:
    """One database. Each question is a read-only session of its own."""

    def __init__(self, location: str, options: Mapping[str, Any], base_dir: Path) -> None:
        self._location = location
        self._options = options
        self._base_dir = base_dir
        name = options.get("table", _USUAL_TABLE)
        self._table = sql.Identifier(*([options["schema"]] if "schema" in options else []), name)
        self._columns: dict[str, str] = {}

    def check(self) -> str:
        """The server's version, when the table is there with what is needed. Raises `ServerError`."""
        return self._ask(lambda session: f"PostgreSQL {session.info.parameter_status('server_version')}")

    def read_clock(self) -> datetime:
        def read(session: psycopg.Connection) -> datetime:
            row = session.execute("select now()").fetchone()
            assert row is not None
            return row[0].astimezone(UTC)

        return self._ask(read)

    def peek(self, window: Window) -> str | None:
        """Count, sums and latest change of the hour's rows."""

        def read(session: psycopg.Connection) -> str:
            parts: list[sql.Composable] = [sql.SQL("count(*)")]
            there = [sql.Identifier(name) for name in _SUMMED if name in self._columns]
            parts += [sql.SQL("sum({}::numeric)").format(name) for name in there]
            there = [sql.Identifier(name) for name in _LATEST if name in self._columns]
            parts += [sql.SQL("max({})").format(name) for name in there]
            query = sql.SQL("select concat_ws('|', {}) from {} where {}").format(
                sql.SQL(", ").join(parts), self._table, self._within(window)
            )
            row = session.execute(query).fetchone()
            assert row is not None
            return str(row[0])

        return self._ask(read)

    def pull(self, window: Window, target: Path) -> None:
        """One JSON object a line, as LiteLLM itself would log it."""

        def read(session: psycopg.Connection) -> None:
            query = sql.SQL("select json_build_object({})::text from {} where {} order by {}, request_id").format(
                sql.SQL(", ").join(self._list_fields()), self._table, self._within(window), sql.Identifier("startTime")
            )
            # Without a named cursor all rows of the hour would stand in memory.
            with target.open("wb") as file, session.cursor(name="wattledger") as cursor:
                cursor.itersize = _ROWS_AT_ONCE
                for (line,) in cursor.execute(query):
                    file.write(line.replace("\n", " ").encode() + b"\n")

        self._ask(read)

    def close(self) -> None:
        """Nothing stays open between questions."""

    def _list_fields(self) -> Iterator[sql.Composable]:
        for name in (name for name in _READ if name in self._columns):
            yield sql.SQL("{}, {}").format(sql.Literal(name), sql.Identifier(name))
        if self._columns.get("metadata") == "jsonb":
            yield sql.SQL(
                "'metadata', case when jsonb_typeof(metadata) = 'object' then (select jsonb_object_agg(key, value) "
                "from jsonb_each(metadata) where key = any({})) else metadata end"
            ).format(sql.Literal(_METADATA_KEYS))
        elif "metadata" in self._columns:
            yield sql.SQL("'metadata', metadata")

    def _within(self, window: Window) -> sql.Composable:
        start, end = (instant.astimezone(UTC).replace(tzinfo=None) for instant in (window.start, window.end))
        column = sql.Identifier("startTime")
        return sql.SQL("{} >= {} and {} < {}").format(column, sql.Literal(start), column, sql.Literal(end))

    def _ask(self, question: Callable[[psycopg.Connection], _T]) -> _T:
        def try_once() -> _T:
            with self._explain_errors(), self._open_session() as session:
                if not self._columns:
                    self._columns = self._find_columns(session)
                return question(session)

        try:
            return repeat(try_once)
        except PassingError as error:
            raise ServerError(
                f"{self._location}: {error}; asked {ATTEMPTS} times. Check that it is up and reachable from here; "
                "the next run goes on where this one stopped."
            ) from error

    @contextmanager
    def _open_session(self) -> Iterator[psycopg.Connection]:
        parts = urlsplit(self._location)
        timeout_ms = int(float(self._options.get("timeout_seconds", _TIMEOUT_SECONDS)) * 1000)
        settings: dict[str, Any] = {
            "host": parts.hostname,
            "port": parts.port,
            "dbname": unquote(parts.path.strip("/")) or None,
            "user": self._options.get("user"),
            # Without one, libpq looks where it always does: PGPASSWORD, ~/.pgpass.
            "password": read_secret(self._options, self._base_dir),
            "connect_timeout": _CONNECT_SECONDS,
            "application_name": "wattledger",
            "options": f"-c statement_timeout={timeout_ms} -c TimeZone=UTC -c default_transaction_read_only=on",
        }
        if "ca_file" in self._options:
            ca_file = self._base_dir / Path(self._options["ca_file"]).expanduser()
            settings |= {"sslmode": "verify-full", "sslrootcert": str(ca_file)}
        given = {name: value for name, value in settings.items() if value is not None}
        with psycopg.connect(**given) as session:
            yield session

    def _find_columns(self, session: psycopg.Connection) -> dict[str, str]:
        """Types by column. LiteLLM adds columns from version to version: only few are needed."""
        query = "select attname, format_type(atttypid, null) from pg_attribute where attrelid = to_regclass(%s)"
        rows = session.execute(f"{query} and attnum > 0 and not attisdropped", [self._table.as_string(session)])
        columns: dict[str, str] = dict(rows.fetchall())
        missing = [name for name in _REQUIRED if name not in columns]
        if missing:
            found = f"no column {', '.join(missing)}" if columns else "no such table"
            raise ServerError(
                f"{self._location}: {found} in {self._table.as_string(session)}. Correct the database in `location`, "
                "or options.schema and options.table of the source; the user must see the table."
            )
        return columns

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            told = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            if isinstance(error, psycopg.OperationalError) and _is_passing(error):
                raise PassingError(told) from error
            raise ServerError(
                f"{self._location}: {told}. Correct `location`, user and password of the source, or allow the user to "
                "select from the table."
            ) from error


def _is_passing(error: psycopg.OperationalError) -> bool:
    if error.sqlstate:
        return error.sqlstate.startswith(_PASSING_STATES)
    return not _LASTING.search(str(error))
