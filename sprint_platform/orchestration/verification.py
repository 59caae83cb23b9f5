"""`sprint verify`: is what lies in files and warehouse what the title's seed, or what was landed,
says?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from sprint_platform.orchestration.catalogue import read_catalogue
from sprint_platform.orchestration.dbt_runner import (
    dbt_environment,
    dbt_result,
    failure_line,
    project_arguments,
)
from sprint_platform.simulation.world import World
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.telemetry.digest import Digest, digest_table
from sprint_platform.telemetry.partitions import PartitionError, read_manifest, read_partition
from sprint_platform.title import Title
from sprint_platform.warehouse.database import connect
from sprint_platform.warehouse.lease import lease
from sprint_platform.warehouse.load import loaded_digests


def verify_days(title: Title, days: list[date]) -> Iterator[tuple[date, list[str]]]:
    """For each day, one line per partition that is not what the simulation makes now.

    A partition is simulated again, read back from its files, and compared with what the warehouse
    says it has loaded. Partitions that were never made are not missed. One that was landed has
    nothing to be simulated from: its files are held against its manifest alone.
    """
    datasets = [dataset for dataset in DATASETS.values() if dataset.partition_column]
    with lease(f"sprint verify of {title.name}"), connect() as con:
        loaded = {
            dataset.name: loaded_digests(con, title.name, dataset.name) for dataset in datasets
        }
    world = None if title.lands else World(title, read_catalogue())
    for day in days:
        lines: list[str] = []
        for dataset in datasets:
            try:
                held = loaded[dataset.name].get(day)
                lines += _differences(title.name, world, dataset.name, day, held)
            except PartitionError as error:
                lines.append(str(error))
        yield day, lines


def _differences(
    title: str, world: World | None, dataset: str, day: date, loaded: str | None
) -> Iterator[str]:
    manifest = read_manifest(title, dataset, day)
    if manifest is None:
        return
    where = f"{title}/{dataset} {day}"
    # the warehouse first: a damaged file ends the comparison
    if loaded != manifest.digest:
        yield f"{where}: the warehouse has {loaded or 'nothing'}, its manifest {manifest.digest}"
    filed = _digest(read_partition(title, dataset, day))
    simulated = _digest(getattr(world, dataset)(day)) if world else filed
    if filed != simulated:
        yield f"{where}: its files hold {filed}, simulated again it is {simulated}"
    elif manifest.digest != filed:
        yield f"{where}: its manifest says {manifest.digest}, its files {filed}"


def _digest(tables: Iterator) -> str:
    return str(sum((digest_table(table) for table in tables), Digest()))


def verify_models(title: Title) -> str | None:
    """Runs every dbt test of the title over everything, not only a run's window. Returns what is
    wrong in one line, or None."""
    arguments = [
        *("test", *project_arguments(title.name)),
        *("--quiet", "--select", "tag:title", "--exclude-resource-type", "unit_test"),
    ]
    with lease(f"sprint verify --deep of {title.name}"):
        return failure_line(title.name, dbt_result(arguments, dbt_environment(title, None)))
