"""`python -m sprint_platform_tests.readme_pictures`: the dashboard's pictures in docs and that of
the graph in Dagster's UI, drawn anew.

The dashboard's show what the data folder has published; those that are committed are of `sprint run
--title sprint --from 2025-01-01 --to 2025-03-31`, as the notebooks are.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from tempfile import TemporaryDirectory
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import Browser, FloatRect, Page, expect
from waitress import create_server

from sprint_platform.core.project import installed_root
from sprint_platform.dashboard.app import build_app
from sprint_platform_tests.browser import chromium

# One mart, and all that it comes from: every asset of a title is more than a picture can show.
GRAPH = '+key:"sprint/encounter_summary_daily"'
# Pixels around the graph.
MARGIN = 16


def main() -> None:
    server = create_server(build_app().server, host="127.0.0.1", port=0, threads=8)
    threading.Thread(target=server.run, daemon=True).start()
    with chromium() as browser:
        page = browser.new_page(
            viewport={"width": 1280, "height": 900},
            base_url=f"http://127.0.0.1:{server.effective_port}",
        )
        draw(page, "/overview?title=sprint", "overview")
        draw(page, "/encounters?title=sprint", "encounters", replayed=True)
        draw_graph(browser)
    server.close()


def draw(page: Page, address: str, name: str, replayed: bool = False) -> None:
    """Draws the upper part of a page, with its charts, as ``docs/dashboard-<name>.png``; on a page
    with a replay, in the midst of a match with some encounters, not of the one with most."""
    page.goto(address)
    page.wait_for_load_state("networkidle")
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    if replayed:
        shown = page.locator("#replay-summary").inner_text()
        sessions = page.locator("#replay-session")
        sessions.select_option(index=sessions.locator("option").count() // 4)
        expect(page.locator("#replay-summary")).not_to_have_text(shown)
        meetings = page.get_by_text("Go", exact=True)
        meetings.nth(meetings.count() // 2).click()
        page.wait_for_load_state("networkidle")
    page.evaluate("window.scrollTo(0, 0)")
    save(page.screenshot(), f"dashboard-{name}")


def draw_graph(browser: Browser) -> None:
    """Draws in Dagster's lineage what the encounters of the title sprint come from, with its groups
    open, as ``docs/graph.png``."""
    page = browser.new_page(viewport={"width": 1720, "height": 1200}, device_scale_factor=1.5)
    groups = [f"sprint_{name}" for name in ("dim", "raw", "stage", "encounters")]
    asked = f"asset-groups~{quote(GRAPH, safe='')}/?expanded="
    asked += quote(",".join(f"global@global:{group}" for group in groups))
    with dagster_ui() as address:
        page.goto(f"{address}/{asked}")
        for name in (*groups, "dim_players", "stage_encounters"):
            expect(page.locator("svg").get_by_text(name, exact=True)).to_be_visible()
        page.wait_for_load_state("networkidle")
        boxes = [box.bounding_box() for box in page.locator("svg foreignObject").all()]
        left, top, right, bottom = zip(
            *(
                (box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"])
                for box in boxes
                if box
            ),
            strict=True,
        )
        clip: FloatRect = {
            "x": min(left) - MARGIN,
            "y": min(top) - MARGIN,
            "width": max(right) - min(left) + 2 * MARGIN,
            "height": max(bottom) - min(top) + 2 * MARGIN,
        }
        save(page.screenshot(clip=clip), "graph")


@contextmanager
def dagster_ui() -> Iterator[str]:
    """The address of Dagster's UI, with a history of its own, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dagster_webserver", "-m", "sprint_platform.definitions"]
    with TemporaryDirectory() as home:
        # no telemetry, and no dialog over the page
        shutil.copy(installed_root() / "sprint_platform" / "dagster.yaml", home)
        ui = subprocess.Popen(
            [*command, "-h", "127.0.0.1", "-p", str(port)],
            cwd=home,
            env={**os.environ, "DAGSTER_HOME": home},
        )
        try:
            while ui.poll() is None:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            ui.terminate()
            ui.wait()


def save(screenshot: bytes, name: str) -> None:
    """Saves the picture as ``docs/<name>.png``, in few colours: it is committed to git."""
    drawn = Image.open(BytesIO(screenshot)).convert("RGB").quantize(128)
    drawn.save(installed_root() / "docs" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
