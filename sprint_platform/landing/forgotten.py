"""The players who were forgotten: landing leaves out what files say of them.

Nobody is named. ``data/forgotten/<title>.txt`` has a hash of each id, salted with
``data/forgotten/salt``, which every data folder has of its own. Both are readable by their owner
alone: who has both can try ids out.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sprint_platform.landing.files import FileRefused
from sprint_platform.landing.register import LandingError
from sprint_platform.landing.values import convert
from sprint_platform.places import data_dir
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title

_PLAYER_ID = next(c for c in DATASETS["sessions"].columns if c.name == "player_id")
_WORD = re.compile(r"[^\s,;:|\"'\[\](){}<>]+")


@dataclass(frozen=True)
class Forgotten:
    """The forgotten players of a title; falsy where there are none."""

    salt: bytes = b""
    hashes: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.hashes)

    def holds(self, player: bytes) -> bool:
        """Whether the player with this id, 16 bytes, was forgotten."""
        return _hash(self.salt, player) in self.hashes

    def mask(self, players: pa.Array) -> npt.NDArray[np.bool_]:
        """Which rows of a uuid column are of forgotten players."""
        encoded = players.storage.dictionary_encode()
        of_id = np.array([self.holds(player) for player in encoded.dictionary.to_pylist()], bool)
        if not of_id.any():
            return np.zeros(len(players), np.bool_)
        found = of_id[np.asarray(encoded.indices.fill_null(0))]
        return found & np.asarray(players.is_valid())

    def named_in(self, title: Title, records: list[str]) -> list[bool]:
        """Which records that could not be read have one of their ids among their words."""
        words_of = [set(_WORD.findall(record)) for record in records]
        words = sorted(set().union(*words_of))
        theirs = {
            word
            for word, player in zip(words, player_ids(title, words), strict=True)
            if player is not None and self.holds(player)
        }
        return [not words.isdisjoint(theirs) for words in words_of]


NOBODY = Forgotten()


def player_ids(title: Title, texts: list[str]) -> list[bytes | None]:
    """The 16 bytes of the id that landing makes of each of these players' ids in a file of the
    title; None for what is no id: a null word, or a float that no longer counts one by one."""
    try:
        ids = convert(title, _PLAYER_ID, pa.array(texts, pa.string()))
    except FileRefused:
        return [None] if len(texts) == 1 else [player_ids(title, [text])[0] for text in texts]
    found = ids.values.storage.to_pylist()
    return [None if fault else id_ for id_, fault in zip(found, ids.faults.tolist(), strict=True)]


def forgotten_players(title: str) -> Forgotten:
    """The players of the title who were forgotten. Raises LandingError where the salt is gone."""
    path = _path(title)
    if not path.exists():
        return NOBODY
    hashes = frozenset(path.read_text(encoding="ascii").split())
    try:
        return Forgotten(_salt_path().read_bytes(), hashes)
    except FileNotFoundError as error:
        raise LandingError(
            f"{_salt_path()} is missing, without which nobody knows whom {path} leaves out: put it"
            " back; nothing was landed"
        ) from error


def forget(title: str, player: bytes) -> None:
    """Notes that the player was forgotten: no landing after this brings records of the player."""
    if not _salt_path().exists():
        _write(_salt_path(), secrets.token_bytes(32))
    known = forgotten_players(title)
    hashes = {*known.hashes, _hash(_salt_path().read_bytes(), player)}
    _write(_path(title), "".join(f"{line}\n" for line in sorted(hashes)).encode())


def _hash(salt: bytes, player: bytes) -> str:
    return hashlib.blake2b(player, key=salt, digest_size=16).hexdigest()


def _salt_path() -> Path:
    return data_dir() / "forgotten" / "salt"


def _path(title: str) -> Path:
    return data_dir() / "forgotten" / f"{title}.txt"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
