"""The three raw tables of the event log: columns, types, keys. The single source of them.

They are raw on purpose, as such a game's backend delivers them: times and ids are text, codes come
in whatever case the client sent them. dbt's staging models clean them. The one column that is ours
is the last: the batch that brought the row.
"""

from __future__ import annotations

from sprint_platform.dataset import BATCH_COLUMN, Column, Dataset

# Also the folder of its files, the group of its assets, and the tag of its models.
DOMAIN = "eventlog"

DIFFICULTIES = ("easy", "normal", "hard", "grounded")
PLATFORMS = ("ps3", "xbox360", "pc")
# country -> the language of its players
COUNTRY_LANGUAGES = {"US": "en", "PL": "pl", "DE": "de", "FR": "fr", "ES": "es", "BY": "be"}
EVENT_NAMES = (
    "game_started",
    "chapter_started",
    "checkpoint_reached",
    "enemy_killed",
    "player_died",
    "item_crafted",
    "chapter_completed",
    "game_closed",
)

_BATCH = Column(BATCH_COLUMN, "integer", "the batch that brought the row, from 1")


def _text(name: str, meaning: str) -> Column:
    return Column(name, "text", meaning)


def _table(
    name: str, one_row_is: str, key: str, *columns: Column, upstream: tuple[str, ...] = ()
) -> Dataset:
    """``key`` identifies a row in all batches."""
    return Dataset(
        name=name,
        schema="raw",
        table=name,
        one_row_is=one_row_is,
        key=(key,),
        columns=(*columns, _BATCH),
        partition_column=BATCH_COLUMN,
        upstream=upstream,
    )


RAW_TABLES: dict[str, Dataset] = {
    table.name: table
    for table in (
        _table(
            "raw_players",
            "a player",
            "player_id",
            _text("player_id", "player_17; player_2_17 in batch 2"),
            _text("first_seen_at", "when the first session started, UTC"),
            _text("country", "ISO 3166 code, in any case: PL, pl, Pl"),
            _text("language", "ISO 639 code of the country's language, in any case"),
            _text("difficulty_selected", "easy, normal, hard or grounded"),
        ),
        _table(
            "raw_sessions",
            "a session",
            "session_id",
            _text("session_id", "session_17; session_2_17 in batch 2"),
            _text("player_id", "who played"),
            _text("session_start", "YYYY-MM-DD HH:MM:SS, UTC"),
            _text("session_end", "YYYY-MM-DD HH:MM:SS, UTC"),
            _text("platform", "ps3, xbox360 or pc"),
            upstream=("raw_players",),
        ),
        _table(
            "raw_game_events",
            "an event",
            "event_id",
            _text("event_id", "event_17; event_2_17 in batch 2"),
            _text("event_time", "YYYY-MM-DD HH:MM:SS, UTC"),
            _text("player_id", "who played"),
            _text("event_name", "what happened: one of eight"),
            _text("platform", "ps3, xbox360 or pc"),
            _text("game_version", "such as 1.0.3"),
            Column("properties", "json", "what else the game says of it, as JSON"),
            upstream=("raw_players", "raw_sessions"),
        ),
    )
}
