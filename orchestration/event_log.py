"""Dagster's record of runs and assets in a home: its own SQLite files, written over connections that stay open.

Dagster opens a database anew for every event and waits for the disk after each. A run of the warehouse writes some
2,000 events, which takes longer than building a small company. The record is disposable (law 13), so a power cut may
take its last events: nothing else is lost, and the files stay whole.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy
import sqlalchemy.event
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage, _event_logs_directory
from dagster._serdes import ConfigurableClassData


class PooledEventLogStorage(SqliteEventLogStorage):
    """The same databases, one for each run and an index, each with one connection that is kept."""

    def __init__(self, base_dir: str) -> None:
        self._engines: dict[str, sqlalchemy.Engine] = {}
        super().__init__(base_dir)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sqlalchemy.Connection]:
        with self._db_lock:
            engine = self._engines.get(shard) or self._open_engine(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def dispose(self) -> None:
        """Close the connections."""
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()
        super().dispose()

    def _open_engine(self, shard: str) -> sqlalchemy.Engine:
        url = self.conn_string_for_shard(shard)
        if shard not in self._initialized_dbs:
            # Dagster makes a database over several connections at once.
            self._initdb(sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool))
            self._initialized_dbs.add(shard)
        engine = sqlalchemy.create_engine(
            url,
            poolclass=sqlalchemy.pool.QueuePool,
            pool_size=1,
            max_overflow=0,
            # The lock above gives the connection to one thread at a time.
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
        )
        sqlalchemy.event.listen(engine, "connect", _sync_rarely)
        self._engines[shard] = engine
        return engine


class HomeStorage(DagsterSqliteStorage):
    """What dagster.yaml of a home names as its storage."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = PooledEventLogStorage(_event_logs_directory(base_dir))

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "HomeStorage":
        return cls.from_local(inst_data=inst_data, **config_value)


def _sync_rarely(connection: Any, _record: Any) -> None:
    connection.execute("pragma synchronous = normal")
