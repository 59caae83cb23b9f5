"""The product catalogue's CSV file, which people may edit."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pyarrow as pa

from sprint_platform.core.whole_file import whole_file
from sprint_platform.places import catalogue_path
from sprint_platform.storage.partitions import PartitionError
from sprint_platform.telemetry.contracts import DATASETS, Column


def write_catalogue(products: pa.Table, path: Path) -> None:
    """Replaces the file in one step: a reader finds the old products or the new."""
    with (
        whole_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(products.schema.names)
        writer.writerows(
            [_as_text(value) for value in row.values()] for row in products.to_pylist()
        )


def read_catalogue(path: Path | None = None) -> pa.Table:
    """The catalogue's products, as the contract's ``products``; people may have edited the file.

    Raises PartitionError, in one line, for a missing file or a value that is not of its column's
    type.
    """
    path, contract = path or catalogue_path(), DATASETS["products"]
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError as error:
        raise PartitionError(f"{path} is missing: materialize the asset products first") from error
    columns = []
    for column in contract.columns:
        try:
            values = [_from_text(row[column.name], column) for row in rows]
            columns.append(pa.array(values, column.arrow_type))
        except KeyError as error:
            raise PartitionError(f"{path}: there is no column {column.name}") from error
        except (ValueError, ArithmeticError) as error:
            raise PartitionError(f"{path}: {column.name} is no {column.type}: {error}") from error
    return pa.table(columns, schema=contract.arrow_schema)


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _from_text(text: str, column: Column) -> object:
    if column.nullable and not text:
        return None
    return _READ[column.type](text)


_READ: dict[str, Callable[[str], object]] = {
    "uuid": UUID,
    "text": str,
    "money": Decimal,
    "flag": lambda text: {"true": True, "false": False}.get(text.lower(), text),
    "timestamp": datetime.fromisoformat,
}
