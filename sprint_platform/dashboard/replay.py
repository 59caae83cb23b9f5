"""A session beat by beat: where its players and the middles of its teams are, and who meets whom.

Encounters are the mart's (``stage_encounters``); the beats that are drawn come from the session's
heartbeats. The marts count beats from the start of the session's earliest record, which may lie
before its first heartbeat. An encounter starts with a beat, so any of them says where beats begin.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sprint_platform.dashboard.published import Columns


class Place(NamedTuple):
    """Where a player is, seen from above, in units; and in which team."""

    team: int
    x: float
    y: float


class Team(NamedTuple):
    """A team at a beat: how many of its players have a heartbeat, and their middle."""

    number: int
    players: int
    x: float
    y: float


@dataclass(frozen=True)
class Beat:
    """A beat: its time, the players that have a heartbeat in it, and their teams."""

    at: datetime
    players: tuple[Place, ...]
    teams: tuple[Team, ...]


@dataclass(frozen=True)
class Meeting:
    """An encounter of two teams: the places of its first and last beat in the list of beats, when
    it starts and ends, how many of its beats are close, and the smallest distance."""

    teams: tuple[int, int]
    first_beat: int
    last_beat: int
    start: datetime
    end: datetime
    close_beats: int
    least_distance: float


def beats_of(heartbeats: Columns, encounters: Columns, heartbeat_seconds: int) -> list[Beat]:
    """The beats of a session's heartbeats, without those in which nobody has one. Of two heartbeats
    of a player in one beat the later counts. Beats begin where the encounters' do; of a session
    without any, with its first heartbeat."""
    times = heartbeats["event_datetime"]
    if not times:
        return []
    origin = (encounters["encounter_start"] or times)[0]
    step = timedelta(seconds=heartbeat_seconds)
    latest: dict[int, dict[object, Place]] = {}
    for player, team, at, x, y in zip(*heartbeats.values(), strict=True):
        latest.setdefault((at - origin) // step, {})[player] = Place(team, x, y)
    return [
        Beat(origin + number * step, tuple(places.values()), _teams(places.values()))
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
    """The session's encounters, in the order of ``encounters``, with their places among the beats,
    of which there is one at least."""
    times = [beat.at for beat in beats]
    found = []
    for one, two, start, end, close_beats, distance in zip(*encounters.values(), strict=True):
        first = min(bisect_left(times, start), len(times) - 1)
        # it ends where its last close beat does: a beat that begins then is not in it
        last = max(bisect_left(times, end) - 1, first)
        found.append(Meeting((one, two), first, last, start, end, close_beats, distance))
    return found


def team_names(numbers: Iterable[int], labels: Mapping[int, str]) -> dict[int, str]:
    """What each team is called: its number, and the label that it came with where it had one."""
    return {n: f"{n} ({labels[n]})" if n in labels else str(n) for n in numbers}
