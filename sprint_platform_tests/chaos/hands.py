"""The part *hands* of `make chaos`: hostile values, mutated titles, canary secrets, zones."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from sprint_platform.core.settings import Settings
from sprint_platform_tests.chaos.canaries import secret_outcomes
from sprint_platform_tests.chaos.hostile_records import record_outcomes
from sprint_platform_tests.chaos.hostile_values import (
    COMMANDS,
    FIGURES,
    HOSTILE,
    LEAVES,
    REFUSED,
    WORKS,
    Outcome,
    Sandbox,
    command_outcomes,
    folder_outcomes,
    patched_environment,
    project_outcomes,
    sandbox,
    setting_outcomes,
    title_outcome,
)
from sprint_platform_tests.chaos.mutated_titles import mutation_outcomes
from sprint_platform_tests.chaos.zones import zone_outcomes
from sprint_platform_tests.parsed_once import parsed_once

MUTATED_TITLES = 200


def parts(box: Sandbox, seed: int, parsed: Path) -> dict[str, Iterator[Outcome]]:
    """The parts by name; ``parsed`` is a folder for what dbt parses."""
    return {
        "secrets in output, logs, history, artifacts, files": secret_outcomes(box),
        "zones, days of the calendar, `-O`": zone_outcomes(box, parsed),
        "mutated titles": _mutated(box, seed),
        "landed values, names of files and columns, addresses": record_outcomes(box),
        "titles' values and keys": _titles(box),
        "names of project folders": project_outcomes(box, HOSTILE),
        "exported settings": setting_outcomes(box, Settings.model_fields, HOSTILE),
        "settings in `.env`": setting_outcomes(
            box, Settings.model_fields, HOSTILE, box.project / ".env"
        ),
        "arguments of commands": command_outcomes(box, COMMANDS, HOSTILE),
        "names of data folders": folder_outcomes(box, HOSTILE),
    }


class Counts(NamedTuple):
    """What became of what a part sent."""

    part: str
    worked: int
    refused: int
    faults: list[str]
    seconds: float


def run(seed: int, minutes: float, report: Callable[[str], None]) -> int:
    """Sends everything, in at most about so many minutes, and reports it in Markdown. Returns how
    many faults were found. A report with a file of ``notes`` has each part in it that ended: the
    same run goes on with the others."""
    ends = time.monotonic() + 60 * minutes
    notes: Path | None = getattr(report, "notes", None)
    noted = notes.read_text(encoding="utf-8").splitlines() if notes and notes.exists() else []
    done = [Counts(**json.loads(line)) for line in noted]
    left_over = []
    with tempfile.TemporaryDirectory(prefix="hands-") as temporary:
        folder, parsed = Path(temporary, "sandbox"), Path(temporary, "parsed")
        parsed.mkdir()
        for name in parts(Sandbox(folder), seed, parsed):
            if any(name == counts.part for counts in done):
                continue
            counts = _counted(name, folder, parsed, seed, ends)
            if counts is None:
                left_over.append(name)
                continue
            done.append(counts)
            if notes:
                with notes.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(counts._asdict()) + "\n")
    report("What is sent works and comes out as it went in, or is refused in one line.")
    head = ("| what was sent | worked | refused | faults | seconds |", "|---|---:|---:|---:|---:|")
    rows = (
        f"| {c.part} | {c.worked:,} | {c.refused:,} | {len(c.faults):,} | {c.seconds:.0f} |"
        for c in done
    )
    report("\n".join([*head, *rows]))
    faults = [fault for counts in done for fault in counts.faults]
    if faults:
        report("\n".join(f"- {fault}" for fault in faults))
    if left_over:
        report(f"Not run, as {minutes:g} minutes were over: {', '.join(left_over)}.")
    return len(faults)


def _counted(name: str, folder: Path, parsed: Path, seed: int, ends: float) -> Counts | None:
    """Runs a part in a new sandbox. None where the time was over before it ended."""
    began = time.monotonic()
    found: Counter[str] = Counter()
    faults: list[str] = []
    try:
        with sandbox(folder) as box, parsed_once(parsed):
            for outcome in parts(box, seed, parsed)[name]:
                if time.monotonic() > ends:
                    return None
                found[outcome.became] += 1
                if outcome.is_fault:
                    faults.append(f"{outcome.where}, {outcome.value[:80]!r}: {outcome.became}")
            if box.figures() != FIGURES:
                faults.append("another title's table was changed")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Counts(name, found[WORKS], found[REFUSED], faults, time.monotonic() - began)


def _mutated(box: Sandbox, seed: int) -> Iterator[Outcome]:
    with patched_environment(box.environment):
        yield from mutation_outcomes(MUTATED_TITLES, seed, box.folder / "titles")


def _titles(box: Sandbox) -> Iterator[Outcome]:
    for leaf in LEAVES:
        for value in HOSTILE:
            for as_key in (False, True):
                yield title_outcome(box.folder / "titles", leaf, value, as_key)
