"""The events of sessions: which, when, and the counts that they carry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sprint_platform.draws import U64, below, mix, pick, picker, stream_key, threshold, top_bits
from sprint_platform.eventlog.contracts import DIFFICULTIES, EVENT_NAMES
from sprint_platform.eventlog.generation.players import Players
from sprint_platform.eventlog.generation.playthrough import Attempts
from sprint_platform.eventlog.generation.sessions import Sessions
from sprint_platform.eventlog.generation.story import (
    ACTION_SHARES,
    ENEMY_SHARES,
    POINTS,
    WEAPONS,
)
from sprint_platform.eventlog.settings import BatchSettings

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

(
    GAME_STARTED, CHAPTER_STARTED, CHECKPOINT_REACHED, ENEMY_KILLED, PLAYER_DIED, ITEM_CRAFTED,
    CHAPTER_COMPLETED, GAME_CLOSED,
) = range(len(EVENT_NAMES))  # fmt: skip
ACTIONS = (ENEMY_KILLED, PLAYER_DIED, ITEM_CRAFTED)

# One of them every so many seconds, half as often to half as often again in an attempt.
SECONDS_PER_ACTION = 240


@dataclass(frozen=True)
class Events:
    """Events in order, session by session; shape (events,).

    ``kind`` indexes EVENT_NAMES, ``session`` the sessions, ``attempt`` the attempts (-1 for the
    game's start and end); ``second`` is within the session. ``reached`` is how many checkpoints of
    the chapter are reached, this one included. ``draw`` decides the other properties;
    ``enemy``, ``weapon`` and ``headshot`` are those of kills, ``enemy`` of deaths, too.
    ``counts`` holds how many kills, deaths, … and points there were before each event, over all
    sessions: shape (events + 1,); the sum over any stretch of events is a difference.
    """

    kind: U8
    session: I64
    attempt: I64
    second: I64
    reached: I64
    draw: U64
    enemy: U8
    weapon: U8
    headshot: npt.NDArray[np.bool_]
    first_of_session: I64
    first_of_attempt: I64
    counts: dict[str, I64]

    def in_session(self, counted: str, row: npt.NDArray[np.intp]) -> I64:
        """How often it happened in the session up to each of these events."""
        total = self.counts[counted]
        return total[row + 1] - total[self.first_of_session[self.session[row]]]

    def in_attempt(self, counted: str, row: npt.NDArray[np.intp]) -> I64:
        """How often it happened in the attempt up to each of these events."""
        total = self.counts[counted]
        return total[row + 1] - total[self.first_of_attempt[self.attempt[row]]]


def make_events(
    settings: BatchSettings, players: Players, sessions: Sessions, attempts: Attempts
) -> Events:
    """Every event of the sessions: the game's start, each attempt's events, the game's end."""

    def key(what: str) -> int:
        return stream_key(settings.seed, f"log {what}", settings.batch)

    pace = mix(key("actions"), attempts.key)
    actions = attempts.seconds * (512 + top_bits(pace, 10)) // (SECONDS_PER_ACTION * 1024)
    inside = attempts.reached + actions
    in_attempt = 1 + inside + attempts.completed

    # sessions and attempts laid out one after the other: [start, attempts …, end] per session
    tries = np.bincount(attempts.session, minlength=sessions.key.size)
    events_of_session = 2 + np.bincount(
        attempts.session, weights=in_attempt, minlength=sessions.key.size
    ).astype(np.int64)
    first_of_session = np.cumsum(events_of_session) - events_of_session
    total = int(events_of_session.sum())
    session = np.repeat(np.arange(sessions.key.size), events_of_session)
    before = np.cumsum(in_attempt) - in_attempt
    first_try = np.cumsum(tries) - tries
    first_of_attempt = (
        before - before[first_try][attempts.session] + first_of_session[attempts.session] + 1
    )

    kind = np.empty(total, np.uint8)
    second = np.empty(total, np.int64)
    reached = np.zeros(total, np.int64)
    attempt = np.full(total, -1, np.int64)
    draw = mix(
        key("event"), sessions.key[session] * 65_536 + np.arange(total) - first_of_session[session]
    )
    kind[first_of_session] = GAME_STARTED
    second[first_of_session] = 0
    last_of_session = first_of_session + events_of_session - 1
    kind[last_of_session] = GAME_CLOSED
    second[last_of_session] = sessions.seconds

    # events of attempts
    of_attempt = np.repeat(np.arange(attempts.key.size), in_attempt)
    nth = np.arange(of_attempt.size) - before[of_attempt]
    row = first_of_attempt[of_attempt] + nth
    attempt[row] = of_attempt
    # what happens on the way is spread evenly, each a little late: times never meet
    span = attempts.seconds[of_attempt]
    slots = inside[of_attempt] + 1
    # not by the draw that decides what happens: deaths would come later than kills
    late = below(mix(key("late"), draw[row].view(np.int64)), np.maximum(span // slots, 1))
    starts, ends = nth == 0, nth > inside[of_attempt]
    offset = np.where(starts, 0, np.where(ends, span, nth * span // slots + late))
    second[row] = attempts.start[of_attempt] + offset
    # checkpoints are spread evenly among them, and a completed chapter's last one comes last
    to_reach = attempts.reached[of_attempt]
    divisor = np.maximum(slots - 1, 1)
    so_far = np.where(ends, to_reach, nth * to_reach // divisor)
    checkpoint = ~starts & ~ends & (so_far > (nth - 1) * to_reach // divisor)
    reached[row] = attempts.reached_before[of_attempt] + so_far
    difficulty = players.difficulty[sessions.player[attempts.session]][of_attempt]
    happens = _actions()[difficulty, (draw[row] >> np.uint64(48)).astype(np.intp)]
    happens[starts], happens[ends] = CHAPTER_STARTED, CHAPTER_COMPLETED
    happens[checkpoint] = CHECKPOINT_REACHED
    kind[row] = happens

    fight = mix(key("fight"), draw.view(np.int64))
    weapon = pick(picker([weapon.share for weapon in WEAPONS]), fight)
    aim = np.array([threshold(weapon.headshots) for weapon in WEAPONS], np.int64)
    headshot = (kind == ENEMY_KILLED) & (
        (fight & np.uint64(0xFFFF_FFFF)).astype(np.int64) < aim[weapon]
    )
    counted = {
        "kills": kind == ENEMY_KILLED,
        "deaths": kind == PLAYER_DIED,
        "items_crafted": kind == ITEM_CRAFTED,
        "chapters_completed": kind == CHAPTER_COMPLETED,
        "score": _points()[kind] + POINTS["headshot"] * headshot,
    }
    return Events(
        kind=kind,
        session=session,
        attempt=attempt,
        second=second,
        reached=reached,
        draw=draw,
        enemy=pick(picker(ENEMY_SHARES), fight << np.uint64(16)),
        weapon=weapon,
        headshot=headshot,
        first_of_session=first_of_session,
        first_of_attempt=first_of_attempt,
        counts={what: np.concatenate([[0], np.cumsum(n)]) for what, n in counted.items()},
    )


def _actions() -> U8:
    """Which action a draw's upper 16 bits mean, by difficulty: shape (difficulties, 65,536)."""
    tables = [picker(ACTION_SHARES[difficulty]) for difficulty in DIFFICULTIES]
    return np.array(ACTIONS, np.uint8)[np.stack(tables)]


def _points() -> I64:
    return np.array([POINTS.get(name, 0) for name in EVENT_NAMES], np.int64)
