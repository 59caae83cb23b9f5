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
    get_app,
    html,
    no_update,
)
from dash.exceptions import PreventUpdate
from flask import Response, redirect, request

from sprint_platform.dashboard import (
    encounters,
    foresight,
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
from sprint_platform.dashboard.published import NothingPublished, edition, published
from sprint_platform.dashboard.queries import activity
from sprint_platform.dashboard.view import View, address, read_view
from sprint_platform.places import published_dir
from sprint_platform.publish.views import NotPublishedHere

HERE = Path(__file__).resolve().parent
# How often an open page asks for a new edition.
POLL_MILLISECONDS = 4000
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
PERIODS = ((7, "7 days"), (28, "28 days"), (90, "90 days"), (365, "a year"))


@dataclass(frozen=True)
class Page:
    """A tab: its address, its name (``{word}`` stands for encounter or conflict), the function that
    draws it, and the switches that it uses besides the title."""

    path: str
    name: str
    draw: Callable[[duckdb.DuckDBPyConnection, View], list[Any]]
    uses: tuple[str, ...]

    def called(self, word: str) -> str:
        """The tab's name in a title of this word."""
        return self.name.format(word=word).capitalize()


PAGES = (
    Page("/", "overview", overview.page, ("dates", "country")),
    Page("/retention", "retention", retention.page, ("dates", "country")),
    Page("/revenue", "revenue", revenue.page, ("dates", "country")),
    Page("/regions", "regions", regions.page, ("dates",)),
    Page("/encounters", "{word}s", encounters.page, ("dates",)),
    Page("/foresight", "foresight", foresight.page, ()),
    Page("/realism", "realism", realism.page, ()),
    Page("/quality", "data quality", quality.page, ("dates",)),
)


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
    beneath = f"/{get_app().strip_relative_path(pathname or '/')}"
    page = next((page for page in PAGES if page.path == beneath), None)
    wanted = f"{pathname}{address(search, day=None, session=None)}@{published_now}"
    if wanted == drawn:
        return no_update, no_update, no_update, no_update
    if page is None:
        lost = parts.empty("There is no such page", f"Nothing is at {pathname}; choose a tab.")
        return [lost], tabs("", search, "encounter"), None, wanted
    for attempt in (1, 2):
        try:
            with published() as con:
                view = read_view(con, search)
                drawn_parts = parts.sentences_last(page.draw(con, view))
                shown = [_heading(page, view, search), *drawn_parts]
                state = _switch_state(con, page, view)
            break
        except NothingPublished as error:
            return [_unpublished(error)], tabs(page.path, search, "encounter"), None, wanted
        except (duckdb.Error, NotPublishedHere) as error:
            # a run publishes right now, and removed a file between listing and reading; or an
            # older version published, without one of the columns
            if attempt == 2:
                logging.getLogger(__name__).warning("%s", error)
                return [_unreadable(error)], tabs(page.path, search, "encounter"), None, None
    return shown, tabs(page.path, search, view.title.word), state, wanted


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
    return [shown], tabs(pathname or "", search, "encounter"), None, None


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


def tabs(current: str, search: str | None, word: str) -> list[Any]:
    """The links to the pages, with the values of the switches."""
    return [
        html.A(
            page.called(word),
            href=get_app().get_relative_path(page.path) + address(search, day=None, session=None),
            id=f"tab-{page.path.strip('/') or 'overview'}",
            className="tab here" if page.path == current else "tab",
            **(parts.aria(current="page") if page.path == current else {}),
        )
        for page in PAGES
    ]


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


def _periods(page: Page, view: View, search: str | None) -> html.P:
    """Links to the latest days, and to all days."""
    first, last = view.title.first, view.title.last
    if first is None or last is None:
        return html.P([])
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
                    href=get_app().get_relative_path(page.path)
                    + address(search, **{"from": str(begin), "to": str(last)}),
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


def _switch_state(con: duckdb.DuckDBPyConnection, page: Page, view: View) -> dict[str, Any]:
    """The state of the form above the page, for assets/switches.js."""
    return {
        "page": page.called(view.title.word),
        "titles": list(view.titles),
        "title": view.title.name,
        "countries": sorted(
            ([code, country_name(code)] for code in activity.countries(con, view.title)),
            key=lambda pair: pair[1],
        ),
        "country": view.country or "",
        "from": str(view.first),
        "to": str(view.last),
        "min": str(view.title.first),
        "max": str(view.title.last),
        "uses": list(page.uses),
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
