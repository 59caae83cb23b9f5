"""Dagster's history, and what programs logged, without a player: samples of tables show rows, and
messages of landings and of failed checks quote records."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sprint_platform.landing.forgetting import Player
from sprint_platform.operations.history_files import history_files, replace_in_tables
from sprint_platform.places import dagster_home, data_dir

FORGOTTEN = "forgotten"
# A message quotes a record after its file and row; elsewhere a studio's short id may be any word.
_QUOTES = re.compile(r"\brow \d+ ")
# A sample shows so much of an id (orchestration/glances.py).
_SHOWN = 8


def forget_in_history(player: Player) -> int:
    """Removes the player from Dagster's events and from log files; returns how many events and
    files changed. Raises CompactionError where another program has the history locked."""
    changed = 0
    shown = player.uuid.hex[:_SHOWN]
    for path in history_files(dagster_home()):
        changed += replace_in_tables(
            path, lambda text: _without(text, player), (shown, *player.source_ids)
        )
    for path in _logs():
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        lines = [_cleared(line, player) for line in text.splitlines(keepends=True)]
        if (new := "".join(lines)) != text:
            temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            temporary.write_text(new, encoding="utf-8", errors="surrogateescape")
            os.replace(temporary, path)
            changed += 1
    return changed


def _logs() -> Iterator[Path]:
    """What Dagster, its runs and dbt wrote as text."""
    home = dagster_home()
    yield from home.glob("*.log")
    yield from home.glob("storage/*/compute_logs/*")
    yield from (data_dir() / "dbt").rglob("dbt.log*")
    yield from (data_dir() / "dbt").rglob("run_results.json")


def _without(text: str, player: Player) -> str:
    """The text, mostly an event as JSON, without the player."""
    try:
        value = json.loads(text)
    except ValueError:
        return _cleared(text, player)
    new = _walked(value, player)
    return text if new == value else json.dumps(new)


def _walked(value: Any, player: Player) -> Any:
    if isinstance(value, str):
        return _cleared(value, player)
    if isinstance(value, list):
        return [_walked(item, player) for item in value if not _shows(item, player)]
    if isinstance(value, dict):
        return {key: _walked(item, player) for key, item in value.items()}
    return value


def _shows(entry: Any, player: Player) -> bool:
    """Whether it is the metadata of a sample that has a row of the player."""
    if not isinstance(entry, dict) or entry.get("label") != "sample":
        return False
    return f"{player.uuid.hex[:_SHOWN]}…" in json.dumps(entry, ensure_ascii=False)


def _cleared(text: str, player: Player) -> str:
    for name in (str(player.uuid), player.uuid.hex):
        text = text.replace(name, FORGOTTEN)
    if _QUOTES.search(text):
        for name in player.source_ids:
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", FORGOTTEN, text)
    return text
