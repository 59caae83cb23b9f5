"""What the dashboard computes itself: replays, views, changes; and how its command ends."""

from __future__ import annotations

import copy
import os
import re
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from dash import html

from sprint_platform.dashboard import parts, wording
from sprint_platform.dashboard.app import build_app, draw, draw_replay
from sprint_platform.dashboard.charts import (
    GREY,
    SHARE,
    bars,
    figure,
    is_constant,
    labelled,
    line,
    rate,
)
from sprint_platform.dashboard.countries import country_name
from sprint_platform.dashboard.day_axis import MOST_TICKS, day_ticks
from sprint_platform.dashboard.published import Columns, NothingPublished, edition, published
from sprint_platform.dashboard.queries import encounters
from sprint_platform.dashboard.replay import beats_of, meetings_of
from sprint_platform.dashboard.view import address, read_view
from sprint_platform.orchestration.history import RUNS_READ, last_runs, latest_checks
from sprint_platform.orchestration.run_tags import title_tags
from sprint_platform_tests.command_line import run_sprint
from sprint_platform_tests.dashboard_marts import FIRST, LAST, publish_few, publish_marts

START = datetime(2025, 1, 1, 23, 59)


def heartbeats(*rows: tuple[str, int, int, int]) -> Columns:
    """Heartbeats from (player, team, seconds after the start, x)."""
    return {
        "player_id": [player for player, _, _, _ in rows],
        "team_id": [team for _, team, _, _ in rows],
        "event_datetime": [START + timedelta(seconds=at) for _, _, at, _ in rows],
        "x": [float(x) for _, _, _, x in rows],
        "y": [0.0 for _ in rows],
    }


def met(*rows: tuple[int, int]) -> Columns:
    """Encounters of the teams 1 and 2 from (start, end) in seconds after the start."""
    return {
        "team_1_id": [1 for _ in rows],
        "team_2_id": [2 for _ in rows],
        "encounter_start": [START + timedelta(seconds=start) for start, _ in rows],
        "encounter_end": [START + timedelta(seconds=end) for _, end in rows],
        "close_heartbeats": [1 for _ in rows],
        "min_distance": [5.0 for _ in rows],
    }


def test_the_later_heartbeat_of_a_beat_counts_and_empty_beats_are_left_out() -> None:
    recorded = heartbeats(("a", 1, 0, 0), ("b", 1, 5, 10), ("a", 1, 29, 5), ("a", 1, 90, 7))
    beats = beats_of(recorded, met(), (30_000_000, 1))
    assert [beat.at for beat in beats] == [START, START + timedelta(seconds=90)]
    assert sorted(place.x for place in beats[0].players) == [5, 10]
    assert (beats[0].teams[0].players, beats[0].teams[0].x) == (2, 7.5)


def test_beats_begin_where_the_marts_encounters_do() -> None:
    # the record begins 20 s before the first heartbeat: the mart's beats are at 10, 40, 70
    recorded = heartbeats(("a", 1, 0, 0), ("b", 2, 9, 3), ("b", 2, 12, 0), ("a", 1, 41, 7))
    encounters = met((10, 70), (130, 160))
    beats = beats_of(recorded, encounters, (30_000_000, 1))
    assert [(beat.at - START).total_seconds() for beat in beats] == [-20, 10, 40]
    first, second = meetings_of(encounters, beats)
    # it ends where a beat begins, which is not in it
    assert (first.first_beat, first.last_beat) == (1, 2)
    # of days that were landed again and not built yet: it lies on a beat that is drawn
    assert (second.first_beat, second.last_beat) == (2, 2)


@pytest.fixture(scope="module", autouse=True)
def app() -> None:
    """The application whose links the pages have."""
    build_app()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(folder))
        publish_marts(folder)
    return folder


@pytest.fixture
def data(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(folder))
    return folder


@pytest.mark.usefixtures("data")
def test_an_address_without_days_shows_the_latest_and_leaves_as_many_to_compare() -> None:
    with published() as con:
        view = read_view(con, None)
        assert (view.title.name, view.titles) == ("sprint", ("leap", "sprint"))
        assert (view.first, view.last, view.days) == (date(2025, 1, 31), LAST, 30)
        assert view.before == (FIRST, date(2025, 1, 30))
        # a day more has no period of its length before it
        assert read_view(con, "?from=2025-01-30").before is None
        # both ends are inclusive, also of a single day
        view = read_view(con, f"?from={FIRST}&to={FIRST}&country=BR&title=leap")
        assert (view.days, view.country, view.title.word) == (1, "BR", "conflict")
        # what cannot be had is a note, not an error
        odd = read_view(con, "?title=x'&from=2025-02-02&to=2025-02-01&day=soon&session=1")
        assert (odd.first, odd.last) == (date(2025, 2, 1), date(2025, 2, 2))
        assert len(odd.notes) == 4


@pytest.mark.usefixtures("data")
def test_a_country_by_hand_is_its_code_in_any_case_and_an_unknown_one_is_named() -> None:
    with published() as con:
        assert read_view(con, "?title=Leap&country=%20br").country == "BR"
        view = read_view(con, "?title=leap&country=XX")
        named = read_view(con, "?title=lepa").notes
    assert view.country is None
    assert view.notes == (
        "There is no country “XX” in leap, but BR, DE, US and ZZ; these are all of them.",
    )
    assert named == ("There is no published title “lepa”, but leap and sprint; this is sprint.",)
    page = shown("/", "?title=leap&country=XX")
    assert "No days to show" not in page
    assert "all countries" in page


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("path", ["/", "/retention", "/revenue"])
def test_days_that_nothing_can_be_counted_from_are_left_out(path: str) -> None:
    with published() as con:
        odd = read_view(con, "?from=2025-02-01&to=9999-12-31&day=2200-01-01")
        assert (odd.first, odd.last, odd.day, len(odd.notes)) == (date(2025, 2, 1), LAST, None, 2)
        assert "“9999-12-31” in the address is no value of “to”" in odd.notes[0]
        odd = read_view(con, "?to=0001-01-01")
        assert (odd.first, odd.last, len(odd.notes)) == (date(2025, 1, 31), LAST, 1)
        # the farthest days that are taken
        assert read_view(con, "?from=1970-01-01&to=2199-12-31").before is None
    assert "is left out" in shown(path, "?from=2025-01-01&to=9999-12-31")


@pytest.mark.usefixtures("data")
def test_the_last_days_sign_ups_have_no_retention_yet() -> None:
    page = shown("/retention", f"?title=sprint&from={LAST}&to={LAST}")
    assert (
        "7 players signed up on 1 Mar 2025: who of them comes back is known once later days are"
        " built. Choose earlier days."
    ) in page
    assert "Nobody signed up on 1 Jun 2025." in shown(
        "/retention", "?title=sprint&from=2025-06-01&to=2025-06-01"
    )


@pytest.mark.usefixtures("data")
def test_weekly_rates_an_hour_are_of_the_sessions_whose_length_is_known() -> None:
    monday = date(2025, 2, 3)
    with published() as con:
        title = read_view(con, "?title=sprint").title
        week = encounters.rates(con, title, monday, monday + timedelta(days=6), "week")
        days = encounters.rates(con, title, monday, monday + timedelta(days=6), "day")
        mart = con.execute(
            "select encounters_per_session_hour from sprint_mart.encounter_rates_daily"
            " where calendar_day between $1 and $1 + 6 order by calendar_day",
            [monday],
        ).fetchall()
    assert days["encounters_per_session_hour"] == pytest.approx([rate for (rate,) in mart])
    numbers = range((monday - FIRST).days, (monday - FIRST).days + 7)
    met = sum(100 + n - (7 if n % 4 == 0 else 0) for n in numbers)
    hours = sum(10 + n % 2 for n in numbers)
    assert week["encounters_per_session_hour"] == pytest.approx([met / hours])


# A title whose YAML nobody has: 40 days on which players of BR play and buy nothing, and of a
# country that is not known come purchases alone, which are free in the latest month.
FEW_DAYS = "from range(40) t(n) cross join (select date '2025-01-01' + n::int as calendar_date)"
FEW = {
    "kpi_daily": f"""
        select calendar_date, 'BR' as country, 10 + n % 3 as active_players, 0 as revenue,
            0 as purchases, 0 as payers, 20 as sessions, 600 as play_time_seconds,
            1 as new_players, 40 as monthly_active_players {FEW_DAYS}
        union all by name
        select calendar_date, 'ZZ' as country, 0 as active_players, 5 as revenue, 1 as purchases,
            1 as payers, 0 as sessions, 0 as play_time_seconds, 0 as new_players {FEW_DAYS}
    """,
    "player_rfm_monthly": """
        select uuid() as player_id, date '2025-02-01' as year_month, 'ZZ' as country,
            'loyal' as segment, 0 as monetary, 1 as recency_days, 2 as frequency from range(3)
    """,
    "encounter_rates_daily": f"""
        select calendar_date as calendar_day, 20 as sessions, if(n < 36, 4, 0) as encounters,
            3600 as session_seconds, 60 as encounter_seconds {FEW_DAYS}
    """,
    "encounter_summary_daily": f"select calendar_date as calendar_day {FEW_DAYS} where n < 36",
    "session_close_encounters_daily": f"""
        select uuid() as session_id, calendar_date as calendar_day, 4 as close_encounter_count,
            60 as total_encounter_seconds {FEW_DAYS}
    """,
    "position_heat_daily": "select date '2025-01-01' as calendar_date where false",
    # a day that nobody played on, and records that say no day
    "landing_rejects_daily": """
        select date '2025-02-10' as event_date, 'sessions' as dataset, 'too long' as reason,
            3 as records
        union all select null, 'players', 'no sign-up', 4
    """,
}


@pytest.fixture(scope="module")
def few_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(folder))
        publish_few("arena", FEW)
        late = f"select calendar_date as calendar_day {FEW_DAYS} where n < 35"
        publish_few("late", {**FEW, "encounter_summary_daily": late})
        countries = "(select unnest(['BR', null]) as country)"
        publish_few(
            "nowhere",
            {
                "kpi_daily": "select date '2025-01-01' as calendar_date, country,"
                f" 1 as active_players, 60 as play_time_seconds from {countries}"
            },
        )
    return folder


@pytest.fixture
def few(few_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(few_folder))
    return few_folder


def shown(path: str, search: str) -> str:
    """The page at the address, as text."""
    return str(draw(path, search, "", None)[0])


@pytest.mark.usefixtures("few")
def test_a_country_that_buys_but_does_not_play_has_pages() -> None:
    for path in ("/", "/retention", "/revenue", "/regions", "/encounters", "/quality"):
        assert "H1" in shown(path, "?title=arena&country=ZZ")
    page = shown("/", "?title=arena&country=ZZ")
    assert "There is none on these days." in page
    assert "100.00" in page  # twenty days of 5.00
    page = shown("/revenue", "?title=arena&country=ZZ")
    assert "of 3 payers; what they bought in three months cost nothing." in page


@pytest.mark.usefixtures("few")
def test_days_without_a_purchase_are_not_days_without_players() -> None:
    page = shown("/revenue", "?title=arena&country=BR")
    assert "Nobody bought on these days (Brazil)." in page
    assert "sprint run" not in page
    page = shown("/revenue", "?title=arena&from=2025-06-01&to=2025-06-02")
    assert "sprint run --title arena --from 2025-06-01 --to 2025-06-02" in page


@pytest.mark.usefixtures("few")
def test_in_place_of_a_mart_is_the_run_of_the_published_days_that_are_shown() -> None:
    page = shown("/retention", "?title=arena&from=2025-02-01&to=2025-02-28")
    assert "Not published yet: arena_mart.cohort_retention." in page
    assert "sprint run --title arena --from 2025-02-01 --to 2025-02-09 --reuse" in page


@pytest.mark.usefixtures("few")
def test_a_mart_without_rows_on_a_day_without_encounters_is_not_late() -> None:
    assert "the daily ones go to 9 Feb 2025, all that have rows." in shown(
        "/quality", "?title=arena"
    )
    assert "go to 9 Feb 2025, except encounter_summary_daily." in shown("/quality", "?title=late")


@pytest.mark.usefixtures("few")
def test_refused_records_that_say_no_day_are_counted_apart() -> None:
    page = shown("/quality", "?title=arena&from=2025-02-01&to=2025-02-10")
    assert "3 on 1 – 10 Feb 2025, and 4 that say no day; most often players: no sign-up." in page
    page = shown("/quality", "?title=arena&from=2025-01-01&to=2025-01-31")
    assert "None on 1 – 31 Jan 2025, and 4 that say no day; most often players" in page


@pytest.mark.usefixtures("few")
def test_a_replay_without_positions_keeps_its_chooser() -> None:
    replay = str(draw_replay("?title=arena"))
    assert "No positions are published of this title." in replay
    assert "id='replay-name'" in replay
    assert "id='replay-day'" in replay
    assert "id='replay-session'" in replay


@pytest.mark.usefixtures("data")
def test_without_encounters_the_replay_says_which_run_publishes_them(folder: Path) -> None:
    """A folder that the version before published."""
    views = folder / "published" / "sprint.duckdb"
    content = views.read_bytes()
    with duckdb.connect(str(views)) as con:
        con.execute("drop view sprint_stage.stage_encounters")
    replay = str(draw_replay("?title=sprint"))
    views.write_bytes(content)
    assert "sprint_stage.stage_encounters is not published yet" in replay
    assert "sprint run --title sprint --from 2025-02-20 --to 2025-02-20 --reuse" in replay


# A week of sprint, and a day three weeks after it, as dbt builds it over the hole.
WEEK = [date(2025, 1, 1) + timedelta(days=n) for n in range(7)]
LATER = date(2025, 1, 28)
HOLED_DAYS = f"from (select unnest({[str(day) for day in [*WEEK, LATER]]})::date as calendar_date)"
HOLED = {
    "kpi_daily": f"""
        select calendar_date, 'BR' as country, 10 as active_players, 5 as new_players,
            8 as returning_players, 20 as sessions, 600 as play_time_seconds, 40 as revenue,
            4 as purchases, 2 as payers, if(calendar_date < '{LATER}', 15, null) as
            weekly_active_players, if(calendar_date < '{LATER}', 20, null) as monthly_active_players
        {HOLED_DAYS}
    """,
    "concurrency_5_minutes": f"""
        select calendar_date::timestamp as slot_started_at, calendar_date,
            if(calendar_date < '{LATER}', 6, null) as players_online,
            if(calendar_date < '{LATER}', 6, null) as day_peak {HOLED_DAYS}
    """,
    "cohort_revenue": """
        select date '2025-01-01' as signup_date, 'BR' as country, day_number::int as day_number,
            '2025-01-01'::date + day_number::int as calendar_date, 5 as cohort_players,
            10 as revenue, if(day_number < 7, 10 * day_number, null) as cumulative_revenue
        from (select unnest([0, 1, 2, 27]) as day_number)
    """,
    "player_rfm_monthly": "select uuid() as player_id, date '2025-01-01' as year_month,"
    " 'BR' as country",
    "position_heat_daily": "select date '2025-01-01' as calendar_date, cell_x, 0 as cell_y,"
    " 20 * cell_x as x_from, 0 as y_from, 20 as cell_side, 5 + cell_x as heartbeats"
    " from (select unnest([0, 3]) as cell_x)",
}


@pytest.fixture(scope="module")
def holed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("holed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(folder))
        publish_few("sprint", HOLED, [*WEEK, LATER])
        # of a title with no such file nobody knows its days
        publish_few("gone", HOLED, [*WEEK, LATER])
    return folder


@pytest.fixture
def holed(holed_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(holed_folder))
    return holed_folder


@pytest.mark.usefixtures("holed")
def test_pages_say_how_many_days_are_missing_and_what_builds_them() -> None:
    builds = "sprint run --title sprint --missing"
    for path in ("/", "/retention", "/revenue", "/regions", "/encounters", "/quality"):
        page = shown(path, "?title=sprint")
        assert "8 – 27 Jan 2025: 20 days are missing" in page
        # the hole alone: the command for all days would make the years after it too
        assert page.count(f"Code('{builds} --to 2025-01-27')") == 1
        assert page.count(f"Code('{builds}')") == (path == "/quality")
    # a history that ends is no hole
    assert "Later days are not built yet." in shown("/", "?title=sprint")
    assert "Later days" not in shown("/", f"?title=sprint&to={WEEK[-1]}")
    home = shown("/home", "")
    assert f"20 days are missing in between: ', Code('{builds} --to 2025-01-27')" in home
    assert f"Later days are not built yet: ', Code('{builds}')" in home
    page = shown("/quality", "?title=sprint")
    assert re.search(r"29 Jan 2025 – [^:]*: [\d,]+ days are not built yet", page)
    assert "8 are built, 1 – 28 Jan 2025." in page
    assert "Which days are missing is not known" in shown("/quality", "?title=gone")


def test_no_card_is_alone_in_its_row() -> None:
    def widths(*names: str) -> list[str]:
        cards = {
            "half": parts.card("half", []),
            "wide": parts.card("wide", [], wide=True),
            "tall": parts.card("tall", [], tall=True),
            "sentence": parts.nothing("sentence", "Sales", "None."),
        }
        shown = parts.arranged([html.Div(), *(copy.copy(cards[name]) for name in names)])
        return [part.className.removeprefix("card") for part in shown[1:]]

    assert widths("half", "half") == ["", ""]
    assert widths("half", "half", "half", "wide", "half") == ["", "", " wide", " wide", " wide"]
    # the sentences have a row of their own
    assert widths("half", "sentence", "half", "half") == ["", "", " wide", " wide"]
    # two lie beside a tall one, or none: the style makes that as wide as the row
    assert widths("tall", "half", "half") == [" tall", "", ""]
    assert widths("tall", "half", "sentence") == [" tall", " wide", " wide"]


@pytest.mark.usefixtures("holed")
def test_over_a_hole_nothing_is_compared_averaged_or_known_that_is_not() -> None:
    page = shown("/", "?title=sprint")
    # the days that are there, all of them: eight are fewer than are compared
    assert "Averages are of the 8 of 28 days that have numbers." in page
    assert headline(page, "active-players") == "10"
    assert headline(page, "monthly-active-players") == wording.NONE
    # of the seven days of which both are known
    assert headline(page, "stickiness").startswith("50.0")
    assert "How many in the 28 days to the last day is not known." in page
    assert "Not known on 1 of 8 days: monthly active players" in page
    assert "Not known on 1 of 8 days, whose day before is missing." in page
    with published() as con:
        assert read_view(con, "?from=2025-01-05&to=2025-01-07").before is not None
        # as many days lie before it, but days are missing between
        assert read_view(con, "?from=2025-01-28&to=2025-01-28").before is None
    page = shown("/", f"?title=sprint&from={LATER}&to={LATER}")
    assert "10 players on 28 Jan 2025. How many" in page
    assert "'Not known on this day: monthly active players and stickiness" in page
    assert "Not known: of each of these days the day before is missing" in page
    page = shown("/revenue", "?title=sprint")
    assert "have paid 4.00 each by day 2." in page
    assert "Not known of Jan 2025: days of its three months are missing." in page


def headline(page: str, key: str) -> str:
    found = re.search(rf"Dd\(children='([^']*)', id='headline-{key}'", page)
    assert found is not None
    return found[1]


def test_a_line_is_not_drawn_across_missing_days_and_a_day_alone_is_a_mark() -> None:
    days = [*WEEK[:2], WEEK[3], LATER]
    drawn = line("players", days, [1, 2, 3, None])
    assert drawn["x"] == [*WEEK[:4], WEEK[4], LATER]
    assert drawn["y"] == [1, 2, None, 3, None, None]
    assert drawn["mode"] == "lines+markers"
    assert drawn["marker"]["size"] == [0, 0, 0, 8, 0, 0]
    whole = line("players", WEEK, range(7))
    assert (whole["x"], whole["mode"]) == (WEEK, "lines")
    # not of days: a curve by days after signing up
    assert line("retention", [1, 3, 7], [1.0, 0.5, 0.2])["x"] == [1, 3, 7]


def test_each_of_a_few_days_has_its_tick() -> None:
    one = figure([bars("revenue", WEEK[:1], [5])])
    assert one["layout"]["xaxis"]["tickvals"] == ["2025-01-01"]
    assert one["layout"]["xaxis"]["range"] == ["2024-12-30 12:00:00", "2025-01-02 12:00:00"]
    # nearly a day wide: of one bar alone plotly would draw a millisecond
    assert one["data"][0]["width"] == pytest.approx(0.85 * 86_400_000)
    assert day_ticks(WEEK[0], WEEK[-1]) == WEEK
    # of more days the last has one, and a few before it
    for days in (*range(1, 800), 3000, 84_000):
        first = LATER - timedelta(days=days - 1)
        ticks = day_ticks(first, LATER)
        assert first <= ticks[0]
        assert ticks[-1] == LATER
        assert min(days, 2) <= len(ticks) <= (MOST_TICKS if days > len(WEEK) else days)
        assert ticks == sorted(set(ticks))
    assert day_ticks(date(2025, 1, 1), date(2025, 12, 31))[:2] == [FIRST, date(2025, 4, 1)]


@pytest.mark.usefixtures("holed")
def test_missing_days_are_on_the_axis() -> None:
    band = "'x0': '2025-01-07 12:00:00', 'x1': '2025-01-27 12:00:00'"
    assert band in shown("/", "?title=sprint")
    # also where they begin and end it
    page = shown("/", "?title=sprint&from=2025-01-05&to=2025-01-20")
    assert "'range': ['2025-01-04 12:00:00', '2025-01-20 12:00:00']" in page
    assert "'x0': '2025-01-07 12:00:00', 'x1': '2025-01-20 12:00:00'" in page


def test_counts_have_ticks_at_whole_numbers_and_one_value_is_printed() -> None:
    drawn = figure([line("daily", WEEK, [1, 2, 3, 2, 1, 2, 3])])
    assert drawn["layout"]["yaxis"]["dtick"] == 1
    assert "text" not in drawn["data"][0]
    assert "dtick" not in figure([line("daily", WEEK, range(100, 107))])["layout"]["yaxis"]
    one = figure([line("share", WEEK[:1], [0.5])], y_format=SHARE)
    assert one["data"][0]["mode"] == "markers+text"
    assert one["data"][0]["text"].strip() == "50.0\u00a0%"
    assert "dtick" not in one["layout"]["yaxis"]
    assert figure([bars("players", WEEK[:1], [5])])["data"][0]["text"] == "5"
    # on one another, those of nothing have no value: it would stand over another's
    stacked = figure([bars(str(n), WEEK[:1], [n]) for n in (5, 0, 2)], barmode="stack")["data"]
    assert [trace.get("text") for trace in stacked] == ["5", None, "2"]


def test_rates_of_few_people_are_grey_with_their_number() -> None:
    assert wording.FEW_PEOPLE == 20
    full, cover = rate("share", WEEK[:5], [0.1, 0.2, 0.3, 0.4, 0.5], [20, 20, 20, 19, 20])
    assert full["line"]["color"] != GREY
    assert full["customdata"] == ["", "", "", " of 19 players", ""]
    # grey from the neighbour before to the one after
    assert (cover["y"], cover["line"]["color"]) == ([None, None, 0.3, 0.4, 0.5], GREY)
    (all_few,) = rate("share", WEEK[:2], [0, 1], [1, 1])
    assert (all_few["line"]["color"], all_few["customdata"][0]) == (GREY, " of 1 player")
    assert len(rate("share", WEEK[:2], [0, 1], [20, None])) == 1
    # what covers a day alone does not print its value once more
    alone = rate("share", [WEEK[0], WEEK[2]], [0.1, 0.2], [50, 3])
    assert [trace["mode"] for trace in figure(alone)["data"]] == ["lines+markers"] * 2
    # a missing day has no number
    assert rate("share", [*WEEK[:1], LATER], [0, 1], [3, 4])[0]["customdata"][1] == ""
    assert str(parts.rate_cell("50 %", 19)) == (
        "Td(children=['50 %', Small(' of 19')], className='few')"
    )
    assert parts.rate_cell("50 %", 20) == "50 %"
    grey = str(parts.headline("d1", "Day 1", "50 %", "up", "came back", 1))
    assert "came back; of 1 player" in grey
    assert "headline few" in grey
    assert "'up'" not in grey


@pytest.mark.usefixtures("holed")
def test_pages_of_few_players_say_so_everywhere() -> None:
    page = shown("/", "?title=sprint&from=2025-01-01&to=2025-01-07")
    # a week's players, not its player-days: 15 play in the week, 10 a day
    assert "per active player and day; of 15 players" in page
    page = shown("/revenue", "?title=sprint&from=2025-01-01&to=2025-01-07")
    assert "per paying player and day; of 14 payers" in page
    assert "Td(children=['0.00', Small(' of 5')], className='few')" in page
    assert "Grey, with their number: of fewer than 20 people." in page
    page = shown("/regions", "?title=sprint&from=2025-01-01&to=2025-01-01")
    assert "Td(children=['4.00', Small(' of 10')], className='few')" in page


@pytest.mark.usefixtures("holed")
def test_cells_without_heartbeats_are_in_the_heat_map_and_it_is_the_whole_map() -> None:
    """Between cells that are apart plotly would draw both larger than they are."""
    page = shown("/encounters", "?title=sprint")
    assert "'x': [10.0, 30.0, 50.0, 70.0], 'y': [10.0], 'z': [[5, None, None, 8]]" in page
    assert "'range': [-100" in page


@pytest.mark.usefixtures("holed")
def test_a_title_whose_yaml_is_gone_has_no_known_currency() -> None:
    assert "in the title's currency" in shown("/", "?title=gone")


@pytest.mark.usefixtures("holed")
def test_one_day_has_no_plural_and_no_period_of_many_days() -> None:
    page = shown("/", "?title=sprint&from=2025-01-02&to=2025-01-02")
    assert "Changes are against the day before, 1 Jan 2025." in page
    assert "10 players on 2 Jan 2025." in page
    assert "8 came back from earlier days." in page
    # each dot with its name and value
    for text in ("daily 10", "weekly (7 days) 15", "monthly (28 days) 20"):
        assert f"'text': '{text}'" in page
    assert "The day before is not published: there is nothing to compare with." in shown(
        "/", "?title=sprint&from=2025-01-01&to=2025-01-01"
    )
    assert not re.search(r"\b1 (days|players|sessions|encounters|beats|marts)\b", page)


@pytest.mark.usefixtures("holed")
def test_charts_of_one_value_are_a_sentence() -> None:
    assert is_constant(figure([line("sessions", WEEK, [2] * 7)]))
    assert is_constant(figure([line("sessions", WEEK, [None] * 7)]))
    assert not is_constant(figure([line("sessions", WEEK, [2] * 6 + [3])]))
    assert not is_constant(figure([line("sessions", WEEK[:1], [2])]))
    page = shown("/", "?title=sprint&from=2025-01-01&to=2025-01-07")
    assert (
        "Strong('Sessions per active player: '), '2.00 sessions a day per active player. Of 10"
        in page
    )
    assert "id='sessions', className='sentence few'" in page
    assert "sessions-figure" not in page
    assert "active-figure" in page


def test_lines_have_their_names_at_their_ends_without_overlap() -> None:
    lines = [line(name, [0, 1, 2][: n + 1], [1.0] * (n + 1), n) for n, name in enumerate("abc")]
    layout = labelled(figure(lines, x_type="linear", xaxis={"range": [0, 2]}), 300)["layout"]
    assert layout["showlegend"] is False
    heights = [label["y"] for label in layout["annotations"]]
    assert [label["text"] for label in layout["annotations"]] == ["a 1", "b", "c"]
    low, high = layout["yaxis"]["range"]
    assert low <= heights[0] < heights[1] < heights[2] <= high
    # lines differ in more than their colours
    assert len({(one["line"]["dash"], one["marker"]["symbol"]) for one in lines}) == 3


@pytest.mark.usefixtures("few")
def test_countries_have_names_and_what_is_none_stays_as_it_is() -> None:
    assert (country_name("BR"), country_name("ZZ"), country_name("br")) == (
        "Brazil",
        "Unknown",
        "br",
    )
    page = shown("/regions", "?title=arena")
    assert "Th(children='Brazil (BR)'" in page


@pytest.mark.usefixtures("data")
def test_the_currency_is_named() -> None:
    page = shown("/revenue", "?title=sprint")
    assert "'in USD'" in page
    assert "revenue in USD" in page


def answer(outputs: list[str], inputs: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """What the application answers a browser that asks for these parts of the page."""

    def properties(values: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {"id": name.split(".")[0], "property": name.split(".")[1], "value": value}
            for name, value in values.items()
        ]

    named = [{"id": name.split(".")[0], "property": name.split(".")[1]} for name in outputs]
    asked = {
        "output": outputs[0] if len(outputs) == 1 else f"..{'...'.join(outputs)}..",
        "outputs": named[0] if len(outputs) == 1 else named,
        "inputs": properties(inputs),
        "state": properties(state),
        "changedPropIds": list(inputs),
    }
    response = build_app().server.test_client().post("/_dash-update-component", json=asked)
    assert response.status_code == 200
    return response.get_json()["response"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8050", 200),
        ("127.0.0.1", 200),
        ("[::1]:9000", 200),
        ("LOCALHOST:8050", 200),
        ("evil.example:8050", 403),
        ("localhost.evil.example", 403),
        ("evil.example@localhost", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
def test_only_loopback_names_are_answered(host: str, status: int) -> None:
    """A name that its owner points at this machine makes his page the same site to a browser."""
    response = build_app().server.test_client().get("/_dash-layout", headers={"Host": host})
    assert response.status_code == status
    if status == 403:
        assert response.text.count("\n") == 1
        assert "answers as localhost or 127.0.0.1 or [::1] only" in response.text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("stats.example", 200),
        ("STATS.example:443", 200),
        ("statsXexample", 403),
        ("localhost", 403),
    ],
)
def test_names_that_were_given_are_answered_and_no_others(host: str, status: int) -> None:
    app = build_app(names=["stats.example", "[fd00::1]"])
    response = app.server.test_client().get("/_dash-layout", headers={"Host": host})
    assert response.status_code == status


def test_what_is_not_beneath_the_base_path_says_where_the_dashboard_is() -> None:
    response = build_app("/games/").server.test_client().get("/retention")
    # links are of the application that was built last
    build_app()
    assert response.status_code == 404
    assert "the dashboard is at /games/, and nothing at '/retention'" in response.text


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--host", "0.0.0.0"], "--host 0.0.0.0 can be reached from other machines"),
        (["--allow-host", "https://stats.example"], "without scheme, port and path"),
        (["--base-path", "/../games"], "--base-path wants a path of letters"),
        (["--host", "no.such.name.invalid", "--allow-host", "a"], "is no address of this machine"),
    ],
)
def test_what_it_cannot_be_served_as_is_one_line(
    options: list[str], why: str, data_folder: Path
) -> None:
    ended = run_sprint(["dashboard", *options], os.environ)
    assert ended.returncode == 1
    assert why in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr


@pytest.mark.usefixtures("few")
def test_a_page_that_fails_says_so_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    response = answer(
        ["page.children", "tabs.children", "switch-state.data", "drawn.data"],
        {
            "address.pathname": "/regions",
            "address.search": "?title=nowhere",
            "edition.data": "",
        },
        {"drawn.data": "/?title=nowhere@"},
    )
    assert "This page could not be drawn: '<' not supported" in str(response["page"])
    assert "the server's log says more" in str(response["page"])
    # it is asked for again, and the other pages are a click away
    assert response["drawn"]["data"] is None
    assert "/quality?title=nowhere" in str(response["tabs"])
    assert "Traceback" in caplog.text
    assert "regions.py" in caplog.text


def test_history_that_cannot_be_read_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    response = answer(["history.children"], {"history-of.data": "sprint"}, {})
    assert "Dagster's history (DAGSTER_HOME) could not be read:" in str(response)
    assert "$DAGSTER_HOME is not set" in str(response)
    assert "Traceback" in caplog.text


def test_a_page_begins_with_what_is_published_when_it_is_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or each would be drawn twice after a run has published."""
    client = build_app().server.test_client()
    monkeypatch.setenv("SPRINT_DATA_DIR", str(folder))
    assert edition() in client.get("/_dash-layout").text


def test_nothing_published_is_refused(data_folder: Path) -> None:
    with pytest.raises(NothingPublished, match="there is no"), published():
        pass


def test_the_address_keeps_what_is_not_changed() -> None:
    assert address("?title=sprint&country=BR", country=None, day="2025-01-01") == (
        "?title=sprint&day=2025-01-01"
    )
    assert address("?country=BR", country=None) == ""


def test_changes_and_numbers_as_people_read_them() -> None:
    assert "12.5 %" in str(parts.change(90, 80))
    assert "down" in str(parts.change(70, 80))
    assert "3.0 points" in str(parts.change(0.23, 0.20, points=True))
    assert "unchanged" in str(parts.change(100.01, 100))
    # there is no share of nothing
    assert parts.change(5, 0) is None
    assert parts.change(5, None) is None
    assert wording.duration(119) == "119 s"
    assert wording.duration(5400) == "90.0 min"
    assert wording.span(date(2024, 12, 31), date(2025, 1, 1)) == "31 Dec 2024 – 1 Jan 2025"
    assert wording.share(None) == "–"


@pytest.fixture
def dagster_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("dagster_home")
def test_a_check_is_listed_however_many_runs_of_other_domains_came_after_it() -> None:
    @dg.asset_check(asset=["game", "sessions"])
    def adds_up() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False)

    @dg.job
    def other() -> None: ...

    with dg.DagsterInstance.get() as instance:
        job = dg.define_asset_job("check", selection=dg.AssetSelection.all_asset_checks())
        dg.Definitions(asset_checks=[adds_up], jobs=[job]).resolve_job_def(
            "check"
        ).execute_in_process(instance=instance, tags=title_tags("game"))
        for _ in range(RUNS_READ):
            instance.create_run_for_job(other)
    (latest,) = latest_checks("game")
    assert latest.check == "adds_up"
    (past,) = last_runs("game")
    assert past.status == "success"


@pytest.mark.usefixtures("dagster_home")
def test_history_lists_a_domains_runs_and_the_latest_result_of_each_check() -> None:
    outcome = {"passed": False}

    @dg.asset(
        key=["game", "sessions"],
        check_specs=[dg.AssetCheckSpec("adds_up", asset=["game", "sessions"])],
    )
    def sessions() -> Iterator[dg.MaterializeResult[None]]:
        description = None if outcome["passed"] else "3 rows are wrong"
        yield dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(
                    passed=outcome["passed"],
                    check_name="adds_up",
                    severity=dg.AssetCheckSeverity.WARN,
                    description=description,
                )
            ]
        )

    @dg.asset(key=["other", "players"])
    def players() -> None:
        raise ValueError("there are no players")

    def run(asset: dg.AssetsDefinition, day: str) -> None:
        tags = {
            "dagster/asset_partition_range_start": day,
            "dagster/asset_partition_range_end": day,
        }
        with dg.DagsterInstance.get() as instance:
            dg.materialize([asset], instance=instance, tags=tags, raise_on_error=False)

    assert last_runs("game") == []
    assert latest_checks("game") == []
    run(sessions, "2025-01-01")
    (failed,) = latest_checks("game")
    assert (failed.asset, failed.check, failed.passed) == ("game/sessions", "adds_up", False)
    assert (failed.severity, failed.wrong) == ("warn", "3 rows are wrong")
    outcome["passed"] = True
    run(sessions, "2025-01-02")
    (passed,) = latest_checks("game")
    assert (passed.passed, passed.wrong) == (True, None)
    assert passed.at > failed.at
    run(players, "2025-01-03")
    assert [(past.first, past.last, past.status) for past in last_runs("game")] == [
        ("2025-01-02", "2025-01-02", "success"),
        ("2025-01-01", "2025-01-01", "success"),
    ]
    assert len(last_runs("game", limit=1)) == 1
    (past,) = last_runs("other")
    assert past.status == "failure"
    assert past.failure == "other__players: ValueError: there are no players"
    assert past.started is not None
    assert past.started.tzinfo is UTC


def test_a_port_that_is_taken_is_one_line(data_folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run_sprint(["dashboard", "--port", str(port)], os.environ)
    assert ended.returncode == 1
    assert f"port {port} is taken by another program: choose another with --port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_its_packages_one_line_says_what_to_install(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as Python has it where the package is not installed
    monkeypatch.setitem(sys.modules, "waitress", None)
    ended = run_sprint(["dashboard"], os.environ)
    assert ended.returncode == 1
    assert "the dashboard needs waitress, which is not installed" in ended.stderr
    assert "make setup-all" in ended.stderr
