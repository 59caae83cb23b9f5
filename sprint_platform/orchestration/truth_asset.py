"""What is likely for each player on a day, as a table beside the records: for those who ask for it.

No job, schedule or `sprint run` has it, and nothing is made from it: a model that is learned from
the records must not see it, and can be held against it.
"""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

from datetime import date

import dagster as dg
import duckdb
import pyarrow as pa

from sprint_platform.engines.database_identity import counted_transaction
from sprint_platform.operations.catalogue import read_catalogue
from sprint_platform.orchestration.code_references import PACKAGE, code_references
from sprint_platform.orchestration.failures import failures_in_one_line
from sprint_platform.orchestration.policies import OWNERS
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.run_window import run_window, with_progress
from sprint_platform.title import Title

TABLE = "player_day_chances"


def truth_key(title: Title) -> dg.AssetKey:
    """Not beneath the title's own name, so that a run of the title leaves it out."""
    return dg.AssetKey([f"{title.name}_truth", TABLE])


def build_truth_asset(title: Title, partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """The asset of a simulated title, which fills ``<title>_truth.player_day_chances``."""
    relation = f"{title.name}_truth.{TABLE}"
    spec = dg.AssetSpec(
        truth_key(title),
        group_name=f"{title.name}_truth",
        kinds={"python", "duckdb"},
        owners=OWNERS,
        # not even the catalogue is upstream, or a run of what is made from it would have it
        code_version=title.fingerprint,
        description=(
            f"One row is a player who was active that day in {title.name}, with what was likely"
            " (to leave, to buy, to spend) and what the player is like: exact, as the simulation"
            " draws it. Off by default: it is made when somebody asks for it by name. Nothing is"
            " made from it: it is what a model of the records can be held against."
        ),
        metadata={
            **code_references(PACKAGE / "simulation/truth.py", build_truth_asset),
            "dagster/table_name": relation,
        },
    )

    @dg.multi_asset(
        name=f"{title.name}_truth",
        specs=[spec],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def truth(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
        # numpy and the name lists: only when something is simulated
        from sprint_platform.simulation.world import World

        holder = f"{relation} of run {context.run.run_id}"
        window = run_window(context)
        assert window is not None  # it has no check that could be launched alone
        with failures_in_one_line():
            world = World(title, read_catalogue())
            rows = 0
            for day in with_progress(context, window.days):
                # before the lease is held: others need not wait for the simulation
                tables = list(world.truth(day))
                with warehouse.get_connection(holder) as con:
                    _replace(con, title, day, tables)
                count = sum(table.num_rows for table in tables)
                context.add_asset_metadata(
                    {"dagster/partition_row_count": count},
                    truth_key(title),
                    partition_key=day.isoformat(),
                )
                rows += count
        return dg.MaterializeResult(asset_key=truth_key(title), metadata={"rows": rows})

    return truth


def _replace(
    con: duckdb.DuckDBPyConnection, title: Title, day: date, tables: list[pa.Table]
) -> None:
    """Makes the table hold these rows of the day, in one transaction."""
    from sprint_platform.simulation.truth import SCHEMA

    relation = f"{title.name}_truth.{TABLE}"
    con.register("truth_of_day", pa.concat_tables([SCHEMA.empty_table(), *tables]))
    try:
        with counted_transaction(con):
            con.execute(f"create schema if not exists {title.name}_truth")
            con.execute(
                f"create table if not exists {relation} as"
                " select *, cast(null as date) as event_date from truth_of_day limit 0"
            )
            con.execute(f"delete from {relation} where event_date = ?", [day])
            con.execute(f"insert into {relation} select *, ? from truth_of_day", [day])
    finally:
        con.unregister("truth_of_day")
