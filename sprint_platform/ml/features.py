"""A title's players by week as arrays: what models may learn from, and what became of the
players."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sprint_platform.ml.errors import ForesightError
from sprint_platform.ml.names import FEATURES, LABELS

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

# The horizon in days of each label.
HORIZONS = {"left_in_14_days": 14, "bought_in_14_days": 14, "spend_in_30_days": 30}
_SUMS = (
    "days_active", "sessions", "play_seconds", "kills", "deaths", "wins", "party_sessions",
    "purchases", "spend",
)  # fmt: skip
# Columns of numbers, none of them negative.
NUMBERS = (
    "tenure_days",
    "days_since_active",
    "days_between_last_active",
    "pauses_as_long_12w",
    "squared_pauses_12w",
    "days_since_purchase",
    "days_since_renewal",
    "days_to_next_month",
    "days_active_3d",
    "days_active_2w",
    "weekend_days_12w",
    "weeks_active_12w",
    "mates_12w",
    "mates_active_1w",
    "mates_days_active_4w",
    "shortest_mate_silence",
    "longest_mate_silence",
    "highest_price_12w",
    *(f"{name}_{weeks}w" for name in _SUMS for weeks in (1, 4, 12)),
)
# What a model would have to find out from several of them: on which share of the days that the
# player could have played there was a sign of the player, and how many such days the silence has
# lasted; then the silence of player and mates together, in days and in such days of all of them.
DERIVED = (
    "active_share_4w", "active_share_12w", "silence_4w", "silence_12w",
    "party_silence", "party_silence_4w",
)  # fmt: skip
WORDS = ("country", "platform")
# Never a feature: what only the simulator knows, what names a person, and the labels themselves.
FORBIDDEN = frozenset(
    {
        *("archetype", "spender_cluster", "skill", "habit", "keenness", "purse", "liked_kind"),
        *("thrift", "sociable", "no_signon_in_14_days", "purchase_in_14_days"),
        "expected_spend_in_30_days",
        *("player_id", "display_name", "birth_year", "language", "time_zone", "signed_up_at"),
        *HORIZONS,
    }
)
# A word is a feature of its own where at least this share of the training rows have it.
LEAST_SHARE = 0.01


@dataclass(frozen=True)
class Rows:
    """Players' weeks, by week and player. ``player`` is the id's 16 bytes, shape (n,); ``week`` the
    Monday; ``numbers`` has a column for each of ``NUMBERS`` (NaN where it is not known), and
    ``words`` an array for each of ``WORDS``; ``labels`` an array for each label (NaN where it is
    not known yet)."""

    player: npt.NDArray[np.void]
    week: npt.NDArray[np.datetime64]
    numbers: F32
    words: Mapping[str, npt.NDArray[np.object_]]
    labels: Mapping[str, F64]

    def __len__(self) -> int:
        return len(self.player)

    def take(self, which: npt.NDArray) -> Rows:
        return Rows(
            self.player[which],
            self.week[which],
            self.numbers[which],
            {name: values[which] for name, values in self.words.items()},
            {name: values[which] for name, values in self.labels.items()},
        )

    def of_weeks(self, weeks: Sequence[date]) -> Rows:
        return self.take(np.isin(self.week, np.array(weeks, "datetime64[D]")))


def read_rows(
    con: duckdb.DuckDBPyConnection, title: str, weeks: Sequence[date], most: int | None = None
) -> Rows:
    """The title's rows of these weeks, at most about ``most``: the same share of the players in
    each week, chosen by their ids. Raises ForesightError where a forbidden column would be read."""
    require_allowed((*NUMBERS, *WORDS))
    features, labels = f"{title}_mart.{FEATURES}", f"{title}_mart.{LABELS}"
    where = "features.year_week in (select unnest(?))"
    [(count,)] = con.execute(
        f"select count(*) from {features} as features where {where}", [list(weeks)]
    ).fetchall()
    # a share of the players, the same in every run: by digits of a digest, as ids that a studio
    # brings may count up, or all end alike
    share = 1.0 if not most or count <= most else most / count
    limit = int(share * 0x10000) - 1
    columns = ", ".join(f"features.{name}::float as {name}" for name in NUMBERS)
    words = ", ".join(f"features.{name}" for name in WORDS)
    came = ", ".join(f"labels.{name}::double as {name}" for name in HORIZONS)
    found = con.execute(
        f"select {id_bytes('features.player_id')} as player_id, features.year_week, {columns},"
        f" {words}, {came}"
        f" from {features} as features left join {labels} as labels"
        " on features.player_id = labels.player_id and features.year_week = labels.year_week"
        f" where {where} and ('0x' || left(md5(features.player_id::varchar), 4))::integer"
        " <= ?"
        " order by features.year_week, features.player_id",
        [list(weeks), limit],
    ).to_arrow_table()
    numbers = np.empty((len(found), len(NUMBERS)), np.float32)
    for n, name in enumerate(NUMBERS):
        numbers[:, n] = found[name].to_numpy()
    return Rows(
        ids_of(found),
        found["year_week"].to_numpy().astype("datetime64[D]"),
        numbers,
        {name: found[name].to_numpy().astype(object) for name in WORDS},
        {name: found[name].to_numpy().astype(np.float64) for name in HORIZONS},
    )


def id_bytes(column: str) -> str:
    """SQL: the 16 bytes of an id."""
    return f"unhex(replace({column}::varchar, '-', ''))"


def ids_of(table: pa.Table) -> npt.NDArray[np.void]:
    """The column ``player_id``, selected as ``id_bytes`` or of Arrow's uuid, as 16 bytes each."""
    column = table["player_id"].combine_chunks()
    fixed = column.storage if isinstance(column.type, pa.UuidType) else column
    if not pa.types.is_fixed_size_binary(fixed.type):
        fixed = fixed.cast(pa.binary(16))
    ends = slice(fixed.offset, fixed.offset + len(fixed))
    return (
        np.frombuffer(fixed.buffers()[1], np.uint8).reshape(-1)[: 16 * ends.stop].view("V16")[ends]
    )


def weeks_of(con: duckdb.DuckDBPyConnection, title: str, label: str | None = None) -> list[date]:
    """The Mondays of the title's weeks, ascending; with ``label`` of those whose label is known."""
    relation = f"{title}_mart.{LABELS if label else FEATURES}"
    where = f" where {label} is not null" if label else ""
    try:
        found = con.execute(f"select distinct year_week from {relation}{where} order by 1")
    except duckdb.CatalogException:
        return []
    return [week for (week,) in found.fetchall()]


def require_allowed(names: Sequence[str]) -> None:
    """Raises ForesightError where one of the columns is none to learn from."""
    if wrong := sorted(FORBIDDEN.intersection(names)):
        raise ForesightError(f"{', '.join(wrong)} must not be learned from")


@dataclass(frozen=True)
class Columns:
    """The columns of a model's matrix: ``NUMBERS``, ``DERIVED``, then one for each word that is
    frequent enough in the training rows (``country=US``)."""

    names: tuple[str, ...]

    @staticmethod
    def of(rows: Rows) -> Columns:
        names = [*NUMBERS, *DERIVED]
        for word in WORDS:
            values, counts = np.unique(rows.words[word].astype(str), return_counts=True)
            frequent = counts >= LEAST_SHARE * len(rows)
            names += [f"{word}={value}" for value in values[frequent]]
        return Columns(tuple(names))

    def matrix(self, rows: Rows) -> F32:
        """Shape (rows, columns); NaN where a number is not known."""
        found = np.empty((len(rows), len(self.names)), np.float32)
        found[:, : len(NUMBERS)] = rows.numbers
        plain = len(NUMBERS) + len(DERIVED)
        found[:, len(NUMBERS) : plain] = _derived(rows.numbers)
        for n, name in enumerate(self.names[plain:], plain):
            word, _, value = name.partition("=")
            found[:, n] = rows.words[word] == value
        return found


def _derived(numbers: F32) -> F32:
    def column(name: str) -> F32:
        return numbers[:, NUMBERS.index(name)]

    tenure, silent = column("tenure_days"), column("days_since_active")
    found = np.empty((len(numbers), len(DERIVED)), np.float32)
    for n, weeks in enumerate((4, 12)):
        days = np.minimum(7 * weeks, np.nan_to_num(tenure, nan=7 * weeks) + 1)
        found[:, n] = column(f"days_active_{weeks}w") / days
        found[:, n + 2] = found[:, n] * silent
    # friends start together and stay about as long: as long as one of them is there, the others are
    found[:, 4] = np.fmin(silent, column("shortest_mate_silence"))
    days = np.minimum(28, np.nan_to_num(tenure, nan=28) + 1)
    found[:, 5] = found[:, 4] * (found[:, 0] + column("mates_days_active_4w") / days)
    return found


def digest_of(rows: Rows, matrix: F32) -> str:
    """16 hex digits over what a model learned from."""
    digest = hashlib.blake2b(digest_size=8)
    for part in (rows.player, rows.week.astype(np.int64), matrix, *rows.labels.values()):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
