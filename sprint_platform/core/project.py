"""Where the project is: the folder of ``.env``, of titles and of data, and what was installed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from stat import S_ISDIR

from sprint_platform.core.errors import SprintError

# Names the project's folder to processes that are started elsewhere; not a setting, as it says
# where `.env` lies.
PROJECT = "SPRINT_PROJECT"
# What `sprint init` writes into the pyproject.toml of a project of one's own.
MARK = re.compile(r"^\[tool\.sprint\]", re.MULTILINE)


class ProjectError(SprintError):
    """There is no project where one is needed."""


@cache
def installed_root() -> Path:
    """The folder that holds ``sprint_platform`` and ``sprint_dbt``, an absolute path without
    symbolic links: a checkout, or where the wheel was installed."""
    return Path(__file__).resolve().parents[2]


@cache
def find_project() -> Path | None:
    """The project's folder, an absolute path without symbolic links: the one that
    ``SPRINT_PROJECT`` names, else the nearest at or above the working directory that `sprint init`
    made, else the checkout. None where the package was installed and none of these is there.
    Raises ProjectError where ``SPRINT_PROJECT`` names no folder."""
    if named := os.environ.get(PROJECT):
        folder = folder_at(Path(named), PROJECT)
        if not folder.is_dir():
            raise ProjectError(f"{PROJECT} names {folder}, which is not a folder")
        return folder
    try:
        here = Path.cwd()
    except FileNotFoundError:
        # a folder that was removed meanwhile
        here = Path("/")
    for folder in (here, *here.parents):
        if _is_marked(folder / "pyproject.toml"):
            return folder.resolve()
    return installed_root() if is_checkout() else None


@cache
def is_checkout() -> bool:
    """Whether the package lies in a checkout; False where a wheel was installed."""
    return (installed_root() / "pyproject.toml").is_file()


def how_to_install(extra: str) -> str:
    """The command that installs what the extra of ``sprint-platform`` needs."""
    if not is_checkout():
        return f"pip install 'sprint-platform[{extra}]'"
    root = installed_root()
    return "make setup-all" if find_project() == root else f"make -C '{root}' setup-all"


def project_root() -> Path:
    """``find_project``; raises ProjectError where there is none."""
    if (found := find_project()) is None:
        raise ProjectError(
            f"there is no project in {Path.cwd()} or above it: make one with"
            f" `sprint init FOLDER`, or name its folder in {PROJECT}"
        )
    return found


def folder_at(path: Path, named: str, base: Callable[[], Path] = Path.cwd) -> Path:
    """The folder's path without symbolic links and ``~``; a relative one starts at ``base``, and it
    need not exist. Raises ProjectError, which says what ``named`` it, where no folder can be."""
    try:
        path = path.expanduser()
        path = (path if path.is_absolute() else base() / path).resolve()
        str(path).encode("utf-8")
        with suppress(PermissionError):
            try:
                if not S_ISDIR(path.stat().st_mode):
                    raise ValueError("it is not a folder")
            except FileNotFoundError:
                # a name may be too long also beneath a folder that is not there yet
                for name in path.parts:
                    with suppress(FileNotFoundError):
                        Path(path.anchor, name).stat()
    # nobody's home, a zero byte, bytes that are no text, too long a name, a folder that is gone
    except (RuntimeError, ValueError, OSError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeEncodeError) else error
        shown = str(path)[:200]
        raise ProjectError(
            f"{named} is {shown!r}: {getattr(error, 'strerror', None) or reason}"
        ) from error
    return path


def _is_marked(pyproject: Path) -> bool:
    try:
        return MARK.search(pyproject.read_text(encoding="utf-8")) is not None
    except (OSError, UnicodeDecodeError):
        # none, or one that is not ours to read
        return False
