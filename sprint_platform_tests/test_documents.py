"""README, guides and notebooks against what is there: each command that they show is one that the
command lines take, each link leads to a file and a heading. Nothing is executed."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import click
import pytest
import typer
from dagster import AssetSelection
from dagster._cli import create_dagster_cli
from dagster._core.errors import DagsterError
from dagster_dg_cli.cli import create_dg_cli
from dbt.cli.main import cli as dbt_cli
from markdown.extensions.toc import slugify
from typer.exceptions import TyperException

from sprint_platform.cli.app import app
from sprint_platform.places import installed_root

ROOT = installed_root()
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "*/README.md", ".github/*.md", "notebooks/*.ipynb")
    for path in ROOT.glob(pattern)
)
PROGRAMS = ("sprint", "make", "dagster", "dg", "dbt", "python")
# Titles that are neither shipped nor examples: the reader makes them.
READERS_TITLES = {"mygame"}
# How a command line, or a check here, says that a command is wrong; what a sentence may leave out.
WRONG = (click.ClickException, TyperException, DagsterError, AssertionError)
LACKING = ("MissingParameter", "NoArgsIsHelpError")
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
SHELLS = ("", "bash", "sh")


@cache
def text_of(document: str) -> str:
    """A document's Markdown; of a notebook that of its cells of text."""
    text = (ROOT / document).read_text(encoding="utf-8")
    if not document.endswith(".ipynb"):
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


# --- commands ------------------------------------------------------------------------------------


def commands(document: str) -> Iterator[tuple[list[str], bool]]:
    """The commands of a document as words, and whether each is whole: in a block for a shell, and
    not named in a sentence, where what is needed may be left out."""
    text = text_of(document)
    for language, block in FENCE.findall(text):
        if language in SHELLS:
            for line in re.sub(r"\\\n", " ", block).splitlines():
                if re.match(r"(\S*/)?(" + "|".join(PROGRAMS) + r")\s", line.strip()):
                    yield _words(line), True
    for code in re.findall(r"`([^`]+)`", FENCE.sub("", text)):
        if re.match(r"(\S*/)?(" + "|".join(PROGRAMS) + r") ", code):
            yield _words(code), False


def _words(line: str) -> list[str]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        # a text over several lines begins here: the words before it
        words = line.split('"')[0].split()
    return [Path(words[0]).name, *words[1:]]


@cache
def _program(name: str) -> Any:
    """Click's command; typer's is of a Click of its own, with the same methods."""
    if name == "sprint":
        return typer.main.get_command(app)
    return {"dagster": create_dagster_cli, "dg": create_dg_cli, "dbt": lambda: dbt_cli}[name]()


def check(words: list[str], whole: bool) -> None:
    """Raises one of WRONG where the command is none, or lacks what a whole one needs."""
    program, *arguments = words
    if program == "make":
        return check_make(arguments)
    if program == "python":
        return check_python(arguments)
    command, name, parent = _program(program), program, None
    while True:
        try:
            context = command.make_context(name, list(arguments), parent=parent)
        except (click.exceptions.Exit, typer.Exit):
            return None  # --version
        except WRONG as error:
            if whole or type(error).__name__ not in LACKING:
                raise
            return None
        if not hasattr(command, "resolve_command"):
            return check_values(context.params)
        arguments = [*context._protected_args, *context.args]
        if arguments in ([], ["…"]):
            return None
        name, command, arguments = command.resolve_command(context, arguments)
        parent = context


def check_values(given: dict[str, Any]) -> None:
    """Titles and selections, at which the command lines look only when they work."""
    title, select = given.get("title"), given.get("select")
    if title and "…" not in title:
        shipped = ROOT.glob("*/titles/*.yaml")
        assert title in {path.stem for path in shipped} | READERS_TITLES
    if isinstance(select, str):
        AssetSelection.from_string(select)


def check_make(arguments: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for argument in arguments:
        name, assigned, _ = argument.partition("=")
        known = rf"\$\({name}\)" if assigned else rf"^{re.escape(name)}:"
        assert re.search(known, makefile, re.MULTILINE), argument


def check_python(arguments: list[str]) -> None:
    if arguments[:1] == ["-m"]:
        assert importlib.util.find_spec(arguments[1]), arguments[1]
    elif arguments[:1] != ["-c"]:
        assert (ROOT / arguments[0]).is_file(), arguments[0]


@pytest.mark.filterwarnings("ignore:Parameter `include_sources`")
@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_is_one(document: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # dbt looks for its profiles, also where it runs nothing
    monkeypatch.setenv("DBT_PROFILES_DIR", str(ROOT / "sprint_dbt"))
    wrong = []
    for words, whole in commands(document):
        try:
            check(words, whole)
        except WRONG as error:
            wrong.append((" ".join(words), repr(error)))
    assert wrong == []


@pytest.mark.parametrize(
    "command",
    [
        "sprint runs",
        "sprint run --titel sprint",
        "sprint run --title spirnt",
        "sprint ask 1 2",
        "sprint eventlog generate --to oracle",
        "sprint forget --title arena",
        "make demos",
        "make chaos PARTS=kills",
        "dagster asset materialise",
        "dagster asset materialize --select 'key:'",
        "dbt build --selects x",
        "python -m sprint_platform_tests.benches",
    ],
)
def test_a_command_that_is_none_is_found(command: str) -> None:
    with pytest.raises(WRONG):
        check(_words(command), whole=True)


# --- links ---------------------------------------------------------------------------------------


def anchors(document: str) -> set[str]:
    """A document's headings as anchors, where GitHub and `make docs` agree on them."""
    found = set()
    for heading in re.findall(r"^#+ +(.*)", FENCE.sub("", text_of(document)), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip()
        on_github = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        if on_github == slugify(plain, "-"):
            found.add(on_github)
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_a_file_and_a_heading(document: str) -> None:
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)[^)]*\)", FENCE.sub("", text_of(document))):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        led = target.resolve()
        named = led.relative_to(ROOT).as_posix() if led.is_relative_to(ROOT) else ""
        of_text = led.suffix in (".md", ".ipynb")
        if not led.exists() or (anchor and of_text and anchor not in anchors(named)):
            wrong.append(link)
    assert wrong == []


def test_readme_leads_to_every_guide() -> None:
    guides = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/*.md")}
    assert guides <= set(re.findall(r"\]\(([^)#\s]+)", text_of("README.md")))


def test_the_desk_has_every_mart_of_a_title() -> None:
    marts = {path.stem for path in (ROOT / "sprint_dbt/models/title/mart").glob("*.sql")}
    rows = set(re.findall(r"^\| `(\w+)` \|", text_of("docs/desk.md"), re.MULTILINE))
    assert rows >= marts, "docs/desk.md, Key figures: a row for each mart"


def test_what_the_code_names_of_the_guides_is_there() -> None:
    for path in (*ROOT.glob("sprint_*/**/*.py"), *ROOT.glob("sprint_dbt/**/*.yml")):
        for guide, anchor in re.findall(r"\b(docs/[\w/-]+\.md)(?:#([\w-]+))?", path.read_text()):
            if guide != "docs/gone.md":
                assert (ROOT / guide).is_file(), (path, guide)
                assert not anchor or anchor in anchors(guide), (path, guide, anchor)
