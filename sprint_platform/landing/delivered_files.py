"""The files of the landing folder that one landing reads: what is new or changed.

Those that can be read as a whole are staged and entered into the register; the others are refused,
and what an earlier version of them had stays landed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from sprint_platform.landing.files import FileRefused, Found, content_digest, discover
from sprint_platform.landing.forgotten import forgotten_players
from sprint_platform.landing.intake import Intake, Reading, enter, take_in
from sprint_platform.landing.register import Entries, LandingError, landed_dir
from sprint_platform.landing.staging import staged_path
from sprint_platform.title import Title

# A file's number is made of its landing's number and its place in it: no two versions share one.
FILES_A_LANDING = 1 << 24


@dataclass(frozen=True)
class _Candidate:
    """A file that is being read, and its content's digest."""

    found: Found
    digest: str
    reading: Reading


class DeliveredFiles:
    """What one landing makes of the landing folder.

    After ``take_in``: ``new`` has each file that was taken in by its number, with its status (new
    or changed), ``replaced`` the numbers of older versions, ``refused`` what cannot be read,
    ``restored`` what is back as it was before it was refused, and ``gone`` the names of refused
    files that are no longer there. ``passing`` says whether a file was refused that the next
    landing reads again."""

    def __init__(
        self, entries: Entries, title: Title, watch: Callable[[str, int], None] | None
    ) -> None:
        self.entries, self.con = entries, entries.con
        self.title, self.watch = title, watch
        self.mapping = title.landing_fingerprint
        self.forgotten = forgotten_players(title.name)
        self.new: dict[int, tuple[Found, Literal["new", "changed"]]] = {}
        self.replaced: list[int] = []
        self.refused: list[tuple[Found, FileRefused, str | None]] = []
        self.restored: list[Found] = []
        self.gone: list[str] = []
        self.passing = False
        self._taken: list[Intake] = []
        self._entered: list[dict[str, object]] = []
        self._numbered = 0
        columns = "content_digest, bytes, modified_ns, changed_ns, mapping"
        self._landed = {
            name: row
            for name, *row in self.con.execute(
                f"select name, file_no, {columns} from files"
            ).fetchall()
        }
        # versions whose staged files are gone: somebody cleared the folder, or the disk lost them
        self._lost = {
            file_no
            for file_no, dataset, key in self.con.execute(
                "select distinct file_no, batches.dataset, staged_key from batches"
                " join files using (file_no)"
            ).fetchall()
            if not staged_path(title.name, key, dataset).exists()
        }
        self._refused_before = {
            name: row
            for name, *row in self.con.execute(
                f"select name, {columns}, reason, detail from refused"
            ).fetchall()
        }

    @property
    def any(self) -> bool:
        """Whether there is any news."""
        return bool(self.new or self.refused or self.restored or self.gone)

    def take_in(self) -> None:
        """Stages what is new or changed, and enters it into the register.

        Raises LandingError where a landed file was read by another mapping, and is not read
        again."""
        waiting = None
        lying = discover(self.title)
        for found in lying:
            candidate = self._consider(found)
            if candidate and waiting:
                self._take_in(waiting)
            waiting = candidate or waiting
        if waiting:
            self._take_in(waiting)
        self._check_mapping()
        self.gone = [name for name in self._refused_before if name not in {f.name for f in lying}]
        self._enter()

    def _consider(self, found: Found) -> _Candidate | None:
        """Starts to read the file where it is new or changed; None where it is not, or is
        refused."""
        con = self.con
        known, refused = self._landed.get(found.name), self._refused_before.get(found.name)
        mapping = self.mapping
        stat = (found.size, found.modified_ns, found.changed_ns, mapping)
        newest = refused if refused is not None else (known[1:] if known else None)
        if refused is not None and refused[0] is None:
            newest = None  # not for what it says: perhaps it can be read now
        if known and known[0] in self._lost:
            known = newest = None  # to be read again
        if newest is not None and tuple(newest[1:5]) == stat:
            return None
        refusal = found.refusal
        if refusal is None:
            try:
                digest = content_digest(found.path)
            except FileRefused as error:
                refusal = error
        if refusal is not None:
            self._refuse(found, refusal, None)
            return None
        if newest is not None and (newest[0], newest[4]) == (digest, mapping):
            # touched, but says the same
            table = "refused" if refused is not None else "files"
            con.execute(
                f"update {table} set bytes = ?, modified_ns = ?, changed_ns = ? where name = ?",
                [*stat[:3], found.name],
            )
            return None
        if known and (known[1], known[5]) == (digest, mapping):
            # the version that is landed is back in place of one that was refused
            con.execute("delete from refused where name = ?", [found.name])
            con.execute(
                "update files set bytes = ?, modified_ns = ?, changed_ns = ? where name = ?",
                [*stat[:3], found.name],
            )
            self.restored.append(found)
            return None
        return _Candidate(found, digest, Reading(self.title, found, self.forgotten))

    def _take_in(self, candidate: _Candidate) -> None:
        """Stages what the file holds, or refuses it."""
        found, digest = candidate.found, candidate.digest
        known = self._landed.get(found.name)
        file_no = self.entries.landing * FILES_A_LANDING + self._numbered
        key = hashlib.blake2b(
            f"{found.name}\0{digest}\0{self.mapping}".encode(), digest_size=12
        ).hexdigest()
        self._numbered += 1
        try:
            intake = take_in(self.entries, self.title, candidate.reading, file_no, key, self.watch)
        except FileRefused as error:
            self._refuse(found, error, digest)
            return
        if known:
            self.replaced.append(known[0])
        self._taken.append(intake)
        self._entered.append(
            {
                "file_no": file_no, "name": found.name, "dataset": found.dataset,
                "staged_key": key, "content_digest": digest, "bytes": found.size,
                "modified_ns": found.modified_ns, "changed_ns": found.changed_ns,
                "mapping": self.mapping, "notes": "; ".join(sorted(intake.notes)) or None,
                "landing": self.entries.landing,
            }
        )  # fmt: skip
        self.new[file_no] = (found, "changed" if known else "new")

    def _refuse(self, found: Found, refusal: FileRefused, digest: str | None) -> None:
        """Notes the refusal; one that is for no content has no digest. What is refused as it was
        before is no news."""
        if refusal.passing:
            self.passing, digest = True, None
        stat = (found.size, found.modified_ns, found.changed_ns, self.mapping)
        news = [digest, *stat, refusal.code, refusal.detail]
        if self._refused_before.get(found.name) != news:
            self.refused.append((found, refusal, digest))

    def _enter(self) -> None:
        """Adds the files that were taken in, and those that were refused, to the register."""
        names = [found.name for found, _ in self.new.values()]
        names += [found.name for found, _, _ in self.refused]
        # what was refused and is no longer there: it was renamed, say
        names += self.gone
        self.con.execute("delete from refused where name in (select unnest(?))", [names])
        refused = [
            {
                "name": found.name, "dataset": found.dataset, "content_digest": digest,
                "bytes": found.size, "modified_ns": found.modified_ns,
                "changed_ns": found.changed_ns, "mapping": self.mapping, "reason": refusal.code,
                "detail": refusal.detail, "landing": self.entries.landing,
            }
            for found, refusal, digest in self.refused
        ]  # fmt: skip
        for table, rows in (("files", self._entered), ("refused", refused)):
            if rows:
                self.entries.add(table, pa.Table.from_pylist(rows))
        enter(self.entries, self._taken)

    def _check_mapping(self) -> None:
        """Raises LandingError where a landed file was read by another mapping, and is not read
        again: what is admitted would depend on earlier landings."""
        again = {found.name for found, _ in self.new.values()}
        old = [name for name, row in self._landed.items() if row[5] != self.mapping]
        left = sorted(set(old) - again)
        if left:
            why = {found.name: f": {refusal}" for found, refusal, _ in self.refused}
            raise LandingError(
                f"{self.title.name}: {len(left)} landed files cannot be read by the changed mapping"
                " or settings, as they are no longer there or were refused (first:"
                f" {left[0]}{why.get(left[0], '')});"
                " nothing was changed: put them back, or move"
                f" {landed_dir(self.title.name)} away and land what there is"
            )
