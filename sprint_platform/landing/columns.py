"""Which column of a file is which column of the contract."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sprint_platform.landing.files import FileRefused
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Mapping

# Columns that a file may lack without a default, as it may lack any country: their values are made.
OPTIONAL = {
    ("sessions", "event_length_seconds"), ("heartbeats", "team_id"), ("heartbeats", "position_z"),
}  # fmt: skip
# The seed's names of a session's times.
ALIASES = {("sessions", "started_at"): "start_time", ("sessions", "event_datetime"): "end_time"}


@lru_cache(maxsize=4096)
def squash(name: str) -> str:
    """A column's name as it is compared: session_id, sessionId and SESSION ID are one."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def names_of(mapping: Mapping, dataset: str, column: str) -> list[str]:
    """The squashed names that a contract's column may have in a file, the preferred one first."""
    mapped = mapping.columns.get(dataset, {}).get(column, ())
    names = [mapped] if isinstance(mapped, str) else list(mapped)
    names.append(column)
    if (dataset, column) in ALIASES:
        names.append(ALIASES[dataset, column])
    return [squash(name) for name in names]


def choose(mapping: Mapping, dataset: str, names: Sequence[str]) -> dict[str, int]:
    """The index of the file's column for each column of the contract that the file has.

    Raises FileRefused("wrong_header") where a required column is missing, or is there twice.
    """
    places: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        places.setdefault(squash(name), []).append(index)
    chosen: dict[str, int] = {}
    missing: list[str] = []
    defaults = mapping.defaults.get(dataset, {})
    for column in DATASETS[dataset].columns:
        known = [name for name in names_of(mapping, dataset, column.name) if name in places]
        if known:
            found = places[known[0]]
            if len(found) > 1:
                twice = ", ".join(names[index] for index in found)
                raise FileRefused("wrong_header", f"{column.name} is there twice: {twice}")
            chosen[column.name] = found[0]
        elif not (column.nullable or column.name in defaults or _optional(dataset, column.name)):
            missing.append(column.name)
    if missing:
        have = ", ".join(names[:40]) + (", …" if len(names) > 40 else "")
        raise FileRefused(
            "wrong_header",
            f"{', '.join(missing)} missing; the file has {have or 'no columns'}; say what it is"
            f" called in landing.mapping.columns.{dataset}.{missing[0]}, or give a value in"
            f" landing.mapping.defaults.{dataset}",
        )
    return chosen


def _optional(dataset: str, column: str) -> bool:
    return column == "country" or (dataset, column) in OPTIONAL
