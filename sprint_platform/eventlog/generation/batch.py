"""A batch's rows as they are written: the only entry point of the generation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache

import numpy as np
import polars as pl

from sprint_platform.eventlog.contracts import (
    COUNTRY_LANGUAGES,
    DIFFICULTIES,
    EVENT_NAMES,
    PLATFORMS,
    RAW_TABLES,
)
from sprint_platform.eventlog.generation.events import make_events
from sprint_platform.eventlog.generation.players import CASES, COUNTRIES, Players, make_players
from sprint_platform.eventlog.generation.playthrough import make_attempts
from sprint_platform.eventlog.generation.properties import properties
from sprint_platform.eventlog.generation.sessions import DAY, I64, Sessions, make_sessions
from sprint_platform.eventlog.settings import BatchSettings

# A quarter of a million events or so at a time, some fifty megabytes of text.
PLAYERS_AT_A_TIME = 2_000


def batch_rows(settings: BatchSettings, table: str) -> Iterator[pl.DataFrame]:
    """The batch's rows of one raw table, a frame for every few thousand players; the columns are
    those of its contract, in order."""
    yield from {"raw_players": _players, "raw_sessions": _sessions, "raw_game_events": _events}[
        table
    ](settings)


def _parts(settings: BatchSettings) -> Iterator[tuple[Players, Sessions]]:
    for first in range(0, settings.players, PLAYERS_AT_A_TIME):
        stop = min(first + PLAYERS_AT_A_TIME, settings.players)
        players = make_players(settings, first, stop)
        yield players, make_sessions(settings, players)


def _players(settings: BatchSettings) -> Iterator[pl.DataFrame]:
    countries = _spellings(COUNTRIES)
    languages = _spellings(tuple(COUNTRY_LANGUAGES.values()))
    for players, sessions in _parts(settings):
        yield _frame(
            "raw_players",
            settings,
            _ids(settings, "player", players.number),
            _times(settings, sessions.start[sessions.first_of_player[:-1]]),
            countries.gather(players.country * len(CASES) + players.spelling),
            languages.gather(players.country * len(CASES) + players.language_spelling),
            pl.Series(DIFFICULTIES).gather(players.difficulty),
        )


def _sessions(settings: BatchSettings) -> Iterator[pl.DataFrame]:
    done = 0
    for players, sessions in _parts(settings):
        yield _frame(
            "raw_sessions",
            settings,
            _ids(settings, "session", done + np.arange(sessions.key.size)),
            _ids(settings, "player", players.number).gather(sessions.player),
            _times(settings, sessions.start),
            _times(settings, sessions.start + sessions.seconds),
            pl.Series(PLATFORMS).gather(players.platform[sessions.player]),
        )
        done += sessions.key.size


def _events(settings: BatchSettings) -> Iterator[pl.DataFrame]:
    done = 0
    for players, sessions in _parts(settings):
        attempts = make_attempts(settings, players, sessions)
        events = make_events(settings, players, sessions, attempts)
        player = sessions.player[events.session]
        yield _frame(
            "raw_game_events",
            settings,
            _ids(settings, "event", done + np.arange(events.kind.size)),
            _times(settings, sessions.start[events.session] + events.second),
            _ids(settings, "player", players.number).gather(player),
            pl.Series(EVENT_NAMES).gather(events.kind),
            pl.Series(PLATFORMS).gather(players.platform[player]),
            pl.repeat(settings.game_version, events.kind.size, eager=True),
            properties(players, sessions, attempts, events),
        )
        done += events.kind.size


def _frame(table: str, settings: BatchSettings, *columns: pl.Series) -> pl.DataFrame:
    names = RAW_TABLES[table].column_names
    named = dict(zip(names[:-1], columns, strict=True))
    return pl.DataFrame(named).with_columns(pl.lit(settings.batch, pl.Int32).alias(names[-1]))


def _ids(settings: BatchSettings, kind: str, number: I64) -> pl.Series:
    """``player_17`` in the first batch and where numbers go on from a warehouse's, ``player_2_17``
    in the second. Players and sessions count from 1, events from 0."""
    place = ("player", "session", "event").index(kind)
    prefix = f"{kind}_"
    start = 0 if kind == "event" else 1
    if settings.numbered_from is not None:
        start = settings.numbered_from[place]
    elif settings.batch > 1:
        prefix = f"{kind}_{settings.batch}_"
    return pl.select(pl.concat_str(pl.lit(prefix), pl.Series(number + start))).to_series()


def _times(settings: BatchSettings, second: I64) -> pl.Series:
    """Seconds since the batch's first midnight as ``2011-01-13 17:05:09``. Days and times of day
    are written once and picked: five times as fast as writing each time."""
    days = [str(settings.start + timedelta(days=day)) + " " for day in range(settings.days)]
    day, rest = np.divmod(second, DAY)
    pieces = {"day": pl.Series(days).gather(day), "clock": _clocks().gather(rest)}
    return pl.DataFrame(pieces).select(pl.concat_str("day", "clock")).to_series()


@lru_cache(maxsize=1)
def _clocks() -> pl.Series:
    """Every second of a day, ``00:00:00`` to ``23:59:59``."""
    clock = np.arange(DAY)
    parts = pl.DataFrame({"h": clock // 3600, "m": clock // 60 % 60, "s": clock % 60})
    padded = [pl.col(c).cast(pl.String).str.zfill(2) for c in "hms"]
    return parts.select(pl.concat_str(padded, separator=":")).to_series()


def _spellings(codes: tuple[str, ...]) -> pl.Series:
    return pl.Series([case(code) for code in codes for case in CASES])
