"""`sprint init`: a project of one's own."""

from __future__ import annotations

import importlib.util
import keyword
import os
import re
import shlex
import shutil
import sys
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.markup import escape

from sprint_platform.cli.terminal import Stop, out
from sprint_platform.core.project import folder_at
from sprint_platform.core.whole_file import temporary_beside
from sprint_platform.places import dagster_config, refuse_for_database
from sprint_platform.title import RESERVED_NAMES, Title, title_names

TEMPLATE = Path(__file__).resolve().parents[1] / "new_project"
# folders of a project that its package cannot be
FOLDERS = ("build", "data", "deploy", "titles", "wheels")
# the name that the template's files have and say
PLACEHOLDER = "mygame"
# Dagster reads .env in the folder that it is started from, and puts it above what is exported:
# hence NAME=${NAME:-value}.
ENV_FILE = """\
DAGSTER_HOME="${{DAGSTER_HOME:-{home}}}"
OPENBLAS_NUM_THREADS=${{OPENBLAS_NUM_THREADS:-1}}
"""


def init(
    folder: Annotated[Path, typer.Argument(help="A new or an empty folder.")],
    name: Annotated[
        str | None,
        typer.Option(help="The game's name \\[default: the folder's], in lower-case letters."),
    ] = None,
) -> None:
    """Make a project of your own: a title, its data and Dagster's home in one folder."""
    folder = _checked_folder(folder)
    try:
        if folder.exists() and any(path.name != ".git" for path in folder.iterdir()):
            raise Stop(f"{folder} is there and not empty: name a new folder")
        name = _checked_name(name or folder.name.lower().replace("-", "_"))
        folder.mkdir(parents=True, exist_ok=True)
        # beside it first: half a project could not be begun again
        with temporary_beside(folder) as made:
            write_project(made, name, home=folder / ".dagster")
            for path in sorted(made.iterdir()):
                os.replace(path, folder / path.name)
    except OSError as error:
        raise Stop(f"{folder} cannot be made: {error.strerror}") from error
    out.print(
        f"{name} is in [bold]{escape(str(folder))}[/]: titles/{name}.yaml is the game. Now:",
        highlight=False,
        soft_wrap=True,
    )
    # a shell that found `sprint` by its path does not find it elsewhere
    found = shutil.which("sprint") is not None
    activate = Path(sys.executable).with_name("activate")
    for command, what in (
        *([] if found else [(f"source {escape(shlex.quote(str(activate)))}", "")]),
        (f"cd {escape(shlex.quote(str(folder)))}", ""),
        (f"sprint run --title {name}", "seven days through the whole graph"),
        ("sprint dashboard", "them in the browser"),
        ("sprint ui", "the Dagster UI"),
    ):
        line = f"  [bold]{command}[/]" + " " * (28 - len(command)) * bool(what) + what
        out.print(line, highlight=False, soft_wrap=True)


def write_project(folder: Path, name: str, home: Path) -> None:
    """Writes the project's files into the folder: the template with the name in place of
    ``mygame``, a title like ``sprint``, ``.env``, and Dagster's home, which will be ``home``."""
    launch = Title.load("sprint").launch_date
    words = {PLACEHOLDER: name, "VERSION": version("sprint-platform"), "LAUNCH": str(launch)}
    for source in sorted(path for path in TEMPLATE.rglob("*") if path.is_file()):
        if "__pycache__" in source.parts:
            continue
        text = source.read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(word, value)
        relative = source.relative_to(TEMPLATE).as_posix().replace(PLACEHOLDER, name)
        _write(folder / relative, text)
    _write(folder / "titles" / f"{name}.yaml", _title_like_sprint(name))
    quoted = str(home).replace('"', '\\"')
    _write(folder / ".env", ENV_FILE.format(home=quoted))
    _write(folder / home.name / "dagster.yaml", dagster_config().read_text(encoding="utf-8"))
    (folder / "data").mkdir()


def _checked_folder(folder: Path) -> Path:
    """The absolute path. Raises ProjectError or Stop for a folder that no project can have."""
    folder = folder_at(folder, "the folder")
    refuse_for_database(folder / "data")
    # in a value of .env a brace ends what is meant where nothing is exported
    for letter in "}\n\r":
        if letter in str(folder):
            raise Stop(f"{folder} has {letter!r} in its name, which .env cannot: name another")
    return folder


def _checked_name(name: str) -> str:
    """The name. Raises Stop where it cannot be both a title's and a Python package's."""
    if not re.fullmatch("[a-z][a-z0-9_]{0,30}", name):
        raise Stop(
            f"'{name}' is no name for a game: lower-case letters, digits and _;"
            " give another with --name"
        )
    # YAML takes some words for truth values
    other = keyword.iskeyword(name) or not isinstance(yaml.safe_load(name), str)
    taken = name in {*RESERVED_NAMES, *FOLDERS, *title_names()} or importlib.util.find_spec(name)
    if other or taken:
        raise Stop(f"the name {name} is taken: give another with --name")
    return name


def _title_like_sprint(name: str) -> str:
    """The YAML of a title that has the settings of ``sprint``, with a seed of its own."""
    shipped = (TEMPLATE.parent / "titles" / "sprint.yaml").read_text(encoding="utf-8")
    text = shipped[shipped.index("name: sprint") :]
    own = {
        "name": name,
        "description": "A game of our own",
        "seed": str(int.from_bytes(blake2b(name.encode(), digest_size=4).digest())),
    }
    for setting, value in own.items():
        text = re.sub(f"^{setting}: .*$", f"{setting}: {value}", text, flags=re.MULTILINE)
    return f"# Begin with its description, seed and growth: a wrong value is refused.\n{text}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
