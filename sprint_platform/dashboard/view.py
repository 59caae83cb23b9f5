"""Reading the address: a title, days, a country, a batch, and the replay's day and session.

The address has all of them, so that a view can be shared. Values that it leaves out come from the
data: an address without days shows the latest ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar
from urllib.parse import parse_qs, urlencode
from uuid import UUID

import duckdb
from dash import get_relative_path

from sprint_platform.core.window import EARLIEST, LATEST
from sprint_platform.dashboard import wording
from sprint_platform.dashboard.day_axis import Days
from sprint_platform.dashboard.published import (
    NothingPublished,
    PublishedDomain,
    PublishedTitle,
    published_title,
    published_titles,
)
from sprint_platform.dashboard.queries.activity import countries
from sprint_platform.publish.coverage import Coverage

T = TypeVar("T")

# The number of days that are shown where the address names none.
DAYS_SHOWN = 90
# With so many published days or more, half of them are left for the period before.
DAYS_TO_COMPARE = 28


@dataclass(frozen=True)
class Dates:
    """The days of a page: ``first`` and ``last`` are inclusive; ``published`` are the first and the
    last day that there are; ``coverage`` says which are missing, None where that is not known.
    ``notes`` are sentences on values of the address that were replaced."""

    first: date
    last: date
    published: tuple[date, date]
    coverage: Coverage | None
    notes: tuple[str, ...]

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def before(self) -> tuple[date, date] | None:
        """The first and last day of the period of the same length before this one. None where it is
        not published whole, or days of either are missing: sums of fewer days do not compare."""
        first, last = self.first - timedelta(days=self.days), self.first - timedelta(days=1)
        gap = self.coverage and any(first <= day <= self.last for day in self.coverage.gaps)
        return (first, last) if first >= self.published[0] and not gap else None

    @property
    def axis(self) -> Days:
        """The days of a chart's axis: these, as far as they are published."""
        first, last = self.published
        if last < self.first or self.last < first:
            first, last = self.first, self.last
        first, last = max(first, self.first), min(last, self.last)
        gaps = self.coverage.gaps if self.coverage else ()
        return Days(first, last, [day for day in gaps if first <= day <= last])

    @property
    def grain(self) -> str:
        """The period of a table's rows (day, week or month), for at most some thirty rows."""
        return "day" if self.days <= 31 else "week" if self.days <= 217 else "month"


@dataclass(frozen=True)
class View(Dates):
    """The values of a title's address. ``country`` None is all countries; ``day`` and ``session``
    are the replay's, None where the address names none."""

    title: PublishedTitle
    titles: tuple[str, ...]
    country: str | None = None
    day: date | None = None
    session: UUID | None = None


@dataclass(frozen=True)
class DomainView(Dates):
    """The values of an address of the store or the event log; ``batch`` None is all batches."""

    domain: PublishedDomain
    batch: int | None = None


def read_view(con: duckdb.DuckDBPyConnection, search: str | None) -> View:
    """The view of the address's query string. An impossible value is replaced by the default, and
    noted. Raises NothingPublished where no title has key figures."""
    asked = asked_for(search)
    titles = published_titles(con)
    notes: list[str] = []
    title = _title(con, titles, asked.get("title"), notes)
    if title.first is None or title.last is None:
        raise NothingPublished(
            f"the title {title.name} has no key figures (kpi_daily) there", title.name
        )
    first, last = _days(title.first, title.last, title.days, asked, notes)
    return View(
        title=title,
        titles=tuple(titles),
        first=first,
        last=last,
        published=(title.first, title.last),
        coverage=title.coverage,
        country=_country(con, title, asked.get("country"), notes),
        day=_read(_day, asked.get("day"), "day", notes),
        session=_read(UUID, asked.get("session"), "session", notes),
        notes=tuple(notes),
    )


def read_domain_view(domain: PublishedDomain, search: str | None) -> DomainView:
    """The view of the store or the event log that the query string asks for. An impossible value is
    replaced by the default, and noted."""
    asked, notes = asked_for(search), list[str]()
    first, last = _days(domain.first, domain.last, domain.days, asked, notes)
    batch = _read(int, asked.get("batch"), "batch", notes) if domain.batches else None
    if batch is not None and batch not in domain.batches:
        notes.append(f"There is no batch {batch}; these are all batches.")
        batch = None
    return DomainView(
        domain=domain,
        first=first,
        last=last,
        published=(domain.first, domain.last),
        coverage=domain.coverage,
        batch=batch,
        notes=tuple(notes),
    )


def address(asked: str | None, **changed: str | None) -> str:
    """The query string ``asked`` with the values of ``changed``; None removes a value."""
    values = asked_for(asked)
    for name, value in changed.items():
        values.pop(name, None)
        if value is not None:
            values[name] = value
    return f"?{urlencode(values)}" if values else ""


def href(path: str, asked: str | None = None, **changed: str | None) -> str:
    """A link to the page at ``path`` with that query string, below the path at which the dashboard
    is served."""
    return str(get_relative_path(path)) + address(asked, **changed)


def asked_for(search: str | None) -> dict[str, str]:
    """The values of the query string, by name."""
    return {name: values[-1] for name, values in parse_qs((search or "").lstrip("?")).items()}


def _title(
    con: duckdb.DuckDBPyConnection,
    titles: Mapping[str, frozenset[str]],
    asked: str | None,
    notes: list[str],
) -> PublishedTitle:
    if not titles:
        raise NothingPublished("no title is published yet")
    known = {name.lower(): name for name in titles}
    if asked is not None and (name := known.get(asked.strip().lower())):
        return published_title(con, name, titles[name])
    # the shipped title first: the first run makes it
    for name in sorted(titles, key=lambda name: (name != "sprint", name)):
        found = published_title(con, name, titles[name])
        if found.first is not None:
            break
    if asked is not None:
        notes.append(
            f"There is no published title “{asked}”, but {wording.joined(sorted(titles))}; this is"
            f" {found.name}."
        )
    return found


def _country(
    con: duckdb.DuckDBPyConnection, title: PublishedTitle, asked: str | None, notes: list[str]
) -> str | None:
    """The title's country of that code, in any case."""
    code = (asked or "").strip()
    if not code:
        return None
    known = {country.upper(): country for country in countries(con, title)}
    if code.upper() not in known:
        notes.append(
            f"There is no country “{code}” in {title.name}, but {wording.joined(sorted(known))};"
            " these are all of them."
        )
    return known.get(code.upper())


def _days(
    published_first: date,
    published_last: date,
    published_days: int,
    asked: Mapping[str, str],
    notes: list[str],
) -> tuple[date, date]:
    span = (published_last - published_first).days + 1
    shown = min(DAYS_SHOWN, span // 2) if published_days >= DAYS_TO_COMPARE else span
    last = _read(_day, asked.get("to"), "to", notes) or published_last
    first = _read(_day, asked.get("from"), "from", notes)
    if first is None:
        first = max(published_first, last - timedelta(days=shown - 1))
    if first > last:
        notes.append(f"{first} lies after {last}: the days are shown the other way round.")
        first, last = last, first
    return first, last


def _day(value: str) -> date:
    """The value as a day. Raises ValueError where it is none, or none that a title can have: of
    those, Python's dates still have the period before them."""
    day = date.fromisoformat(value)
    if not EARLIEST <= day <= LATEST:
        raise ValueError(f"{day} is not a day from {EARLIEST} to {LATEST}")
    return day


def _read(read: Callable[[str], T], value: str | None, name: str, notes: list[str]) -> T | None:
    if not value:
        return None
    try:
        return read(value)
    except ValueError:
        notes.append(f"“{value}” in the address is no value of “{name}”, and is left out.")
        return None
