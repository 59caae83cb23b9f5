"""`sprint docs`: the models, the guides and the notebooks as static pages."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from rich.markup import escape

from sprint_platform.cli.options import TitleOption
from sprint_platform.cli.progress import working
from sprint_platform.cli.terminal import Stop, needs_extra, out
from sprint_platform.core.project import installed_root, is_checkout, project_root
from sprint_platform.title import Title

# Paths in the site.
FRONT, MODELS = Path("index.html"), Path("dbt", "index.html")
# dbt's page fills the window, and knows of no other
WAY_BACK = (
    '<a href="../index.html" style="position: fixed; left: 50%; bottom: 0; padding: 4px 12px;'
    ' background: #fff; border: 1px solid #999; color: #00557a; z-index: 9">All guides</a>'
)


def docs(title: TitleOption = "sprint") -> None:
    """Build the documentation as static pages: every model with its lineage, guides, notebooks.

    Nothing has to be there: the columns' types are read from empty tables, made for this.
    """
    began = time.perf_counter()
    if not is_checkout():
        raise Stop(
            "the guides and notebooks are in a checkout of sprint-platform, not in its wheel"
        )
    site = project_root() / "build" / "docs-site"
    unfinished = site.with_name(".docs-site")
    shutil.rmtree(unfinished, ignore_errors=True)
    with working("reading the models and writing the pages"):
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
    """Writes the site into the folder: the README in front, a page for each guide and notebook, and
    dbt's page of the project with the title's table names. Raises DocsError where the dbt project
    is wrong, Stop where a picture or what a link names is missing."""
    with needs_extra("docs", "the documentation"):
        from sprint_platform.cli.docs_pages import write_pages
    from sprint_platform.transform.dbt_docs import dbt_docs

    documented = dbt_docs(title)
    with tempfile.TemporaryDirectory(prefix="sprint-docs-") as sources:
        models = Path(sources) / MODELS
        models.parent.mkdir()
        models.write_text(documented.page.replace("</body>", f"{WAY_BACK}</body>"), "utf-8")
        tables = [
            {
                "location": f"{MODELS.as_posix()}#!/{table.kind}/{table.unique_id}",
                "title": table.name,
                "text": table.text,
                "page": f"{table.schema}, a table",
            }
            for table in documented.tables
        ]
        write_pages(folder, installed_root(), Path(sources), tables)
