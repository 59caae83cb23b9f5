"""The project's Markdown and notebooks as HTML pages that need no server and no network.

A page has the path of its source in the project, so that in links only the suffix changes.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from sprint_platform.cli.terminal import Stop

IMAGE_TYPES = ("image/png", "image/gif", "image/jpeg")
STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 52rem; margin: 0 auto; padding: 1rem; }
nav { display: flex; gap: 1.2rem; padding-bottom: .6rem; border-bottom: 1px solid #8886; }
h1, h2, h3 { line-height: 1.25; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .7rem; background: #8881; border-radius: 4px; }
table { display: block; overflow-x: auto; border-collapse: collapse; }
th, td { padding: .3rem .7rem; border: 1px solid #8886; text-align: left; vertical-align: top; }
img { max-width: 100%; }
.output { margin: .6rem 0; }
summary { cursor: pointer; opacity: .7; }
.output img { background: #fff; }
"""


@dataclass(frozen=True)
class Page:
    """A page of the site: its path, its name, its first paragraph, and its body as HTML; ``images``
    are the paths of its pictures, relative to the project."""

    path: Path
    name: str
    summary: str
    body: str
    images: frozenset[Path]


@dataclass(frozen=True)
class _Text:
    """The text of a file or a cell as HTML, its first heading, and its first paragraph."""

    body: str
    name: str
    summary: str


def read_page(source: Path, root: Path) -> Page:
    """The page of a Markdown file or a notebook below ``root``. Raises OSError where it cannot be
    read, ValueError where a notebook is not JSON, Stop where a picture is missing."""
    images: set[Path] = set()

    def rendered(text: str) -> _Text:
        return _markdown(text, source.parent, root, images)

    content = source.read_text(encoding="utf-8")
    text = rendered(content) if source.suffix == ".md" else _notebook(json.loads(content), rendered)
    path = source.relative_to(root).with_suffix(".html")
    for image in images:
        if not (root / image).is_file():
            raise Stop(f"{source} shows {image}, which is not there")
    return Page(path, text.name or source.stem, text.summary, text.body, frozenset(images))


def whole_page(page: Page, links: Iterable[tuple[str, Path]]) -> str:
    """The page as an HTML document, with ``links`` (name, path of a page) above."""
    there = (
        f'<a href="{_relative(place, page.path)}">{html.escape(name)}</a>' for name, place in links
    )
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # without it a browser asks for favicon.ico
        '<link rel="icon" href="data:,">\n'
        f"<title>{html.escape(page.name)}</title>\n<style>{STYLE}</style>\n"
        f"<nav>{' '.join(there)}</nav>\n<main>\n{page.body}\n</main>\n</html>\n"
    )


def front_page(readme: Page, lists: Sequence[tuple[str, Sequence[Page]]]) -> Page:
    """The front page: the README's heading and summary, and titled lists of pages with their
    summaries."""
    parts = [
        f"<h1>{html.escape(readme.name)}</h1>",
        f'<p>{readme.summary}</p>\n<p><a href="{readme.path.as_posix()}">Read on</a></p>',
    ]
    for title, pages in lists:
        parts += [f"<h2>{html.escape(title)}</h2>", "<ul>"]
        parts += [
            f'<li><a href="{page.path.as_posix()}">{html.escape(page.name)}</a><br>{page.summary}'
            for page in pages
        ]
        parts.append("</ul>")
    return Page(Path("index.html"), readme.name, readme.summary, "\n".join(parts), frozenset())


def _relative(place: Path, page: Path) -> str:
    return Path(os.path.relpath(place, page.parent)).as_posix()


def _markdown(text: str, folder: Path, root: Path, images: set[Path]) -> _Text:
    parser = MarkdownIt("commonmark").enable("table")
    tokens = parser.parse(text)
    name = summary = ""
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type != "inline" or before is None:
            continue
        token.children = list(_linked(token.children or [], folder, root, images))
        if before.type == "heading_open":
            words = "".join(t.content for t in token.children if t.type in ("text", "code_inline"))
            before.attrSet("id", _slug(words))
            name = name or words
        elif before.type == "paragraph_open" and not summary:
            # without its links: the front page has another path
            plain = [
                t for t in token.children if t.type not in ("link_open", "link_close", "image")
            ]
            summary = parser.renderer.render(
                [Token("inline", "", 0, children=plain)], parser.options, {}
            )
    return _Text(parser.renderer.render(tokens, parser.options, {}), name, summary)


def _linked(tokens: list[Token], folder: Path, root: Path, images: set[Path]) -> Iterable[Token]:
    """The tokens of a line, with links to pages of the site. A link to a file without a page
    becomes plain text. Adds the line's pictures to ``images``."""
    dropped = False
    for token in tokens:
        if token.type == "link_open":
            target = _target(str(token.attrs["href"]), folder, root)
            dropped = target is None
            if target is None:
                continue
            token.attrSet("href", target)
        elif token.type == "link_close" and dropped:
            dropped = False
            continue
        elif token.type == "image" and not urlsplit(str(token.attrs["src"])).scheme:
            images.add((folder / str(token.attrs["src"])).resolve().relative_to(root))
        yield token


def _target(href: str, folder: Path, root: Path) -> str | None:
    """The link's target in the site; None for a file of the project without a page."""
    parts = urlsplit(href)
    if parts.scheme or parts.netloc or not parts.path:
        return href
    file = (folder / parts.path).resolve()
    if file not in site_sources(root):
        return None
    return parts._replace(path=str(Path(parts.path).with_suffix(".html"))).geturl()


def site_sources(root: Path) -> list[Path]:
    """The files that have a page: the README, the guides by name, the notebooks by name."""
    return [
        root / "README.md",
        *sorted((root / "docs").glob("*.md")),
        *sorted((root / "notebooks").glob("*.ipynb")),
    ]


def _slug(words: str) -> str:
    """A heading's id, made as GitHub makes it, so that links to headings work in both places."""
    return re.sub(r"[^\w\- ]", "", words.lower()).strip().replace(" ", "-")


def _notebook(notebook: dict[str, Any], rendered: Callable[[str], _Text]) -> _Text:
    """A notebook's text and its cells' outputs; code is folded."""
    parts: list[str] = []
    texts: list[_Text] = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            texts.append(rendered(source))
            parts.append(texts[-1].body)
            continue
        code = html.escape(source)
        parts.append(f"<details><summary>code</summary><pre><code>{code}</code></pre></details>")
        parts += [f'<div class="output">{_output(output)}</div>' for output in cell["outputs"]]
    name = next((text.name for text in texts if text.name), "")
    summary = next((text.summary for text in texts if text.summary), "")
    return _Text("\n".join(parts), name, summary)


def _output(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream":
        return f"<pre>{html.escape(''.join(output['text']))}</pre>"
    data = output.get("data", {})
    for kind in IMAGE_TYPES:
        if kind in data:
            encoded = "".join("".join(data[kind]).split())
            return f'<img alt="chart" src="data:{kind};base64,{encoded}">'
    if "text/html" in data:
        return "".join(data["text/html"])
    return f"<pre>{html.escape(''.join(data.get('text/plain', '')))}</pre>"
