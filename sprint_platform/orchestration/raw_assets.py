"""A title's datasets as daily-partitioned assets: simulated or landed, loaded into their tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb

from sprint_platform.core.window import Window
from sprint_platform.engines.load import ensure_title_schemas
from sprint_platform.engines.spark_session import on_spark
from sprint_platform.operations.catalogue import read_catalogue
from sprint_platform.operations.fan_out import simulate_on_spark
from sprint_platform.operations.pictures import Picture, positions_picture
from sprint_platform.operations.upstream import (
    require,
    require_players,
    unloaded_players,
    upstream_datasets,
)
from sprint_platform.orchestration.catalogue import PRODUCTS_KEY
from sprint_platform.orchestration.code_references import PACKAGE
from sprint_platform.orchestration.dataset_step import (
    DatasetStep,
    Made,
    StepRun,
    dataset_spec,
    make_partition,
    reuses,
)
from sprint_platform.orchestration.glances import Glance
from sprint_platform.orchestration.run_window import Watch, with_progress
from sprint_platform.orchestration.title_checks import rules
from sprint_platform.storage.digest import Digest
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.storage.partitions import Manifest, Period, read_manifest
from sprint_platform.telemetry.contracts import DAILY, DATASETS
from sprint_platform.title import Title, title_file

if TYPE_CHECKING:
    import pyarrow as pa

# For a partition that was never written; nothing is written for it.
NOTHING_LANDED = Manifest(rows=0, bytes=0, digest=str(Digest()), source="nothing", parts=())


def build_raw_assets(
    title: Title, partitions: dg.PartitionsDefinition, watch: Watch | None = None
) -> list[dg.AssetsDefinition]:
    """One asset per dataset of the title, each in a step of its own."""
    return [_TitleDataset(title, dataset, watch).build(partitions) for dataset in DAILY]


def landed_files_key(title: Title) -> dg.AssetKey:
    """The asset that lands the title's files."""
    return dg.AssetKey([title.name, "landed_files"])


def code_of_records(title: Title) -> list[Path]:
    """The files in which it is written what the title's records are."""
    made = "landing/land.py" if title.lands else "simulation/world.py"
    return [title_file(title.name), PACKAGE / made]


def _spec(title: Title, dataset: str) -> dg.AssetSpec:
    contract = DATASETS[dataset]
    deps = [dg.AssetKey([title.name, upstream]) for upstream in upstream_datasets(title, dataset)]
    made = f"Simulated day by day for {title.name}."
    if title.lands:
        deps.append(landed_files_key(title))
        made = f"The days of {title.name} as their files were landed."
    elif "products" in contract.upstream:
        deps.append(PRODUCTS_KEY)
    if dataset in ("sessions", "heartbeats"):
        made += " A session lies whole in the partition of the UTC day on which it started."
    return dataset_spec(
        title.name,
        contract,
        f"One row is {contract.one_row_is}. {made}",
        [*code_of_records(title), _TitleDataset.make],
        deps=deps,
        group_name=contract.schema_name(title.name),
        # another YAML, seed or version of the simulation makes other records; another mapping or
        # grid reads others from the same files
        code_version=title.landing_fingerprint if title.lands else title.fingerprint,
    )


class _TitleDataset(DatasetStep):
    counted = "days_loaded"

    def __init__(self, title: Title, name: str, watch: Watch | None) -> None:
        self._title, self._watch = title, watch
        ledger, spec = title_ledger(title.name), _spec(title, name)
        super().__init__(ledger, DATASETS[name], spec, rules(title, name))
        self.loads_on_spark = on_spark()

    def make(self, run: StepRun) -> Iterator[tuple[date, Made]]:
        """With players come the earlier sign-up days that the warehouse does not hold."""
        title, name, window = self._title, self.dataset.name, _window(run)
        require(title, name, upstream_datasets(title, name), window)
        earlier: list[date] = []
        if name == "dim_players":
            with run.warehouse.get_connection(run.holder) as con:
                earlier = _unloaded_players(con, title, window)
        days = [*earlier, *window.days]
        return self._landed(days) if title.lands else self._simulated(run, days, window.start)

    def _simulated(
        self, run: StepRun, days: list[date], start: date
    ) -> Iterator[tuple[date, Made]]:
        # numpy and the name lists: only when something is simulated
        from sprint_platform.simulation.world import World

        title, name = self._title, self.dataset.name
        world = World(title, read_catalogue() if "products" in self.dataset.upstream else None)
        source, reuse = world.source(name), reuses(run.context)
        if self.loads_on_spark and len(days) > 1:
            yield from self._fanned_out(days, days if reuse else [d for d in days if d < start])
            return
        for day in with_progress(run.context, days):

            def tables(day: date = day) -> Iterable[pa.Table]:
                # the world's methods have the datasets' names
                return self._watched(getattr(world, name)(day), day)

            # an earlier day may be made, but never loaded: a run was killed in between, or the
            # database is new
            yield (
                day,
                make_partition(title.name, self.dataset, day, source, tables, reuse or day < start),
            )

    def _fanned_out(self, days: list[date], reused: Iterable[date]) -> Iterator[tuple[date, Made]]:
        """The days as tasks of Spark's workers."""
        title, name = self._title, self.dataset.name
        tasks = [(name, day) for day in days]
        done = simulate_on_spark(title, tasks, [(name, day) for day in reused])
        seconds = {each.day: each.seconds for each in done}
        for day in days:
            manifest = read_manifest(title.name, name, day, missing_ok=False)
            assert manifest is not None
            yield day, Made(manifest, seconds[day])

    def _landed(self, days: Iterable[date]) -> Iterator[tuple[date, Made]]:
        """The landed partitions. A day of which nothing was landed is an empty one: the load
        empties it."""
        for day in days:
            landed = read_manifest(self._title.name, self.dataset.name, day)
            yield day, Made(landed or NOTHING_LANDED)

    def _watched(self, tables: Iterable[pa.Table], day: date) -> Iterator[pa.Table]:
        for table in tables:
            yield table
            if self._watch:
                self._watch(f"{self._title.name}/{self.dataset.name}", day, table.num_rows)

    def ensure_tables(self, con: duckdb.DuckDBPyConnection) -> None:
        ensure_title_schemas(con, self._title.name)

    def require(self, run: StepRun, con: duckdb.DuckDBPyConnection) -> None:
        title, name = self._title, self.dataset.name
        if "dim_players" in upstream_datasets(title, name):
            require_players(con, title, name, _window(run))

    def load(
        self, run: StepRun, con: duckdb.DuckDBPyConnection, made: Mapping[Period, Manifest]
    ) -> dict[str, Any]:
        metadata = super().load(run, con, made)
        if not self.dataset.private:
            self._add_glance(run.context, con, _window(run).days[-1])
        return metadata

    def _add_glance(
        self, context: dg.AssetExecutionContext, con: duckdb.DuckDBPyConnection, day: date
    ) -> None:
        """Adds a picture and some rows of the run's last day: one picture is small, a year of them
        is not. Adds nothing for a day without rows."""
        title, bars = self._title, self.dataset.bars
        glance = Glance(
            self.dataset.relation(title.name),
            str(self.dataset.partition_column),
            "day",
            Picture(bars.title, bars.x, bars.y) if bars else None,
            # a day's heartbeats are too many to be sorted for five rows
            in_order=False,
        )
        if (seen := glance.read(con, day)) is None:
            return
        metadata = glance.metadata(seen, day)
        # positions are a map, not bars
        if self.dataset.name == "heartbeats" and (found := positions_picture(con, title, day)):
            metadata = {"positions": dg.MetadataValue.md(found), **metadata}
        context.add_asset_metadata(metadata, self.spec.key, partition_key=day.isoformat())


def _window(run: StepRun) -> Window:
    days = [day for day in run.periods if isinstance(day, date)]
    return Window.of(days[0], days[-1])


def _unloaded_players(con: duckdb.DuckDBPyConnection, title: Title, window: Window) -> list[date]:
    """The earlier sign-up days that the warehouse does not hold as they are made or landed now; the
    manifests of the others need not be read."""
    from sprint_platform.operations.landed import landed_digests

    ensure_title_schemas(con, title.name)
    if title.lands:
        loaded = title_ledger(title.name).loaded_digests(con, "dim_players", end=window.start)
        landed = landed_digests(con, title.name, "dim_players")
        return sorted(d for d in landed if d < window.start and loaded.get(d) != landed[d])
    return unloaded_players(con, title, window.start)
