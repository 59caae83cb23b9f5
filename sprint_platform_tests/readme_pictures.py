"""`python -m sprint_platform_tests.readme_pictures`: the dashboard's pictures in docs, drawn anew.

They show what the data folder has published; those that are committed are of `sprint run --title
sprint --from 2025-01-01 --to 2025-03-31`, as the notebooks are.
"""

from __future__ import annotations

import threading
from io import BytesIO

from PIL import Image
from playwright.sync_api import Page, expect
from waitress import create_server

from sprint_platform.core.project import installed_root
from sprint_platform.dashboard.app import build_app
from sprint_platform_tests.browser import chromium


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
    # in few colours: pictures are committed to git
    drawn = Image.open(BytesIO(page.screenshot())).convert("RGB").quantize(128)
    drawn.save(installed_root() / "docs" / f"dashboard-{name}.png", optimize=True)


if __name__ == "__main__":
    main()
