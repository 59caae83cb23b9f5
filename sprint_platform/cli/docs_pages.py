"""The README, the guides and the notebooks as static pages: their Markdown, which properdocs makes
pages of."""

from __future__ import annotations

import html
import json
import logging
import re
import shutil
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any

from properdocs.commands.build import build
from properdocs.config import load_config

from sprint_platform.cli.terminal import Stop

PAGES = ("*.md", "docs/*.md", "*/README.md", "notebooks/*.ipynb")
# What search finds: location, title and text; of a guide's section also the page.
Section = dict[str, str]
IMAGE_TYPES = ("image/png", "image/gif", "image/jpeg")


def write_pages(site: Path, root: Path, sources: Path, tables: list[Section]) -> None:
    """Writes the project at ``root`` as pages into the folder ``site``, by way of Markdown in the
    folder ``sources``, where the pages of ``tables`` lie already; search finds both.

    Raises OSError where a file cannot be read, ValueError where a notebook is not JSON, Stop where
    a picture, a page of the menu or what a link names is missing, or a page is in no menu.
    """
    for pattern in PAGES:
        for path in root.glob(pattern):
            add_source(path, root, sources)
    config = load_config(str(root / "properdocs.yml"), docs_dir=str(sources), site_dir=str(site))
    # the page of wrong addresses needs the site's own address
    config.theme.static_templates.discard("404.html")
    warnings = BufferingHandler(capacity=1000)
    warnings.setLevel(logging.WARNING)
    logger = logging.getLogger("properdocs")
    logger.addHandler(warnings)
    try:
        build(config)
    finally:
        logger.removeHandler(warnings)
    if warnings.buffer:
        raise Stop(warnings.buffer[0].getMessage())
    index = site / "search" / "search_index.json"
    sections = [*_sections(json.loads(index.read_text(encoding="utf-8"))["docs"]), *tables]
    index.unlink()
    script = f"window.searchSections = {json.dumps(sections)};\n"
    (index.parent / "sections.js").write_text(script, encoding="utf-8")


def _sections(entries: list[Section]) -> list[Section]:
    """The sections of properdocs' search index, each with its page's title; the pages themselves
    say the same once more, and go."""
    pages = {entry["location"]: entry["title"] for entry in entries if "#" not in entry["location"]}
    return [
        {**entry, "page": pages[entry["location"].partition("#")[0]]}
        for entry in entries
        if "#" in entry["location"]
    ]


def add_source(source: Path, root: Path, sources: Path) -> str:
    """Adds a file of the project to ``sources``, a notebook as Markdown, with every file that it
    links: what is linked is in the site. Returns its path there."""
    path = source.relative_to(root)
    if source.suffix == ".ipynb":
        path = path.with_suffix(".md")
    target = sources / path
    if target.exists():
        return path.as_posix()
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix != ".md":
        shutil.copyfile(source, target)
        return path.as_posix()
    text = source.read_text(encoding="utf-8")
    if source.suffix == ".ipynb":
        text = _as_markdown(json.loads(text))
    target.write_text(re.sub(r"(\]\([^)\s:]+)\.ipynb\b", r"\1.md", text), encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s:#]+)", text):
        linked = (source.parent / link).resolve()
        if linked.is_file() and linked.is_relative_to(root):
            add_source(linked, root, sources)
    return path.as_posix()


def _as_markdown(notebook: dict[str, Any]) -> str:
    """A notebook's text and its cells' outputs; code is folded."""
    parts: list[str] = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        code = f"<pre><code>{html.escape(source)}</code></pre>"
        parts.append(f"<details><summary>code</summary>{code}</details>")
        parts += [f"<div>{_output(output)}</div>" for output in cell["outputs"]]
    return "\n\n".join(parts)


def _output(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream":
        return f"<pre>{html.escape(''.join(output['text']))}</pre>"
    data = output.get("data", {})
    for kind in IMAGE_TYPES:
        if kind in data:
            encoded = "".join("".join(data[kind]).split())
            return f'<img alt="chart" style="background: #fff" src="data:{kind};base64,{encoded}">'
    if "text/html" in data:
        return "".join(data["text/html"])
    return f"<pre>{html.escape(''.join(data.get('text/plain', '')))}</pre>"
