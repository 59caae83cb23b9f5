"""Titles: what a wrong YAML says, where titles are found, and what a fingerprint covers."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from sprint_platform.simulation.world import World
from sprint_platform.title import (
    Title,
    TitleError,
    first_title,
    read_title,
    title_names,
    valid_titles,
)
from sprint_platform_tests.command_line import run_sprint
from sprint_platform_tests.worlds import title_like

SHIPPED = Path(__file__).parent.parent / "sprint_platform" / "titles"


def shipped_settings(name: str = "sprint") -> dict[str, Any]:
    """The settings of a shipped title, as its YAML has them."""
    settings = yaml.safe_load((SHIPPED / f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(settings, dict)
    return settings


def write(folder: Path, settings: Any, name: str = "mine") -> Path:
    path = folder / f"{name}.yaml"
    if isinstance(settings, dict):
        settings = settings | {"name": name} if "name" in settings else settings
        settings = yaml.safe_dump(settings)
    path.write_text(settings, encoding="utf-8")
    return path


def changed(path: str, value: Any, name: str = "sprint") -> dict[str, Any]:
    """A shipped title's settings with one replaced ('a.b.c') or, for ``del``, left out."""
    settings = shipped_settings(name)
    *parents, last = path.split(".")
    part = settings
    for parent in parents:
        part = part.setdefault(parent, {})
    if value is del_:
        del part[last]
    else:
        part[last] = value
    return settings


del_ = object()

COMPOUND = {"kind": "compound", "starting_players": 9, "daily_growth": 0, "daily_decay": 0}

WRONG: list[tuple[str, Any, str]] = [
    # (the setting, its value, what the message says is allowed)
    ("seed", -1, "between 0 and"),
    ("seed", 2**63, "between 0 and"),
    ("seed", "seven", "valid integer"),
    ("launch_date", "soon", "such as 2025-01-31"),
    # the days after it are no days of the calendar, nor of the contracts
    ("launch_date", "9999-12-31", "between 1970-01-01 and 2100-12-31"),
    ("launch_date", del_, "required"),
    ("heartbeat_seconds", 0, "between 1/1,000 and 3,600"),
    ("heartbeat_seconds", "often", "between 1/1,000 and 3,600"),
    ("heartbeat_seconds", 0.1, "a simulated title has whole seconds"),
    ("grid.x", [-100, 100, 200], "a list of two numbers"),
    ("grid.y", [100, -100], "[low, high] within -99999 to 99999"),
    ("grid.z", [0, 19], "a simulated grid is 20 to 2000 units wide, not 19"),
    ("encounters.distance", -1, "between 0 and 200,000"),
    ("encounters.distance", math.nan, ""),
    ("encounters.gap_seconds", 86_401, "between 0 and 86,400"),
    ("encounters.word", "fight", "encounter|conflict"),
    ("encounters", del_, "required"),
    ("sourse", "simulated", "no such setting"),
    ("source", "dreamt", "'simulated' or 'landing'"),
    ("simulation.growth.active_players", 0, "between 1 and"),
    ("simulation.growth.active_players", 10**12, "between 1 and 100,000,000 (it is 1000000"),
    ("simulation.growth", {"kind": "compound", "starting_players": 0}, "between 1 and"),
    ("simulation.growth", COMPOUND | {"daily_growth": 1.5}, "between 0 and 1"),
    ("simulation.growth", COMPOUND | {"daily_decay": -0.1}, "between 0 and 1"),
    ("simulation.growth.kind", "magic", "'compound', 'target', 'steady'"),
    ("simulation.signons.habit", 0.9, "at most 1"),
    ("simulation.signons.moods", -0.1, "between 0 and 1"),
    ("simulation.archetypes", {"daily": 0.5, "weekday": 0.3}, "add up to 1, not 0.8"),
    ("simulation.archetypes", {"daily": 0.5, "hourly": 0.5}, "daily, weekday, cyclical"),
    ("simulation.countries", {"US": 0.5, "XX": 0.5}, "US, BR, MX, FR, ES, DE"),
    ("simulation.countries", {"US": 1.5, "BR": -0.5}, "between 0 and 1"),
    ("simulation.platforms", {"pc": 0.5, "toaster": 0.5}, "pc, playstation, xbox, switch, mobile"),
    ("simulation.signons.weekly_cycle", [1.0] * 6, "must be a list of seven numbers"),
    ("simulation.signons.weekly_cycle", [1.05] * 7, "add up to 7"),
    ("simulation.signons.weekly_cycle", [2.0, 0, 1, 1, 1, 1, 1], "between 0.5 and 1.1"),
    ("simulation.sessions.play_share", 1.01, "between 0 and 1"),
    ("simulation.sessions.per_day", 9, "between 1 and 8"),
    ("simulation.sessions.shortest_seconds", 29, "between 30 and 7,200"),
    ("simulation.sessions.shortest_seconds", 1700, "shortest_seconds <= typical_seconds <="),
    ("simulation.sessions.longest_seconds", 7201, "between 30 and 7,200"),
    ("simulation.sessions.longest_seconds", 7200.5, "valid integer"),
    ("simulation.sessions.longest_wait_seconds", 1801, "between 0 and 1,800"),
    ("simulation.sessions.kills", 10, "must be a list of two numbers (it is 10)"),
    ("simulation.sessions.kills", [60, 10], "[low, high] within 0 to 1000"),
    ("simulation.sessions.lobbies", {"31x2": 1}, "1x1 to 30x3 or 25x4"),
    ("simulation.sessions.lobbies", {"26x4": 1}, "1x1 to 30x3 or 25x4"),
    ("simulation.sessions.lobbies", {"2x5": 1}, "1x1 to 30x3 or 25x4"),
    ("simulation.sessions.lobbies", {"02x1": 1}, "1x1 to 30x3 or 25x4"),
    ("simulation.sessions.lobbies", {"5x2": 0}, "a weight above 0"),
    ("simulation.sessions.lobbies", {"5x2": -1}, "must be 0 or more"),
    ("simulation.sessions.lobbies", {"5x2": math.inf}, "finite"),
    ("simulation.movement.cohesion", 1.5, "between 0 and 1"),
    ("simulation.movement.reach", 0.01, "between 0.05 and 1"),
    ("simulation.movement.models", {"bezier": 0}, "one of them above 0"),
    ("simulation.movement.models", {"bezier": math.inf}, "finite"),
    ("simulation.movement", del_, "required"),
    ("simulation.spending.clusters.whale.share", 0.5, "add up to 1"),
    ("simulation.spending.clusters.whale.purchases", [5, 2], "[low, high] within 0 to 20"),
    ("simulation.spending.clusters.whale.price", [50, 10], "[low, high] from 0 up"),
    ("simulation.spending.clusters.whale.price", [10, math.inf], "finite"),
    ("simulation.spending.clusters.kraken", {"share": 0}, "none, minnow, dolphin, whale"),
    ("simulation.spending.spread", 4, "between 0 and 3"),
    ("simulation.spending.causes", 2, "between 0 and 1"),
    ("simulation.spending.pass_within_days", 0, "between 1 and 365"),
    ("simulation.spending.currency", "dollars", "^[A-Z]{3}$"),
    ("simulation", del_, "needs a simulation section"),
    ("simulation.growth", COMPOUND, "leave retention out"),
    # names are compared by letters and digits: these would be one
    ("landing.mapping.columns", {"sessions": {"kills": "+"}}, "needs a letter or a digit"),
    ("landing.mapping.columns", {"sessions": {"kills": ["+", "-"]}}, "needs a letter or a digit"),
]


@pytest.mark.parametrize(
    ("setting", "value", "allowed"), WRONG, ids=[f"{w[0]}-{i}" for i, w in enumerate(WRONG)]
)
def test_a_wrong_value_is_one_line_with_file_path_and_what_is_allowed(
    titles_folder: Path, setting: str, value: Any, allowed: str
) -> None:
    path = write(titles_folder, changed(setting, value))
    with pytest.raises(TitleError) as caught:
        Title.load("mine")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    # a rule about a whole section is named at the section
    named_path = message.removeprefix(f"{path}: ").split(":")[0]
    assert (
        setting.startswith(named_path)
        or named_path.startswith(setting)
        or named_path == "the title"
    )
    assert allowed in message


@pytest.mark.parametrize(
    ("setting", "value", "allowed"),
    [
        ("simulation.retention", {"d1": 0.2, "d7": 0.3, "d30": 0.1}, "fall from d1 over d7 to d30"),
        ("simulation.retention", {"d1": 0.2, "d7": 0.1, "d30": 0}, "d30 must be above 0"),
        ("simulation.retention", del_, "needs retention (d1, d7, d30)"),
        ("simulation.growth.players", 0, "between 1 and"),
        ("simulation.growth.days", 0, "between 1 and"),
        ("simulation.growth.launch_share", 2, "between 0 and 1"),
        ("simulation.growth.launch_fade", 4, "between 0 and 3"),
    ],
)
def test_so_is_a_wrong_target_growth(
    titles_folder: Path, setting: str, value: Any, allowed: str
) -> None:
    path = write(titles_folder, changed(setting, value, "leap"))
    with pytest.raises(TitleError, match=r"^[^\n]+$") as caught:
        Title.load("mine")
    assert str(path) in str(caught.value)
    assert allowed in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name: [mine", "not YAML"),
        ("name: mine\nlaunch_date: 2025-02-30\n", "launch_date: must be a day of the calendar"),
        ("name: \x00", "not YAML"),
        ("- a\n- b\n", "a mapping of settings"),
        ("", "a mapping of settings"),
    ],
)
def test_so_is_a_file_that_holds_no_settings(titles_folder: Path, text: str, reason: str) -> None:
    path = write(titles_folder, text)
    with pytest.raises(TitleError, match=r"^[^\n]+$") as caught:
        Title.load("mine")
    assert str(caught.value).startswith(f"{path}:")
    assert reason in str(caught.value)


def test_bytes_that_are_no_text_are_one_line(titles_folder: Path) -> None:
    (titles_folder / "mine.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(TitleError, match=r"^[^\n]*mine\.yaml: is not YAML: it is not UTF-8 text$"):
        Title.load("mine")


@pytest.mark.parametrize("name", ["gold", "bronze", "eventlog", "main", "products"])
def test_a_title_cannot_take_a_schema_of_the_platform(titles_folder: Path, name: str) -> None:
    write(titles_folder, shipped_settings(), name)
    with pytest.raises(TitleError, match=f"name: '{name}' is taken"):
        Title.load(name)


def test_a_file_and_its_title_have_one_name(titles_folder: Path) -> None:
    path = titles_folder / "mine.yaml"
    path.write_text((SHIPPED / "sprint.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(TitleError, match="name: is 'sprint', but the file's name says 'mine'"):
        read_title(path)


def test_every_wrong_value_is_named_with_its_path(titles_folder: Path) -> None:
    settings = changed("seed", -1)
    settings["simulation"]["growth"]["active_players"] = 10**400
    settings["grid"]["x"] = [0, 1, 2]
    settings["encounters"]["a\nb"] = {}
    # pydantic writes the types that it tried as parts of the path
    settings["landing"] = {"mapping": {"columns": {"sessions": {"kills": 3}}}}
    path = write(titles_folder, settings)
    with pytest.raises(TitleError) as caught:
        Title.load("mine")
    assert str(caught.value).removeprefix(f"{path}: ").split("; ") == [
        "seed: must be between 0 and 9,223,372,036,854,775,807 (it is -1)",
        "grid.x: must be a list of two numbers (it is [0, 1, 2])",
        "encounters.a\\nb: there is no such setting",
        "simulation.growth.active_players: must be between 1 and 100,000,000"
        " (it is beyond 2 ** 128)",
        "landing.mapping.columns.sessions.kills: Input should be a valid string (it is 3)"
        " or must be a list (it is 3)",
    ]


def test_an_error_stays_short(titles_folder: Path) -> None:
    settings = shipped_settings()
    settings["description"] = {"x" * 5000: 1}
    settings["encounters"]["word"] = "y" * 5000
    settings |= {f"{n} {'z' * 5000}": n for n in range(100)}
    write(titles_folder, settings)
    with pytest.raises(TitleError, match=r"; and 94 more$") as caught:
        Title.load("mine")
    assert len(str(caught.value)) < 1500


def test_an_unknown_title_names_the_known_ones() -> None:
    with pytest.raises(TitleError, match=r"unknown title 'spirnt'.*known titles: .*leap.*sprint"):
        Title.load("spirnt")


def test_a_folder_adds_titles_and_overrides_shipped_ones(titles_folder: Path) -> None:
    write(titles_folder, changed("seed", 7))
    write(titles_folder, changed("seed", 8), "sprint")
    assert {"leap", "mine", "sprint"} <= set(title_names())
    # what a dashboard without anything names to be run
    assert first_title() == "mine"
    assert Title.load("mine").seed == 7
    assert Title.load("sprint").seed == 8
    assert Title.load("leap").seed == shipped_settings("leap")["seed"]


def test_an_edited_title_is_read_again(titles_folder: Path) -> None:
    write(titles_folder, changed("seed", 7))
    assert Title.load("mine").seed == 7
    write(titles_folder, changed("seed", 123_456))
    assert Title.load("mine").seed == 123_456


def test_a_titles_folder_that_is_none_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPRINT_TITLES_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(TitleError, match=r"^the titles folder .*nowhere is not a folder: "):
        title_names()


def test_an_unknown_movement_model_names_the_known_ones() -> None:
    title = title_like("sprint", simulation__movement__models={"bezier": 0.5, "teleport": 0.5})
    with pytest.raises(
        TitleError,
        match=r"^title sprint: simulation\.movement\.models: 'teleport' is not one of"
        r" bezier, lissajous, lorentzian, perlin$",
    ):
        World(title)


def test_a_retention_that_cannot_be_reached_is_one_line_with_the_highest() -> None:
    def refused(**points: float) -> str:
        title = title_like(
            "leap", simulation__retention={"d1": 0.4, "d7": 0.2, "d30": 0.1} | points
        )
        with pytest.raises(
            TitleError, match=r"^title leap: simulation\.retention\.[^\n]*$"
        ) as error:
            World(title)
        return str(error.value)

    # who stays signs on on half of the days
    assert "d1: 0.95 is too high, at most 0.5" in refused(d1=0.95)
    # all of the first day's are there a week later, and then they go at once: nobody fades so
    message = refused(d7=0.4)
    found = re.search(r"d7: 0\.4 is too high, at most (0\.\d+) can be reached", message)
    assert found
    highest = float(found[1])
    World(title_like("leap", simulation__retention={"d1": 0.4, "d7": highest, "d30": 0.1}))
    refused(d7=highest + 0.001)


def test_a_price_range_without_products_is_one_line() -> None:
    clusters = {
        "none": {"share": 0.9},
        "whale": {"share": 0.1, "chance": 1, "purchases": [1, 1], "price": [600, 700]},
    }
    with pytest.raises(
        TitleError, match=r"^[^\n]*clusters\.whale\.price: no product .* 600 to 700"
    ):
        World(title_like("sprint", simulation__spending__clusters=clusters))


def test_a_landed_title_simulates_nothing() -> None:
    title = title_like("sprint", source="landing", simulation=None)
    with pytest.raises(TitleError, match="landed from files"):
        World(title)


def test_a_fingerprint_covers_what_makes_the_data_and_no_more() -> None:
    title = Title.load("sprint")
    counted_otherwise = title_like("sprint", encounters__distance=10, description="other words")
    assert counted_otherwise.fingerprint == title.fingerprint
    for other in (
        title_like("sprint", seed=1),
        title_like("sprint", heartbeat_seconds=20),
        title_like("sprint", simulation__movement__cohesion=0.1),
        title_like("sprint", launch_date="2025-01-02"),
        Title.load("leap"),
    ):
        assert other.fingerprint != title.fingerprint


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.mkdir(), "it is not a file"),
        (lambda path: path.symlink_to(path.name), "cannot be read"),
        (lambda path: path.symlink_to("gone"), "cannot be read"),
        (os.mkfifo, "it is not a file"),
        (lambda path: path.write_text("a: " * 200_000 + "1"), "is not YAML"),
        (lambda path: path.write_text("[" * 100_000), "nested too deeply"),
        (lambda path: path.write_text("a" * 1_000_001), "at most 1,000,000 bytes"),
        (
            lambda path: path.write_text(
                "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
                + "".join(
                    f"{n}: &{n} [{', '.join([f'*{before}'] * 10)}]\n"
                    for before, n in pairwise("abcdefgh")
                )
            ),
            "at most 100,000 values",
        ),
        (lambda path: path.write_text("a: &a [*a]"), "at most 100,000 values"),
        (lambda path: path.write_text('seed: !!int ""'), "a tag does not go with its value"),
        (lambda path: path.write_text("seed: !!bool x"), "a tag does not go with its value"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "not UTF-8"),
        (lambda path: path.write_text(""), "this file holds none"),
    ],
)
def test_an_odd_entry_in_a_titles_folder_is_left_out_in_one_line(
    titles_folder: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    # what takes it for markup swallows it
    odd = titles_folder / "odd[bold].yaml"
    spoil(odd)
    # an editor's lock, which links to no file
    (titles_folder / ".#sprint.yaml").symlink_to("somebody@somewhere.1")
    titles, (error,) = valid_titles()
    assert [title.name for title in titles] == ["launch", "leap", "sprint"]
    assert str(odd) in error
    assert reason in error
    assert "\n" not in error
    ended = run_sprint(["titles"], dict(os.environ))
    assert ended.returncode == 0
    assert "sprint" in ended.stdout
    assert odd.name in ended.stderr
    assert reason in ended.stderr
