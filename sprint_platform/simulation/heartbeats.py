"""Where players are, every 30 s of their sessions: integer hundredths of a unit inside the grid."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sprint_platform.draws import mix, pick, picker, remix, stream_key, threshold
from sprint_platform.simulation.columns import (
    MICROSECONDS,
    decimal_column,
    midnight,
    table_of,
    timestamp_column,
    uuid_column,
)
from sprint_platform.simulation.maps import Map
from sprint_platform.simulation.matches import PlayerSessions
from sprint_platform.simulation.movement.registry import Model, models
from sprint_platform.title import Title, TitleError

I32 = npt.NDArray[np.int32]

# Players whose paths are made at a time: a third-level cache still holds an axis of them, and with
# fewer a call costs more than what it does.
PLAYERS_PER_STEP = 4_096
# 32 levels of cohesion: with a grid of 2,000 units and 240 beats a path's difference times 32 is
# still below 2^31.
COHESION_BITS = 5
# Players run more than they climb: a path's reach upwards is a quarter of that over the ground.
CLIMB = Fraction(1, 4)


class Paths:
    """Makes the positions of player-sessions of one title."""

    def __init__(self, title: Title) -> None:
        assert title.simulation is not None
        self.title = title
        self.movement = title.simulation.movement
        known = models()
        for name in self.movement.models:
            if name not in known:
                raise TitleError(
                    f"title {title.name}: simulation.movement.models: '{name}' is not one of"
                    f" {', '.join(known)}"
                )
        chosen = [(name, w) for name, w in sorted(self.movement.models.items()) if w > 0]
        self._models: list[Model] = [known[name] for name, _ in chosen]
        self._choice = picker([weight for _, weight in chosen])
        grid = (title.grid.x, title.grid.y, title.grid.z)
        self._low = [low * 100 for low, _ in grid]
        self._extent = [(high - low) * 100 for low, high in grid]
        # reach is a share of half the grid, in hundredths
        share = threshold(self.movement.reach)
        x, y, z = ((extent * share) >> 33 for extent in self._extent)
        self._reach = (x, y, int(z * CLIMB))
        self._map = Map(title.seed, self._extent, title.whole_beat)
        self._cohesion = (threshold(self.movement.cohesion) << COHESION_BITS) >> 32

    def beats(self, rows: PlayerSessions) -> npt.NDArray[np.int64]:
        """How many positions each player-session has: floor(length / heartbeat)."""
        return rows.length // self.title.whole_beat

    def tables(
        self,
        rows: PlayerSessions,
        day: date,
        session_ids: npt.NDArray[np.void],
        player_ids: npt.NDArray[np.void],
    ) -> pa.Table:
        """The heartbeats of these player-sessions as one table of the contract's ``heartbeats``."""
        beats = self.beats(rows)
        total = int(beats.sum())
        axes = [np.empty(total, np.int32) for _ in range(3)]
        moment = np.empty(total, np.int64)
        between = self.title.whole_beat * MICROSECONDS
        # sessions of a like length are made together, so that few of the dense beats are unused
        session_of = np.cumsum(np.r_[False, rows.session[1:] != rows.session[:-1]])
        order = np.lexsort((rows.session, rows.session_length))
        done = 0
        for step in _whole_sessions(session_of[order], PLAYERS_PER_STEP):
            part = order[step]
            count = beats[part]
            stop = done + int(count.sum())
            self._positions(rows, part, count, day, [axis[done:stop] for axis in axes])
            first = np.cumsum(count) - count
            # a row's time is its number in the step, in beats, from when beat 0 would have been
            begin = midnight(day) + rows.start[part] * MICROSECONDS - first * between
            np.multiply(np.arange(stop - done), between, out=moment[done:stop])
            moment[done:stop] += np.repeat(begin, count)
            done = stop
        counts = beats[order]
        return table_of(
            "heartbeats",
            [
                uuid_column(np.repeat(session_ids[order], counts)),
                uuid_column(np.repeat(player_ids[order], counts)),
                pa.array(np.repeat(rows.team[order], counts)),
                timestamp_column(moment),
                *(decimal_column(axis, 7) for axis in axes),
            ],
        )

    def _positions(
        self,
        rows: PlayerSessions,
        part: npt.NDArray[np.int64],
        count: npt.NDArray[np.int64],
        day: date,
        out: list[I32],
    ) -> None:
        """Fills ``out`` with the x, y and z of the rows ``part`` (whole sessions), row by row."""
        beats = int(count.max(initial=1))
        seed, ordinal = self.title.seed, day.toordinal()
        entity = rows.number[part] * 8 + rows.around[part]
        draw = mix(stream_key(seed, "path", ordinal), entity)
        choice = pick(self._choice, draw)
        way = np.empty((3, part.size, beats), np.int32)
        for index, model in enumerate(self._models):
            which = np.flatnonzero(choice == index)
            if which.size:
                way[:, which] = model(remix(draw[which], index), beats, self._reach)

        place = np.empty(len(rows), np.int64)
        place[part] = np.arange(part.size)
        leader = place[rows.leader[part]]
        key = mix(stream_key(seed, "spawn", ordinal), rows.session[part])
        team = rows.team[part].astype(np.int64) - 1
        spawn = self._map.spawns(key, team, rows.teams[part], part - rows.leader[part])
        places = [self._map.places(key, team, move) for move in range(-(-beats // self._map.stay))]
        dense = (np.arange(beats) < count[:, None]).reshape(-1)
        where = np.flatnonzero(dense)
        for axis in range(3):
            path = way[axis]
            # a follower's own path gives way to the leader's, by the share of cohesion
            led = path[leader]
            led -= path
            led *= np.int32(self._cohesion)
            led >>= COHESION_BITS
            path += led
            _fold(path, self._map.fold[axis])
            self._map.move(path, axis, spawn[axis], places)
            np.clip(path, 0, self._extent[axis], out=path)
            path += np.int32(self._low[axis])
            # the other mode writes to a copy first
            np.take(path.reshape(-1), where, out=out[axis], mode="clip")


def _whole_sessions(session: npt.NDArray[np.int64], players: int) -> Iterator[slice]:
    """Slices of about ``players`` rows that never cut a session (rows of one stand together)."""
    start = 0
    while start < session.size:
        stop = min(start + players, session.size)
        while stop < session.size and session[stop] == session[stop - 1]:
            stop += 1
        yield slice(start, stop)
        start = stop


def _fold(path: I32, far: int) -> None:
    """Folds displacements into [0, 2 * far], in place: a triangle wave of them, with 0 in the
    middle. ``far`` is a power of two."""
    path -= np.int32(far)
    path &= np.int32(4 * far - 1)
    path -= np.int32(2 * far)
    np.abs(path, out=path)
