"""What landing says about a title's files, as tables of the warehouse: which files, what became of
their records, and what was rejected and why. The records themselves are partitions (load.py)."""

from __future__ import annotations

from datetime import date

import duckdb

from sprint_platform.core.database_file import when_free
from sprint_platform.engines.load import ensure_title_schemas
from sprint_platform.landing.register import register_path
from sprint_platform.publish.marts import Mart
from sprint_platform.storage.ledger import transaction
from sprint_platform.title import Title

# The row in the ledger of loaded partitions with the register's id and the number of the landing
# that the tables are copied from.
_LEDGER_NAME, _LEDGER_DAY = "landed_files", date(1970, 1, 1)


def create_landed_tables(con: duckdb.DuckDBPyConnection, title: str) -> None:
    """Creates the tables where they are missing."""
    con.execute(
        f"create table if not exists {title}_raw.landed_files ("
        " dataset varchar, file varchar, status varchar, reason varchar, detail varchar,"
        " notes varchar, bytes bigint, content_digest varchar, rows_read bigint, accepted bigint,"
        " rejected bigint, duplicates bigint, waiting bigint, landing bigint)"
    )
    con.execute(
        f"create table if not exists {title}_raw.rejected ("
        " dataset varchar, file varchar, row bigint, reason varchar, column_name varchar,"
        " record varchar, event_date date, unassigned boolean)"
    )
    con.execute(
        f"create table if not exists {title}_raw.duplicates ("
        " dataset varchar, file varchar, first_row bigint, last_row bigint, event_date date,"
        " unassigned boolean)"
    )
    con.execute(
        f"create table if not exists {title}_raw.pending_session ("
        " dataset varchar, file varchar, session_id uuid, player_id uuid, heartbeats bigint,"
        " first_at timestamp, last_at timestamp)"
    )
    for column in ("source_session_id", "source_player_id"):
        con.execute(
            f"alter table {title}_raw.pending_session add column if not exists {column} varchar"
        )
    con.execute(
        f"create table if not exists {title}_dim.source_ids ("
        " kind varchar, source_id varchar, id uuid)"
    )
    con.execute(
        f"create table if not exists {title}_raw.team_labels ("
        " event_date date, session_id uuid, team_label varchar, team_id smallint)"
    )
    con.execute(
        f"create table if not exists {title}_raw.landed_partitions ("
        " dataset varchar, partition_date date, digest varchar)"
    )
    con.execute(
        f"create or replace view {rejects_relation(title)} as"
        " select event_date, dataset, reason, count(*) as records"
        f" from {title}_raw.rejected group by event_date, dataset, reason"
    )


def rejects_relation(title: str) -> str:
    """The table of rejected records by day, dataset and reason; a record without a day has none."""
    return f"{title}_mart.landing_rejects_daily"


def landed_marts(title: str) -> list[Mart]:
    """The published tables of a landing: what was rejected and why, the ids and team labels that
    the studio's files had, and the ids and numbers that they became."""
    return [
        Mart(rejects_relation(title), f"{title}_mart"),
        Mart(f"{title}_raw.rejected", f"{title}_raw"),
        Mart(f"{title}_raw.team_labels", f"{title}_raw"),
        Mart(f"{title}_dim.source_ids", f"{title}_dim"),
    ]


def landed_digests(con: duckdb.DuckDBPyConnection, title: str, dataset: str) -> dict[date, str]:
    """The digest of each day's landed partition, by day, after the last landing."""
    create_landed_tables(con, title)
    found = con.execute(
        f"select partition_date, digest from {title}_raw.landed_partitions where dataset = ?",
        [dataset],
    )
    return dict(found.fetchall())


def load_landed(con: duckdb.DuckDBPyConnection, title: Title) -> None:
    """Updates the tables to the title's register, in one transaction: it copies only what landings
    since the last load have decided. Without a register they stay empty.

    The caller holds the title's landing lock, taken before the lease: a landing holds it for
    minutes, while others must not wait for the warehouse.
    """
    name = title.name
    ensure_title_schemas(con, name)
    create_landed_tables(con, name)
    path = register_path(name)
    if not path.exists():
        return
    quoted = str(path).replace("'", "''")
    when_free(
        path,
        lambda: con.execute(f"attach '{quoted}' as register (read_only)"),
        "and read a copy of the file instead",
    )
    try:
        with transaction(con):
            _copy(con, name)
    finally:
        con.execute("detach register")


def copy_again(con: duckdb.DuckDBPyConnection, title: Title) -> None:
    """``load_landed`` of everything, also of what was decided before the last load."""
    ledger = f"{title.name}_raw.loaded_partitions"
    con.execute(f"delete from {ledger} where dataset = ?", [_LEDGER_NAME])
    load_landed(con, title)


def _copy(con: duckdb.DuckDBPyConnection, title: str) -> None:
    raw, ledger = f"{title}_raw", f"{title}_raw.loaded_partitions"
    register, newest = con.execute(
        "select (select id::varchar from register.identity),"
        " (select coalesce(max(number), 0) from register.landings)"
    ).fetchall()[0]
    # all of it, every time: it has a row a partition, and decides what is built
    con.execute(f"delete from {raw}.landed_partitions")
    con.execute(
        f"insert into {raw}.landed_partitions select dataset, day, arg_max(digest, landing)"
        " from register.changes where dataset <> 'products' group by dataset, day"
    )
    row = con.execute(f"select digest from {ledger} where dataset = '{_LEDGER_NAME}'").fetchone()
    copied, _, number = (row[0] if row else "").partition(" ")
    loaded = int(number or 0)
    if (copied, loaded) == (register, newest) and _is_published(con, raw):
        return
    if copied != register:  # a new register: copy everything again
        for table in (f"{raw}.rejected", f"{raw}.duplicates", f"{raw}.pending_session"):
            con.execute(f"delete from {table}")
        con.execute(f"delete from {title}_dim.source_ids")
        loaded = 0
    _copy_files(con, raw)
    con.execute(
        "create or replace temp table again as select dataset, day as event_date, unassigned"
        f" from register.judged_days where landing > {loaded}"
    )
    con.execute(
        "create or replace temp table versions as select name, file_no from register.files"
        f" where landing > {loaded}"
    )
    for table in ("rejected", "duplicates"):
        con.execute(
            f"delete from {raw}.{table} as t where exists (select 1 from again where"
            " again.dataset = t.dataset and again.event_date = t.event_date"
            " and again.unassigned = t.unassigned)"
        )
    con.execute(
        f"delete from {raw}.rejected where event_date is null"
        " and (row is null or file in (select name from versions))"
    )
    con.execute(
        f"insert into {raw}.rejected select r.dataset, name, row, reason, column_name, record, day,"
        " unassigned from register.rejected as r join register.files using (file_no)"
        " where (day is null and file_no in (select file_no from versions))"
        " or exists (select 1 from again where again.dataset = r.dataset"
        "  and again.event_date = r.day and again.unassigned = r.unassigned)"
    )
    con.execute(
        f"insert into {raw}.rejected select dataset, name, null, reason, null, detail, null, null"
        " from register.refused"
    )
    con.execute(
        f"insert into {raw}.duplicates select d.dataset, name, first_row, last_row, day,"
        " d.unassigned from register.duplicates as d join register.files using (file_no)"
        " where exists (select 1 from again where again.dataset = d.dataset"
        "  and again.event_date = d.day and again.unassigned = d.unassigned)"
    )
    waiting_days = "select event_date from again where dataset = 'heartbeats' and unassigned"
    con.execute(
        f"delete from {raw}.pending_session where cast(first_at as date) in ({waiting_days})"
    )
    con.execute(
        f"insert into {raw}.pending_session select 'heartbeats', name, session_id, player_id,"
        " sum(heartbeats), min(p.first_at), max(p.last_at), any_value(session.source_id),"
        " any_value(player.source_id)"
        " from register.pending as p join register.files using (file_no)"
        " left join register.source_ids as session"
        "  on session.kind = 'session' and session.id = session_id"
        " left join register.source_ids as player"
        "  on player.kind = 'player' and player.id = player_id"
        f" where not far and day in ({waiting_days}) group by name, session_id, player_id, day"
    )
    con.execute(
        f"insert into {title}_dim.source_ids select kind, source_id, id from register.source_ids"
        f" where landing > {loaded}"
    )
    con.execute(f"delete from {raw}.team_labels")
    con.execute(
        f"insert into {raw}.team_labels select day, session_id, team_label, team_id"
        " from register.team_labels"
    )
    con.execute(
        f"insert or replace into {ledger} (dataset, partition_date, digest, rows, source)"
        f" select ?, ?, ?, count(*), '' from {raw}.landed_files",
        [_LEDGER_NAME, _LEDGER_DAY, f"{register} {newest}"],
    )
    for mart in landed_marts(title):
        con.execute(f"delete from {raw}.built_periods where model = ?", [mart.name])
        con.execute(
            f"insert into {raw}.built_periods select ?, '', count(*), ?, true from {mart.relation}",
            [mart.name, f"{register} {newest}"],
        )


def _is_published(con: duckdb.DuckDBPyConnection, raw: str) -> bool:
    """Whether the ledger has the copies as something to publish, which that of the version before
    has not."""
    found = con.execute(
        f"select count(*) from {raw}.built_periods where model = 'team_labels'"
    ).fetchone()
    return found is not None and found[0] > 0


def _copy_files(con: duckdb.DuckDBPyConnection, raw: str) -> None:
    con.execute(f"delete from {raw}.landed_files")
    con.execute(
        f"insert into {raw}.landed_files with counts as ("
        " select file_no, dataset, sum(rows_read) as rows_read, sum(accepted) as accepted,"
        "  sum(rejected) as rejected, sum(duplicates) as duplicates, sum(waiting) as waiting"
        " from (select file_no, dataset, rows_read, 0 as accepted, rejected, 0 as duplicates,"
        "   0 as waiting from register.file_records"
        "  union all select file_no, dataset, 0, accepted, rejected, duplicates, waiting"
        "   from register.verdicts) group by file_no, dataset)"
        " select coalesce(counts.dataset, files.dataset), files.name,"
        "  case when refused.name is null then 'landed' else 'refused' end, refused.reason,"
        "  refused.detail, files.notes, files.bytes, files.content_digest,"
        "  coalesce(rows_read, 0), coalesce(accepted, 0), coalesce(rejected, 0),"
        "  coalesce(duplicates, 0), coalesce(waiting, 0),"
        "  greatest(files.landing, coalesce(refused.landing, 0))"
        " from register.files left join counts using (file_no)"
        " left join register.refused using (name)"
        " union all select dataset, name, 'refused', reason, detail, null, bytes, content_digest,"
        "  0, 0, 0, 0, 0, landing from register.refused"
        "  where name not in (select name from register.files)"
    )
