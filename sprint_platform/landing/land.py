"""Landing files that others deliver. ``land`` is the only entry point.

What is landed depends on the files that were ever in the landing folder (each name with its newest
readable content), never on the order in which they came: a late file, a changed one and a second
try give the partitions that one landing of everything would give. One landing is one transaction
on the title's register; partitions are put in place after it, and the next landing finishes one
that was killed in between.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from sprint_platform.core.locks import Kind, Lock, hold
from sprint_platform.core.whole_file import whole_file
from sprint_platform.landing.admission import ONE_DAY, Admission
from sprint_platform.landing.files import (
    FileRefused,
    Found,
    content_digest,
    discover,
)
from sprint_platform.landing.forgotten import forgotten_players
from sprint_platform.landing.intake import Intake, Reading, enter, take_in
from sprint_platform.landing.register import (
    Entries,
    LandingError,
    open_register,
    register_path,
)
from sprint_platform.landing.reopening import Reopened, reopen, waiting_days
from sprint_platform.landing.staging import EPOCH, staged_path
from sprint_platform.places import data_dir
from sprint_platform.storage.digest import Digest, digest_table
from sprint_platform.storage.partitions import (
    Manifest,
    PartitionError,
    checked_paths,
    read_manifest,
)
from sprint_platform.telemetry.contracts import DAILY, DATASETS
from sprint_platform.title import Title

Watch = Callable[[str, int], None]
# A report names so many of the sessions that a file's heartbeats wait for.
MOST_WAITS = 3
# A file's number is made of its landing's number and its place in it: no two versions share one.
FILES_A_LANDING = 1 << 24
# What to do where values of a type cannot be read.
REMEDIES = {
    "timestamp": "times are ISO 8601, or numbers with epoch_unit; landing.read takes others, by"
    " strptime",
    **dict.fromkeys(
        ("position", "money"),
        "numbers have a decimal point; landing.read takes others, by decimal_separator",
    ),
}


class TooManyRejects(LandingError):
    """A landing that would reject a larger share than its title allows."""


@dataclass(frozen=True)
class FileReport:
    """One file and one of its datasets; ``rows_read`` is the sum of the four counts after it."""

    dataset: str
    file: str
    status: Literal["new", "changed", "refused", "touched"]
    reason: str | None
    detail: str | None
    notes: str | None
    rows_read: int
    accepted: int
    rejected: int
    duplicates: int
    waiting: int


@dataclass(frozen=True)
class PartitionChange:
    """A partition that holds other records now. Products have no days: theirs is 1970-01-01."""

    dataset: str
    day: date
    rows_before: int | None
    rows_after: int
    digest: str
    why: str


@dataclass(frozen=True)
class Landing:
    """What a landing changed."""

    number: int
    changes: tuple[PartitionChange, ...]


@dataclass(frozen=True)
class LandReport:
    """What ``land`` did (or would do): the files that it read or refused or whose counts changed,
    and the partitions that change. ``number`` is 0 where there was nothing to land."""

    number: int
    files: tuple[FileReport, ...]
    changes: tuple[PartitionChange, ...]
    seconds: float

    @property
    def days(self) -> list[date]:
        """The days of the partitions that change."""
        return sorted({change.day for change in self.changes} - {EPOCH})


def landed_dir(title: str) -> Path:
    """The folder of a title's register, staged files and landed products."""
    return data_dir() / "landed" / title


def landing_lock(title: str) -> Lock:
    """The lock under which the title's register is written or read."""
    path = landed_dir(title) / "landing.lock"
    return Lock(Kind.LANDING, path, f"the landing register of {title}")


def land(
    title: Title, *, dry_run: bool = False, watch: Watch | None = None, today: date | None = None
) -> LandReport:
    """Lands what is new or changed in the title's landing folder.

    Files that cannot be read are refused, one by one, with a reason, and the others land. Raises
    LandingError, having changed nothing, when a larger share of a dataset's records is rejected
    than the title allows. Records of days after ``today`` (in UTC) wait for a landing on their day
    or after it. ``watch`` is called with (what, rows) as they go by. With
    ``dry_run`` nothing is landed, and the report says what would be; drafts are removed.
    """
    if not title.lands:
        raise LandingError(
            f"title {title.name} is simulated: nothing is landed for it"
            " (source: landing in its YAML changes that)"
        )
    _check_names(title)
    try:
        report = _land(title, dry_run, watch, today or datetime.now(UTC).date())
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise LandingError(
            f"{title.name}: {error.strerror or error}{where}: mend that, and land again"
        ) from error
    # the load that follows in this process needs the memory that Arrow holds in reserve
    pa.default_memory_pool().release_unused()
    return report


def _check_names(title: Title) -> None:
    """Raises LandingError where the mapping names a column that the contract never had: it would be
    ignored."""
    mapping = title.landing_settings.mapping
    mapped = [
        (f"{part}.{dataset}.{name}", name, [column.name for column in DATASETS[dataset].columns])
        for part, of in (("columns", mapping.columns), ("defaults", mapping.defaults))
        for dataset, names in of.items()
        for name in names
    ]
    former = {name for dataset in DATASETS.values() for name in dataset.former_columns}
    words = sorted({c.name for dataset in DATASETS.values() for c in dataset.columns})
    mapped += [(f"values.{name}", name, words) for name in mapping.values]
    for where, name, known in mapped:
        if name not in known and name not in former:
            raise LandingError(
                f"{title.name}: landing.mapping.{where}: the contract has no such column"
                f" (it has {', '.join(known)}); the contract's name comes first, then yours"
            )


def _land(title: Title, dry_run: bool, watch: Watch | None, today: date) -> LandReport:
    began = time.perf_counter()
    folder = landed_dir(title.name)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        hold(landing_lock(title.name), f"a landing of {title.name}"),
        open_register(title.name, dry_run=dry_run) as con,
    ):
        state = folder_state(title)
        astray = _astray(con, title)
        con.begin()
        landing = _OneLanding(con, title, state, watch, today)
        done = False
        try:
            report = landing.run(astray, began)
            if not dry_run:
                con.commit()
                done = True
        except TooManyRejects:
            if not dry_run:
                _write_whole(folder / "held_back", _held_back(title, state) + "\n")
            raise
        finally:
            if not done:
                landing.admission.discard()
                # a commit that failed has rolled back already
                with suppress(duckdb.TransactionException):
                    con.rollback()
                sweep_staged(con, title.name)
        if done:
            landing.put_in_place()
            _announce(con, title)
            _write_whole(folder / "state", state + "\n")
            _write_whole(folder / "next_day", f"{landing.next_day() or ''}\n")
            sweep_staged(con, title.name)
    return report


@dataclass(frozen=True)
class _Candidate:
    """A file that is being read, and its content's digest."""

    found: Found
    digest: str
    reading: Reading


class _OneLanding:
    """The steps of one landing, inside its transaction."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        title: Title,
        state: str,
        watch: Watch | None,
        today: date,
    ) -> None:
        self.con, self.title, self.state, self.watch = con, title, state, watch
        self.today = today
        self.entries = Entries(con)
        self.number = self.entries.landing
        self.mapping = title.landing_fingerprint
        self.forgotten = forgotten_players(title.name)
        self.admission = Admission(self.entries, title, self.mapping, today)
        self.new: dict[int, tuple[Found, str]] = {}  # file_no -> the file, and its status
        self.replaced: list[int] = []
        self.refused: list[tuple[Found, FileRefused, str | None]] = []
        self.restored: list[Found] = []
        self.gone: list[str] = []
        self.changes: list[PartitionChange] = []
        self.keys: list[str] = []
        self.intakes: list[Intake] = []
        self.files: list[dict[str, object]] = []
        self.astray: set[tuple[str, date]] = set()
        self.names_of_day: dict[tuple[str, date], set[str]] = {}
        columns = "content_digest, bytes, modified_ns, changed_ns, mapping"
        self.landed = {
            name: row
            for name, *row in con.execute(f"select name, file_no, {columns} from files").fetchall()
        }
        # versions whose staged files are gone: somebody cleared the folder, or the disk lost them
        self.lost = {
            file_no
            for file_no, dataset, key in con.execute(
                "select distinct file_no, batches.dataset, staged_key from batches"
                " join files using (file_no)"
            ).fetchall()
            if not staged_path(title.name, key, dataset).exists()
        }
        self.refused_before = {
            name: row
            for name, *row in con.execute(
                f"select name, {columns}, reason, detail from refused"
            ).fetchall()
        }
        self.passing = False  # whether a file was refused that the next landing reads again

    def run(self, astray: Reopened, began: float) -> LandReport:
        self.astray = {(name, day) for name, days in astray.partitions.items() for day in days}
        before = _counts(self.con)
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
        self.gone = [name for name in self.refused_before if name not in {f.name for f in lying}]
        self._enter()
        reopened = reopen(self.con, self.title, list(self.new), self.replaced, self.today)
        for days, more in (
            (reopened.partitions, astray.partitions),
            (reopened.unassigned, astray.unassigned),
        ):
            for dataset, of in more.items():
                days[dataset] |= of
        self._reopen_pruned(reopened)
        self.admission.admit(reopened, self.watch)
        self.entries.flush()
        self._check_limit()
        self._collect_changes()
        self.entries.flush()
        after = _counts(self.con)
        _check_sums(after)
        if not (self.new or self.refused or self.restored or self.gone or self.changes):
            return LandReport(0, (), (), time.perf_counter() - began)
        self.con.execute("insert into landings values (?, ?)", [self.number, self.state])
        return LandReport(
            self.number,
            tuple(self._file_reports(before, after)),
            tuple(self.changes),
            time.perf_counter() - began,
        )

    def _reopen_pruned(self, reopened: Reopened) -> None:
        """Adds the pruned partitions of the days: these are built again, and need them. They are
        made of what is staged."""
        days = {day for dataset in DAILY for day in reopened.partitions[dataset]}
        for dataset in DAILY:
            reopened.partitions[dataset] |= {
                day for day in days if (there := self._manifest(dataset, day)) and there.pruned
            }

    def _consider(self, found: Found) -> _Candidate | None:
        """Starts to read the file where it is new or changed; None where it is not, or is
        refused."""
        con = self.con
        known, refused = self.landed.get(found.name), self.refused_before.get(found.name)
        mapping = self.mapping
        stat = (found.size, found.modified_ns, found.changed_ns, mapping)
        newest = refused if refused is not None else (known[1:] if known else None)
        if refused is not None and refused[0] is None:
            newest = None  # not for what it says: perhaps it can be read now
        if known and known[0] in self.lost:
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
        known = self.landed.get(found.name)
        file_no = self.number * FILES_A_LANDING + len(self.keys)
        key = hashlib.blake2b(
            f"{found.name}\0{digest}\0{self.mapping}".encode(), digest_size=12
        ).hexdigest()
        self.keys.append(key)
        try:
            intake = take_in(self.entries, self.title, candidate.reading, file_no, key, self.watch)
        except FileRefused as error:
            self._refuse(found, error, digest)
            return
        if known:
            self.replaced.append(known[0])
        self.intakes.append(intake)
        self.files.append(
            {
                "file_no": file_no, "name": found.name, "dataset": found.dataset,
                "staged_key": key, "content_digest": digest, "bytes": found.size,
                "modified_ns": found.modified_ns, "changed_ns": found.changed_ns,
                "mapping": self.mapping, "notes": "; ".join(sorted(intake.notes)) or None,
                "landing": self.number,
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
        if self.refused_before.get(found.name) != news:
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
                "detail": refusal.detail, "landing": self.number,
            }
            for found, refusal, digest in self.refused
        ]  # fmt: skip
        for table, rows in (("files", self.files), ("refused", refused)):
            if rows:
                self.entries.add(table, pa.Table.from_pylist(rows))
        enter(self.entries, self.intakes)

    def _check_mapping(self) -> None:
        """Raises LandingError where a landed file was read by another mapping, and is not read
        again: what is admitted would depend on earlier landings."""
        again = {found.name for found, _ in self.new.values()}
        old = [name for name, row in self.landed.items() if row[5] != self.mapping]
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

    def _check_limit(self) -> None:
        limit = self.title.landing_settings.reject_limit
        for dataset, read, rejected in self.con.execute(
            "select dataset, sum(rows_read), sum(rejected) from ("
            " select dataset, rows_read, rejected from file_records where file_no in"
            "  (select unnest($new))"
            " union all select dataset, 0, rejected from verdicts where file_no in"
            "  (select unnest($new))) group by dataset order by dataset",
            {"new": list(self.new)},
        ).fetchall():
            if rejected > limit * read:
                reasons = self._rejects_of(list(self.new), dataset)
                raise TooManyRejects(
                    f"{self.title.name}: {rejected:,} of {read:,} {dataset} would be rejected"
                    f" ({rejected / read:.1%}, the limit is {limit:.1%}): {reasons}; nothing was"
                    " changed: mend the files or the mapping, or raise landing.reject_limit"
                )

    def _rejects_of(self, files: list[int], dataset: str) -> str:
        """The most frequent reasons for the files' rejects, each with the first such record."""
        reasons = self.con.execute(
            "select reason, column_name, count(*),"
            " arg_min(name || ' row ' || row || ' ' || left(record, 160), row)"
            " from rejected join files using (file_no)"
            " where rejected.dataset = ? and file_no in (select unnest(?))"
            " group by 1, 2 order by 3 desc, 1, 2 limit 3",
            [dataset, files],
        ).fetchall()
        return "; ".join(
            f"{n:,} {self._in_words(dataset, reason, column)} (first: {where})"
            for reason, column, n, where in reasons
        )

    def _in_words(self, dataset: str, reason: str, column: str | None) -> str:
        """A reason, its column, and what to do where that is known."""
        why, _, remedy = reason.partition(": ")
        if column == "team_id" and why == "out_of_range":
            remedy = "team numbers begin with 1; teams: labels takes 0 and 1, too"
        elif why == "unparseable":
            types = {c.name: c.type for c in DATASETS[dataset].columns}
            remedy = REMEDIES.get(types.get(column or "", ""), "")
        of = f" of {column}" if column else ""
        launch = f" ({self.title.launch_date})" if why == "before_launch" else ""
        return f"{why}{of}{launch}" + (f": {remedy}" if remedy else "")

    def _details(self, file_no: int, dataset: str, counts: _Counts) -> Iterator[str]:
        """Why records of a file were rejected, and what others wait for."""
        _, _, rejected, _, waiting = counts.numbers
        if rejected:
            yield self._rejects_of([file_no], dataset)
        if waiting:
            yield from waits_of(self.con, file_no, dataset, self.today)

    def _collect_changes(self) -> None:
        """Notes the partitions whose records changed, and discards the others."""
        found = self.con.execute(
            "select distinct batches.dataset, day, name from batches join files using (file_no)"
            " where file_no in (select unnest(?))",
            [list(self.new)],
        ).fetchall()
        for dataset, day, name in found:
            self.names_of_day.setdefault((dataset, day), set()).add(name)
        admission = self.admission
        for (dataset, day), partition in sorted(admission.finished.items()):
            manifest = partition.manifest
            before = self._in_place(dataset, day)
            digest = before.digest if before else str(Digest())
            same = digest == manifest.digest and (dataset, day) not in self.astray
            if same:
                partition.discard()
                del admission.finished[dataset, day]
                continue
            self._change(
                dataset, day, before.rows if before else None, manifest.rows, manifest.digest
            )
        if admission.products is not None:
            held = landed_products(self.title)
            digest = str(digest_table(admission.products))
            if digest == str(digest_table(held)):
                admission.products = None
            else:
                self._change("products", EPOCH, held.num_rows, admission.products.num_rows, digest)

    def _in_place(self, dataset: str, day: date) -> Manifest | None:
        """The manifest in place; None where it is missing or damaged, or the partition was
        pruned."""
        manifest = self._manifest(dataset, day)
        return None if manifest is None or manifest.pruned else manifest

    def _manifest(self, dataset: str, day: date) -> Manifest | None:
        """The manifest in place; None where it is missing or damaged."""
        try:
            return read_manifest(self.title.name, dataset, day)
        except PartitionError:
            return None

    def _change(self, dataset: str, day: date, before: int | None, after: int, digest: str) -> None:
        change = PartitionChange(dataset, day, before, after, digest, self._why(dataset, day))
        self.changes.append(change)
        self.entries.add(
            "changes",
            pa.table(
                {
                    "landing": [self.number], "dataset": [dataset], "day": [day],
                    "rows_before": pa.array([before], pa.int64()), "rows_after": [after],
                    "digest": [digest], "why": [change.why], "written": [False],
                }
            ),
        )  # fmt: skip

    def _why(self, dataset: str, day: date) -> str:
        """Why the partition changed, in one line: this landing's files with records for it."""
        names = {
            name
            for own in (day, _last_own_day(dataset, day))
            for name in self.names_of_day.get((dataset, own), ())
        }
        if (dataset, day) in self.astray:
            return "it was lost or damaged, and is made again from what is staged"
        pruned = self._manifest(dataset, day)
        if pruned is not None and pruned.pruned:
            return "it was pruned, and is made again from what is staged, as its day changed"
        if names:
            files = [
                f"{'changed' if status == 'changed' else 'new'} {found.name}"
                for found, status in self.new.values()
                if found.name in names
            ]
            more = f" and {len(files) - 2} more" if len(files) > 2 else ""
            return ", ".join(files[:2]) + more
        if dataset == "heartbeats":
            return "its sessions changed: heartbeats that waited are admitted, or wait again"
        changed = sorted(f.name for f, status in self.new.values() if status == "changed")
        if changed:
            return f"changed {changed[0]}: records of the day are gone from it, or moved"
        return "a session moved to another day"

    def _file_reports(
        self, before: dict[tuple[int, str], _Counts], after: dict[tuple[int, str], _Counts]
    ) -> list[FileReport]:
        reports = []
        restored = {found.name for found in self.restored}
        for key, counts in after.items():
            if key[0] in self.new:
                status: Literal["new", "changed", "refused", "touched"] = (
                    "changed" if self.new[key[0]][1] == "changed" else "new"
                )
            elif before.get(key) != counts or counts.name in restored:
                status = "touched"
            else:
                continue
            reports.append(
                FileReport(
                    key[1],
                    counts.name,
                    status,
                    None,
                    "; ".join(self._details(key[0], key[1], counts)) or None,
                    counts.notes,
                    *counts.numbers,
                )
            )
        for found, refusal, _ in self.refused:
            reports.append(
                FileReport(
                    found.dataset, found.name, "refused", refusal.code, refusal.detail, None,
                    0, 0, 0, 0, 0,
                )
            )  # fmt: skip
        return sorted(reports, key=lambda report: (report.file, report.dataset))

    def next_day(self) -> date | None:
        """The first day to come on which there is something to land, though no file changes."""
        days = [day for _, day in waiting_days(self.con, self.title) if day > self.today]
        if self.passing:
            days.append(self.today + ONE_DAY)
        return min(days, default=None)

    def put_in_place(self) -> None:
        """Puts the partitions' manifests, and the products, in place: after the commit."""
        for partition in self.admission.finished.values():
            partition.commit()
        if self.admission.products is not None:
            with whole_file(_products_path(self.title)) as temporary:
                pq.write_table(self.admission.products, temporary)
        self.con.execute("update changes set written = true where not written")


def waits_of(
    con: duckdb.DuckDBPyConnection, file_no: int, dataset: str, today: date
) -> Iterator[str]:
    """What the waiting records of a landed file wait for, the most frequent first."""
    if dataset != "heartbeats":
        waiting = con.execute(
            "select day, sum(waiting)::bigint from verdicts where file_no = ? and dataset = ?"
            " group by day having sum(waiting) > 0 order by day",
            [file_no, dataset],
        ).fetchall()
        lines = [f"{n:,} of {dataset} wait for {day}, which is to come" for day, n in waiting]
    else:
        waiting = con.execute(
            "select waiting.day, coalesce(session.source_id, waiting.session_id::varchar),"
            " string_agg(distinct coalesce(player.source_id, waiting.player_id::varchar), ', '),"
            " any_value(starts.day), sum(heartbeats)::bigint as records"
            " from (select * from pending where file_no = ? and not far) as waiting"
            " left join source_ids as session"
            "  on session.kind = 'session' and session.id = waiting.session_id"
            " left join source_ids as player"
            "  on player.kind = 'player' and player.id = waiting.player_id"
            " left join starts on starts.dataset = 'sessions' and starts.id = waiting.session_id"
            " group by 1, 2 order by records desc, 2",
            [file_no],
        ).fetchall()
        lines = []
        for day, session, players, start, n in waiting:
            if (start or day) > today:
                lines.append(f"{n:,} heartbeats wait for {start or day}, which is to come")
            elif start is None:
                lines.append(f"{n:,} heartbeats wait for session {session}, which no file has")
            else:
                lines.append(
                    f"{n:,} heartbeats wait for a part of {players} in session {session}, which no"
                    " file has"
                )
    yield from lines[:MOST_WAITS]
    if len(lines) > MOST_WAITS:
        yield f"others wait for {len(lines) - MOST_WAITS:,} more"


def sweep_staged(con: duckdb.DuckDBPyConnection, title: str) -> None:
    """Removes the staged files of no landed version: replaced, refused, undone, or left by a
    landing that was killed."""
    landed = {row[0] for row in con.execute("select staged_key from files").fetchall()}
    for path in (landed_dir(title) / "staged").glob("*"):
        if path.name.rsplit("-", 1)[0] not in landed:
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Counts:
    name: str
    notes: str | None
    numbers: tuple[int, int, int, int, int]


def _counts(con: duckdb.DuckDBPyConnection) -> dict[tuple[int, str], _Counts]:
    """The counts of each landed file's records, by file number and dataset."""
    found = con.execute(
        "select file_no, dataset, any_value(name), any_value(notes), sum(rows_read)::bigint,"
        " sum(accepted)::bigint, sum(rejected)::bigint, sum(duplicates)::bigint,"
        " sum(waiting)::bigint from ("
        " select file_no, dataset, rows_read, 0 as accepted, rejected, 0 as duplicates,"
        "  0 as waiting from file_records union all"
        " select file_no, dataset, 0, accepted, rejected, duplicates, waiting from verdicts"
        ") join (select file_no, name, notes from files) using (file_no) group by file_no, dataset"
    ).fetchall()
    return {
        (file_no, dataset): _Counts(name, notes, tuple(numbers))
        for file_no, dataset, name, notes, *numbers in found
    }


def _check_sums(counts: dict[tuple[int, str], _Counts]) -> None:
    """Raises AssertionError unless every record is accepted, rejected, a duplicate or waiting."""
    for (_, dataset), of_file in counts.items():
        read, *became = of_file.numbers
        if read != sum(became):
            raise AssertionError(
                f"{of_file.name}: {read} {dataset} were read, but {sum(became)} have a verdict:"
                " this is a fault of the platform, and nothing was changed"
            )


def _last_own_day(dataset: str, day: date) -> date:
    return day + ONE_DAY if dataset in ("sessions", "heartbeats") else day


def _astray(con: duckdb.DuckDBPyConnection, title: Title) -> Reopened:
    """The partitions that are not as the last landing that changed them left them: it was killed
    before it put them in place, or their files were lost or cut short since."""
    reopened = Reopened()
    for dataset, day, digest, written in con.execute(
        "select dataset, day, arg_max(digest, landing), bool_and(written) from changes"
        " group by dataset, day"
    ).fetchall():
        if dataset == "products":
            if not (written and _products_path(title).exists()):
                reopened.partitions[dataset].add(day)
            continue
        try:
            manifest = read_manifest(title.name, dataset, day)
            if manifest is not None and manifest.digest == digest:
                if not manifest.pruned:
                    checked_paths(manifest, f"{title.name}/{dataset}", day)
                continue
        except PartitionError:
            pass  # it is damaged, and made again from what is staged
        reopened.partitions[dataset].add(day)
    return reopened


def _announce(con: duckdb.DuckDBPyConnection, title: Title) -> None:
    """Writes a file for each landing that has none yet: a sensor reads these, and never waits for
    the register."""
    folder = landed_dir(title.name) / "landings"
    folder.mkdir(exist_ok=True)
    last = max((int(path.stem) for path in folder.glob("*.json")), default=0)
    for number, state in con.execute(
        "select number, state from landings where number > ? order by number", [last]
    ).fetchall():
        rows = con.execute(
            "select dataset, day, rows_before, rows_after, digest, why from changes"
            " where landing = ? order by dataset, day",
            [number],
        ).fetchall()
        changes = [asdict(PartitionChange(*row)) for row in rows]
        text = json.dumps({"number": number, "state": state, "changes": changes}, default=str)
        _write_whole(folder / f"{number:08d}.json", text + "\n")


def _write_whole(path: Path, text: str) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def days_of_another_mapping(title: Title) -> list[date]:
    """The days with records that were read from their files by another mapping, grid or version of
    landing than today's, ascending: the next landing reads those files again."""
    if not register_path(title.name).exists():
        return []
    asked = "sprint verify"
    with hold(landing_lock(title.name), asked), open_register(title.name, dry_run=True) as con:
        found = con.execute(
            "select distinct day from verdicts join files using (file_no) where mapping <> ?"
            " and accepted > 0 order by day",
            [title.landing_fingerprint],
        ).fetchall()
    return [day for (day,) in found]


def landings_since(title: Title, number: int) -> list[Landing]:
    """What each landing after that number changed, ascending."""
    landings = []
    for path in sorted((landed_dir(title.name) / "landings").glob("*.json")):
        if int(path.stem) > number:
            landing = json.loads(path.read_text(encoding="utf-8"))
            changes = tuple(
                PartitionChange(**(change | {"day": date.fromisoformat(change["day"])}))
                for change in landing["changes"]
            )
            landings.append(Landing(landing["number"], changes))
    return landings


def filled_days(title: Title) -> set[date]:
    """The days with records of any dataset, at some landing."""
    return {
        change.day
        for landing in landings_since(title, 0)
        for change in landing.changes
        if change.rows_after
    }


def folder_state(title: Title) -> str:
    """A digest of the names, sizes and times of the files in the landing folder and of how they are
    read: cheap, and different whenever a file changes (the change time is the system's own)."""
    digest = hashlib.blake2b(title.landing_fingerprint.encode(), digest_size=16)
    digest.update(str(sorted(title.landing_settings.datasets)).encode())
    for found in discover(title):
        stat = (found.name, found.size, found.modified_ns, found.changed_ns)
        digest.update(repr(stat).encode())
    return digest.hexdigest()


def last_landed_state(title: Title) -> str | None:
    """The folder's state at the last landing that succeeded; None before the first."""
    try:
        return (landed_dir(title.name) / "state").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def next_day(title: Title) -> date | None:
    """The day on which there is something to land though no file changes: records wait for it, or
    a file may be readable then. None where there is none."""
    try:
        day = (landed_dir(title.name) / "next_day").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    return date.fromisoformat(day) if day else None


def is_held_back(title: Title) -> bool:
    """Whether the folder, as it is now, had too many rejects for the title's limit."""
    try:
        held_back = (landed_dir(title.name) / "held_back").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return False
    return held_back == _held_back(title, folder_state(title))


def _held_back(title: Title, state: str) -> str:
    return f"{state} {title.landing_settings.reject_limit}"


def landed_products(title: Title) -> pa.Table:
    """The landed products in the contract's schema, empty where there are none."""
    schema = DATASETS["products"].arrow_schema
    try:
        return pq.read_table(_products_path(title), partitioning=None).cast(schema)
    except FileNotFoundError:
        return schema.empty_table()


def _products_path(title: Title) -> Path:
    return landed_dir(title.name) / "products.parquet"
