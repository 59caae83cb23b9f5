"""A batch's three files checked in plain Python, row by row, by the rules of the event log.

Nothing of the generation is used here but the story's tables: the chapters and what is in them.
"""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sprint_platform.eventlog.contracts import EVENT_NAMES
from sprint_platform.eventlog.generation.batch import batch_rows
from sprint_platform.eventlog.generation.story import (
    CHAPTERS,
    DAMAGE_SPREAD,
    ENEMIES,
    ITEMS,
    MOST_CRAFTED,
    WEAPONS,
    WEATHERS,
)
from sprint_platform.eventlog.settings import BatchSettings

COLUMNS = {
    "raw_players": [
        "player_id",
        "first_seen_at",
        "country",
        "language",
        "difficulty_selected",
        "load_batch_id",
    ],
    "raw_sessions": [
        "session_id",
        "player_id",
        "session_start",
        "session_end",
        "platform",
        "load_batch_id",
    ],
    "raw_game_events": [
        "event_id",
        "event_time",
        "player_id",
        "event_name",
        "platform",
        "game_version",
        "properties",
        "load_batch_id",
    ],
}
LANGUAGES = {"US": "en", "PL": "pl", "DE": "de", "FR": "fr", "ES": "es", "BY": "be"}
DIFFICULTIES = {"easy", "normal", "hard", "grounded"}
PLATFORMS = {"ps3", "xbox360", "pc"}
PROPERTIES = {
    "game_started": {"difficulty", "playthrough", "chapter", "resumed"},
    "chapter_started": {"chapter", "chapter_name", "place", "weather", "attempt", "playthrough"},
    "checkpoint_reached": {"chapter", "checkpoint", "checkpoints", "place", "weather"},
    "enemy_killed": {"chapter", "place", "weather", "enemy", "weapon", "damage", "headshot"},
    "player_died": {"chapter", "place", "weather", "enemy", "damage", "deaths_in_session"},
    "item_crafted": {"chapter", "item", "materials", "quantity"},
    "chapter_completed": {
        "chapter",
        "chapter_name",
        "seconds",
        "kills",
        "deaths",
        "items_crafted",
        "score",
    },
    "game_closed": {
        "seconds",
        "chapters_completed",
        "kills",
        "deaths",
        "items_crafted",
        "score",
        "chapter",
    },
}
POINTS = {
    "enemy_killed": 100,
    "checkpoint_reached": 250,
    "item_crafted": 20,
    "chapter_completed": 1000,
}
HEADSHOT_POINTS = 50
WEAPON = {weapon.name: weapon for weapon in WEAPONS}
ITEM = {item.name: item for item in ITEMS}

Row = dict[str, str]


def csv_text(settings: BatchSettings, table: str) -> str:
    """The table's file, made in memory."""
    text = io.BytesIO()
    for n, frame in enumerate(batch_rows(settings, table)):
        frame.write_csv(text, include_header=n == 0)
    return text.getvalue().decode("utf-8")


def csv_rows(text: str, table: str) -> list[Row]:
    """The rows of a file of the table: one line each, with exactly the contract's columns."""
    assert text.endswith("\n")
    assert "\r" not in text
    header, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert header == COLUMNS[table]
    assert all(len(line) == len(header) for line in lines)
    # no value holds a line's end
    assert text.count("\n") == len(lines) + 1
    return [dict(zip(header, line, strict=True)) for line in lines]


def batch_records(settings: BatchSettings) -> dict[str, list[Row]]:
    """The batch's rows by table, read from CSV."""
    return {table: csv_rows(csv_text(settings, table), table) for table in COLUMNS}


@dataclass
class Position:
    """Where a player stands in the story, and how it got on so far."""

    chapter: int = 1
    playthrough: int = 1
    attempt: int = 1
    reached: int = 0


@dataclass
class Tally:
    """What happened since the beginning of a session, or of an attempt."""

    began: datetime
    kills: int = 0
    deaths: int = 0
    items_crafted: int = 0
    chapters_completed: int = 0
    score: int = 0

    def add(self, name: str, details: Mapping[str, Any]) -> None:
        self.kills += name == "enemy_killed"
        self.deaths += name == "player_died"
        self.items_crafted += name == "item_crafted"
        self.chapters_completed += name == "chapter_completed"
        self.score += POINTS.get(name, 0) + HEADSHOT_POINTS * (details.get("headshot") is True)


@dataclass
class PlayerCheck:
    """Follows one player through the story, event by event."""

    difficulty: str
    position: Position = field(default_factory=Position)

    def session(self, start: datetime, end: datetime, resumed: bool, events: list[Row]) -> None:
        """Asserts that these are the events of the player's next session."""
        tally = Tally(start)
        attempt: Tally | None = None
        attempts = 0
        weather = ""
        last_chapter = 0
        moments = [moment(event["event_time"]) for event in events]
        assert moments == sorted(set(moments)), "times strictly increase"
        assert (moments[0], moments[-1]) == (start, end)
        names = [event["event_name"] for event in events]
        assert names[0] == "game_started"
        assert names[1] == "chapter_started"
        assert names[-1] == "game_closed"
        assert names.count("game_started") == names.count("game_closed") == 1
        for event, at in zip(events, moments, strict=True):
            name, details = event["event_name"], properties(event)
            here = self.position
            tally.add(name, details)
            if name == "game_started":
                assert details == {
                    "difficulty": self.difficulty,
                    "playthrough": here.playthrough,
                    "chapter": here.chapter,
                    "resumed": resumed,
                }
                continue
            if name == "chapter_started" and attempt is not None:
                here.attempt += 1  # the one before was given up
            chapter = CHAPTERS[here.chapter - 1]
            places = chapter.places
            if name == "chapter_started":
                attempt, weather, last_chapter = Tally(at), details["weather"], here.chapter
                attempts += 1
                assert weather in WEATHERS
                assert details == {
                    "chapter": here.chapter,
                    "chapter_name": chapter.name,
                    "place": places[here.reached],
                    "weather": weather,
                    "attempt": here.attempt,
                    "playthrough": here.playthrough,
                }
            elif name == "game_closed":
                assert details == {
                    "seconds": (end - start).total_seconds(),
                    "chapters_completed": tally.chapters_completed,
                    "kills": tally.kills,
                    "deaths": tally.deaths,
                    "items_crafted": tally.items_crafted,
                    "score": tally.score,
                    "chapter": last_chapter,
                }
            else:
                assert attempt is not None, f"{name} outside of a chapter"
                attempt.add(name, details)
                assert details["chapter"] == here.chapter
                if name == "chapter_completed":
                    assert here.reached == len(places), "the last checkpoint is the chapter's end"
                    assert details == {
                        "chapter": here.chapter,
                        "chapter_name": chapter.name,
                        "seconds": (at - attempt.began).total_seconds(),
                        "kills": attempt.kills,
                        "deaths": attempt.deaths,
                        "items_crafted": attempt.items_crafted,
                        "score": attempt.score,
                    }
                    self._complete_chapter()
                    attempt = None
                elif name == "checkpoint_reached":
                    here.reached += 1
                    assert details == {
                        "chapter": here.chapter,
                        "checkpoint": here.reached,
                        "checkpoints": len(places),
                        "place": places[here.reached - 1],
                        "weather": weather,
                    }
                elif name == "item_crafted":
                    check_crafted(details)
                else:
                    assert (details["place"], details["weather"]) == (places[here.reached], weather)
                    assert details["enemy"] in ENEMIES
                    if name == "enemy_killed":
                        check_hit(details)
                    else:
                        assert 40 <= details["damage"] < 40 + 2 * DAMAGE_SPREAD
                        assert details["deaths_in_session"] == tally.deaths
        if attempt is not None:
            self.position.attempt += 1
        places = CHAPTERS[self.position.chapter - 1].places
        assert self.position.reached < len(places), "a chapter's end without the chapter's end"

    def _complete_chapter(self) -> None:
        here = self.position
        over = here.chapter == len(CHAPTERS)
        self.position = Position(
            chapter=1 if over else here.chapter + 1, playthrough=here.playthrough + over
        )


def check_hit(details: Mapping[str, Any]) -> None:
    """Asserts that the damage and the headshot are the weapon's."""
    weapon = WEAPON[details["weapon"]]
    assert type(details["headshot"]) is bool
    assert not details["headshot"] or weapon.headshots > 0
    times = 2 if details["headshot"] else 1
    assert type(details["damage"]) is int
    assert details["damage"] % times == 0
    assert weapon.damage <= details["damage"] // times < weapon.damage + DAMAGE_SPREAD


def check_crafted(details: Mapping[str, Any]) -> None:
    """Asserts that the materials are those of so many of the item."""
    assert 1 <= details["quantity"] <= MOST_CRAFTED
    assert details["materials"] == {
        name: count * details["quantity"] for name, count in ITEM[details["item"]].materials
    }


def properties(event: Row) -> dict[str, Any]:
    """The event's properties, which are an object with its event's keys, each once."""
    pairs = json.loads(event["properties"], object_pairs_hook=list)
    details: dict[str, Any] = json.loads(event["properties"])
    assert len(pairs) == len(details)
    assert set(details) == PROPERTIES[event["event_name"]]
    return details


def moment(text: str) -> datetime:
    """The time that is meant, written as it must be."""
    read = datetime.strptime(text, "%Y-%m-%d %H:%M:%S")
    assert str(read) == text
    return read


def check_ids(settings: BatchSettings, records: Mapping[str, list[Row]]) -> None:
    """Asserts that ids count on from the first, in the batch's namespace."""
    namespace = f"{settings.batch}_" if settings.batch > 1 and not settings.numbered_from else ""
    firsts = settings.numbered_from or (1, 1, 0)
    for (table, rows), first in zip(records.items(), firsts, strict=True):
        key = COLUMNS[table][0]
        kind = key.removesuffix("_id")
        ids = [row[key] for row in rows]
        assert ids == [f"{kind}_{namespace}{first + n}" for n in range(len(rows))]
        assert {row["load_batch_id"] for row in rows} == {str(settings.batch)}


def check_player(row: Row) -> None:
    """Asserts that the player's codes are ones that there are, in one of three spellings."""
    country, language = row["country"], row["language"]
    assert country in (country.upper(), country.lower(), country.title())
    assert language in (language.upper(), language.lower(), language.title())
    assert LANGUAGES[country.upper()] == language.lower()
    assert row["difficulty_selected"] in DIFFICULTIES


def check_sessions(settings: BatchSettings, player: Row, sessions: list[Row]) -> None:
    """Asserts that these can be the player's sessions."""
    assert 1 <= len(sessions) <= settings.max_sessions
    assert len({session["platform"] for session in sessions}) == 1
    assert sessions[0]["platform"] in PLATFORMS
    assert player["first_seen_at"] == sessions[0]["session_start"]
    spans = [(moment(s["session_start"]), moment(s["session_end"])) for s in sessions]
    for start, end in spans:
        assert timedelta(minutes=5) <= end - start <= timedelta(minutes=180)
    assert settings.start <= spans[0][0].date()
    assert spans[-1][1].date() <= settings.end
    for (_, end), (start, _) in pairwise(spans):
        assert end < start, "sessions overlap"
    # one session a day: gaps are of days
    assert len({start.date() for start, _ in spans}) == len(spans)


def check_batch(settings: BatchSettings, records: Mapping[str, list[Row]]) -> None:
    """Asserts every rule of the event log of a batch's rows."""
    check_ids(settings, records)
    players = {row["player_id"]: row for row in records["raw_players"]}
    assert len(players) == settings.players
    sessions = grouped(records["raw_sessions"])
    events = grouped(records["raw_game_events"])
    assert list(sessions) == list(events) == list(players)
    assert {row["event_name"] for row in records["raw_game_events"]} <= set(EVENT_NAMES)
    assert {row["game_version"] for row in records["raw_game_events"]} == {settings.game_version}
    for player_id, player in players.items():
        check_player(player)
        check_sessions(settings, player, sessions[player_id])
        check_log(player, sessions[player_id], events[player_id])


def check_log(player: Row, sessions: list[Row], events: list[Row]) -> None:
    """Asserts that every event lies in one session of its player, and checks what it says."""
    check = PlayerCheck(player["difficulty_selected"])
    waiting = list(reversed(events))
    for n, session in enumerate(sessions):
        start, end = moment(session["session_start"]), moment(session["session_end"])
        of_session: list[Row] = []
        while waiting and moment(waiting[-1]["event_time"]) <= end:
            of_session.append(waiting.pop())
        assert of_session
        assert {event["platform"] for event in of_session} == {session["platform"]}
        check.session(start, end, n > 0, of_session)
    assert not waiting, "events after the last session"


def grouped(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each player, in order."""
    of: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        of[row["player_id"]].append(row)
    return of
