"""Many days at once: whoever makes a day, its records are the same."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sprint_platform.cli.app import app
from sprint_platform.operations.catalogue import read_catalogue
from sprint_platform.operations.fan_out import simulate, tasks_of
from sprint_platform.simulation.products import catalogue
from sprint_platform.simulation.world import World
from sprint_platform.storage.partitions import partition_days, read_manifest
from sprint_platform.telemetry.contracts import DAILY
from sprint_platform.title import Title
from sprint_platform_tests.small_titles import TINY
from sprint_platform_tests.worlds import digest

FIRST, SECOND, THIRD = (date(2025, 1, day) for day in (1, 2, 3))


@pytest.fixture
def tiny(data_folder: Path, titles_folder: Path) -> Title:
    (titles_folder / "tiny.yaml").write_text(TINY, encoding="utf-8")
    return Title.load("tiny")


def test_processes_write_what_one_process_would(tiny: Title) -> None:
    arguments = ["simulate", "--title", "tiny", "--from", str(SECOND), "--to", str(THIRD)]
    made = CliRunner().invoke(app, arguments)
    assert made.exit_code == 0, made.output
    assert "11 partitions made, 0 were there" in made.output
    world = World(tiny, read_catalogue())
    for dataset in DAILY:
        # players come with those of the days before
        days = [FIRST, SECOND, THIRD] if dataset == "dim_players" else [SECOND, THIRD]
        assert partition_days("tiny", dataset) == days
        for day in days:
            manifest = read_manifest("tiny", dataset, day)
            assert manifest is not None
            assert (manifest.digest, manifest.source) == (
                digest(world, dataset, day),
                world.source(dataset),
            )


def test_what_is_there_from_the_same_title_stays(tiny: Title) -> None:
    first = simulate(tiny, read_catalogue(), "signons", FIRST, reuse=True)
    assert first.seconds is not None
    again = simulate(tiny, read_catalogue(), "signons", FIRST, reuse=True)
    assert (again.seconds, again.digest) == (None, first.digest)


def test_a_worker_sells_what_whoever_asked_sells(tiny: Title) -> None:
    # on another machine the data folder has no catalogue
    products = catalogue(50)
    simulate(tiny, products, "transactions", FIRST, reuse=False)
    manifest = read_manifest("tiny", "transactions", FIRST)
    assert manifest is not None
    assert manifest.source == World(tiny, products).source("transactions")


def test_tasks_are_every_dataset_and_the_players_before(tiny: Title) -> None:
    tasks = tasks_of(tiny, [SECOND, THIRD])
    assert sorted(tasks) == sorted(
        [("dim_players", FIRST), *((name, day) for name in DAILY for day in (SECOND, THIRD))]
    )


def test_a_landed_title_has_nothing_to_simulate(data_folder: Path) -> None:
    folder = Path(__file__).parents[1] / "examples" / "titles"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_TITLES_DIR", str(folder))
        refused = CliRunner().invoke(app, ["simulate", "--title", "arena"])
    assert "there is nothing to simulate" in str(refused.exception)
