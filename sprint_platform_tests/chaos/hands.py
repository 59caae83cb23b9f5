"""The part *hands* of `make chaos`: hostile values, mutated titles, canary secrets, zones."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
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
from sprint_platform_tests.chaos.report import Report, note, noted
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


def run(seed: int, minutes: float, report: Report) -> int:
    """Sends everything, in at most about so many minutes, and reports; the number of faults. Each
    part that ended is noted: the same command goes on with the others."""
    ends = time.monotonic() + 60 * minutes
    done = [Counts(**line) for line in noted(report.notes)]
    left_over = []
    with tempfile.TemporaryDirectory(prefix="hands-") as temporary:
        folder, parsed = Path(temporary, "sandbox"), Path(temporary, "parsed")
        parsed.mkdir()
        for name in parts(Sandbox(folder), seed, parsed):
            if report.only not in (None, name) or any(name == counts.part for counts in done):
                continue
            counts = _counted(name, folder, parsed, seed, ends)
            if counts is None:
                left_over.append(name)
                continue
            done.append(counts)
            note(report.notes, counts._asdict())
            print(f"{name}: {len(counts.faults)} faults ({counts.seconds:.0f} s)", flush=True)
    report("What is sent works and comes out as it went in, or is refused in one line.")
    report.table(
        ("what was sent", "worked", "refused", "faults", "seconds"),
        (
            (c.part, f"{c.worked:,}", f"{c.refused:,}", len(c.faults), f"{c.seconds:.0f}")
            for c in done
        ),
    )
    faults = [fault for counts in done for fault in counts.faults]
    for fault in faults if report.only else ():
        print(fault)
    report("## What was found")
    report("\n".join(f"- {fault}" for fault in faults) if faults else "Nothing.")
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
