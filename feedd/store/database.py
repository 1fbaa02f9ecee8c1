"""One database: an engine, explicit transactions, and the few places where SQLite and PostgreSQL differ.

Connections run in driver autocommit and a transaction is begun in words, because SQLite must take its write lock at
the start (`BEGIN IMMEDIATE`): a transaction that reads first and writes later can fail when it tries to.
"""

import contextlib
import itertools
import re
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    OperationalError,
    PendingRollbackError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from feedd.errors import StoreError
from feedd.store.damage import WHAT_TO_DO, refuse_lone_log

SQLITE_BUSY_MS = 60_000
UTF8 = "utf8"
ROWS_AT_ONCE = 50  # a statement, which may have 32,766 parameters
_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA wal_autocheckpoint=0",  # checkpoints are taken off the commit path, see checkpoint()
    "PRAGMA temp_store=FILE",
    f"PRAGMA busy_timeout={SQLITE_BUSY_MS}",
)
# of new files: an item takes 1 KB or so, and a first load is a sixth quicker with pages of 8 KB; an event changes small entries
# of indexes that are strewn, and every page that it touches is written, so that small pages are a third quicker there
_SQLITE_SIZES = {
    "catalog": ("PRAGMA page_size=8192", "PRAGMA cache_size=-8192"),
    "people": ("PRAGMA page_size=4096", "PRAGMA cache_size=-32768"),
}
_BY_KEY = ("SET LOCAL enable_hashjoin = off", "SET LOCAL enable_mergejoin = off")


class Turns:
    """A lock that is had in the order in which it was asked for.

    Who waits for SQLite's write lock looks now and then whether it is free. Beside a thread that takes it again the moment it lets go,
    it would look in vain for a minute, and give up.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Event] = deque()

    @contextlib.contextmanager
    def taken(self, what: str) -> Iterator[None]:
        """Have the lock. Raises StoreError when it does not come in a minute."""
        self._take(what)
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting.popleft().set()
                else:
                    self._is_taken = False

    def _take(self, what: str) -> None:
        mine = threading.Event()
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return
            self._waiting.append(mine)
        if mine.wait(SQLITE_BUSY_MS / 1000):
            return
        with self._lock:
            if mine.is_set():
                return
            self._waiting.remove(mine)
        raise StoreError(f"the {what} database does not answer")


class Database:
    """`name` is `catalog` or `people`: a file on SQLite, a schema on PostgreSQL."""

    def __init__(self, name: str, engine: Engine) -> None:
        self.name = name
        self.engine = engine
        self.sqlite = engine.dialect.name == "sqlite"
        self._turns = Turns()

    @contextlib.contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection in autocommit.

        Raises:
            StoreError: the database cannot be reached, is damaged or is full.
        """
        try:
            with self.engine.connect() as connection:
                yield connection
        except sqlite3.DatabaseError as error:  # while the connection was prepared
            raise StoreError(f"the {self.name} database: {_explained(str(error))}") from error
        except (IntegrityError, ProgrammingError, DataError):
            raise  # a bug of ours, or the caller's to handle
        except DBAPIError as error:
            raise StoreError(f"the {self.name} database: {_reason(error)}") from error
        except (PendingRollbackError, PoolTimeoutError) as error:
            raise StoreError(f"the {self.name} database does not answer") from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection inside one write transaction; on SQLite, threads of this process have it in the order they came."""
        turn = self._turns.taken(self.name) if self.sqlite else contextlib.nullcontext()
        with turn, self.connect() as connection, transaction(connection):
            yield connection

    @contextlib.contextmanager
    def snapshot(self, *, by_key: bool = False) -> Iterator[Connection]:
        """A connection whose reads all see the same moment; `by_key` has them find rows by their keys (`find_by_key`)."""
        begin = "BEGIN" if self.sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        if by_key and not self.sqlite:  # in one message
            begin = "; ".join([begin, *_BY_KEY, "SET LOCAL enable_seqscan = off"])
        with self.connect() as connection, transaction(connection, begin):
            yield connection

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database file, where there is one; what others use is left for next time."""
        if self.sqlite:
            with contextlib.suppress(StoreError), self.connect() as connection:
                connection.exec_driver_sql("PRAGMA busy_timeout=0")
                try:
                    connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")
                    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
                finally:
                    connection.exec_driver_sql(f"PRAGMA busy_timeout={SQLITE_BUSY_MS}")

    def ping(self) -> None:
        """Read something of the database, or raise StoreError: `SELECT 1` would need no disk."""
        try:
            with self.connect() as connection:
                connection.exec_driver_sql("SELECT version_num FROM alembic_version").all()
        except ProgrammingError as error:
            raise StoreError(f"the {self.name} database has lost its tables") from error

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def open_database(name: str, *, state_dir: Path, url: str | None) -> Database:
    """The database of that name: `state_dir/NAME.db`, or the schema NAME of the PostgreSQL database at `url`.

    Raises:
        StoreError: it is PostgreSQL, and its driver is not installed.
    """
    return Database(
        name, _sqlite(name, state_dir / f"{name}.db") if url is None else _postgres(name, url)
    )


def _sqlite(name: str, path: Path) -> Engine:
    refuse_lone_log(path)
    engine = create_engine(
        f"sqlite:///{path}",
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,  # what people are called is not to be read in a log
        pool_size=16,
        max_overflow=80,  # more than all threads: none that waits for the write lock keeps a reader out
    )
    pragmas = (*_SQLITE_SIZES[name], *_SQLITE_PRAGMAS)

    def prepare(connection: Any, _record: object) -> None:
        for pragma in pragmas:
            connection.execute(pragma).close()

    event.listen(engine, "connect", prepare)
    return engine


def _postgres(name: str, url: str) -> Engine:
    try:
        return create_engine(
            re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url),
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
            pool_pre_ping=True,
            pool_size=8,
            max_overflow=16,
            connect_args={
                # no statement here is worth compiling, least of all one whose cost is guessed wrong
                "options": f"-csearch_path={name} -csynchronous_commit=on -cjit=off",
                "application_name": f"feedd {name}",
                "connect_timeout": 10,
                "keepalives_idle": 30,
                "keepalives_interval": 10,
                "keepalives_count": 3,
                "tcp_user_timeout": 60_000,
            },
        )
    except ImportError as error:
        raise StoreError(
            "PostgreSQL needs its driver, psycopg: install feedd with the extra `postgres`"
        ) from error


@contextlib.contextmanager
def transaction(connection: Connection, begin: str | None = None) -> Iterator[None]:
    """BEGIN to COMMIT on a connection in autocommit; ROLLBACK when anything is raised inside."""
    sqlite = connection.dialect.name == "sqlite"
    connection.exec_driver_sql(begin or ("BEGIN IMMEDIATE" if sqlite else "BEGIN"))
    try:
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        # the connection may be gone, and SQLite ends the transaction by itself when a disk is full
        with contextlib.suppress(SQLAlchemyError):
            connection.exec_driver_sql("ROLLBACK")
        raise


@contextlib.contextmanager
def hasty_transaction(connection: Connection) -> Iterator[None]:
    """A transaction that the disk is not waited for: the next one that is waited for makes it last, or it is lost."""
    if connection.dialect.name != "sqlite":
        with transaction(connection):
            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            yield
        return
    connection.exec_driver_sql("PRAGMA synchronous=NORMAL")
    try:
        with transaction(connection):
            yield
    finally:
        connection.exec_driver_sql("PRAGMA synchronous=FULL")


def bulk_insert(
    connection: Connection,
    table: str,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    types: Sequence[str] | None = None,
) -> None:
    """Insert rows by the quickest way of the driver: COPY on PostgreSQL, `executemany` on SQLite.

    With the PostgreSQL `types` of the columns it is a binary COPY, a tenth quicker on both sides. The type `UTF8` is
    that of a text that is given as bytes.
    """
    if not rows:
        return
    names = ", ".join(columns)
    if connection.dialect.name == "sqlite":
        kinds = types or [""] * len(columns)
        marks = ", ".join("CAST(? AS TEXT)" if kind == UTF8 else "?" for kind in kinds)
        insert_rows(connection, f"INSERT INTO {table} ({names}) VALUES", f"({marks})", rows)
        return
    driver: Any = connection.connection.dbapi_connection
    statement = f"COPY {table} ({names}) FROM STDIN{'' if types is None else ' (FORMAT BINARY)'}"
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            if types is not None:
                # as bytes, a text is on the wire what it would be as a string
                copy.set_types(["bytea" if kind == UTF8 else kind for kind in types])
            for row in rows:
                copy.write_row(row)
    except _driver_errors(connection) as error:  # as any other statement's
        raise OperationalError(statement, None, error) from error


def insert_rows(
    connection: Connection, into: str, marks: str, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert rows on SQLite, each with the parameters of `marks`; most of them in statements of many rows.

    One statement a row costs a third more, and gives other threads the interpreter as often.
    """
    many = len(rows) - len(rows) % ROWS_AT_ONCE
    groups = [
        tuple(itertools.chain.from_iterable(rows[start : start + ROWS_AT_ONCE]))
        for start in range(0, many, ROWS_AT_ONCE)
    ]
    if groups:
        connection.exec_driver_sql(f"{into} {', '.join([marks] * ROWS_AT_ONCE)}", groups)
    if many < len(rows):
        connection.exec_driver_sql(f"{into} {marks}", list(rows[many:]))


def _driver_errors(connection: Connection) -> tuple[type[Exception], ...]:
    """What the driver raises when the database is at fault: it went away, its disk is full, or it only stands by."""
    module: Any = connection.dialect.dbapi
    return module.OperationalError, module.InternalError


def find_by_key(connection: Connection) -> None:
    """Have the statements of the current transaction find the rows that they join by their keys.

    PostgreSQL knows little of a temporary table, and would rather read a million items than look up 15,000.
    """
    if connection.dialect.name != "sqlite":
        for setting in _BY_KEY:
            connection.exec_driver_sql(setting)


def among(connection: Connection, column: str, parameter: str = "values") -> str:
    """A condition: the column is one of the values bound as `among_value(...)` to the parameter."""
    if connection.dialect.name == "sqlite":
        return f"{column} IN (SELECT value FROM json_each(:{parameter}))"  # noqa: S608 our own names
    return f"{column} = ANY(:{parameter})"


def among_value(connection: Connection, values: Sequence[Any]) -> Any:
    """The value to bind for `among`: one parameter for any number of values."""
    if connection.dialect.name == "sqlite":
        return msgspec.json.encode(values).decode()
    return list(values)


def _reason(error: DBAPIError) -> str:
    text = str(error.orig).strip().splitlines()[0] if error.orig else type(error).__name__
    return _explained(text)


def _explained(text: str) -> str:
    """What a driver says, with what to do."""
    if "database or disk is full" in text:
        return f"{text}; make room on the disk, nothing was lost"
    if "malformed" in text or "not a database" in text:
        return f"{text}; {WHAT_TO_DO}"
    return text
