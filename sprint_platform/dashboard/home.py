"""Home: which titles and domains are there, how fresh they are, and what to run for the rest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
from dash import html

from sprint_platform.dashboard import domains, parts, wording
from sprint_platform.dashboard.published import (
    PublishedDomain,
    published_title,
    published_titles,
)
from sprint_platform.dashboard.queries import activity, eventlog, store
from sprint_platform.dashboard.view import href
from sprint_platform.domain import outside_domains
from sprint_platform.places import published_dir
from sprint_platform.publish.coverage import Coverage, domain_coverage, yesterday
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.title import valid_titles


def page(con: duckdb.DuckDBPyConnection | None, search: str | None) -> list[Any]:
    """A card for each published title, the store and the event log, and what is not there yet.
    ``con`` is None where nothing is published at all."""
    titles = published_titles(con) if con else {}
    shown = [
        html.Div(
            [
                html.H1("Home"),
                html.P(f"What is published in {published_dir()}", className="about", id="about"),
            ],
            className="heading",
        ),
        *([] if con else [_begin()]),
        *(_or_why(name, partial(_title, con, name, titles[name])) for name in titles if con),
        _or_why("store", partial(_store, con)),
        _or_why("eventlog", partial(_eventlog, con)),
        *_other_titles(titles),
        *_other_domains(),
    ]
    return parts.arranged(shown)


def _begin() -> html.Section:
    return parts.card(
        "empty",
        [
            html.H2("Nothing is published yet", id="empty-name"),
            html.P(
                "The dashboard shows what runs publish, within seconds of their end. Four weeks of"
                " the game sprint take about a minute:"
            ),
            html.Pre(html.Code("sprint demo")),
        ],
        wide=True,
    )


def _or_why(key: str, card: Callable[[], html.Section]) -> html.Section:
    """The card, or one that says why it cannot be drawn: an older version may have published its
    marts. The others do not depend on it."""
    try:
        return card()
    except duckdb.Error as error:
        logging.getLogger(__name__).warning("%s", error)
        why = f"What is published of it cannot be read: {wording.failure(error)}. A run mends it."
        return parts.nothing(f"home-{key}", key, why, wide=True)


def _title(con: duckdb.DuckDBPyConnection, name: str, marts: frozenset[str]) -> html.Section:
    title, lines = published_title(con, name, marts), list[Any]()
    if title.first is None or title.last is None:
        lines.append(html.P("It has no key figures (kpi_daily) yet.", className="summary"))
        lines.append(html.Pre(html.Code(f"sprint run --title {title.name}")))
    else:
        now = activity.totals(con, title, title.last, title.last, None)
        lines += [
            _fresh("A game: ", title.days, title.first, title.last, title_ledger(title.name).path),
            _numbers(
                title.name,
                [
                    ("Players", wording.count(now["active_players"]), "on the last day"),
                    ("New", wording.count(now["new_players"]), "on the last day"),
                    ("Revenue", wording.money(now["revenue"]), "on the last day"),
                ],
            ),
            *_state(title.coverage),
        ]
    return _card(title.name, title.name, href("/overview", None, title=title.name), lines)


def _store(con: duckdb.DuckDBPyConnection | None) -> html.Section:
    of = domains.STORE
    found = domains.published_domain(con, of) if con else None
    if con is None or found is None:
        return _absent("store", of)
    lines: list[Any] = [
        _fresh("", found.days, found.first, found.last, of.ledger_path()),
    ]
    if "daily_sales" in found.marts:
        now = store.sales(con, found, found.first, found.last)
        lines.append(
            _numbers(
                "store",
                [
                    ("Orders", wording.count(now["orders"]), "of all days"),
                    ("Revenue", wording.money(now["revenue"]), "US dollars"),
                    ("Returned", wording.share(now["returned_share"]), "of the orders"),
                ],
            )
        )
    lines += [*_state(found.coverage), *_further_days(found.last), *_elsewhere(of)]
    return _card("store", of.name.capitalize(), href("/store"), lines)


def _further_days(last: date) -> list[html.P]:
    """The commands that make the store's next week, as far as its days have come."""
    first, end = last + timedelta(days=1), min(last + timedelta(days=7), yesterday())
    if first > end:
        return []
    command = f"sprint storefront generate --from {first} --to {end} --load"
    return [_then("Further days", command, domains.STORE)]


def _then(what: str, command: str, of: domains.Domain) -> html.P:
    """A line with the command that makes more, and the one that builds it."""
    build = html.Code(of.commands[-1])
    return html.P([f"{what}: ", html.Code(command), ", then ", build], className="note")


def _eventlog(con: duckdb.DuckDBPyConnection | None) -> html.Section:
    of = domains.EVENTLOG
    found = domains.published_domain(con, of) if con else None
    if con is None or found is None:
        return _absent("eventlog", of)
    lines: list[Any] = [
        _fresh("", found.days, found.first, found.last, of.ledger_path()),
        _numbers("eventlog", _of_batches(con, found)),
        _then("The next batch", "sprint eventlog generate --continue", of),
        *_elsewhere(of),
    ]
    return _card("eventlog", of.name.capitalize(), href("/eventlog"), lines)


def _of_batches(
    con: duckdb.DuckDBPyConnection, found: PublishedDomain
) -> list[tuple[str, str, str]]:
    if "dim_players" not in found.marts:
        return []
    now, latest = eventlog.totals(con, found), found.batches[-1] if found.batches else None
    return [
        ("Batches", wording.count(len(found.batches)), f"the latest is {latest}"),
        ("Players", wording.count(now["players"]), "of all batches"),
        ("Sessions", wording.count(now["sessions"]), "of all batches"),
    ]


def _card(key: str, name: str, link: str, lines: list[Any]) -> html.Section:
    heading = html.H2(html.A(name, href=link, className="page-link"), id=f"home-{key}-name")
    return parts.card(f"home-{key}", [heading, *lines])


def _absent(key: str, of: domains.Domain) -> html.Section:
    name = html.H2(f"{of.name.capitalize()}: not there yet", id=f"home-{key}-name")
    return parts.card(f"home-{key}", [name, *domains.how_to_begin(of)])


def _fresh(what: str, days: int, first: date, last: date, ledger: Path) -> html.P:
    """How many days there are, which, and when they were published last."""
    text = f"{what}{wording.counted(days, 'day', 'days')}, {wording.span(first, last)}."
    if ledger.exists():
        at = datetime.fromtimestamp(ledger.stat().st_mtime, UTC)
        text += f" Published last on {wording.day(at.date())}, {at:%H:%M} UTC."
    return html.P(text, className="summary")


def _numbers(key: str, numbers: list[tuple[str, str, str]]) -> html.Dl:
    return html.Dl(
        [
            parts.headline(f"{key}-{name.lower()}", name, value, note=note)
            for name, value, note in numbers
        ],
        className="headlines",
    )


def _state(coverage: Coverage | None) -> list[html.P]:
    """Whether days are missing or come later, and the commands that build them."""
    if coverage is None:
        return [html.P("Which days are missing is not known.", className="note")]
    lines = []
    if coverage.gaps:
        missing = wording.counted(len(coverage.gaps), "day is", "days are")
        gaps, command = f"{missing} missing in between: ", html.Code(coverage.gap_command)
        lines.append(html.P([gaps, command], className="warning"))
    if coverage.tail:
        later, command = "Later days are not built yet: ", html.Code(coverage.command)
        lines.append(html.P([later, command], className="note"))
    return lines or [html.P("No day is missing.", className="note")]


def _elsewhere(of: domains.Domain) -> list[html.P]:
    line = of.elsewhere()
    return [html.P(line, className="note")] if line else []


def _other_titles(published: Mapping[str, Any]) -> list[html.Section]:
    """The titles that have a file and nothing published, and the files that are wrong."""
    titles, errors = valid_titles()
    rows = [
        [
            title.name,
            html.Td("a studio's files" if title.lands else "simulated", className="words"),
            wording.day(title.launch_date),
            html.Td(
                html.Code(f"sprint {'land' if title.lands else 'run'} --title {title.name}"),
                className="words",
            ),
        ]
        for title in titles
        if title.name not in published
    ]
    if not rows and not errors:
        return []
    lines: list[Any] = [html.H2("Titles that were not run yet", id="home-titles-name")]
    lines += [html.P(error, className="warning") for error in errors]
    if rows:
        headings = ["title", "records", "launch", "what runs it"]
        lines.append(parts.table("Titles without a published day", headings, rows))
    return [parts.card("home-titles", lines, wide=True)]


def _other_domains() -> list[html.Section]:
    """The built and missing days of the domains from outside, and the commands that build them."""
    rows: list[list[Any]] = []
    for domain in outside_domains():
        command = f"sprint domain run {domain.name}"
        if (standing := domain.ledger.published_standing()) is None:
            rows.append([domain.name, wording.count(0), wording.NONE, html.Code(command)])
        elif found := domain_coverage(domain, yesterday()):
            rest = html.Code(found.command) if found.missing else wording.NONE
            built = wording.counted(len(found.built), "day", "days")
            rows.append([domain.name, built, wording.count(found.missing), rest])
        else:
            behind = f"{command} --from {standing.unbuilt[0]}" if standing.unbuilt else None
            built = wording.counted(len(standing.built), "batch", "batches")
            rest = html.Code(behind) if behind else wording.NONE
            rows.append([domain.name, built, wording.count(len(standing.unbuilt)), rest])
    if not rows:
        return []
    headings = ["domain", "built", "missing", "what builds them"]
    return [
        parts.card(
            "domains",
            [
                html.H2("Other domains", id="domains-name"),
                parts.table("Domains from outside", headings, rows, key="domains-table"),
            ],
            wide=True,
        )
    ]
