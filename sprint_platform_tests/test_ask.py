"""`sprint ask`: every answer against plain Python over the records, and as dbt compiles it."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import numpy as np
import pytest

from sprint_platform.engines.duckdb_file import connect
from sprint_platform.ml.marts import store_segments
from sprint_platform.ml.predictions import Predictions
from sprint_platform.ml.segments import Segment
from sprint_platform.places import published_dir
from sprint_platform.title import Title
from sprint_platform.transform.questions import Answer, QuestionError, ask, questions
from sprint_platform_tests.built_marts import publish_built
from sprint_platform_tests.command_line import Ended, run_sprint
from sprint_platform_tests.dbt_runs import DbtWarehouse, landed_title
from sprint_platform_tests.game_records import (
    COUNTRIES,
    PLAYERS,
    Records,
    add_random_day,
    add_record,
    expected_marts,
    id_of,
    known_players,
)

TITLES = {
    "sprint": landed_title("sprint", distance=50, gap_seconds=180),
    "leap": landed_title("leap", distance=30, gap_seconds=60, word="conflict"),
}
DAY = timedelta(days=1)
DAYS = [
    *(date(2025, 1, 1) + n * DAY for n in range(10)),
    date(2025, 1, 31),
    *(date(2025, 3, 10), date(2025, 3, 11)),
]
# everybody plays in each of these weeks
FULL_DAYS = (DAYS[0], DAYS[6])
# the month ends: two countries play, and neither longer than the other
EVEN_DAY = date(2025, 2, 1)
# who plays on this day and the one before, in different months
ONE_OFF = PLAYERS[20]
# nobody plays, and two countries pay the same
DRAWN_DAY = date(2025, 3, 20)
MONTHS = (date(2025, 1, 1), date(2025, 2, 1), date(2025, 3, 1))
STRANGER = UUID(int=8 << 76 | 2 << 62 | 999)
# dbt's variables, the same in every run: with others it parses the whole project anew
VARIABLES = (
    "--vars",
    json.dumps({"player": str(PLAYERS[8]), "date": str(DAYS[3]), "month": "2025-03"}),
)
# `sprint ask …`, for a test's folder
Ask = Callable[..., Ended]


def records_of_the_game() -> Records:
    records = Records()
    rng = np.random.default_rng(20250101)
    everybody, others = PLAYERS[:12], PLAYERS[6:18]
    for day in DAYS:
        # whoever plays in both months has more than one to compare
        add_random_day(records, rng, day, everybody if day.month == 1 else others)
    playing = {
        **dict.fromkeys(FULL_DAYS, everybody),
        EVEN_DAY - DAY: [ONE_OFF],
        EVEN_DAY: [ONE_OFF, everybody[0]],
    }
    for day, players in playing.items():
        for number, player in enumerate(players):
            seat = {"session_id": id_of(day, 50), "player_id": player, "team_id": number % 2 + 1}
            start = datetime.combine(day, datetime.min.time())
            add_record(records, seat, start, 600, 3, 1, COUNTRIES[number % len(COUNTRIES)])
    sold = records.of["transactions"][DAYS[0]][0]
    for number in (0, 1):
        bought = {
            "transaction_id": id_of(DRAWN_DAY, number),
            "player_id": PLAYERS[number],
            "event_datetime": datetime.combine(DRAWN_DAY, datetime.min.time()),
            "purchase_price": Decimal("7.50"),
        }
        records.add("transactions", DRAWN_DAY, {**sold, **bought})
    return records


@pytest.fixture(scope="module")
def game() -> Records:
    """What was played and bought, in both titles."""
    return records_of_the_game()


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, game: Records) -> DbtWarehouse:
    """What the questions read of Leap, built by dbt; Sprint has the same rows under its own names.
    Both are published."""
    made = DbtWarehouse(tmp_path_factory.mktemp("asked"))
    leap = TITLES["leap"]
    made.create_tables(leap)
    game.load(made, leap, [*DAYS, EVEN_DAY, DRAWN_DAY])
    made.load(leap, "dim_players", {DAYS[0]: known_players()})
    run = made.dbt(leap, "run", "--select", "+path:analyses/*.sql", *VARIABLES)
    assert run.success, run.messages or run.error
    leaps = [name for name in made.relations() if name.startswith("leap_mart.")]
    with pytest.MonkeyPatch.context() as patch, made.connect() as con:
        patch.setenv("SPRINT_DATA_DIR", str(made.folder))
        con.execute("create schema sprint_mart")
        for mart in leaps:
            own = mart.replace("leap_", "sprint_").replace("conflict", "encounter")
            con.execute(f"create table {own} as from {mart}")
            publish_built(con, "sprint", [own])
        publish_built(con, "leap", leaps)
    return made


@pytest.fixture(scope="module")
def expected(warehouse: DbtWarehouse, game: Records) -> dict[str, list[dict[str, Any]]]:
    """Every mart, from the records in plain Python."""
    return expected_marts(game, warehouse.rows("leap_stage.stage_conflicts"))


@pytest.fixture
def published(warehouse: DbtWarehouse, monkeypatch: pytest.MonkeyPatch) -> DbtWarehouse:
    """The warehouse as the data folder."""
    monkeypatch.setenv("SPRINT_DATA_DIR", str(warehouse.folder))
    return warehouse


@pytest.fixture
def sprint_ask(published: DbtWarehouse, tmp_path: Path) -> Ask:
    """Runs `sprint ask …` over what is published."""
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path / "home"), "NO_COLOR": "1"}
    return lambda *arguments: run_sprint(["ask", *arguments], environment)


def answer(title: str, number: int, **given: Any) -> Answer:
    (question,) = [q for q in questions() if q.number == number]
    return ask(TITLES[title], question, **given)


def published_rows(sql: str) -> list[tuple[Any, ...]]:
    """What the query says of what is published, in a shell of one's own."""
    with duckdb.connect(str(published_dir() / "sprint.duckdb"), read_only=True) as con:
        return con.execute(sql).fetchall()


def table_of(stdout: str) -> list[dict[str, str]]:
    """The rows of the printed table, by heading."""
    lines = [line.strip("┃│ \n") for line in stdout.splitlines() if line.startswith(("┃", "│"))]
    headings, *rows = [
        [cell.strip() for cell in line.replace("┃", "│").split("│")] for line in lines
    ]
    return [dict(zip(headings, row, strict=True)) for row in rows]


def best(amounts: dict[Any, Any]) -> list[Any]:
    """Whoever has most, in order; several where they tie."""
    return sorted(key for key, amount in amounts.items() if amount == max(amounts.values()))


# --- the answers ---------------------------------------------------------------------------------


def test_there_are_eight_questions() -> None:
    needs = {question.number: question.needs for question in questions()}
    assert needs == {
        1: ("player", "date"),
        2: (),
        3: ("month",),
        4: ("player",),
        5: ("player",),
        6: (),
        7: ("month",),
        8: (),
    }


@pytest.mark.parametrize("title", TITLES)
def test_play_time_on_a_date(published: DbtWarehouse, game: Records, title: str) -> None:
    days = (DAYS[4], DAYS[-1])
    played: dict[tuple[UUID, date], list[int]] = defaultdict(list)
    for day, row in game.all("sessions"):
        played[row["player_id"], day].append(row["event_length_seconds"])
    players = PLAYERS[4:10]
    for player in players:
        for day in days:
            found = answer(title, 1, player=player, day=day)
            lengths = played[player, day]
            ((seconds, hours, sessions),) = found.rows
            assert (seconds, sessions) == (sum(lengths), len(lengths))
            assert hours == pytest.approx(sum(lengths) / 3600, abs=0.005)
    # some did not play on some day: that is an answer, too
    assert len([1 for player in players for day in days if not played[player, day]]) > 2


@pytest.mark.parametrize("title", TITLES)
def test_week_with_the_most_players(published: DbtWarehouse, game: Records, title: str) -> None:
    players: dict[date, set[UUID]] = defaultdict(set)
    for day, row in game.all("sessions"):
        players[day - day.weekday() * DAY].add(row["player_id"])
    counts = {week: len(found) for week, found in players.items()}
    weeks = best(counts)
    assert answer(title, 2).rows == [(week, counts[week]) for week in weeks]
    assert len(weeks) > 1


@pytest.mark.parametrize("title", TITLES)
def test_country_with_the_most_play_time(
    published: DbtWarehouse, expected: dict[str, Any], title: str
) -> None:
    for month in MONTHS:
        seconds = {
            row["country"]: row["total_play_time_seconds"]
            for row in expected["country_monthly_playtime"]
            if row["year_month"] == month
        }
        found = [row[:3] for row in answer(title, 3, month=month).rows]
        assert found == [(month, country, seconds[country]) for country in best(seconds)]
        assert len(found) == (2 if month == EVEN_DAY else 1)


@pytest.mark.parametrize("title", TITLES)
def test_lifetime_kill_death_ratio(published: DbtWarehouse, game: Records, title: str) -> None:
    of: dict[UUID, list[tuple[date, int, int]]] = defaultdict(list)
    for day, row in game.all("sessions"):
        of[row["player_id"]].append((day, row["kills"], row["deaths"]))
    for player, parts in of.items():
        days, kills, deaths = zip(*parts, strict=True)
        ratio = sum(kills) / sum(deaths) if sum(deaths) else None
        assert answer(title, 4, player=player).rows == [
            (sum(kills), sum(deaths), ratio, min(days), max(days))
        ]


@pytest.mark.parametrize("title", TITLES)
def test_month_of_the_longest_streak(published: DbtWarehouse, game: Records, title: str) -> None:
    days_of: dict[UUID, set[date]] = defaultdict(set)
    for day, row in game.all("sessions"):
        days_of[row["player_id"]].add(day)
    for player, days in days_of.items():
        longest: Counter[date] = Counter()
        for first in days:
            run = 1
            while (after := first + run * DAY) in days and after.month == first.month:
                run += 1
            month = first.replace(day=1)
            longest[month] = max(longest[month], run)
        months = best(longest)
        found = answer(title, 5, player=player).rows
        assert found == [(month, longest[month]) for month in months]
    assert answer(title, 5, player=ONE_OFF).rows == [(month, 1) for month in MONTHS[:2]]


@pytest.mark.parametrize("title", TITLES)
def test_country_with_the_most_revenue(
    published: DbtWarehouse, expected: dict[str, Any], title: str
) -> None:
    paid: dict[date, dict[str, Decimal]] = defaultdict(dict)
    for row in expected["country_weekly_revenue"]:
        paid[row["year_week"]][row["country"]] = row["total_revenue"]
    rows = answer(title, 6).rows
    assert rows == [
        (week, country, paid[week][country])
        for week in sorted(paid)
        for country in best(paid[week])
    ]
    # two countries tie, and both are listed
    drawn = [(date(2025, 3, 17), country, Decimal("7.50")) for country in ("BR", "US")]
    assert rows[-2:] == drawn


@pytest.mark.parametrize("title", TITLES)
def test_close_encounters_per_session(
    published: DbtWarehouse, expected: dict[str, Any], title: str
) -> None:
    for month in MONTHS:
        counts: dict[date, list[int]] = defaultdict(list)
        for row in expected["session_close_encounters_daily"]:
            if row["calendar_day"].replace(day=1) == month:
                counts[row["calendar_day"]].append(row["close_encounter_count"])
        found = answer(title, 7, month=month).rows
        assert [row[:3] for row in found] == [
            (day, len(counts[day]), sum(counts[day])) for day in sorted(counts)
        ]
        for day, sessions, total, average in found:
            assert average == pytest.approx(total / sessions), day
        assert (sum(row[2] for row in found) > 0) == (month != EVEN_DAY)


# --- as dbt has them -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compiled(warehouse: DbtWarehouse) -> Path:
    """The folder of Leap's analyses as dbt compiles them, for one player, date and month."""
    run = warehouse.dbt(TITLES["leap"], "compile", "--select", "path:analyses", *VARIABLES)
    assert run.success, run.error
    return warehouse.folder / "dbt" / "leap" / "compiled" / "sprint_dbt" / "analyses"


def test_dbt_compiles_what_ask_runs(published: DbtWarehouse, compiled: Path) -> None:
    """In the title whose tables are called otherwise."""
    none = np.empty(0)
    offers = Predictions(date(2025, 3, 3), "a", none, none, none, none, none, none)
    segment = Segment("likely buyers", "Skin", "low", 1.0, 2.0, 9, 3.0, 1.0, 5.0, 6.0, 2.0, 10.0)
    with connect() as con:
        store_segments(con, "leap", offers, [segment])
    values = {"player": PLAYERS[8], "day": DAYS[3], "month": date(2025, 3, 1)}
    for question in questions():
        needed = {"day" if need == "date" else need for need in question.needs}
        found = answer("leap", question.number, **{need: values[need] for need in needed})
        rows = published_rows((compiled / question.path.name).read_text(encoding="utf-8"))
        assert rows == found.rows, question.text
        assert rows, question.text


def test_every_analysis_is_described(warehouse: DbtWarehouse) -> None:
    manifest = json.loads((warehouse.folder / "dbt" / "leap" / "manifest.json").read_bytes())
    analyses = [n for n in manifest["nodes"].values() if n["resource_type"] == "analysis"]
    assert {n["name"] for n in analyses} >= {question.path.stem for question in questions()}
    for node in analyses:
        assert node["description"].strip(), node["name"]
        assert node["config"]["tags"] == ["title"], node["name"]


# --- the command ---------------------------------------------------------------------------------


def test_without_a_number_the_questions_are_listed(sprint_ask: Ask) -> None:
    done = sprint_ask()
    assert done.returncode == 0, done.stderr
    for question in questions():
        (line,) = [line for line in done.stdout.splitlines() if question.text in line]
        assert f"│ {question.number} │" in line
        assert [need in line for need in ("--player", "--date", "--month")] == [
            need in question.needs for need in ("player", "date", "month")
        ]


def test_the_given_values_are_asked_for(sprint_ask: Ask) -> None:
    done = sprint_ask("1", "--player", str(PLAYERS[3]), "--date", "2025-01-05", "--title", "leap")
    assert done.returncode == 0, done.stderr
    assert f"title leap, player {PLAYERS[3]}, date 2025-01-05" in done.stdout
    assert "played longest" not in done.stdout
    ((seconds, hours, sessions),) = answer("leap", 1, player=PLAYERS[3], day=DAYS[4]).rows
    assert table_of(done.stdout) == [
        {
            "play time seconds": f"{seconds:,}",
            "play time hours": f"{hours:.2f}",
            "sessions": str(sessions),
        }
    ]


def test_what_is_not_given_is_chosen_and_named(sprint_ask: Ask, game: Records) -> None:
    on_the_last_day: Counter[UUID] = Counter()
    ever: Counter[UUID] = Counter()
    for day, row in game.all("sessions"):
        ever[row["player_id"]] += row["event_length_seconds"]
        if day == DAYS[-1]:
            on_the_last_day[row["player_id"]] += row["event_length_seconds"]
    of_the_day, of_all = best(on_the_last_day)[0], best(ever)[0]
    assert of_the_day != of_all
    printed = sprint_ask("1").stdout
    assert f"player {of_the_day} (who played longest that day)" in printed
    assert f"date {DAYS[-1]} (the last that is published)" in printed
    assert table_of(printed)[0]["play time seconds"] == f"{on_the_last_day[of_the_day]:,}"
    for number in ("4", "5"):
        assert f"player {of_all} (who played longest)" in sprint_ask(number).stdout
    for number in ("3", "7"):
        printed = sprint_ask(number).stdout
        assert "month 2025-03 (the last that is published)" in printed
        assert all("2025-03" in next(iter(row.values())) for row in table_of(printed))


def test_the_query_is_shown_as_it_was_run(sprint_ask: Ask) -> None:
    printed = sprint_ask("7", "--title", "leap", "--month", "2025-01", "--sql").stdout
    begin, end = printed.index("-- 7."), printed.index("┏")
    rows = published_rows(printed[begin:end])
    assert rows == answer("leap", 7, month=date(2025, 1, 1)).rows
    assert [row["calendar day"] for row in table_of(printed)] == [str(row[0]) for row in rows]
    assert "leap_mart.session_close_conflicts_daily" in printed
    assert "select" not in sprint_ask("7", "--title", "leap", "--month", "2025-01").stdout


def test_a_run_that_holds_the_warehouse_is_not_waited_for(
    sprint_ask: Ask, published: DbtWarehouse
) -> None:
    """Only what is published is read."""
    database = published.folder / "sprint.duckdb"
    away = database.rename(database.with_suffix(".away"))
    try:
        done = sprint_ask("2")
        assert not database.exists()
    finally:
        away.rename(database)
    assert done.returncode == 0, done.stderr
    assert len(table_of(done.stdout)) == len(answer("sprint", 2).rows)


def test_a_copied_data_folder_answers_from_itself(
    published: DbtWarehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(published.folder / "published", tmp_path / "published")
    for path in (tmp_path / "published" / "sprint" / "player_activity_daily").glob("2*.parquet"):
        path.unlink()
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path))
    with pytest.raises(QuestionError, match=r"player_activity_daily is published, but empty"):
        answer("sprint", 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("1", "--title", "nope"), "unknown title 'nope'"),
        (("9",), "there is no question 9: sprint ask lists the 8"),
        (("1", "--player", "somebody"), "--player is a UUID such as "),
        (("4", "--player", "' or true or player_id = '"), "--player is a UUID such as "),
        (("1", "--date", "yesterday"), "--date is a day such as 2025-01-31, not 'yesterday'"),
        (("3", "--month", "2025-13"), "--month is a month such as 2025-01, not '2025-13'"),
        (("3", "--month", "2025-01-01"), "--month is a month such as 2025-01, not '2025-01-01'"),
        (("6", "--month", "2025-01"), "question 6 is about no month: leave --month out"),
        (
            ("1", "--date", "2025-02-02"),
            "sprint_mart.player_activity_daily has nothing of 2025-02-02: it goes from 2025-01-01"
            " to 2025-03-11",
        ),
        (
            ("7", "--month", "9999-12"),
            "sprint_mart.session_close_encounters_daily has nothing of 9999-12: it goes from"
            " 2025-01 to 2025-03",
        ),
        *(
            ((number, "--player", str(STRANGER)), f"knows no player {STRANGER}")
            for number in ("1", "4", "5")
        ),
    ],
)
def test_a_mistake_is_refused_in_one_line(
    sprint_ask: Ask, arguments: tuple[str, ...], message: str
) -> None:
    done = sprint_ask(*arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


@pytest.fixture
def nearly_empty(data_folder: Path, tmp_path: Path) -> Ask:
    """`sprint ask …` where one mart is published, and has no rows."""
    data_folder.mkdir()
    with duckdb.connect(str(data_folder / "sprint.duckdb")) as con:
        con.execute("create schema sprint_mart")
        con.execute(
            "create table sprint_mart.country_weekly_revenue"
            " (country varchar, year_week date, total_revenue decimal(18, 2))"
        )
        publish_built(con, "sprint", ["sprint_mart.country_weekly_revenue"])
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path / "home"), "NO_COLOR": "1"}
    return lambda *arguments: run_sprint(["ask", *arguments], environment)


def test_what_is_not_published_is_named_in_one_line(nearly_empty: Ask, data_folder: Path) -> None:
    def refusal(*arguments: str) -> str:
        done = nearly_empty(*arguments)
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1
        return done.stderr

    empty = "sprint_mart.country_weekly_revenue is published, but empty"
    assert empty in refusal("6")
    unpublished = (
        "sprint_mart.player_stats_lifetime is not published yet: sprint run --title sprint"
    )
    assert unpublished in refusal("4")
    assert "leap_mart.country_weekly_revenue is not published yet" in refusal(
        "6", "--title", "leap"
    )
    (data_folder / "published" / "sprint.duckdb").unlink()
    nothing = f"nothing is published in {data_folder / 'published'} yet: sprint run --title leap"
    assert nothing in refusal("6", "--title", "leap")


def test_what_is_wrong_with_an_analysis_is_named(
    sprint_ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With somebody's own, beside the seven or in their place."""
    (tmp_path / "analyses").mkdir()
    monkeypatch.setattr("sprint_platform.transform.questions.dbt_project_dir", lambda: tmp_path)
    own = tmp_path / "analyses" / "own.sql"
    own.write_text("-- not a question\nselect {{ dbt.length('a') }}")
    assert sprint_ask().returncode == 0
    for query, reason in (
        ("select '{{ target }}'", f"{own}: 'target' is undefined"),
        (
            "select '{{ var('clan', '') }}'",
            f"{own}: there is no variable 'clan', only player, date,",
        ),
        (
            "select '{{ var('date', '') }}' from {{ ref('player_stats_lifetime') }}",
            "sprint_mart.player_stats_lifetime has no days, of which one could be asked",
        ),
        ("select clan from {{ ref('player_stats_lifetime') }}", '"clan" not found'),
    ):
        own.write_text(f"-- 1. How long?\n{query}")
        done = sprint_ask("1")
        assert done.returncode == 1
        assert reason in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_both_titles_words_are_the_shipped_ones() -> None:
    """What the command line asks of is the title as it is shipped; its word must be the test's."""
    for name, title in TITLES.items():
        assert Title.load(name).encounters.word == title.encounters.word
