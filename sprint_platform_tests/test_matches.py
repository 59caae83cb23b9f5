"""Sessions: lobbies, teams, times, and kills that are somebody's deaths."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprint_platform.profiles import COUNTRY, People
from sprint_platform.simulation.matches import Matchmaker
from sprint_platform.simulation.population import Population
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


def test_lobbies_have_the_titles_shapes(rows: pa.Table, world: World) -> None:
    _, session = codes(rows, "session_id")
    size = np.bincount(session)
    teams = np.zeros(len(size), np.int64)
    np.maximum.at(teams, session, rows["team_id"].to_numpy())
    simulation = world.title.simulation
    assert simulation is not None
    weights = simulation.sessions.lobbies
    total = sum(weights.values())
    for shape, weight in weights.items():
        wide, deep = map(int, shape.split("x"))
        share = float(((teams == wide) & (size == wide * deep)).mean())
        # a stratum's last lobby is cut short, so whole shapes are a little rarer
        assert share == pytest.approx(weight / total, abs=0.06)


def test_a_session_stays_in_a_region(rows: pa.Table) -> None:
    _, session = codes(rows, "session_id")
    region = np.array([COUNTRY[country].region for country in rows["country"].to_pylist()])
    pairs = set(zip(session.tolist(), region.tolist(), strict=True))
    assert len(pairs) == session.max() + 1


def test_a_session_stays_in_a_skill_band(world: World) -> None:
    title = world.title
    assert title.simulation is not None
    people = People(title.seed, title.simulation, title.launch_date.year)
    matchmaker = Matchmaker(title, Population(title), people)
    bands = matchmaker._bands(TOMORROW)
    assert bands == (4 if title is BIG else 1)
    for part in matchmaker.day(TOMORROW, 1):
        band = people.skill(part.number) * bands >> 16
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
    assert early == pytest.approx((1 - settings.stay_share) * (1 - 1 / 7), abs=0.05)


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
    assert shared.max() > 55


def test_the_skilled_kill_more_and_die_less(world: World) -> None:
    title = world.title
    assert title.simulation is not None
    people = People(title.seed, title.simulation, title.launch_date.year)
    for part in Matchmaker(title, Population(title), people).day(TOMORROW, 10**6):
        skill = people.skill(part.number).astype(float)
        _, session = np.unique(part.session, return_inverse=True)
        # against those of the same match: a skill band is narrow, and between bands nobody meets
        above = skill - (np.bincount(session, skill) / np.bincount(session))[session]
        score = part.kills - part.deaths
        assert np.corrcoef(above, score)[0, 1] > 0.1
        assert np.corrcoef(part.length, part.kills)[0, 1] > 0.1


def test_session_ids_are_unique_within_and_across_days(world: World) -> None:
    seen: set[tuple[int, int]] = set()
    for day in days_from(LAUNCH, 4):
        of_day = {tuple(value) for value in codes(table(world, "sessions", day), "session_id")[0]}
        assert not of_day & seen
        seen |= of_day
    # one id never names two matches: nobody is in two regions at once
    assert len(seen) > 1000


def test_a_day_has_a_share_of_players_and_one_session_each(sprint: World) -> None:
    rows = table(World(BIG), "sessions", TOMORROW)
    on = table(World(BIG), "signons", TOMORROW)
    assert rows.num_rows / on.num_rows == pytest.approx(0.9, abs=0.01)
    assert np.bincount(codes(rows, "player_id")[1]).max() == 1


def test_several_sessions_a_day_never_overlap() -> None:
    rows = table(World(BUSY), "sessions", TOMORROW)
    _, player = codes(rows, "player_id")
    counts = np.bincount(player)
    assert counts.max() == 4
    # 80 % play on, but not into the next day
    assert 0.6 < (counts >= 2).mean() < 0.8
    # each time anew: who played on once need not again
    assert 0.5 < (counts >= 3).sum() / (counts >= 2).sum() < 0.85
    started, ended = seconds(rows, "started_at"), seconds(rows, "event_datetime")
    order = np.lexsort((started, player))
    same = player[order][1:] == player[order][:-1]
    assert (started[order][1:][same] > ended[order][:-1][same]).all()


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
