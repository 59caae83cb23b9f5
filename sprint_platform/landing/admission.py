"""Admission: staged records into the partitions of the days that a landing re-opens.

Days are admitted in order, sessions before heartbeats, so that the sessions of a heartbeat's own
day and of the day before are known. Partitions are finished here, and put in place by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sprint_platform.core.ahead import Behind
from sprint_platform.landing.conform import staged_schema
from sprint_platform.landing.heartbeats import HeartbeatJudge, Parts, StagedBatch
from sprint_platform.landing.records import (
    Admitted,
    admit_derived_sessions,
    admit_records,
    judge_unassigned,
    let_wait,
)
from sprint_platform.landing.register import Entries
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
                if day in away:
                    with self._staged(dataset, [day]):
                        judge_unassigned(self.entries, dataset, day)
                else:
                    self.entries.forget(dataset, day, unassigned=True)
        for day in reopened.partitions["products"]:
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
        read = set(days)
        if dataset == "sessions":
            read |= {day + ONE_DAY for day in days}
        with self._staged(dataset, sorted(read)):
            if days[0] > self.today:
                [day] = days
                admitted = {day: let_wait(self.entries, dataset, day, derived=self.derived)}
            elif dataset == "sessions" and self.derived:
                [day] = days
                sessions = admit_derived_sessions(
                    self.con, self.title, day,
                    lambda overlong: self._last_heartbeats(day + ONE_DAY, overlong),
                )  # fmt: skip
                admitted = {day: sessions}
            else:
                admitted = admit_records(self.entries, self.title, dataset, days)
        for day, of_day in admitted.items():
            if dataset == "sessions":
                self._remember_sessions(day, of_day)
            with self._draft(dataset, day) as draft:
                draft.write(of_day.records)
                self._finish(dataset, day, draft)

    def _last_heartbeats(self, day: date, overlong: pa.Table) -> pa.Table:
        """The day's last heartbeat up to ``ends_by`` of each part (session_id, player_id, ends_by).

        Reads the day's heartbeats, which only sessions of more than a day need."""
        lasts = [_LAST_HEARTBEATS.empty_table()]
        if overlong.num_rows:
            self.con.register("overlong", overlong)
            with StagedFiles() as staged:
                for batch in self._heartbeat_batches(day):
                    heartbeats = staged.batch(batch.path, batch.number)
                    self.con.register("heartbeats", pa.Table.from_batches([heartbeats]))
                    lasts.append(
                        self.con.execute(
                            "select session_id, player_id, max(event_datetime) as last_at"
                            " from heartbeats join overlong using (session_id, player_id)"
                            " where event_datetime <= ends_by group by session_id, player_id"
                        ).to_arrow_table().cast(_LAST_HEARTBEATS)
                    )  # fmt: skip
                    self.con.unregister("heartbeats")
            self.con.unregister("overlong")
        self.con.register("lasts", pa.concat_tables(lasts))
        newest = self.con.execute(
            "select session_id, player_id, max(last_at) as last_at from lasts"
            " group by session_id, player_id"
        ).to_arrow_table()
        self.con.unregister("lasts")
        return newest

    def _remember_sessions(self, day: date, admitted: Admitted) -> None:
        """Stores what heartbeats need of a day's sessions besides their records."""
        self.con.execute("delete from session_ends where day = ?", [day])
        self.con.execute("delete from team_labels where day = ?", [day])
        if not admitted.records.num_rows:
            return
        last = pc.max(admitted.records["event_datetime"]).as_py()
        self.entries.add("session_ends", pa.Table.from_pylist([{"day": day, "last_at": last}]))
        if admitted.labels is not None:
            labels = admitted.labels.append_column(
                "day", pa.repeat(pa.scalar(day), admitted.labels.num_rows)
            )
            self.con.register("labels", labels)
            self.entries.add_selected("team_labels", "select distinct * from labels")
            self.con.unregister("labels")

    @contextmanager
    def _staged(self, dataset: str, days: list[date]) -> Iterator[None]:
        """The relation ``staged``: the staged records of these days, in the order of file names."""
        tables = [staged_schema(self.title, dataset).empty_table()]
        file_nos, places, own = [], [], []
        batches = self.con.execute(
            "select file_no, staged_key, number, day, rows from batches join files"
            " using (file_no) where batches.dataset = ? and day in (select unnest(?))"
            " order by files.name, number",
            [dataset, days],
        ).fetchall()
        with StagedFiles() as staged:
            for place, (file_no, key, number, day, rows) in enumerate(batches):
                path = staged_path(self.title.name, key, dataset)
                batch = pa.Table.from_batches([staged.batch(path, number)])
                tables.append(with_columns(batch, tables[0].schema))
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
        self.con.register("staged", table)
        try:
            yield
        finally:
            self.con.unregister("staged")

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
