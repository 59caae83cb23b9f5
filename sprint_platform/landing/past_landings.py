"""What landings did so far, for readers that do not wait for the register.

Beside the register lie ``landings/<number>.json``, what each landing changed, and how the last one
left things: ``state`` (the folder that it landed), ``next_day`` (on which there is more to land)
and ``held_back`` (the folder that had too many rejects).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import duckdb

from sprint_platform.core.locks import hold
from sprint_platform.core.whole_file import whole_file
from sprint_platform.landing.files import folder_state
from sprint_platform.landing.register import (
    landed_dir,
    landing_lock,
    open_register,
    register_path,
)
from sprint_platform.title import Title


@dataclass(frozen=True)
class PartitionChange:
    """A partition that holds other records now. Products have no days: theirs is 1970-01-01."""

    dataset: str
    day: date
    rows_before: int | None
    rows_after: int
    digest: str
    why: str


@dataclass(frozen=True)
class Landing:
    """What a landing changed."""

    number: int
    changes: tuple[PartitionChange, ...]


def announce(
    con: duckdb.DuckDBPyConnection, title: Title, state: str, next_day: date | None
) -> None:
    """Writes a file for each landing of the register that has none yet, and how the last one left
    things: the folder's ``state``, and the next day on which there is something to land."""
    folder = landed_dir(title.name) / "landings"
    folder.mkdir(exist_ok=True)
    last = max((int(path.stem) for path in folder.glob("*.json")), default=0)
    for number, landed in con.execute(
        "select number, state from landings where number > ? order by number", [last]
    ).fetchall():
        rows = con.execute(
            "select dataset, day, rows_before, rows_after, digest, why from changes"
            " where landing = ? order by dataset, day",
            [number],
        ).fetchall()
        changes = [asdict(PartitionChange(*row)) for row in rows]
        text = json.dumps({"number": number, "state": landed, "changes": changes}, default=str)
        _write(folder / f"{number:08d}.json", text)
    _write(_state_path(title), state)
    _write(_next_day_path(title), str(next_day or ""))


def hold_back(title: Title, state: str) -> None:
    """Notes that the folder in this state had too many rejects for the title's limit."""
    _write(_held_back_path(title), _held_back(title, state))


def landings_since(title: Title, number: int) -> list[Landing]:
    """What each landing after that number changed, ascending."""
    landings = []
    for path in sorted((landed_dir(title.name) / "landings").glob("*.json")):
        if int(path.stem) > number:
            landing = json.loads(path.read_text(encoding="utf-8"))
            changes = tuple(
                PartitionChange(**(change | {"day": date.fromisoformat(change["day"])}))
                for change in landing["changes"]
            )
            landings.append(Landing(landing["number"], changes))
    return landings


def filled_days(title: Title) -> set[date]:
    """The days with records of any dataset, at some landing."""
    return {
        change.day
        for landing in landings_since(title, 0)
        for change in landing.changes
        if change.rows_after
    }


def last_landed_state(title: Title) -> str | None:
    """The folder's state at the last landing that succeeded; None before the first."""
    return _read(_state_path(title))


def next_day(title: Title) -> date | None:
    """The day on which there is something to land though no file changes: records wait for it, or
    a file may be readable then. None where there is none."""
    day = _read(_next_day_path(title))
    return date.fromisoformat(day) if day else None


def is_held_back(title: Title) -> bool:
    """Whether the folder, as it is now, had too many rejects for the title's limit."""
    held_back = _read(_held_back_path(title))
    return held_back is not None and held_back == _held_back(title, folder_state(title))


def days_of_another_mapping(title: Title) -> list[date]:
    """The days with records that were read from their files by another mapping, grid or version of
    landing than today's, ascending: the next landing reads those files again."""
    if not register_path(title.name).exists():
        return []
    asked = "sprint verify"
    with hold(landing_lock(title.name), asked), open_register(title.name, dry_run=True) as con:
        found = con.execute(
            "select distinct day from verdicts join files using (file_no) where mapping <> ?"
            " and accepted > 0 order by day",
            [title.landing_fingerprint],
        ).fetchall()
    return [day for (day,) in found]


def _held_back(title: Title, state: str) -> str:
    return f"{state} {title.landing_settings.reject_limit}"


def _state_path(title: Title) -> Path:
    return landed_dir(title.name) / "state"


def _next_day_path(title: Title) -> Path:
    return landed_dir(title.name) / "next_day"


def _held_back_path(title: Title) -> Path:
    return landed_dir(title.name) / "held_back"


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def _write(path: Path, text: str) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
