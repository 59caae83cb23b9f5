"""The partitions that a landing changes: which of those that it made hold other records now."""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from sprint_platform.landing.admission import ONE_DAY, Admission
from sprint_platform.landing.delivered_files import DeliveredFiles
from sprint_platform.landing.past_landings import PartitionChange
from sprint_platform.landing.products import landed_products, write_products
from sprint_platform.landing.register import Entries
from sprint_platform.landing.staging import EPOCH
from sprint_platform.storage.digest import Digest, digest_table
from sprint_platform.storage.partitions import Manifest, PartitionError, read_manifest
from sprint_platform.title import Title


class ChangedPartitions:
    """The partitions that ``admission`` made and that differ from those in place, or that are not
    in place as the register says (``astray``); ``delivered`` are the files that say why."""

    def __init__(
        self,
        entries: Entries,
        title: Title,
        admission: Admission,
        delivered: DeliveredFiles,
        astray: set[tuple[str, date]],
    ) -> None:
        self.entries, self.con, self.title = entries, entries.con, title
        self.admission, self.delivered, self.astray = admission, delivered, astray
        self.changes: list[PartitionChange] = []
        self.names_of_day: dict[tuple[str, date], set[str]] = {}

    def collect(self) -> None:
        """Notes the partitions whose records changed, and discards the others."""
        found = self.con.execute(
            "select distinct batches.dataset, day, name from batches join files using (file_no)"
            " where file_no in (select unnest(?))",
            [list(self.delivered.new)],
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

    def put_in_place(self) -> None:
        """Puts the partitions' manifests, and the products, in place: after the commit."""
        for partition in self.admission.finished.values():
            partition.commit()
        if self.admission.products is not None:
            write_products(self.title, self.admission.products)
        self.con.execute("update changes set written = true where not written")

    def _in_place(self, dataset: str, day: date) -> Manifest | None:
        """The manifest in place; None where it is missing or damaged, or the partition was
        pruned."""
        manifest = manifest_in_place(self.title.name, dataset, day)
        return None if manifest is None or manifest.pruned else manifest

    def _change(self, dataset: str, day: date, before: int | None, after: int, digest: str) -> None:
        change = PartitionChange(dataset, day, before, after, digest, self._why(dataset, day))
        self.changes.append(change)
        self.entries.add(
            "changes",
            pa.table(
                {
                    "landing": [self.entries.landing], "dataset": [dataset], "day": [day],
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
        pruned = manifest_in_place(self.title.name, dataset, day)
        if pruned is not None and pruned.pruned:
            return "it was pruned, and is made again from what is staged, as its day changed"
        if names:
            files = [
                f"{'changed' if status == 'changed' else 'new'} {found.name}"
                for found, status in self.delivered.new.values()
                if found.name in names
            ]
            more = f" and {len(files) - 2} more" if len(files) > 2 else ""
            return ", ".join(files[:2]) + more
        if dataset == "heartbeats":
            return "its sessions changed: heartbeats that waited are admitted, or wait again"
        changed = sorted(f.name for f, status in self.delivered.new.values() if status == "changed")
        if changed:
            return f"changed {changed[0]}: records of the day are gone from it, or moved"
        return "a session moved to another day"


def manifest_in_place(title: str, dataset: str, day: date) -> Manifest | None:
    """The manifest in place; None where it is missing or damaged."""
    try:
        return read_manifest(title, dataset, day)
    except PartitionError:
        return None


def _last_own_day(dataset: str, day: date) -> date:
    return day + ONE_DAY if dataset in ("sessions", "heartbeats") else day
