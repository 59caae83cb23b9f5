"""`python -m sprint_platform_tests.readme_pictures`: the dashboard's pictures in docs, drawn anew.

They show what the data folder has published; those that are committed are of `sprint run --title
sprint --from 2025-01-01 --to 2025-12-31`.
"""

from __future__ import annotations

import threading

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
        draw(page, "/?title=sprint", "overview")
        # the third encounter of the day's session that has most: two teams have come together
        draw(page, "/encounters?title=sprint", "encounters", go_to=2)
    server.close()


def draw(page: Page, address: str, name: str, go_to: int | None = None) -> None:
    """Draws the upper part of a page, with its charts, as ``docs/dashboard-<name>.png``."""
    page.goto(address)
    page.wait_for_load_state("networkidle")
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    if go_to is not None:
        page.get_by_text("Go", exact=True).nth(go_to).click()
        page.wait_for_load_state("networkidle")
    page.evaluate("window.scrollTo(0, 0)")
    page.screenshot(path=installed_root() / "docs" / f"dashboard-{name}.png")


if __name__ == "__main__":
    main()
