"""The product catalogue: one asset for every simulated title, a CSV file in the data folder."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

import dagster as dg
from pydantic import Field

from sprint_platform.operations.catalogue import write_catalogue
from sprint_platform.orchestration.code_references import PACKAGE, code_references
from sprint_platform.orchestration.policies import OWNERS
from sprint_platform.places import made_catalogue_path

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
        metadata=code_references(PACKAGE / "simulation/products.py", build_catalogue_asset),
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
