"""The web store and the event log: what is published of them, and what to run where nothing is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from dash import html

from sprint_platform.core.settings import settings, variable
from sprint_platform.dashboard import parts, wording
from sprint_platform.dashboard.published import (
    NothingPublished,
    PublishedDomain,
    published_marts,
)
from sprint_platform.dashboard.view import DomainView, read_domain_view
from sprint_platform.eventlog.warehouse import LEDGER as EVENTLOG_LEDGER
from sprint_platform.publish.coverage import Coverage
from sprint_platform.storefront.coverage import store_coverage
from sprint_platform.storefront.duckdb_target import LEDGER as STORE_LEDGER


@dataclass(frozen=True)
class Domain:
    """The store or the event log: its name and what it is, the schema of its published marts, the
    marts and columns that say which days there are, the mart that says which batches (None of a
    domain without), and the commands that make a first one. ``coverage`` is of its days, and
    ``elsewhere`` a line on a warehouse whose rows are not published, None where none is set."""

    name: str
    what: str
    schema: str
    day_columns: Mapping[str, str]
    batch_mart: str | None
    commands: tuple[str, ...]
    ledger_path: Callable[[], Path]
    coverage: Callable[[], Coverage | None]
    elsewhere: Callable[[], str | None]


def _in_postgres() -> str | None:
    if settings().postgres_url is None:
        return None
    return (
        f"{variable('postgres_url')} is set: days of a store that were loaded there lie in the"
        " schema bronze of that database. They are not shown here, as silver and gold are built in"
        " DuckDB alone."
    )


def _in_snowflake() -> str | None:
    if settings().snowflake_account is None:
        return None
    return (
        f"{variable('snowflake_account')} is set: an event log that was built there lies in the"
        " schema eventlog_mart of its database. It is not shown here, as nothing of it is published"
        " to this folder."
    )


STORE = Domain(
    name="web store",
    what="A game studio's shop, day by day: orders, customers, stock, reviews and web sessions.",
    schema="storefront_mart",
    day_columns={"daily_sales": "order_date", "conversion_funnel": "event_date"},
    batch_mart=None,
    commands=("sprint storefront generate --preset small --load", "sprint storefront build"),
    ledger_path=lambda: STORE_LEDGER.path,
    coverage=store_coverage,
    elsewhere=_in_postgres,
)
EVENTLOG = Domain(
    name="event log",
    what="The events of a story game, batch by batch: chapters, deaths, sessions, players.",
    schema="eventlog_mart",
    day_columns={"daily_active_players": "calendar_date"},
    batch_mart="dim_players",
    commands=("sprint eventlog generate", "sprint eventlog build"),
    ledger_path=lambda: EVENTLOG_LEDGER.path,
    # its periods are batches: nobody said that every day should have players
    coverage=lambda: None,
    elsewhere=_in_snowflake,
)
ALL = (STORE, EVENTLOG)


def published_domain(con: duckdb.DuckDBPyConnection, domain: Domain) -> PublishedDomain | None:
    """What is published of the domain; None where no mart says a day of it."""
    marts = published_marts(con, domain.schema)
    query = " union all ".join(
        f"select {column} as day from {domain.schema}.{mart}"
        for mart, column in domain.day_columns.items()
        if mart in marts
    )
    if not query:
        return None
    # a year of days is in hundreds of files: they are read once for all queries
    table = f"days_of_{domain.schema}"
    con.execute(f"create or replace temporary table {table} as select distinct day from ({query})")
    first, last, days = con.execute(f"select min(day), max(day), count(*) from {table}").fetchall()[
        0
    ]
    if first is None:
        return None
    batches = []
    if domain.batch_mart in marts:
        batches = con.execute(
            f"select distinct load_batch_id from {domain.schema}.{domain.batch_mart} order by 1"
        ).fetchall()
    return PublishedDomain(
        domain.schema,
        marts,
        table,
        first,
        last,
        days,
        domain.coverage(),
        tuple(batch for (batch,) in batches),
    )


def read_view(con: duckdb.DuckDBPyConnection, domain: Domain, search: str | None) -> DomainView:
    """The view that the query string asks for. Raises NothingPublished where there is no day."""
    found = published_domain(con, domain)
    if found is None:
        raise NothingPublished(f"no {domain.name} is published")
    return read_domain_view(found, search)


def absent(domain: Domain) -> html.Section:
    """The section in place of a page of a domain of which nothing is published."""
    return parts.card(
        "empty",
        [
            html.H2(f"No {domain.name} is published yet", id="empty-name"),
            *how_to_begin(domain),
        ],
        wide=True,
    )


def how_to_begin(domain: Domain) -> list[parts.Part]:
    """What the domain is, the commands that make a first one, and where else one may lie."""
    elsewhere = domain.elsewhere()
    return [
        html.P(domain.what, className="summary"),
        html.P("To make one and publish it, run"),
        html.Pre(html.Code("\n".join(domain.commands))),
        *([html.P(elsewhere, className="note")] if elsewhere else []),
    ]


def missing(view: DomainView, key: str, name: str, mart: str) -> html.Section | None:
    """The section in place of a chart whose mart is not published; None where it is."""
    if mart in view.domain.marts:
        return None
    build = (STORE if view.domain.schema == STORE.schema else EVENTLOG).commands[-1]
    return parts.card(
        key,
        [
            html.H2(name, id=f"{key}-name"),
            html.P(f"Not published yet: {view.domain.schema}.{mart}. A build publishes it:"),
            html.Pre(html.Code(build)),
        ],
    )


def headlines(
    view: DomainView,
    numbers: Sequence[parts.Headline],
    now: Mapping[str, Any],
    before: Mapping[str, Any],
) -> html.Section:
    """The headline numbers of a page, with their change from ``before``, which may be empty."""
    compared = (
        f"Changes are against {wording.span(*view.before)}."
        if view.before
        else "There is no day before it to compare it with."
        if view.days == 1
        else "There are not as many days before these, without a gap, to compare them with."
    )
    if now["days"] < view.days:
        compared += (
            f" {wording.counted(view.days, 'day is', 'days are')} chosen, of which"
            f" {wording.counted(now['days'], 'is', 'are')} published."
        )
    return parts.headline_card(parts.headline_numbers(numbers, now, before), compared)


def missing_days(view: DomainView) -> list[html.Div]:
    """Which of the days that are loaded, or lie between them, are not built, and the commands that
    build them; empty where all are."""
    if view.coverage is None or not view.coverage.missing:
        return []
    days = [*view.coverage.gaps, *view.coverage.tail]
    line = parts.unbuilt(days, "missing", view.coverage.command, "warning")
    return [html.Div(line, id="missing-days", className="wide")]


def no_days(view: DomainView, why: str) -> html.Section:
    """The section in place of a page's charts that have no rows for these days."""
    return parts.card(
        "empty",
        [
            html.H2("No days to show", id="empty-name"),
            html.P(f"{why} What is published is of {wording.span(*view.published)}."),
        ],
        wide=True,
    )
