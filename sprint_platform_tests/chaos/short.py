"""What `make test` has the time for: a few dozen kills, one of each kind, and some errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from sprint_platform_tests.chaos import check, errors, kills
from sprint_platform_tests.chaos.place import Place
from sprint_platform_tests.chaos.sweep import Case, Disturbed, Prepared, at_a_point

KILLS, ERRORS = 13, 3


def plan(prepared: Sequence[Prepared], seed: int) -> Iterator[Case]:
    """Of each scenario the first kills and errors that a whole sweep would begin with."""
    for one in prepared:
        for plan_of, most in ((kills.plan, KILLS), (errors.plan, ERRORS)):
            yield from islice((case for case in plan_of([one], seed) if case.point), most)


def disturb(place: Place, prepared: Prepared, case: Case) -> Disturbed:
    """Runs the scenario with the case's kill or error."""
    assert case.point is not None
    return at_a_point(place, prepared, case.point, case.how)


def judge(prepared: Prepared, disturbed: Disturbed, now: check.Found) -> list[str]:
    """What is wrong with how the command ended."""
    killed = disturbed.ended.code == -9
    return (kills if killed else errors).judge(prepared, disturbed, now)
