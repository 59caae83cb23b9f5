"""What players do in their sessions: chapter after chapter, with attempts that end too early."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from sprint_platform.draws import (
    below,
    mix,
    pick,
    picker,
    remix,
    stream_key,
    threshold,
    top_bits,
)
from sprint_platform.eventlog.contracts import DIFFICULTIES
from sprint_platform.eventlog.generation.players import Players
from sprint_platform.eventlog.generation.sessions import Sessions
from sprint_platform.eventlog.generation.story import (
    CHAPTERS,
    GIVEN_UP_MORE,
    SLOWER,
    WEATHER_SHARES,
)
from sprint_platform.eventlog.settings import BatchSettings

I64 = npt.NDArray[np.int64]

# Seconds: to the first chapter, between chapters, from the last event to the session's end, and
# the least that a chapter is started for.
LOADING = (20, 80)
PAUSE = (10, 90)
CLOSING = 15
LEAST = 60

PLACES = np.array([len(chapter.places) for chapter in CHAPTERS], np.int64)


@dataclass(frozen=True)
class Attempts:
    """Attempts at chapters, session by session in order of time; shape (attempts,).

    ``session`` indexes the sessions; ``chapter`` is an index from 0, ``playthrough`` and
    ``attempt`` (of this chapter, in this playthrough) count from 1. ``start`` and ``seconds`` are
    within the session. ``reached_before`` checkpoints were reached in earlier attempts, ``reached``
    in this one. ``weather`` indexes WEATHERS. ``key`` is unique in the batch.
    """

    session: I64
    key: I64
    chapter: I64
    playthrough: I64
    attempt: I64
    start: I64
    seconds: I64
    reached_before: I64
    reached: I64
    completed: npt.NDArray[np.bool_]
    weather: npt.NDArray[np.uint8]


def _by_chapter_and_difficulty() -> tuple[I64, I64]:
    """Seconds that a chapter takes, and the threshold below which an attempt is given up."""
    seconds, given_up = [], []
    for chapter in CHAPTERS:
        for difficulty in DIFFICULTIES:
            seconds.append(int(chapter.minutes * 60 * SLOWER[difficulty]))
            share = min(chapter.given_up * GIVEN_UP_MORE[difficulty], Fraction(9, 10))
            given_up.append(threshold(share))
    shape = len(CHAPTERS), len(DIFFICULTIES)
    return np.array(seconds, np.int64).reshape(shape), np.array(given_up, np.int64).reshape(shape)


def make_attempts(settings: BatchSettings, players: Players, sessions: Sessions) -> Attempts:
    """Every session's attempts. A chapter goes on from its last checkpoint until it is completed;
    after the last chapter the story starts anew.

    Each step below is one attempt of every player who has one left: a few hundred steps for any
    number of players.
    """
    chapter_seconds, given_up = _by_chapter_and_difficulty()
    keys = {
        what: stream_key(settings.seed, f"log {what}", settings.batch)
        for what in ("attempt", "pace", "giving up", "pause", "loading", "weather")
    }
    loading = LOADING[0] + below(mix(keys["loading"], sessions.key), LOADING[1] - LOADING[0])

    # one entry per player who still plays
    session = sessions.first_of_player[:-1].copy()
    last = sessions.first_of_player[1:] - 1
    difficulty = players.difficulty.astype(np.int64)
    now = loading[session]
    place = np.zeros_like(session)
    chapter = np.zeros_like(session)
    playthrough = np.ones_like(session)
    attempt = np.ones_like(session)
    reached_before = np.zeros_like(session)

    steps: list[tuple[npt.NDArray, ...]] = []
    while session.size:
        # a session has at most 180 attempts: each takes a minute
        key = sessions.key[session] * 256 + place
        draw = mix(keys["attempt"], key)
        pace = 768 + top_bits(remix(draw, keys["pace"]), 9)
        left = PLACES[chapter] - reached_before
        # the chapter's seconds, by the player's pace, for the part of it that is left
        needed = chapter_seconds[chapter, difficulty] * pace * left // (PLACES[chapter] * 1024)
        gives_up = top_bits(draw) < given_up[chapter, difficulty]
        until = 200 + below(remix(draw, keys["giving up"]), 700)
        wanted = np.maximum(np.where(gives_up, needed * until // 1024, needed), LEAST)
        room = sessions.seconds[session] - CLOSING - now
        seconds = np.minimum(wanted, room)
        completed = ~gives_up & (wanted <= room)
        # the last checkpoint is the chapter's end
        on_the_way = np.minimum(left * seconds // np.maximum(needed, 1), left - 1)
        reached = np.where(completed, left, on_the_way)
        steps.append(
            (
                session, key, chapter, playthrough, attempt, now, seconds, reached_before, reached,
                completed,
            )
        )  # fmt: skip

        now = now + seconds + PAUSE[0] + below(remix(draw, keys["pause"]), PAUSE[1] - PAUSE[0])
        over = now + LEAST > sessions.seconds[session] - CLOSING
        finished = completed & (chapter == len(CHAPTERS) - 1)
        reached_before = np.where(completed, 0, reached_before + reached)
        attempt = np.where(completed, 1, attempt + 1)
        playthrough = playthrough + finished
        chapter = np.where(finished, 0, chapter + completed)
        place = np.where(over, 0, place + 1)
        session = session + over
        plays = session <= last
        session, last, difficulty, now, place, chapter, playthrough = (
            values[plays]
            for values in (session, last, difficulty, now, place, chapter, playthrough)
        )
        attempt, reached_before, over = (v[plays] for v in (attempt, reached_before, over))
        now = np.where(over, loading[session], now)

    session, key, chapter, playthrough, attempt, start, seconds, reached_before, reached, done = (
        np.concatenate(parts) for parts in zip(*steps, strict=True)
    )
    # steps come first, players within them: order by session and time
    order = np.lexsort((start, session))
    return Attempts(
        session=session[order],
        key=key[order],
        chapter=chapter[order],
        playthrough=playthrough[order],
        attempt=attempt[order],
        start=start[order],
        seconds=seconds[order],
        reached_before=reached_before[order],
        reached=reached[order],
        completed=done[order],
        weather=pick(picker(WEATHER_SHARES), mix(keys["weather"], key[order])),
    )
