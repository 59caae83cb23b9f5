"""A title's map: where teams spawn, and the places that draw people."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sprint_platform.draws import below, cosine, mix, pick, picker, remix, stream_key

I32 = npt.NDArray[np.int32]
F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

# A match's teams spawn on a circle, this far from its middle: as shares of half the map in 1/256,
# and in hundredths of a unit on a small map. Teammates stand this many hundredths apart.
NEAREST_SPAWN, FARTHEST_SPAWN, SMALLEST_CIRCLE = 90, 179, 600
CLOSEST_TEAMMATES, FARTHEST_TEAMMATES = 120, 200
_CIRCLE = 1024

# The places that draw people, the most popular first. A match moves on from place to place, and
# most of its teams, eleven of sixteen, go where it goes; the others to one of the nearest.
POPULARITY = (6, 5, 4, 3, 2, 2, 1)
_TOGETHER = 176  # of 256
_NEAREST = 2
# Each place lies in a square of its own, of so many by so many that the map is cut into.
_SQUARES = 3
# How far places reach to either side, as shares of half the map in 1/256. Ways are a quarter as
# wide as the widest place.
NARROWEST, WIDEST = 42, 84
_SHARE_BITS = 8

# Every so many seconds a match moves on, and teams walk for so many of them.
STAY_SECONDS = 300
WALK_SECONDS = 120
# few, so that the matrix products below are exact in single precision
WALK_BITS = 5


class Map:
    """The map of a title: ``extent`` is its size per axis, in hundredths of a unit. Positions are
    hundredths from its low corner. ``stay`` is after how many beats a match moves on."""

    def __init__(self, seed: int, extent: list[int], heartbeat_seconds: int) -> None:
        self.extent = extent
        # the same in beats
        self.stay = max(STAY_SECONDS // heartbeat_seconds, 2)
        self.walk = max(WALK_SECONDS // heartbeat_seconds, 1)
        self._seed = seed
        self._popular = picker([float(weight) for weight in POPULARITY])
        squares = mix(stream_key(seed, "squares"), np.arange(_SQUARES**2))
        square = np.argsort(squares, kind="stable")[: len(POPULARITY)]
        draw = mix(stream_key(seed, "places"), np.arange(6 * len(POPULARITY))).reshape(6, -1)
        x, y, z = extent
        # by axis, how far each place reaches to either side
        share = NARROWEST + below(draw[3:], WIDEST - NARROWEST)
        widths = [size * axis >> 9 for size, axis in zip(extent, share, strict=True)]
        # by axis, where each place's middle is: somewhere in its square; upwards, in the middle
        # three fifths; but not so near to a wall that the place would not fit
        middles = [
            *(
                (4 * at + 1) * size // (4 * _SQUARES) + below(drawn, size // (2 * _SQUARES))
                for drawn, at, size in (
                    (draw[0], square % _SQUARES, x),
                    (draw[1], square // _SQUARES, y),
                )
            ),
            z // 5 + below(draw[2], z * 3 // 5),
        ]
        self.middles = np.stack(
            [
                np.clip(middle, width, size - width)
                for middle, width, size in zip(middles, widths, extent, strict=True)
            ]
        ).astype(np.int32)
        # by axis, the power of two that displacements are folded to before they are as wide as a
        # place: with one that needs no division
        self.fold = [1 << (size * WIDEST >> 9).bit_length() for size in extent]
        self._shares = np.stack(
            [(width << _SHARE_BITS) // far for width, far in zip(widths, self.fold, strict=True)]
        ).astype(np.int32)
        # by axis, where each place begins: folded displacements begin with 0
        far = np.array(self.fold)[:, None]
        self._begins = (self.middles - (far * self._shares >> _SHARE_BITS)).astype(np.int32)
        ground = self.middles[:2].astype(np.int64)
        apart = ((ground[:, :, None] - ground[:, None, :]) ** 2).sum(axis=0)
        self._nearest = np.argsort(apart, axis=1, kind="stable")[:, 1 : 1 + _NEAREST]

    def ways(
        self, key: npt.NDArray[np.uint64], team: I64, teams: I64, member: I64, beats: I64
    ) -> tuple[F32, F32]:
        """What ``move`` needs to know of players, as whole numbers of shape (3, columns, players).

        The first are the spawn point, 1 and, for each move of the match, the middle of the team's
        next place and where it begins; the second are 1 and each place's width. ``key`` is the
        match's draw, ``team`` and ``member`` (of the team) count from 0; ``beats``, of the match,
        ascends: moves that a match is too short for are 0.
        """
        moves = -(-int(beats.max(initial=0)) // self.stay)
        way = np.zeros((3, 2 + 2 * moves, key.size), np.float32)
        width = np.zeros((3, 1 + moves, key.size), np.float32)
        way[:, 0] = self._spawns(key, team, teams, member)
        way[:, 1] = width[:, 0] = 1
        for move in range(moves):
            begin = int(np.searchsorted(beats, move * self.stay, side="right"))
            place = self._places(key[begin:], team[begin:], move)
            way[:, 2 + 2 * move, begin:] = self.middles.take(place, axis=1)
            way[:, 3 + 2 * move, begin:] = self._begins.take(place, axis=1)
            width[:, 1 + move, begin:] = self._shares.take(place, axis=1)
        return way, width

    def move(self, path: I32, axis: int, way: F32, width: F32) -> None:
        """Moves displacements, folded and of shape (players, beats), along the way of each player's
        team, in place: from the spawn point to its first place, and after each stay to the next.
        ``way`` and ``width`` are what ``ways`` has for the axis. What players do on the way is
        about the way, and at a place as wide as the place.

        Positions are whole numbers below 2^18 and weights below 2^6, so that the products' sums are
        exact. In slices of a few beats the same would take three times as long.
        """
        widest = self.extent[axis] * WIDEST >> 9
        weights, widths = _way(path.shape[1], self.stay, self.walk, self.fold[axis], widest)
        path *= _product(width, widths)
        path >>= _SHARE_BITS
        along = _product(way, weights)
        along >>= WALK_BITS
        path += along

    def _places(self, key: npt.NDArray[np.uint64], team: I64, move: int) -> I64:
        """The place of each player's team after the match's ``move``-th move, from 0."""
        common = pick(self._popular, remix(key, stream_key(self._seed, "place", move)))
        own = mix(stream_key(self._seed, "own place", move), key + team.astype(np.uint64))
        near = self._nearest[common, below(own << np.uint64(8), _NEAREST)]
        return np.where((own >> np.uint64(56)) < _TOGETHER, common, near).astype(np.int64)

    def _spawns(
        self, key: npt.NDArray[np.uint64], team: I64, teams: I64, member: I64
    ) -> tuple[I64, I64, I64]:
        """Where each player starts.

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
        return x, y, z

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


def _product(columns: F32, weights: F32) -> I32:
    """The first columns, each of shape (players,), times the weights of shape (columns, beats)."""
    result: I32 = (columns[: len(weights)].T @ weights).astype(np.int32)
    return result


@lru_cache(maxsize=512)
def _way(beats: int, stay_beats: int, walk_beats: int, far: int, widest: int) -> tuple[F32, F32]:
    """By beat, in 1/2^5, what of the spawn point, of 1, and of each place's middle and beginning a
    position is made; and in 1/2^8, what of 1 and of each place's share a displacement keeps. A way
    is as wide as the widest place at both ends and a quarter of that in its middle."""
    whole = 1 << WALK_BITS
    moves = -(-beats // stay_beats)
    position = np.zeros((2 * moves + 2, moves * stay_beats), np.float32)
    width = np.zeros((moves + 1, moves * stay_beats), np.float32)
    beat = np.arange(walk_beats)
    # slow at first and at the end: 3 t^2 - 2 t^3
    gone = beat * beat * (3 * walk_beats - 2 * beat) * whole // walk_beats**3
    about = (4 * whole * whole - 12 * gone * (whole - gone)) * (widest << _SHARE_BITS)
    about //= 4 * whole * whole * far
    for move in range(moves):
        begin = move * stay_beats
        walk = slice(begin, begin + walk_beats)
        stay = slice(begin + walk_beats, begin + stay_beats)
        # from the spawn point, or from the middle of the place before
        position[2 * move if move else 0, walk] += whole - gone
        position[2 + 2 * move, walk] += gone
        position[1, walk] = -whole * (far * about >> _SHARE_BITS)
        position[3 + 2 * move, stay] = whole
        width[1 + move, stay] = 1
        width[0, walk] = about
    return position[:, :beats], width[:, :beats]
