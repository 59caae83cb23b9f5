"""Partition files: one day or batch of a dataset as Parquet parts; a manifest is the commit point.

``data/raw/<title>/<dataset>/event_date=D/`` (``batch=N/``) holds parts whose names carry their
digest, and ``manifest.json``, which is renamed into place last. Readers open only what the manifest
lists; a part that no manifest lists is left from a crash or an older version and goes at the next
write, unless a published view still names it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from sprint_platform.core.ahead import Ahead
from sprint_platform.core.errors import SprintError
from sprint_platform.core.locks import Kind, Lock, hold
from sprint_platform.core.whole_file import whole_file
from sprint_platform.dataset import Dataset
from sprint_platform.places import raw_dir
from sprint_platform.storage.digest import Digest, digest_table
from sprint_platform.telemetry.contracts import DATASETS

# What names a partition: a UTC day, or the number of a batch.
Period = date | int
P = TypeVar("P", bound=Period)

FORMAT_VERSION = 1
# The source of a partition whose records were deleted, while what was made of them stays.
PRUNED = "pruned"
# A part is closed after this many rows: it fits in memory while it is written, and a day of a
# million players is some tens of files.
ROWS_PER_PART = 4_000_000
# DuckDB reads row groups in parallel and skips them by their statistics.
ROWS_PER_GROUP = 262_144
# A page is compressed while it is in the processor's second-level cache: with 1 MiB, which is
# pyarrow's own, writing takes a twelfth longer.
PAGE_BYTES = 131_072


class PartitionError(SprintError):
    """A partition that is missing, damaged or of another contract. The message is one line."""


class OlderContractError(SprintError):
    """Partitions or tables of a title with the columns of an older version, which ``sprint repair``
    rewrites; nothing is lost, and nothing is to be made again."""

    def __init__(self, title: str) -> None:
        super().__init__(
            f"{title}: an older version of this platform wrote it, with other columns: `sprint"
            " repair` gives it those of this one, and changes no value"
        )


@dataclass(frozen=True)
class Part:
    """One file of a partition; ``name`` is relative to the partition's folder."""

    name: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """What a partition holds. ``source`` says what made it (a simulated title's fingerprint). A
    pruned one has no parts any more; rows and digest say what it held."""

    rows: int
    bytes: int
    digest: str
    source: str
    parts: tuple[Part, ...]
    contract_version: int = 1
    format_version: int = FORMAT_VERSION
    folder: Path = field(default=Path(), compare=False)

    @property
    def pruned(self) -> bool:
        return self.source == PRUNED

    @property
    def paths(self) -> list[Path]:
        return [self.folder / part.name for part in self.parts]


def partition_dir(title: str, dataset: str, period: Period) -> Path:
    """The folder of one partition; ``title`` may be another domain's name."""
    name = f"batch={period}" if isinstance(period, int) else f"event_date={period.isoformat()}"
    return raw_dir(title, dataset) / name


def write_partition(
    title: str,
    dataset: str,
    period: Period,
    tables: Iterable[pa.Table],
    source: str,
    contract: Dataset | None = None,
) -> Manifest:
    """Writes the period's records, chunk by chunk, and replaces what the partition held.

    A dataset of another domain than a title's needs its ``contract``; ``title`` is then that
    domain's name. The old partition stays readable until the new manifest is in place, and stays as
    it was after an exception. Raises PartitionError for tables that do not have the contract's
    schema.
    """
    folder = partition_dir(title, dataset, period)
    # two writers of one day (a backfill and a schedule) would sweep away each other's parts
    lock = Lock(Kind.PARTITION, folder / ".lock", f"the partition {folder}")
    with hold(lock, f"the writer of {title}/{dataset}"):
        draft = PartitionDraft(title, dataset, period, contract)
        # the next records are made while these are written
        coming = Ahead(iter(tables))
        try:
            for table in coming:
                draft.write(table)
            return draft.finish(source).commit()
        finally:
            coming.close()
            draft.discard()


class PartitionDraft:
    """A partition that is being written: ``write`` its records, ``finish`` it, and ``commit`` the
    result; until then readers see the old one. ``discard`` drops what is not finished.

    The caller must be the partition's only writer.
    """

    def __init__(
        self, title: str, dataset: str, period: Period, contract: Dataset | None = None
    ) -> None:
        self.folder = partition_dir(title, dataset, period)
        self.folder.mkdir(parents=True, exist_ok=True)
        # of whatever version: readers have the old partition until the new one is whole
        self._in_use = _sweep(self.folder, stored_manifest(self.folder))
        self._contract = contract or DATASETS[dataset]
        self._parts: list[Part] = []
        self._total = Digest()
        self._writer = _PartWriter(self.folder, self._contract)

    def write(self, table: pa.Table) -> None:
        """Adds records of the contract's schema (PartitionError otherwise)."""
        self._total += self._writer.write(table)
        if self._writer.rows >= ROWS_PER_PART:
            self._parts.append(self._writer.close(len(self._parts)))
            self._writer = _PartWriter(self.folder, self._contract)

    def finish(self, source: str) -> FinishedPartition:
        """Closes the files and gives them their names; ``source`` says what the records come
        from."""
        if self._writer.rows:
            self._parts.append(self._writer.close(len(self._parts)))
        manifest = Manifest(
            rows=self._total.rows,
            bytes=sum(part.bytes for part in self._parts),
            digest=str(self._total),
            source=source,
            parts=tuple(self._parts),
            contract_version=self._contract.version,
            folder=self.folder,
        )
        return FinishedPartition(manifest, frozenset(self._in_use))

    def discard(self) -> None:
        """Removes the file that is being written, if any."""
        self._writer.discard()


@dataclass(frozen=True)
class FinishedPartition:
    """A partition whose files are complete, but which no reader sees before its ``commit``."""

    manifest: Manifest
    _in_use: frozenset[str]

    def commit(self) -> Manifest:
        """Puts the manifest in place: from then on, readers see this partition."""
        folder = self.manifest.folder
        fields = asdict(self.manifest)
        del fields["folder"]
        with whole_file(folder / "manifest.json") as temporary:
            temporary.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")
        return self.manifest

    def discard(self) -> None:
        """Removes the files, except those that the partition in place or a published view has."""
        for part, path in zip(self.manifest.parts, self.manifest.paths, strict=True):
            if part.name not in self._in_use:
                path.unlink(missing_ok=True)


def prune_partition(title: str, dataset: str, period: Period, digest: str) -> int:
    """Deletes the partition's files where it has this digest, and returns their bytes. Its manifest
    stays and says that it was pruned. Nothing is done where other records were written since."""
    folder = partition_dir(title, dataset, period)
    lock = Lock(Kind.PARTITION, folder / ".lock", f"the partition {folder}")
    with hold(lock, f"the pruning of {title}/{dataset}"):
        manifest = read_manifest(title, dataset, period)
        if manifest is None or manifest.digest != digest:
            return 0
        if not manifest.pruned:
            pruned = replace(manifest, bytes=0, source=PRUNED, parts=())
            FinishedPartition(pruned, frozenset()).commit()
        # also after a kill between the two
        size = sum(path.stat().st_size for path in folder.glob("*.parquet"))
        _sweep(folder, None)
        return size


def sweep_partition(title: str, dataset: str, period: Period) -> None:
    """Removes the files that the partition no longer has."""
    folder = partition_dir(title, dataset, period)
    lock = Lock(Kind.PARTITION, folder / ".lock", f"the partition {folder}")
    with hold(lock, f"the sweep of {title}/{dataset}"):
        if manifest := read_manifest(title, dataset, period):
            _sweep(folder, manifest)


class _PartWriter:
    """One Parquet file under a temporary name, opened at its first row."""

    def __init__(self, folder: Path, contract: Dataset) -> None:
        columns = contract.columns
        self.schema = contract.arrow_schema
        self.temporary = folder / f".part-{os.getpid()}-{time.monotonic_ns()}.tmp"
        self.rows = 0
        self.digest = Digest()
        self._nulls = {column.name: 0 for column in columns if column.nullable}
        # dictionaries and statistics of every column took half of the writing time: only words have
        # a dictionary, readers skip by times, and null counts are checked. Runs of one id compress
        # to the same bytes without one, in two thirds of the time
        self._repeating = [c.name for c in columns if c.type == "text"]
        # neighbouring rows' numbers differ by little: differences take two thirds of the room, and
        # are written faster than compressed values. Not so those of times: they take twice as long,
        # for half a byte less
        self._packed = {
            c.name: "DELTA_BINARY_PACKED" for c in columns if c.type in ("position", "money")
        }
        # differences of positions are as good as random: to compress them, too, costs a twelfth
        # of the writing time, and saves nothing
        self._compressed = [c.name for c in columns if c.type != "position"]
        self._counted = [c.name for c in columns if c.type == "timestamp" or c.nullable]
        self._writer: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> Digest:
        if table.schema != self.schema:
            raise PartitionError(
                f"{self.temporary.parent}: records have the columns [{_columns(table.schema)}], but"
                f" the contract says [{_columns(self.schema)}]"
            )
        for column, values in zip(self.schema, table.columns, strict=True):
            if values.null_count and not column.nullable:
                raise PartitionError(
                    f"{self.temporary.parent}: column {column.name} has {values.null_count} missing"
                    " values, but the contract allows none"
                )
        digest = digest_table(table)
        if table.num_rows:
            if self._writer is None:
                self._writer = pq.ParquetWriter(
                    self.temporary,
                    self.schema,
                    compression={
                        name: "zstd" if name in self._compressed else "none"
                        for name in self.schema.names
                    },
                    # zstd's level -1 writes ids and times in a seventh less time than 1, as small
                    compression_level=dict.fromkeys(self._compressed, -1),
                    use_dictionary=self._repeating,
                    column_encoding=self._packed,
                    store_decimal_as_integer=True,
                    data_page_size=PAGE_BYTES,
                    write_statistics=self._counted,
                    # random ids are stored plain: damage to them would be read as other ids
                    write_page_checksum=True,
                )
            self._writer.write_table(table, row_group_size=ROWS_PER_GROUP)
            self.rows += table.num_rows
            self.digest += digest
            for name in self._nulls:
                self._nulls[name] += table[name].null_count
        return digest

    def close(self, number: int) -> Part:
        assert self._writer is not None  # only parts with rows are closed
        self._writer.close()
        self._writer = None
        self._check_counts()
        size = self.temporary.stat().st_size
        # the size too: the same records in another order are another file, and must not replace one
        # that the old manifest lists
        name = f"part-{number:05d}-{self.digest.first:016x}-{size:x}.parquet"
        os.replace(self.temporary, self.temporary.parent / name)
        return Part(name, self.rows, size)

    def discard(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self.temporary.unlink(missing_ok=True)

    def _check_counts(self) -> None:
        """Raises PartitionError where a column of the file does not hold a value for each row. A
        writer once dropped all values of a column without an error; this costs a read of the file's
        footer."""
        footer = pq.read_metadata(self.temporary)
        for index, column in enumerate(self.schema):
            groups = [footer.row_group(g).column(index) for g in range(footer.num_row_groups)]
            written = sum(group.num_values for group in groups)
            # a nullable column's number of values counts its nulls too
            expected = self.rows
            if column.nullable:
                written -= sum(group.statistics.null_count for group in groups)
                expected -= self._nulls[column.name]
            if written != expected:
                raise PartitionError(
                    f"{self.temporary.parent}: column {column.name} was written with {written}"
                    f" values for {expected}; nothing was replaced"
                )


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{column.name} {column.type}" for column in schema)


def _sweep(folder: Path, manifest: Manifest | None) -> set[str]:
    """Removes what a crash or the version before last left in the folder, and returns the names of
    the parts that stay: those that the manifest lists or a published view names. Views are written
    after a load: they name the parts of two writes ago where a run died in between."""
    in_use = {part.name for part in manifest.parts} if manifest else set()
    left = [path for path in folder.iterdir() if path.name not in in_use]
    if parts := [path.name for path in left if path.suffix == ".parquet"]:
        # only here: DuckDB takes a tenth of a second to import
        from sprint_platform.storage.published_views import named_parts

        in_use |= named_parts(folder, parts)
    for path in left:
        if path.name not in in_use and path.suffix in (".parquet", ".tmp"):
            path.unlink(missing_ok=True)
    return in_use


def read_manifest(
    title: str,
    dataset: str,
    period: Period,
    contract: Dataset | None = None,
    *,
    missing_ok: bool = True,
) -> Manifest | None:
    """The partition's manifest, or None where it was never written (PartitionError with
    ``missing_ok=False``). A manifest of another contract or format version counts as missing, as
    the partition must be made again; but a title's of an older contract raises OlderContractError.
    A dataset of another domain than a title's needs its ``contract``.
    """
    folder = partition_dir(title, dataset, period)
    wanted = contract or DATASETS[dataset]
    try:
        data = _stored(folder)
        if data["format_version"] == FORMAT_VERSION:
            if data["contract_version"] == wanted.version:
                return _manifest(folder, data)
            older = data["contract_version"] < wanted.version
            if older and wanted is DATASETS.get(dataset):
                raise OlderContractError(title)
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError) as error:
        raise PartitionError(
            f"{folder / 'manifest.json'} is damaged: materialize {title}/{dataset} for {period}"
            " again"
        ) from error
    if missing_ok:
        return None
    raise PartitionError(
        f"there is no partition {period} of {title}/{dataset}: materialize it first"
    )


def stored_manifest(folder: Path) -> Manifest | None:
    """The manifest in a partition's folder, whatever version wrote it; None where there is none, or
    where it is damaged."""
    try:
        return _manifest(folder, _stored(folder))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _stored(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return data


def _manifest(folder: Path, data: dict[str, Any]) -> Manifest:
    parts = tuple(Part(**part) for part in data["parts"])
    return Manifest(**{**data, "parts": parts}, folder=folder)


def read_partition(
    title: str, dataset: str, period: Period, contract: Dataset | None = None
) -> Iterator[pa.Table]:
    """The partition's records, one table per row group. Raises PartitionError where it is missing
    or a part is not as its manifest says."""
    manifest = read_manifest(title, dataset, period, contract, missing_ok=False)
    assert manifest is not None
    schema = (contract or DATASETS[dataset]).arrow_schema
    asset = f"{title}/{dataset}"
    for path in checked_paths(manifest, asset, period):
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                for group in range(file.num_row_groups):
                    # the file's schema is the contract's, but Parquet widens decimal32
                    yield file.read_row_group(group).cast(schema)
        except (pa.ArrowException, OSError) as error:
            raise PartitionError(
                f"{path} is damaged: materialize {asset} for {period} again"
            ) from error


def checked_paths(manifest: Manifest, asset: str, period: Period) -> list[Path]:
    """The partition's files; raises PartitionError for one that does not have the size that the
    manifest gives, and for a partition that was pruned. A power cut may leave a renamed file short:
    this shows before half a day is loaded."""
    if manifest.pruned:
        raise PartitionError(
            f"{asset} for {period} was pruned, its records are gone: materialize the day to make it"
            " again; a landed title makes it again with the next file that has records of it"
        )
    for part, path in zip(manifest.parts, manifest.paths, strict=True):
        size = path.stat().st_size if path.exists() else None
        if size != part.bytes:
            what = "is missing" if size is None else f"has {size} bytes, not {part.bytes}"
            raise PartitionError(f"{path} {what}: materialize {asset} for {period} again")
    return manifest.paths


def leave_out(title: str, dataset: str, period: Period) -> None:
    """Makes a partition whose files are damaged a missing one. The files stay until it is made
    again."""
    (partition_dir(title, dataset, period) / "manifest.json").unlink(missing_ok=True)


def made_days(title: str, dataset: str) -> set[date]:
    """The days whose folder has a manifest; the manifest is not read."""
    found = set()
    for path in raw_dir(title, dataset).glob("event_date=????-??-??/manifest.json"):
        with suppress(ValueError):  # somebody else's folder
            found.add(date.fromisoformat(path.parent.name.removeprefix("event_date=")))
    return found


def made_batches(domain: str, dataset: str) -> set[int]:
    """The batches whose folder has a manifest; the manifest is not read."""
    found = set()
    for path in raw_dir(domain, dataset).glob("batch=*/manifest.json"):
        if (number := path.parent.name.removeprefix("batch=")).isdecimal():
            found.add(int(number))
    return found


def partition_days(title: str, dataset: str) -> list[date]:
    """The days that have a partition of this contract and format, ascending."""
    days = sorted(made_days(title, dataset))
    return [day for day in days if read_manifest(title, dataset, day) is not None]
