"""Files of any shape as chunks: what the title's select makes of one file.

The select is a stranger's SQL over a stranger's file. It runs in a process of its own, which opens
that file and no other, has so much address space and so much time, and is ended beyond.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from sprint_platform.core.duckdb_paths import glob_of
from sprint_platform.landing import select_worker
from sprint_platform.landing.chunks import Chunk, Piece
from sprint_platform.landing.columns import choose
from sprint_platform.landing.files import FileRefused, Found, open_file, unreadable
from sprint_platform.telemetry.contracts import DATASETS

# Of which Python, Arrow and DuckDB take half a GiB before they do anything.
ADDRESS_SPACE = 3 * 2**30
SECONDS, BYTES_PER_SECOND = 60, 2**20
# A file that grows beyond both is a mistake in the select, such as a join of everything.
MOST_BYTES, MOST_FOLD = 2**30, 200


def select_pieces(found: Found, _: set[str]) -> Iterator[Piece]:
    """The rows of the select over the file, in batches. Raises FileRefused."""
    open_file(found.path).close()
    seconds = SECONDS + found.size // BYTES_PER_SECOND
    path = found.path.absolute()
    asked = {
        "path": str(path), "pattern": glob_of(path), "select": found.select, "bytes": ADDRESS_SPACE,
        "seconds": seconds,
    }  # fmt: skip
    process = subprocess.Popen(
        # isolated: neither the environment nor the working directory has a say
        [sys.executable, "-I", str(Path(select_worker.__file__))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={},
    )  # fmt: skip
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    deadline = threading.Timer(seconds, end)
    deadline.start()
    try:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(json.dumps(asked).encode())
        process.stdin.close()
        yield from _pieces(found, process.stdout)
        said = process.stderr.read()
        if code := process.wait():
            raise _refusal(code, said, late.is_set(), seconds)
    except (pa.ArrowException, BrokenPipeError) as error:
        said = process.stderr.read() if process.stderr else b""
        if code := process.wait():
            raise _refusal(code, said, late.is_set(), seconds) from error
        raise unreadable(error) from error
    finally:
        deadline.cancel()
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()


def _pieces(found: Found, stream: object) -> Iterator[Piece]:
    reader = pa.ipc.open_stream(stream)
    names = reader.schema.names
    chosen = choose(found.mapping, found.dataset, names)
    _refuse_unclear_times(found, reader.schema, chosen)
    wanted = sorted(set(chosen.values()))
    unread = tuple(name for index, name in enumerate(names) if index not in wanted)
    yield _piece(found.dataset, reader.schema.empty_table().select(wanted), unread)
    size = 0
    for batch in reader:
        size += batch.nbytes
        if size > max(MOST_BYTES, MOST_FOLD * found.size):
            raise FileRefused(
                "decompression_bomb",
                f"its {found.size:,} bytes are more than {size:,} after landing.read."
                f"{found.dataset}: look for a join or an unnest of too much",
            )
        yield _piece(found.dataset, pa.Table.from_batches([batch]).select(wanted), unread)


def _refuse_unclear_times(found: Found, schema: pa.Schema, chosen: Mapping[str, int]) -> None:
    """Raises FileRefused where a time has lost its zone: of a text in UTC, with ``Z`` or an offset,
    DuckDB's readers of JSON and CSV make the same timestamp as of a local one."""
    zone = found.mapping.time_zone
    if zone == "UTC" or found.path.name.lower().endswith(".parquet"):
        return
    for column in DATASETS[found.dataset].columns:
        if column.type != "timestamp" or column.name not in chosen:
            continue
        field = schema.field(chosen[column.name])
        if pa.types.is_timestamp(field.type) and field.type.tz is None:
            raise FileRefused(
                "unclear_time",
                f"{field.name} of landing.read.{found.dataset} is a timestamp without a zone, which"
                f" DuckDB makes of texts in UTC, too: write {field.name}::timestamptz where it is"
                f" UTC, {field.name}::varchar where it is in {zone}",
            )


def _piece(dataset: str, table: pa.Table, unread: tuple[str, ...]) -> Piece:
    rows = np.arange(table.num_rows)
    return Piece(lambda: [Chunk(dataset, table, rows, table.num_rows, (), unread)])


def _refusal(code: int, said: bytes, late: bool, seconds: int) -> FileRefused:
    why = (said.decode("utf-8", "replace").strip().splitlines() or [""])[-1]
    if late:
        return FileRefused("select_failed", f"its select ran for {seconds} s, and was ended")
    # what is ended by a signal, or by C++, has found no memory
    if why == "OutOfMemory" or "bad_alloc" in why or "emory" in why or code < 0:
        return FileRefused(
            "select_failed", f"its select needs more than {ADDRESS_SPACE / 2**30:g} GiB of memory"
        )
    return FileRefused("select_failed", why[:300])
