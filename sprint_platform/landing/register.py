"""The register: what was landed so far, in ``data/landed/<title>/landing.duckdb``.

One landing is one transaction on it, which is the landing's commit point. Records themselves are
not here (they are in staged files and partitions), only what is known about them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from sprint_platform.core.compaction import remove_draft
from sprint_platform.core.database_file import when_free
from sprint_platform.core.errors import SprintError
from sprint_platform.core.locks import Kind, Lock
from sprint_platform.core.whole_file import temporary_beside
from sprint_platform.places import data_dir

# A register holds no records: what it sorts and joins is small, and spills where it is not.
MEMORY_LIMIT = "256MiB"

TABLES = """
-- a version of a file that is landed; of a name there is one at most
create table if not exists files (
    file_no bigint primary key, name varchar not null, dataset varchar not null,
    staged_key varchar not null, content_digest varchar not null, bytes bigint not null,
    modified_ns bigint not null, changed_ns bigint not null, mapping varchar not null,
    notes varchar, landing bigint not null);
-- the newest content of a name that could not be read as a whole; its older version stays landed
create table if not exists refused (
    name varchar primary key, dataset varchar not null, content_digest varchar, bytes bigint,
    modified_ns bigint, changed_ns bigint, mapping varchar not null, reason varchar not null,
    detail varchar, landing bigint not null);
-- how many records a file had of a dataset (a session dump has two)
create table if not exists file_records (
    file_no bigint not null, dataset varchar not null, rows_read bigint not null,
    rejected bigint not null);
-- the batches of its staged files: a day's, with their span of time
create table if not exists batches (
    file_no bigint not null, dataset varchar not null, number bigint not null, day date not null,
    rows bigint not null, first_at bigint not null, last_at bigint not null);
-- a file's first and last record of a session (or a purchase, a player, a product)
create table if not exists mentions (
    file_no bigint not null, dataset varchar not null, id uuid not null,
    first_at timestamp not null, last_at timestamp not null);
-- the session-to-day index: an id's earliest mention of all files decides its day
create table if not exists starts (
    dataset varchar not null, id uuid not null, first_at timestamp not null, day date not null);
-- what became of a file's records in a day's partition, or of those that no partition takes
create table if not exists verdicts (
    dataset varchar not null, day date not null, unassigned boolean not null,
    file_no bigint not null, accepted bigint not null, rejected bigint not null,
    duplicates bigint not null, waiting bigint not null);
-- the landing that last judged a day's partition, or what no partition takes: a copy of the
-- verdicts takes over the days that were judged since
create table if not exists judged_days (
    dataset varchar not null, day date not null, unassigned boolean not null,
    landing bigint not null);
-- one record that was rejected: by itself (day is null), or when its day was admitted
create table if not exists rejected (
    file_no bigint not null, dataset varchar not null, row bigint, reason varchar not null,
    column_name varchar, record varchar, day date, unassigned boolean);
-- the numbers of a session's team labels
create table if not exists team_labels (
    day date not null, session_id uuid not null, team_label varchar not null,
    team_id smallint not null);
-- the latest end of a day's sessions
create table if not exists session_ends (day date primary key, last_at timestamp not null);
-- exact duplicates that were dropped, as ranges of rows
create table if not exists duplicates (
    file_no bigint not null, dataset varchar not null, day date not null,
    unassigned boolean not null, first_row bigint not null, last_row bigint not null);
-- heartbeats that no session of their day takes: they wait for it, or (far) it is another day's
create table if not exists pending (
    file_no bigint not null, day date not null, session_id uuid not null, player_id uuid not null,
    heartbeats bigint not null, first_at timestamp not null, last_at timestamp not null,
    far boolean not null);
create table if not exists source_ids (
    kind varchar not null, source_id varchar not null, id uuid not null, landing bigint not null);
create table if not exists landings (number bigint primary key, state varchar not null);
-- which register this is: one that was thrown away and made anew counts from 1 again
create table if not exists identity (id uuid not null);
insert into identity select gen_random_uuid() where not exists (select 1 from identity);
-- the partitions that a landing made anew; written says that their manifests are in place
create table if not exists changes (
    landing bigint not null, dataset varchar not null, day date not null, rows_before bigint,
    rows_after bigint not null, digest varchar not null, why varchar not null,
    written boolean not null);
"""

# Rows that are inserted together.
ROWS_AT_ONCE = 200_000


def landed_dir(title: str) -> Path:
    """The folder of a title's register, staged files and landed products."""
    return data_dir() / "landed" / title


def register_path(title: str) -> Path:
    """The title's register; missing until its first landing."""
    return landed_dir(title) / "landing.duckdb"


def landing_lock(title: str) -> Lock:
    """The lock under which the title's register is written or read."""
    path = landed_dir(title) / "landing.lock"
    return Lock(Kind.LANDING, path, f"the landing register of {title}")


class LandingError(SprintError):
    """A landing that changed nothing. The message is one line."""


@contextmanager
def open_register(title: str, *, dry_run: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """The title's register; the caller holds the title's landing lock, and DuckDB refuses any other
    process meanwhile. Raises LockError where another program has it open and does not close it. A
    dry run without a register gets a temporary one."""
    path = register_path(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if dry_run and not path.exists():
            path = stack.enter_context(temporary_beside(path))
        con = when_free(
            path,
            lambda: duckdb.connect(str(path), config={"memory_limit": MEMORY_LIMIT, "threads": 2}),
            "and read a copy of the file instead",
        )
        stack.callback(con.close)
        remove_draft(path)
        # or ids would go to Arrow as texts
        con.execute("set arrow_lossless_conversion = true")
        # a join's filter on ids cannot be pushed into Arrow tables. They are what landing works
        # on: a temporary table that is dropped holds its memory until the transaction ends.
        con.execute("set disabled_optimizers = 'join_filter_pushdown'")
        con.execute(TABLES)
        yield con


class _Lent:
    """A table that DuckDB reads from here for as long as it is registered."""

    def __init__(self, table: pa.Table) -> None:
        self.table: pa.Table | None = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        assert self.table is not None  # nothing reads it after its block
        return self.table.__arrow_c_stream__(requested_schema)


@contextmanager
def registered(con: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> Iterator[None]:
    """The table, as a relation of that name while the block runs.

    DuckDB's transaction holds whatever was registered until it ends, and a landing is one
    transaction: so it is given what lets go of the table, or all sessions that a landing admits
    would be in memory at its end."""
    lent = _Lent(table)
    con.register(name, lent)
    try:
        yield
    finally:
        con.unregister(name)
        lent.table = None


class Entries:
    """What one landing adds to the register (``con``), gathered: an insert for every file, day or
    slice would hold memory for itself until the transaction ends."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con
        self._waiting: dict[str, list[pa.Table]] = {}
        self._rows = 0
        self._judged = set(
            con.execute("select dataset, day, unassigned from judged_days").fetchall()
        )
        found = con.execute("select coalesce(max(number), 0) + 1 from landings").fetchone()
        assert found is not None
        self.landing = int(found[0])

    def add(self, table: str, rows: pa.Table) -> None:
        """Rows for a table of the register, columns by their names."""
        if rows.num_rows:
            self._waiting.setdefault(table, []).append(rows)
            self._rows += rows.num_rows
            if self._rows > ROWS_AT_ONCE:
                self.flush()

    def add_selected(self, table: str, query: str) -> None:
        """Rows for a table of the register, from a query."""
        found = self.con.execute(query).to_arrow_table()
        # a copy: a result of DuckDB's holds room for many rows, however few it has
        self.add(table, found.take(pa.array(np.arange(found.num_rows))))

    def flush(self) -> None:
        """Inserts the gathered rows. To be called before they are read."""
        for table, parts in self._waiting.items():
            rows = pa.concat_tables(parts, promote_options="permissive").combine_chunks()
            with registered(self.con, "gathered", rows):
                self.con.execute(f"insert into {table} by name select * from gathered")
        self._waiting, self._rows = {}, 0

    def forget(self, dataset: str, day: date, *, unassigned: bool) -> None:
        """Removes the verdicts on a day's partition, or on the day's unassigned records. To be
        called before the day is judged, once in a landing."""
        key = {"dataset": dataset, "day": day, "unassigned": unassigned}
        if (dataset, day, unassigned) in self._judged:
            for table in ("verdicts", "rejected", "duplicates", "judged_days"):
                self.con.execute(
                    f"delete from {table} where dataset = $dataset and day = $day"
                    " and unassigned = $unassigned",
                    key,
                )
            if dataset == "heartbeats" and unassigned:
                self.con.execute("delete from pending where day = ?", [day])
        self.add("judged_days", pa.Table.from_pylist([key | {"landing": self.landing}]))
