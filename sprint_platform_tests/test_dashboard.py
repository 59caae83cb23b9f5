"""The dashboard in a browser: a real Chromium, the real application, a small published folder.

No test waits for a time: they wait for what a person would see. Every page that a test opens is
held to having no error in its console and asking nobody but the dashboard's own server.
"""

from __future__ import annotations

import csv
import http.client
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from playwright.sync_api import Browser, Download, Locator, Page, Route, expect
from waitress import create_server

from sprint_platform.dashboard.app import PAGES, TITLE_PAGES, build_app
from sprint_platform.dashboard.published import published
from sprint_platform.places import installed_root
from sprint_platform_tests import postgres_server
from sprint_platform_tests.browser import chromium, opened, serious_faults
from sprint_platform_tests.dashboard_marts import (
    EVENT_LOG,
    LAST,
    REPLAY_DAY,
    STORE,
    STORE_DAYS,
    change_mart,
    publish_domain,
    publish_marts,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with two titles' marts published, and a Dagster home that knows one run."""
    folder = tmp_path_factory.mktemp("dashboard")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(folder / "data"))
        patch.setenv("DAGSTER_HOME", str(folder / "home"))
        (folder / "home").mkdir()
        publish_marts(folder)
        publish_domain("storefront", STORE, STORE_DAYS)
        publish_domain("eventlog", EVENT_LOG)
        run_with_a_failing_check()
        yield folder


def run_with_a_failing_check() -> None:
    """A run of one asset of sprint with a check that passes and one that fails."""

    @dg.multi_asset_check(
        specs=[
            dg.AssetCheckSpec("rows_match_manifest", asset=["sprint", "sessions"]),
            dg.AssetCheckSpec("kills_equal_deaths", asset=["sprint", "sessions"]),
        ]
    )
    def checks() -> Iterator[dg.AssetCheckResult]:
        yield dg.AssetCheckResult(passed=True, check_name="rows_match_manifest")
        yield dg.AssetCheckResult(
            passed=False, check_name="kills_equal_deaths", description="3 sessions are wrong"
        )

    @dg.asset(key=["sprint", "sessions"])
    def sessions() -> None: ...

    with dg.DagsterInstance.get() as instance:
        dg.materialize(
            [sessions, checks], instance=instance, tags={"dagster/partition": "2025-03-01"}
        )


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """The dashboard, served as the command line serves it, on a free port."""
    server = create_server(build_app().server, host="127.0.0.1", port=0, threads=8)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(address: str, browser: Browser) -> Iterator[Page]:
    with opened(browser, address) as page:
        yield page


def ask(query: str) -> list[tuple[Any, ...]]:
    with published() as con:
        return con.execute(query).fetchall()


def drawn(page: Page) -> None:
    """Waits until every chart of the page is drawn, and nothing is under way."""
    expect(page.locator("main h1")).to_be_visible()
    expect(page.locator("main")).not_to_have_attribute("data-dash-is-loading", "true")
    graphs = page.locator("main .dash-graph")
    for place in range(graphs.count()):
        expect(graphs.nth(place).locator(".main-svg").first).to_be_attached()


def shows(locator: Locator, text: str) -> None:
    expect(locator).to_have_text(text)


def test_the_store_has_its_own_pages_days_and_no_title(page: Page) -> None:
    page.goto("/retention?title=leap&country=BR")
    page.get_by_role("link", name="Web store").click()
    shows(page.locator("#about"), "Web store, 21 Jan – 9 Feb 2025")
    expect(page).to_have_title("Sales · web store · Sprint dashboard")
    expect(page.locator("#switch-title")).to_be_hidden()
    page.get_by_label("From", exact=True).fill("2025-02-03")
    shows(page.locator("#about"), "Web store, 3 – 9 Feb 2025")
    page.get_by_role("navigation", name="Pages of the web store").get_by_text("Funnel").click()
    shows(page.locator("h1"), "Funnel")
    shows(page.locator("#about"), "Web store, 3 – 9 Feb 2025")
    drawn(page)
    page.locator("#tab-eventlog").click()
    shows(page.locator("#about"), "Event log, all batches")
    page.get_by_role("link", name="batch 3").click()
    shows(page.locator("#headline-began"), "100")
    page.locator("#tab-overview").click()
    shows(page.locator("#about"), "leap, 31 Jan – 1 Mar 2025, all countries")
    # a day's bars on one another have their values inside
    page.goto("/store?from=2025-02-09&to=2025-02-09")
    shows(page.locator("#revenue .bartext-inside").first, "978.00")
    assert page.evaluate(FAINT_CHARTS) == []


def test_numbers_are_those_of_sql(page: Page, browser: Browser, address: str) -> None:
    page.goto("/?title=sprint")
    page.get_by_label("From", exact=True).fill("2025-02-01")
    shows(page.locator("#about"), "sprint, 1 Feb – 1 Mar 2025, all countries")
    page.get_by_label("to", exact=True).fill("2025-02-14")
    shows(page.locator("#about"), "sprint, 1 – 14 Feb 2025, all countries")
    page.get_by_label("Country").select_option("DE")
    shows(page.locator("#about"), "sprint, 1 – 14 Feb 2025, Germany")
    ((dau, new, sessions, seconds, revenue, arpdau),) = ask(
        "select avg(active_players), sum(new_players), sum(sessions) / sum(active_players),"
        " sum(play_time_seconds) / sum(active_players), sum(revenue),"
        " sum(revenue)::double / sum(active_players) from sprint_mart.kpi_daily"
        " where country = 'DE' and calendar_date between '2025-02-01' and '2025-02-14'"
    )
    ((before,),) = ask(
        "select sum(revenue) from sprint_mart.kpi_daily"
        " where country = 'DE' and calendar_date between '2025-01-18' and '2025-01-31'"
    )
    for key, figure in (
        ("active-players", f"{dau:,.0f}"),
        ("new-players", f"{new:,}"),
        ("sessions-per-active-player", f"{sessions:.2f}"),
        ("play-time-per-active-player", f"{seconds / 60:.1f} min"),
        ("revenue", f"{revenue:,.2f}"),
        ("arpdau", f"{arpdau:.2f}"),
    ):
        shows(page.locator(f"#headline-{key}"), figure)
    change = (float(revenue) / float(before) - 1) * 100
    expect(page.locator("#headline-revenue + .change")).to_contain_text(f"up  {change:.1f} %")
    # the view travels by its address
    with browser.new_context(base_url=address) as context:
        other = context.new_page()
        other.goto(page.url)
        shows(other.locator("#about"), "sprint, 1 – 14 Feb 2025, Germany")
        shows(other.locator("#headline-revenue"), f"{revenue:,.2f}")


def test_tables_are_those_of_sql(page: Page) -> None:
    days = "between '2025-02-03' and '2025-02-23'"
    page.goto("/retention?title=sprint&from=2025-02-03&to=2025-02-23&country=US")
    ((players, d7),) = ask(
        "select sum(cohort_players), sum(retained_players) / sum(cohort_players)"
        " from sprint_mart.cohort_retention where country = 'US' and day_number = 7"
        " and signup_date between '2025-02-10' and '2025-02-16'"
    )
    row = page.locator("#cohorts-table tbody tr").nth(1)
    shows(row.locator("th"), "week of 10 Feb 2025")
    shows(row.locator("td").nth(0), str(players))
    # of fewer than twenty players: with their number
    shows(row.locator("td").nth(3), f"{d7:.1%} of {players}".replace("%", "\u00a0%"))
    page.goto("/regions?title=sprint&from=2025-02-03&to=2025-02-23")
    found = ask(
        "select country, sum(active_players) / 21, sum(new_players), sum(revenue)"
        f" from sprint_mart.kpi_daily where calendar_date {days}"
        " group by country order by sum(play_time_seconds) desc"
    )
    names = {"BR": "Brazil (BR)", "DE": "Germany (DE)", "US": "United States (US)"}
    names["ZZ"] = "Unknown (ZZ)"
    for place, (country, players, new, revenue) in enumerate(found):
        cells = page.locator("#country-table tbody tr").nth(place).locator("th, td")
        shows(cells.nth(0), names[country])
        shows(cells.nth(1), f"{players:,.0f}")
        shows(cells.nth(2), f"{new:,}")
        shows(cells.nth(6), f"{revenue:,.0f}" if revenue >= 10_000 else f"{revenue:,.2f}")
    page.goto("/revenue?title=sprint&from=2025-02-03&to=2025-02-16&country=US")
    page.locator("#lifetime-value-open").click()
    ((value, players),) = ask(
        "select sum(cumulative_revenue)::double / sum(cohort_players), sum(cohort_players)"
        " from sprint_mart.cohort_revenue where country = 'US' and day_number = 7"
        " and signup_date between '2025-02-03' and '2025-02-09'"
    )
    row = page.locator("#lifetime-value table tbody tr").first
    shows(row.locator("td").nth(3), f"{value:.2f} of {players}")
    # one segment is a sentence, several are a chart and its table
    expect(page.locator("#segments")).to_contain_text("lapsing are 100.0\u00a0% of 5 payers")
    page.get_by_label("Country").select_option("")
    page.locator("#segments-open").click()
    shows(page.locator("#segments table tbody tr th").first, "lapsing")


def test_keyboard_reaches_switches_tabs_and_replay(page: Page) -> None:
    page.goto("/encounters?title=sprint")
    expect(page.locator("#replay-beat")).to_be_visible()
    reached: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "() => { const e = document.activeElement, s = getComputedStyle(e);"
            " return [e.id || e.className || e.tagName, s.outlineStyle, s.outlineWidth]; }"
        )
        if focused[0] not in reached:
            reached.append(focused[0])
            assert focused[1:] != ["none", "0px"], f"{focused[0]} does not show its focus"
        if focused[0] == "replay-beat":
            break
    wanted = ["skip", "switch-title", "switch-from", "switch-to"]
    wanted += ["tab-overview", "tab-retention", "tab-revenue", "tab-regions", "tab-encounters"]
    wanted += ["tab-quality", "replay-day", "replay-session", "replay-play", "replay-beat"]
    assert [name for name in reached if name in wanted] == wanted
    expect(page.locator("#replay-now")).to_contain_text("Beat 1 of")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#replay-now")).to_contain_text("Beat 2 of")
    # a select keeps the focus while the page behind it is drawn anew
    page.locator("#switch-title").focus()
    page.keyboard.press("ArrowUp")
    shows(page.locator("h1"), "Conflicts")
    expect(page.locator("#switch-title")).to_be_focused()
    page.locator("#tab-retention").focus()
    page.keyboard.press("Enter")
    shows(page.locator("h1"), "Retention")
    expect(page.locator("#tab-retention")).to_be_focused()
    page.locator("#switch-country").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#about")).to_have_text(re.compile("leap, .*, Brazil"))


def test_replay_steps_through_the_beats_of_a_session(page: Page) -> None:
    page.goto(f"/encounters?title=sprint&day={REPLAY_DAY}")
    # the sessions with most encounters can be chosen
    options = page.locator("#replay-session option")
    expect(options.first).to_be_attached()
    offered = options.evaluate_all("all => all.map(o => o.value)")
    session, count = ask(
        "select session_id, close_encounter_count from sprint_mart.session_close_encounters_daily"
        f" where session_id in ({str(offered)[1:-1]}) order by close_encounter_count, session_id"
    )[0]
    assert count > 1
    beats = ask(
        "select event_datetime, min(position_x), count(*), count(distinct team_id)"
        f" from sprint_raw.event_heartbeat where session_id = '{session}'"
        " group by event_datetime order by event_datetime"
    )
    page.locator("#replay-session").select_option(str(session))
    expect(page.locator("#replay-summary")).to_contain_text(f"{len(beats)} beats of 30 s")
    expect(page).to_have_url(re.compile(f"session={session}"))
    expect(page.locator("#replay-summary")).to_contain_text(f"{count} encounters.")
    expect(page.locator("#meeting-table tbody tr")).to_have_count(count)
    now, marks = page.locator("#replay-now"), page.locator("#replay-map .scatterlayer .point")
    at, _, players, teams = beats[1]
    page.get_by_role("button", name="One beat on").click()
    expect(now).to_contain_text(f"Beat 2 of {len(beats)}, {at:%H:%M:%S} UTC")
    # a mark for each player and each team's middle, and one per team in the legend
    expect(marks).to_have_count(players + teams)
    page.get_by_role("button", name="One beat back").click()
    expect(now).to_contain_text(f"Beat 1 of {len(beats)}")
    # an encounter of the list is where its teams are joined
    row = page.locator("#meeting-table tbody tr").first
    one, other = re.findall(r"\d+", row.locator("td").first.inner_text())
    row.get_by_role("button").click()
    expect(now).to_contain_text(re.compile(f"teams {one} and {other}.* in an encounter"))
    expect(now).to_contain_text(row.locator("th").inner_text())
    page.locator("#replay-beat").fill("0")
    page.get_by_role("button", name="Play").click()
    # by then it may be farther on
    expect(now).to_contain_text(re.compile(r"Beat ([3-9]|\d\d) of"))
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    # the last beat ends the play
    page.locator("#replay-beat").fill(str(len(beats) - 2))
    page.get_by_role("button", name="Play").click()
    expect(now).to_contain_text(f"Beat {len(beats)} of {len(beats)}")
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_for_everybody_on_every_screen(page: Page) -> None:
    """An engine of accessibility rules finds no serious fault on any page; charts have a name, a
    summary and their numbers, and their texts stand out by 4.5:1, light and dark; at 390 px nothing
    is wider than the screen."""
    for path in PAGES:
        page.set_viewport_size({"width": 390, "height": 900})
        page.emulate_media(color_scheme="dark")
        page.goto(f"{path.path}?title=sprint&country=BR")
        drawn(page)
        if path.path == "/encounters":
            expect(page.locator("#replay-now")).to_contain_text("Beat 1 of")
        if path.path == "/quality":
            expect(page.locator("#check-table")).to_be_visible()
        page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true })")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390, path.path
        # the tabs scroll to the one that is shown, also those of a domain's pages
        for tab in page.locator(".tab.here").all():
            expect(tab).to_be_in_viewport(ratio=0.9)
        assert page.evaluate(CUT_OFF) == [], path.path
        assert page.evaluate(NAMELESS) == [], path.path
        assert page.evaluate(FAINT_CHARTS) == [], path.path
        assert serious_faults(page) == [], path.path
        page.set_viewport_size({"width": 1440, "height": 900})
        page.emulate_media(color_scheme="light")
        drawn(page)
        assert page.evaluate(FAINT_CHARTS) == [], path.path
        assert serious_faults(page, *DEPENDS_ON_THE_SCREEN) == [], path.path


def test_a_page_stays_readable_while_the_next_is_under_way(page: Page) -> None:
    page.goto("/?title=sprint")
    drawn(page)
    # nor does a text take its colour slowly, when the scheme changes
    assert page.evaluate(IN_TRANSITION) == []
    main = page.locator("main")
    held: list[Route] = []

    def hold_a_page(route: Route) -> None:
        if "page.children" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route("**/_dash-update-component*", hold_a_page)
    page.locator("#tab-retention").click()
    expect(main).to_have_attribute("data-dash-is-loading", "true")
    assert main.evaluate(BAR) == "visible"
    expect(main).to_have_css("opacity", "1")
    assert serious_faults(page, "color-contrast") == []
    for route in held:
        route.continue_()
    page.unroute("**/_dash-update-component*")
    shows(page.locator("h1"), "Retention")
    drawn(page)
    assert main.evaluate(BAR) == "none"


IN_TRANSITION = """() => [...document.querySelectorAll('*')]
  .filter((e) => getComputedStyle(e).transitionDuration !== '0s').map((e) => e.id || e.tagName)"""

# Whether the bar at the top is there, once it would have appeared.
BAR = """async (main) => {
  const running = main.getAnimations({ subtree: true });
  await Promise.all(running.filter((a) => a.animationName === 'appear').map((a) => a.finished));
  const bar = getComputedStyle(main, '::before');
  return bar.content === 'none' ? 'none' : bar.visibility;
}"""

# axe's rules whose findings another width or another scheme may change.
DEPENDS_ON_THE_SCREEN = ("color-contrast", "scrollable-region-focusable")


def test_on_paper_charts_are_whole_and_what_a_screen_needs_is_left_out(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto("/?title=sprint")
    drawn(page)
    page.emulate_media(media="print", color_scheme="dark")
    for gone in ("#switches", "#tabs", ".periods", ".csv", "#active-open"):
        expect(page.locator(gone).first).to_be_hidden()
    expect(page.locator("#active")).to_have_css("background-color", "rgb(255, 255, 255)")
    cut = """all => all.filter((chart) => {
      const { left, right } = chart.closest('section').getBoundingClientRect();
      const drawn = chart.getBoundingClientRect();
      return drawn.left < left || drawn.right > right;
    }).map((chart) => chart.closest('section').id)"""
    assert page.locator(".main-svg").evaluate_all(cut) == []


def test_a_chart_and_a_table_are_downloaded_as_they_are_shown(page: Page) -> None:
    page.goto("/?title=sprint&from=2025-02-01&to=2025-02-14&country=DE")
    drawn(page)
    page.get_by_role("button", name="CSV of the numbers: Active players by day").focus()
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == (
        "sprint-active-players-2025-02-01-to-2025-02-14-de.csv"
    )
    heading, *rows = read_csv(download.value)
    assert heading == ["period", "daily, on average", "weekly, last day", "monthly, last day"]
    found = ask(
        "select active_players, weekly_active_players, monthly_active_players from"
        " sprint_mart.kpi_daily where country = 'DE' and calendar_date between '2025-02-01' and"
        " '2025-02-14' order by calendar_date"
    )
    assert [row[1:] for row in rows] == [[str(figure) for figure in day] for day in found]
    assert (rows[0][0], rows[-1][0]) == ("1 Feb 2025", "14 Feb 2025")
    # numbers of five digits, shares and mixed units; no country is chosen there
    page.goto("/regions?title=sprint&from=2025-02-01&to=2025-02-14")
    with page.expect_download() as download:
        page.locator("#countries .csv").click()
    assert download.value.suggested_filename == (
        "sprint-all-countries-2025-02-01-to-2025-02-14.csv"
    )
    shown = page.locator("#country-table tr").evaluate_all(
        "all => all.map((row) => [...row.cells].map((cell) => cell.innerText))"
    )
    plain = [[re.sub(r"(?<=\d)[,\s](?=\d|%)", "", cell) for cell in row] for row in shown]
    assert read_csv(download.value) == plain
    # how many people a rate of few is of is left out: its column has numbers alone
    page.goto("/retention?title=sprint&from=2025-02-01&to=2025-02-28&country=BR")
    shows(page.locator("#cohorts small").first, " of 4")
    with page.expect_download() as download:
        page.locator("#cohorts .csv").click()
    cells = [cell for row in read_csv(download.value)[1:] for cell in row[2:]]
    assert all(re.fullmatch(r"(\d+\.\d%)?", cell) for cell in cells), cells


def read_csv(download: Download) -> list[list[str]]:
    return list(csv.reader(download.path().read_text(encoding="utf-8-sig").splitlines()))


# The colour of a chart's texts, which axe does not look at, against what they stand on: their bar,
# or the nearest ancestor with a background. In the dark a filter turns the charts' colours over.
FAINT_CHARTS = """() => {
  const channels = (color) => (color.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (a, b) => {
    const [high, low] = [light(a), light(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  const turned = (rgb) => [[-0.574, 1.43, 0.144], [0.426, 0.43, 0.144], [0.426, 1.43, -0.856]]
    .map((row) => row.reduce((sum, part, i) => sum + part * (255 - rgb[i]), 0))
    .map((c) => Math.min(Math.max(c, 0), 255));
  const faint = [];
  for (const text of document.querySelectorAll('.main-svg text')) {
    if (!text.textContent.trim() || !text.checkVisibility() || text.closest('.textpoint')) continue;
    const filter = getComputedStyle(text.closest('.main-svg')).filter;
    const seen = filter === 'none' ? (rgb) => rgb : turned;
    const inside = text.classList.contains('bartext-inside') && text.closest('.point');
    let ground = inside && seen(channels(getComputedStyle(inside.querySelector('path')).fill));
    for (let at = text.closest('.js-plotly-plot'); !ground; at = at.parentElement) {
      const [r, g, b, a = 1] = channels(getComputedStyle(at).backgroundColor);
      if (a > 0) ground = [r, g, b];
    }
    const found = ratio(seen(channels(getComputedStyle(text).fill)), ground);
    if (found < 4.5) faint.push(`${text.textContent.slice(0, 40)}: ${found.toFixed(2)}`);
  }
  return faint;
}"""

# Tables that do not show that they scroll, and numbers that are wider than their box.
CUT_OFF = """() => {
  const wider = (which) =>
    [...document.querySelectorAll(which)].filter((e) => e.scrollWidth > e.clientWidth);
  return [
    ...wider('.scrolls').filter((table) => getComputedStyle(table).boxShadow === 'none'),
    ...wider('.headline, .headline > *'),
  ].map((e) => e.innerText.slice(0, 60));
}"""

# Of what axe has no rule for.
NAMELESS = """() => {
  const wrong = [];
  for (const graph of document.querySelectorAll('.dash-graph')) {
    const name = graph.closest('[role=img]')?.getAttribute('aria-label') || '';
    const card = graph.closest('section');
    if (name.length < 20) wrong.push(`no name: ${graph.id}`);
    if (!card.querySelector('.summary')?.textContent.trim()) wrong.push(`no summary: ${graph.id}`);
    if (!card.querySelector('table, a[href="#countries"]')) wrong.push(`no table: ${graph.id}`);
  }
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  const twice = new Set(ids.filter((id, n) => ids.indexOf(id) !== n));
  wrong.push(...[...twice].map((id) => `twice: ${id}`));
  return wrong;
}"""


def test_chart_colours_stand_out_from_paper() -> None:
    from sprint_platform.dashboard.charts import PAPER, SERIES, colour_of, contrast, ink_on

    # 3:1 is what WCAG asks of what is no text; white letters stand on these colours: 4.5:1
    assert min(contrast(colour, PAPER) for colour in SERIES) >= 4.5
    cells = [colour_of(part / 100) for part in range(101)]
    assert min(contrast(ink_on(cell), cell) for cell in cells) >= 4.5
    # in grey, too, darker means more
    assert [contrast(cell, PAPER) for cell in cells] == sorted(contrast(c, PAPER) for c in cells)


@pytest.fixture
def behind_a_proxy(folder: Path) -> Iterator[str]:
    """The address of a proxy that passes on what is beneath /games to the dashboard, as the command
    line serves it, which answers by another name than the proxy's."""
    port = postgres_server._free_port()
    command = [sys.executable, "-m", "sprint_platform.cli", "dashboard", "--port", str(port)]
    command += ["--base-path", "/games", "--allow-host", "stats.example"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as dashboard:
        assert dashboard.stdout is not None
        assert f"http://127.0.0.1:{port}/games" in dashboard.stdout.readline()
        with ThreadingHTTPServer(("127.0.0.1", 0), proxy_to(port, "stats.example")) as proxy:
            threading.Thread(target=proxy.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{proxy.server_port}"
            proxy.shutdown()
        dashboard.terminate()


def proxy_to(port: int, name: str) -> type[BaseHTTPRequestHandler]:
    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            if not self.path.startswith("/games"):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            behind = http.client.HTTPConnection("127.0.0.1", port)
            behind.request(self.command, self.path, body, {**dict(self.headers), "Host": name})
            answer = behind.getresponse()
            content = answer.read()
            behind.close()
            self.send_response_only(answer.status)
            for header, value in answer.getheaders():
                if header not in ("Transfer-Encoding", "Content-Length", "Connection"):
                    self.send_header(header, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            # a page that is left does not wait for the rest
            with suppress(BrokenPipeError):
                self.wfile.write(content)

        do_GET = do_POST = pass_on

        def log_message(self, *_: Any) -> None: ...

    return Proxy


def test_tabs_switches_and_the_address_beneath_a_path(
    behind_a_proxy: str, browser: Browser
) -> None:
    """Nothing is asked for that is not beneath the path."""
    games = f"{behind_a_proxy}/games"
    with opened(browser, games) as page:
        asked = page.request.get(f"{games}?title=leap", max_redirects=0)
        assert asked.headers["location"] == "/games/?title=leap"
        page.goto(f"{games}/")
        shows(page.locator("h1"), "Home")
        expect(page.locator("#switches")).to_be_hidden()
        page.get_by_role("link", name="sprint", exact=True).click()
        shows(page.locator("h1"), "Overview")
        for path in TITLE_PAGES[1:]:
            name = path.called("encounter")
            page.get_by_role("navigation").get_by_role("link", name=name).click()
            shows(page.locator("h1"), name)
            expect(page.locator(".tab.here")).to_have_text(name)
            drawn(page)
            assert page.url == f"{games}{path.path}?title=sprint"
        # a title whose word is conflict
        page.get_by_label("Title").select_option("leap")
        shows(page.locator("#about"), "leap, 31 Jan – 1 Mar 2025")
        page.get_by_role("link", name="Conflicts").click()
        shows(page.locator("h1"), "Conflicts")
        shows(page.locator("#rates-name"), "Conflicts per session")
        assert "title=leap" in page.url
        page.go_back()
        shows(page.locator("h1"), "Data quality")
        page.get_by_label("Title").select_option("sprint")
        shows(page.locator("#about"), "sprint, 31 Jan – 1 Mar 2025")
        page.goto(f"{games}/encounters?title=sprint")
        page.get_by_role("button", name="One beat on").click()
        expect(page.locator("#replay-now")).to_contain_text("Beat 2 of")
        page.get_by_role("link", name="7 days").click()
        shows(page.locator("#about"), "sprint, 23 Feb – 1 Mar 2025")


def test_data_quality_shows_checks_runs_and_freshness(page: Page) -> None:
    page.goto("/quality?title=sprint")
    shows(page.locator("#checks-summary"), "1 of 2 checks failed when they were asked last.")
    expect(page.locator("#checks")).to_contain_text(
        "sprint/sessions: kills_equal_deaths (error): 3 sessions are wrong"
    )
    row = page.locator("#run-table tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("2025-03-01")
    ((rows,),) = ask("select count(*) from sprint_mart.kpi_daily")
    row = page.locator("#freshness-table tbody tr", has_text="kpi_daily")
    expect(row).to_have_text(f"kpi_dailyday1 Jan 20251 Mar 2025{rows}")
    # one mart lags behind: the session mart has one day only
    expect(page.locator("#freshness .summary")).to_contain_text(
        "except session_close_encounters_daily."
    )
    page.goto("/quality?title=leap")
    expect(page.locator("#runs")).to_contain_text("Dagster knows of no run of leap.")
    # of the 30 days that are shown, 20 have 3 refused records each and 10 have 5
    expect(page.locator("#rejects .summary")).to_contain_text("110 on 31 Jan – 1 Mar 2025")
    page.locator("#rejects-open").click()
    expect(page.locator("#rejects tbody tr").first).to_have_text(
        "sessionsstarts after it ends60201 Mar 2025"
    )


def test_a_publication_shows_while_the_page_is_open(page: Page, folder: Path) -> None:
    page.goto(f"/?title=leap&from={LAST}&to={LAST}")
    ((before,),) = ask(
        f"select sum(new_players) from leap_mart.kpi_daily where calendar_date = '{LAST}'"
    )
    shows(page.locator("#headline-new-players"), f"{before:,}")
    change_mart(
        folder,
        "leap",
        "update leap_mart.kpi_daily set new_players = new_players + 1000"
        f" where calendar_date = '{LAST}' and country = 'BR'",
        "leap_mart.kpi_daily",
    )
    shows(page.locator("#headline-new-players"), f"{before + 1000:,}")


def test_days_without_anybody_say_what_to_run(page: Page) -> None:
    page.goto("/?title=sprint&from=2025-06-01&to=2025-06-07")
    expect(page.locator("#empty")).to_contain_text("Nobody played or bought in sprint")
    expect(page.locator("#empty code")).to_have_text(
        "sprint run --title sprint --from 2025-06-01 --to 2025-06-07"
    )
    page.set_viewport_size({"width": 390, "height": 900})
    assert serious_faults(page, "scrollable-region-focusable") == []
    page.goto("/?title=nosuch&from=yesterday")
    expect(page.locator(".warning").first).to_contain_text("no published title “nosuch”")
    expect(page.locator(".warning").nth(1)).to_contain_text("“yesterday”")
    page.goto("/nosuch")
    expect(page.locator("#empty")).to_contain_text("There is no such page")


def test_nothing_published_says_what_to_run(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path))
    page.goto("/revenue")
    expect(page.locator("#empty")).to_contain_text(f"there is no {tmp_path}/published")
    expect(page.locator("#empty code")).to_contain_text("sprint run --title sprint")
    # the first run ends: the page shows it by itself
    publish_marts(tmp_path, ("sprint",))
    shows(page.locator("h1"), "Revenue")
    drawn(page)


@pytest.mark.parametrize("guide", ["README.md", "docs/desk.md"])
@pytest.mark.usefixtures("folder")
def test_the_queries_that_guides_show_answer(guide: str) -> None:
    text = (installed_root() / guide).read_text()
    blocks = re.findall(
        r"^```sql\n-- duckdb data/published/sprint.duckdb\n(.*?)^```", text, re.M | re.S
    )
    queries = [query for block in blocks for query in block.split(";") if query.strip()]
    assert queries
    assert all(ask(query) for query in queries)
