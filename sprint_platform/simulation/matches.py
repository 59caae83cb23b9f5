"""The matchmaker: who meets whom, in which team, from when to when, and with what score.

A stratum is a (region, skill band). Nobody is matched across strata, so a stratum can be made
alone: a day is made in groups of whole strata, and no decision depends on the chunk size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import date
from decimal import localcontext
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sprint_platform.draws import (
    below,
    mix,
    pick,
    picker,
    remix,
    stream_key,
    threshold,
    top_bits,
    uuids,
)
from sprint_platform.profiles import LARGEST_CIRCLE, REGIONS, People, circles, regions
from sprint_platform.simulation.columns import (
    MICROSECONDS,
    midnight,
    table_of,
    timestamp_column,
    uuid_column,
    word_column,
)
from sprint_platform.simulation.lifetimes import EXACT, ln
from sprint_platform.simulation.population import I64, Players, Population
from sprint_platform.simulation.sittings import (
    DAY_SECONDS,
    LONGEST_WAIT_BETWEEN,
    Sittings,
)
from sprint_platform.title import COUNTRIES, Sessions, Title

# About this many players of a day share a (region, band): enough to fill lobbies within minutes.
PLAYERS_PER_STRATUM = 2_000
# Matches of as many players as this, for the longest time, bring the most kills.
LARGE_LOBBY = 10
# The best kill twice as fast as the middling, these twice as fast as the worst, in so many steps.
SKILLS = 64
# A newcomer plays at three quarters of the strength that comes with so many days.
LEARNING_DAYS = 64


@dataclass(frozen=True)
class PlayerSessions:
    """Players' parts in sessions: parallel arrays, each session's rows together.

    ``number`` is the player, ``country`` an index into COUNTRIES, ``session`` a key unique within
    the day, ``seat`` counts from 0 in the session, ``teams`` is how many teams it has, ``team``
    counts from 1, ``leader`` is the row of the player's team leader, ``players`` how many are in
    the session, ``start`` is in seconds of the day, ``length`` and ``session_length`` (until the
    last player left) in seconds, ``around`` how many sessions the player had before on that day.
    """

    number: I64
    country: npt.NDArray[np.uint8]
    session: I64
    seat: I64
    teams: I64
    team: npt.NDArray[np.int16]
    leader: I64
    players: I64
    start: I64
    length: I64
    session_length: I64
    kills: npt.NDArray[np.int32]
    deaths: npt.NDArray[np.int32]
    around: I64

    def __len__(self) -> int:
        return int(self.number.size)


@dataclass(frozen=True)
class _Waiting:
    """Players who want to play on a day, by stratum: parallel arrays. ``ready`` is the second of
    the day from which each waits for a match."""

    number: I64
    country: npt.NDArray[np.uint8]
    stratum: I64
    strength: I64
    ready: I64
    evening: I64
    early: I64
    matches: I64

    def take(self, which: npt.NDArray | slice) -> _Waiting:
        return _Waiting(*(getattr(self, column.name)[which] for column in fields(self)))


class Matchmaker:
    """Cuts a day's players into lobbies."""

    def __init__(
        self, title: Title, population: Population, people: People, sittings: Sittings
    ) -> None:
        assert title.simulation is not None
        self.title = title
        self.settings: Sessions = title.simulation.sessions
        self.population = population
        self.people = people
        self.sittings = sittings

    def day(self, day: date, chunk_players: int) -> Iterator[PlayerSessions]:
        """The day's player-sessions in groups of whole strata of about ``chunk_players``."""
        players = self.population.active(day)
        players = players.take(np.flatnonzero(self.sittings.plays(players, day)))
        country = self.people.country(players.number)
        bands = self._bands(day)
        stratum = regions()[country].astype(np.int64) * bands + (
            (self.people.rating(players.number) * bands) >> 16
        )
        # stable: within a stratum players stay in the order of their numbers
        order = np.argsort(stratum.astype(np.int32), kind="stable")
        players, stratum, country = players.take(order), stratum[order], country[order]
        ends = np.searchsorted(stratum, np.arange(len(REGIONS) * bands), side="right")
        start = 0
        for index, end in enumerate(ends):
            if end > start and (end - start >= chunk_players or index == len(ends) - 1):
                part = slice(start, int(end))
                yield self._matches(day, players.take(part), country[part], stratum[part])
                start = int(end)

    def _bands(self, day: date) -> int:
        """Skill bands per region: from the day's *expected* players, which no draw can change."""
        expected = (
            self.population.expected_active(day) * threshold(self.settings.play_share)
        ) >> 32
        return max(1, expected // (len(REGIONS) * PLAYERS_PER_STRATUM))

    def _matches(
        self, day: date, players: Players, country: npt.NDArray[np.uint8], stratum: I64
    ) -> PlayerSessions:
        """All matches of these players, who come by stratum: in each round one for each."""
        plan = self.sittings.plan(players, day)
        number = players.number
        days_played = (day - self.title.launch_date).days - players.signup.astype(np.int64)
        learned = 3 * LEARNING_DAYS + np.minimum(days_played, LEARNING_DAYS)
        waiting = _Waiting(
            number,
            country,
            stratum,
            (_strengths()[self.people.skill(number) * SKILLS >> 16] * learned)
            // (4 * LEARNING_DAYS),
            plan.ready,
            plan.evening,
            plan.early,
            plan.matches,
        )
        rounds = []
        for around in range(self.settings.per_day):
            if not waiting.number.size:
                break
            waiting, rows = self._round(day, around, waiting)
            rounds.append(rows)
            nth = around + 1
            ready = rows.start + rows.length + self.sittings.pause(waiting.number, nth, day)
            ready = np.where(waiting.early == nth, np.maximum(ready, waiting.evening), ready)
            waiting = replace(waiting, ready=ready)
            # a match belongs to the UTC day on which it starts: later ones are not today's
            waiting = waiting.take(np.flatnonzero((waiting.matches > nth) & (ready < DAY_SECONDS)))
        return _concatenate(rounds)

    def _round(self, day: date, around: int, waiting: _Waiting) -> tuple[_Waiting, PlayerSessions]:
        """One match for each of these players, who come by stratum; the players in the order of the
        rows."""
        seed, ordinal = self.title.seed, day.toordinal()
        waiting = waiting.take(np.argsort((waiting.stratum << 17) | waiting.ready, kind="stable"))
        starts, lobby, shape = self._lobbies(day, around, waiting)
        players = np.diff(np.r_[starts, waiting.number.size])
        if around:
            # nobody stays for another match alone
            company = (players > 1) | (self._sizes[shape] == 1)
            waiting = waiting.take(np.flatnonzero(np.repeat(company, players)))
            lobby, shape, players = lobby[company], shape[company], players[company]
            starts = np.cumsum(players) - players
        # everybody waits for the last one to be ready
        begin = np.repeat(waiting.ready[starts + players - 1], players)
        row = np.arange(waiting.number.size, dtype=np.int64)
        lobby_row = np.repeat(np.arange(starts.size), players)
        waiting = waiting.take(_seated(lobby_row, circles(seed, waiting.number)))
        number = waiting.number
        session = lobby[lobby_row]
        first = starts[lobby_row]
        size = players[lobby_row]
        in_lobby = row - first
        # as many teams as the players fill, and never one alone
        filled = -(-players // self._team_sizes[shape])
        teams = np.minimum(np.maximum(filled, 2), np.minimum(players, self._teams[shape]))
        teams = teams[lobby_row]
        team = in_lobby * teams // size
        leader = first + -(-team * size // teams)

        key = mix(stream_key(seed, "match", ordinal), lobby)
        match_length = pick(self._lengths, key).astype(np.int64)
        session_length = match_length[lobby_row]
        # friends leave together
        presence = mix(stream_key(seed, f"presence/{around}", ordinal), circles(seed, number))
        stays = (top_bits(presence) < threshold(self.settings.stay_share)) | (in_lobby == 0)
        shortest = self.settings.shortest_seconds
        left_after = shortest + below(
            remix(presence, stream_key(seed, "left")), np.maximum(session_length - shortest, 1)
        )
        length = np.where(stays, session_length, left_after)

        low, high = self.settings.kills
        # half chance, half how many played for how long, out of ten players (the largest lobby's,
        # where that has more) for the longest time
        most = max(LARGE_LOBBY, int(self._sizes.max()))
        busy = (players * match_length << 16) // (most * self.settings.longest_seconds)
        chance = top_bits(remix(key, stream_key(seed, "kills")), 16)
        total = low + ((high - low + 1) * (chance + busy) >> 17)
        total = np.where(players > 1, total, 0)[lobby_row]
        # without luck equal skills would score alike, and in a narrow band all skills are equal
        luck = mix(stream_key(seed, f"luck/{around}", ordinal), number)
        kill_luck, death_luck = (32 + top_bits(luck << np.uint64(at), 8) for at in (0, 8))
        strength = waiting.strength
        return waiting, PlayerSessions(
            number=number,
            country=waiting.country,
            session=session,
            seat=in_lobby,
            teams=teams,
            team=(team + 1).astype(np.int16),
            leader=leader,
            players=size,
            start=begin,
            length=length,
            session_length=session_length,
            kills=_split(total, strength * length * kill_luck, first, starts, players),
            deaths=_split(
                total, (1 << 18) // strength * length * death_luck, first, starts, players
            ),
            around=np.full(row.size, around, np.int64),
        )

    def _lobbies(
        self, day: date, around: int, waiting: _Waiting
    ) -> tuple[I64, I64, npt.NDArray[np.uint8]]:
        """The first row of each lobby, its key and its shape. The players come by stratum and
        readiness; a lobby takes those who are ready before its first one has waited as long as the
        title says, as far as there are seats."""
        stratum = waiting.stratum
        row = np.arange(stratum.size, dtype=np.int64)
        # a lobby that began with this row
        begins = np.flatnonzero(np.r_[True, stratum[1:] != stratum[:-1]])
        seat = row - np.repeat(begins, np.diff(np.r_[begins, row.size]))
        key = (np.int64(around) << 60) | (stratum << 40) | seat
        draw = mix(stream_key(self.title.seed, "lobbies", day.toordinal()), key)
        shape = pick(self._shapes, draw)
        wait = self.settings.longest_wait_seconds
        wait = min(wait, LONGEST_WAIT_BETWEEN) if around else wait
        # a day and a wait are fewer seconds than lie between two strata
        moment = (stratum << 17) | waiting.ready
        soon = np.searchsorted(moment, moment + wait, side="right")
        after = np.minimum(row + self._sizes[shape], soon).tolist()
        starts, at = [], 0
        while at < len(after):
            starts.append(at)
            at = after[at]
        return np.array(starts, np.int64), key[starts], shape[starts]

    @cached_property
    def _lengths(self) -> npt.NDArray[np.int32]:
        """Session lengths by a draw's upper 16 bits: a triangle from the shortest over the typical
        to the longest. Square roots are exact to the last bit (IEEE 754), so this table is too."""
        low, mode, high = (
            float(seconds)
            for seconds in (
                self.settings.shortest_seconds,
                self.settings.typical_seconds,
                self.settings.longest_seconds,
            )
        )
        u = (np.arange(65_536) + 0.5) / 65_536
        span = max(high - low, 1.0)
        rising = low + np.sqrt(u * (span * (mode - low)))
        falling = high - np.sqrt((1.0 - u) * (span * (high - mode)))
        return np.where(u < (mode - low) / span, rising, falling).astype(np.int32)

    @cached_property
    def _shapes(self) -> npt.NDArray[np.uint8]:
        """Lobby shapes by a draw's upper 16 bits: indices into the three below."""
        return picker([weight for _, weight in sorted(self.settings.lobbies.items())])

    @cached_property
    def _teams(self) -> I64:
        """How many teams a lobby of each shape has."""
        return np.array([int(shape.split("x")[0]) for shape in sorted(self.settings.lobbies)])

    @cached_property
    def _team_sizes(self) -> I64:
        """How many players a team has, in a lobby of each shape."""
        return np.array([int(shape.split("x")[1]) for shape in sorted(self.settings.lobbies)])

    @cached_property
    def _sizes(self) -> I64:
        """How many players a lobby of each shape has; 0 for shapes without weight."""
        used = np.array([weight > 0 for _, weight in sorted(self.settings.lobbies.items())])
        return np.where(used, self._teams * self._team_sizes, 0)

    def session_ids(self, day: date, session: I64) -> npt.NDArray[np.void]:
        """Session ids from (seed, day, round, stratum, lobby): never from a global ordinal."""
        return uuids(self.title.seed, f"session/{day.toordinal()}", session)


@lru_cache(maxsize=1)
def _strengths() -> I64:
    """Strength by skill in SKILLS steps: it doubles from the worst to the middling and again to the
    best, from 256 to 1,024."""
    with localcontext(EXACT):
        return np.array([int((ln(4) * n / SKILLS).exp() * 256) for n in range(SKILLS)], np.int64)


def _seated(lobby: I64, circle: I64) -> I64:
    """The rows in the order of their seats in ``lobby``, which ascends: the largest groups of
    friends sit first, so that few of them are cut in two where a team ends. Friends are ready at
    the same moment: they come one after another."""
    begins = np.r_[True, (lobby[1:] != lobby[:-1]) | (circle[1:] != circle[:-1])][: lobby.size]
    first = np.flatnonzero(begins)
    friends = np.diff(np.r_[first, lobby.size])
    # of a circle there are at most four
    order = (lobby << 3) + np.repeat(LARGEST_CIRCLE - friends, friends)
    return np.argsort(order, kind="stable")


def _split(total: I64, weight: I64, first: I64, starts: I64, players: I64) -> npt.NDArray[np.int32]:
    """Each session's total split over its rows by weight, in whole numbers that add up exactly."""
    if weight.size == 0:
        return np.zeros(0, np.int32)
    upto = np.cumsum(weight)
    before = (upto - weight)[first]
    whole = np.repeat(upto[starts + players - 1], players) - before
    high = total * (upto - before) // whole
    low = total * (upto - before - weight) // whole
    return (high - low).astype(np.int32)


def _concatenate(rounds: list[PlayerSessions]) -> PlayerSessions:
    if len(rounds) == 1:
        return rounds[0]
    offsets = np.cumsum([0, *(len(rows) for rows in rounds[:-1])])
    columns = {
        column.name: np.concatenate([getattr(rows, column.name) for rows in rounds])
        for column in fields(PlayerSessions)
    }
    columns["leader"] = np.concatenate(
        [rows.leader + offset for rows, offset in zip(rounds, offsets, strict=True)]
    )
    return PlayerSessions(**columns)


def sessions_table(
    rows: PlayerSessions,
    day: date,
    session_ids: npt.NDArray[np.void],
    player_ids: npt.NDArray[np.void],
    party: pa.Array,
    won: pa.Array,
) -> pa.Table:
    """The player-sessions as the contract's ``sessions``; ``party`` and ``won`` are its columns
    from ``simulation/teams.py``."""
    start = midnight(day) + rows.start * MICROSECONDS
    return table_of(
        "sessions",
        [
            uuid_column(session_ids),
            uuid_column(player_ids),
            pa.array(rows.team),
            word_column(COUNTRIES, rows.country),
            timestamp_column(start),
            timestamp_column(start + rows.length * MICROSECONDS),
            pa.array(rows.length.astype(np.int32)),
            pa.array(rows.kills),
            pa.array(rows.deaths),
            party,
            won,
        ],
    )
