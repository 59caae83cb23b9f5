"""Titles and worlds for tests, and their records as numpy arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sprint_platform.simulation.world import World
from sprint_platform.storage.digest import Digest, digest_table
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title

SIMULATED = ("dim_players", "signons", "sessions", "heartbeats", "transactions")
LAUNCH = date(2025, 1, 1)
DAY_SECONDS = 86_400


def title_like(name: str, **settings: Any) -> Title:
    """The shipped title with other settings; a key ``a__b`` names the setting a.b of its YAML.

    A mapping replaces the mapping that was there, as in the YAML. Compound growth, which has a
    decay of its own, takes the retention away.
    """
    dumped = Title.load(name).model_dump()
    for path, value in settings.items():
        *parents, last = path.split("__")
        part = dumped
        for parent in parents:
            part = part[parent]
        part[last] = value
        if path == "simulation__growth" and value["kind"] == "compound":
            part["retention"] = None
    return Title.model_validate(dumped)


def compound(players: int, growth: float = 0.001, decay: float = 0.0007) -> Mapping[str, Any]:
    """Compound growth from that many players on the launch day."""
    return {
        "kind": "compound",
        "starting_players": players,
        "daily_growth": growth,
        "daily_decay": decay,
    }


def crowd(players: int, **settings: Any) -> Title:
    """``sprint`` with that many players at launch."""
    return title_like("sprint", simulation__growth=compound(players), **settings)


def days_from(first: date, count: int) -> list[date]:
    return [first + timedelta(days=n) for n in range(count)]


def table(world: World, dataset: str, days: date | Iterable[date]) -> pa.Table:
    """The records of a day, or of several, as one table."""
    if isinstance(days, date):
        days = [days]
    empty = DATASETS[dataset].arrow_schema.empty_table()
    return pa.concat_tables(
        [empty, *(part for day in days for part in getattr(world, dataset)(day))]
    )


def digest(world: World, dataset: str, days: date | Iterable[date]) -> str:
    """The logical digest of the records of a day, or of several."""
    if isinstance(days, date):
        days = [days]
    tables = (part for day in days for part in getattr(world, dataset)(day))
    return str(sum((digest_table(part) for part in tables), Digest()))


def digest_alone(job: tuple[Title, str, date]) -> str:
    """The digest of (title, dataset, day) in a world of its own, for other processes too."""
    title, dataset, day = job
    return digest(World(title), dataset, day)


def ids(records: pa.Table, column: str) -> npt.NDArray[np.void]:
    """A uuid column as pairs of 64-bit integers, which sort, compare and are unique like the id."""
    storage = records[column].combine_chunks().storage
    pairs = np.frombuffer(storage.buffers()[1], "<u8").reshape(-1, 2)
    pairs = pairs[storage.offset : storage.offset + len(storage)]
    return as_pairs(pairs)


def as_pairs(values: npt.NDArray[Any]) -> npt.NDArray[np.void]:
    """16-byte values as pairs of 64-bit integers."""
    flat = np.ascontiguousarray(values).reshape(-1)
    return flat.view([("high", "<u8"), ("low", "<u8")]).reshape(-1)


def codes(records: pa.Table, column: str) -> tuple[npt.NDArray[np.void], npt.NDArray[np.intp]]:
    """The distinct ids of a column, and for each row which of them it has."""
    values = ids(records, column)
    # by the first half, which sorts ten times as fast; two ids that share it would show here
    _, first, code = np.unique(values["high"], return_index=True, return_inverse=True)
    assert (values["low"] == values["low"][first][code]).all()
    return values[first], code


def rows_of(wanted: npt.NDArray[np.void], known: npt.NDArray[np.void]) -> npt.NDArray[np.intp]:
    """For each wanted id the row of ``known`` (distinct ids) that holds it, -1 where none does."""
    order = np.argsort(known["high"])
    at = np.searchsorted(known["high"], wanted["high"], sorter=order).clip(0, len(known) - 1)
    row = order[at]
    return np.where(known[row] == wanted, row, -1)


def hundredths(records: pa.Table, column: str) -> npt.NDArray[np.int64]:
    """A decimal column in hundredths."""
    values = records[column].combine_chunks()
    flat = np.frombuffer(values.buffers()[1], "<i4")
    return flat[values.offset : values.offset + len(values)].astype(np.int64)


def seconds(records: pa.Table, column: str) -> npt.NDArray[np.int64]:
    """A timestamp column in seconds since 1970."""
    micros = records[column].to_numpy().astype("datetime64[us]").astype(np.int64)
    assert not (micros % 1_000_000).any()
    return micros // 1_000_000


def second_of(day: date) -> int:
    """The day's first second since 1970."""
    return (day - date(1970, 1, 1)).days * DAY_SECONDS


def positions(heartbeats: pa.Table) -> npt.NDArray[np.float64]:
    """Positions in units, shape (rows, 3)."""
    return np.stack([hundredths(heartbeats, f"position_{axis}") for axis in "xyz"], axis=1) / 100.0
