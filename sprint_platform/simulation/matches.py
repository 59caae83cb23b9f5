"""The matchmaker: who meets whom, in which team, from when to when, and with what score.

A stratum is a (region, skill band). Nobody is matched across strata, so a stratum can be made
alone: a day is made in groups of whole strata, and no decision depends on the chunk size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date
from functools import cached_property

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
from sprint_platform.profiles import REGIONS, People, regions
from sprint_platform.simulation.columns import (
    MICROSECONDS,
    midnight,
    table_of,
    timestamp_column,
    uuid_column,
    word_column,
)
from sprint_platform.simulation.population import I64, Population
from sprint_platform.simulation.signons import DAY_SECONDS, signon_second
from sprint_platform.title import COUNTRIES, Sessions, Title, lobby_players

# About this many players of a day share a (region, band): enough to fill lobbies within minutes.
PLAYERS_PER_STRATUM = 2_000
# Lobbies are dealt in blocks of seats; a block takes one of PATTERNS ways to cut it into lobbies.
SEATS, PATTERNS = 128, 256
# Where a lobby is larger than these players, a block has seats for many of it: what is left over
# of a block is a small lobby.
LARGE_LOBBY, LOBBIES_A_BLOCK = 10, 16
# A player is ready for a match at most this long after signing on, or after the last one; where
# few play, a lobby then waits for its last player.
LONGEST_QUEUE_SECONDS = 600


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


class Matchmaker:
    """Cuts a day's players into lobbies."""

    def __init__(self, title: Title, population: Population, people: People) -> None:
        assert title.simulation is not None
        self.title = title
        self.settings: Sessions = title.simulation.sessions
        self.population = population
        self.people = people

    def day(self, day: date, chunk_players: int) -> Iterator[PlayerSessions]:
        """The day's player-sessions in groups of whole strata of about ``chunk_players``."""
        seed, ordinal = self.title.seed, day.toordinal()
        number = self.population.active(day).number
        plays = top_bits(mix(stream_key(seed, "plays", ordinal), number)) < threshold(
            self.settings.play_share
        )
        number = number[plays]
        country = self.people.country(number)
        bands = self._bands(day)
        stratum = regions()[country].astype(np.int64) * bands + (
            (self.people.skill(number) * bands) >> 16
        )
        # stable: within a stratum players stay in the order of their numbers
        order = np.argsort(stratum.astype(np.int32), kind="stable")
        number, stratum, country = number[order], stratum[order], country[order]
        ends = np.searchsorted(stratum, np.arange(len(REGIONS) * bands), side="right")
        start = 0
        for index, end in enumerate(ends):
            if end > start and (end - start >= chunk_players or index == len(ends) - 1):
                part = slice(start, int(end))
                yield self._rounds(day, number[part], country[part], stratum[part])
                start = int(end)

    def _bands(self, day: date) -> int:
        """Skill bands per region: from the day's *expected* players, which no draw can change."""
        expected = (
            self.population.expected_active(day) * threshold(self.settings.play_share)
        ) >> 32
        return max(1, expected // (len(REGIONS) * PLAYERS_PER_STRATUM))

    def _rounds(
        self, day: date, number: I64, country: npt.NDArray[np.uint8], stratum: I64
    ) -> PlayerSessions:
        seed, ordinal = self.title.seed, day.toordinal()
        ready = signon_second(seed, self.people, number, country, day)
        rounds = []
        for around in range(self.settings.per_day):
            queue = mix(stream_key(seed, f"queue/{around}", ordinal), number)
            if around == 0:
                # late in the day the queue is shorter, so that a session starts on its day
                longest = np.minimum(LONGEST_QUEUE_SECONDS, DAY_SECONDS - 1 - ready)
                ready = ready + 1 + below(queue, longest)
            else:
                ready = ready + 1 + below(queue, LONGEST_QUEUE_SECONDS)
                again = top_bits(mix(stream_key(seed, f"again/{around}", ordinal), number))
                # a session belongs to the UTC day on which it starts: later ones are not today's
                plays = (again < threshold(self.settings.replay_share)) & (ready < DAY_SECONDS)
                number, country = number[plays], country[plays]
                stratum, ready = stratum[plays], ready[plays]
            if number.size == 0:
                break
            rows = self._round(day, around, number, country, stratum, ready)
            rounds.append(rows)
            # players are matched again in the order of their numbers within the stratum, as above
            order = np.lexsort((rows.number, rows.session >> 40))
            number, country = rows.number[order], rows.country[order]
            stratum = (rows.session >> 40)[order] & 0xFFFFF
            ready = (rows.start + rows.length)[order]
        return _concatenate(rounds)

    def _round(
        self,
        day: date,
        around: int,
        number: I64,
        country: npt.NDArray[np.uint8],
        stratum: I64,
        ready: I64,
    ) -> PlayerSessions:
        """One session for each of these players, who come sorted by (stratum, number)."""
        seed, ordinal = self.title.seed, day.toordinal()
        order = np.argsort((stratum << 17) | ready, kind="stable")
        number, country, stratum = number[order], country[order], stratum[order]
        ready = ready[order]
        row = np.arange(number.size, dtype=np.int64)
        first_of_stratum = np.searchsorted(stratum, stratum, side="left")
        seat = row - first_of_stratum
        block, in_block = seat // self._seats, seat % self._seats

        # the block's pattern says which lobby of the block a seat is in, and which seat of it
        where = (np.int64(around) << 60) | (stratum << 40) | block
        pattern = (mix(stream_key(seed, "lobbies", ordinal), where) >> np.uint64(56)).astype(
            np.int64
        )
        lobby, in_lobby, teams = (table[pattern, in_block] for table in self._patterns)
        session = (np.int64(around) << 60) | (stratum << 40) | (block * self._seats + lobby)

        starts = np.flatnonzero(np.r_[True, session[1:] != session[:-1]])
        players = np.diff(np.r_[starts, row.size])
        lobby_row = np.repeat(np.arange(starts.size), players)
        size = players[lobby_row]
        # the last lobby of a stratum may be cut short: it has no more teams than players
        teams = np.minimum(teams, size)
        first = starts[lobby_row]
        # seats go round the teams, so a short lobby has several teams rather than one full one
        team = in_lobby % teams
        # everybody waits for the last one to be ready; rows are in the order of readiness
        begin = ready[starts + players - 1][lobby_row]

        key = mix(stream_key(seed, "match", ordinal), session[starts])
        match_length = pick(self._lengths, key).astype(np.int64)
        session_length = match_length[lobby_row]
        presence = mix(stream_key(seed, f"presence/{around}", ordinal), number)
        stays = (top_bits(presence) < threshold(self.settings.stay_share)) | (in_lobby == 0)
        shortest = self.settings.shortest_seconds
        left_after = shortest + below(
            remix(presence, stream_key(seed, "left")), np.maximum(session_length - shortest, 1)
        )
        length = np.where(stays, session_length, left_after)

        low, high = self.settings.kills
        # half chance, half how many played for how long, out of ten players (the largest lobby's,
        # where that has more) for the longest time
        most = max(LARGE_LOBBY, self._largest_lobby)
        busy = (players * match_length << 16) // (most * self.settings.longest_seconds)
        chance = top_bits(remix(key, stream_key(seed, "kills")), 16)
        total = low + ((high - low + 1) * (chance + busy) >> 17)
        total = np.where(players > 1, total, 0)[lobby_row]
        skill = self.people.skill(number) >> 6
        # without luck equal skills would score alike, and in a narrow band all skills are equal
        luck = mix(stream_key(seed, f"luck/{around}", ordinal), number)
        kill_luck, death_luck = (32 + top_bits(luck << np.uint64(at), 8) for at in (0, 8))
        return PlayerSessions(
            number=number,
            country=country,
            session=session,
            seat=in_lobby,
            teams=teams,
            team=(team + 1).astype(np.int16),
            leader=first + team,
            players=size,
            start=begin,
            length=length,
            session_length=session_length,
            kills=_split(total, (skill + 256) * length * kill_luck, first, starts, players),
            deaths=_split(total, (1279 - skill) * length * death_luck, first, starts, players),
            around=np.full(row.size, around, np.int64),
        )

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
    def _largest_lobby(self) -> int:
        shapes = [shape for shape, weight in self.settings.lobbies.items() if weight]
        return max(lobby_players(shape) for shape in shapes)

    @cached_property
    def _seats(self) -> int:
        """The seats of a block."""
        large = self._largest_lobby > LARGE_LOBBY
        return self._largest_lobby * LOBBIES_A_BLOCK if large else SEATS

    @cached_property
    def _patterns(self) -> tuple[I64, I64, I64]:
        """Ways to cut a block of seats into lobbies: (lobby, seat within it, its teams), each of
        shape (PATTERNS, seats). A block's last lobby takes what is left."""
        seats = self._seats
        shapes = sorted(self.settings.lobbies.items())
        choose = picker([weight for _, weight in shapes])
        lobby, in_lobby, teams = (np.zeros((PATTERNS, seats), np.int64) for _ in range(3))
        draws = mix(stream_key(self.title.seed, "patterns"), np.arange(PATTERNS * seats)).reshape(
            PATTERNS, seats
        )
        for pattern in range(PATTERNS):
            seat = number = 0
            while seat < seats:
                shape = shapes[int(pick(choose, draws[pattern, number : number + 1])[0])][0]
                wide, size = (int(part) for part in shape.split("x"))
                end = min(seat + wide * size, seats)
                lobby[pattern, seat:end] = number
                in_lobby[pattern, seat:end] = np.arange(end - seat)
                teams[pattern, seat:end] = min(wide, end - seat)
                seat, number = end, number + 1
        return lobby, in_lobby, teams

    def session_ids(self, day: date, session: I64) -> npt.NDArray[np.void]:
        """Session ids from (seed, day, round, stratum, lobby): never from a global ordinal."""
        return uuids(self.title.seed, f"session/{day.toordinal()}", session)


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
) -> pa.Table:
    """The player-sessions as the contract's ``sessions``."""
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
        ],
    )
