"""A title's map: where teams spawn, and the places that draw people."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sprint_platform.draws import below, cosine, mix, pick, picker, remix, stream_key

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

# A match's teams spawn on a circle, this far from its middle: as shares of half the map in 1/256,
# and in hundredths of a unit on a small map. Teammates stand this many hundredths apart.
NEAREST_SPAWN, FARTHEST_SPAWN, SMALLEST_CIRCLE = 90, 179, 600
CLOSEST_TEAMMATES, FARTHEST_TEAMMATES = 120, 200
_CIRCLE = 1024

# The places that draw people, the most popular first. A match has two of them, and fifteen of
# sixteen teams go to its first.
POPULARITY = (6, 5, 4, 3, 2, 2, 1)
_FIRST_SPOT = 240  # of 256
# Teams have come to their place after so many beats.
WALK_BEATS = 5
WALK_BITS = 10


class Map:
    """The map of a title: ``extent`` is its size per axis, in hundredths of a unit. Positions are
    hundredths from its low corner."""

    def __init__(self, seed: int, extent: list[int]) -> None:
        self.extent = extent
        self._seed = seed
        self._popular = picker([float(weight) for weight in POPULARITY])
        draw = mix(stream_key(seed, "places"), np.arange(3 * len(POPULARITY))).reshape(3, -1)
        # not against a wall: in the middle three fifths of each axis
        self._places = np.stack(
            [size // 5 + below(draw[axis], size * 3 // 5) for axis, size in enumerate(extent)]
        ).astype(np.int32)

    def spots(self, key: npt.NDArray[np.uint64], team: I64) -> tuple[I32, I32, I32]:
        """Where each player's team goes. ``key`` is the match's draw, ``team`` counts from 0."""
        first = pick(self._popular, remix(key, stream_key(self._seed, "first place")))
        other = pick(self._popular, remix(key, stream_key(self._seed, "other place")))
        choice = mix(stream_key(self._seed, "which place"), key + team.astype(np.uint64))
        place = np.where((choice >> np.uint64(56)) < _FIRST_SPOT, first, other)
        x, y, z = (axis[place] for axis in self._places)
        return x, y, z

    def spawns(
        self, key: npt.NDArray[np.uint64], team: I64, teams: I64, member: I64
    ) -> tuple[I32, I32, I32]:
        """Where each player starts. ``key`` is the match's draw, ``team`` and ``member`` (of the
        team) count from 0.

        Teams stand evenly on a circle, whose place, size and turn differ by match; a team's players
        at the corners of a square of 1.2 to 2 units. On the smallest grid (20 units) five teams are
        still 4 units apart, and nobody starts beyond a wall.
        """
        turn = (key >> np.uint64(54)).astype(np.int64)
        angle = (turn + team * _CIRCLE // np.maximum(teams, 1)) % _CIRCLE
        height, apart, wide, x_at, y_at = (
            _sixteen(bits)
            for bits in (key >> np.uint64(32), key >> np.uint64(16), key, *self._middles(key))
        )
        gap = CLOSEST_TEAMMATES + (apart * (FARTHEST_TEAMMATES - CLOSEST_TEAMMATES) >> 16)
        share = NEAREST_SPAWN + (wide * (FARTHEST_SPAWN - NEAREST_SPAWN) >> 16)
        cos = np.rint(cosine(_CIRCLE) * (1 << 14)).astype(np.int64)
        x, y = (
            _on_circle(size, share, at, cos[turned])
            for size, at, turned in (
                (self.extent[0], x_at, angle),
                (self.extent[1], y_at, (angle - _CIRCLE // 4) % _CIRCLE),
            )
        )
        x += (member & 1) * gap
        y += (member >> 1) * gap
        up = self.extent[2]
        z = up // 4 + ((height * (up // 2)) >> 16)
        return x.astype(np.int32), y.astype(np.int32), z.astype(np.int32)

    def _middles(self, key: npt.NDArray[np.uint64]) -> tuple[npt.NDArray, npt.NDArray]:
        draw = remix(key, stream_key(self._seed, "middle"))
        return draw, draw >> np.uint64(16)


def _sixteen(bits: npt.NDArray[np.uint64]) -> I64:
    return (bits & np.uint64(0xFFFF)).astype(np.int64)


def _on_circle(size: int, share: I64, at: I64, cos: I64) -> I64:
    """A coordinate on a circle that lies, with room for a team's square, within the walls."""
    half = size // 2
    radius = np.maximum(half * share >> 8, SMALLEST_CIRCLE)
    free = np.maximum(half - radius - FARTHEST_TEAMMATES, 0)
    return half - free + ((2 * free * at) >> 16) + ((cos * radius) >> 14)


@lru_cache(maxsize=1)
def walk() -> I32:
    """How much of the way to their place teams have gone by each beat of it, in 1/2^10."""
    beat = np.arange(WALK_BEATS)
    # slow at first and at the end: 3 t^2 - 2 t^3
    share = beat * beat * (3 * WALK_BEATS - 2 * beat) * (1 << WALK_BITS) // WALK_BEATS**3
    return share.astype(np.int32)
