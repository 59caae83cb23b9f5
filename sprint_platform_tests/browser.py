"""The machine's own Chromium, for tests of pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
# A page is drawn in well under a second; a machine that runs other tests may take its time.
PATIENCE = 30_000
expect.set_options(timeout=PATIENCE)
# It asks nobody for anything on its own.
SWITCHES = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser, while the block runs; a test that asks for one is skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine (chromium, google-chrome)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, address: str) -> Iterator[Page]:
    """A page of 1280 px at the address. What went wrong in it fails the test, and so does what it
    asks for that is not beneath the address."""
    wrong: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=address)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.on(
        "console", lambda message: wrong.append(message.text) if message.type == "error" else None
    )
    page.on("pageerror", lambda error: wrong.append(str(error)))
    # a page that is left while something is under way aborts it
    page.on(
        "requestfailed",
        lambda request: (
            None
            if request.failure == "net::ERR_ABORTED"
            else wrong.append(f"failed: {request.url} {request.failure}")
        ),
    )
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((f"{address}/", "data:", "blob:"))
            else wrong.append(f"foreign: {request.url}")
        ),
    )
    page.on(
        "response",
        lambda response: (
            wrong.append(f"{response.status}: {response.url}") if response.status >= 400 else None
        ),
    )
    yield page
    context.close()
    assert wrong == []


def serious_faults(page: Page, *rules: str) -> list[str]:
    """What axe, an engine of accessibility rules, finds serious or critical: by these rules, or by
    all. The insides of charts are left out, each of which is one picture with a name."""
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    found = Axe().run(page, {"exclude": [[".js-plotly-plot"]]}, options).response["violations"]
    return [
        f"{fault['id']}: {node['html'][:200]} {node['failureSummary']}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
