"""`sprint docs`: the models, the guides and the notebooks as static pages."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from rich.markup import escape

from sprint_platform.cli.options import TitleOption
from sprint_platform.cli.terminal import out
from sprint_platform.core.checkout import project_root
from sprint_platform.title import Title

# Paths in the site.
FRONT, MODELS = Path("index.html"), Path("dbt", "index.html")


def docs(title: TitleOption = "sprint") -> None:
    """Build the documentation as static pages: every model with its lineage, guides, notebooks.

    Nothing has to be there: the columns' types are read from empty tables, made for this.
    """
    began = time.perf_counter()
    site = project_root() / "build" / "docs-site"
    unfinished = site.with_name(".docs-site")
    shutil.rmtree(unfinished, ignore_errors=True)
    write_site(unfinished, Title.load(title))
    # the old site stays until the new one is complete
    shutil.rmtree(site, ignore_errors=True)
    unfinished.rename(site)
    out.print(
        f"documentation built in {time.perf_counter() - began:.1f} s:"
        f" [bold]{escape(str(site / FRONT))}[/]",
        highlight=False,
        soft_wrap=True,
    )


def write_site(folder: Path, title: Title) -> None:
    """Writes the site into the folder: dbt's page of the project with the title's table names, a
    page for each guide and notebook, and a front page. Raises DocsError where the dbt project is
    wrong, Stop where a picture is missing."""
    from sprint_platform.cli.docs_pages import (
        Page,
        front_page,
        read_page,
        site_sources,
        whole_page,
    )
    from sprint_platform.transform.dbt_docs import dbt_docs_page

    root = project_root()
    pages = [read_page(source, root) for source in site_sources(root)]
    readme, *others = pages
    guides = [page for page in others if page.path.parent.name == "docs"]
    notebooks = [page for page in others if page.path.parent.name == "notebooks"]
    models = Page(
        MODELS,
        "Models, sources and tests",
        "dbt's own documentation: what tables and columns hold, what is tested, what hangs on what."
        f" Names are those of the title {title.name}; another title's schemas begin with its own.",
        dbt_docs_page(title),
        frozenset(),
    )
    front = front_page(readme, [("Guides", guides), ("Notebooks", notebooks), ("Data", [models])])
    links = [(readme.name, FRONT), ("Models", MODELS)]
    for page in (front, *pages):
        _write(folder / page.path, whole_page(page, links))
    _write(folder / MODELS, models.body)
    for image in {image for page in pages for image in page.images}:
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / image, folder / image)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
