"""Which days are built, and which are missing: by the ledger's copy, without opening the database.

A day is missing where some published model was not built for it. Between built days that is a gap,
which distorts what is counted over several days; after the last of them it is only not built yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sprint_platform.domain import Batches, Domain
from sprint_platform.storage.ledger import Standing, title_ledger
from sprint_platform.title import Title


@dataclass(frozen=True)
class Coverage:
    """Built and missing days, each in ascending order: ``built``; ``gaps``, missing before the last
    built day; and ``tail``, missing after it. ``command`` builds both, ``gap_command`` the gaps
    alone. ``pruned`` are those of the built days whose records were pruned."""

    built: tuple[date, ...]
    gaps: tuple[date, ...]
    tail: tuple[date, ...]
    command: str
    gap_command: str
    pruned: tuple[date, ...] = ()

    @property
    def missing(self) -> int:
        return len(self.gaps) + len(self.tail)


def title_coverage(title: Title, last: date) -> Coverage | None:
    """The title's days from its launch to the ``last``; None where nothing was published by this
    version. A day that a studio did not deliver is not missing: for its titles only days count that
    are loaded and not built."""
    standing = title_ledger(title.name).published_standing()
    if standing is None:
        return None
    if title.lands and title.faults is None:
        behind = {max(day, title.launch_date) for day in _days(standing.unbuilt, date.min)}
        built = [d for d in _days(standing.built, title.launch_date) if d not in behind]
        command = f"sprint land --title {title.name}"
        pruned = _days(standing.pruned, title.launch_date)
        return Coverage(tuple(built), tuple(sorted(behind)), (), command, command, pruned)
    command = f"sprint run --title {title.name} --missing"
    return coverage(standing, title.launch_date, last, command, "--to")


def domain_coverage(domain: Domain, last: date) -> Coverage | None:
    """The days of a domain from outside, from its first to the ``last``; None where it has batches,
    or nothing was published."""
    standing = domain.ledger.published_standing()
    if standing is None or isinstance(domain.periods, Batches):
        return None
    command = f"sprint domain run {domain.name} --missing"
    return coverage(standing, domain.periods.first, last, command, "--to")


def coverage(
    standing: Standing, first: date, last: date, command: str, until: str = ""
) -> Coverage:
    """The days from the ``first`` to the ``last``, each of which should be built. ``until`` is the
    command's option for its last day, where it has one."""
    built = _days(standing.built, first)
    wanted = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    there = set(built)
    missing = [day for day in wanted if day not in there]
    end = built[-1] if built else date.min
    gaps = tuple(day for day in missing if day < end)
    return Coverage(
        built,
        gaps,
        tuple(day for day in missing if day > end),
        command,
        f"{command} {until} {gaps[-1]}" if until and gaps else command,
        _days(standing.pruned, first),
    )


def yesterday() -> date:
    """The last day (UTC) that is over: the schedule builds it next."""
    return datetime.now(UTC).date() - timedelta(days=1)


def _days(periods: tuple[str, ...], first: date) -> tuple[date, ...]:
    """The periods from the ``first`` day on: players may sign up before a title's launch."""
    return tuple(day for period in periods if (day := date.fromisoformat(period)) >= first)
