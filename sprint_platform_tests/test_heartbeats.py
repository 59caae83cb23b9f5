"""Heartbeats: one every 30 s from the session's start, inside the walls, teams together."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from sprint_platform.simulation.world import World
from sprint_platform.title import Title
from sprint_platform_tests.worlds import (
    LAUNCH,
    codes,
    crowd,
    hundredths,
    ids,
    positions,
    seconds,
    table,
    title_like,
)

TOMORROW = LAUNCH + timedelta(days=1)
TWENTY = crowd(
    3_000,
    grid={"x": [-10, 10], "y": [990, 1010], "z": [-2000, -1980]},
    simulation__movement={
        "models": {"lorentzian": 1, "bezier": 1, "lissajous": 1, "perlin": 1},
        "cohesion": 0.3,
        "reach": 1.0,
    },
)
WIDE = crowd(
    3_000,
    grid={"x": [-1000, 1000], "y": [0, 2000], "z": [5, 2005]},
    heartbeat_seconds=30,
    simulation__sessions={"longest_seconds": 7200, "typical_seconds": 3600},
    simulation__movement={"models": {"lorentzian": 0.7, "lissajous": 0.3}, "reach": 1.0},
)
ODD_BEATS = crowd(2_000, heartbeat_seconds=47, simulation__sessions={"shortest_seconds": 30})
BUSY = crowd(1_000, simulation__sessions={"per_day": 3, "replay_share": 0.9})
TITLES = {
    "sprint": Title.load("sprint"),
    "leap": Title.load("leap"),
    "twenty": TWENTY,
    "wide": WIDE,
    "odd": ODD_BEATS,
    "busy": BUSY,
}


@pytest.fixture(scope="module", params=TITLES, ids=str)
def world(request: pytest.FixtureRequest) -> World:
    return World(TITLES[request.param])


@pytest.fixture(scope="module")
def beats(world: World) -> pa.Table:
    return table(world, "heartbeats", TOMORROW)


@pytest.fixture(scope="module")
def sessions(world: World) -> pa.Table:
    return table(world, "sessions", TOMORROW)


def parts(records: pa.Table) -> npt.NDArray[np.void]:
    """(session, player) of each row, as values that sort and compare."""
    both = np.stack(
        [
            ids(records, column).view("<u8").reshape(-1, 2)[:, word]
            for column in ("session_id", "player_id")
            for word in (0, 1)
        ],
        axis=1,
    )
    return np.ascontiguousarray(both).view([("", "<u8")] * 4).reshape(-1)


def test_beats_are_the_sessions_length_and_start_with_it(
    world: World, beats: pa.Table, sessions: pa.Table
) -> None:
    step = world.title.heartbeat_seconds
    part, of_beat = np.unique(parts(beats), return_inverse=True)
    session = parts(sessions)
    order = np.argsort(session)
    length = sessions["event_length_seconds"].to_numpy()[order]
    # every part of a session that is long enough has its beats, and no other has any
    assert (session[order][length >= step] == part).all()
    assert (np.bincount(of_beat) == (length // step)[length >= step]).all()
    # the n-th beat of a part is n steps after the session's start
    started = seconds(sessions, "started_at")[order][length >= step]
    moment = seconds(beats, "event_datetime")
    by_part = np.lexsort((moment, of_beat))
    nth = np.arange(len(moment)) - np.searchsorted(of_beat[by_part], of_beat[by_part])
    assert (moment[by_part] == started[of_beat[by_part]] + nth * step).all()
    team = sessions["team_id"].to_numpy()[order][length >= step]
    assert (beats["team_id"].to_numpy() == team[of_beat]).all()


def test_positions_are_inside_the_grid(world: World, beats: pa.Table) -> None:
    for axis in "xyz":
        low, high = getattr(world.title.grid, axis)
        value = hundredths(beats, f"position_{axis}")
        assert value.min() >= low * 100
        assert value.max() <= high * 100
        # and use it: nobody is confined to a corner
        assert value.max() - value.min() > 0.5 * (high - low) * 100


def first_beats(records: pa.Table) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows at their session's first beat, sorted by session, and the session of each."""
    _, session = codes(records, "session_id")
    moment = seconds(records, "event_datetime")
    first = np.full(session.max() + 1, moment.max())
    np.minimum.at(first, session, moment)
    row = np.flatnonzero(moment == first[session])
    row = row[np.argsort(session[row], kind="stable")]
    return row, session[row]


def test_players_start_a_unit_apart_and_teams_farther(beats: pa.Table) -> None:
    row, session = first_beats(beats)
    place, team = positions(beats)[row], beats["team_id"].to_numpy()[row]
    nearest_mate, nearest_rival = np.inf, np.inf
    for shift in range(1, 10):  # a session has at most ten players
        same = session[shift:] == session[:-shift]
        if not same.any():
            break
        apart = np.sqrt(((place[shift:] - place[:-shift])[same] ** 2).sum(axis=1))
        mates = (team[shift:] == team[:-shift])[same]
        nearest_mate = min(nearest_mate, apart[mates].min(initial=np.inf))
        nearest_rival = min(nearest_rival, apart[~mates].min(initial=np.inf))
    assert 1 <= nearest_mate <= 2.01
    assert nearest_rival >= 4


def mates_apart(cohesion: float) -> npt.NDArray[np.float64]:
    """Distances of teammates at all beats, of the same sessions under that cohesion."""
    world = World(title_like("sprint", simulation__movement={**MIX, "cohesion": cohesion}))
    records = table(world, "heartbeats", TOMORROW)
    _, session = codes(records, "session_id")
    _, moment = np.unique(seconds(records, "event_datetime"), return_inverse=True)
    team = records["team_id"].to_numpy()
    order = np.lexsort((team, moment, session))
    key = np.stack([session, moment, team], axis=1)[order]
    pair = (key[1:] == key[:-1]).all(axis=1)
    place = positions(records)[order]
    apart: npt.NDArray[np.float64] = np.sqrt(((place[1:] - place[:-1])[pair] ** 2).sum(axis=1))
    return apart


MIX = {"models": {"lorentzian": 0.4, "bezier": 0.3, "lissajous": 0.1, "perlin": 0.2}}


def test_with_more_cohesion_teammates_are_closer() -> None:
    apart = {cohesion: mates_apart(cohesion) for cohesion in (0.0, 0.4, 0.8, 1.0)}
    means = [float(values.mean()) for values in apart.values()]
    assert means == sorted(means, reverse=True)
    assert means[0] > 2 * means[2]
    # side by side, however they walk: the gap at the start, mirrored where there is a wall
    assert apart[1.0].max() <= 2.01
    assert apart[0.0].max() > 50


def test_each_table_holds_whole_sessions_and_few_rows() -> None:
    # a day is never whole in memory: its tables are bounded by the chunk, not by the day
    world = World(crowd(120_000), chunk_players=2_000)
    tables = list(world.heartbeats(TOMORROW))
    seen: set[tuple[int, int]] = set()
    for part in tables:
        of_part = {tuple(value) for value in codes(part, "session_id")[0]}
        assert not of_part & seen
        seen |= of_part
    assert len(tables) > 10
    # at most a chunk and one more stratum, 60 beats each
    assert max(part.num_rows for part in tables) < 60 * (2_000 + 4_000)


def test_teams_meet_and_part(sprint: World) -> None:
    # the analytics' subject: some teams come within 50 units of each other, most are farther apart
    records = table(sprint, "heartbeats", TOMORROW)
    _, session = codes(records, "session_id")
    _, moment = np.unique(seconds(records, "event_datetime"), return_inverse=True)
    team = records["team_id"].to_numpy()
    key, group = np.unique(np.stack([session, moment, team], axis=1), axis=0, return_inverse=True)
    size = np.bincount(group)
    centroid = np.stack(
        [np.bincount(group, positions(records)[:, axis]) / size for axis in range(3)], axis=1
    )
    apart = []
    for shift in range(1, 5):
        same = (key[shift:, :2] == key[:-shift, :2]).all(axis=1)
        apart.append(np.sqrt(((centroid[shift:] - centroid[:-shift])[same] ** 2).sum(axis=1)))
    distance = np.concatenate(apart)
    assert 0.2 < (distance <= 50).mean() < 0.6
    # real matches of an arena of this size: a median of 39.4 and a 95 % quantile of 111.6 units
    assert 26 < np.median(distance) < 60
    assert 80 < np.quantile(distance, 0.95) < 140


def test_steps_are_as_long_as_real_ones(sprint: World) -> None:
    records = table(sprint, "heartbeats", TOMORROW)
    part = parts(records)
    order = np.lexsort((seconds(records, "event_datetime"), part))
    same = (part[order][1:] == part[order][:-1])[:, None]
    step = np.sqrt((np.diff(positions(records)[order], axis=0)[same[:, 0]] ** 2).sum(axis=1))
    # real players of an arena of this size: 9.3, 18.7 and 26.1 units in 30 s
    assert 6 < np.quantile(step, 0.25) < 12
    assert 12 < np.median(step) < 28
    assert 18 < np.quantile(step, 0.75) < 32


def test_a_map_has_places_that_draw_people_and_no_ring_of_spawns() -> None:
    world = World(crowd(6_000))
    records = table(world, "heartbeats", TOMORROW)
    place = positions(records)[:, :2]
    cells = np.histogram2d(place[:, 0], place[:, 1], bins=20, range=[[-100, 100], [-100, 100]])[0]
    # a twentieth of the map sees twice its share
    busiest = np.sort(cells.reshape(-1))[::-1]
    assert busiest[:20].sum() > 2 * cells.sum() / 20
    row, _ = first_beats(records)
    start = np.hypot(*place[row].T)
    share = np.histogram(start, bins=7, range=(0, 140))[0] / len(start)
    assert share.max() < 0.35
    # the places are the title's: on another day they are the same
    later = positions(table(world, "heartbeats", TOMORROW + timedelta(days=5)))[:, :2]
    again = np.histogram2d(later[:, 0], later[:, 1], bins=20, range=[[-100, 100], [-100, 100]])[0]
    assert np.corrcoef(cells.reshape(-1), again.reshape(-1))[0, 1] > 0.9
