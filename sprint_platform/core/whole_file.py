"""Files that appear whole: written under a temporary name in the same folder, then renamed.

A process that is killed leaves its temporary file; whoever writes into that folder next removes it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sprint_platform.core.locks import is_alive

# ".<name>.<process>.tmp", and the log that DuckDB writes beside a database
_TEMPORARY = re.compile(r"(\..+\.(\d{1,9})\.tmp)(?:\.wal)?")
_of_this_process: set[Path] = set()


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields the temporary path to write to, which replaces ``path`` at the end of the block; after
    an exception ``path`` is as it was. Makes the folder where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_beside(path) as temporary:
        yield temporary
        os.replace(temporary, path)


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the folder of ``path``, for a file or a folder. What is there at
    the end of the block is removed, and at its beginning what killed processes left there."""
    remove_left(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    _of_this_process.add(temporary)
    try:
        yield temporary
    finally:
        _of_this_process.discard(temporary)
        _remove(temporary)
        _remove(temporary.with_name(f"{temporary.name}.wal"))


def remove_whole(folder: Path) -> None:
    """Removes the folder with what is in it, for readers in one step."""
    with temporary_beside(folder) as gone:
        os.replace(folder, gone)


def remove_left(folder: Path) -> None:
    """Removes the temporary files that killed processes left in the folder."""
    try:
        names = os.listdir(folder)
    except OSError:
        return  # whoever then writes there gets the error
    for name in names:
        if (found := _TEMPORARY.fullmatch(name)) is None:
            continue
        process = int(found[2])
        # in a container every process may have the number of the one that was killed
        own = process == os.getpid()
        if not (folder / found[1] in _of_this_process if own else is_alive(process)):
            # a reader may not remove it, and another process may have
            with suppress(OSError):
                _remove(folder / name)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
