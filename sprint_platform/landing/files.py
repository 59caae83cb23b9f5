"""The files of a title's landing folder, and opening one of them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from sprint_platform.core.errors import printable
from sprint_platform.places import data_dir
from sprint_platform.title import FILE_FORMATS, LANDABLE, Mapping, Title

COMPRESSIONS = ("gz", "zst")
# Endings of files that are still being written; they are renamed when they are whole.
UNFINISHED = (".tmp", ".part", ".crdownload")


class FileRefused(Exception):
    """A file that is not landed. ``code`` is one of the file reasons, ``detail`` says in
    one line what is wrong and what to do. What is ``passing`` is not for the file's content: the
    next landing reads the same file again."""

    def __init__(self, code: str, detail: str, *, passing: bool = False) -> None:
        self.code = code
        self.detail = printable(detail)
        self.passing = passing
        super().__init__(f"{code}: {self.detail}")


@dataclass(frozen=True)
class Found:
    """One file of the landing folder. ``name`` is its path below ``data/landing/<title>``, always
    printable; ``refusal`` says why it cannot be read at all; ``mapping`` is its title's, and
    ``select`` what the title reads its dataset by, if anything."""

    dataset: str
    path: Path
    name: str
    size: int
    modified_ns: int
    changed_ns: int
    refusal: FileRefused | None
    mapping: Mapping = field(default_factory=Mapping)
    select: str = ""

    @property
    def format(self) -> str:
        """One of ``FILE_FORMATS``."""
        return _formats(self.path.name)[0]

    @property
    def compression(self) -> str:
        """``gz``, ``zst`` or an empty text."""
        return _formats(self.path.name)[1]


def landing_dir(title_name: str) -> Path:
    """The folder in which a title's files are delivered, one folder per dataset."""
    return data_dir() / "landing" / title_name


def discover(title: Title) -> list[Found]:
    """Every delivered file, sorted by name, also those that are refused for their place or kind.
    Symbolic links are listed and never followed; a folder that is none of the title's datasets
    is listed as one refusal."""
    settings = title.landing_settings
    root = landing_dir(title.name)
    found: list[Found] = []

    def add(dataset: str, path: Path, refusal: FileRefused | None) -> None:
        try:
            status = path.lstat()
        except OSError:  # it was removed meanwhile
            return
        name = printable_name(path.relative_to(root).as_posix())
        times = (status.st_mtime_ns, status.st_ctime_ns)
        found.append(
            Found(
                dataset, path, name, status.st_size, *times, refusal, settings.mapping,
                settings.read.get(dataset, ""),
            )
        )  # fmt: skip

    def walk(dataset: str, folder: Path) -> None:
        try:
            for entry in _entries(folder):
                path = folder / entry.name
                if entry.is_symlink():
                    add(dataset, path, symlink())
                elif entry.is_dir(follow_symlinks=False):
                    walk(dataset, path)
                elif not entry.is_file(follow_symlinks=False):
                    add(dataset, path, FileRefused("not_a_file", "it is a pipe, socket or device"))
                else:
                    # a select may read what has no format of ours
                    known = dataset in settings.read
                    add(dataset, path, None if known else _unknown_format(entry.name))
        except OSError as error:
            add(dataset, folder, unreadable(error))

    if root.is_symlink():
        add("", root, symlink())
        return found
    if not root.is_dir():
        return []
    try:
        entries = list(_entries(root))
    except OSError as error:
        add("", root, unreadable(error))
        return found
    for entry in entries:
        path = root / entry.name
        if entry.is_symlink():
            add(printable_name(entry.name), path, symlink())
        elif not entry.is_dir(follow_symlinks=False):
            where = ", ".join(f"{dataset}/" for dataset in settings.datasets)
            add("", path, FileRefused("unknown_dataset", f"deliver it into one of {where}"))
        elif entry.name not in settings.datasets:
            add(printable_name(entry.name), path, _unknown_dataset(entry.name, settings.datasets))
        else:
            walk(entry.name, path)
    return sorted(found, key=lambda file: file.name)


def folder_state(title: Title) -> str:
    """A digest of the names, sizes and times of the files in the landing folder and of how they are
    read: cheap, and different whenever a file changes (the change time is the system's own)."""
    digest = hashlib.blake2b(title.landing_fingerprint.encode(), digest_size=16)
    digest.update(str(sorted(title.landing_settings.datasets)).encode())
    for found in discover(title):
        stat = (found.name, found.size, found.modified_ns, found.changed_ns)
        digest.update(repr(stat).encode())
    return digest.hexdigest()


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith((".", "_")) and not entry.name.endswith(UNFINISHED):
                yield entry


def symlink() -> FileRefused:
    """The refusal of a symbolic link."""
    return FileRefused("symlink", "it is a symbolic link: deliver what it points to")


def _unknown_dataset(name: str, datasets: tuple[str, ...]) -> FileRefused:
    if name in LANDABLE:
        detail = f"the title does not say that it delivers {name}: add it to landing.datasets"
    else:
        detail = f"there is no dataset of that name; this title delivers {', '.join(datasets)}"
    return FileRefused("unknown_dataset", detail)


def _unknown_format(name: str) -> FileRefused | None:
    if _formats(name)[0]:
        return None
    known = ", ".join(f".{format}" for format in FILE_FORMATS)
    return FileRefused("unknown_format", f"its name must end in {known}, with .gz or .zst after it")


def _formats(name: str) -> tuple[str, str]:
    stem, _, last = name.lower().rpartition(".")
    compression = last if last in COMPRESSIONS else ""
    if compression:
        stem, _, last = stem.rpartition(".")
    return (last, compression) if stem and last in FILE_FORMATS else ("", compression)


def printable_name(name: str) -> str:
    """Any file's name as text that can be printed and stored; different names stay different."""
    raw = os.fsencode(name).replace(b"\\", b"\\\\")
    return printable(raw.decode("utf-8", "backslashreplace"))


def unreadable(error: Exception) -> FileRefused:
    """The refusal of a file for which the system or a library raised this error."""
    if isinstance(error, OSError) and error.strerror:
        return FileRefused("unreadable", error.strerror, passing=True)
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return FileRefused("unreadable", f"it is damaged ({lines[0][:200]}): deliver it again")


def open_file(path: Path) -> BinaryIO:
    """The regular file, open for reading. Raises FileRefused for anything else: a symbolic link
    is not followed, and a pipe does not block."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0)
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    if path.is_symlink():
        raise symlink()
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise unreadable(error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileRefused("not_a_file", "it is a folder, pipe, socket or device")
    return os.fdopen(descriptor, "rb")


def content_digest(path: Path) -> str:
    """32 hex digits over the file's bytes. Raises FileRefused."""
    digest = hashlib.blake2b(digest_size=16)
    with open_file(path) as file:
        try:
            while block := file.read(1 << 20):
                digest.update(block)
        except OSError as error:
            raise unreadable(error) from error
    return digest.hexdigest()
