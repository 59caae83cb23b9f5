"""Admission: staged records into the partitions of the days that a landing re-opens.

Days are admitted in order, sessions before heartbeats, so that the sessions of a heartbeat's own
day and of the day before are known. Partitions are finished here, and put in place by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sprint_platform.core.ahead import Behind
from sprint_platform.landing.conform import staged_schema
from sprint_platform.landing.heartbeats import HeartbeatJudge, Parts, StagedBatch, in_share
from sprint_platform.landing.records import (
    Admitted,
    admit_derived_sessions,
    admit_records,
    judge_unassigned,
    let_wait,
)
from sprint_platform.landing.register import Entries, registered
from sprint_platform.landing.reopening import Reopened
from sprint_platform.landing.staging import StagedFiles, staged_path
from sprint_platform.storage.migration import with_columns
from sprint_platform.storage.partitions import (
    FinishedPartition,
    PartitionDraft,
    checked_paths,
    read_manifest,
)
from sprint_platform.telemetry.contracts import DAILY, DATASETS
from sprint_platform.title import Title

ONE_DAY = timedelta(days=1)
# Small days are admitted together, up to so many records.
ROWS_ADMITTED_TOGETHER = 100_000
# Records of a large day that are admitted at once: some 130 bytes each, and thrice as much while
# they are judged.
ROWS_PER_SHARE = 500_000
Watch = Callable[[str, int], None]
_LAST_HEARTBEATS = pa.schema(
    {"session_id": pa.uuid(), "player_id": pa.uuid(), "last_at": pa.timestamp("us")}
)


class Admission:
    """The partitions that one landing makes: ``finished`` by dataset and day, and ``products``.
    The records of days after ``today`` wait, and their partitions are empty."""

    def __init__(self, entries: Entries, title: Title, source: str, today: date) -> None:
        self.entries, self.con = entries, entries.con
        self.title, self.source, self.today = title, source, today
        self.finished: dict[tuple[str, date], FinishedPartition] = {}
        self.products: pa.Table | None = None
        self.derived = "sessions" not in title.landing_settings.datasets

    def admit(self, reopened: Reopened, watch: Watch | None = None) -> None:
        """Makes the re-opened partitions, and judges again the records that none takes."""
        for dataset in (name for name in DAILY if name != "heartbeats"):
            derived = dataset == "sessions" and self.derived
            for days in self._groups(dataset, reopened.partitions[dataset]):
                self._admit_records(dataset, days)
            if derived:
                continue
            away = self._days_away(dataset)
            for day in sorted(reopened.unassigned[dataset]):
                self.entries.forget(dataset, day, unassigned=True)
                if day in away:
                    with self._staged(dataset, [day]):
                        judge_unassigned(self.entries, dataset, day)
        for day in reopened.partitions["products"]:
            self.entries.forget("products", day, unassigned=False)
            with self._staged("products", [day]):
                admitted = admit_records(self.entries, self.title, "products", [day])
            self.products = admitted[day].records
        self._admit_heartbeats(
            frozenset(reopened.partitions["heartbeats"]),
            frozenset(reopened.unassigned["heartbeats"]),
            watch,
        )

    def discard(self) -> None:
        """Removes the files of the finished partitions."""
        for partition in self.finished.values():
            partition.discard()

    def _groups(self, dataset: str, days: set[date]) -> Iterator[list[date]]:
        """The days in groups that are admitted together: many small ones cost as much as one."""
        rows = dict(
            self.con.execute(
                "select day, sum(rows)::bigint from batches where dataset = ? group by day",
                [dataset],
            ).fetchall()
        )
        group: list[date] = []
        total = 0
        for day in sorted(days):
            alone = day > self.today or (dataset == "sessions" and self.derived)
            total += rows.get(day, 0) + (rows.get(day + ONE_DAY, 0) if dataset == "sessions" else 0)
            if group and (alone or total > ROWS_ADMITTED_TOGETHER):
                yield group
                group, total = [], rows.get(day, 0)
            group.append(day)
            if alone:
                yield group
                group, total = [], 0
        if group:
            yield group

    def _days_away(self, dataset: str) -> set[date]:
        """The days with records that may lie on another day than their key's first."""
        found = self.con.execute(
            "select distinct batches.day from mentions join starts using (dataset, id)"
            " join batches on batches.file_no = mentions.file_no"
            "  and batches.dataset = mentions.dataset and batches.day > starts.day"
            "  and batches.day between cast(mentions.first_at as date)"
            "   and cast(mentions.last_at as date)"
            " where mentions.dataset = ? and cast(mentions.last_at as date) > starts.day",
            [dataset],
        ).fetchall()
        return {day for (day,) in found}

    def _admit_records(self, dataset: str, days: list[date]) -> None:
        """Makes the partitions of days that are admitted together, or of one that may be large: of
        a share of its keys after the other, so that memory is bounded however many it has."""
        sessions = dataset == "sessions"
        if not (sessions and self.derived) or days[0] > self.today:
            for day in days:
                self.entries.forget(dataset, day, unassigned=False)
        if sessions:
            for table in ("session_ends", "team_labels"):
                self.con.execute(f"delete from {table} where day in (select unnest(?))", [days])
        read = sorted({*days, *(day + ONE_DAY for day in days if sessions)})
        shares = self._shares(dataset, read) if len(days) == 1 else 1
        ends: dict[date, datetime] = {}
        with ExitStack() as stack:
            drafts: dict[date, PartitionDraft] = {}
            for share in range(shares):
                with self._staged(dataset, read, share, shares):
                    admitted = self._admitted(dataset, days)
                for day, of_day in admitted.items():
                    if sessions and of_day.records.num_rows:
                        end = pc.max(of_day.records["event_datetime"]).as_py()
                        ends[day] = max(end, ends.get(day, end))
                        self._remember_labels(day, of_day.labels)
                    if day not in drafts:
                        drafts[day] = stack.enter_context(self._draft(dataset, day))
                    drafts[day].write(of_day.records)
                    if share == shares - 1:
                        self._finish(dataset, day, drafts.pop(day))
        if ends:
            last_at = pa.array(list(ends.values()), pa.timestamp("us"))
            self.entries.add("session_ends", pa.table({"day": list(ends), "last_at": last_at}))

    def _shares(self, dataset: str, days: list[date]) -> int:
        """Into how many shares the staged records of these days are cut."""
        [(rows,)] = self.con.execute(
            "select coalesce(sum(rows), 0)::bigint from batches"
            " where dataset = ? and day in (select unnest(?))",
            [dataset, days],
        ).fetchall()
        return 1 + rows // ROWS_PER_SHARE

    def _admitted(self, dataset: str, days: list[date]) -> dict[date, Admitted]:
        """What the days take of the relation ``staged``."""
        derived = dataset == "sessions" and self.derived
        if days[0] <= self.today and not derived:
            return admit_records(self.entries, self.title, dataset, days)
        [day] = days
        if day > self.today:
            return {day: let_wait(self.entries, dataset, day, derived=derived)}
        sessions = admit_derived_sessions(
            self.con, self.title, day,
            lambda overlong: self._last_heartbeats(day + ONE_DAY, overlong),
        )  # fmt: skip
        return {day: sessions}

    def _last_heartbeats(self, day: date, overlong: pa.Table) -> pa.Table:
        """The day's last heartbeat up to ``ends_by`` of each part (session_id, player_id, ends_by).

        Reads the day's heartbeats, which only sessions of more than a day need."""
        lasts = [_LAST_HEARTBEATS.empty_table()]
        if overlong.num_rows:
            with StagedFiles() as staged, registered(self.con, "overlong", overlong):
                for batch in self._heartbeat_batches(day):
                    heartbeats = staged.batch(batch.path, batch.number)
                    with registered(self.con, "heartbeats", pa.Table.from_batches([heartbeats])):
                        lasts.append(
                            self.con.execute(
                                "select session_id, player_id, max(event_datetime) as last_at"
                                " from heartbeats join overlong using (session_id, player_id)"
                                " where event_datetime <= ends_by group by session_id, player_id"
                            ).to_arrow_table().cast(_LAST_HEARTBEATS)
                        )  # fmt: skip
        with registered(self.con, "lasts", pa.concat_tables(lasts)):
            return self.con.execute(
                "select session_id, player_id, max(last_at) as last_at from lasts"
                " group by session_id, player_id"
            ).to_arrow_table()

    def _remember_labels(self, day: date, labels: pa.Table | None) -> None:
        """Stores the numbers of the team labels of a day's sessions, which its heartbeats need."""
        if labels is None:
            return
        of_day = labels.append_column("day", pa.repeat(pa.scalar(day), labels.num_rows))
        with registered(self.con, "labels", of_day):
            self.entries.add_selected("team_labels", "select distinct * from labels")

    @contextmanager
    def _staged(
        self, dataset: str, days: list[date], share: int = 0, shares: int = 1
    ) -> Iterator[None]:
        """The relation ``staged``: the staged records of these days, in the order of file names, of
        all keys or of one share of them."""
        tables = [staged_schema(self.title, dataset).empty_table()]
        file_nos, places, own = [], [], []
        batches = self.con.execute(
            "select file_no, staged_key, number, day from batches join files"
            " using (file_no) where batches.dataset = ? and day in (select unnest(?))"
            " order by files.name, number",
            [dataset, days],
        ).fetchall()
        [key, *_] = DATASETS[dataset].key
        with StagedFiles() as staged:
            for place, (file_no, staged_key, number, day) in enumerate(batches):
                path = staged_path(self.title.name, staged_key, dataset)
                batch = staged.batch(path, number)
                if shares > 1:
                    batch = batch.filter(pa.array(in_share(batch[key], share, shares)))
                rows = batch.num_rows
                tables.append(with_columns(pa.Table.from_batches([batch]), tables[0].schema))
                file_nos.append(np.full(rows, file_no, np.int64))
                places.append(np.full(rows, place, np.int64))
                own.append(np.full(rows, np.datetime64(day, "D")))
        table = pa.concat_tables(tables)
        for name, parts, kind in (
            ("file_no", file_nos, np.int64),
            ("place", places, np.int64),
            ("own_day", own, "datetime64[D]"),
        ):
            values = np.concatenate(parts) if parts else np.empty(0, kind)
            table = table.append_column(name, pa.array(values))
        with registered(self.con, "staged", table):
            yield

    def _admit_heartbeats(
        self, partitions: frozenset[date], unassigned: frozenset[date], watch: Watch | None
    ) -> None:
        self.entries.flush()
        with ExitStack() as stack:
            drafts: dict[date, PartitionDraft] = {}
            writing = stack.enter_context(Behind())

            def emit(day: date, records: pa.Table) -> None:
                draft = drafts[day]
                writing.call(lambda: draft.write(records))
                if watch:
                    watch(f"{self.title.name}/heartbeats of {day}", records.num_rows)

            judge = HeartbeatJudge(self.entries, self.title, emit)
            for day in sorted(partitions | unassigned | {day + ONE_DAY for day in partitions}):
                if day in partitions:
                    drafts[day] = stack.enter_context(self._draft("heartbeats", day))
                    self.entries.forget("heartbeats", day, unassigned=False)
                batches = self._heartbeat_batches(day)
                if batches or day in unassigned:
                    parts = self._parts([day - ONE_DAY, day])
                    judge.judge(day, batches, parts, partitions, day in unassigned)
                writing.wait()
                for done in [other for other in drafts if other < day]:
                    self._finish("heartbeats", done, drafts.pop(done))
            for day, draft in drafts.items():
                self._finish("heartbeats", day, draft)

    def _heartbeat_batches(self, day: date) -> list[StagedBatch]:
        found = self.con.execute(
            "select file_no, staged_key, number, rows, first_at, last_at from batches"
            " join files using (file_no) where batches.dataset = 'heartbeats' and day = ?"
            " order by files.name, number",
            [day],
        ).fetchall()
        return [
            StagedBatch(
                file_no, staged_path(self.title.name, key, "heartbeats"), number, rows, first, last
            )
            for file_no, key, number, rows, first, last in found
        ]

    def _parts(self, days: list[date]) -> Parts:
        labels = None
        if self.title.landing_settings.mapping.teams == "labels":
            labels = self.con.execute(
                "select session_id, team_label, team_id from team_labels"
                " where day in (select unnest(?))",
                [days],
            ).to_arrow_table()
        return Parts(
            {day: self._sessions(day) for day in days},
            labels,
            self.title.landing_settings.session_tolerance_seconds,
        )

    def _sessions(self, day: date) -> pa.Table:
        """The day's sessions: those of this landing, or else of the partition in place."""
        schema = DATASETS["sessions"].arrow_schema
        finished = self.finished.get(("sessions", day))
        manifest = (
            finished.manifest if finished else read_manifest(self.title.name, "sessions", day)
        )
        if manifest is None or not manifest.rows:
            return schema.empty_table()
        paths = checked_paths(manifest, f"{self.title.name}/sessions", day)
        return pa.concat_tables([pq.read_table(path, partitioning=None) for path in paths]).cast(
            schema
        )

    @contextmanager
    def _draft(self, dataset: str, day: date) -> Iterator[PartitionDraft]:
        draft = PartitionDraft(self.title.name, dataset, day)
        try:
            yield draft
        finally:
            draft.discard()

    def _finish(self, dataset: str, day: date, draft: PartitionDraft) -> None:
        self.finished[dataset, day] = draft.finish(self.source)
