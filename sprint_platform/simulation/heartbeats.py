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
F32 = npt.NDArray[np.float32]

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
        # sessions of a like length are made together, so that few of the dense beats are unused
        order = np.lexsort((rows.session, rows.session_length))
        counts = self.beats(rows)[order]
        seed, ordinal = self.title.seed, day.toordinal()
        draw = mix(stream_key(seed, "path", ordinal), (rows.number * 8 + rows.around)[order])
        session, first = rows.session[order], rows.leader[order]
        place = np.empty(len(rows), np.int64)
        place[order] = np.arange(len(rows))
        leader = place[first]
        way, width = self._map.ways(
            mix(stream_key(seed, "spawn", ordinal), session),
            rows.team[order].astype(np.int64) - 1,
            rows.teams[order],
            order - first,
            rows.session_length[order] // self.title.whole_beat,
        )
        begin = midnight(day) + rows.start[order] * MICROSECONDS

        total = int(counts.sum())
        axes = [np.empty(total, np.int32) for _ in range(3)]
        moment = np.empty(total, np.int64)
        between = self.title.whole_beat * MICROSECONDS
        done = 0
        for step in _whole_sessions(session, PLAYERS_PER_STEP):
            count = counts[step]
            stop = done + int(count.sum())
            self._positions(
                draw[step],
                leader[step] - step.start,
                way[:, :, step],
                width[:, :, step],
                count,
                [axis[done:stop] for axis in axes],
            )
            # a row's time is its number in the step, in beats, from when beat 0 would have been
            zero = begin[step] - (np.cumsum(count) - count) * between
            np.multiply(np.arange(stop - done), between, out=moment[done:stop])
            moment[done:stop] += np.repeat(zero, count)
            done = stop
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
        draw: npt.NDArray[np.uint64],
        leader: npt.NDArray[np.int64],
        way: F32,
        width: F32,
        count: npt.NDArray[np.int64],
        out: list[I32],
    ) -> None:
        """Fills ``out`` with the x, y and z of player-sessions (whole sessions), row by row.
        ``leader`` is where each player's leader is among them, ``way`` and ``width`` are the map's
        for them, ``count`` is how many beats each has."""
        beats = int(count.max(initial=1))
        choice = pick(self._choice, draw)
        # model after model, and where each player's displacements are among them
        made = np.empty((3, draw.size, beats), np.int32)
        at = np.empty(draw.size, np.int64)
        done = 0
        for index, model in enumerate(self._models):
            which = np.flatnonzero(choice == index)
            if which.size:
                stop = done + which.size
                made[:, done:stop] = model(remix(draw[which], index), beats, self._reach)
                at[which] = np.arange(done, stop)
                done = stop

        lead = at[leader]
        played = np.tri(beats + 1, beats, -1, dtype=np.bool_).take(count, axis=0)
        for axis in range(3):
            path = made[axis].take(at, axis=0)
            # a follower's own path gives way to the leader's, by the share of cohesion
            led = made[axis].take(lead, axis=0)
            led -= path
            led *= np.int32(self._cohesion)
            led >>= COHESION_BITS
            path += led
            _fold(path, self._map.fold[axis])
            self._map.move(path, axis, way[axis], width[axis])
            np.clip(path, 0, self._extent[axis], out=path)
            path += np.int32(self._low[axis])
            out[axis][:] = path[played]


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
