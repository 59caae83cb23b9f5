"""Titles as a careless hand leaves them: each loads and simulates a day, or is refused by the path,
the value and what is allowed."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from sprint_platform.core.errors import SprintError
from sprint_platform.landing.files import landing_dir
from sprint_platform.landing.land import land
from sprint_platform.places import installed_root
from sprint_platform.simulation.faults import delivered
from sprint_platform.simulation.world import World
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title, TitleError, read_title
from sprint_platform_tests.chaos.hostile_values import HOSTILE, REFUSED, WORKS, Outcome
from sprint_platform_tests.worlds import SIMULATED

# How many players of a title are simulated: some titles have millions.
PLAYERS = 40

Path_ = tuple[Any, ...]


class Mutated(NamedTuple):
    """A title's YAML, and what was changed in it, for people."""

    name: str
    text: str
    changes: tuple[str, ...]


def _bases() -> dict[str, str]:
    """The YAML of every shipped and example title, by name."""
    root = installed_root()
    folders = (root / "sprint_platform" / "titles", root / "examples" / "titles")
    files = [path for folder in folders for path in sorted(folder.glob("*.yaml"))]
    return {path.stem: path.read_text(encoding="utf-8") for path in files}


BASES = _bases()


def _nested(depth: int) -> Any:
    part: Any = 1
    for _ in range(depth):
        part = [part]
    return part


NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 1, 2**31, 2**63, 10**12, 10**400, 0.5, -0.0, 1e308, 5e-324]),
    st.sampled_from([math.nan, math.inf, -math.inf]),
)
# what YAML can say
TEXTS = st.sampled_from([value for value in HOSTILE if value.isprintable()])
VALUES = st.one_of(
    NUMBERS,
    st.sampled_from([None, True, False, [], {}, [0, 1], [1, 0], {"a": 1}, {1: 2}, _nested(60)]),
    TEXTS,
    st.dates(),
    st.datetimes(),
    st.binary(max_size=8),
)


def _places(part: Any, at: Path_ = ()) -> Iterator[Path_]:
    """Every place in the YAML below the top."""
    inner = part.items() if isinstance(part, dict) else enumerate(part)
    for step, value in inner:
        yield (*at, step)
        if isinstance(value, dict | list):
            yield from _places(value, (*at, step))


def _changed(draw: st.DrawFn, random: Random, part: Any, last: Any) -> str:
    """Changes ``part[last]``, and says how."""
    value = part[last]
    can = ["another value"]
    if isinstance(part, dict):
        can += ["gone", "under another name"]
    if isinstance(value, int | float):
        can += ["a little off"] * 4 + ["at an end"]
    if isinstance(value, dict):
        can += ["one share takes another's"] * 4 + ["one more key"]
    how = random.choice(can)
    if how == "another value":
        part[last] = copy.deepcopy(draw(VALUES))
    elif how == "gone":
        del part[last]
    elif how == "under another name":
        part[f"{last}s"] = part.pop(last)
    elif how == "a little off":
        part[last] = type(value)(value * random.choice([-1, 0.5, 0.9, 1.1, 2, 10]))
    elif how == "at an end":
        part[last] = random.choice([0, 1, 0.0, 1.0, 8, 20, 30, 3600, 2**31, 2**63 - 1])
    elif how == "one more key":
        value[draw(TEXTS)] = copy.deepcopy(draw(VALUES))
    else:
        numbers = [key for key, number in value.items() if isinstance(number, int | float)]
        if len(numbers) > 1:
            giver, taker = random.sample(numbers, 2)
            value[taker] = round(value[taker] + value[giver], 6)
            value[giver] = 0
    return how


@st.composite
def mutated(draw: st.DrawFn) -> Mutated:
    """A title with one to three changes, or a text that breaks off."""
    # uniform: hypothesis itself comes back to the first of a list again and again
    random = draw(st.randoms(use_true_random=True))
    name = random.choice(sorted(BASES))
    content = copy.deepcopy(yaml.safe_load(BASES[name]))
    changes = []
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        *parents, last = random.choice(list(_places(content)))
        part = content
        for step in parents:
            part = part[step]
        how = _changed(draw, random, part, last)
        changes.append(f"{'.'.join(map(str, (*parents, last)))}: {how}")
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    if not random.randrange(15):
        at = random.randrange(len(text))
        text = text[:at] + random.choice(["", "\t", ": ", "- ", "&a *a", "!!int x", "'", "{"])
        changes.append(f"breaks off at {at}")
    return Mutated(name, text, tuple(changes))


def judged(title: Mutated, folder: Path) -> str:
    """What became of the title: ``works``, ``refused``, or what is wrong."""
    path = folder / f"{title.name}.yaml"
    path.write_text(title.text, encoding="utf-8")
    try:
        loaded = read_title(path)
    except TitleError as error:
        return _judged_refusal(str(error), f"{path}:")
    except Exception as error:  # noqa: BLE001
        return f"loading: {type(error).__name__}: {error}"
    try:
        _small_day(loaded)
    except SprintError as error:
        return _judged_refusal(str(error), "")
    except Exception as error:  # noqa: BLE001
        return f"simulating: {type(error).__name__}: {error}"
    return WORKS


def _judged_refusal(message: str, begins: str) -> str:
    said = message.isprintable() and len(message) < 2000 and message.startswith(begins)
    return REFUSED if said else f"the message {message!r}"


def _small_day(title: Title) -> None:
    """Simulates the launch day and the next, of few players; a landed title lands a record."""
    if title.simulation is None:
        _land_a_record(title)
        return
    world = World(_small(title))
    for day in (title.launch_date, title.launch_date + timedelta(days=1)):
        for dataset in SIMULATED:
            for table in getattr(world, dataset)(day):
                _check(table, dataset)
                if title.faults is not None and table.num_rows:
                    delivered(title, dataset, table, day, 0)


def _check(table: Any, dataset: str) -> None:
    contract = DATASETS[dataset]
    if table.schema != contract.arrow_schema:
        raise AssertionError(f"{dataset} has not its contract's columns")
    table.validate(full=True)


def _small(title: Title) -> Title:
    assert title.simulation is not None
    growth = title.simulation.growth
    number = {"compound": "starting_players", "steady": "active_players"}.get(
        growth.kind, "players"
    )
    few = growth.model_copy(update={number: min(getattr(growth, number), PLAYERS)})
    simulation = title.simulation.model_copy(update={"growth": few})
    return title.model_copy(update={"simulation": simulation})


def _land_a_record(title: Title) -> None:
    """Lands a record of each of the title's datasets, in the names of the contract."""
    for dataset in title.landing_settings.datasets:
        path = landing_dir(title.name) / dataset / "one.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {
            column.name: f"{title.launch_date}T12:00:00Z" if column.type == "timestamp" else "1"
            for column in DATASETS[dataset].columns
        }
        path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    land(title, dry_run=True)


def mutation_outcomes(number: int, start: int, folder: Path) -> list[Outcome]:
    """What became of so many mutated titles, of the seed ``start``. The data folder is the
    caller's."""
    found: list[Outcome] = []

    @seed(start)
    @settings(
        max_examples=number,
        derandomize=False,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated())
    def judge(title: Mutated) -> None:
        found.append(Outcome(title.name, "; ".join(title.changes), judged(title, folder)))

    judge()
    return found
