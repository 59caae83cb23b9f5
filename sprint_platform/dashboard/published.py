"""Reading the published database: opened read-only for a request, and closed after it.

Runs replace the small database and the files below it, each in one step. A connection that stays
open would read old views, so each request opens its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb

from sprint_platform.domain import outside_domains
from sprint_platform.places import published_path
from sprint_platform.publish.coverage import Coverage, title_coverage, yesterday
from sprint_platform.publish.views import open_published
from sprint_platform.title import RESERVED_NAMES, Title, TitleError, first_title, title_names

# A query's result by column, which is the shape that a chart takes.
Columns = dict[str, list[Any]]


class NothingPublished(Exception):
    """Nothing is published yet. The message says what is missing, and where; ``title`` is the title
    to run."""

    def __init__(self, message: str, title: str | None = None) -> None:
        super().__init__(message)
        self.title = title or first_title()


@dataclass(frozen=True)
class PublishedTitle:
    """A title that has marts: their names; the first and last day of its key figures and how many
    days have any (None and 0 where they are not published); and its built and missing days (None
    where an older version published it, or the title's YAML is gone)."""

    name: str
    marts: frozenset[str]
    first: date | None
    last: date | None
    days: int
    coverage: Coverage | None
    # its ISO 4217 code; a studio's files say theirs in each record
    currency: str = "the title's currency"

    @property
    def word(self) -> str:
        return word_of(self.marts)

    @property
    def schema(self) -> str:
        return f"{self.name}_mart"


def word_of(marts: Iterable[str]) -> str:
    """A title's word for an encounter, from its marts' names."""
    return "conflict" if any("conflict" in mart for mart in marts) else "encounter"


@dataclass(frozen=True)
class PublishedDomain:
    """The web store or the event log, where something of it is published: its marts; the first and
    last of its days and how many there are; its missing days; and its batches (none of a domain
    without). ``days_table`` is a temporary table of its days, a column ``day``."""

    schema: str
    marts: frozenset[str]
    days_table: str
    first: date
    last: date
    days: int
    coverage: Coverage | None = None
    batches: tuple[int, ...] = ()


def edition() -> str:
    """A text that changes with every publication; empty where nothing is published."""
    try:
        stat = published_path().stat()
    except FileNotFoundError:
        return ""
    return f"{stat.st_ino}-{stat.st_mtime_ns}"


@contextmanager
def published() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the published database, closed at the end of the block. Raises
    NothingPublished where there is none, and NotPublishedHere where it is another folder's."""
    if not published_path().exists():
        raise NothingPublished(f"there is no {published_path()}")
    with open_published() as con:
        yield con


def published_marts(con: duckdb.DuckDBPyConnection, schema: str) -> frozenset[str]:
    """The published marts of a schema."""
    found = con.execute(
        "select view_name from duckdb_views() where not internal and schema_name = ?", [schema]
    )
    return frozenset(mart for (mart,) in found.fetchall())


def published_titles(con: duckdb.DuckDBPyConnection) -> Mapping[str, frozenset[str]]:
    """The marts of each title that has any, by the title's name in order."""
    found: dict[str, set[str]] = {}
    rows = con.execute(
        "select schema_name, view_name from duckdb_views()"
        " where not internal and schema_name like '%\\_mart' escape '\\'"
    ).fetchall()
    others = {*RESERVED_NAMES, *(domain.name for domain in outside_domains())}
    for schema, mart in rows:
        name = schema.removesuffix("_mart")
        if name not in others:
            found.setdefault(name, set()).add(mart)
    # what a domain published stays when its package is gone: it is no game
    games = {name for name in found if name in title_names() or "kpi_daily" in found[name]}
    return {name: frozenset(found[name]) for name in sorted(games)}


def published_title(
    con: duckdb.DuckDBPyConnection, name: str, marts: frozenset[str]
) -> PublishedTitle:
    """The title, with the days of its key figures and its missing days."""
    first, last, days = None, None, 0
    if "kpi_daily" in marts:
        first, last, days = con.execute(
            "select min(calendar_date), max(calendar_date), count(distinct calendar_date)"
            f" from {name}_mart.kpi_daily"
        ).fetchall()[0]
    try:
        game = Title.load(name)
    except TitleError:
        return PublishedTitle(name, marts, first, last, days, None)
    coverage = title_coverage(game, yesterday())
    if game.simulation is None:
        return PublishedTitle(name, marts, first, last, days, coverage)
    currency = game.simulation.spending.currency
    return PublishedTitle(name, marts, first, last, days, coverage, currency)


def read_columns(
    con: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, object] | None = None
) -> Columns:
    """The query's columns, by name and in order. Decimals become floats, which charts need."""
    result = con.execute(query, dict(parameters or {}))
    names = [column[0] for column in result.description]
    rows = result.fetchall()
    return {name: [_plain(row[place]) for row in rows] for place, name in enumerate(names)}


def read_row(
    con: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, object] | None = None
) -> dict[str, Any]:
    """The query's only row, by column."""
    return {name: values[0] for name, values in read_columns(con, query, parameters).items()}


def _plain(value: Any) -> Any:
    return float(value) if hasattr(value, "as_tuple") else value
