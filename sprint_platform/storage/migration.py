"""Partitions of a title that have the columns of an older contract, rewritten with today's.

A column that left is dropped, one that is new is null. Source, rows and the other values stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq

from sprint_platform.storage.digest import Digest, digest_table
from sprint_platform.storage.partitions import (
    FinishedPartition,
    Manifest,
    OlderContractError,
    PartitionError,
    checked_paths,
    made_days,
    partition_dir,
    stored_manifest,
    sweep_partition,
    write_partition,
)
from sprint_platform.telemetry.contracts import DATASETS


def older_partitions(title: str) -> list[tuple[str, date]]:
    """The title's partitions (dataset, day) of an older contract, ascending by day."""
    found = []
    for name, dataset in DATASETS.items():
        if dataset.version > 1:
            for day in made_days(title, name):
                manifest = stored_manifest(partition_dir(title, name, day))
                if manifest is not None and manifest.contract_version < dataset.version:
                    found.append((name, day))
    return sorted(found, key=lambda partition: (partition[1], partition[0]))


def require_migrated(title: str) -> None:
    """Raises OlderContractError where some partition of the title is of an older contract."""
    if older_partitions(title):
        raise OlderContractError(title)


def digest_change(title: str, dataset: str, day: date) -> tuple[str, str]:
    """The digest of an older partition, and the one that it will have. A pruned one, whose records
    are gone, keeps its own. Raises PartitionError where a file is not as its manifest says."""
    manifest = _older(title, dataset, day)
    if manifest.pruned:
        return manifest.digest, manifest.digest
    records = _migrated(manifest, title, dataset, day)
    return manifest.digest, str(sum(map(digest_table, records), Digest()))


def migrate_partition(title: str, dataset: str, day: date) -> None:
    """Rewrites an older partition; after a kill it is the old one or the new one."""
    manifest = _older(title, dataset, day)
    if manifest.pruned:
        version = DATASETS[dataset].version
        FinishedPartition(replace(manifest, contract_version=version), frozenset()).commit()
        return
    write_partition(title, dataset, day, _migrated(manifest, title, dataset, day), manifest.source)
    sweep_partition(title, dataset, day)


def _older(title: str, dataset: str, day: date) -> Manifest:
    manifest = stored_manifest(partition_dir(title, dataset, day))
    assert manifest is not None
    return manifest


def _migrated(manifest: Manifest, title: str, dataset: str, day: date) -> Iterator[pa.Table]:
    schema = DATASETS[dataset].arrow_schema
    for path in checked_paths(manifest, f"{title}/{dataset}", day):
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                for group in range(file.num_row_groups):
                    yield with_columns(file.read_row_group(group), schema)
        except (pa.ArrowException, OSError) as error:
            raise PartitionError(f"{path} is damaged") from error


def with_columns(records: pa.Table, schema: pa.Schema) -> pa.Table:
    """The records with the schema's columns: others are left out, missing ones are null."""
    if records.schema == schema:
        return records
    return pa.Table.from_arrays(
        [
            records[column.name].cast(column.type)
            if column.name in records.column_names
            else pa.nulls(records.num_rows, column.type)
            for column in schema
        ],
        schema=schema,
    )
