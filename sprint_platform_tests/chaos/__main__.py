"""`make chaos PART=… MINUTES=… SEED=…`: runs a part, and writes its page in docs/chaos."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Annotated

import typer

from sprint_platform_tests.chaos.report import Report

PARTS = {
    "kills": "Killed at every file call",
    "errors": "Files that fail",
    "crowd": "A crowd",
    "years": "Years",
    "hands": "Bad hands",
}


def main(
    part: Annotated[str, typer.Argument(help=", ".join(PARTS))],
    minutes: Annotated[float, typer.Option(help="How long, at most.")] = 30,
    seed: Annotated[int, typer.Option(help="The same seed takes the same points.")] = 15,
    only: Annotated[str, typer.Option(help="Run this one case again, and write no page.")] = "",
) -> None:
    """Runs the part, and ends with 1 where it found something."""
    module = f"sprint_platform_tests.chaos.{part}"
    if part not in PARTS or find_spec(module) is None:
        raise SystemExit(f"there is no part {part!r}: PART is one of {', '.join(PARTS)}")
    report = Report(part, seed, minutes, only or None)
    print(f"{part}: seed {seed}, at most {minutes:g} minutes", flush=True)
    found = import_module(module).run(seed, minutes, report)
    if not only:
        report.save(PARTS[part])
        print(f"written: {report.path}")
    if found:
        raise SystemExit(f"{part}: {found} kinds of findings")


if __name__ == "__main__":
    typer.run(main)
