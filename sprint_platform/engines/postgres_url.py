"""Where PostgreSQL is, and its credentials: ``SPRINT_POSTGRES_URL``, of the project's settings.

The password is in the URL. So nothing here shows a URL, or a message of the driver about one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sprint_platform.core.errors import SprintError, driver_line
from sprint_platform.core.project import how_to_install
from sprint_platform.core.settings import settings, variable

# psycopg is an optional dependency
if TYPE_CHECKING:
    from psycopg import Connection, Error

VARIABLE = variable("postgres_url")
FORM = "postgresql://user:password@host:5432/database"
# A server that does not answer must not hang a load, nor must somebody who holds a table.
CONNECT_SECONDS = 10
LOCK_SECONDS = 60
POOLER_SECONDS = 3
# What the server says where it has no connection left for anybody, or for this user.
ALL_TAKEN = ("too many", "remaining connection slots")
# SQLSTATE, or its class, which are the same in every language of the server -> what to do
ADVICE = {
    "08": "see that the server runs, and load again",
    "22": "the partition holds what the table cannot: make it again",
    "23": "the partition holds what the table cannot: make it again",
    "25006": "this server may only be read: connect to the one that may be written",
    "42501": "let the owner grant user {user} that right",
    "53100": "make room on the server's disk, and load again",
    "53200": "raise max_locks_per_transaction or the memory of the server, and load again",
    "53": "the server ran out of what it says: give it more, and load again",
    "55P03": "somebody holds the table (see pg_stat_activity): load again when it is free",
    "57": "somebody or something ended it: see the server's log, and load again",
}
# libpq gives no SQLSTATE where there is no connection: a part of its message -> what to do
NO_CONNECTION = {
    "password": f"see user and password in {VARIABLE}",
    "authentication": f"see user and password in {VARIABLE}",
    "pg_hba.conf": "let the server's pg_hba.conf admit this user from here",
    "does not exist": f"create it, or see {VARIABLE}",
    "permission denied for database": "let the owner grant user {user} the right to connect",
    "too many": "load again when the server has a connection free",
    "resolve host": f"see the host in {VARIABLE}",
    "SSL": f"see sslmode in {VARIABLE}",
}


class PostgresError(SprintError):
    """PostgreSQL could not be reached, let nobody in, or refused something. The message is one
    line that says what, where and what to do, and never the password."""


def read_url() -> str:
    """The URL. Raises PostgresError where there is none, or one that is not PostgreSQL's."""
    url = settings().postgres_url
    if url is None:
        raise PostgresError(
            f"{VARIABLE} is not set: export, or write into .env in the project's root, {FORM}"
        )
    return read_place(url.get_secret_value().strip()).url


class NoConnectionFree(PostgresError):
    """The server, or the user, has as many connections as it may."""


@dataclass(frozen=True)
class Place:
    """A database, and who asks for it. ``described`` is for people."""

    host: str
    port: str
    database: str
    user: str
    url: str = field(repr=False)
    parameters: Mapping[str, Any] = field(repr=False)

    @property
    def described(self) -> str:
        return f"{self.host}:{self.port}/{self.database}"

    def connect(self, domain: str) -> Connection:
        """A new connection for loading the domain, in which every statement outside of a
        transaction stands alone. Raises PostgresError, also for a database that does not hold every
        text, and for a pooler that gives every transaction another session of the server."""
        connection = self._connection(domain)
        try:
            with self.in_one_line("the connection was no good"):
                self._refuse_other_encoding(connection)
                # before anything is set: it would stay in the pool, for others
                self._refuse_pooled_transactions(connection, domain)
                # times in partition files are UTC, and are sent as they are
                connection.execute("set timezone to 'UTC'")
                connection.execute(f"set lock_timeout to '{LOCK_SECONDS}s'")
        except BaseException:
            connection.close()
            raise
        return connection

    def _connection(self, domain: str) -> Connection:
        import psycopg

        try:
            return psycopg.connect(
                **{
                    "connect_timeout": CONNECT_SECONDS,
                    "application_name": f"sprint_platform {domain}",
                    **self.parameters,
                    "client_encoding": "utf8",
                },
                autocommit=True,
                # a pooler between here and the server may not know prepared statements
                prepare_threshold=None,
            )
        except (psycopg.Error, ValueError) as error:
            line = self._refusal(error)
            # not chained: what the driver says of a connection is not ours to trust
            if any(part in str(error) for part in ALL_TAKEN):
                raise NoConnectionFree(line) from None
            raise PostgresError(line) from None

    def _refuse_other_encoding(self, connection: Connection) -> None:
        found = connection.execute("show server_encoding").fetchone()
        if found != ("UTF8",):
            raise PostgresError(
                f"{self.described} has the encoding {found and found[0]}: the store needs UTF8"
                " (create database ... encoding 'UTF8' template template0)"
            )

    def _refuse_pooled_transactions(self, connection: Connection, domain: str) -> None:
        """Raises PostgresError where a pooler gives the server's session to another client between
        two transactions: the lock, settings and temporary tables of a load would stay with it."""
        mine = _server_process(connection)
        if mine == connection.info.backend_pid:
            return  # the server itself
        try:
            other = self._connection(domain)
        except NoConnectionFree:
            return
        # a pooler that gives each client a session may have no other: the question then waits
        asked = threading.Timer(POOLER_SECONDS, other.cancel_safe)
        asked.start()
        try:
            theirs = _server_process(other)
        except Exception:  # noqa: BLE001 whatever ended it: nobody else has our session
            theirs = None
        finally:
            asked.cancel()
            other.close()
        if theirs == mine or _server_process(connection) != mine:
            raise PostgresError(
                f"{self.described} is a pooler in transaction mode, in which a load's lock and"
                " settings would stay with others: connect to the server itself, or to a pooler in"
                f" session mode (host and port in {VARIABLE})"
            )

    @contextmanager
    def in_one_line(self, what: str) -> Iterator[None]:
        """Raises PostgresError for the driver's errors; ``what`` says what did not happen."""
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            raise PostgresError(f"{what}: {self._message(error)}") from None

    def _message(self, error: Error) -> str:
        state = error.sqlstate or "08"
        advice = ADVICE.get(state) or ADVICE.get(state[:2]) or "see the server's log"
        # a COPY says here which line and column it was
        parts = (error.diag.message_primary or str(error), (error.diag.context or "")[:200])
        reason = "; ".join(part for part in parts if part)
        return f"{driver_line(reason)} ({self.described}, user {self.user}): {self._for(advice)}"

    def _refusal(self, error: Exception) -> str:
        # where a name has several addresses, what follows repeats it for each of them
        reason = driver_line(str(error).split("Multiple connection attempts")[0])
        advice = f"see that a server runs there, and host and port in {VARIABLE}"
        for part, better in NO_CONNECTION.items():
            if part in reason:
                advice = self._for(better)
                break
        return f"no connection to {self.described} as user {self.user}: {reason}: {advice}"

    def _for(self, advice: str) -> str:
        return advice.replace("{user}", self.user)


def _server_process(connection: Connection) -> int | None:
    found = connection.execute("select pg_backend_pid()").fetchone()
    return found[0] if found else None


def read_place(url: str) -> Place:
    """The parts of the URL; those that it lacks are libpq's variables and defaults. Raises
    PostgresError, also where psycopg is not installed."""
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
        from psycopg.pq import Conninfo
    except ImportError:
        raise PostgresError(f"psycopg is not installed: {how_to_install('postgres')}") from None
    wrong = PostgresError(
        f"{VARIABLE} is not a URL of PostgreSQL: it looks like {FORM}, where @ : / ? # % in a"
        " password are written as %40 %3A %2F %3F %23 %25"
    )
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("?")[0].partition("/")
    # libpq would take a piece of a password for a host or a database, and name it in its messages
    if scheme not in ("postgresql", "postgres") or authority.count("@") > 1 or "@" in path:
        raise wrong
    try:
        stated = conninfo_to_dict(url)
    except ProgrammingError:
        raise wrong from None
    known = {
        option.keyword.decode(): option.val.decode()
        for option in Conninfo.get_defaults()
        if option.val
    } | {name: str(value) for name, value in stated.items() if value}
    if not all(port.isdecimal() for port in known["port"].split(",") if port):
        raise wrong
    return Place(
        host=known.get("host") or known.get("hostaddr") or "the local socket",
        port=known["port"],
        user=known["user"],
        database=known.get("dbname") or known["user"],
        url=url,
        parameters=stated,
    )
