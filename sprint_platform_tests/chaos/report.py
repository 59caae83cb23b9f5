"""A part's page in docs/chaos, and the file in which it notes what it has swept."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sprint_platform.core.project import installed_root

SHOWN = 40
_VARYING = re.compile(r"[0-9a-f]{8,}|\d+")


class Report:
    """The page of a part. It is called with each paragraph, in Markdown; ``save`` writes it to
    ``docs/chaos/<part>.md``. ``notes`` is a file of JSON lines in `.cache/chaos`, of this part,
    seed and source: the same command goes on where it ended. ``only`` is the name of a case that is
    to be run alone; the page stays as it is then."""

    def __init__(self, part: str, seed: int, minutes: float, only: str | None = None) -> None:
        self.part, self.seed, self.minutes, self.only = part, seed, minutes, only
        self.began = datetime.now(UTC)
        root = installed_root()
        self.path = root / "docs" / "chaos" / f"{part}.md"
        self.notes = root / ".cache" / "chaos" / f"{part}-{seed}-{_source_digest(root)}.jsonl"
        self.notes.parent.mkdir(parents=True, exist_ok=True)
        if only:
            self.notes = self.notes.with_name(f"{part}-only.jsonl")
            self.notes.unlink(missing_ok=True)
        self._blocks: list[str] = []

    def __call__(self, paragraph: str) -> None:
        self._blocks.append(paragraph)

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        lines = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
        lines = [list(headings), ["---"] * len(headings), *lines]
        self._blocks.append("\n".join(f"| {' | '.join(line)} |" for line in lines))

    def save(self, title: str) -> None:
        """Writes the page, with the date, the machine, the seed and the command before all else."""
        again = f"make chaos PART={self.part} SEED={self.seed} MINUTES={self.minutes:g}"
        head = [
            f"# {title}",
            f"{self.began:%-d %B %Y}, {machine()}. Seed {self.seed}; `{again}` does it again.",
        ]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("\n\n".join([*head, *self._blocks]) + "\n", encoding="utf-8")


def machine() -> str:
    """The machine, the code and what it runs on, in words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in ("dagster", "dbt-core", "duckdb"))
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB, {platform.system()}"
        f" {platform.release().split('-')[0]}, Python {platform.python_version()}, {packages},"
        f" commit {_commit()}"
    )


def noted(notes: Path) -> list[dict[str, Any]]:
    """The lines of a file of notes; one that was cut is left out."""
    found = []
    for line in notes.read_text(encoding="utf-8").splitlines() if notes.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def note(notes: Path, line: Mapping[str, Any]) -> None:
    """Adds a line to a file of notes, which other processes may add to as well."""
    with notes.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def by_kind(findings: Iterable[tuple[str, str]]) -> list[tuple[str, int, str]]:
    """Findings (what, case) that differ in names and numbers only, together: one of them in words,
    how many, and the first case; the most frequent first."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    for what, case in findings:
        kinds.setdefault(_VARYING.sub("#", what), []).append((what, case))
    listed = [(of[0][0], len(of), of[0][1]) for of in kinds.values()]
    return sorted(listed, key=lambda kind: -kind[1])


def _commit() -> str:
    done = subprocess.run(
        ["git", "-C", str(installed_root()), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def _source_digest(root: Path) -> str:
    """What was swept of other code says nothing about this."""
    digest = hashlib.blake2b(sys.version.encode(), digest_size=6)
    folders = ("sprint_platform", "sprint_dbt", "sprint_platform_tests/chaos")
    for path in sorted(p for folder in folders for p in (root / folder).rglob("*")):
        if path.suffix in (".py", ".c", ".sql", ".yml", ".yaml"):
            digest.update(path.read_bytes())
    return digest.hexdigest()
