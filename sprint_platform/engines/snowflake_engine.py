"""A schema of Snowflake's as an engine.

A statement that defines something (create, alter, drop) commits the open transaction there. So all
of those come first, on temporary objects where they can, and a load's transaction only deletes and
inserts. What is temporary goes with the session, also when the process is killed.
"""

from __future__ import annotations

import glob
import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sprint_platform.core.errors import driver_line
from sprint_platform.core.project import how_to_install
from sprint_platform.dataset import TYPES, Dataset
from sprint_platform.engines.engine import Engine, LoadError
from sprint_platform.engines.snowflake_credentials import SnowflakeCredentials, SnowflakeError
from sprint_platform.storage.ledger import BUILT_FROM, BUILT_PERIODS, LOADED_BATCHES, Ledger

# The connector is an optional dependency, and takes half a second to import.
if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection
    from snowflake.connector.errors import Error

# After these the connector stops trying again: a wrong account must not hang, a cut line may mend.
LOGIN_SECONDS = 20
NETWORK_SECONDS = 300
SESSION = {
    "QUERY_TAG": "sprint_platform eventlog",
    # Another load may hold the tables; Snowflake would wait for it for 12 hours.
    "LOCK_TIMEOUT": 600,
}
# As RFC 4180 has it; by default a backslash outside of quotes would be an escape.
CSV_FORMAT = (
    "(TYPE = CSV SKIP_HEADER = 1 FIELD_OPTIONALLY_ENCLOSED_BY = '\"'"
    " ESCAPE_UNENCLOSED_FIELD = NONE)"
)
# What information_schema calls them.
CATALOGUE_TYPES = {"varchar": "TEXT", "integer": "NUMBER"}


@contextmanager
def open_snowflake(
    credentials: SnowflakeCredentials, domain: str, tables: Collection[Dataset]
) -> Iterator[SnowflakeEngine]:
    """The engine, connected while the block runs. Makes the database and the schema where they are
    missing. Raises SnowflakeError."""
    try:
        import snowflake.connector as connector
    except ImportError as error:
        raise SnowflakeError(
            f"Snowflake's connector is not installed: {how_to_install('snowflake')}"
        ) from error
    place = {
        "host": credentials.host,
        "port": credentials.port,
        "protocol": credentials.protocol,
        "role": credentials.role,
    }
    _check_private_key(credentials)
    try:
        connection = connector.connect(
            account=credentials.account,
            user=credentials.user,
            **credentials.way_in,
            warehouse=credentials.warehouse,
            # the connector takes a None for a value
            **{name: value for name, value in place.items() if value is not None},
            application="sprint_platform",
            session_parameters=SESSION,
            login_timeout=LOGIN_SECONDS,
            network_timeout=NETWORK_SECONDS,
            # it would look for a cloud's metadata service first, which only workload identities use
            platform_detection_timeout_seconds=0.0,
        )
    except connector.errors.Error as error:
        # not chained: the connector's stack is many pages of its retries
        raise SnowflakeError(_refusal(error, credentials)) from None
    except OSError as error:
        # of the connector's own files, say
        where = f": {error.filename}" if error.filename else ""
        why = error.strerror or driver_line(str(error))
        raise SnowflakeError(
            f"no connection to Snowflake, account {credentials.account} ({why}{where})"
        ) from error
    try:
        engine = SnowflakeEngine(connection, credentials, domain, tables)
        engine.enter_schema()
        try:
            yield engine
        finally:
            engine.put_back()
    finally:
        connection.close()


class SnowflakeEngine(Engine):
    """The schema of the credentials, with batches of the domain."""

    def __init__(
        self,
        connection: SnowflakeConnection,
        credentials: SnowflakeCredentials,
        domain: str,
        tables: Collection[Dataset],
    ) -> None:
        schema = f"{credentials.database}.{credentials.schema_}"
        super().__init__(Ledger(domain, schema, (), batches=True), tables)
        self.connection = connection
        self.credentials = credentials
        # table -> the name under which the one that it replaces waits for the load's end
        self._set_aside: dict[str, str] = {}

    @property
    def described(self) -> str:
        return f"{self.credentials.account}/{self.ledger.schema}"

    def enter_schema(self) -> None:
        """Takes the warehouse, and the schema, which it makes where it is missing."""
        credentials, schema = self.credentials, self.ledger.schema
        try:
            self.rows(f"use warehouse {credentials.warehouse}")
        except SnowflakeError as error:
            raise SnowflakeError(
                f"no warehouse {credentials.warehouse} that this role may use: see"
                f" SNOWFLAKE_WAREHOUSE and SNOWFLAKE_ROLE ({error})"
            ) from None
        for kind, name, variable in (
            ("database", credentials.database, "SNOWFLAKE_DATABASE"),
            ("schema", schema, "SNOWFLAKE_SCHEMA"),
        ):
            # entered before made: "create if not exists" takes the right to create
            with suppress(SnowflakeError):
                self.rows(f"use {kind} {name}")
                continue
            try:
                self.rows(f"create {kind} if not exists {name}")
                self.rows(f"use {kind} {name}")
            except SnowflakeError as error:
                raise SnowflakeError(
                    f"no {kind} {name} that this role may use, and it may not make one: see"
                    f" {variable} and SNOWFLAKE_ROLE ({error})"
                ) from None

    def _found(self) -> dict[str, dict[str, str]]:
        credentials = self.credentials
        found: dict[str, dict[str, str]] = {}
        for table, column, kind in self.rows(
            "select table_name, column_name, data_type"
            f" from {credentials.database}.information_schema.columns"
            f" where table_schema = '{credentials.schema_.upper()}' order by ordinal_position"
        ):
            found.setdefault(table.lower(), {})[column.lower()] = kind
        return found

    def _wanted(self, table: Dataset) -> dict[str, str]:
        kinds = _types(table)
        return {name: CATALOGUE_TYPES.get(kind, kind.upper()) for name, kind in kinds.items()}

    def relation(self, table: Dataset) -> str:
        return f"{self.ledger.schema}.{table.table}"

    def ensure_ledger(self) -> None:
        """Creates the ledger's tables where they are missing. Called before the transaction."""
        for table, columns in (
            ("loaded_batches", LOADED_BATCHES),
            ("built_from", BUILT_FROM),
            ("built_periods", BUILT_PERIODS),
        ):
            self.rows(f"create table if not exists {self.ledger.schema}.{table} ({columns})")

    def stage(self, table: Dataset, path: Path) -> str:
        """Uploads the file to a temporary stage and copies it from there into a temporary table:
        the connector compresses and sends it in pieces, so that its size takes no memory."""
        name = f"incoming_{table.name}"
        # PUT takes a pattern, not a path, and a string literal's escapes
        pattern = glob.escape(path.resolve().as_posix()).replace("\\", "\\\\").replace("'", "\\'")
        texts = ", ".join(f"{column} varchar" for column in table.column_names)
        typed = ", ".join(
            f"parse_json({name})" if kind == "variant" else f"cast({name} as {kind})"
            for name, kind in _types(table).items()
        )
        self.rows(f"create or replace temporary stage {name}_file")
        self.rows(f"put 'file://{pattern}' @{name}_file overwrite = true")
        # Text first: so one bad value fails here, before any transaction, and with its own words.
        self.rows(f"create or replace temporary table {name}_text ({texts})")
        definitions = table.definitions("snowflake")
        self.rows(f"create or replace temporary table {name} ({definitions})")
        try:
            self.rows(f"copy into {name}_text from @{name}_file file_format = {CSV_FORMAT}")
            self.execute(f"insert into {name} select {typed} from {name}_text")
        except SnowflakeError as error:
            raise LoadError(f"{path} cannot be read: {error}: nothing was loaded") from error
        self.rows(f"drop table {name}_text")
        return name

    def make(self, table: Dataset) -> None:
        """A table of other columns is renamed, not replaced: `create or replace` would commit, and
        a load that then fails would have lost the old rows. It is dropped when the load is
        committed, and gets its name back when it is not."""
        there = self.existing().get(table.name)
        if there:
            return
        if there is not None:
            aside = f"{table.name}_before_{secrets.token_hex(4)}"
            self.rows(f"alter table {table.name} rename to {aside}")
            self._set_aside[table.name] = aside
        self.rows(f"create table {table.name} ({table.definitions('snowflake')})")

    def put_back(self) -> None:
        """Gives the tables that `make` set aside their names back, where no load was committed."""
        for table, aside in self._set_aside.items():
            try:
                self.rows(f"drop table if exists {table}")
                self.rows(f"alter table {aside} rename to {table}")
            except SnowflakeError as error:
                raise SnowflakeError(
                    f"the rows of {table} are in {self.described} as {aside}: rename it ({error})"
                ) from None
        self._set_aside = {}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._in_one_line():
            self.connection.autocommit(False)
        try:
            yield
            with self._in_one_line():
                self.connection.commit()
        except BaseException:
            # a connection that broke cannot say so any more; Snowflake then rolls back by itself
            with suppress(SnowflakeError), self._in_one_line():
                self.connection.rollback()
                self.connection.autocommit(True)
            raise
        # from here on nothing may be put back
        replaced, self._set_aside = self._set_aside, {}
        with self._in_one_line():
            self.connection.autocommit(True)
        for aside in replaced.values():
            self.rows(f"drop table {aside}")

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        with self._in_one_line(), self.connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return int(cursor.rowcount or 0)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple]:
        with self._in_one_line(), self.connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return cursor.fetchall()

    @contextmanager
    def _in_one_line(self) -> Iterator[None]:
        from snowflake.connector.errors import Error

        try:
            yield
        except Error as error:
            raise SnowflakeError(_driver_message(error)) from error


def _check_private_key(credentials: SnowflakeCredentials) -> None:
    """Raises SnowflakeError for a key that is not there, is none, or needs another password: from
    the connector it would be any error."""
    if credentials.private_key_file is None:
        return
    # the connector's own dependency, and as slow
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    password = credentials.private_key_file_pwd
    try:
        load_pem_private_key(
            Path(credentials.private_key_file).read_bytes(),
            password.get_secret_value().encode() if password else None,
        )
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        raise SnowflakeError(
            f"the private key {credentials.private_key_file} cannot be read: see"
            " SNOWFLAKE_PRIVATE_KEY_FILE and SNOWFLAKE_PRIVATE_KEY_FILE_PWD"
        ) from None


def _types(table: Dataset) -> dict[str, str]:
    return {column.name: TYPES[column.type].snowflake for column in table.columns}


def _driver_message(error: Error) -> str:
    """The connector's message in one line."""
    message: Any = error.raw_msg or error.msg or type(error).__name__
    return driver_line(str(message))


def _refusal(error: Error, credentials: SnowflakeCredentials) -> str:
    """Why there is no connection, and which variable to look at."""
    reason = _driver_message(error)
    where = f"account {credentials.account}"
    look_at = "SNOWFLAKE_ACCOUNT"
    if credentials.host:
        where += f" at {credentials.host}" + (f":{credentials.port}" if credentials.port else "")
        look_at += ", SNOWFLAKE_HOST and SNOWFLAKE_PORT"
    lowered = reason.lower()
    if "username or password" in lowered:
        look_at = f"SNOWFLAKE_USER and {_way_in(credentials)}"
    elif "role" in lowered:
        look_at = "SNOWFLAKE_ROLE"
    elif error.errno == 250001 and "could not connect" not in lowered:
        look_at = f"SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER and {_way_in(credentials)}"
    return f"no connection to Snowflake, {where}: see {look_at} ({reason})"


def _way_in(credentials: SnowflakeCredentials) -> str:
    """The variable that lets the user in."""
    names = ("private_key_file", "token", "password", "authenticator")
    return next(f"SNOWFLAKE_{name.upper()}" for name in names if name in credentials.way_in)
