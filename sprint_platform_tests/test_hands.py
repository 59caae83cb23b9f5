"""Bad hands, a short version of `make chaos PART=hands`: hostile values, mutated titles, zones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from itertools import chain, cycle
from pathlib import Path

import pytest

from sprint_platform.core import settings as project_settings
from sprint_platform.core.settings import Settings
from sprint_platform.landing.land import land
from sprint_platform.storage.partitions import read_partition
from sprint_platform.title import Title
from sprint_platform_tests.chaos import hostile_records
from sprint_platform_tests.chaos.hostile_values import (
    COMMANDS,
    FIGURES,
    HOSTILE,
    LEAVES,
    SMALL_STORE,
    WORKS,
    Outcome,
    Sandbox,
    command_outcomes,
    patched_environment,
    sandbox,
    setting_outcomes,
    title_outcome,
)
from sprint_platform_tests.chaos.mutated_titles import mutation_outcomes
from sprint_platform_tests.chaos.zones import EVENTLOG, digests, run_in_zone
from sprint_platform_tests.command_line import run_sprint

# the characters of patterns, templates, markup, and an end tag that begins nothing
NAME = "it's [bold]game[/b]c* [2025] {{ 7 }} %s :bomb: ;&\"$ 🎮"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    with sandbox(tmp_path / "box") as made:
        yield made
        assert made.figures() == FIGURES


def faults(outcomes: Iterable[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.is_fault]


def test_a_command_takes_a_hostile_value_or_refuses_it_in_one_line(box: Sandbox) -> None:
    each = (
        command_outcomes(box, [command], [value])
        for value, command in zip(HOSTILE[::2], cycle(COMMANDS), strict=False)
    )
    assert faults(chain.from_iterable(each)) == []


@pytest.mark.parametrize("written", [False, True])
def test_so_does_a_setting_exported_or_written(
    box: Sandbox, written: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = box.project / ".env"
    monkeypatch.setattr(project_settings, "env_file", lambda: path)
    # another one of the fields each time
    fields = cycle(list(Settings.model_fields)[written::2])
    each = (
        setting_outcomes(box, [field], [value], path if written else None)
        for value, field in zip(HOSTILE[written::3], fields, strict=False)
    )
    assert faults(chain.from_iterable(each)) == []


def test_so_does_a_title(titles_folder: Path) -> None:
    each = (
        title_outcome(titles_folder, leaf, value, as_key)
        for leaf, value, as_key in zip(cycle(LEAVES), HOSTILE * 2, cycle([True, False, False]))
    )
    assert faults(each) == []


def test_a_mutated_title_is_simulated_or_refused(titles_folder: Path, data_folder: Path) -> None:
    outcomes = mutation_outcomes(30, 29, titles_folder)
    assert faults(outcomes) == []
    # not all of them are beyond hope
    assert sum(outcome.became == WORKS for outcome in outcomes) > 3


def test_hostile_records_come_out_as_they_went_in(box: Sandbox) -> None:
    (box.folder / "titles" / "odd.yaml").write_text(hostile_records.TITLE, encoding="utf-8")
    hostile_records.deliver(box.folder / "data" / "landing" / "odd")
    with patched_environment(box.environment):
        land(Title.load("odd"))
        parts = list(read_partition("odd", "sessions", date.fromisoformat(hostile_records.DAY)))
    kills = {row["country"]: row["kills"] for part in parts for row in part.to_pylist()}
    for number, value in enumerate(hostile_records.TEXTS):
        if len(value) <= 1024:
            # without the spaces around it
            assert kills[value.strip()] == number


def test_neither_a_zone_nor_optimised_code_nor_an_odd_folder_changes_a_row(
    box: Sandbox, dbt_parses_once: Path
) -> None:
    data = box.folder / "data"
    odd, plain = (
        {**box.environment, "SPRINT_DATA_DIR": str(data / name)} for name in (NAME, "plain")
    )
    run_in_zone("Pacific/Apia", ("-O",), EVENTLOG, odd, dbt_parses_once)
    for command in EVENTLOG:
        assert run_sprint(list(command), plain).returncode == 0
    for database in ("sprint.duckdb", "published/sprint.duckdb"):
        assert digests(data / NAME / database) == digests(data / "plain" / database)
    # what is printed names the folder as it is
    written = run_sprint(["storefront", "generate", *SMALL_STORE, "--load"], odd)
    assert f"written to {data / NAME}/raw/storefront" in written.stdout
    assert str(data / NAME) in run_sprint(["doctor"], odd).stdout.replace("\n", "")
