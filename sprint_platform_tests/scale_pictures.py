"""`python -m sprint_platform_tests.scale_pictures`: the pictures of docs/scale.md, drawn from what
`make bench` measured (`.cache/bench.json`, with its parts `sizes` and `history`)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

from sprint_platform.core.project import installed_root

MEASURED = Path(".cache") / "bench.json"


def main() -> None:
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    draw(points(measured, r"day_of_(\d+)_seconds"), "players active on the day", "scale-players")
    draw(points(measured, r"day_after_(\d+)_seconds"), "days of history before it", "scale-history")


def points(measured: dict[str, object], key: str) -> dict[int, float]:
    """What was measured under keys of that form, by the number in them, ascending. Raises KeyError
    where nothing was."""
    found = {int(m[1]): float(str(v)) for k, v in measured.items() if (m := re.fullmatch(key, k))}
    if not found:
        raise KeyError(f"{MEASURED} has no {key}: make bench measures it")
    return dict(sorted(found.items()))


def draw(seconds: dict[int, float], across: str, name: str) -> None:
    """Seconds of a day through the whole graph, as ``docs/<name>.svg``."""
    # the same picture from the same figures
    matplotlib.rcParams["svg.hashsalt"] = name
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    axes.plot(list(seconds), list(seconds.values()), "o-", color="#2a6f97")
    for number, value in seconds.items():
        axes.annotate(
            f"{value:.0f} s", (number, value), (-3, 9), textcoords="offset points", ha="center"
        )
    axes.set(xscale="log", xlabel=across, ylabel="seconds, whole graph")
    axes.set_ylim(0, max(seconds.values()) * 1.2)
    axes.set_xticks(list(seconds), [f"{number:,}" for number in seconds], minor=False)
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(installed_root() / "docs" / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
