"""A command is killed, at each of its file calls and at random moments: what it was about to
replace is the old or the new content, and the next run ends as if nothing had been."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from sprint_platform_tests.chaos import check, forks, sweeps
from sprint_platform_tests.chaos.file_calls import Point
from sprint_platform_tests.chaos.place import Place
from sprint_platform_tests.chaos.report import Report
from sprint_platform_tests.chaos.sweep import Case, Disturbed, Prepared, at_a_moment, at_a_point

# Of each scenario.
MOMENTS = 20
# Of the writes on one kind of file; the other calls are swept one and all.
TEARS = 2


def plan(prepared: Sequence[Prepared], seed: int) -> Iterator[Case]:
    """Every point, in the order in which they are swept: one of each kind of call, file and
    scenario, among the random moments; then those of cheap scenarios, whole; then the others, again
    one of each kind at a time."""
    cheap: list[list[Case]] = []
    others: list[list[Case]] = []
    for one in prepared:
        name = one.scenario.name
        for (call, files), numbers in sorted(one.calls.items()):
            if call == "read":
                continue
            how, most = ("tear", TEARS) if call == "write" else ("kill", len(numbers))
            order = random.Random(f"{seed} {name} {call} {files}")
            shuffled = order.sample(numbers, min(most, len(numbers)))
            cases = [Case(name, how, Point(call, files, n)) for n in shuffled]
            (cheap if one.scenario.cheap else others).append(cases)
    first = [cases[0] for cases in (*cheap, *others)]
    for one in prepared:
        chance = random.Random(f"{seed} {one.scenario.name} moments")
        for _ in range(MOMENTS):
            first.append(Case(one.scenario.name, "moment", moment=round(chance.random(), 4)))
    random.Random(f"{seed} first").shuffle(first)
    yield from first
    yield from (case for cases in cheap for case in cases[1:])
    for turn in range(1, max((len(cases) for cases in others), default=0)):
        cases = [of[turn] for of in others if turn < len(of)]
        random.Random(f"{seed} {turn}").shuffle(cases)
        yield from cases


def disturb(place: Place, prepared: Prepared, case: Case) -> Disturbed:
    """Runs the scenario, killed where the case says."""
    if case.point is None:
        return at_a_moment(place, prepared, case.moment)
    return at_a_point(place, prepared, case.point, case.how)


def judge(prepared: Prepared, disturbed: Disturbed, now: check.Found) -> list[str]:
    """What is wrong with how the command ended."""
    if disturbed.met is None and disturbed.ended.code:
        return [f"undisturbed, it ended with {disturbed.ended.code}"]
    if disturbed.met is not None and disturbed.ended.code == forks.HANGS:
        return ["it hangs"]
    return []


def run(seed: int, minutes: float, report: Report) -> int:
    """Sweeps for these minutes, and reports; the number of kinds of findings."""
    report(
        "Each command ran in a process that had everything imported, over a title of 30 players, 30"
        " players of the event log and 40 customers of the store, and was killed (SIGKILL) right"
        " before a file call: an open for writing, a rename, an unlink, an fsync (a commit of"
        " DuckDB's or SQLite's is one), a truncation or a new folder. Of the writes on each kind of"
        f" file {TEARS} were torn: half was written, then it was killed. The calls were counted in"
        " an undisturbed run, by a preloaded library that sees those of DuckDB, SQLite and Arrow,"
        " too."
    )
    report(
        "After each: the database opens; every partition of files, of tables and of what is"
        " published holds the old or the new rows, and a table's periods all the same; what the"
        " ledgers say is of the rows that are there; every view can be read; no lock is held. After"
        " the next run of the same command: the content of an undisturbed history, and no file more"
        " than that has. The checker is SQL over files and tables, and none of the product's code."
    )
    return sweeps.swept(seed, minutes, report, "Killed")
