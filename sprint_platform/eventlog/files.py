"""A batch as CSV files: ``raw_players.csv``, ``raw_sessions.csv``, ``raw_game_events.csv``.

Beside each lies a manifest, renamed into place last: the settings that made the file, its rows,
bytes and SHA-256. Each batch has a folder, ``data/eventlog/batches/<batch>``. The command line
writes to ``data/eventlog``, where the next batch takes its place, and links the files from there.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import polars as pl

from sprint_platform.core.errors import SprintError
from sprint_platform.core.locks import Kind, Lock, hold
from sprint_platform.core.whole_file import whole_file
from sprint_platform.eventlog.contracts import RAW_TABLES
from sprint_platform.eventlog.generation.batch import batch_rows
from sprint_platform.eventlog.settings import BatchSettings
from sprint_platform.places import data_dir

AS_IT_IS = "generate the batch again, or remove the manifest to load the file as it is"
# Raise it when the same settings make other bytes.
GENERATION_VERSION = 1


class BatchFileError(SprintError):
    """A file of a batch that is missing, or not as its manifest says."""


@dataclass(frozen=True)
class BatchFile:
    """One raw table's file of a batch; ``sha256`` is what ``sha256sum`` prints."""

    path: Path
    settings: BatchSettings
    rows: int
    bytes: int
    sha256: str
    generation_version: int = GENERATION_VERSION


def eventlog_dir() -> Path:
    """The folder to which the command line writes a batch."""
    return data_dir() / "eventlog"


def batch_dir(batch: int) -> Path:
    """The folder to which Dagster writes the batch."""
    return eventlog_dir() / "batches" / str(batch)


def csv_path(folder: Path, table: str) -> Path:
    """The table's file in a batch's folder."""
    return folder / f"{table}.csv"


def batch_lock(folder: Path) -> Lock:
    """Excludes other writers from the folder, from the first file that is written until all of them
    are loaded: a load waits for the warehouse, and must not find another batch's files then."""
    return Lock(Kind.BATCH, folder / ".lock", f"the batch in {folder}")


def write_table(
    settings: BatchSettings,
    table: str,
    folder: Path,
    watch: Callable[[str, int], None] | None = None,
) -> BatchFile:
    """Makes the table's rows and writes its file, replacing what was there; ``watch`` is called
    with (table, rows) as they are written. The folder is the caller's (``batch_lock``)."""
    with ExitStack() as files:
        return _write_table(settings, table, folder, watch, files)


def _write_table(
    settings: BatchSettings,
    table: str,
    folder: Path,
    watch: Callable[[str, int], None] | None,
    files: ExitStack,
) -> BatchFile:
    """Writes the table's file and its manifest, which replace the old ones when ``files`` is
    closed: the manifest after the file."""
    path = csv_path(folder, table)
    manifest = files.enter_context(whole_file(manifest_path(path)))
    temporary = files.enter_context(whole_file(path))
    with temporary.open("wb") as file:
        rows, size, digest = _write(settings, table, file, watch)
    written = BatchFile(path, settings, rows, size, digest)
    fields = asdict(written) | {"settings": settings.model_dump(mode="json")}
    del fields["path"]
    manifest.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")
    return written


def _write(
    settings: BatchSettings,
    table: str,
    file: IO[bytes],
    watch: Callable[[str, int], None] | None,
) -> tuple[int, int, str]:
    """Rows, bytes and SHA-256 of what was written. The next rows are made while the last ones are
    turned into text, hashed and written."""
    digest = hashlib.sha256()
    size = 0

    def write(frame: pl.DataFrame, header: bool) -> int:
        nonlocal size
        text = io.BytesIO()
        frame.write_csv(text, include_header=header)
        digest.update(text.getbuffer())
        size += file.write(text.getbuffer())
        return frame.height

    rows = 0
    waiting: Future[int] | None = None

    def finish() -> None:
        nonlocal rows
        if waiting is not None:
            done = waiting.result()
            rows += done
            if watch:
                watch(table, done)

    with ThreadPoolExecutor(max_workers=1) as writer:
        for frame in batch_rows(settings, table):
            finish()
            waiting = writer.submit(write, frame, waiting is None)
        finish()
    return rows, size, digest.hexdigest()


def manifest_path(path: Path) -> Path:
    """The manifest of a table's file."""
    return path.with_suffix(".manifest.json")


def read_table_file(folder: Path, table: str) -> BatchFile:
    """The table's file in the folder. Raises BatchFileError where there is none, or its manifest
    is damaged or of a file of another size."""
    path = csv_path(folder, table)
    try:
        manifest = json.loads(manifest_path(path).read_text(encoding="utf-8"))
        settings = BatchSettings.model_validate(manifest.pop("settings"))
        file = BatchFile(path=path, settings=settings, **manifest)
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise BatchFileError(f"there is no {path}: generate the batch first") from error
    except (ValueError, TypeError, KeyError) as error:
        raise BatchFileError(
            f"{manifest_path(path)} is damaged: generate the batch again"
        ) from error
    if size != file.bytes:
        raise BatchFileError(
            f"{path} has {size} bytes, but its manifest says {file.bytes}: {AS_IT_IS}"
        )
    return file


def write_batch(
    settings: BatchSettings, folder: Path, watch: Callable[[str, int], None] | None = None
) -> dict[str, BatchFile]:
    """Makes the batch's three files, by table. They replace those of the last batch together, when
    all of them are written; ``read_batch`` refuses what a kill in that moment would leave."""
    with ExitStack() as files:
        return {table: _write_table(settings, table, folder, watch, files) for table in RAW_TABLES}


def archive_batch() -> None:
    """Puts the files that the command line wrote into their batch's own folder, too: the next batch
    takes their place, and the database could not be made anew without them. They are linked, which
    takes no room. Does nothing where there are none, or not all of one batch."""
    try:
        files = [read_table_file(eventlog_dir(), table) for table in RAW_TABLES]
    except BatchFileError:
        return
    if len({file.settings for file in files}) > 1:
        return
    folder = batch_dir(files[0].settings.batch)
    folder.mkdir(parents=True, exist_ok=True)
    with hold(batch_lock(folder), "sprint eventlog generate"):
        for path in (path for file in files for path in (file.path, manifest_path(file.path))):
            temporary = folder / f".{path.name}.tmp"
            temporary.unlink(missing_ok=True)
            try:
                os.link(path, temporary)
            except OSError:
                # a file system without links
                shutil.copyfile(path, temporary)
            os.replace(temporary, folder / path.name)


def read_batch(folder: Path) -> dict[str, Path]:
    """The three files that lie in the folder, by table. Raises BatchFileError where one is missing,
    not to the byte what its manifest says, or of another batch than the others. Files without a
    manifest were put there by hand, and are taken as they are."""
    made: dict[str, BatchFile] = {}
    for table in RAW_TABLES:
        path = csv_path(folder, table)
        if manifest_path(path).exists():
            made[table] = file = read_table_file(folder, table)
            with path.open("rb") as content:
                if hashlib.file_digest(content, "sha256").hexdigest() != file.sha256:
                    raise BatchFileError(f"{path} was changed after it was generated: {AS_IT_IS}")
        elif not path.exists():
            raise BatchFileError(f"there is no {path}: generate a batch first")
    if len({file.settings for file in made.values()}) > 1:
        batches = ", ".join(
            f"{table} of batch {file.settings.batch}" for table, file in made.items()
        )
        raise BatchFileError(
            f"the files in {folder} do not belong together ({batches}): generate the batch again"
        )
    return {table: csv_path(folder, table) for table in RAW_TABLES}
