"""A session beat by beat: where its players and the middles of its teams are, and who meets whom.

The marts keep how often teams met, not when; a replay finds that from the session's heartbeats by
the rules of ``stage_centroids`` and ``stage_encounters``. One thing it cannot know: when the
session's records say that it began. Beats count from the first heartbeat, which is the same for a
session whose players send one when they come.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from math import sqrt
from typing import NamedTuple

from sprint_platform.dashboard.published import Columns
from sprint_platform.title import Title


class Place(NamedTuple):
    """Where a player is, in hundredths of a unit, and in which team."""

    team: int
    x: int
    y: int
    z: int


class Team(NamedTuple):
    """A team at a beat: how many of its players have a heartbeat, and the sums of their places."""

    number: int
    players: int
    x: int
    y: int
    z: int

    @property
    def middle(self) -> tuple[float, float]:
        """The team's centroid seen from above, in units."""
        return self.x / self.players / 100, self.y / self.players / 100


@dataclass(frozen=True)
class Beat:
    """A beat: its time, the players that have a heartbeat in it, and their teams."""

    at: datetime
    players: tuple[Place, ...]
    teams: tuple[Team, ...]


@dataclass(frozen=True)
class Meeting:
    """An encounter of two teams: the places of its first and last close beat in the list of beats,
    when it starts and ends, how many of its beats are close, and the smallest distance."""

    teams: tuple[int, int]
    first_beat: int
    last_beat: int
    start: datetime
    end: datetime
    close_beats: int
    least_distance: float


def beats_of(heartbeats: Columns, heartbeat_seconds: int) -> list[Beat]:
    """The beats of a session's heartbeats, without those in which nobody has one. Of two heartbeats
    of a player in one beat the later counts."""
    if not heartbeats["event_datetime"]:
        return []
    start = heartbeats["event_datetime"][0]
    step = timedelta(seconds=heartbeat_seconds)
    latest: dict[int, dict[object, Place]] = {}
    for player, team, at, x, y, z in zip(*heartbeats.values(), strict=True):
        latest.setdefault((at - start) // step, {})[player] = Place(team, x, y, z)
    return [
        Beat(start + number * step, tuple(places.values()), _teams(places.values()))
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
            sum(place.x for place in places),
            sum(place.y for place in places),
            sum(place.z for place in places),
        )
        for number, places in sorted(by_team.items())
    )


def meetings_of(beats: Sequence[Beat], title: Title) -> list[Meeting]:
    """The session's encounters, by their start, as the title counts them. Distances are exact: the
    two teams' sums, each times the other's number of players, are whole numbers."""
    limit = round(title.encounters.distance * 100) ** 2
    close: dict[tuple[int, int], list[tuple[int, float]]] = {}
    for number, beat in enumerate(beats):
        for one, two in combinations(beat.teams, 2):
            scale = one.players * two.players
            squared = (
                (one.x * two.players - two.x * one.players) ** 2
                + (one.y * two.players - two.y * one.players) ** 2
                + (one.z * two.players - two.z * one.players) ** 2
            )
            if squared <= scale**2 * limit:
                moment = (number, sqrt(squared) / scale / 100)
                close.setdefault((one.number, two.number), []).append(moment)
    found = [
        _meeting(teams, run, beats, title)
        for teams, moments in close.items()
        for run in _runs(moments, beats, title.encounters.gap_seconds)
    ]
    return sorted(found, key=lambda meeting: (meeting.start, meeting.teams))


def _runs(
    moments: Sequence[tuple[int, float]], beats: Sequence[Beat], gap_seconds: int
) -> list[list[tuple[int, float]]]:
    """The close beats, in runs of which no two neighbours lie farther apart than the gap."""
    runs: list[list[tuple[int, float]]] = []
    for moment in moments:
        last = runs[-1][-1][0] if runs else None
        if last is None or (beats[moment[0]].at - beats[last].at).total_seconds() > gap_seconds:
            runs.append([])
        runs[-1].append(moment)
    return runs


def _meeting(
    teams: tuple[int, int], run: Sequence[tuple[int, float]], beats: Sequence[Beat], title: Title
) -> Meeting:
    first, last = run[0][0], run[-1][0]
    return Meeting(
        teams=teams,
        first_beat=first,
        last_beat=last,
        start=beats[first].at,
        end=beats[last].at + timedelta(seconds=title.heartbeat_seconds),
        close_beats=len(run),
        least_distance=min(distance for _, distance in run),
    )
