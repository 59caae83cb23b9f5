"""`sprint forget`: one player's records leave a landed title, wherever they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import uuid4

import duckdb

from sprint_platform.core.locks import hold
from sprint_platform.engines.duckdb_file import connect, warehouse_lock
from sprint_platform.engines.load import ensure_title_schemas
from sprint_platform.landing.forgetting import (
    WITH_PLAYERS,
    Forgetting,
    Player,
    forget_landed,
    player_of,
)
from sprint_platform.landing.forgotten import forget as never_land
from sprint_platform.landing.register import landing_lock, open_register
from sprint_platform.operations.forgotten_history import forget_in_history
from sprint_platform.operations.landed import copy_again, landed_marts
from sprint_platform.operations.verify import LOSSLESS
from sprint_platform.publish.marts import Mart, publish
from sprint_platform.publish.views import remove_links
from sprint_platform.storage.digest import Digest, digest_table
from sprint_platform.storage.ledger import FORGOTTEN, Ledger, title_ledger, transaction
from sprint_platform.storage.partitions import partition_days, read_manifest, sweep_partition
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title


@dataclass(frozen=True)
class Forgotten:
    """What forgetting a player changed: what was landed; how many rows left each table; and how
    many events and log files changed."""

    landed: Forgetting
    rows: dict[str, int]
    events: int


def forget(title: Title, text: str, marts: Iterable[Mart]) -> Forgotten:
    """Takes the records of the player with this id (ours, or the studio's) from everything but the
    files that were delivered, and notes that no landing brings them back. Tables that count players
    and not name them stay as they are.

    Every step leaves what others can read; a command that was killed is finished by the same one.
    The caller holds the title's lock, and compacts the database and the register afterwards: until
    then their free blocks still hold what was deleted.
    """
    holder = "sprint forget"
    with hold(landing_lock(title.name), holder):
        with open_register(title.name) as register:
            player = player_of(register, title, text)
            # under another mapping, too
            for id_ in (player.id, *player.untranslated):
                never_land(title.name, id_)
            # before the register forgets the studio's id of the player
            events = forget_in_history(player)
            landed = forget_landed(register, title, player)
        with hold(warehouse_lock(), holder), connect() as con:
            ensure_title_schemas(con, title.name)
            ledger, known = title_ledger(title.name), [*marts, *landed_marts(title.name)]
            with transaction(con):
                rows = _forget_records(con, ledger, player)
                rows |= _forget_rows(con, ledger, player, {mart.relation: mart for mart in known})
            copy_again(con, title)
            _publish_anew(con, ledger, landed_marts(title.name))
            publish(con, ledger, known)
            # what was replaced just now has the player's records
            remove_links(0)
    # no view names them any more
    for dataset in WITH_PLAYERS:
        for day in partition_days(title.name, dataset):
            sweep_partition(title.name, dataset, day)
    return Forgotten(landed, rows, events)


def _forget_records(
    con: duckdb.DuckDBPyConnection, ledger: Ledger, player: Player
) -> dict[str, int]:
    """Deletes the player's records from the tables of datasets, and notes the digests of what is
    left: for the ledger, what was built of these days is built of them still."""
    deleted: dict[str, int] = {}
    for setting in LOSSLESS:
        con.execute(setting)
    for name in WITH_PLAYERS:
        contract = DATASETS[name]
        relation, column = contract.relation(ledger.name), contract.partition_column
        days = con.execute(
            f"select distinct {column} from {relation} where player_id = ? order by 1",
            [player.uuid],
        ).fetchall()
        for (day,) in days:
            columns = ", ".join(contract.column_names)
            gone = con.execute(
                f"select {columns} from {relation} where player_id = ? and {column} = ?",
                [player.uuid, day],
            ).to_arrow_table()
            deleted[relation] = deleted.get(relation, 0) + gone.num_rows
            before = ledger.loaded_digest(con, name, day)
            if before is None:
                continue
            left = str(Digest.parse(before) - digest_table(gone.cast(contract.arrow_schema)))
            manifest = read_manifest(ledger.name, name, day)
            parts = (
                [part.name for part in manifest.parts]
                if manifest is not None and manifest.digest == left
                else None
            )
            con.execute(
                f"update {ledger.loaded_table}"
                " set digest = ?, rows = rows - ?, files = ?, source = ?"
                " where dataset = ? and partition_date = ?",
                [left, gone.num_rows, parts, FORGOTTEN, name, day],
            )
            con.execute(
                f"update {ledger.schema}.built_from set digest = ?"
                " where dataset = ? and period = ? and digest = ?",
                [left, name, str(day), before],
            )
        con.execute(f"delete from {relation} where player_id = ?", [player.uuid])
    return deleted


def _forget_rows(
    con: duckdb.DuckDBPyConnection, ledger: Ledger, player: Player, marts: dict[str, Mart]
) -> dict[str, int]:
    """Deletes the rows of the player from every other table of the title, and notes for those that
    are published which of their periods changed."""
    deleted: dict[str, int] = {}
    datasets = {DATASETS[name].relation(ledger.name) for name in WITH_PLAYERS}
    found = con.execute(
        "select schema_name || '.' || table_name from duckdb_tables() semi join (select * from"
        " duckdb_columns() where column_name = 'player_id') using (table_oid)"
        " where database_name = current_database() and schema_name in (select unnest(?))"
        " order by 1",
        [[ledger.schema, f"{ledger.name}_dim", *ledger.model_schemas]],
    ).fetchall()
    for (relation,) in found:
        if relation in datasets:
            continue
        mart = marts.get(relation)
        period = f"cast({mart.column} as varchar)" if mart and mart.column else "''"
        counted = con.execute(
            f"select {period}, count(*) from {relation} where player_id = ? group by 1",
            [player.uuid],
        ).fetchall()
        if not counted:
            continue
        con.execute(f"delete from {relation} where player_id = ?", [player.uuid])
        deleted[relation] = sum(rows for _, rows in counted)
        if mart:
            con.executemany(
                f"update {ledger.schema}.built_periods"
                " set invocation = ?, row_count = row_count - ? where model = ? and period = ?",
                [(str(uuid4()), rows, mart.name, of_period) for of_period, rows in counted],
            )
    con.execute(f"delete from {ledger.schema}.built_periods where period <> '' and row_count <= 0")
    return deleted


def _publish_anew(con: duckdb.DuckDBPyConnection, ledger: Ledger, marts: Iterable[Mart]) -> None:
    """Notes that these marts have other rows than are published."""
    con.execute(
        f"update {ledger.schema}.built_periods set invocation = ?"
        " where model in (select unnest(?))",
        [str(uuid4()), [mart.name for mart in marts]],
    )
