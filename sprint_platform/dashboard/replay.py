"""A session beat by beat: positions of its players, centroids of its teams, and encounters.

Encounters come from ``stage_encounters``, beats from the session's heartbeats. The marts count
beats from the session's earliest record, which may be before its first heartbeat. An encounter
starts at a beat's start, so any encounter gives the times at which beats start.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sprint_platform.dashboard.published import Columns


class Place(NamedTuple):
    """A player's team, and its position in units, seen from above."""

    team: int
    x: float
    y: float


class Team(NamedTuple):
    """A team at a beat: the number of its players with a heartbeat, and their centroid."""

    number: int
    players: int
    x: float
    y: float


@dataclass(frozen=True)
class Beat:
    """A beat: its time, the players with a heartbeat in it, and their teams."""

    at: datetime
    players: tuple[Place, ...]
    teams: tuple[Team, ...]


@dataclass(frozen=True)
class Meeting:
    """An encounter of two teams: the indices of its first and last beat in the list of beats, its
    start and end, the number of its close beats, and the smallest distance in units."""

    teams: tuple[int, int]
    first_beat: int
    last_beat: int
    start: datetime
    end: datetime
    close_beats: int
    least_distance: float


def beats_of(
    heartbeats: Columns, encounters: Columns, beat_microseconds: tuple[int, int]
) -> list[Beat]:
    """The beats of a session that have heartbeats. Of two heartbeats of a player in one beat the
    later counts. Beats are counted from the first encounter's start, or from the first heartbeat of
    a session without encounters; a beat is a fraction of whole ``beat_microseconds``."""
    times = heartbeats["event_datetime"]
    if not times:
        return []
    origin = (encounters["encounter_start"] or times)[0]
    beat, parts = beat_microseconds
    micro = timedelta(microseconds=1)
    latest: dict[int, dict[object, Place]] = {}
    for player, team, at, x, y in zip(*heartbeats.values(), strict=True):
        # the last beat whose time, cut to the microsecond, is not after the heartbeat's
        number = (parts * ((at - origin) // micro + 1) - 1) // beat
        latest.setdefault(number, {})[player] = Place(team, x, y)
    return [
        Beat(
            origin + number * beat // parts * micro, tuple(places.values()), _teams(places.values())
        )
        for number, places in sorted(latest.items())
    ]


def _teams(players: Iterable[Place]) -> tuple[Team, ...]:
    by_team: dict[int, list[Place]] = {}
    for place in players:
        by_team.setdefault(place.team, []).append(place)
    return tuple(
        Team(
            number,
            len(places),
            sum(place.x for place in places) / len(places),
            sum(place.y for place in places) / len(places),
        )
        for number, places in sorted(by_team.items())
    )


def meetings_of(encounters: Columns, beats: Sequence[Beat]) -> list[Meeting]:
    """The session's encounters, in the order of ``encounters``, with their first and last beat.
    ``beats`` has at least one."""
    times = [beat.at for beat in beats]
    meetings = []
    for one, two, start, end, close_beats, distance in zip(*encounters.values(), strict=True):
        first = min(bisect_left(times, start), len(times) - 1)
        # its end is the end of its last close beat: a beat that starts then is not in it
        last = max(bisect_left(times, end) - 1, first)
        meetings.append(Meeting((one, two), first, last, start, end, close_beats, distance))
    return meetings


def team_names(numbers: Iterable[int], labels: Mapping[int, str]) -> dict[int, str]:
    """The name of each team: its number, with its label where it has one."""
    return {n: f"{n} ({labels[n]})" if n in labels else str(n) for n in numbers}
