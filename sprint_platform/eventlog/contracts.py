"""The three raw tables of the event log: columns, types by engine, keys. The single source of them.

They are raw on purpose, as such a game's backend delivers them: times and ids are text, codes come
in whatever case the client sent them. dbt's staging models clean them. The one column that is ours
is the last: the batch that brought the row.
"""

from __future__ import annotations

from dataclasses import dataclass

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

# logical type -> (DuckDB's, Snowflake's)
TYPES = {
    "text": ("varchar", "varchar"),
    "json": ("json", "variant"),
    "integer": ("integer", "integer"),
}


@dataclass(frozen=True)
class Column:
    """One column: its logical type (a key of ``TYPES``) and what it means. None may be null."""

    name: str
    meaning: str
    type: str = "text"


@dataclass(frozen=True)
class RawTable:
    """One raw table and its file ``<name>.csv``; ``key`` identifies a row in all batches."""

    name: str
    one_row_is: str
    key: str
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    def definitions(self, engine: str) -> str:
        """The columns as DDL for ``duckdb`` or ``snowflake``."""
        place = ("duckdb", "snowflake").index(engine)
        return ", ".join(f"{c.name} {TYPES[c.type][place]} not null" for c in self.columns)


BATCH_COLUMN = Column("load_batch_id", "the batch that brought the row, from 1", "integer")

RAW_TABLES: dict[str, RawTable] = {
    table.name: table
    for table in (
        RawTable(
            "raw_players",
            "a player",
            "player_id",
            (
                Column("player_id", "player_17; player_2_17 in batch 2"),
                Column("first_seen_at", "when the first session started, UTC"),
                Column("country", "ISO 3166 code, in any case: PL, pl, Pl"),
                Column("language", "ISO 639 code of the country's language, in any case"),
                Column("difficulty_selected", "easy, normal, hard or grounded"),
                BATCH_COLUMN,
            ),
        ),
        RawTable(
            "raw_sessions",
            "a session",
            "session_id",
            (
                Column("session_id", "session_17; session_2_17 in batch 2"),
                Column("player_id", "who played"),
                Column("session_start", "YYYY-MM-DD HH:MM:SS, UTC"),
                Column("session_end", "YYYY-MM-DD HH:MM:SS, UTC"),
                Column("platform", "ps3, xbox360 or pc"),
                BATCH_COLUMN,
            ),
        ),
        RawTable(
            "raw_game_events",
            "an event",
            "event_id",
            (
                Column("event_id", "event_17; event_2_17 in batch 2"),
                Column("event_time", "YYYY-MM-DD HH:MM:SS, UTC"),
                Column("player_id", "who played"),
                Column("event_name", "what happened: one of eight"),
                Column("platform", "ps3, xbox360 or pc"),
                Column("game_version", "such as 1.0.3"),
                Column("properties", "what else the game says of it, as JSON", "json"),
                BATCH_COLUMN,
            ),
        ),
    )
}
