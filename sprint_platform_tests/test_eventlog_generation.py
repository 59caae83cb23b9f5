"""A batch of the event log: the same bytes everywhere, and rows that make one story."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sprint_platform.core.settings import SettingsError
from sprint_platform.eventlog.contracts import COUNTRY_LANGUAGES, RAW_TABLES
from sprint_platform.eventlog.files import GENERATION_VERSION
from sprint_platform.eventlog.generation import batch as batch_module
from sprint_platform.eventlog.generation.batch import batch_rows
from sprint_platform.eventlog.generation.players import CASE_SHARES, COUNTRY_SHARES
from sprint_platform.eventlog.generation.sessions import FIRST_HOUR, HOUR_SHARES
from sprint_platform.eventlog.generation.story import (
    ACTION_SHARES,
    CHAPTERS,
    ENEMIES,
    ENEMY_SHARES,
    ITEMS,
    WEAPONS,
    WEATHER_SHARES,
    WEATHERS,
)
from sprint_platform.eventlog.settings import BatchSettings
from sprint_platform_tests import eventlog_golden
from sprint_platform_tests.another_machine import digests_elsewhere
from sprint_platform_tests.eventlog_records import (
    COLUMNS,
    Row,
    batch_records,
    check_batch,
    csv_text,
    properties,
)

FIRST = date(2011, 1, 13)


def table(settings: BatchSettings, name: str) -> pl.DataFrame:
    """All rows of the table."""
    return pl.concat(batch_rows(settings, name))


def batch(days: int = 31, **settings: Any) -> BatchSettings:
    """Settings of so many days, from the given ``start`` or the first batch's."""
    start = settings.pop("start", FIRST)
    return BatchSettings(start=start, end=start + timedelta(days=days - 1), **settings)


# -- the same bytes ---------------------------------------------------------------------------


def test_golden_digests() -> None:
    recorded = json.loads(eventlog_golden.PATH.read_text(encoding="utf-8"))
    assert recorded["generation_version"] == GENERATION_VERSION
    assert eventlog_golden.digests() == recorded["sha256"]


def test_other_processors_make_the_same_bytes() -> None:
    # settings are not looked up in the environment here
    made = digests_elsewhere("eventlog_golden", N_PLAYERS="3", GAME_DATA_SEED="7")
    recorded = json.loads(eventlog_golden.PATH.read_text(encoding="utf-8"))
    assert made == recorded["sha256"]


@pytest.mark.parametrize("name", list(RAW_TABLES))
def test_bytes_are_the_same_in_parts_of_any_size(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = batch(players=31, max_sessions=40, batch=3)
    whole = hashlib.sha256(csv_text(settings, name).encode()).hexdigest()
    for players in (1, 7, 30, 31):
        monkeypatch.setattr(batch_module, "PLAYERS_AT_A_TIME", players)
        assert len(list(batch_rows(settings, name))) == math.ceil(31 / players)
        assert hashlib.sha256(csv_text(settings, name).encode()).hexdigest() == whole


@pytest.mark.parametrize("name", list(RAW_TABLES))
@given(
    seed=st.integers(0, 2**63 - 1),
    batch_number=st.integers(1, 999),
    fewer=st.integers(1, 20),
    more=st.integers(1, 20),
    days=st.integers(1, 60),
)
@hypothesis_settings(max_examples=10)
def test_more_players_change_no_row(
    name: str, seed: int, batch_number: int, fewer: int, more: int, days: int
) -> None:
    same = {"seed": seed, "batch": batch_number}
    rows = table(batch(days, players=fewer, **same), name)
    longer = table(batch(days, players=fewer + more, **same), name)
    assert longer.height > rows.height
    assert longer.head(rows.height).equals(rows)


# what differs between batches beside the ids
DIFFERING = {
    "raw_players": ["country", "language", "difficulty_selected"],
    "raw_sessions": ["session_start"],
    "raw_game_events": ["event_time", "properties"],
}


@pytest.mark.parametrize("name", list(RAW_TABLES))
@pytest.mark.parametrize("other", [{"seed": 43}, {"batch": 2}, {"seed": 2**40 + 42}])
def test_another_seed_or_batch_is_of_other_people(name: str, other: dict[str, int]) -> None:
    mine = table(batch(players=200), name).select(DIFFERING[name])
    theirs = table(batch(players=200, **other), name).select(DIFFERING[name])
    same = min(mine.height, theirs.height)
    equal = mine.head(same).hash_rows() == theirs.head(same).hash_rows()
    assert equal.sum() < 0.25 * same


def test_the_version_changes_its_column_only() -> None:
    mine, theirs = (
        table(batch(players=20, game_version=version), "raw_game_events")
        for version in ("1.0.3", "2.0-rc.1")
    )
    assert set(theirs["game_version"]) == {"2.0-rc.1"}
    assert mine.drop("game_version").equals(theirs.drop("game_version"))


def test_other_dates_move_the_same_batch() -> None:
    # the seed and the batch's number decide, not when it was
    mine, later = (
        table(batch(players=20, start=FIRST + timedelta(days=days)), "raw_sessions")
        for days in (0, 365)
    )
    for column in ("session_start", "session_end"):
        moved = mine[column].str.to_datetime().dt.offset_by("365d")
        assert moved.to_list() == later[column].str.to_datetime().to_list()


# -- what the rows say ------------------------------------------------------------------------


def test_columns_are_the_contracts() -> None:
    assert {name: table.column_names for name, table in RAW_TABLES.items()} == COLUMNS
    for name, columns in COLUMNS.items():
        rows = table(batch(players=3), name)
        texts = dict.fromkeys(columns[:-1], pl.String)
        assert dict(rows.schema) == {**texts, "load_batch_id": pl.Int32}
        assert sum(rows.null_count().row(0)) == 0


@given(
    players=st.integers(1, 60),
    max_sessions=st.integers(1, 40),
    start=st.dates(date(1999, 1, 1), date(2040, 1, 1)),
    days=st.integers(1, 60),
    seed=st.integers(0, 2**63 - 1),
    number=st.integers(1, 999),
    numbered_from=st.none()
    | st.tuples(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(0, 10**6)),
)
@example(60, 40, FIRST, 1, 42, 1, None)  # one day
@example(60, 40, FIRST, 2, 42, 2, None)
@example(60, 1, FIRST, 60, 42, 999, None)  # one session
@example(20, 1000, date(2012, 1, 1), 730, 2**63 - 1, 4, (7, 8, 0))  # two years
@example(40, 40, date(2011, 12, 20), 31, 0, 1, (2001, 9705, 268252))  # a year's end
@hypothesis_settings(max_examples=40)
def test_any_batch_keeps_every_rule(
    players: int,
    max_sessions: int,
    start: date,
    days: int,
    seed: int,
    number: int,
    numbered_from: tuple[int, int, int] | None,
) -> None:
    settings = batch(
        days,
        start=start,
        players=players,
        max_sessions=max_sessions,
        seed=seed,
        batch=number,
        numbered_from=numbered_from,
    )
    check_batch(settings, batch_records(settings))


@pytest.fixture(scope="module")
def records() -> dict[str, list[Row]]:
    """A batch of 400 players."""
    return batch_records(batch(players=400))


def test_a_larger_batch_keeps_every_rule(records: dict[str, list[Row]]) -> None:
    check_batch(batch(players=400), records)


def test_everything_that_can_happen_does(records: dict[str, list[Row]]) -> None:
    seen: dict[str, set[object]] = {}
    for event in records["raw_game_events"]:
        name, details = event["event_name"], properties(event)
        for key in ("chapter", "enemy", "weapon", "item", "weather", "quantity", "headshot"):
            if key in details:
                seen.setdefault(f"{name} {key}", set()).add(details[key])
        if name == "chapter_started":
            resumed = details["place"] != CHAPTERS[details["chapter"] - 1].places[0]
            seen.setdefault("goes on from a checkpoint", set()).add(resumed)
            seen.setdefault("attempts", set()).add(details["attempt"])
            seen.setdefault("playthroughs", set()).add(details["playthrough"])
            seen.setdefault("places", set()).add((details["chapter"], details["place"]))
    chapters = set(range(1, 13))
    for name in ("chapter_started", "chapter_completed", "enemy_killed", "game_closed"):
        assert seen[f"{name} chapter"] == chapters
    for name in ("enemy_killed", "player_died"):
        assert seen[f"{name} enemy"] == set(ENEMIES)
        assert seen[f"{name} weather"] == set(WEATHERS)
    assert seen["enemy_killed weapon"] == {weapon.name for weapon in WEAPONS}
    assert seen["item_crafted item"] == {item.name for item in ITEMS}
    assert seen["item_crafted quantity"] == {1, 2, 3}
    assert seen["enemy_killed headshot"] == {True, False}
    assert seen["goes on from a checkpoint"] == {True, False}
    assert seen["attempts"] >= {1, 2, 3, 4}
    assert seen["playthroughs"] >= {1, 2, 3}
    assert len(seen["places"]) == sum(len(chapter.places) for chapter in CHAPTERS)


# -- how often --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def players() -> pl.DataFrame:
    """20,000 players of batch 1, with their platform."""
    settings = batch(players=20_000)
    platform = pl.col("platform").first()
    of = table(settings, "raw_sessions").group_by("player_id", maintain_order=True).agg(platform)
    return table(settings, "raw_players").join(of, on="player_id", maintain_order="left")


@pytest.fixture(scope="module")
def sessions() -> pl.DataFrame:
    """The sessions of these players, with times as times and seconds."""
    times = [pl.col(f"session_{end}").str.to_datetime().alias(end) for end in ("start", "end")]
    return (
        table(batch(players=20_000), "raw_sessions")
        .with_columns(times)
        .with_columns(seconds=(pl.col("end") - pl.col("start")).dt.total_seconds())
    )


@pytest.fixture(scope="module")
def events() -> pl.DataFrame:
    """The events of the default batch's 2,000 players, with some of their properties."""
    settings = BatchSettings()

    def from_properties(key: str) -> pl.Expr:
        return pl.col("properties").str.json_path_match(f"$.{key}").alias(key)

    keys = [
        from_properties(key)
        for key in ("chapter", "weather", "enemy", "weapon", "item", "headshot")
    ]
    difficulty = table(settings, "raw_players").select("player_id", "difficulty_selected")
    return (
        table(settings, "raw_game_events")
        .with_columns(keys)
        .with_columns(pl.col("chapter").cast(pl.Int32))
        .join(difficulty, on="player_id", maintain_order="left")
    )


def assert_shares(values: Sequence[object] | pl.Series, shares: Mapping[Any, float]) -> None:
    """Asserts that each value is as frequent as it should be, within four standard errors."""
    counts, n, total = Counter(values), len(values), sum(shares.values())
    assert set(counts) == {value for value, share in shares.items() if share}
    for value, share in shares.items():
        p = share / total
        error = math.sqrt(p * (1 - p) / n)
        assert counts[value] / n == pytest.approx(p, abs=4 * error + 1 / 65_536), value


DIFFICULTY = {"easy": 0.15, "normal": 0.55, "hard": 0.20, "grounded": 0.10}
PLATFORM = {"ps3": 0.50, "xbox360": 0.35, "pc": 0.15}
COUNTRY = dict(zip(COUNTRY_LANGUAGES, COUNTRY_SHARES, strict=True))
SPELLING = dict(zip(("upper", "lower", "title"), CASE_SHARES, strict=True))


def test_who_plays(players: pl.DataFrame) -> None:
    def spelling(code: str) -> str:
        return next(case for case in SPELLING if getattr(code, case)() == code)

    of_players: dict[str, tuple[Sequence[str] | pl.Series, dict[str, float]]] = {
        "difficulty": (players["difficulty_selected"], DIFFICULTY),
        "platform": (players["platform"], PLATFORM),
        "country": (players["country"].str.to_uppercase(), COUNTRY),
        "its spelling": ([spelling(code) for code in players["country"]], SPELLING),
        "language's": ([spelling(code) for code in players["language"]], SPELLING),
    }
    for values, shares in of_players.values():
        assert_shares(values, shares)
    # one has nothing to do with another
    for one, other in [
        ("difficulty", "platform"),
        ("difficulty", "country"),
        ("platform", "country"),
        ("country", "its spelling"),
        ("its spelling", "language's"),
        ("country", "language's"),
    ]:
        (mine, shares), (theirs, others) = of_players[one], of_players[other]
        joint = {(a, b): p * q for a, p in shares.items() for b, q in others.items()}
        assert_shares(list(zip(mine, theirs, strict=True)), joint)


@pytest.mark.parametrize("most", [25, 3, 1])
def test_how_many_sessions(most: int, sessions: pl.DataFrame) -> None:
    rows = sessions if most == 25 else table(batch(players=5000, max_sessions=most), "raw_sessions")
    counts = rows.group_by("player_id").len()["len"]
    ends = {count: 0.2 * 0.8 ** (count - 1) for count in range(1, most)}
    assert_shares(counts, {**ends, most: 0.8 ** (most - 1)})
    mean = (1 - 0.8**most) / 0.2  # of a geometric distribution that is held at the most
    assert counts.mean() == pytest.approx(mean, abs=4 * 4.5 / math.sqrt(len(counts)))


def test_nobody_plays_more_often_than_there_are_days() -> None:
    counts = table(batch(4, players=3000), "raw_sessions").group_by("player_id").len()["len"]
    assert counts.max() == 4
    assert table(batch(1, players=300), "raw_sessions").height == 300


def test_how_long_sessions_are(sessions: pl.DataFrame) -> None:
    seconds = sessions["seconds"]
    assert (seconds.min(), seconds.max()) == (300, 10_800)
    classes = (seconds >= 1200).cast(pl.Int8) + (seconds >= 3600).cast(pl.Int8)
    assert_shares(classes, {0: 0.25, 1: 0.50, 2: 0.25})
    for least, most in ((300, 1200), (1200, 3600), (3600, 10_800)):
        within = seconds.filter(seconds.is_between(least, most, closed="none"))
        error = (most - least) / math.sqrt(12 * len(within))
        assert within.mean() == pytest.approx((least + most) / 2, abs=4 * error)


def test_when_people_play(sessions: pl.DataFrame) -> None:
    # on the last day, who starts late starts earlier: nothing is logged after it
    free = sessions.filter(pl.col("start").dt.date() < FIRST + timedelta(days=30))["start"]
    assert_shares(
        free.dt.hour(), {FIRST_HOUR + n: float(share) for n, share in enumerate(HOUR_SHARES)}
    )
    for part in (free.dt.minute(), free.dt.second()):
        assert_shares(part, dict.fromkeys(range(60), 1.0))
    days = sessions["start"].dt.date()
    assert days.n_unique() == 31
    # some play past midnight, and none of them past the end
    assert (sessions["end"].dt.date() > days).sum() > 500
    assert sessions["end"].dt.date().max() == FIRST + timedelta(days=30)


def test_players_come_back(sessions: pl.DataFrame) -> None:
    day = pl.col("start").dt.date()
    first = day.min().over("player_id")
    since = sessions.select("player_id", first=first, day=(day - first).dt.total_days())
    players = since.unique("player_id")

    def back(after: int) -> float:
        could = players.filter(pl.col("first") <= FIRST + timedelta(days=30 - after)).height
        return float(since.filter(pl.col("day") == after)["player_id"].n_unique() / could)

    assert 0.25 < back(1) < 0.40
    assert 0.10 < back(14) < back(7) < back(1)
    gaps = sessions.select(gap=day.diff().dt.total_days().over("player_id")).drop_nulls()["gap"]
    assert gaps.min() == 1
    # most are back within a week
    assert 0.85 < (gaps <= 7).sum() / len(gaps) < 0.99


def test_what_happens_depends_on_the_difficulty(events: pl.DataFrame) -> None:
    kinds = ("enemy_killed", "player_died", "item_crafted")
    actions = events.filter(pl.col("event_name").is_in(kinds))
    lost = []
    for difficulty, shares in ACTION_SHARES.items():
        names = actions.filter(pl.col("difficulty_selected") == difficulty)["event_name"]
        assert_shares(names, dict(zip(kinds, shares, strict=True)))
        lost.append((names == "player_died").sum() / len(names))
    assert lost == sorted(lost)
    assert len(set(lost)) == 4
    # and harder chapters are given up more often
    first = events.filter(pl.col("chapter") == 4)
    counts = first.group_by("difficulty_selected").agg(
        done=(pl.col("event_name") == "chapter_completed").sum(),
        tried=(pl.col("event_name") == "chapter_started").sum(),
    )
    done = {name: done / tried for name, done, tried in counts.iter_rows()}
    assert done["easy"] > done["normal"] > done["hard"] > done["grounded"]


def test_when_it_happens_says_nothing_of_what(events: pl.DataFrame) -> None:
    since = events["event_time"].str.to_datetime().diff().dt.total_seconds()
    # of one difficulty: who dies often takes longer
    normal = events.with_columns(since=since).filter(
        (pl.col("difficulty_selected") == "normal")
        & (pl.col("event_name").shift(1) == "chapter_started")
    )
    waits = dict(normal.group_by("event_name").agg(pl.col("since").mean()).iter_rows())
    for name in ("player_died", "item_crafted"):
        assert waits[name] == pytest.approx(waits["enemy_killed"], rel=0.08)


def test_what_it_happens_with(events: pl.DataFrame) -> None:
    killed = events.filter(pl.col("event_name") == "enemy_killed")
    enemy = dict(zip(ENEMIES, ENEMY_SHARES, strict=True))
    weapon = {weapon.name: weapon.share for weapon in WEAPONS}
    assert_shares(killed["enemy"], enemy)
    assert_shares(killed["weapon"], weapon)
    joint = {(a, b): p * q for a, p in enemy.items() for b, q in weapon.items()}
    assert_shares(list(killed.select("enemy", "weapon").iter_rows()), joint)
    for one in WEAPONS:
        hits = killed.filter(pl.col("weapon") == one.name)["headshot"]
        chance = float(one.headshots)
        assert_shares(hits, {"true": chance, "false": 1 - chance})
    assert_shares(events.filter(pl.col("event_name") == "player_died")["enemy"], enemy)
    crafted = events.filter(pl.col("event_name") == "item_crafted")
    assert_shares(crafted["item"], {item.name: item.share for item in ITEMS})
    # whether a chapter is completed has nothing to do with the weather
    story = events.filter(pl.col("event_name").is_in(["chapter_started", "chapter_completed"]))
    story = story.with_columns(
        completed=pl.col("event_name").shift(-1).over("player_id") == "chapter_completed"
    ).filter(pl.col("event_name") == "chapter_started")
    for completed in (True, False):
        weathers = story.filter(pl.col("completed").fill_null(False) == completed)["weather"]
        assert_shares(weathers, dict(zip(WEATHERS, WEATHER_SHARES, strict=True)))


def test_chapters_4_and_9_lose_most_players(events: pl.DataFrame) -> None:
    def who(name: str) -> dict[int, int]:
        of = events.filter(pl.col("event_name") == name).unique(["player_id", "chapter"])
        return dict(of.group_by("chapter").len().iter_rows())

    came, went_on = who("chapter_started"), who("chapter_completed")
    lost = {chapter: 1 - went_on[chapter] / came[chapter] for chapter in came}
    assert set(sorted(lost, key=lost.__getitem__)[-2:]) == {4, 9}
    assert min(lost[4], lost[9]) > 1.15 * max(lost[c] for c in lost if c not in (4, 9, 12))
    assert came[1] == 2000
    # the story gets to its end with some of them
    assert 0.2 < went_on[12] / came[1] < 0.7


def test_how_much_is_logged(events: pl.DataFrame) -> None:
    names = Counter(events["event_name"])
    assert names["game_started"] == names["game_closed"]
    assert 20 < events.height / names["game_started"] < 32
    # a session's hour brings about three chapters
    assert 1.5 < names["chapter_completed"] / names["game_started"] < 3.5


# -- settings ---------------------------------------------------------------------------------


def read(given_settings: dict[str, Any], environment: dict[str, str]) -> BatchSettings:
    with pytest.MonkeyPatch.context() as patch:
        for variable in SURROUNDINGS:
            patch.delenv(variable, raising=False)
        for variable, value in environment.items():
            patch.setenv(variable, value)
        return BatchSettings.read(given_settings)


def test_without_settings_the_first_batch_is_made() -> None:
    settings = read({}, {})
    assert settings == BatchSettings()
    assert settings.model_dump() == {
        "batch": 1,
        "players": 2000,
        "max_sessions": 25,
        "game_version": "1.0.3",
        "seed": 42,
        "start": date(2011, 1, 13),
        "end": date(2011, 2, 12),
        "numbered_from": None,
    }


SURROUNDINGS = {
    "N_PLAYERS": "7",
    "MAX_SESSIONS_PER_PLAYER": "3",
    "GAME_VERSION": "9.9",
    "GAME_DATA_SEED": "5",
    "LOAD_BATCH_ID": "4",
}


def test_the_environment_gives_settings_and_flags_win() -> None:
    settings = read({}, SURROUNDINGS)
    assert (
        settings.players,
        settings.max_sessions,
        settings.game_version,
        settings.seed,
        settings.batch,
    ) == (
        7,
        3,
        "9.9",
        5,
        4,
    )
    flags = {"players": 8, "max_sessions": None, "game_version": "1.1", "seed": 0, "batch": 2}
    settings = read(flags, SURROUNDINGS)
    assert (
        settings.players,
        settings.max_sessions,
        settings.game_version,
        settings.seed,
        settings.batch,
    ) == (
        8,
        3,
        "1.1",
        0,
        2,
    )
    # a variable that is set to nothing is not set
    assert read({}, dict.fromkeys(SURROUNDINGS, "")) == BatchSettings()


@pytest.mark.parametrize(
    ("given_settings", "start", "end"),
    [
        ({}, "2011-01-13", "2011-02-12"),
        ({"batch": 2}, "2011-02-13", "2011-03-15"),
        ({"batch": "3"}, "2011-03-16", "2011-04-15"),
        ({"batch": "2.0"}, "2011-02-13", "2011-03-15"),
        ({"batch": 999}, "2095-09-27", "2095-10-27"),
        ({"batch": 2, "start": "2012-02-01"}, "2012-02-01", "2012-03-02"),
        ({"batch": 2, "end": "2011-02-20"}, "2011-02-13", "2011-02-20"),
        ({"start": date(2011, 5, 1), "end": date(2011, 5, 1)}, "2011-05-01", "2011-05-01"),
    ],
)
def test_dates_follow_the_batch(given_settings: dict[str, Any], start: str, end: str) -> None:
    settings = read(given_settings, {})
    assert (settings.start, settings.end) == (date.fromisoformat(start), date.fromisoformat(end))
    assert settings.days == (settings.end - settings.start).days + 1


def test_batches_follow_each_other_without_a_gap() -> None:
    batches = [BatchSettings(batch=number) for number in range(1, 1000)]
    for one, following in pairwise(batches):
        assert following.start == one.end + timedelta(days=1)


@pytest.mark.parametrize(
    ("flag", "variable", "value"),
    [
        ("players", "N_PLAYERS", "many"),
        ("players", "N_PLAYERS", "0"),
        ("players", "N_PLAYERS", "-3"),
        ("players", "N_PLAYERS", "2.5"),
        ("max_sessions", "MAX_SESSIONS_PER_PLAYER", "0"),
        ("max_sessions", "MAX_SESSIONS_PER_PLAYER", "1001"),
        ("seed", "GAME_DATA_SEED", "-1"),
        ("seed", "GAME_DATA_SEED", str(2**63)),
        ("seed", "GAME_DATA_SEED", "0x2a"),
        ("batch", "LOAD_BATCH_ID", "0"),
        ("batch", "LOAD_BATCH_ID", "1000"),
        ("batch", "LOAD_BATCH_ID", "first"),
        ("game_version", "GAME_VERSION", "1,0"),
        ("game_version", "GAME_VERSION", 'the "good" one'),
        ("game_version", "GAME_VERSION", "1.0\n3"),
        ("game_version", "GAME_VERSION", "1.0.3\n"),
        ("game_version", "GAME_VERSION", "1.0\r"),
        ("game_version", "GAME_VERSION", "1" * 33),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(flag: str, variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as by_variable:
        read({}, {variable: value})
    with pytest.raises(SettingsError) as by_flag:
        read({flag: value}, {variable: SURROUNDINGS[variable]})
    for error, name in ((by_variable, variable), (by_flag, flag.replace("_", " "))):
        message = str(error.value)
        assert message.startswith(f"{name} is ")
        assert message.isprintable(), repr(message)


@pytest.mark.parametrize(
    ("given_settings", "words"),
    [
        ({"start": "2011-03-01", "end": "2011-02-28"}, ["2011-02-28", "2011-03-01", "before"]),
        ({"end": "2010-12-31"}, ["2010-12-31", "2011-01-13", "before"]),
        ({"start": "2000-01-01", "end": "2011-01-01"}, ["ten years"]),
        ({"start": "soon"}, ["start is 'soon'"]),
        ({"end": "2011-02-30"}, ["end is '2011-02-30'"]),
        ({"color": "red"}, ["color is 'red'"]),
    ],
)
def test_wrong_dates_are_named_in_one_line(
    given_settings: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(SettingsError) as error:
        read(given_settings, {})
    message = str(error.value)
    assert message.isprintable()
    assert all(word in message for word in words), message


def test_ten_years_can_be_made() -> None:
    settings = read({"start": "2001-01-01", "end": "2011-01-07"}, {})
    assert settings.days > 3650
