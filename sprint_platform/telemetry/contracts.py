"""Every dataset of a game: its columns and what else is known of it. The single source of what a
record is.

The simulator writes these columns; the graph, landing, faults, estimates, checks and commands read
the rest.
"""

from __future__ import annotations

# packages of other domains import all of them from here
from sprint_platform.dataset import BATCH_COLUMN as BATCH_COLUMN
from sprint_platform.dataset import TYPES as TYPES
from sprint_platform.dataset import Bars, Column, Dataset, Size
from sprint_platform.title import PLATFORMS

TRANSACTION_TYPES = ("BattlePass", "Skin", "Emote")
TIERS = ("Premium", "Standard")
CYCLES = ("M", "Y")
UNKNOWN_COUNTRY = "ZZ"

_PLAYER_ID = Column("player_id", "uuid", "the player")
_SESSION_ID = Column("session_id", "uuid", "the session (a lobby's match)")
_TEAM_ID = Column("team_id", "small", "the team's number within its session", low=1)
_COUNTRY = Column("country", "text", "ISO 3166 country of the player; ZZ where it is not known")
_CYCLE = Column(
    "cycle", "text", "how often it renews: monthly or yearly", values=CYCLES, nullable=True
)
_TYPE = Column("transaction_type", "text", "what kind of product", values=TRANSACTION_TYPES)
_POSITIONS = tuple(
    Column(
        f"position_{axis}",
        "position",
        f"position on the {axis} axis",
        unit="grid units",
        low=-99_999.99,
        high=99_999.99,
    )
    for axis in "xyz"
)

DATASETS: dict[str, Dataset] = {
    d.name: d
    for d in (
        Dataset(
            name="products",
            schema="dim",
            table="dim_products",
            one_row_is="a product of the shop",
            key=("product_id",),
            partition_column=None,
            entity="product_id",
            columns=(
                Column("product_id", "uuid", "the product"),
                Column("product_sku", "text", "stock keeping unit, SKU-1000 and up"),
                Column("product_name", "text", "the name that the shop shows"),
                Column("tier", "text", "price tier", values=TIERS),
                Column("purchase_price", "money", "list price", unit="USD", low=0),
                _TYPE,
                Column("is_recurring", "flag", "whether a purchase renews by itself"),
                _CYCLE,
                Column("created_at", "timestamp", "when the product was added", unit="UTC"),
                Column("last_modified_at", "timestamp", "when it last changed", unit="UTC"),
            ),
        ),
        Dataset(
            name="dim_players",
            schema="dim",
            table="dim_players",
            one_row_is="a player, in the partition of the sign-up day",
            key=("player_id",),
            partition_column="signup_date",
            time_column="signed_up_at",
            entity="player_id",
            faults=("dropped", "late", "duplicate", "out_of_order"),
            size=Size(file_bytes=34, database_bytes=34, rows_per_second=400_000),
            occurred="Players signed up",
            private=True,
            version=2,
            former_columns=("archetype", "spender_cluster"),
            columns=(
                _PLAYER_ID,
                Column("display_name", "text", "the name that other players see"),
                _COUNTRY,
                Column("language", "text", "BCP 47 language tag"),
                Column("time_zone", "text", "IANA time zone"),
                Column("platform", "text", "where the player plays", values=PLATFORMS),
                Column("birth_year", "small", "year of birth", unit="years", low=1900, high=2100),
                Column("signed_up_at", "timestamp", "when the player signed up", unit="UTC"),
            ),
        ),
        Dataset(
            name="signons",
            schema="raw",
            table="event_signons",
            one_row_is="a player who was active that day",
            key=("player_id",),
            time_column="signed_on_at",
            upstream=("dim_players",),
            faults=("dropped", "late", "duplicate", "out_of_order"),
            size=Size(file_bytes=24, database_bytes=32, rows_per_second=800_000),
            bars=Bars("Players who signed on, by hour (UTC)", x="hour(signed_on_at)", y="count(*)"),
            occurred="Sign-ons happened",
            player_who="signs on",
            columns=(
                _PLAYER_ID,
                _COUNTRY,
                Column("platform", "text", "where the player plays", values=PLATFORMS),
                Column("signed_on_at", "timestamp", "the day's first sign-on", unit="UTC"),
            ),
        ),
        Dataset(
            name="sessions",
            schema="raw",
            table="event_session",
            one_row_is="a player's part in a session",
            key=("session_id", "player_id"),
            time_column="started_at",
            entity="session_id",
            # 1 had neither party_id nor won
            version=2,
            upstream=("dim_players", "signons"),
            faults=(
                "dropped",
                "late",
                "malformed",
                "null_session_end",
                "overlapping_session",
                "duplicate",
                "out_of_order",
            ),
            size=Size(file_bytes=19, database_bytes=31, rows_per_second=500_000),
            bars=Bars(
                "Sessions started, by hour (UTC)",
                x="hour(min(started_at) over (partition by session_id))",
                y="count(distinct session_id)",
            ),
            columns=(
                _SESSION_ID,
                _PLAYER_ID,
                _TEAM_ID,
                _COUNTRY,
                Column("started_at", "timestamp", "when the player's part began", unit="UTC"),
                Column("event_datetime", "timestamp", "when it ended", unit="UTC"),
                Column(
                    "event_length_seconds",
                    "integer",
                    "how long it lasted",
                    unit="s",
                    low=0,
                    high=86_400,
                ),
                Column("kills", "integer", "kills credited to the player", low=0),
                Column("deaths", "integer", "deaths of the player", low=0),
                Column(
                    "party_id",
                    "uuid",
                    "those who came together into this session and play in one team; each session"
                    " has its own, null for who came alone or where it is not known",
                    nullable=True,
                ),
                Column(
                    "won",
                    "flag",
                    "whether the player's team won; null without another team or where it is not"
                    " known",
                    nullable=True,
                ),
            ),
        ),
        Dataset(
            name="heartbeats",
            schema="raw",
            table="event_heartbeat",
            one_row_is="a player's position, every 30 s of a session",
            key=("session_id", "player_id", "event_datetime"),
            time_column="event_datetime",
            upstream=("sessions",),
            faults=("dropped", "late", "malformed", "clock_skew", "duplicate", "out_of_order"),
            size=Size(file_bytes=7.0, database_bytes=12.2, rows_per_second=2_500_000),
            columns=(
                _SESSION_ID,
                _PLAYER_ID,
                _TEAM_ID,
                Column("event_datetime", "timestamp", "when the position was sent", unit="UTC"),
                *_POSITIONS,
            ),
        ),
        Dataset(
            name="transactions",
            schema="raw",
            table="event_transaction",
            one_row_is="a purchase",
            key=("transaction_id",),
            time_column="event_datetime",
            entity="transaction_id",
            upstream=("products", "dim_players"),
            faults=(
                "dropped",
                "late",
                "malformed",
                "negative_amount",
                "duplicate",
                "out_of_order",
            ),
            size=Size(file_bytes=35, database_bytes=38, rows_per_second=400_000),
            bars=Bars("Paid, by hour (UTC)", x="hour(event_datetime)", y="sum(purchase_price)"),
            occurred="Purchases were paid",
            player_who="buys",
            columns=(
                Column("transaction_id", "uuid", "the purchase"),
                _PLAYER_ID,
                Column("event_datetime", "timestamp", "when it was paid", unit="UTC"),
                Column("purchase_item", "text", "the product's SKU"),
                Column("purchase_price", "money", "what was paid", unit="currency", low=0),
                Column("currency", "text", "ISO 4217 currency"),
                Column("is_recurring", "flag", "whether it renews by itself"),
                _CYCLE,
                _TYPE,
            ),
        ),
    )
}

# Those that have days, in the graph's order.
DAILY = tuple(name for name, dataset in DATASETS.items() if dataset.partition_column)
# What `sprint run --entrypoint` calls each.
ENTRYPOINTS = {name.removeprefix("dim_"): name for name in DATASETS}
