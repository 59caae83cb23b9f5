"""`sprint verify`: whether files and warehouse hold what the title's seed, or what was landed,
says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from sprint_platform.core.locks import hold
from sprint_platform.core.window import Window, described
from sprint_platform.engines.duckdb_file import connect, warehouse_lock
from sprint_platform.engines.load import ensure_title_schemas
from sprint_platform.landing.past_landings import days_of_another_mapping
from sprint_platform.ml.names import FEATURES
from sprint_platform.operations.catalogue import read_catalogue
from sprint_platform.operations.days_to_build import before_launch, outdated_days
from sprint_platform.operations.landed import landed_marts
from sprint_platform.operations.verify import (
    Finding,
    Make,
    loaded_digests,
    stale_finding,
    unlike_made,
)
from sprint_platform.orchestration.title_models import TitleTranslator
from sprint_platform.publish.coverage import yesterday
from sprint_platform.publish.marts import existing_relations, unlike_published
from sprint_platform.simulation.world import World
from sprint_platform.storage.ledger import FORGOTTEN, title_ledger
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title
from sprint_platform.transform.dbt_manifest import graph_manifest
from sprint_platform.transform.dbt_runner import (
    dbt_environment,
    dbt_result_in_duckdb,
    failure_line,
    project_arguments,
)


def verify_days(title: Title, days: list[date]) -> Iterator[tuple[date, list[str]]]:
    """For each day, one line per partition that differs from what the simulation makes now, or from
    the rows of its table (``operations.verify``). Of partitions that another version of the title
    made, which ``verify_built`` names, only the latter."""
    datasets = [dataset for dataset in DATASETS.values() if dataset.partition_column]
    make: Make | None = None
    version = "" if title.lands else title.fingerprint
    if not title.lands:
        world = World(title, read_catalogue())
        make = lambda dataset, day: getattr(world, dataset)(day)  # noqa: E731
    for day in days:
        # what is outside of the graph differs for ever: verify_built names it
        of_day = [d for d in datasets if day >= title.launch_date or d.name == "dim_players"]
        # a day at a time: to make a year again takes a while, and others may need the warehouse
        with hold(warehouse_lock(), f"sprint verify of {title.name}"), connect() as con:
            ensure_title_schemas(con, title.name)
            loaded = loaded_digests(con, title_ledger(title.name), of_day, day)
        yield day, unlike_made(title.name, of_day, loaded, make, day, version)


def verify_built(title: Title, days: list[date]) -> list[Finding]:
    """What is wrong with these days' models: not built from what is loaded, not by today's
    definitions, or not published as they were built. Nothing is built again: ``verify_models`` runs
    dbt's tests."""
    translator, manifest = TitleTranslator(title), graph_manifest()
    run = f"sprint run --title {title.name}"
    found = []
    other = set(days_of_another_mapping(title)) & set(days) if title.lands else set()
    if other:
        line = f"{title.name}: landed by another mapping than today's: {described(sorted(other))}"
        found.append(Finding(line, f"sprint land --title {title.name}"))
    with hold(warehouse_lock(), f"sprint verify of {title.name}"), connect() as con:
        ensure_title_schemas(con, title.name)
        asked = (min(days), max(days) + timedelta(days=1))
        standing = translator.ledger.standing(con, translator.models(manifest), asked)
        loaded = translator.ledger.loaded_before(con, title.launch_date)
        outside, line = before_launch(title, loaded)
        if outside:
            found.append(Finding(line, "sprint repair --anew"))
        unbuilt = [day for day in map(date.fromisoformat, standing.unbuilt) if day not in outside]
        if not title.lands:
            # players are made for every day since the launch, also for days that nobody has asked
            # for yet
            made = translator.ledger.loaded_digests(con, "signons", *asked)
            unbuilt = [day for day in unbuilt if day in made]
        stale = [day for day in map(date.fromisoformat, standing.stale) if day not in outside]
        sources = translator.ledger.loaded_sources(con)
        outdated = [d for d in outdated_days(title, sources) if asked[0] <= d < asked[1]]
        if outdated:
            line = f"{title.name}: made by another version of it: {described(outdated)}"
            found.append(Finding(line, f"{run} --stale"))
        if unbuilt:
            mend = f"sprint land --title {title.name}" if title.lands else f"{run} --missing"
            line = f"{title.name}: not built from what is loaded now: {described(unbuilt)}"
            found.append(Finding(line, mend))
        if stale:
            found.append(stale_finding(title.name, standing, described(stale), f"{run} --stale"))
        marts = [*translator.marts(manifest), *(landed_marts(title.name) if title.lands else [])]
        for line, first, last in unlike_published(
            con, translator.ledger, marts, min(days), max(days)
        ):
            # a run publishes whatever is unpublished; what differs is built, and so published,
            # again
            begin = max(first or str(days[-1]), str(title.launch_date))
            end = min(last or str(days[-1]), str(days[-1]))
            reuse = "" if title.lands else " --reuse"
            found.append(Finding(line, f"{run} --from {begin} --to {max(begin, end)}{reuse}"))
    return found


def verify_models(title: Title) -> str | None:
    """Runs every dbt test of the title over everything, not only a run's window; where days were
    pruned, over what comes after them. Returns what is wrong in one line, or None."""
    window = None
    with hold(warehouse_lock(), f"sprint verify --deep of {title.name}"), connect() as con:
        ledger = title_ledger(title.name)
        ledger.ensure(con)
        if pruned := ledger.pruned(con):
            # tests would miss the records of which the marts are made
            start = max(max(days) for days in pruned.values()) + timedelta(days=1)
            window = Window(start, max(start, yesterday()) + timedelta(days=1))
        built = existing_relations(con)
        recounted = sorted(set().union(*ledger.loaded_from(con, FORGOTTEN).values()))
    # what is learned from weeks is built once a week, if at all; such a test may have both tags
    weekly = ["--select", "tag:title", "tag:title_ml"]
    if f"{title.name}_mart.{FEATURES}" not in built:
        weekly = ["--select", "tag:title", "--exclude", "tag:title_ml"]
    arguments = [
        *("test", *project_arguments(title.name)),
        *("--quiet", "--exclude-resource-type", "unit_test", *weekly),
    ]
    with hold(warehouse_lock(), f"sprint verify --deep of {title.name}"):
        failed = failure_line(
            title.name, dbt_result_in_duckdb(arguments, dbt_environment(title, window))
        )
    if failed and recounted:
        failed += (
            f"; totals of {described(recounted)} still count players who were forgotten: sprint run"
            f" --title {title.name} --from {recounted[0]} --to {recounted[-1]} counts anew"
        )
    return failed
