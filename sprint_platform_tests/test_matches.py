"""Sessions: lobbies, teams, times, and kills that are somebody's deaths."""

from __future__ import annotations

from datetime import timedelta

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprint_platform.profiles import COUNTRY, circles
from sprint_platform.simulation.world import World
from sprint_platform_tests.worlds import (
    DAY_SECONDS,
    LAUNCH,
    codes,
    crowd,
    days_from,
    ids,
    second_of,
    seconds,
    table,
    title_like,
)

TOMORROW = LAUNCH + timedelta(days=1)
# several skill bands in each region, and a small title whose players may play four times a day
BIG = crowd(40_000)
BUSY = title_like(
    "sprint",
    simulation__growth={
        "kind": "compound",
        "starting_players": 3_000,
        "daily_growth": 0.0,
        "daily_decay": 0.0,
    },
    simulation__sessions={"per_day": 4, "replay_share": 0.8, "shortest_seconds": 60},
)


GROWN = title_like("leap", simulation__growth={"kind": "target", "players": 300_000, "days": 365})


@pytest.fixture(scope="module", params=[BIG, BUSY, GROWN], ids=["big", "busy", "leap"])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


@pytest.fixture(scope="module")
def rows(world: World) -> pa.Table:
    return table(world, "sessions", TOMORROW)


def per_session(rows: pa.Table, column: str) -> npt.NDArray[np.int64]:
    """The column's sums, session by session."""
    _, session = codes(rows, "session_id")
    return np.bincount(session, rows[column].to_numpy()).astype(np.int64)


def test_a_player_is_once_in_a_session(rows: pa.Table) -> None:
    both = np.stack([codes(rows, "session_id")[1], codes(rows, "player_id")[1]], axis=1)
    assert len(np.unique(both, axis=0)) == len(both)


def test_one_to_five_teams_of_one_to_two(world: World, rows: pa.Table) -> None:
    _, session = codes(rows, "session_id")
    team = rows["team_id"].to_numpy()
    assert team.min() == 1
    most = np.zeros(session.max() + 1, np.int64)
    np.maximum.at(most, session, team)
    sizes = np.zeros((len(most), 6), np.int64)
    np.add.at(sizes, (session, team), 1)
    teams = (sizes > 0).sum(axis=1)
    # numbered from 1 without a gap, and no team has more than two players
    assert (teams == most).all()
    assert most.max() == 5
    assert sizes.max() == 2
    # teams are as even as can be: a team of two never meets one of none
    assert ((sizes == 2).any(axis=1) <= (sizes.sum(axis=1) > teams)).all()


def sizes_and_teams(rows: pa.Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """How many players and teams each session has."""
    _, session = codes(rows, "session_id")
    size = np.bincount(session)
    teams = np.zeros(len(size), np.int64)
    np.maximum.at(teams, session, rows["team_id"].to_numpy())
    return size, teams


def test_where_many_wait_lobbies_have_the_titles_shapes() -> None:
    world = World(crowd(40_000, simulation__sessions={"per_day": 1, "longest_wait_seconds": 1800}))
    size, teams = sizes_and_teams(table(world, "sessions", TOMORROW))
    simulation = world.title.simulation
    assert simulation is not None
    weights = simulation.sessions.lobbies
    total = sum(weights.values())
    for shape, weight in weights.items():
        wide, deep = map(int, shape.split("x"))
        share = float(((teams == wide) & (size == wide * deep)).mean())
        # at night and at the day's end some are cut short
        assert share == pytest.approx(weight / total, abs=0.06)


def test_a_lobby_that_cannot_fill_starts_smaller_after_the_wait() -> None:
    def made(wait: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        sessions = {"per_day": 1, "longest_wait_seconds": wait, "lobbies": {"5x2": 1.0}}
        world = World(crowd(2_000, simulation__sessions=sessions))
        (part,) = world._matchmaker.day(TOMORROW, 10**6)
        alive = world._population.active(TOMORROW)
        signon = world._sittings.signon(alive, TOMORROW)
        waited = part.start - signon[np.searchsorted(alive.number, part.number)]
        return part.players, waited

    for wait in (60, 900):
        _, waited = made(wait)
        # two minutes in the menus, and then no longer than the title says
        assert waited.max() <= 120 + wait
        assert waited.min() > 0
    assert made(60)[0].mean() < 0.6 * made(900)[0].mean()


def test_a_session_stays_in_a_region(rows: pa.Table) -> None:
    _, session = codes(rows, "session_id")
    region = np.array([COUNTRY[country].region for country in rows["country"].to_pylist()])
    pairs = set(zip(session.tolist(), region.tolist(), strict=True))
    assert len(pairs) == session.max() + 1


def test_a_session_stays_in_a_skill_band(world: World) -> None:
    people, matchmaker = world._people, world._matchmaker
    bands = matchmaker._bands(TOMORROW)
    assert bands == (3 if world.title is BIG else 1)
    for part in matchmaker.day(TOMORROW, 1):
        band = people.rating(part.number) * bands >> 16
        first = np.r_[True, part.session[1:] != part.session[:-1]]
        group = np.cumsum(first) - 1
        assert (band == band[first][group]).all()
        # sessions are whole: none is cut into two pieces of a chunk
        assert len(np.unique(part.session)) == first.sum()
        # and somebody stays to the end of each
        stayed = np.zeros(first.sum(), np.int64)
        np.maximum.at(stayed, group, part.length)
        assert (stayed == part.session_length[first]).all()


def test_a_session_starts_after_its_players_signed_on_and_on_the_same_day(
    world: World, rows: pa.Table
) -> None:
    on = table(world, "signons", TOMORROW)
    order = np.argsort(ids(on, "player_id"))
    known, signed_on = ids(on, "player_id")[order], seconds(on, "signed_on_at")[order]
    at = np.searchsorted(known, ids(rows, "player_id"))
    assert (known[at.clip(0, len(known) - 1)] == ids(rows, "player_id")).all()
    started = seconds(rows, "started_at")
    assert (started > signed_on[at]).all()
    assert started.min() >= second_of(TOMORROW)
    assert started.max() < second_of(TOMORROW) + DAY_SECONDS


def test_players_of_a_session_start_together(rows: pa.Table) -> None:
    _, first, session = np.unique(ids(rows, "session_id"), return_index=True, return_inverse=True)
    started = seconds(rows, "started_at")
    assert (started == started[first][session]).all()


def test_lengths_are_the_titles_and_end_what_started(world: World, rows: pa.Table) -> None:
    assert world.title.simulation is not None
    settings = world.title.simulation.sessions
    length = rows["event_length_seconds"].to_numpy()
    assert length.min() >= settings.shortest_seconds
    assert length.max() <= settings.longest_seconds
    assert length.max() > 0.95 * settings.longest_seconds
    assert (seconds(rows, "event_datetime") - seconds(rows, "started_at") == length).all()
    # somebody is there to the end of every session, and some leave earlier
    _, session = codes(rows, "session_id")
    longest = np.zeros(session.max() + 1, np.int64)
    np.maximum.at(longest, session, length)
    early = float((length < longest[session]).mean())
    stayed_for_sure = len(longest) / len(length)
    assert early == pytest.approx((1 - settings.stay_share) * (1 - stayed_for_sure), abs=0.03)


def test_most_sessions_have_about_the_typical_length(world: World, rows: pa.Table) -> None:
    assert world.title.simulation is not None
    settings = world.title.simulation.sessions
    _, session = codes(rows, "session_id")
    longest = np.zeros(session.max() + 1, np.int64)
    np.maximum.at(longest, session, rows["event_length_seconds"].to_numpy())
    triangle = (settings.shortest_seconds + settings.typical_seconds + settings.longest_seconds) / 3
    assert longest.mean() == pytest.approx(triangle, rel=0.03)


def test_kills_are_deaths_in_every_session(rows: pa.Table) -> None:
    assert rows["kills"].to_numpy().min() >= 0
    assert rows["deaths"].to_numpy().min() >= 0
    kills = per_session(rows, "kills")
    assert (kills == per_session(rows, "deaths")).all()
    players = np.bincount(codes(rows, "session_id")[1])
    assert (kills[players == 1] == 0).all()
    shared = kills[players > 1]
    assert shared.min() >= 10
    assert shared.max() <= 60
    assert shared.min() < 15
    assert shared.max() > 50


def test_the_skilled_kill_more_and_die_less(world: World) -> None:
    for part in world._matchmaker.day(TOMORROW, 10**6):
        skill = world._people.skill(part.number).astype(float)
        _, session = np.unique(part.session, return_inverse=True)
        # against those of the same match: a skill band is narrow, and between bands nobody meets
        above = skill - (np.bincount(session, skill) / np.bincount(session))[session]
        score = part.kills - part.deaths
        assert np.corrcoef(above, score)[0, 1] > 0.25
        assert np.corrcoef(part.length, part.kills)[0, 1] > 0.1


def test_newcomers_learn() -> None:
    # newcomers among those who have been there for two months, of the same skill
    world = World(
        title_like(
            "leap",
            simulation__growth={
                "kind": "target",
                "players": 60_000,
                "days": 90,
                "launch_share": 0.0,
            },
        )
    )
    day = LAUNCH + timedelta(days=80)
    signup = world._population.alive(day)
    score = {True: [0, 0], False: [0, 0]}
    for part in world._matchmaker.day(day, 10**6):
        new = signup.signup[np.searchsorted(signup.number, part.number)] >= 79
        for newcomer in (True, False):
            score[newcomer][0] += int(part.kills[new == newcomer].sum())
            score[newcomer][1] += int(part.deaths[new == newcomer].sum())
    assert score[True][0] / score[True][1] < 0.92 < 1 < score[False][0] / score[False][1]


def test_friends_who_play_on_a_day_play_in_one_team(world: World) -> None:
    for part in world._matchmaker.day(TOMORROW, 10**6):
        first = part.around == 0
        circle, number = circles(world.title.seed, part.number[first]), part.number[first]
        session, team = part.session[first], part.team[first]
        order = np.argsort(number)
        pair = circle[order][1:] == circle[order][:-1]
        together, side = (
            (column[order][1:] == column[order][:-1])[pair] for column in (session, team)
        )
        assert pair.sum() > 100
        # the others were cut apart where a lobby or, of three and four, a team of two was full
        assert together.mean() > 0.7
        assert (together & side).mean() > 0.5


def with_circles(world: World) -> pa.Table:
    """The day's records with their players' circles, as the column circle."""
    (part,) = World(world.title, chunk_players=10**9)._matchmaker.day(TOMORROW, 10**9)
    (rows,) = World(world.title, chunk_players=10**9).sessions(TOMORROW)
    return rows.append_column("circle", pa.array(circles(world.title.seed, part.number)))


def test_a_party_is_two_or_more_of_a_circle_in_one_team_of_a_session(world: World) -> None:
    rows = with_circles(world)
    team = ("session_id", "team_id", "circle")
    with duckdb.connect() as con:
        con.register("rows", rows)
        # ids as texts: of a group there is one, or none where it has one member
        found = con.execute(
            f"select count(*) as players, count(party_id) as known, count(distinct party_id) as ids"
            f" from rows group by {', '.join(team)}"
        ).fetchall()
        assert all((known, ids) == ((n, 1) if n > 1 else (0, 0)) for n, known, ids in found)
        assert sum(n > 1 for n, *_ in found) > 20
        # and no two groups have the same
        assert con.execute("select count(distinct party_id) from rows").fetchone() == (
            sum(n > 1 for n, *_ in found),
        )


def test_one_team_of_a_session_wins_with_all_its_players(rows: pa.Table) -> None:
    with duckdb.connect() as con:
        con.register("rows", rows)
        found = con.execute(
            "select count(distinct team_id) as teams, count(distinct team_id) filter (won),"
            " count(distinct team_id) filter (not won), count(*) - count(won)"
            " from rows group by session_id"
        ).fetchall()
    for teams, winners, losers, unknown in found:
        if teams > 1:
            assert (winners, losers, unknown) == (1, teams - 1, 0)
        else:
            # alone, against nobody
            assert (winners, losers) == (0, 0)
    assert {teams for teams, *_ in found} >= {2, 3}


def test_the_winners_kill_more_for_their_deaths(rows: pa.Table) -> None:
    with duckdb.connect() as con:
        con.register("rows", rows)
        beaten = con.execute(
            "with teams as (select session_id, won, sum(kills) + 0.5 as kills,"
            " sum(deaths) + 0.5 as deaths from rows where won is not null"
            " group by session_id, team_id, won)"
            " select count(*) from teams as one join teams as other using (session_id)"
            " where one.won and one.kills * other.deaths < other.kills * one.deaths"
        ).fetchone()
    assert beaten == (0,)


def test_skill_raises_the_chance_to_win_and_luck_has_its_part() -> None:
    world = World(crowd(40_000))
    (part,) = world._matchmaker.day(TOMORROW, 10**9)
    (rows,) = World(world.title, chunk_players=10**9).sessions(TOMORROW)
    won = rows["won"].to_pylist()
    skill = world._people.skill(part.number).astype(float)
    _, session = np.unique(part.session, return_inverse=True)
    above = skill - (np.bincount(session, skill) / np.bincount(session))[session]
    duel = (part.teams == 2) & (part.players == 2)
    better = duel & (above > 0)
    share = np.mean([won[row] for row in np.flatnonzero(better)])
    assert 0.55 < share < 0.9
    # chances are even where nothing is known of the players
    first = duel & (part.seat == 0)
    assert np.mean([won[row] for row in np.flatnonzero(first)]) == pytest.approx(0.5, abs=0.05)


def test_equal_teams_win_by_chance() -> None:
    # nobody ever kills: every team is as good as another
    world = World(crowd(20_000, simulation__sessions={"kills": [0, 0], "lobbies": {"2x1": 1.0}}))
    rows = table(world, "sessions", TOMORROW)
    known = [
        (team, won)
        for team, won in zip(rows["team_id"].to_pylist(), rows["won"].to_pylist(), strict=True)
        if won is not None
    ]
    share = np.mean([won for team, won in known if team == 1])
    assert len(known) > 1_000
    assert share == pytest.approx(0.5, abs=0.04)


def test_session_ids_are_unique_within_and_across_days(world: World) -> None:
    seen: set[tuple[int, int]] = set()
    for day in days_from(LAUNCH, 4):
        of_day = {tuple(value) for value in codes(table(world, "sessions", day), "session_id")[0]}
        assert not of_day & seen
        seen |= of_day
    # one id never names two matches: nobody is in two regions at once
    assert len(seen) > 1000


def test_a_day_has_a_share_of_players_and_at_most_as_many_matches_as_the_title_says() -> None:
    world = World(crowd(40_000, simulation__sessions={"per_day": 1, "play_share": 0.8}))
    rows, on = table(world, "sessions", TOMORROW), table(world, "signons", TOMORROW)
    assert rows.num_rows / on.num_rows == pytest.approx(0.8, abs=0.01)
    assert np.bincount(codes(rows, "player_id")[1]).max() == 1


def by_player(rows: pa.Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The seconds from the end of each session to the player's next one, and in the same order
    whether there is a next one."""
    _, player = codes(rows, "player_id")
    started, ended = seconds(rows, "started_at"), seconds(rows, "event_datetime")
    order = np.lexsort((started, player))
    return started[order][1:] - ended[order][:-1], player[order][1:] == player[order][:-1]


def test_the_keen_play_several_matches_in_a_sitting() -> None:
    rows = table(World(BUSY), "sessions", TOMORROW)
    counts = np.bincount(codes(rows, "player_id")[1])
    assert counts.max() == 4
    assert 0.5 < (counts >= 2).mean() < 0.8
    # each time anew: who played on once need not again
    assert 0.5 < (counts >= 3).sum() / (counts >= 2).sum() < 0.85
    pause, same = by_player(rows)
    # a sitting is a run of matches less than ten minutes apart; now and then there is a break, or
    # the day's end lies in between
    assert 0.8 < (pause[same] < 600).mean() < 0.97
    world = World(BUSY)
    (part,) = world._matchmaker.day(TOMORROW, 10**6)
    active = world._population.active(TOMORROW)
    keen = world._population.keenness(active, TOMORROW)
    plays = np.bincount(np.searchsorted(active.number, part.number), minlength=len(active))
    assert np.corrcoef(keen, plays)[0, 1] > 0.1


def test_nobody_is_in_two_matches_at_once_over_midnight_too() -> None:
    title = title_like(
        "leap",
        simulation__signons={"habit": 0.9, "spread": 0.0, "moods": 0.0},
        simulation__growth={"kind": "target", "players": 3_000, "days": 30, "launch_share": 0.5},
        # long matches, many of them: the worst that a night can bring
        simulation__sessions={
            "per_day": 8, "replay_share": 0.95, "typical_seconds": 2000, "longest_seconds": 4000,
            "longest_wait_seconds": 1800,
        },
    )  # fmt: skip
    for world in (World(title), World(crowd(400, seed=5))):
        rows = table(world, "sessions", days_from(LAUNCH, 30))
        pause, same = by_player(rows)
        assert (pause[same] > 0).all()
        ended = rows["event_datetime"].to_numpy().astype("datetime64[D]")
        assert (ended > rows["started_at"].to_numpy().astype("datetime64[D]")).sum() > 30


def test_matches_go_on_through_midnight() -> None:
    # in the Americas it is evening: no wave of matches at the day's end, no hole after it
    world = World(crowd(30_000, simulation__countries={"US": 1.0}))
    rows = table(world, "sessions", days_from(TOMORROW, 2))
    middle = second_of(TOMORROW) + DAY_SECONDS
    started = (seconds(rows, "started_at") - middle) // 600
    nights = np.bincount(started[(started >= -6) & (started < 6)] + 6, minlength=12)
    assert nights.min() > 0.6 * nights.mean()
    assert nights.max() < 1.4 * nights.mean()


@given(
    seed=st.integers(0, 2**40),
    players=st.integers(1, 90),
    per_day=st.integers(1, 8),
    lobbies=st.dictionaries(
        st.sampled_from([f"{teams}x{size}" for teams in range(1, 6) for size in (1, 2)]),
        st.floats(0.1, 5),
        min_size=1,
    ),
    kills=st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted),
)
@settings(max_examples=40)
def test_any_small_title_keeps_the_rules(
    seed: int, players: int, per_day: int, lobbies: dict[str, float], kills: list[int]
) -> None:
    title = crowd(
        players,
        seed=seed,
        simulation__sessions={
            "per_day": per_day,
            "replay_share": 0.9,
            "lobbies": lobbies,
            "kills": kills,
            "shortest_seconds": 30,
        },
    )
    rows = table(World(title), "sessions", LAUNCH)
    if not rows.num_rows:
        return
    _, session = codes(rows, "session_id")
    _, player = codes(rows, "player_id")
    players_of = np.bincount(session)
    assert players_of.max() <= max(int(s[0]) * int(s[2]) for s in lobbies)
    assert rows["team_id"].to_numpy().max() <= max(int(s[0]) for s in lobbies)
    killed = per_session(rows, "kills")
    assert (killed == per_session(rows, "deaths")).all()
    assert ((players_of == 1) | ((killed >= kills[0]) & (killed <= kills[1]))).all()
    assert (killed[players_of == 1] == 0).all()
    started, ended = seconds(rows, "started_at"), seconds(rows, "event_datetime")
    assert started.min() >= second_of(LAUNCH)
    assert started.max() < second_of(LAUNCH) + DAY_SECONDS
    order = np.lexsort((started, player))
    same = player[order][1:] == player[order][:-1]
    assert (started[order][1:][same] > ended[order][:-1][same]).all()
    assert np.bincount(player).max() <= per_day
