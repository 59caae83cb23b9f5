"""Forgetting a player: the records of one player leave what was landed of a title.

As a landing does, this writes new files beside the old ones, commits what it knows in one
transaction on the register, and puts the files in place after it. A day then has the records that
it had, without the player's; what became of the others does not change.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from uuid import UUID, uuid4

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sprint_platform.core.compaction import sync
from sprint_platform.core.duckdb_paths import glob_of
from sprint_platform.landing.forgotten import player_ids
from sprint_platform.landing.forgotten_counts import GONE, clear_rejects, forget_counts
from sprint_platform.landing.register import LandingError
from sprint_platform.landing.staging import staged_path, sweep_staged
from sprint_platform.storage.ledger import transaction
from sprint_platform.storage.partitions import (
    FinishedPartition,
    PartitionDraft,
    partition_days,
    read_manifest,
    read_partition,
)
from sprint_platform.telemetry.contracts import DAILY, DATASETS
from sprint_platform.title import Title

# The datasets with records of players.
WITH_PLAYERS = tuple(name for name in DAILY if "player_id" in DATASETS[name].column_names)


@dataclass
class Forgetting:
    """What forgetting a player changed of what was landed: how many records were taken from each
    dataset's partitions; the delivered files that name the player."""

    records: dict[str, int] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Player:
    """A player's id as the platform has it, the texts that the studio's files have for it, and the
    ids that those texts would have if the title translated none."""

    id: bytes
    source_ids: tuple[str, ...]
    untranslated: frozenset[bytes] = frozenset()

    @property
    def uuid(self) -> UUID:
        return UUID(bytes=self.id)

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text that names the player."""
        return (str(self.uuid), self.uuid.hex, *self.source_ids)

    def is_in(self, column: pa.Array) -> npt.NDArray[np.bool_]:
        """Which rows of a uuid column are the player."""
        storage = column.storage
        flat = np.frombuffer(storage.buffers()[1], "<u8") if len(storage) else np.empty(0, "<u8")
        words = flat[2 * storage.offset : 2 * (storage.offset + len(storage))].reshape(-1, 2)
        return (words == np.frombuffer(self.id, "<u8")).all(axis=1)


def forget_landed(con: duckdb.DuckDBPyConnection, title: Title, player: Player) -> Forgetting:
    """Takes the player's records from the staged files, the register ``con`` and the partition
    files. The caller holds the title's landing lock.

    A kill leaves the old records or the new ones; partitions that were not put in place are made
    again by the next landing.
    """
    done, finished = Forgetting(), dict[tuple[str, date], FinishedPartition]()
    with ExitStack() as stack:
        for dataset, day, records, partition in _filtered(con, title, player):
            stack.callback(partition.discard)
            finished[dataset, day] = partition
            done.records[dataset] = done.records.get(dataset, 0) + records
        # after a kill too, files that the register does not name are removed
        stack.callback(sweep_staged, con, title.name)
        with transaction(con):
            gone, files = _restage(con, title, player)
            forget_counts(con, gone, player.uuid)
            done.files = sorted({*files, *clear_rejects(con, player.texts)})
            for (dataset, day), partition in finished.items():
                con.execute(
                    "update changes set digest = $digest, rows_after = $rows, written = false"
                    " where dataset = $dataset and day = $day and landing = (select max(landing)"
                    "  from changes where dataset = $dataset and day = $day)",
                    {
                        "digest": partition.manifest.digest, "rows": partition.manifest.rows,
                        "dataset": dataset, "day": day,
                    },
                )  # fmt: skip
        stack.pop_all()
    for partition in finished.values():
        partition.commit()
    con.execute("update changes set written = true where not written")
    sweep_staged(con, title.name)
    return done


def player_of(con: duckdb.DuckDBPyConnection, title: Title, text: str) -> Player:
    """The player that a person means with an id: ours, or the text that the studio's files have.
    Raises LandingError where landing would make no id of it."""
    settings = title.landing_settings
    values = dict(settings.mapping.values)
    translated = values.pop("player_id", {})
    words = [text.strip(), *translated]
    id_, *others = player_ids(title, words)
    if id_ is None:
        raise LandingError(
            f"{title.name}: {text.strip()!r} is no player's id: landing takes it for no value, or"
            " for a float that no longer counts one by one"
        )
    found = con.execute(
        "select source_id from source_ids where kind = 'player' and id = ?", [UUID(bytes=id_)]
    ).fetchall()
    # rejected records have what stood in the file
    own = {words[0]} | {word for word, of in zip(words[1:], others, strict=True) if of == id_}
    mapping = settings.mapping.model_copy(update={"values": values})
    plain = title.model_copy(update={"landing": settings.model_copy(update={"mapping": mapping})})
    # what others are translated to is the name of somebody else, too
    untranslated = player_ids(plain, sorted(own - set(translated.values())))
    texts = {source_id for (source_id,) in found} | own | {translated.get(w, w) for w in own}
    return Player(id_, tuple(sorted(texts)), frozenset(id_ for id_ in untranslated if id_))


def _filtered(
    con: duckdb.DuckDBPyConnection, title: Title, player: Player
) -> Iterator[tuple[str, date, int, FinishedPartition]]:
    """The partitions with records of the player (dataset, day), how many these are, and each
    partition without them; none is in place yet."""
    for dataset in WITH_PLAYERS:
        days: dict[str, date] = {}
        for day in partition_days(title.name, dataset):
            manifest = read_manifest(title.name, dataset, day, missing_ok=False)
            assert manifest is not None
            days |= {str(path): day for path in manifest.paths}
        if not days:
            continue
        found = con.execute(
            "select distinct filename from"
            " read_parquet(?, filename = true, hive_partitioning = false) where player_id = ?",
            [[glob_of(path) for path in days], player.uuid],
        ).fetchall()
        for day in sorted({days[path] for (path,) in found}):
            yield dataset, day, *_without(title.name, dataset, day, player)


def _without(title: str, dataset: str, day: date, player: Player) -> tuple[int, FinishedPartition]:
    manifest = read_manifest(title, dataset, day, missing_ok=False)
    assert manifest is not None
    draft, records = PartitionDraft(title, dataset, day), 0
    try:
        for table in read_partition(title, dataset, day):
            gone = player.is_in(table["player_id"].combine_chunks())
            records += int(gone.sum())
            draft.write(table.filter(pa.array(~gone)))
        return records, draft.finish(manifest.source)
    finally:
        draft.discard()


def _restage(
    con: duckdb.DuckDBPyConnection, title: Title, player: Player
) -> tuple[pa.Table, list[str]]:
    """Writes the staged files that hold records of the player anew, without these, under keys of
    their own. Returns the records (``GONE``) and the names of the delivered files. A staged file
    that was lost is left out: the next landing reads the delivered one again."""
    staged: dict[tuple[int, str, str], dict[str, dict[int, date]]] = {}
    for file_no, name, key, dataset, number, day in con.execute(
        "select file_no, files.name, staged_key, batches.dataset, number, day from batches"
        " join files using (file_no) order by all"
    ).fetchall():
        if staged_path(title.name, key, dataset).exists():
            staged.setdefault((file_no, name, key), {}).setdefault(dataset, {})[number] = day
    gone, names = [GONE.empty_table()], []
    for (file_no, name, key), datasets in staged.items():
        of_file = [
            _staged_records(staged_path(title.name, key, dataset), file_no, dataset, days, player)
            for dataset, days in datasets.items()
        ]
        if not any(table.num_rows for table in of_file):
            continue
        gone += of_file
        names.append(name)
        new_key = uuid4().hex[:24]
        for dataset in datasets:
            old, new = (staged_path(title.name, of, dataset) for of in (key, new_key))
            _rewrite(old, new, player)
        con.execute("update files set staged_key = ? where file_no = ?", [new_key, file_no])
    return pa.concat_tables(gone), names


def _staged_records(
    path: Path, file_no: int, dataset: str, days: dict[int, date], player: Player
) -> pa.Table:
    """The player's records in a staged file."""
    tables, others = [GONE.empty_table()], [pa.array([], pa.binary(16))]
    own_entity = DATASETS[dataset].entity
    entity = "session_id" if dataset == "heartbeats" else own_entity
    with pa.OSFile(str(path), "rb") as file:
        reader = pa.ipc.open_file(file)
        if "player_id" not in reader.schema.names:
            return tables[0]
        players = pa.ipc.open_file(
            file,
            options=pa.ipc.IpcReadOptions(
                included_fields=[reader.schema.get_field_index("player_id")]
            ),
        )
        masks = {number: player.is_in(players.get_batch(number)["player_id"]) for number in days}
        if not any(mask.any() for mask in masks.values()):
            return tables[0]
        for number, day in days.items():
            batch, mask = reader.get_batch(number), masks[number]
            if own_entity:
                others.append(batch[own_entity].filter(pa.array(~mask)).storage)
            batch = batch.filter(pa.array(mask))
            count = batch.num_rows
            columns = {
                "file_no": pa.repeat(file_no, count),
                "dataset": pa.repeat(dataset, count),
                "number": pa.repeat(number, count),
                "row": batch["row"],
                "own_day": pa.repeat(pa.scalar(day), count),
                "entity": batch[entity] if entity else pa.nulls(count, pa.uuid()),
                "alone": pa.nulls(count, pa.bool_()),
            }
            tables.append(pa.table(columns).cast(GONE))
    gone = pa.concat_tables(tables).combine_chunks()
    if own_entity:
        shared = pc.is_in(gone["entity"].combine_chunks().storage, pa.concat_arrays(others))
        gone = gone.set_column(gone.num_columns - 1, GONE.field("alone"), pc.invert(shared))
    return gone


def _rewrite(path: Path, new: Path, player: Player) -> None:
    """Writes the staged file anew without the player's records; batches stay the same ones, also
    empty."""
    temporary = new.with_suffix(".tmp")
    with pa.OSFile(str(path), "rb") as file, pa.OSFile(str(temporary), "wb") as sink:
        reader = pa.ipc.open_file(file)
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_file(sink, reader.schema, options=options) as writer:
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                if "player_id" in batch.schema.names:
                    batch = batch.filter(pa.array(~player.is_in(batch["player_id"])))
                writer.write_batch(batch)
    sync(temporary)
    os.replace(temporary, new)
