"""One process of a sweep: it has everything imported, and one command after another of it dies, or
has an error, at a point of its own. ``sweeps`` starts it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from sprint_platform_tests.chaos import check, file_calls, forks
from sprint_platform_tests.chaos.file_calls import Point
from sprint_platform_tests.chaos.place import Place
from sprint_platform_tests.chaos.report import note, noted
from sprint_platform_tests.chaos.scenarios import SCENARIOS, SHORT, Scenario, run


@dataclass(frozen=True)
class Asked:
    """What a process is asked for. ``part`` is the module that plans, disturbs and judges; each
    case is added to the file ``notes``. It ends at the time ``until`` (Unix); ``only`` is the name
    of the one case to sweep. After each ``chain`` cases the commands are run undisturbed, and a
    fresh folder is taken. ``graph`` is a data folder's `dbt/graph` where it was parsed already."""

    part: str
    seed: int
    notes: str
    folder: str
    scenarios: tuple[str, ...]
    until: float
    chain: int = 1
    graph: str | None = None
    only: str | None = None


@dataclass(frozen=True)
class Case:
    """What happens to a scenario: ``how``, at a point, or at a ``moment``."""

    scenario: str
    how: str
    point: Point | None = None
    moment: float = 0.0

    def __str__(self) -> str:
        where = str(self.point) if self.point else f"{self.moment:g}"
        return f"{self.scenario} {self.how} {where}"


@dataclass(frozen=True)
class Prepared:
    """A scenario's folder before an undisturbed run and after each of its commands (``states``);
    ``calls`` are that run's calls, by kind and by the pattern of their files; ``folders`` are there
    before it, ``bytes`` after it."""

    scenario: Scenario
    states: tuple[check.Found, ...]
    files: Counter[str]
    folders: frozenset[str]
    bytes: int
    calls: Mapping[tuple[str, str], list[int]]
    seconds: float


@dataclass(frozen=True)
class Disturbed:
    """How a disturbed command ended, and what it met: None where it did not get there."""

    ended: forks.Ended
    met: str | None


class Broken(Exception):
    """An undisturbed command failed: there is nothing to compare with."""


def started(asked: Asked) -> subprocess.Popen[str]:
    """A process that sweeps, and prints a line for each case."""
    place = Place(Path(asked.folder))
    place.make()
    preloaded = file_calls.library(place.folder.parent)
    return subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import main; main()", json.dumps(asdict(asked))],
        env={**place.environment(), "LD_PRELOAD": str(preloaded)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def prepare(place: Place, scenario: Scenario) -> Prepared:
    """Fills a folder, stores it, and runs the scenario undisturbed once, to count its calls."""
    place.empty(history=scenario.history)
    # dbt's graph is the same for all, and takes seconds to parse
    graph = place.scratch / "graph"
    if graph.exists():
        shutil.copytree(graph, place.data / "dbt" / "graph")

    def do(*command: Any) -> None:
        task = command[0] if callable(command[0]) else forks.sprint(*command)
        _must(forks.forked(task, place.scratch / "prepare.log"), f"{scenario.name}, before it")

    scenario.prepare(place, do)
    if not graph.exists():
        shutil.copytree(place.data / "dbt" / "graph", graph)
        forks.parse_with_dbt(shutil.copytree(graph / "target", place.scratch / "target"))
    place.store(scenario.name)
    folders = frozenset(str(path.relative_to(place.work)) for path in place.work.rglob("*"))
    states = [found(place)]
    for number in range(1, len(scenario.commands)):
        place.restore(scenario.name)
        first = replace(scenario, commands=scenario.commands[:number])
        _must(
            forks.forked(run(first), place.scratch / "undisturbed.log"), f"{scenario.name}, first"
        )
        states.append(found(place))
    place.restore(scenario.name)
    log, modules = place.scratch / "calls", place.scratch / "modules"
    log.unlink(missing_ok=True)

    def listed() -> None:
        file_calls.arm(place.work, "list", log)
        run(scenario)()
        modules.write_text("\n".join(sys.modules))

    ended = forks.forked(listed, place.scratch / "undisturbed.log")
    _must(ended, f"{scenario.name}, undisturbed")
    forks.import_everything(modules.read_text().splitlines())
    states.append(found(place))
    if wrong := [line for state in states for line in state.wrong]:
        raise Broken(f"{scenario.name}, undisturbed: {wrong}")
    return Prepared(
        scenario,
        tuple(states),
        check.files_of(place.work),
        folders,
        sum(path.stat().st_blocks * 512 for path in place.work.rglob("*")),
        {
            (call, files): numbers
            for (call, files), numbers in file_calls.counted(log).items()
            if not scenario.history or files == "home/*"
        },
        ended.seconds,
    )


def at_a_point(place: Place, prepared: Prepared, point: Point, how: str) -> Disturbed:
    """Runs the scenario; at the point it is killed ("kill", "tear"), or the call fails with an
    error ("EIO"; "ENOSPC+": and all that need space after it)."""
    log = place.scratch / "met"
    log.write_text("")

    def armed() -> None:
        if how in ("kill", "tear"):
            file_calls.arm(place.work, how, log, point)
        else:
            action = "fail on" if how.endswith("+") else "fail"
            file_calls.arm(place.work, action, log, point, how.rstrip("+"))
        run(prepared.scenario)()

    ended = forks.forked(armed, place.scratch / "disturbed.log")
    return Disturbed(ended, file_calls.met(log))


def at_a_moment(place: Place, prepared: Prepared, moment: float) -> Disturbed:
    """Runs the scenario, and kills it after this share of the time that an undisturbed run
    takes."""
    ended = forks.forked(
        run(prepared.scenario),
        place.scratch / "disturbed.log",
        kill_after=moment * prepared.seconds,
    )
    return Disturbed(ended, "a moment" if ended.code == -9 else None)


def after(place: Place, prepared: Prepared) -> list[str]:
    """Runs the same commands undisturbed, and says what differs from a history that was never
    disturbed."""
    ended = forks.forked(run(prepared.scenario), place.scratch / "again.log")
    if ended.code:
        lines = ended.output.strip().splitlines() or ["no output"]
        return [f"the next run ends with {ended.code}: {lines[-1]}"]
    left = check.left_over(prepared.files, check.files_of(place.work))
    return [*check.differences(prepared.states[-1], found(place)), *left]


def found(place: Place) -> check.Found:
    """What the project holds, read in a fork."""
    return forks.answer_of(lambda: check.found_in(place.work, place.scratch), place.scratch)


def main() -> None:
    given = json.loads(sys.argv[1])
    asked = Asked(**{**given, "scenarios": tuple(given["scenarios"])})
    part = import_module(f"sprint_platform_tests.chaos.{asked.part}")
    place, notes = Place(Path(asked.folder)), Path(asked.notes)
    forks.import_everything(forks.MODULES)
    if asked.graph:
        shutil.copytree(asked.graph, place.scratch / "graph")
    prepared: dict[str, Prepared] = {}
    for scenario in (*SCENARIOS, *SHORT):
        if scenario.name in asked.scenarios:
            prepared[scenario.name] = one = prepare(place, scenario)
            print(f"{scenario.name} is prepared: {one.seconds:.1f} s undisturbed", flush=True)
    done = {line["case"] for line in noted(notes) if "case" in line}
    cases = list(part.plan(list(prepared.values()), asked.seed))
    counted = Counter((c.scenario, c.how, c.point.call if c.point else "") for c in cases)
    note(notes, {"counted": [[*key, number] for key, number in sorted(counted.items())]})
    wanted = [case for case in cases if asked.only in (None, str(case)) and str(case) not in done]
    for number, case in enumerate(wanted):
        if time.time() > asked.until:
            break
        one = prepared[case.scenario]
        follows = number % asked.chain and wanted[number - 1].scenario == case.scenario
        if not follows:
            place.restore(case.scenario)
        following = wanted[number + 1].scenario if number + 1 < len(wanted) else None
        ends = (number + 1) % asked.chain == 0 or following != case.scenario
        line = _swept(part, place, one, case, ends)
        note(notes, line)
        wrong = [*line["then"], *line["next"]]
        print(f"{case}: {'; '.join(wrong) or 'right'} ({line['seconds']} s)", flush=True)


def _swept(part: Any, place: Place, prepared: Prepared, case: Case, ends: bool) -> dict[str, Any]:
    """What a case met, how it ended, and what is wrong right after it (``then``) and, where it
    ``ends`` a chain, after the next run (``next``)."""
    began = time.monotonic()
    disturbed = part.disturb(place, prepared, case)
    now = found(place)
    then = check.between(prepared.states, now)
    then += part.judge(prepared, disturbed, now)
    following = after(place, prepared) if ends else []
    return {
        "case": str(case),
        "scenario": case.scenario,
        "how": case.how,
        "call": case.point.call if case.point else "",
        "files": case.point.files if case.point else "",
        "met": disturbed.met,
        "code": disturbed.ended.code,
        "then": then,
        "next": following,
        "output": disturbed.ended.output[-2000:] if then or following else "",
        "seconds": round(time.monotonic() - began, 2),
    }


def _must(ended: forks.Ended, what: str) -> None:
    if ended.code:
        raise Broken(f"{what}: it ends with {ended.code}: {ended.output[-2000:]}")
