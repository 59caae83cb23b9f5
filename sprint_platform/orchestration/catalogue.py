"""The product catalogue: one asset for every simulated title, a CSV file in the data folder."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

import csv
import os
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import dagster as dg
from pydantic import Field

from sprint_platform.orchestration.policies import OWNERS
from sprint_platform.places import catalogue_path, made_catalogue_path
from sprint_platform.telemetry.contracts import DATASETS, Column
from sprint_platform.telemetry.partitions import PartitionError

if TYPE_CHECKING:
    import pyarrow as pa

PRODUCTS_KEY = dg.AssetKey("products")


class CatalogueConfig(dg.Config):
    """How large the shop is."""

    count: int = Field(default=40, ge=30, le=50, description="How many products, 30 to 50.")


def build_catalogue_asset() -> dg.AssetsDefinition:
    """The unpartitioned asset ``products``, which writes the data folder's ``dim_products.csv``."""

    spec = dg.AssetSpec(
        PRODUCTS_KEY,
        group_name="catalogue",
        kinds={"python", "csv"},
        owners=OWNERS,
        description=(
            "One row is a product of the shop: one catalogue for every simulated title. Writes"
            " `catalogue/dim_products.csv` in the data folder; each title's `dim_products` loads"
            " it, and before there is one the committed `sprint_dbt/seeds/dim_products.csv`."
        ),
    )

    @dg.multi_asset(name="products", specs=[spec], backfill_policy=dg.BackfillPolicy.single_run())
    def products(config: CatalogueConfig) -> dg.MaterializeResult:
        # numpy and what the simulation imports with it: only when a catalogue is made
        from sprint_platform.simulation.products import catalogue

        table, path = catalogue(config.count), made_catalogue_path()
        write_catalogue(table, path)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": table.num_rows,
                "bytes": path.stat().st_size,
                "path": dg.MetadataValue.path(str(path)),
            }
        )

    return products


def write_catalogue(products: "pa.Table", path: Path) -> None:
    """Replaces the file by the products, at once: a reader finds the old file or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(products.schema.names)
        writer.writerows(
            [_as_text(value) for value in row.values()] for row in products.to_pylist()
        )
    os.replace(temporary, path)


def read_catalogue(path: Path | None = None) -> "pa.Table":
    """The catalogue's products, as the contract's ``products``; people may have edited it.

    Raises PartitionError, in one line, for a missing file or a value that is none of its column's.
    """
    import pyarrow as pa

    path, contract = path or catalogue_path(), DATASETS["products"]
    try:
        with path.open(encoding="utf-8", newline="") as file:
            told = list(csv.DictReader(file))
    except FileNotFoundError as error:
        raise PartitionError(f"{path} is missing: materialize the asset products first") from error
    columns = []
    for column in contract.columns:
        try:
            values = [_from_text(row[column.name], column) for row in told]
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
