"""Small batches of the event log made by hand, and what every model should hold, from the raw rows
in plain Python: no SQL, no join but by looking at everything."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sprint_platform.eventlog.contracts import RAW_TABLES
from sprint_platform.eventlog.generation.batch import batch_rows
from sprint_platform.eventlog.settings import BatchSettings

Row = dict[str, Any]
Happening = tuple[int, str, dict[str, Any]]  # seconds since the session's start, event, properties

FUNNEL = (
    "game_started",
    "chapter_started",
    "checkpoint_reached",
    "enemy_killed",
    "chapter_completed",
)
COUNTED = {
    "game_starts": "game_started",
    "chapters_started": "chapter_started",
    "chapters_completed": "chapter_completed",
    "checkpoints": "checkpoint_reached",
    "kills": "enemy_killed",
    "deaths": "player_died",
    "items_crafted": "item_crafted",
}
PROPERTIES = (
    *("playthrough", "chapter", "chapter_name", "attempt", "checkpoint", "place", "weather"),
    *("enemy", "weapon", "damage", "headshot", "item", "quantity", "seconds", "score"),
)
# Values of other JSON types than their columns have, and what the columns hold then.
MISTYPED = (
    r"""{"chapter": "1", "attempt": 1.5, "checkpoint": 2e0, "playthrough": true, "place": 7,"""
    r""" "weather": ["fog"], "enemy": null, "weapon": "a \"b\" \u00e9\n", "damage": {"x": 1},"""
    r""" "headshot": 1, "item": "true", "seconds": -4, "score": 2147483647}"""
)
MISTYPED_COLUMNS: Row = dict.fromkeys(PROPERTIES) | {
    "weapon": 'a "b" é\n', "item": "true", "seconds": -4, "score": 2147483647,
    "mistyped": "playthrough chapter attempt checkpoint place weather damage headshot",
}  # fmt: skip
CHAPTER_KEY = ("load_batch_id", "chapter", "platform", "difficulty")
MARTS = (
    *("dim_players", "fct_sessions", "fct_game_events", "daily_active_players"),
    *("funnel_sessions", "funnel_chapters", "retention"),
)


@dataclass
class Log:
    """Raw rows by table."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in RAW_TABLES})

    def player(self, player_id: str, batch: int, **codes: str) -> None:
        self.rows["raw_players"].append(
            {
                "player_id": player_id,
                "first_seen_at": "",
                "country": codes.get("country", "PL"),
                "language": codes.get("language", "pl"),
                "difficulty_selected": codes.get("difficulty", "normal"),
                "load_batch_id": batch,
            }
        )

    def session(
        self, player_id: str, start: str, seconds: int, platform: str, happenings: list[Happening]
    ) -> None:
        """A session of the last player; it starts with game_started and closes with game_closed."""
        player = self.rows["raw_players"][-1]
        assert player["player_id"] == player_id
        began = datetime.fromisoformat(start)
        player["first_seen_at"] = min(player["first_seen_at"] or start, start)
        batch = player["load_batch_id"]
        number = len(self.rows["raw_sessions"]) + 1
        self.rows["raw_sessions"].append(
            {
                "session_id": f"session_{number}",
                "player_id": player_id,
                "session_start": start,
                "session_end": str(began + timedelta(seconds=seconds)),
                "platform": platform,
                "load_batch_id": batch,
            }
        )
        if not happenings or happenings[0][1] != "game_started":
            happenings = [(0, "game_started", {"playthrough": 1, "chapter": 1}), *happenings]
        closing = (seconds, "game_closed", {"seconds": seconds, "score": 0, "chapter": 1})
        for at, name, properties in (*happenings, closing):
            self.rows["raw_game_events"].append(
                {
                    "event_id": f"event_{len(self.rows['raw_game_events'])}",
                    "event_time": str(began + timedelta(seconds=at)),
                    "player_id": player_id,
                    "event_name": name,
                    "platform": platform,
                    "game_version": "1.0.3",
                    "properties": json.dumps(properties, ensure_ascii=False),
                    "load_batch_id": batch,
                }
            )

    def of_batch(self, batch: int) -> Log:
        return Log(
            {
                table: [row for row in rows if row["load_batch_id"] == batch]
                for table, rows in self.rows.items()
            }
        )

    def without(self, gone: Callable[[Row], bool]) -> Log:
        """Without these players (a condition on any row that names the player)."""
        return Log({t: [row for row in rows if not gone(row)] for t, rows in self.rows.items()})

    def __add__(self, other: Log) -> Log:
        return Log({table: [*rows, *other.rows[table]] for table, rows in self.rows.items()})


def started(chapter: int, attempt: int = 1, playthrough: int = 1) -> dict[str, Any]:
    return {
        "chapter": chapter,
        "chapter_name": f'Chapter {chapter}: Zoë\'s "way"',
        "place": "the harbour",
        "weather": "rain",
        "attempt": attempt,
        "playthrough": playthrough,
    }


def completed(chapter: int) -> dict[str, Any]:
    name = started(chapter)["chapter_name"]
    return {"chapter": chapter, "chapter_name": name, "seconds": 60, "score": 1000}


def fought(chapter: int, **more: Any) -> dict[str, Any]:
    return {"chapter": chapter, "place": "a mill", "enemy": "warden", "damage": 41, **more}


KILL = {"weapon": "crossbow", "headshot": True}


def made_by_hand() -> Log:
    """Two batches of the same days: midnight, sessions back to back, a second playthrough, a
    session in which nothing happens, chapters tried again, every day of retention."""
    log = Log()
    log.player("player_1", 1, country=" pL", language="Pl", difficulty="Normal ")
    whole = [
        (1, "chapter_started", started(1)),
        (100, "enemy_killed", fought(1, **KILL)),
        (200, "checkpoint_reached", {"chapter": 1, "checkpoint": 1, "checkpoints": 1}),
        (2100, "player_died", fought(1, deaths_in_session=1)),
        (2200, "item_crafted", {"chapter": 1, "item": "bandage", "quantity": 2, "materials": {}}),
        (2300, "chapter_completed", completed(1)),
    ]
    log.session("player_1", "2011-01-13 23:30:00", 4200, "PS3", whole)
    tried = [(10, "chapter_started", started(2)), (20, "player_died", fought(2))]
    log.session("player_1", "2011-01-14 09:00:00", 3600, "ps3", tried)
    again = [(10, "chapter_started", started(2, attempt=2)), (20, "player_died", fought(2))]
    # a second after the last one ended, and on the same day
    log.session("player_1", "2011-01-14 10:00:01", 1800, "ps3", again)
    log.session("player_1", "2011-01-20 10:00:00", 600, "ps3", [])
    log.session("player_1", "2011-02-12 10:00:00", 600, "ps3", [])

    log.player("player_2", 1, country="Us", language="EN", difficulty="hard")
    finished = [
        (5, "chapter_started", started(12)),
        (500, "player_died", fought(12)),
        (600, "chapter_completed", completed(12)),
        (601, "chapter_started", started(1, playthrough=2)),
        (700, "player_died", fought(1)),
        (800, "chapter_completed", completed(1)),
    ]
    log.session("player_2", "2011-01-14 18:00:00", 1200, "pc", finished)
    second = (0, "game_started", {"playthrough": 2, "chapter": 2})
    further = [second, (9, "chapter_started", started(2, playthrough=2))]
    log.session("player_2", "2011-01-28 18:00:00", 300, "pc", further)

    log.player("player_3", 1, country="DE", language="de", difficulty="grounded")
    no_checkpoint = [
        (3, "chapter_started", started(1)),
        (30, "enemy_killed", fought(1, **KILL)),
        (60, "chapter_completed", completed(1)),
    ]
    log.session("player_3", "2011-01-14 12:00:00", 420, "ps3", no_checkpoint)
    log.player("player_4", 1, difficulty="normal")
    log.session("player_4", "2011-01-13 08:00:00", 900, "ps3", whole[:3])
    log.player("player_5", 1, difficulty="normal")
    log.session("player_5", "2011-01-13 12:00:00", 900, "xbox360", [])

    log.player("player_2_1", 2, country="BY", language="be", difficulty="normal")
    log.session("player_2_1", "2011-01-13 23:30:00", 4200, "ps3", whole)
    log.session("player_2_1", "2011-01-15 07:00:00", 900, "ps3", tried)
    log.player("player_2_2", 2, difficulty="easy")
    log.session("player_2_2", "2011-01-15 20:00:00", 900, "pc", again)
    return log


def generated(settings: BatchSettings) -> Log:
    """A whole batch, as it is generated."""
    return Log(
        {
            name: [row for frame in batch_rows(settings, name) for row in frame.to_dicts()]
            for name in RAW_TABLES
        }
    )


def expected_marts(log: Log, as_of: Mapping[int, date] | None = None) -> dict[str, list[Row]]:
    """Every mart's rows; ``as_of`` is the day to which recency was counted, for batches that were
    built with one."""
    sessions = [_session(row) for row in log.rows["raw_sessions"]]
    sessions_of = _grouped(sessions, "player_id")
    players = {
        row["player_id"]: _player(row, sessions_of[row["player_id"]])
        for row in log.rows["raw_players"]
    }
    counted_to = {
        batch: max(s["session_date"] for s in of_batch)
        for batch, of_batch in _grouped(sessions, "load_batch_id").items()
    } | dict(as_of or {})
    events = [_event(row, sessions_of[row["player_id"]]) for row in log.rows["raw_game_events"]]
    events_of = _grouped(events, "session_id")
    fct_sessions = [
        _fct_session(s, players[s["player_id"]], events_of[s["session_id"]]) for s in sessions
    ]
    return {
        "dim_players": [
            {
                **p,
                "recency_days": (
                    counted_to[p["load_batch_id"]] - p["last_session_start"].date()
                ).days,
            }
            for p in players.values()
        ],
        "fct_game_events": events,
        "fct_sessions": fct_sessions,
        "daily_active_players": _daily_active_players(fct_sessions),
        "funnel_sessions": _funnel_sessions(fct_sessions, events_of),
        "funnel_chapters": _funnel_chapters(events, players),
        "retention": _retention(fct_sessions),
    }


def _grouped(rows: Iterable[Row], *columns: str) -> dict[Any, list[Row]]:
    of: dict[Hashable, list[Row]] = defaultdict(list)
    for row in rows:
        of[row[columns[0]] if len(columns) == 1 else tuple(row[c] for c in columns)].append(row)
    return of


def _session(raw: Row) -> Row:
    start = datetime.fromisoformat(raw["session_start"])
    end = datetime.fromisoformat(raw["session_end"])
    return {
        "session_id": raw["session_id"],
        "player_id": raw["player_id"],
        "platform": raw["platform"].strip().lower(),
        "session_date": start.date(),
        "session_start": start,
        "session_end": end,
        "duration_seconds": int((end - start).total_seconds()),
        "load_batch_id": raw["load_batch_id"],
    }


def _player(raw: Row, sessions: list[Row]) -> Row:
    ordered = sorted(sessions, key=lambda s: s["session_start"])
    return {
        "player_id": raw["player_id"],
        "country": raw["country"].strip().upper(),
        "language": raw["language"].strip().lower(),
        "difficulty": raw["difficulty_selected"].strip().lower(),
        "platform": ordered[0]["platform"],
        "first_seen_at": datetime.fromisoformat(raw["first_seen_at"]),
        "first_session_start": ordered[0]["session_start"],
        "last_session_start": ordered[-1]["session_start"],
        "sessions": len(ordered),
        "active_days": len({s["session_date"] for s in ordered}),
        "play_time_seconds": sum(s["duration_seconds"] for s in ordered),
        "load_batch_id": raw["load_batch_id"],
    }


def _event(raw: Row, sessions: list[Row]) -> Row:
    at = datetime.fromisoformat(raw["event_time"])
    (session,) = [s for s in sessions if s["session_start"] <= at <= s["session_end"]]
    properties = json.loads(raw["properties"])
    return {
        "event_id": raw["event_id"],
        "session_id": session["session_id"],
        "player_id": raw["player_id"],
        "event_name": raw["event_name"].strip().lower(),
        "event_time": at,
        "seconds_since_session_start": int((at - session["session_start"]).total_seconds()),
        "platform": raw["platform"].strip().lower(),
        "game_version": raw["game_version"],
        **{key: properties.get(key) for key in PROPERTIES},
        "load_batch_id": raw["load_batch_id"],
    }


def _fct_session(session: Row, player: Row, events: list[Row]) -> Row:
    names = [e["event_name"] for e in events]
    chapters = [e["chapter"] for e in events if e["event_name"] == "chapter_started"]
    return {
        **session,
        **{code: player[code] for code in ("country", "language", "difficulty")},
        "cohort_date": player["first_session_start"].date(),
        "events": len(events),
        **{column: names.count(name) for column, name in COUNTED.items()},
        "highest_chapter": max(chapters, default=None),
        "events_per_minute": len(events) * 60 / session["duration_seconds"],
    }


def _daily_active_players(sessions: list[Row]) -> list[Row]:
    return [
        {
            "calendar_date": day,
            "platform": platform,
            "active_players": len({s["player_id"] for s in of}),
            "new_players": len({s["player_id"] for s in of if s["cohort_date"] == day}),
            "returning_players": len({s["player_id"] for s in of if s["cohort_date"] != day}),
            "sessions": len(of),
            "play_time_seconds": sum(s["duration_seconds"] for s in of),
        }
        for (day, platform), of in _grouped(sessions, "session_date", "platform").items()
    ]


def _funnel_sessions(sessions: list[Row], events_of: dict[Any, list[Row]]) -> list[Row]:
    rows = []
    for (day, platform, difficulty), of in _grouped(
        sessions, "session_date", "platform", "difficulty"
    ).items():
        names = [{e["event_name"] for e in events_of[s["session_id"]]} for s in of]
        reached = [
            sum(set(FUNNEL[: n + 1]) <= of_session for of_session in names)
            for n in range(len(FUNNEL))
        ]
        rows += [
            {
                "session_date": day,
                "platform": platform,
                "difficulty": difficulty,
                "step_number": number,
                "step": step,
                "sessions": reached[number - 1],
                "sessions_started": reached[0],
                "share_of_started": reached[number - 1] / reached[0],
            }
            for number, step in enumerate(FUNNEL, 1)
        ]
    return rows


def _funnel_chapters(events: list[Row], players: dict[str, Row]) -> list[Row]:
    cells: dict[tuple[Any, ...], Row] = {}
    for player_id, of in _grouped(events, "player_id").items():
        player = players[player_id]
        seen: dict[int, set[str]] = defaultdict(set)
        last = None
        for event in sorted(of, key=lambda e: e["event_time"]):
            if (event["playthrough"] or 1) > 1:
                break
            name, chapter = event["event_name"], event["chapter"]
            if name not in ("chapter_started", "chapter_completed", "player_died"):
                continue
            key = (player["load_batch_id"], chapter, player["platform"], player["difficulty"])
            cell = cells.setdefault(
                key,
                {
                    **dict(zip(CHAPTER_KEY, key, strict=True)),
                    "chapter_name": event["chapter_name"],
                    **dict.fromkeys(("players_started", "players_completed", "attempts"), 0),
                    **dict.fromkeys(("deaths", "players_stopped"), 0),
                },
            )
            cell["players_started"] += name == "chapter_started" and name not in seen[chapter]
            cell["players_completed"] += name == "chapter_completed" and name not in seen[chapter]
            cell["attempts"] += name == "chapter_started"
            cell["deaths"] += name == "player_died"
            seen[chapter].add(name)
            last = cell if name == "chapter_started" else last
        if last is not None:
            last["players_stopped"] += 1
    return list(cells.values())


def _retention(sessions: list[Row]) -> list[Row]:
    rows = []
    observed = {
        batch: max(s["session_date"] for s in of)
        for batch, of in _grouped(sessions, "load_batch_id").items()
    }
    cohort = ("load_batch_id", "cohort_date", "platform", "difficulty")
    for key, of in _grouped(sessions, *cohort).items():
        for day_number in (0, 1, 7, 14, 30):
            day = key[1] + timedelta(days=day_number)
            if day > observed[key[0]]:
                continue
            members = {s["player_id"] for s in of}
            there = {s["player_id"] for s in of if s["session_date"] == day}
            rows.append(
                {
                    **dict(zip(cohort, key, strict=True)),
                    "day_number": day_number,
                    "cohort_players": len(members),
                    "retained_players": len(there),
                    "retention_rate": len(there) / len(members),
                }
            )
    return rows


def comparable(rows: Iterable[Row]) -> list[list[tuple[str, str]]]:
    """Rows to compare, whatever their order and that of their columns: floats to 9 digits."""
    return sorted(
        sorted((c, f"{v:.9g}" if isinstance(v, float) else str(v)) for c, v in row.items())
        for row in rows
    )
