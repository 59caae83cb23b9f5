"""The documentation as people open it: from disk, without a server and without a network."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, Page

from sprint_platform.cli.docs import FRONT, MODELS, docs, write_site
from sprint_platform.cli.terminal import Stop
from sprint_platform.places import dbt_project_dir, project_root
from sprint_platform.title import Title
from sprint_platform.transform.dbt_docs import Documented
from sprint_platform_tests.browser import chromium

DOMAINS = ("title", "title_ml", "eventlog", "storefront")
# A model of each domain: a column with its type, and what it stands on.
SHOWN = {
    "stage_encounters": ("min_distance", "DOUBLE", "stage_centroids"),
    "fct_sessions": ("session_date", "DATE", "stg_sessions"),
    "daily_sales": ("order_date", "DATE", "order_items"),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site, built where nothing was ever run."""
    folder = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(folder / "data"))
        write_site(folder / "site", Title.load("sprint"))
    assert not (folder / "data").exists()
    return folder / "site"


@pytest.fixture(scope="module")
def manifest(site: Path) -> dict[str, Any]:
    """What dbt's page knows of the project."""
    return _held(site, '{"metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/manif')


@pytest.fixture(scope="module")
def catalog(site: Path) -> dict[str, Any]:
    """What dbt's page knows of the tables."""
    return _held(site, '{"metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/catal')


def _held(site: Path, begin: str) -> dict[str, Any]:
    page = (site / MODELS).read_text()
    held, _ = json.JSONDecoder().raw_decode(page, page.index(begin))
    return held


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that notes what it asks for; the test fails where that is not the site's own files, or
    a script of a guide fails."""
    opened = browser.new_page(viewport={"width": 1400, "height": 900})
    asked: list[str] = []
    wrong: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    yield opened
    opened.close()
    assert wrong == []
    assert asked
    assert {urlsplit(url).scheme for url in asked} <= {"file", "data", "blob"}


# --- what is documented --------------------------------------------------------------------------


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_model_is_there_with_its_lineage_and_types(
    manifest: dict[str, Any], catalog: dict[str, Any], domain: str
) -> None:
    models = {
        node["name"]: node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["fqn"][1] == domain
    }
    assert models.keys() == {
        path.stem for path in (dbt_project_dir() / "models" / domain).rglob("*.sql")
    }
    for name, model in models.items():
        assert model["description"].strip(), name
        assert manifest["parent_map"][model["unique_id"]], name
        assert any(child.startswith("test.") for child in manifest["child_map"][model["unique_id"]])
        table = catalog["nodes"][model["unique_id"]]
        assert table["columns"].keys() == model["columns"].keys(), name
        assert all(column["type"] for column in table["columns"].values())


def test_sources_seeds_tests_and_doc_blocks_are_there(
    manifest: dict[str, Any], catalog: dict[str, Any]
) -> None:
    assert manifest["sources"].keys() == catalog["sources"].keys()
    assert {source["fqn"][1] for source in manifest["sources"].values()} == set(DOMAINS)
    seeds = {node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "seed"}
    assert seeds == {"dim_countries", "dim_products"}
    tests = {node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "test"}
    assert {path.stem for path in (dbt_project_dir() / "tests").rglob("*.sql")} < tests
    written = {
        block
        for path in (dbt_project_dir() / "models").rglob("*.md")
        for block in re.findall(r"{% docs (\w+) %}", path.read_text())
    }
    assert written <= {block["name"] for block in manifest["docs"].values()}


def code_of(reader: str) -> str:
    """A notebook's code, or the dashboard's, without its comments."""
    if reader == "dashboard":
        files = (project_root() / "sprint_platform" / "dashboard").rglob("*.py")
        code = "\n".join(path.read_text() for path in files)
    else:
        notebook = project_root() / "notebooks" / f"{reader.removesuffix('_notebook')}.ipynb"
        cells = json.loads(notebook.read_text())["cells"]
        code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    return re.sub(r"^\s*#.*$", "", code, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("reader", "domain"),
    [
        ("analysis_notebook", "title"),
        ("player_paths_notebook", "title"),
        ("dashboard", "title"),
        ("eventlog_notebook", "eventlog"),
    ],
)
def test_an_exposure_names_what_is_read(manifest: dict[str, Any], reader: str, domain: str) -> None:
    exposure = manifest["exposures"][f"exposure.sprint_dbt.{reader}"]
    marts = {
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["fqn"][1:3] == [domain, "mart"]
    }
    # a title has its own word for an encounter; of its other tables heartbeats alone are published
    words = re.findall(r"\w+", re.sub(r"\{[^{}]*word\}", "encounter", code_of(reader)))
    read = marts.union({"event_heartbeat"} if domain == "title" else ()).intersection(words)
    depends_on = {unique_id.rpartition(".")[2] for unique_id in exposure["depends_on"]["nodes"]}
    assert depends_on == read, f"exposures.yml: what {reader} depends on is not what it reads"


def test_no_page_names_a_folder_of_this_machine(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text()
        assert str(project_root()) not in text, path
        assert f"{tempfile.gettempdir()}/" not in text, path


# --- what is opened ------------------------------------------------------------------------------


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.ids.add(attributes.get("id") or "")
        if target := attributes.get("href" if tag == "a" else "src"):
            self.targets.add(target)


def _links(path: Path) -> _Links:
    found = _Links()
    found.feed(path.read_text())
    return found


def test_every_link_leads_somewhere(site: Path) -> None:
    """Also to parts of pages; what leads out of the site is only ever clicked, never loaded."""
    pages = {path: _links(path) for path in site.rglob("*.html") if path != site / MODELS}
    for pattern in ("docs/**/*.md", "notebooks/*.ipynb"):
        for source in project_root().glob(pattern):
            assert site / source.relative_to(project_root()).with_suffix(".html") in pages
    for path, links in pages.items():
        for target in links.targets:
            parts = urlsplit(target)
            if parts.scheme:
                continue
            led = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert led.is_file(), (path, target)
            assert led.is_relative_to(site)
            if parts.fragment and led in pages:
                assert parts.fragment in pages[led].ids, (path, target)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of a README alone, whose models' page is empty."""
    settings, _, after = (project_root() / "properdocs.yml").read_text().partition("nav:")
    (tmp_path / "properdocs.yml").write_text(settings + after[after.index("\n# they open") :])
    shutil.copytree(project_root() / "docs" / "theme", tmp_path / "docs" / "theme")
    (tmp_path / "README.md").write_text("# Small\n\n[terms](LICENSE), [code](code/run.py#L1)\n")
    (tmp_path / "LICENSE").write_text("MIT\n")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "run.py").write_text("run()\n")
    for root in ("installed_root", "project_root"):
        monkeypatch.setattr(f"sprint_platform.cli.docs.{root}", lambda: tmp_path)
    monkeypatch.setattr(
        "sprint_platform.transform.dbt_docs.dbt_docs", lambda title: Documented("", [])
    )
    return tmp_path


def test_a_link_to_a_file_without_a_page_leads_to_the_file(project: Path) -> None:
    docs("sprint")
    site = project / "build" / "docs-site"
    assert {"LICENSE", "code/run.py#L1"} <= _links(site / FRONT).targets
    assert (site / "LICENSE").read_text() == "MIT\n"
    assert (site / "code" / "run.py").read_text() == "run()\n"


@pytest.mark.parametrize("link", ["![chart](docs/gone)", "[guide](docs/gone.md)", "[part](#gone)"])
def test_what_is_missing_is_one_line_and_the_old_site_stays(project: Path, link: str) -> None:
    docs("sprint")
    (project / "README.md").write_text(f"# Newer\n\n{link}\n")
    with pytest.raises(Stop, match=r"README\.md.*gone") as stopped:
        docs("sprint")
    assert "\n" not in str(stopped.value)
    assert "Small" in (project / "build" / "docs-site" / FRONT).read_text()


def test_the_front_page_leads_to_a_model_and_its_lineage(site: Path, page: Page) -> None:
    page.goto((site / FRONT).as_uri())
    page.get_by_role("link", name="Models, sources and tests").click()
    page.get_by_text("Every table of the platform").wait_for()
    for name, (column, kind, parent) in SHOWN.items():
        page.goto(f"{(site / MODELS).as_uri()}#!/model/model.sprint_dbt.{name}")
        page.get_by_role("heading", name=name).wait_for()
        shown = page.locator(".app-content").inner_text()
        assert "One row is" in shown
        assert re.search(rf"{column}\s+{kind}\b", shown), shown
        assert re.search(rf"Depends On.*\b{parent}\b", shown, flags=re.DOTALL)
    page.locator(".launcher-btn").click()
    drawn = page.locator("canvas").first
    drawn.wait_for()
    assert (drawn.bounding_box() or {}).get("height", 0) > 100


def test_guides_and_notebooks_show_their_pictures(site: Path, page: Page) -> None:
    for source in ("index", "notebooks/analysis", "notebooks/player_paths"):
        page.goto((site / f"{source}.html").as_uri())
        sizes = page.evaluate("[...document.images].map(image => image.naturalWidth)")
        assert sizes, source
        assert all(sizes), source
    page.goto((site / FRONT).as_uri())
    page.get_by_role("link", name="How the game is doing").click()
    page.get_by_role("heading", name="Who comes back").wait_for()
    assert not page.get_by_text("import duckdb").is_visible()
    page.get_by_text("code", exact=True).first.click()
    assert page.get_by_text("import duckdb").is_visible()


def test_search_finds_guides_and_tables_without_a_server(site: Path, page: Page) -> None:
    page.goto((site / "docs" / "desk.html").as_uri())
    page.get_by_role("link", name="Search").click()
    page.get_by_role("searchbox").fill("forget a player")
    page.get_by_role("link", name="Forget a player").click()
    page.get_by_role("heading", name="Forget a player").wait_for()
    page.wait_for_load_state()
    page.keyboard.press("s")
    page.get_by_role("searchbox").fill("position_heat_daily")
    page.get_by_role("link", name="sprint_mart, a table: position_heat_daily").click()
    page.get_by_role("heading", name="position_heat_daily").wait_for()
    page.get_by_role("link", name="All guides").click()
    page.get_by_role("heading", name="Sprint Platform", level=1).wait_for()


def test_every_page_is_in_the_side_bar_or_on_a_phone_in_the_menu(site: Path, page: Page) -> None:
    page.goto((site / FRONT).as_uri())
    bar = page.get_by_role("navigation", name="Pages")
    guides = bar.get_by_role("link")
    assert guides.first.inner_text() == "Sprint Platform"
    assert guides.last.inner_text() == "Models, sources and tests"
    page.set_viewport_size({"width": 390, "height": 800})
    assert not bar.is_visible()
    page.get_by_role("button", name="Toggle navigation").click()
    bar.get_by_role("link", name="A web store").click()
    page.get_by_role("heading", name="The web store").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
