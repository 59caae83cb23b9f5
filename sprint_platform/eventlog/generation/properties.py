"""An event's properties beside its time and name: JSON, joined from pieces by whole columns.

Everything that comes from small tables (a chapter, a place, a weapon and its damage) is written as
JSON once per combination and picked by index; only running counts are written row by row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt
import polars as pl

from sprint_platform.draws import below, pick, picker
from sprint_platform.eventlog.contracts import DIFFICULTIES, EVENT_NAMES
from sprint_platform.eventlog.generation import events as kinds
from sprint_platform.eventlog.generation.events import Events
from sprint_platform.eventlog.generation.players import Players
from sprint_platform.eventlog.generation.playthrough import Attempts
from sprint_platform.eventlog.generation.sessions import Sessions
from sprint_platform.eventlog.generation.story import (
    CHAPTERS,
    DAMAGE_SPREAD,
    ENEMIES,
    ITEMS,
    MOST_CRAFTED,
    WEAPONS,
    WEATHERS,
)

I64 = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]

MOST_PLACES = max(len(chapter.places) for chapter in CHAPTERS)
MOST_CHECKPOINTS = MOST_PLACES + 1  # and none


def properties(
    players: Players, sessions: Sessions, attempts: Attempts, events: Events
) -> pl.Series:
    """One JSON object per event, in their order."""
    made = _Properties(players, sessions, attempts, events)
    writers: dict[int, Callable[[Rows], pl.Series]] = {
        kinds.GAME_STARTED: made.game_started,
        kinds.CHAPTER_STARTED: made.chapter_started,
        kinds.CHECKPOINT_REACHED: made.checkpoint_reached,
        kinds.ENEMY_KILLED: made.enemy_killed,
        kinds.PLAYER_DIED: made.player_died,
        kinds.ITEM_CRAFTED: made.item_crafted,
        kinds.CHAPTER_COMPLETED: made.chapter_completed,
        kinds.GAME_CLOSED: made.game_closed,
    }
    rows = {kind: np.flatnonzero(events.kind == kind) for kind in range(len(EVENT_NAMES))}
    written = pl.concat([writers[kind](rows[kind]) for kind in rows])
    place = np.empty(events.kind.size, np.int64)
    place[np.concatenate(list(rows.values()))] = np.arange(events.kind.size)
    return written.gather(place)


@dataclass(frozen=True)
class _Properties:
    """The properties of each kind of event: every method takes the rows of its kind."""

    players: Players
    sessions: Sessions
    attempts: Attempts
    events: Events

    def game_started(self, row: Rows) -> pl.Series:
        session = self.events.session[row]
        # the first event of a session's first attempt, which comes next, says where the player is
        attempt = self.events.attempt[row + 1]
        difficulty = self.players.difficulty[self.sessions.player[session]]
        resumed = session != self.sessions.first_of_player[self.sessions.player[session]]
        return _joined(
            _game_started().gather(_index((difficulty, len(DIFFICULTIES)), (resumed, 2))),
            self.attempts.playthrough[attempt],
            ',"chapter":',
            self.attempts.chapter[attempt] + 1,
            "}",
        )

    def chapter_started(self, row: Rows) -> pl.Series:
        attempt = self.events.attempt[row]
        return _joined(
            self._chapter_and_place(row),
            ',"attempt":',
            self.attempts.attempt[attempt],
            ',"playthrough":',
            self.attempts.playthrough[attempt],
            "}",
        )

    def checkpoint_reached(self, row: Rows) -> pl.Series:
        attempt = self.events.attempt[row]
        index = _index(
            (self.attempts.chapter[attempt], len(CHAPTERS)),
            (self.events.reached[row], MOST_CHECKPOINTS),
            (self.attempts.weather[attempt], len(WEATHERS)),
        )
        return _checkpoint_reached().gather(index)

    def enemy_killed(self, row: Rows) -> pl.Series:
        extra = below(self.events.draw[row] << np.uint64(24), DAMAGE_SPREAD)
        index = _index(
            (self.events.enemy[row], len(ENEMIES)),
            (self.events.weapon[row], len(WEAPONS)),
            (self.events.headshot[row], 2),
            (extra, DAMAGE_SPREAD),
        )
        return _joined(self._place(row), _enemy_killed().gather(index))

    def player_died(self, row: Rows) -> pl.Series:
        extra = below(self.events.draw[row] << np.uint64(24), DAMAGE_SPREAD)
        index = _index((self.events.enemy[row], len(ENEMIES)), (extra, DAMAGE_SPREAD))
        return _joined(
            self._place(row),
            _player_died().gather(index),
            self.events.in_session("deaths", row),
            "}",
        )

    def item_crafted(self, row: Rows) -> pl.Series:
        attempt = self.events.attempt[row]
        item = pick(picker([item.share for item in ITEMS]), self.events.draw[row] << np.uint64(16))
        quantity = below(self.events.draw[row] << np.uint64(32), MOST_CRAFTED)
        index = _index(
            (self.attempts.chapter[attempt], len(CHAPTERS)),
            (item, len(ITEMS)),
            (quantity, MOST_CRAFTED),
        )
        return _item_crafted().gather(index)

    def chapter_completed(self, row: Rows) -> pl.Series:
        events, attempt = self.events, self.events.attempt[row]
        return _joined(
            _chapter_completed().gather(self.attempts.chapter[attempt]),
            self.attempts.seconds[attempt],
            *self._totals(events.in_attempt, row, "kills", "deaths", "items_crafted", "score"),
            "}",
        )

    def game_closed(self, row: Rows) -> pl.Series:
        last = self.events.attempt[row - 1]
        return _joined(
            '{"seconds":',
            self.events.second[row],
            *self._totals(
                self.events.in_session,
                row,
                "chapters_completed",
                "kills",
                "deaths",
                "items_crafted",
                "score",
            ),
            ',"chapter":',
            self.attempts.chapter[last] + 1,
            "}",
        )

    def _totals(
        self, over: Callable[[str, Rows], I64], row: Rows, *counted: str
    ) -> Iterable[str | I64]:
        for what in counted:
            yield f',"{what}":'
            yield over(what, row)

    def _place(self, row: Rows) -> pl.Series:
        return _places().gather(self._place_index(row))

    def _chapter_and_place(self, row: Rows) -> pl.Series:
        return _chapters_and_places().gather(self._place_index(row))

    def _place_index(self, row: Rows) -> I64:
        attempt = self.events.attempt[row]
        chapter = self.attempts.chapter[attempt]
        return _index(
            (chapter, len(CHAPTERS)),
            (self.events.reached[row], MOST_CHECKPOINTS),
            (self.attempts.weather[attempt], len(WEATHERS)),
        )


def _index(*parts: tuple[npt.NDArray, int]) -> I64:
    """One index out of several, the last of them running fastest."""
    index = np.zeros(parts[0][0].size, np.int64)
    for values, size in parts:
        index = index * size + values
    return index


def _joined(*pieces: str | pl.Series | I64) -> pl.Series:
    columns = {
        str(n): piece if isinstance(piece, pl.Series) else pl.Series(piece)
        for n, piece in enumerate(pieces)
        if not isinstance(piece, str)
    }
    parts = [pl.lit(p) if isinstance(p, str) else pl.col(str(n)) for n, p in enumerate(pieces)]
    return pl.DataFrame(columns).select(pl.concat_str(parts).alias("properties")).to_series()


def _json(values: dict[str, object]) -> str:
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False)


def _open(values: dict[str, object]) -> str:
    """The object without its closing brace."""
    return _json(values)[:-1]


def _middle(values: dict[str, object]) -> str:
    """The values as the next part of an object that is open."""
    return "," + _json(values)[1:-1]


def _scenes(with_name: bool) -> Iterable[str]:
    for (number, chapter), reached, weather in product(
        enumerate(CHAPTERS, 1), range(MOST_CHECKPOINTS), WEATHERS
    ):
        named = {"chapter_name": chapter.name} if with_name else {}
        place = chapter.places[min(reached, len(chapter.places) - 1)]
        yield _open({"chapter": number, **named, "place": place, "weather": weather})


@lru_cache(maxsize=1)
def _places() -> pl.Series:
    return pl.Series(list(_scenes(with_name=False)))


@lru_cache(maxsize=1)
def _chapters_and_places() -> pl.Series:
    return pl.Series(list(_scenes(with_name=True)))


@lru_cache(maxsize=1)
def _game_started() -> pl.Series:
    return pl.Series(
        [
            _open({"difficulty": difficulty, "resumed": resumed}) + ',"playthrough":'
            for difficulty, resumed in product(DIFFICULTIES, (False, True))
        ]
    )


@lru_cache(maxsize=1)
def _checkpoint_reached() -> pl.Series:
    return pl.Series(
        [
            _json(
                {
                    "chapter": number,
                    "checkpoint": reached,
                    "checkpoints": len(chapter.places),
                    "place": chapter.places[min(max(reached, 1), len(chapter.places)) - 1],
                    "weather": weather,
                }
            )
            for (number, chapter), reached, weather in product(
                enumerate(CHAPTERS, 1), range(MOST_CHECKPOINTS), WEATHERS
            )
        ]
    )


@lru_cache(maxsize=1)
def _enemy_killed() -> pl.Series:
    return pl.Series(
        [
            _middle(
                {
                    "enemy": enemy,
                    "weapon": weapon.name,
                    "damage": (weapon.damage + extra) * (2 if headshot else 1),
                    "headshot": headshot,
                }
            )
            + "}"
            for enemy, weapon, headshot, extra in product(
                ENEMIES, WEAPONS, (False, True), range(DAMAGE_SPREAD)
            )
        ]
    )


@lru_cache(maxsize=1)
def _player_died() -> pl.Series:
    return pl.Series(
        [
            _middle({"enemy": enemy, "damage": 40 + 2 * extra}) + ',"deaths_in_session":'
            for enemy, extra in product(ENEMIES, range(DAMAGE_SPREAD))
        ]
    )


@lru_cache(maxsize=1)
def _item_crafted() -> pl.Series:
    return pl.Series(
        [
            _json(
                {
                    "chapter": chapter,
                    "item": item.name,
                    "materials": {name: n * quantity for name, n in item.materials},
                    "quantity": quantity,
                }
            )
            for chapter, item, quantity in product(
                range(1, len(CHAPTERS) + 1), ITEMS, range(1, MOST_CRAFTED + 1)
            )
        ]
    )


@lru_cache(maxsize=1)
def _chapter_completed() -> pl.Series:
    return pl.Series(
        [
            _open({"chapter": number, "chapter_name": chapter.name}) + ',"seconds":'
            for number, chapter in enumerate(CHAPTERS, 1)
        ]
    )
