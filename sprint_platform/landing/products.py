"""Landed products: one table of them, as they have no days."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sprint_platform.core.whole_file import whole_file
from sprint_platform.landing.register import landed_dir
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title


def landed_products(title: Title) -> pa.Table:
    """The landed products in the contract's schema, empty where there are none."""
    schema = DATASETS["products"].arrow_schema
    try:
        return pq.read_table(products_path(title), partitioning=None).cast(schema)
    except FileNotFoundError:
        return schema.empty_table()


def products_path(title: Title) -> Path:
    """The file with the landed products; missing until some landed."""
    return landed_dir(title.name) / "products.parquet"


def write_products(title: Title, products: pa.Table) -> None:
    """Puts the products in place of those that were landed."""
    with whole_file(products_path(title)) as temporary:
        pq.write_table(products, temporary)
