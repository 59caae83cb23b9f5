"""The bytes of a landed file: opened, recognised by the first of them, unpacked, never a bomb."""

from __future__ import annotations

import gzip
import io
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol

import pyarrow as pa

from sprint_platform.landing.files import FileRefused, Found, open_file, unreadable

# A compressed file that grows by more than this, and to more than this, is no telemetry.
BOMB_FOLD = 250
BOMB_BYTES = 64 * 2**20
_STEP = 1 << 20

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
PARQUET_MAGIC = b"PAR1"
# A file that begins with one of these is no text, whatever its name says.
BINARY = {
    PARQUET_MAGIC: "Parquet",
    b"PK\x03\x04": "a zip archive",
    GZIP_MAGIC: "gzip",
    ZSTD_MAGIC: "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "a 7z archive",
    b"SQLite": "a SQLite database",
}


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@contextmanager
def opened(found: Found) -> Iterator[Readable]:
    """The file's unpacked bytes, read in order. Raises FileRefused on opening and on reading."""
    with open_file(found.path) as file:
        plain = _Plain(file)
        begin = plain.read(4)
        if not begin:
            raise FileRefused("empty_file", "it has no bytes")
        file.seek(0)
        if not found.compression:
            yield plain
        else:
            magic = GZIP_MAGIC if found.compression == "gz" else ZSTD_MAGIC
            if not begin.startswith(magic):
                half = magic.startswith(begin)
                raise FileRefused(
                    "half_written" if half else "not_its_format",
                    f"it does not begin as a .{found.compression} file does",
                )
            yield _Unpacked(file, found)


class _Plain:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int, /) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            raise unreadable(error) from error


class _Unpacked:
    """Reads through gzip or zstd; raises FileRefused for whatever is wrong."""

    def __init__(self, file: BinaryIO, found: Found) -> None:
        self._packed = file.seek(0, io.SEEK_END)
        file.seek(0)
        self._out = 0
        self._stream: Readable
        if found.compression == "gz":
            self._stream = gzip.GzipFile(fileobj=file, mode="rb")
        else:
            self._stream = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")

    def read(self, size: int, /) -> bytes:
        parts: list[bytes] = []
        while size > 0 and (part := self._part(min(size, _STEP))):
            parts.append(part)
            size -= len(part)
            self._out += len(part)
            if self._out > max(BOMB_BYTES, BOMB_FOLD * self._packed):
                raise FileRefused(
                    "decompression_bomb",
                    f"its {self._packed:,} bytes unpack to more than {BOMB_FOLD} times as many",
                )
        return b"".join(parts)

    def _part(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except EOFError as error:
            raise cut_off() from error
        except (OSError, zlib.error, pa.ArrowException, ValueError) as error:
            if "Truncated" in str(error):
                raise cut_off() from error
            raise unreadable(error) from error


def cut_off() -> FileRefused:
    return FileRefused("half_written", "it ends in the middle: deliver it again, whole")


@contextmanager
def seekable(found: Found) -> Iterator[BinaryIO]:
    """The file's unpacked bytes, to be read in any order (a packed one through a temporary
    file)."""
    if not found.compression:
        with open_file(found.path) as file:
            yield file
    else:
        with opened(found) as stream, tempfile.TemporaryFile() as unpacked:
            while part := stream.read(_STEP):
                unpacked.write(part)
            unpacked.seek(0)
            yield unpacked


def refuse_binary(begin: bytes, found: Found) -> None:
    """Refuses a file whose first bytes are not those of UTF-8 text."""
    for magic, name in BINARY.items():
        if begin.startswith(magic):
            raise FileRefused("not_its_format", f"it is {name}, not {found.format}")
    if begin.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileRefused("not_utf8", "it is UTF-16: write it as UTF-8")


def refuse_nul(block: bytes) -> None:
    """Refuses text with NUL bytes: UTF-16, or what a crash left of a file."""
    if b"\0" in block:
        raise FileRefused("not_its_format", "it has NUL bytes: it is no text, or damaged")
