"""A title: the checked model of one game's YAML file, and its only reader."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import date
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from reprlib import Repr
from stat import S_ISREG
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from sprint_platform.core.errors import SprintError
from sprint_platform.core.window import EARLIEST, LATEST
from sprint_platform.places import title_dirs

# Raise when the simulation makes other rows from the same YAML: partitions that an older version
# made are then known as such, and the golden digests change with it.
SIMULATION_VERSION = 2
# Raise when landing reads other records from the same files: they are then read again.
LANDING_VERSION = 2

# No title comes near; what is beyond was not written by hand.
MOST_BYTES, MOST_VALUES = 1_000_000, 100_000
# An error names so many wrong values, each cut to so much.
MOST_PROBLEMS = 8
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 80

ARCHETYPES = ("daily", "weekday", "cyclical")
SPENDER_CLUSTERS = ("none", "minnow", "dolphin", "whale")
PLATFORMS = ("pc", "playstation", "xbox", "switch", "mobile")
# The countries that people can come from; who they are there is in profiles.py.
COUNTRIES = ("US", "BR", "MX", "FR", "ES", "DE")

# Schemas of other domains and of DuckDB itself; a title of that name would write into them.
RESERVED_NAMES = {"eventlog", "storefront", "bronze", "silver", "gold", "main", "products", "temp"}


class TitleError(SprintError, ValueError):
    """A title that does not exist or whose YAML is wrong. The message is one line."""


def _between(low: Any, high: Any) -> Callable[[Any], Any]:
    """A validator whose error names both ends of the range, not only the one that was missed."""
    ends = [str(end) if isinstance(end, date) else f"{end:,}" for end in (low, high)]

    def check(value: Any) -> Any:
        if not low <= value <= high:
            raise ValueError(f"must be between {' and '.join(ends)}")
        return value

    return check


def _numbers(count: str) -> BeforeValidator:
    """A validator whose error says what is meant, where Python's own speaks of tuples."""

    def check(value: Any) -> Any:
        wanted = {"two": 2, "three": 3, "seven": 7}[count]
        if not isinstance(value, list | tuple) or len(value) != wanted:
            raise ValueError(f"must be a list of {count} numbers")
        return value

    return BeforeValidator(check)


Share = Annotated[float, AfterValidator(_between(0, 1))]
Count = Annotated[int, AfterValidator(_between(1, 10_000_000_000))]
Seed = Annotated[int, AfterValidator(_between(0, 2**63 - 1))]
LaunchDate = Annotated[date, AfterValidator(_between(EARLIEST, LATEST))]
# lowest and highest
Range = Annotated[tuple[int, int], _numbers("two")]
PriceRange = Annotated[tuple[float, float], _numbers("two")]
Axes = Annotated[tuple[float, float, float], _numbers("three")]
Week = Annotated[tuple[float, float, float, float, float, float, float], _numbers("seven")]


class _Part(BaseModel):
    # YAML knows .inf and .nan; no setting means either
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _shares(known: tuple[str, ...]) -> Callable[[dict[str, float]], dict[str, float]]:
    def check(value: dict[str, float]) -> dict[str, float]:
        for name, share in value.items():
            if name not in known:
                raise ValueError(f"{_SHORT.repr(name)} is not one of {', '.join(known)}")
            if not 0 <= share <= 1:
                raise ValueError(f"the share of '{name}' must be between 0 and 1")
        total = sum(Fraction(str(share)) for share in value.values())
        if total != 1:
            raise ValueError(f"shares must add up to 1, not {float(total):g}")
        return value

    return check


class CompoundGrowth(_Part):
    """Sign-ups and churn as shares of the living population, from a starting population."""

    kind: Literal["compound"]
    starting_players: Count
    daily_growth: Share
    daily_decay: Share


class TargetGrowth(_Part):
    """``players`` sign-ups within ``days`` days: a launch wave that fades, over a steady stream.

    ``launch_share`` of them come with the wave, whose day d brings (d + 1) ** -``launch_fade`` of
    its first day (0.58 is the exponent of 68 launches' players on day 0 to 30).
    """

    kind: Literal["target"]
    players: Count
    days: Annotated[int, AfterValidator(_between(1, 36_500))]
    launch_share: Share = 0.5
    launch_fade: Annotated[float, AfterValidator(_between(0, 3))] = 0.58


class SteadyGrowth(_Part):
    """Sign-ups that keep so many players active a day from the launch day on: many at first, of
    whom most leave, and ever fewer as those who stay add up."""

    kind: Literal["steady"]
    active_players: Annotated[int, AfterValidator(_between(1, 100_000_000))]


class Retention(_Part):
    """Classic retention: the share of a cohort that signs on exactly 1, 7 and 30 days later."""

    d1: Share
    d7: Share
    d30: Share

    @model_validator(mode="after")
    def _falls(self) -> Retention:
        if not self.d1 >= self.d7 >= self.d30 > 0:
            raise ValueError("must fall from d1 over d7 to d30, and d30 must be above 0")
        return self


class Signons(_Part):
    """Who plays on a day. ``habit`` is the share of days on which a daily player signs on;
    ``spread`` is how far players differ in it and ``moods`` how far one player's weeks do, both as
    shares of the habit. ``weekly_cycle`` scales it, Monday to Sunday (mean 1)."""

    habit: Share = 0.55
    spread: Share = 0.35
    moods: Share = 0.2
    weekly_cycle: Week = (0.98, 0.97, 0.965, 0.97, 1.0, 1.055, 1.06)

    @field_validator("weekly_cycle")
    @classmethod
    def _mean_one(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0.5 <= factor <= 1.1 for factor in value):
            raise ValueError("every factor must be between 0.5 and 1.1")
        if sum(Fraction(str(factor)) for factor in value) != 7:
            raise ValueError(f"factors must add up to 7 (mean 1), not {sum(value):g}")
        return value

    @model_validator(mode="after")
    def _no_more_than_daily(self) -> Signons:
        # the season adds up to a fiftieth
        most = self.habit * (1 + self.spread) * (1 + self.moods) * max(self.weekly_cycle) * 1.02
        if (self.spread or self.moods) and most > 1:
            raise ValueError(
                "the keenest player would sign on more than once a day: habit * (1 + spread) *"
                f" (1 + moods) times the busiest day and season is {most:.3f}, and must be at most"
                " 1"
            )
        return self


def lobby_players(shape: str) -> int:
    """How many players a lobby of this shape ("teams x players a team") has."""
    teams, players = shape.split("x")
    return int(teams) * int(players)


class Sessions(_Part):
    """Matches. ``play_share`` of those who sign on play up to ``per_day`` matches: after each of
    them ``replay_share`` play another, the keen more often. A lobby takes those who are ready
    within ``longest_wait_seconds`` of its first player (480 between the matches of a sitting);
    where they are too few to fill it, it starts with fewer. ``lobbies`` weighs the lobby shapes,
    "teams x players a team": up to 30 teams of up to 4, at most 100 players."""

    play_share: Share = 0.9
    per_day: Annotated[int, AfterValidator(_between(1, 8))] = 8
    replay_share: Share = 0.5
    stay_share: Share = 0.75
    shortest_seconds: Annotated[int, AfterValidator(_between(30, 7200))] = 120
    typical_seconds: Annotated[int, AfterValidator(_between(30, 7200))] = 600
    longest_seconds: Annotated[int, AfterValidator(_between(30, 7200))] = 1500
    longest_wait_seconds: Annotated[int, AfterValidator(_between(0, 1800))] = 600
    kills: Range = (10, 60)
    lobbies: dict[str, float] = Field(
        default={"5x2": 0.45, "4x2": 0.2, "3x2": 0.12, "2x2": 0.1, "5x1": 0.08, "2x1": 0.05}
    )

    @field_validator("lobbies")
    @classmethod
    def _shapes(cls, value: dict[str, float]) -> dict[str, float]:
        for shape, weight in value.items():
            if not re.fullmatch("([1-9]|[12][0-9]|30)x[1-4]", shape) or lobby_players(shape) > 100:
                raise ValueError(
                    f"{_SHORT.repr(shape)} is not a lobby from 1x1 to 30x3 or 25x4"
                    " (teams x players)"
                )
            if weight < 0:
                raise ValueError(f"the weight of '{shape}' must be 0 or more")
        if not any(value.values()):
            raise ValueError("at least one lobby shape needs a weight above 0")
        return value

    @model_validator(mode="after")
    def _order(self) -> Sessions:
        if not self.shortest_seconds <= self.typical_seconds <= self.longest_seconds:
            raise ValueError("needs shortest_seconds <= typical_seconds <= longest_seconds")
        low, high = self.kills
        if not 0 <= low <= high <= 1000:
            raise ValueError("kills must be a range [low, high] within 0 to 1000")
        return self


class Movement(_Part):
    """How players move. ``models`` weighs the movement models; ``cohesion`` 0 … 1 is how closely a
    player follows the team's leader; ``reach`` is how far a path leads, as a share of the grid."""

    models: dict[str, float]
    cohesion: Share = 0.7
    reach: Annotated[float, AfterValidator(_between(0.05, 1))] = 0.8

    @field_validator("models")
    @classmethod
    def _weights(cls, value: dict[str, float]) -> dict[str, float]:
        if any(weight < 0 for weight in value.values()) or not any(value.values()):
            raise ValueError("weights must be 0 or more, and one of them above 0")
        return value


class Spender(_Part):
    """One spending cluster: its share of players, and what one of them does on a day of play."""

    share: Share
    chance: Share = 0.0
    purchases: Range = (0, 0)
    price: PriceRange = (0, 0)

    @model_validator(mode="after")
    def _ranges(self) -> Spender:
        low, high = self.purchases
        if not 0 <= low <= high <= 20:
            raise ValueError("purchases must be a range [low, high] within 0 to 20")
        if not 0 <= self.price[0] <= self.price[1]:
            raise ValueError("price must be a range [low, high] from 0 up")
        return self


class Spending(_Part):
    """Purchases. The players of a cluster differ in how often they buy: ``spread`` is the standard
    deviation of its logarithm (2 is as unequal as real games are; 0: all alike). With ``causes`` of
    1 the keen, the new and those who play on weekends and at the month's beginning buy more often,
    with 0 every day of play is like another. ``pass_share`` of the players (more of those who buy
    often) subscribe to a recurring battle pass in their first ``pass_within_days`` days of play."""

    clusters: dict[str, Spender]
    spread: Annotated[float, AfterValidator(_between(0, 3))] = 1.0
    causes: Share = 1.0
    pass_share: Share = 0.05
    pass_within_days: Annotated[int, AfterValidator(_between(1, 365))] = 14
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"

    @field_validator("clusters")
    @classmethod
    def _cluster_shares(cls, value: dict[str, Spender]) -> dict[str, Spender]:
        _shares(SPENDER_CLUSTERS)({name: cluster.share for name, cluster in value.items()})
        return value


class Simulation(_Part):
    """Everything that only a simulated title needs."""

    growth: Annotated[CompoundGrowth | TargetGrowth | SteadyGrowth, Field(discriminator="kind")]
    retention: Retention | None = None
    archetypes: Annotated[dict[str, float], AfterValidator(_shares(ARCHETYPES))]
    countries: dict[str, float]
    platforms: Annotated[dict[str, float], AfterValidator(_shares(PLATFORMS))]
    signons: Signons = Signons()
    sessions: Sessions = Sessions()
    movement: Movement
    spending: Spending

    @field_validator("countries")
    @classmethod
    def _countries(cls, value: dict[str, float]) -> dict[str, float]:
        return _shares(COUNTRIES)(value)

    @model_validator(mode="after")
    def _one_survival(self) -> Simulation:
        if isinstance(self.growth, CompoundGrowth) and self.retention is not None:
            raise ValueError("compound growth has its own daily_decay: leave retention out")
        if not isinstance(self.growth, CompoundGrowth) and self.retention is None:
            raise ValueError(f"{self.growth.kind} growth needs retention (d1, d7, d30)")
        return self


# What may be landed from files, or dirtied on purpose: the datasets of the contracts, which stand
# above titles. Products have no days of their own.
LANDABLE = ("sessions", "heartbeats", "transactions", "signons", "dim_players", "products")
FILE_FORMATS = ("csv", "tsv", "ndjson", "jsonl", "json", "parquet")


def _comparable(name: str) -> str:
    # names are compared by these: all others would be one name
    if not any(letter.isalnum() for letter in name):
        raise ValueError("a column's name needs a letter or a digit")
    return name


Name = Annotated[str, AfterValidator(_comparable)]
# One name of a column in the studio's files, or several (tried in this order).
FileColumn = Name | tuple[Name, ...]


def _written(value: Any) -> Any:
    """YAML reads days and times as such; a file would have them as text."""
    return value.isoformat() if isinstance(value, date) else value


Scalar = Annotated[bool | int | float | str, BeforeValidator(_written)]


def _datasets(value: dict[str, Any]) -> dict[str, Any]:
    for name in value:
        if name not in LANDABLE:
            raise ValueError(f"{_SHORT.repr(name)} is not a dataset ({', '.join(LANDABLE)})")
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("it is not a time zone such as Europe/Berlin") from error
    return value


# What programs write where there is no value.
NULL_WORDS = (r"\N", "NULL", "null", "NaN", "nan", "None", "N/A", "#N/A", "undefined")


def _quoted_words(value: Any) -> Any:
    """YAML reads null and .nan as no words at all."""
    if isinstance(value, list) and not all(isinstance(word, str) for word in value):
        raise ValueError("every word must be text: write it in quotes, such as 'null'")
    return value


def _one_word(value: tuple[str, ...]) -> tuple[str, ...]:
    for word in value:
        if not word or word != word.strip():
            raise ValueError(
                f"{_SHORT.repr(word)} is empty or has spaces around it: so is no value"
            )
    return value


NullWords = Annotated[tuple[str, ...], BeforeValidator(_quoted_words), AfterValidator(_one_word)]


def _as_in_files(value: Any) -> Any:
    """Translations with whole numbers and flags as the texts that files have."""
    if not isinstance(value, dict) or not all(isinstance(of, dict) for of in value.values()):
        return value
    for column, of in value.items():
        for word in of:
            if not isinstance(word, str) and type(word) is not int:
                raise ValueError(
                    f"{column}: write {_SHORT.repr(word)} in quotes, as the files have it"
                    " (without them YAML reads yes and on as true)"
                )
    return {
        column: {
            str(word): str(to).lower() if isinstance(to, int) else to  # a flag is an int, too
            for word, to in of.items()
        }
        for column, of in value.items()
    }


Translations = Annotated[dict[str, dict[str, str]], BeforeValidator(_as_in_files)]


class Mapping(_Part):
    """How a studio's files are read as the contract's records.

    ``columns`` and ``defaults`` are per dataset and by the contract's column: the name (or names)
    that the files use, and the value of a column that they lack. ``values`` translates values, by
    the contract's column: ids letter by letter, all others in any case; what is translated to an
    empty text is no value. So are the ``null_words``, except in names of players and products.
    Naive times are in ``time_zone`` (an hour that comes twice there is the ``repeated_hour``), as
    are Parquet's INT96 where ``int96`` is local; numbers as times count ``epoch_unit`` since 1970.
    A position is ``position_scale`` * value + ``position_offset``, per axis.
    """

    columns: Annotated[dict[str, dict[str, FileColumn]], AfterValidator(_datasets)] = {}
    defaults: Annotated[dict[str, dict[str, Scalar]], AfterValidator(_datasets)] = {}
    values: Translations = {}
    null_words: NullWords = NULL_WORDS
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    repeated_hour: Literal["first", "second", "reject"] = "first"
    int96: Literal["utc", "local"] = "utc"
    epoch_unit: Literal["s", "ms", "us", "ns"] | None = None
    position_scale: Axes = (1, 1, 1)
    position_offset: Axes = (0, 0, 0)
    teams: Literal["numbers", "labels"] = "numbers"


def _selects(value: dict[str, str]) -> dict[str, str]:
    """Each is one statement, and a select over ``$file``."""
    for dataset, sql in value.items():
        if "$file" not in sql:
            raise ValueError(f"{dataset}: the select names no $file, which stands for the file")
        # only for the titles that have one: it takes a tenth of a second
        import duckdb

        try:
            statements = duckdb.extract_statements(sql.replace("$file", "'file'"))
        except duckdb.Error as error:
            raise ValueError(f"{dataset}: {' '.join(str(error).split())[:200]}") from error
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            raise ValueError(f"{dataset}: it must be one statement, and a select")
    return value


class Landing(_Part):
    """What is landed from ``data/landing/<title>/<dataset>/``, and how.

    ``datasets`` are those that the studio delivers: heartbeats without their session wait where
    sessions are delivered, and sessions are derived from heartbeats where they are not. A heartbeat
    may lie ``session_tolerance_seconds`` outside its session (before it, on the same UTC day). A
    landing that would reject a larger share than ``reject_limit`` of a dataset's records changes
    nothing. ``read`` has, for a dataset whose files are not long and flat, one select of DuckDB's
    over ``$file``, whose rows are read as a file's.
    """

    datasets: tuple[str, ...] = ("sessions", "heartbeats")
    mapping: Mapping = Mapping()
    read: Annotated[dict[str, str], AfterValidator(_datasets), AfterValidator(_selects)] = {}
    reject_limit: Share = 0.05
    session_tolerance_seconds: Annotated[int, AfterValidator(_between(0, 86_400))] = 0

    @field_validator("datasets")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _datasets(dict.fromkeys(value))
        if not value:
            raise ValueError("at least one dataset must be delivered")
        return value


class Faults(_Part):
    """Dirt on purpose: the share of records that each fault befalls (schema drift: from a day on).

    ``late`` records are delivered up to ``late_days`` days after their own. ``new_column_from`` and
    ``renamed_column_from`` change the files that are delivered from that day on.
    """

    late: Share = 0
    late_days: Annotated[int, AfterValidator(_between(1, 14))] = 2
    duplicate: Share = 0
    dropped: Share = 0
    out_of_order: Share = 0
    malformed: Share = 0
    null_session_end: Share = 0
    overlapping_session: Share = 0
    negative_amount: Share = 0
    clock_skew: Share = 0
    new_column_from: date | None = None
    renamed_column_from: date | None = None
    format: Literal["csv", "ndjson", "parquet"] = "csv"

    @model_validator(mode="after")
    def _can_be_written(self) -> Faults:
        if self.malformed and self.format == "parquet":
            raise ValueError("a Parquet column holds no malformed values: use csv or ndjson")
        return self


class Grid(_Part):
    """The playing field's walls, in units, per axis."""

    x: Range = (-100, 100)
    y: Range = (-100, 100)
    z: Range = (-100, 100)

    @field_validator("x", "y", "z")
    @classmethod
    def _fits(cls, value: Range) -> Range:
        low, high = value
        if not -99_999 <= low < high <= 99_999:
            raise ValueError("must be [low, high] within -99999 to 99999, low below high")
        return value

    @property
    def map_cell(self) -> float:
        """The side of a cell of the map, in units: the longer side of the field has 40."""
        return max(high - low for low, high in (self.x, self.y)) / 40


_BEATS = "must be between 1/1,000 and 3,600, such as 30, 0.1 or 1/30"


def _exact(value: Any) -> Any:
    """Whole seconds, or a fraction: 0.1 is a tenth, as it is written, and so is 1/10."""
    if isinstance(value, float | str):
        try:
            value = Fraction(str(value).replace(" ", ""))
        except (ValueError, ZeroDivisionError) as error:
            raise ValueError(_BEATS) from error
    if isinstance(value, Fraction) and value.denominator == 1:
        return int(value)
    return value


def _beat(value: int | Fraction) -> int | Fraction:
    if not Fraction(1, 1000) <= value <= 3600 or Fraction(value).denominator > 1000:
        raise ValueError(_BEATS)
    return value


Beat = Annotated[int | Fraction, BeforeValidator(_exact), AfterValidator(_beat)]


class Encounters(_Part):
    """When two teams meet: their centroids are at most ``distance`` units apart; close beats up to
    ``gap_seconds`` apart are one encounter. ``word`` names the tables."""

    distance: Annotated[float, AfterValidator(_between(0, 200_000))]
    gap_seconds: Annotated[int, AfterValidator(_between(0, 86_400))]
    word: Annotated[str, Field(pattern="^(encounter|conflict)$")] = "encounter"


class Title(_Part):
    """One game. ``name`` is also the prefix of its schemas and asset keys."""

    name: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,30}$")]
    description: str = ""
    launch_date: LaunchDate
    seed: Seed
    source: Literal["simulated", "landing"] = "simulated"
    heartbeat_seconds: Beat = 30
    grid: Grid = Grid()
    encounters: Encounters
    simulation: Simulation | None = None
    landing: Landing | None = None
    faults: Faults | None = None

    @field_validator("name")
    @classmethod
    def _free(cls, value: str, _: ValidationInfo) -> str:
        if value in RESERVED_NAMES:
            raise ValueError(f"'{value}' is taken by the platform itself; choose another name")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Title:
        if (self.source == "simulated") != (self.simulation is not None):
            raise ValueError("a simulated title needs a simulation section, and a landed one none")
        if self.faults is not None and self.simulation is None:
            raise ValueError("faults dirty what is simulated: a landed title has none")
        if self.landing is not None and not self.lands:
            raise ValueError("landing settings need source: landing (or faults)")
        skewed = self.faults is not None and self.faults.clock_skew > 0
        if skewed and "sessions" not in self.landing_settings.datasets:
            raise ValueError("clock_skew is seen against sessions: landing.datasets lacks them")
        if self.simulation is not None:
            if not isinstance(self.heartbeat_seconds, int):
                raise ValueError("heartbeat_seconds: a simulated title has whole seconds")
            for axis in ("x", "y", "z"):
                low, high = getattr(self.grid, axis)
                if not 20 <= high - low <= 2000:
                    raise ValueError(
                        f"grid.{axis}: a simulated grid is 20 to 2000 units wide, not {high - low}"
                    )
            beats = self.simulation.sessions.longest_seconds // self.whole_beat
            if not 1 <= beats <= 240:
                raise ValueError(
                    "simulation.sessions.longest_seconds / heartbeat_seconds must be between"
                    f" 1 and 240 beats, not {beats}"
                )
        return self

    @property
    def beat_microseconds(self) -> tuple[int, int]:
        """How long a beat lasts: microseconds as a numerator and a denominator."""
        return (Fraction(self.heartbeat_seconds) * 1_000_000).as_integer_ratio()

    @property
    def whole_beat(self) -> int:
        """The seconds of a beat of a simulated title, which are whole ones."""
        return int(self.heartbeat_seconds)

    @property
    def lands(self) -> bool:
        """Whether the title's records come through the landing folder: a studio's files, or
        simulated ones with dirt."""
        return self.source == "landing" or self.faults is not None

    @property
    def landing_settings(self) -> Landing:
        """How the title's files are landed: its ``landing`` section or, without one, the defaults
        (a dirtied title delivers every dataset that it simulates)."""
        if self.landing is not None:
            return self.landing
        if self.faults is not None:
            return Landing(datasets=tuple(d for d in LANDABLE if d != "products"), reject_limit=1)
        return Landing()

    @property
    def landing_fingerprint(self) -> str:
        """16 hex digits of what decides how a landed file is read and admitted: another mapping,
        launch or grid reads the same bytes as other records."""
        settings = self.landing_settings.model_dump_json(exclude={"reject_limit"})
        text = (
            f"{LANDING_VERSION}:{self.launch_date}:{self.heartbeat_seconds}:{self.grid}:{settings}"
        )
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def fingerprint(self) -> str:
        """16 hex digits of what the title's data comes from: a partition made from another seed,
        YAML or version of the simulation has others. How encounters are counted is not part of it:
        that changes no partition."""
        text = self.model_dump_json(
            exclude={"encounters", "description", "landing", "faults"}, exclude_defaults=False
        )
        return hashlib.blake2b(f"{SIMULATION_VERSION}:{text}".encode(), digest_size=8).hexdigest()

    @staticmethod
    def load(name: str) -> Title:
        """The title of that name. Raises TitleError with one line when it is unknown or wrong."""
        return read_title(title_file(name))


def title_file(name: str) -> Path:
    """The YAML file of the title of that name. Raises TitleError where there is none."""
    found = _title_files()
    if name not in found:
        known = ", ".join(sorted(found)) or "none"
        raise TitleError(
            f"unknown title '{name}': there is no {name}.yaml in the project's folder titles, nor"
            f" in those that SPRINT_TITLES_DIR names (known titles: {known})"
        )
    return found[name]


def title_names() -> list[str]:
    """Every title that has a YAML file, sorted."""
    return sorted(_title_files())


def first_title() -> str:
    """The title that somebody who has run nothing yet runs first: the first of the project's own,
    else the shipped ``sprint``."""
    shipped = title_dirs()[0]
    own = (name for name, path in sorted(_title_files().items()) if path.parent != shipped)
    return next(own, "sprint")


def valid_titles() -> tuple[list[Title], list[str]]:
    """Every title whose file is valid, by name; and an error in one line for each other file, which
    must not stop the other games' commands and schedules."""
    titles, errors = [], []
    for name in title_names():
        try:
            titles.append(Title.load(name))
        except TitleError as error:
            errors.append(str(error))
    return titles, errors


def _title_files() -> dict[str, Path]:
    files: dict[str, Path] = {}
    for folder in title_dirs():
        try:
            paths = sorted(folder.iterdir())
        except OSError as error:
            what = "cannot be read" if folder.is_dir() else "is not a folder"
            raise TitleError(f"the titles folder {folder} {what}: see SPRINT_TITLES_DIR") from error
        for path in paths:
            # hidden ones are editors' locks and backups
            if path.suffix in (".yaml", ".yml") and not path.name.startswith("."):
                files[path.stem] = path
    return files


def read_title(path: Path) -> Title:
    """The title in a YAML file. Raises TitleError: one line with the file, the value's path in it,
    what is wrong and what is allowed."""
    try:
        stat = path.stat()
        # anything else may be endless, or nobody's to read
        if not S_ISREG(stat.st_mode):
            raise TitleError(f"{path}: it is not a file")
        if stat.st_size > MOST_BYTES:
            raise TitleError(f"{path}: a title has at most {MOST_BYTES:,} bytes")
        return _read_title(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise TitleError(f"{path} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=64)
def _read_title(path: Path, _changed: int, _size: int) -> Title:
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        values = _values(node, {})
        twice = next(_twice(node, ()), None) if node and values <= MOST_VALUES else None
        content = loader.construct_document(node) if node and values <= MOST_VALUES else None
    except RecursionError as error:
        raise TitleError(f"{path}: its values are nested too deeply") from error
    # a tag such as !!int with nothing behind it: PyYAML then fails in its own code
    except (LookupError, AttributeError, TypeError) as error:
        raise TitleError(f"{path} is not YAML: a tag does not go with its value") from error
    except (yaml.YAMLError, ValueError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" line {where.line + 1}" if where else ""
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        if isinstance(error, UnicodeDecodeError):
            reason = "it is not UTF-8 text"
        raise TitleError(f"{path}:{line} is not YAML: {reason}") from error
    if twice:
        raise TitleError(f"{path}: {twice}")
    # a few lines of aliases within aliases stand for more values than a machine can hold
    if values > MOST_VALUES:
        raise TitleError(f"{path}: a title has at most {MOST_VALUES:,} values")
    if not isinstance(content, dict):
        raise TitleError(f"{path}: a title is a mapping of settings, this file holds none")
    try:
        title = Title.model_validate(content)
    except ValidationError as error:
        raise TitleError(f"{path}: {_problems(error, content)}") from error
    if title.name != path.stem:
        raise TitleError(f"{path}: name: is '{title.name}', but the file's name says '{path.stem}'")
    return title


class _Loader(yaml.SafeLoader):
    """YAML's safe values. A day that no calendar has (2025-02-30) stays text, so that the error
    names the setting that it stands at."""

    def day_or_text(self, node: yaml.ScalarNode) -> Any:
        try:
            return self.construct_yaml_timestamp(node)
        except ValueError:
            return node.value


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.day_or_text)


def _values(node: yaml.Node | None, counted: dict[int, int]) -> int:
    """How many values the node stands for, where every alias is one more copy."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in counted:
        # an alias within what it names has no end
        counted[id(node)] = MOST_VALUES + 1
        parts = node.value
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        counted[id(node)] = 1 + sum(_values(part, counted) for part in parts)
    return counted[id(node)]


def _twice(node: yaml.Node, path: tuple[str, ...]) -> Iterator[str]:
    """The keys that a section has twice, with their lines: YAML would drop the first value."""
    if isinstance(node, yaml.SequenceNode):
        for number, part in enumerate(node.value):
            yield from _twice(part, (*path, str(number)))
    elif isinstance(node, yaml.MappingNode):
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                line, place = key.start_mark.line + 1, (*path, key.value[:80])
                before = lines.get((key.tag, key.value))
                if before is not None:
                    yield f"line {line}: {'.'.join(place)} is there twice (first in line {before})"
                lines[key.tag, key.value] = line
                yield from _twice(value, place)


def _problems(error: ValidationError, content: dict[str, Any]) -> str:
    """What is wrong, each value once as ``path.to.value: reason (it is …)``; of many the first."""
    reasons: dict[str, dict[str, None]] = {}
    for problem in error.errors():
        where = ".".join(_path(problem, content)) or "the title"
        reasons.setdefault(where, {})[_reason(problem)] = None
    lines = [f"{where}: {' or '.join(several)}" for where, several in reasons.items()]
    more = len(lines) - MOST_PROBLEMS
    return "; ".join(lines[:MOST_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")


def _path(problem: ErrorDetails, part: Any) -> Iterator[str]:
    """The steps that lead into the YAML. pydantic's location has others in between: which of
    several types was tried there."""
    *parents, last = problem["loc"] or ("",)
    for step in (*parents, last):
        if isinstance(part, dict):
            found = step in part
        else:
            found = isinstance(part, list) and isinstance(step, int) and step < len(part)
        if found:
            part = part[step]
            yield str(step)[:80]
    if problem["type"] == "missing":
        yield str(last)


def _reason(problem: ErrorDetails) -> str:
    if problem["type"] == "extra_forbidden":
        return "there is no such setting"
    reason = problem["msg"].removeprefix("Value error, ")
    value = problem["input"]
    if problem["type"] == "union_tag_invalid":
        of, value = problem["ctx"]["expected_tags"], problem["ctx"]["tag"]
        reason = f"{problem['ctx']['discriminator']} must be one of {of}"
    if problem["type"].startswith("date_"):
        reason = "must be a day of the calendar such as 2025-01-31"
    if problem["type"] in ("model_type", "dict_type"):
        reason = "must be a section with settings of its own"
    if problem["type"] == "tuple_type":
        reason = "must be a list"
    of_a_section = problem["type"] == "value_error" and isinstance(value, dict)
    if problem["type"] == "missing" or of_a_section:
        return reason
    if isinstance(value, int) and value.bit_length() > 128:
        return f"{reason} (it is beyond 2 ** 128)"
    return f"{reason} (it is {_SHORT.repr(value)})"
