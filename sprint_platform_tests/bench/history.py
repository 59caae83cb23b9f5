"""What history costs: a day after two years beside a day after a week, and questions and the
dashboard over those years."""

from __future__ import annotations

import statistics
import threading
import time
from dataclasses import dataclass
from datetime import timedelta

from waitress import create_server

from sprint_platform.dashboard.app import build_app
from sprint_platform.ml.names import SEGMENTS
from sprint_platform.title import Title
from sprint_platform.transform.questions import ask, questions
from sprint_platform_tests.bench.graph_runs import GRAPH, fresh_folders, materialize, run
from sprint_platform_tests.browser import CHROMIUM, chromium

# Days of history that the measured days lie behind; all of them are over, so that a run may have
# them.
HISTORIES = (7, 90, 365, 690)
# Days are measured one after the other behind the history.
MEASURED = 3
# Every chart has its drawing, and none waits for data.
DRAWN = """() => {
    const charts = [...document.querySelectorAll('.dash-graph')];
    return charts.length > 0
        && charts.every(chart => chart.querySelector('.main-svg'))
        && !document.querySelector('[data-dash-is-loading="true"]');
}"""


@dataclass(frozen=True)
class History:
    """Seconds of wall clock: of a day through the whole graph by the days of history before it, of
    each question by its number (the slowest of three), of the dashboard's first page."""

    days: dict[int, float]
    questions: dict[int, float]
    first_page: float | None

    @property
    def ratio(self) -> float:
        """A day after the longest history over one after the shortest."""
        return self.days[HISTORIES[-1]] / self.days[HISTORIES[0]]


def two_years(title: str) -> History:
    """Two years of the title, and what a day, a question and the dashboard's first page take."""
    launch = Title.load(title).launch_date
    with fresh_folders() as environment:
        seconds, made = {}, 0
        for history in HISTORIES:
            first, last = (launch + timedelta(days=n) for n in (made, history - 1))
            run(materialize(GRAPH, title, first, last), environment)
            made = history + MEASURED
            seconds[history] = statistics.median(
                run(materialize(GRAPH, title, launch + timedelta(days=n)), environment).wall
                for n in range(history, made)
            )
        return History(seconds, _questions(title), _first_page())


def _questions(title: str) -> dict[int, float]:
    """Seconds of each question of days, with the answer's rows read; the process is warm."""
    game, seconds = Title.load(title), {}
    for question in questions():
        # which only a weekly run can answer
        if SEGMENTS in question.models:
            continue
        spent = []
        for _ in range(3):
            began = time.perf_counter()
            ask(game, question)
            spent.append(time.perf_counter() - began)
        seconds[question.number] = max(spent)
    return seconds


def _first_page() -> float | None:
    """Seconds from the address to the last chart, in a browser that never saw it; None without a
    browser."""
    if CHROMIUM is None:
        return None
    server = create_server(build_app().server, host="127.0.0.1", port=0, threads=8)
    threading.Thread(target=server.run, daemon=True).start()
    try:
        with chromium() as browser:
            page = browser.new_page()
            began = time.perf_counter()
            page.goto(f"http://127.0.0.1:{server.effective_port}/overview")
            page.wait_for_function(DRAWN)
            return time.perf_counter() - began
    finally:
        server.close()
