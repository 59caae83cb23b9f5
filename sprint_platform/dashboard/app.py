"""The Dash application: its pages, its callbacks, and the published data at each request."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import duckdb
from dash import (
    ALL,
    ClientsideFunction,
    Dash,
    Input,
    Output,
    State,
    ctx,
    dcc,
    html,
    no_update,
    strip_relative_path,
)
from dash.exceptions import PreventUpdate
from flask import Response, redirect, request

from sprint_platform.dashboard import (
    domains,
    encounters,
    foresight,
    home,
    overview,
    parts,
    quality,
    realism,
    regions,
    retention,
    revenue,
    wording,
)
from sprint_platform.dashboard.countries import country_name
from sprint_platform.dashboard.eventlog import batches, chapters
from sprint_platform.dashboard.eventlog import retention as eventlog_retention
from sprint_platform.dashboard.published import (
    NothingPublished,
    edition,
    published,
    published_titles,
    word_of,
)
from sprint_platform.dashboard.queries import activity
from sprint_platform.dashboard.store import cohorts, funnel, products, sales, stock
from sprint_platform.dashboard.view import (
    Dates,
    DomainView,
    View,
    address,
    asked_for,
    href,
    read_view,
)
from sprint_platform.places import published_dir
from sprint_platform.publish.views import NotPublishedHere

HERE = Path(__file__).resolve().parent
# How often an open page asks for a new edition.
POLL_MILLISECONDS = 4000
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
# Older batches than these are chosen in the address.
BATCHES_LINKED = 8
PERIODS = ((7, "7 days"), (28, "28 days"), (90, "90 days"), (365, "a year"))


@dataclass(frozen=True)
class Page:
    """A page: its address, its name (``{word}`` stands for encounter or conflict), the function
    that draws it from what is published and its view, and the switches that it uses. ``of`` is the
    domain that it is of, None for a page of a title."""

    path: str
    name: str
    draw: Callable[[duckdb.DuckDBPyConnection, Any], list[Any]]
    uses: tuple[str, ...]
    of: domains.Domain | None = None

    def called(self, word: str) -> str:
        """The page's name in a title of this word."""
        return self.name.format(word=word).capitalize()


# Home alone has no view: it draws what is there.
HOME = Page("/home", "home", home.page, ())
TITLE_PAGES = (
    Page("/overview", "overview", overview.page, ("title", "dates", "country")),
    Page("/retention", "retention", retention.page, ("title", "dates", "country")),
    Page("/revenue", "revenue", revenue.page, ("title", "dates", "country")),
    Page("/regions", "regions", regions.page, ("title", "dates")),
    Page("/encounters", "{word}s", encounters.page, ("title", "dates")),
    Page("/foresight", "foresight", foresight.page, ("title",)),
    Page("/realism", "realism", realism.page, ("title",)),
    Page("/quality", "data quality", quality.page, ("title", "dates")),
)
# The first page of each domain is the one that its tab opens.
DOMAIN_PAGES = (
    Page("/store", "sales", sales.page, ("dates",), domains.STORE),
    Page("/store/cohorts", "cohorts", cohorts.page, (), domains.STORE),
    Page("/store/funnel", "funnel", funnel.page, ("dates",), domains.STORE),
    Page("/store/stock", "stock", stock.page, ("dates",), domains.STORE),
    Page("/store/products", "products", products.page, ("dates",), domains.STORE),
    Page("/eventlog", "chapters", chapters.page, ("batch",), domains.EVENTLOG),
    Page("/eventlog/retention", "retention", eventlog_retention.page, ("dates",), domains.EVENTLOG),
    Page("/eventlog/batches", "batches", batches.page, (), domains.EVENTLOG),
)
PAGES = (HOME, *TITLE_PAGES, *DOMAIN_PAGES)


def build_app(base_path: str = "/", names: Collection[str] = LOOPBACK_NAMES) -> Dash:
    """The dashboard's Dash application; ``.server`` is its WSGI application. Every address of it
    lies beneath ``base_path``, which begins and ends with a slash, and it answers only to requests
    whose Host is one of ``names``, with any port. At each request it reads SPRINT_DATA_DIR, and
    nothing else: no network, no font, no telemetry."""
    page = (HERE / "index.html").read_text(encoding="utf-8")
    app = Dash(
        __name__,
        assets_folder=str(HERE / "assets"),
        index_string=page.replace("{%base_path%}", base_path),
        url_base_pathname=base_path,
        serve_locally=True,
        title="Sprint dashboard",
        update_title="",
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
        suppress_callback_exceptions=True,
        add_log_handler=False,
    )
    app.layout = _layout
    app.callback(
        Output("edition", "data"),
        Input("look-again", "n_intervals"),
        State("edition", "data"),
        prevent_initial_call=True,
    )(_poll_edition)
    app.callback(
        Output("page", "children"),
        Output("tabs", "children"),
        Output("switch-state", "data"),
        Output("drawn", "data"),
        Input("address", "pathname"),
        Input("address", "search"),
        Input("edition", "data"),
        State("drawn", "data"),
        on_error=_not_drawn,
    )(draw)
    app.clientside_callback(ClientsideFunction("switches", "show"), Input("switch-state", "data"))
    _add_replay_and_history(app)
    _refuse_other_names(app, names)
    _answer_beside_the_base_path(app, base_path)
    _add_security_headers(app)
    # for a process's first parameter DuckDB imports numpy, and pandas where it is installed: at the
    # start, not while somebody waits for the first page
    with duckdb.connect() as con:
        con.execute("select ?", [0])
    return app


def _layout() -> html.Div:
    """What a page begins with, of the edition of this moment: a later one is drawn anew."""
    return html.Div(
        [
            dcc.Location(id="address", refresh="callback-nav"),
            dcc.Store(id="edition", data=edition()),
            dcc.Store(id="drawn"),
            dcc.Store(id="switch-state"),
            dcc.Interval(id="look-again", interval=POLL_MILLISECONDS),
            html.Nav(id="tabs", **parts.aria(label="Pages")),
            html.Main(id="page", tabIndex=-1),
        ]
    )


def _add_replay_and_history(app: Dash) -> None:
    """Adds the callbacks of the replay and of Dagster's history, which load after their page."""
    app.callback(
        Output("replay", "children"), Input("address", "search"), on_error=_no_replay_drawn
    )(draw_replay)
    app.callback(Output("history", "children"), Input("history-of", "data"), on_error=_no_history)(
        quality.history
    )
    app.clientside_callback(
        ClientsideFunction("replay", "draw"),
        Output("replay-map", "figure"),
        Output("replay-now", "children"),
        Input("replay-beat", "value"),
        Input("replay-data", "data"),
    )
    app.clientside_callback(
        ClientsideFunction("replay", "move"),
        Output("replay-beat", "value"),
        Input("replay-clock", "n_intervals"),
        Input("replay-back", "n_clicks"),
        Input("replay-on", "n_clicks"),
        Input({"go": ALL, "beat": ALL}, "n_clicks"),
        State("replay-beat", "value"),
        State("replay-data", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("replay", "play"),
        Output("replay-clock", "disabled"),
        Output("replay-play", "children"),
        Input("replay-play", "n_clicks"),
        Input("replay-beat", "value"),
        State("replay-clock", "disabled"),
        State("replay-data", "data"),
        prevent_initial_call=True,
    )


def _poll_edition(_: int, seen: str) -> str:
    now = edition()
    if now == seen:
        raise PreventUpdate
    return now


def draw(
    pathname: str | None, search: str | None, published_now: str, drawn: str | None
) -> tuple[Any, Any, Any, Any]:
    """The page at the address, the tabs, the switches' state, and a text that identifies the drawn
    page. All are ``no_update`` where it is drawn, whatever the day and session of the replay."""
    page = page_at(pathname, search)
    wanted = f"{pathname}{address(search, day=None, session=None)}@{published_now}"
    if wanted == drawn:
        return no_update, no_update, no_update, no_update
    if page is None:
        lost = parts.empty("There is no such page", f"Nothing is at {pathname}; choose a tab.")
        return [lost], tabs(None, search, "encounter"), None, wanted
    for attempt in (1, 2):
        try:
            return *_drawn(page, search), wanted
        except NothingPublished as error:
            lacks = [_unpublished(error)] if page.of is None else _lacking(page, page.of, search)
            nothing_to_switch = _switch_state(page) | {"uses": []}
            return lacks, tabs(page, search, "encounter"), nothing_to_switch, wanted
        except (duckdb.Error, NotPublishedHere) as error:
            # a run publishes right now, and removed a file between listing and reading; or an
            # older version published, without one of the columns
            if attempt == 2:
                logging.getLogger(__name__).warning("%s", error)
                return [_unreadable(error)], tabs(page, search, "encounter"), None, None
    raise AssertionError("the second attempt returns")


def page_at(pathname: str | None, search: str | None) -> Page | None:
    """The page at the address; None where there is none. Without a path that is Home, or Overview
    where the address has values: before there was a Home, Overview had none."""
    path = f"/{strip_relative_path(pathname) or ''}" if pathname else "/"
    if path == "/":
        path = TITLE_PAGES[0].path if asked_for(search) else HOME.path
    return next((page for page in PAGES if page.path == path), None)


def _drawn(page: Page, search: str | None) -> tuple[list[Any], list[Any], dict[str, Any]]:
    """The page, the tabs and the switches' state. Raises NothingPublished where there is nothing to
    show on it, which is never so of Home."""
    if page is HOME and not edition():
        return home.page(None, search), tabs(page, search, "encounter"), _switch_state(page)
    with published() as con:
        if page.of is None and page is not HOME:
            view = read_view(con, search)
            shown = [_heading(page, view, search), *_parts(page, con, view)]
            state = _switch_state(page, view) | _title_state(con, page, view)
            return shown, tabs(page, search, view.title.word), state
        word = word_of(published_titles(con).get(asked_for(search).get("title", ""), ()))
        if page.of is None:
            return page.draw(con, search), tabs(page, search, word), _switch_state(page)
        of_domain = domains.read_view(con, page.of, search)
        heading = _domain_heading(page, page.of, search, of_domain)
        shown = [heading, *_parts(page, con, of_domain)]
        return shown, tabs(page, search, word), _switch_state(page, of_domain)


def _parts(page: Page, con: duckdb.DuckDBPyConnection, view: Dates) -> list[Any]:
    return parts.arranged(page.draw(con, view))


def draw_replay(search: str | None) -> list[Any]:
    """The contents of the replay, for the day and session in the address."""
    try:
        with published() as con:
            return encounters.replay(con, read_view(con, search))
    except (NothingPublished, NotPublishedHere, duckdb.Error) as error:
        return _no_replay(f"The session cannot be read: {error}")


def _not_drawn(error: Exception) -> tuple[Any, Any, Any, Any]:
    """The outputs of ``draw`` where it fails: an error in place of the page before, which has
    another address. Nothing counts as drawn, so that the next request draws again."""
    _log(error)
    pathname, search = (ctx.inputs.get(f"address.{part}") for part in ("pathname", "search"))
    reason = f"{wording.failure(error)}; the server's log says more."
    shown = parts.empty("Something went wrong", f"This page could not be drawn: {reason}")
    return [shown], tabs(page_at(pathname, search), search, "encounter"), None, None


def _no_replay_drawn(error: Exception) -> list[Any]:
    _log(error)
    reason = f"{wording.failure(error)}; the server's log says more."
    return _no_replay(f"This session could not be drawn: {reason}")


def _no_replay(why: str) -> list[Any]:
    return [html.H2("Session replay", id="replay-name"), html.P(why, className="none")]


def _no_history(error: Exception) -> list[Any]:
    _log(error)
    return quality.no_history(error)


def _log(error: Exception) -> None:
    logging.getLogger(__name__).error("A part of the dashboard failed", exc_info=error)


def tabs(current: Page | None, search: str | None, word: str) -> list[Any]:
    """The links to Home, to the title's pages and to each domain's first one, with the values of
    the switches that these have too."""
    firsts = [next(page for page in DOMAIN_PAGES if page.of is of) for of in domains.ALL]
    return [
        *(_tab(page, page.called(word), current, search) for page in (HOME, *TITLE_PAGES)),
        html.Span(className="between", **parts.aria(hidden="true")),
        *(_tab(page, page.of.name.capitalize(), current, search) for page in firsts if page.of),
    ]


def _tab(page: Page, name: str, current: Page | None, search: str | None) -> html.A:
    beside = current is not None and page.of is not None and page.of is current.of
    here = page is current or beside
    return html.A(
        name,
        href=_link(page, current, search),
        id=f"tab-{page.path.strip('/').replace('/', '-')}",
        className="tab here" if here else "tab",
        **(parts.aria(current="page" if page is current else "true") if here else {}),
    )


def _link(page: Page, current: Page | None, search: str | None) -> str:
    """The link from one page to another. Days, countries and batches of one domain are no other's:
    they stay behind."""
    if current is not None and page.of is current.of and HOME not in (page, current):
        return href(page.path, search, day=None, session=None)
    return href(page.path, None, title=asked_for(search).get("title"))


def _domain_heading(
    page: Page, of: domains.Domain, search: str | None, view: DomainView | None = None
) -> html.Div:
    """The links to the domain's pages, the page's name and, where there is a view, its days or
    batches."""
    links = [
        html.A(
            other.called(""),
            href=_link(other, page, search),
            id=f"page-{other.path.strip('/').replace('/', '-')}",
            className="tab here" if other is page else "tab",
            **(parts.aria(current="page") if other is page else {}),
        )
        for other in DOMAIN_PAGES
        if other.of is of
    ]
    lines: list[Any] = [
        html.Nav(links, className="pages", **parts.aria(label=f"Pages of the {of.name}")),
        html.H1(page.called("")),
    ]
    about = of.name.capitalize()
    if view is not None and "dates" in page.uses:
        about += f", {wording.span(view.first, view.last)}"
    elif view is not None and "batch" in page.uses:
        about += f", batch {view.batch}" if view.batch else ", all batches"
    lines.append(html.P(about, className="about", id="about"))
    if view is not None:
        if "dates" in page.uses:
            lines.append(_periods(page, view, search))
        if "batch" in page.uses and len(view.domain.batches) > 1:
            lines.append(_batches(page, view, search))
        lines += [html.P(note, className="warning", role="status") for note in view.notes]
    return html.Div(lines, className="heading")


def _lacking(page: Page, of: domains.Domain, search: str | None) -> list[Any]:
    return [_domain_heading(page, of, search), domains.absent(of)]


def _batches(page: Page, view: DomainView, search: str | None) -> html.P:
    """Links to all batches, and to the latest ones."""
    latest = view.domain.batches[-BATCHES_LINKED:]
    return html.P(
        [
            html.Span("Batch", className="unseen"),
            *(
                html.A(
                    "all batches" if batch is None else f"batch {batch}",
                    href=href(page.path, search, batch=None if batch is None else str(batch)),
                    id=f"batch-{batch or 'all'}",
                    className="period here" if batch == view.batch else "period",
                )
                for batch in (None, *latest)
            ),
        ],
        className="periods",
    )


def _heading(page: Page, view: View, search: str | None) -> html.Div:
    title = view.title
    lines: list[Any] = [html.H1(page.called(title.word))]
    if "dates" in page.uses:
        one = view.country if "country" in page.uses else None
        where = country_name(one) if one else "all countries"
        lines.append(
            html.P(
                f"{title.name}, {wording.span(view.first, view.last)}, {where}"
                if "country" in page.uses
                else f"{title.name}, {wording.span(view.first, view.last)}",
                className="about",
                id="about",
            )
        )
        lines.append(_periods(page, view, search))
    else:
        lines.append(html.P(title.name, className="about", id="about"))
    lines += [html.P(note, className="warning", role="status") for note in view.notes]
    return html.Div(lines, className="heading")


def _periods(page: Page, view: Dates, search: str | None) -> html.P:
    """Links to the latest days, and to all days."""
    first, last = view.published
    spans = [
        (last - timedelta(days=days - 1), name)
        for days, name in PERIODS
        if last - timedelta(days=days - 1) > first
    ]
    return html.P(
        [
            html.Span("Latest", className="unseen"),
            *(
                html.A(
                    name,
                    href=href(page.path, search, **{"from": str(begin), "to": str(last)}),
                    id=f"period-{name.replace(' ', '-')}",
                    className="period here"
                    if (view.first, view.last) == (begin, last)
                    else "period",
                )
                for begin, name in [*spans, (first, "all days")]
            ),
        ],
        className="periods",
    )


def _switch_state(page: Page, view: Dates | None = None) -> dict[str, Any]:
    """The state of the form above the page, for assets/switches.js; a title's has more."""
    state: dict[str, Any] = {
        "path": href(page.path),
        "page": page.called(""),
        "of": page.of.name if page.of else "",
        "uses": list(page.uses),
    }
    if view is not None:
        first, last = view.published
        state |= {"from": str(view.first), "to": str(view.last)}
        state |= {"min": str(first), "max": str(last)}
    return state


def _title_state(con: duckdb.DuckDBPyConnection, page: Page, view: View) -> dict[str, Any]:
    return {
        "page": page.called(view.title.word),
        "of": view.title.name,
        "titles": list(view.titles),
        "title": view.title.name,
        "countries": sorted(
            ([code, country_name(code)] for code in activity.countries(con, view.title)),
            key=lambda pair: pair[1],
        ),
        "country": view.country or "",
    }


def _unpublished(error: NothingPublished) -> html.Section:
    return parts.empty(
        "Nothing is published yet",
        f"The dashboard reads what runs publish in {published_dir()}, and {error}. This page shows"
        " the numbers as soon as a run has ended.",
        f"sprint run --title {error.title}",
    )


def _unreadable(error: duckdb.Error | NotPublishedHere) -> html.Section:
    return parts.empty(
        "What is published cannot be read",
        f"A run may be publishing right now: load the page again. If that does not help, run any"
        f" day anew, which publishes it. ({wording.failure(error)})",
    )


def _refuse_other_names(app: Dash, names: Collection[str]) -> None:
    """Answers only what is asked of these names. A page of another site whose name its owner points
    at this machine would be the same site to a browser, and read everything."""
    listed = "|".join(re.escape(name) for name in names)
    answered = re.compile(rf"({listed})(:\d+)?", re.IGNORECASE)

    def refuse() -> Response | None:
        asked = request.headers.get("Host", "")
        if answered.fullmatch(asked):
            return None
        line = f"the dashboard answers as {' or '.join(names)} only, not as {asked!r}\n"
        return Response(line, HTTPStatus.FORBIDDEN, mimetype="text/plain")

    app.server.before_request(refuse)


def _answer_beside_the_base_path(app: Dash, base_path: str) -> None:
    """Answers what is not beneath the base path: a redirect from the path without its last slash,
    else a line that says where the dashboard is."""

    def answer() -> Any:
        if request.path.startswith(base_path):
            return None
        if f"{request.path}/" == base_path:
            # without scheme and host, which the proxy before it has others of
            asked = request.query_string.decode("ascii", "replace")
            return redirect(f"{base_path}?{asked}" if asked else base_path)
        line = (
            f"the dashboard is at {base_path}, and nothing at {request.path!r}; a proxy before it"
            " passes the path on as it is\n"
        )
        return Response(line, HTTPStatus.NOT_FOUND, mimetype="text/plain")

    app.server.before_request(answer)


def _add_security_headers(app: Dash) -> None:
    """Adds headers that restrict the browser to this server, also where a library loads more."""
    scripts = " ".join(app.csp_hashes())
    policy = (
        f"default-src 'self'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data: blob:; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
    )

    def add_policy(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    app.server.after_request(add_policy)
