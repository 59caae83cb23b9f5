"""Golden digests: what the shipped titles' records are, to the last bit.

``python -m sprint_platform_tests.golden`` writes ``golden_digests.json`` anew. Do so only when the
records are meant to change, together with ``SIMULATION_VERSION`` once a version is released.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from sprint_platform.simulation.world import World
from sprint_platform.title import SIMULATION_VERSION, Title
from sprint_platform_tests.worlds import SIMULATED, digest

PATH = Path(__file__).parent / "golden_digests.json"
TITLES = ("sprint", "leap")
# the launch, an ordinary day, a month's end, a leap-day's neighbour a year on
DAYS = (date(2025, 1, 1), date(2025, 1, 8), date(2025, 2, 28), date(2026, 3, 1))

Digests = dict[str, dict[str, dict[str, str]]]


def digests() -> Digests:
    """The digests of every dataset by title and day, in fresh worlds."""
    return {
        name: {
            day.isoformat(): {dataset: digest(world, dataset, day) for dataset in SIMULATED}
            for day in DAYS
        }
        for name, world in ((name, World(Title.load(name))) for name in TITLES)
    }


def golden() -> Digests:
    """The digests that were written down."""
    recorded: Digests = json.loads(PATH.read_text(encoding="utf-8"))["digests"]
    return recorded


def main() -> None:
    content = {"simulation_version": SIMULATION_VERSION, "digests": digests()}
    PATH.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {PATH}")


if __name__ == "__main__":
    main()
