"""Landing files that others deliver. ``land`` is the only entry point.

What is landed depends on the files that were ever in the landing folder (each name with its newest
readable content), never on the order in which they came: a late file, a changed one and a second
try give the partitions that one landing of everything would give. One landing is one transaction
on the title's register; partitions are put in place after it, and the next landing finishes one
that was killed in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

import duckdb
import pyarrow as pa

from sprint_platform.core.locks import hold
from sprint_platform.landing.admission import ONE_DAY, Admission
from sprint_platform.landing.changed_partitions import ChangedPartitions, manifest_in_place
from sprint_platform.landing.delivered_files import DeliveredFiles
from sprint_platform.landing.explanations import waits_of, why_rejected
from sprint_platform.landing.file_counts import Counts, check_sums, counts_of_files
from sprint_platform.landing.files import folder_state
from sprint_platform.landing.past_landings import PartitionChange, announce, hold_back
from sprint_platform.landing.register import (
    Entries,
    LandingError,
    landed_dir,
    landing_lock,
    open_register,
)
from sprint_platform.landing.reopening import Reopened, astray, reopen, waiting_days
from sprint_platform.landing.staging import EPOCH, sweep_staged
from sprint_platform.telemetry.contracts import DAILY, DATASETS
from sprint_platform.title import Title

Watch = Callable[[str, int], None]


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
    landed_dir(title.name).mkdir(parents=True, exist_ok=True)
    with (
        hold(landing_lock(title.name), f"a landing of {title.name}"),
        open_register(title.name, dry_run=dry_run) as con,
    ):
        state = folder_state(title)
        lost = astray(con, title)
        con.begin()
        landing = _OneLanding(con, title, watch, today, lost)
        done = False
        try:
            report = landing.run(state, began)
            if not dry_run:
                con.commit()
                done = True
        except TooManyRejects:
            if not dry_run:
                hold_back(title, state)
            raise
        finally:
            if not done:
                landing.admission.discard()
                # a commit that failed has rolled back already
                with suppress(duckdb.TransactionException):
                    con.rollback()
                sweep_staged(con, title.name)
        if done:
            landing.changed.put_in_place()
            announce(con, title, state, landing.next_day())
            sweep_staged(con, title.name)
    return report


class _OneLanding:
    """The steps of one landing, inside its transaction. The partitions that are ``lost`` are made
    again."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        title: Title,
        watch: Watch | None,
        today: date,
        lost: Reopened,
    ) -> None:
        self.con, self.title, self.watch = con, title, watch
        self.today, self.lost = today, lost
        self.entries = Entries(con)
        self.delivered = DeliveredFiles(self.entries, title, watch)
        self.admission = Admission(self.entries, title, title.landing_fingerprint, today)
        self.changed = ChangedPartitions(
            self.entries, title, self.admission, self.delivered,
            {(name, day) for name, days in lost.partitions.items() for day in days},
        )  # fmt: skip

    def run(self, state: str, began: float) -> LandReport:
        before = counts_of_files(self.con)
        delivered = self.delivered
        delivered.take_in()
        self.admission.admit(self._reopened(), self.watch)
        self.entries.flush()
        self._check_limit()
        self.changed.collect()
        self.entries.flush()
        after = counts_of_files(self.con)
        check_sums(after)
        if not (delivered.any or self.changed.changes):
            return LandReport(0, (), (), time.perf_counter() - began)
        number = self.entries.landing
        self.con.execute("insert into landings values (?, ?)", [number, state])
        return LandReport(
            number,
            tuple(self._file_reports(before, after)),
            tuple(self.changed.changes),
            time.perf_counter() - began,
        )

    def _reopened(self) -> Reopened:
        """What the files touch, and what was lost. With the pruned partitions of these days: they
        are built again, and need them, which are made of what is staged."""
        new, replaced = list(self.delivered.new), self.delivered.replaced
        reopened = reopen(self.con, self.title, new, replaced, self.today)
        for days, more in (
            (reopened.partitions, self.lost.partitions),
            (reopened.unassigned, self.lost.unassigned),
        ):
            for dataset, of in more.items():
                days[dataset] |= of
        name = self.title.name
        touched = {day for dataset in DAILY for day in reopened.partitions[dataset]}
        for dataset in DAILY:
            reopened.partitions[dataset] |= {
                day
                for day in touched
                if (there := manifest_in_place(name, dataset, day)) and there.pruned
            }
        return reopened

    def _check_limit(self) -> None:
        """Raises TooManyRejects where the new files have more than the title allows."""
        new = list(self.delivered.new)
        limit = self.title.landing_settings.reject_limit
        for dataset, read, rejected in self.con.execute(
            "select dataset, sum(rows_read), sum(rejected) from ("
            " select dataset, rows_read, rejected from file_records where file_no in"
            "  (select unnest($new))"
            " union all select dataset, 0, rejected from verdicts where file_no in"
            "  (select unnest($new))) group by dataset order by dataset",
            {"new": new},
        ).fetchall():
            if rejected > limit * read:
                reasons = why_rejected(self.con, self.title, new, dataset)
                raise TooManyRejects(
                    f"{self.title.name}: {rejected:,} of {read:,} {dataset} would be rejected"
                    f" ({rejected / read:.1%}, the limit is {limit:.1%}): {reasons}; nothing was"
                    " changed: mend the files or the mapping, or raise landing.reject_limit"
                )

    def _file_reports(
        self, before: dict[tuple[int, str], Counts], after: dict[tuple[int, str], Counts]
    ) -> list[FileReport]:
        reports = []
        restored = {found.name for found in self.delivered.restored}
        for (file_no, dataset), counts in after.items():
            status: Literal["new", "changed", "refused", "touched"]
            if file_no in self.delivered.new:
                _, status = self.delivered.new[file_no]
            elif before.get((file_no, dataset)) != counts or counts.name in restored:
                status = "touched"
            else:
                continue
            detail = "; ".join(self._details(file_no, dataset, counts)) or None
            reports.append(
                FileReport(
                    dataset, counts.name, status, None, detail, counts.notes, counts.rows_read,
                    counts.accepted, counts.rejected, counts.duplicates, counts.waiting,
                )
            )  # fmt: skip
        for found, refusal, _ in self.delivered.refused:
            reports.append(
                FileReport(
                    found.dataset, found.name, "refused", refusal.code, refusal.detail, None,
                    0, 0, 0, 0, 0,
                )
            )  # fmt: skip
        return sorted(reports, key=lambda report: (report.file, report.dataset))

    def _details(self, file_no: int, dataset: str, counts: Counts) -> Iterator[str]:
        """Why records of a file were rejected, and what others wait for."""
        if counts.rejected:
            yield why_rejected(self.con, self.title, [file_no], dataset)
        if counts.waiting:
            yield from waits_of(self.con, file_no, dataset, self.today)

    def next_day(self) -> date | None:
        """The first day to come on which there is something to land, though no file changes."""
        days = [day for _, day in waiting_days(self.con, self.title) if day > self.today]
        if self.delivered.passing:
            days.append(self.today + ONE_DAY)
        return min(days, default=None)
