"""Hostile values through every string that people type, configure and deliver.

Each is used, and comes out as it went in, or is refused in one line. None is a stack trace, writes
a file outside of the data folder, or changes another table.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import yaml
from dotenv import dotenv_values

from sprint_platform.core.project import PROJECT, find_project
from sprint_platform.core.settings import Settings
from sprint_platform.title import TitleError, read_title
from sprint_platform_tests.command_line import run_sprint

HOSTILE = (
    # SQL
    "'", '"', "''", "';", "'; drop table other_mart.figures; --", '"; drop schema other_mart; --',
    "x') or ('1' = '1", "a;b", "--", "/*", "$$", "0x00",
    # escapes, patterns, formats
    "\\", "a\\", "\\\\", "\\'", "%s", "%(name)s", "{}", "{0}", "*", "a*b", "[a-z]", "*?[", "a?b",
    # templates and markup
    "{{ 7 * 7 }}", "{% raw %}", "{# #}", "[bold]", "[/]", "[/bold]x", "[link=file:///]y[/link]",
    "<script>alert(1)</script>", "&amp;", "![x](y)", ":bomb:",
    # paths and shells
    "../..", "../../etc/passwd", "/etc/passwd", "a/b", "..", ".", ".hidden", "~", "~nobody99",
    "${HOME}", "$HOME", "$(id)", "`id`", "-rf", "--help", "a|b", "a&b", "a#b", "#", "a=b", "a:b",
    "C:\\x", "CON", "NUL", "aux.txt",
    # text that is not plain
    "a\nb", "a\r\nb", "\t", "a\x00b", "a\x1b[31mb", "\x07", "\u202egnp", "\u200fa", "e\u0301",
    "🎮", "👩\u200d💻", "ſ", "İ", "１２", "\ufeffa", "\u2028", "\udcff", "\ud800",
    # empty, long, and what reads as something else
    "", " ", "  a  ", "x" * 300, "x" * 5000, "null", "None", "true", "nan", "inf", "-1", "0",
    "1e400", "9" * 400, "9999-12-31", "0001-01-01", "2025-02-30", "2025-W01-1",
)  # fmt: skip
VALUE = "{value}"
FIGURES = sum(range(100))
WORKS, REFUSED = "works", "refused"


class Outcome(NamedTuple):
    """What became of a value: ``works``, ``refused``, or what is wrong."""

    where: str
    value: str
    became: str

    @property
    def is_fault(self) -> bool:
        return self.became not in (WORKS, REFUSED)


@dataclass(frozen=True)
class Sandbox:
    """A home, a working folder, titles, data and Dagster's home, in one folder; and a database in
    which another title's table must stay as it is."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        place = self.folder
        return {
            **{name: value for name, value in os.environ.items() if not _is_setting(name)},
            PROJECT: str(self.project),
            "HOME": str(place / "home"),
            "SPRINT_DATA_DIR": str(place / "data"),
            "SPRINT_TITLES_DIR": str(place / "titles"),
            "DAGSTER_HOME": str(place / "dagster"),
            "NO_COLOR": "1",
        }

    @property
    def project(self) -> Path:
        """Deep enough that what climbs out of it is still in the sandbox."""
        return self.folder / "below" / "below" / "project"

    def prepare(self) -> None:
        for name in ("home", "cwd", "titles", "data", "dagster"):
            (self.folder / name).mkdir(parents=True)
        self.project.mkdir(parents=True)
        with duckdb.connect(str(self.folder / "data" / "sprint.duckdb")) as con:
            con.execute("create schema other_mart")
            con.execute("create table other_mart.figures as select range as figure from range(100)")

    def outside(self) -> set[str]:
        """Every file and folder that is not the data folder's or Dagster's."""
        own = (self.folder / "data", self.folder / "dagster")
        found = set()
        for at, folders, files in os.walk(self.folder):
            folders[:] = [name for name in folders if Path(at, name) not in own]
            found |= {os.path.join(at, name) for name in (*folders, *files)}
        return found

    def figures(self) -> int:
        """The sum of the other title's table, ``FIGURES`` unless somebody changed it."""
        with duckdb.connect(str(self.folder / "data" / "sprint.duckdb")) as con:
            return int(con.execute("select sum(figure) from other_mart.figures").fetchall()[0][0])


@contextmanager
def patched_environment(environment: Mapping[str, str]) -> Iterator[None]:
    """The process's environment is this one until the block ends."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _is_setting(name: str) -> bool:
    return name in {str(field.alias) for field in Settings.model_fields.values()}


@contextmanager
def sandbox(folder: Path) -> Iterator[Sandbox]:
    """A new sandbox; the working directory and the project are in it until the block ends."""
    made = Sandbox(folder)
    made.prepare()
    before = Path.cwd()
    os.chdir(folder / "cwd")
    find_project.cache_clear()
    with patched_environment(made.environment):
        find_project()
    try:
        yield made
    finally:
        os.chdir(before)
        find_project.cache_clear()


# --- commands ------------------------------------------------------------------------------------

SMALL_STORE = ("--customers=3", "--products=3", "--orders=3", "--days=2")
SMALL_BATCH = ("--no-ingest", "--players=2")
COMMANDS: tuple[tuple[str, ...], ...] = (
    (VALUE,),
    *((command, f"--title={VALUE}") for command in ("run", "plan", "verify", "land", "score")),
    *((command, f"--from={VALUE}") for command in ("run", "plan", "verify")),
    *((command, f"--to={VALUE}") for command in ("run", "plan", "verify")),
    ("run", f"--entrypoint={VALUE}"),
    ("score", "--title=sprint", f"--from={VALUE}"),
    ("ask", VALUE),
    ("ask", "1", f"--title={VALUE}"),
    ("ask", "1", f"--date={VALUE}"),
    ("ask", "1", f"--player={VALUE}"),
    ("ask", "3", f"--month={VALUE}"),
    ("export", f"--dataset={VALUE}", "--format=csv"),
    ("export", "--dataset=sessions", f"--format={VALUE}"),
    ("export", "--dataset=sessions", "--format=csv", f"--title={VALUE}"),
    ("export", "--dataset=sessions", "--format=csv", f"--from={VALUE}"),
    ("export", "--dataset=products", "--format=csv", f"--out=../data/export/{VALUE}"),
    ("init", "project", f"--name={VALUE}"),
    ("domain", "run", VALUE),
    ("domain", "plan", VALUE),
    ("domain", "verify", VALUE),
    ("eventlog", "generate", *SMALL_BATCH, f"--game-version={VALUE}"),
    ("eventlog", "generate", *SMALL_BATCH, f"--start={VALUE}"),
    ("eventlog", "generate", *SMALL_BATCH, f"--end={VALUE}"),
    ("eventlog", "generate", *SMALL_BATCH, f"--batch={VALUE}"),
    ("eventlog", "generate", *SMALL_BATCH, f"--seed={VALUE}"),
    ("eventlog", "load", f"--mode={VALUE}"),
    ("eventlog", "build", f"--batch={VALUE}"),
    ("eventlog", "build", f"--as-of={VALUE}"),
    ("storefront", "generate", *SMALL_STORE, f"--title={VALUE}"),
    ("storefront", "generate", *SMALL_STORE, f"--start={VALUE}"),
    ("storefront", "generate", *SMALL_STORE, f"--from={VALUE}"),
    ("storefront", "generate", *SMALL_STORE, f"--to={VALUE}"),
    ("storefront", "generate", *SMALL_STORE[1:], f"--customers={VALUE}"),
    ("storefront", "generate", f"--preset={VALUE}"),
    ("dashboard", f"--port={VALUE}"),
    ("ui", f"--port={VALUE}"),
)


def sent(arguments: Iterable[str], environment: Mapping[str, str]) -> str:
    """What became of the command: ``works``, ``refused``, or what is wrong."""
    try:
        ended = run_sprint(list(arguments), environment)
    # whatever it is, it is what this looks for
    except Exception as error:  # noqa: BLE001
        return f"a stack trace: {type(error).__name__}: {error}"
    printed = ended.stdout + ended.stderr
    if not printed.replace("\n", "").isprintable():
        return f"what a terminal obeys is printed: {printed[-300:]!r}"
    if ended.returncode == 0:
        return WORKS
    # how a command is used is shown in a box
    if ended.returncode == 2 and "Usage:" in ended.stderr:
        return REFUSED
    if ended.returncode == 1 and len(ended.stderr.splitlines()) == 1:
        return REFUSED
    return f"exit code {ended.returncode} and {ended.stderr[-300:]!r}"


def command_outcomes(
    box: Sandbox, commands: Iterable[tuple[str, ...]], values: Iterable[str]
) -> Iterator[Outcome]:
    """What became of each value in each command."""
    for command in commands:
        where = " ".join(command).replace(VALUE, "")
        for value in values:
            # nobody can type it; nothing chosen is all days; who says where to export is believed
            if (
                "\0" in value
                or (where.startswith(("run", "eventlog build")) and not value.strip())
                or ("--out=" in where and ".." in value)
            ):
                continue
            arguments = [part.replace(VALUE, value) for part in command]
            before = box.outside()
            became = sent(arguments, box.environment)
            if command[0] == "init":
                shutil.rmtree(box.folder / "cwd" / "project", ignore_errors=True)
            if new := box.outside() - before:
                became = f"files outside of the data folder: {sorted(new)[:3]}"
            yield Outcome(where, value, became)


# --- settings ------------------------------------------------------------------------------------

# a command that reads a setting, by the beginning of its field
READ_BY: dict[str, tuple[str, ...]] = {
    "store_": ("storefront", "generate", *SMALL_STORE),
    "eventlog_": ("eventlog", "generate", "--no-ingest", "--players=2"),
    "snowflake_": ("eventlog", "load", "--mode=append", "--to=snowflake"),
    "postgres_": ("storefront", "generate", *SMALL_STORE, "--load", "--to=postgres"),
    "": ("doctor",),
}


def setting_outcomes(
    box: Sandbox, fields: Iterable[str], values: Iterable[str], env_file: Path | None = None
) -> Iterator[Outcome]:
    """What became of each value of each setting, exported, or written into ``env_file``."""
    for field in fields:
        variable = str(Settings.model_fields[field].alias)
        command = next(command for begin, command in READ_BY.items() if field.startswith(begin))
        flag = field.removeprefix("store_").removeprefix("eventlog_")
        arguments = [part for part in command if not part.startswith(f"--{flag}=")]
        for value in values:
            # a folder of the machine's own, which would be made, or used
            if os.path.isabs(value) and not os.path.isfile(value):
                continue
            exported = box.environment
            if env_file is not None:
                exported.pop(variable, None)
                env_file.write_bytes(f"{variable}={value}\n".encode("utf-8", "surrogatepass"))
            elif "\0" in value or not _can_be_exported(value):
                continue
            else:
                exported[variable] = value
            yield Outcome(variable, value, sent(arguments, exported))


def _can_be_exported(value: str) -> bool:
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        return False
    return True


# --- folders -------------------------------------------------------------------------------------


def folder_outcomes(box: Sandbox, names: Iterable[str]) -> Iterator[Outcome]:
    """What became of each name as a data folder's: a batch is loaded, built, published and read."""
    for name in names:
        if "\0" in name or not _can_be_exported(name):
            continue
        folder = os.path.abspath(box.folder / "data" / "folders" / "below" / name.lstrip("/"))
        exported = {**box.environment, "SPRINT_DATA_DIR": folder}
        before = box.outside()
        became = sent(("eventlog", "generate", "--players=2"), exported)
        if became == WORKS:
            became = sent(("eventlog", "build"), exported)
        if became == WORKS:
            became = _read_published(Path(folder))
        if new := box.outside() - before:
            became = f"files outside of the data folder: {sorted(new)[:3]}"
        yield Outcome("SPRINT_DATA_DIR", name, became)
        shutil.rmtree(box.folder / "data" / "folders", ignore_errors=True)


def _read_published(folder: Path) -> str:
    try:
        with duckdb.connect(str(folder / "published" / "sprint.duckdb"), read_only=True) as con:
            found = con.execute(
                "select schema_name || '.' || view_name from duckdb_views() where not internal"
            ).fetchall()
            for (view,) in found:
                con.execute(f"from {view}").fetchall()
    except duckdb.Error as error:
        return f"what is published cannot be read: {error}"
    return WORKS if found else "nothing is published"


def project_outcomes(box: Sandbox, names: Iterable[str]) -> Iterator[Outcome]:
    """What became of each name as a new project's folder: its ``.env`` names its own home."""
    for name in names:
        if "\0" in name or not _can_be_exported(name):
            continue
        folder = Path(os.path.abspath(box.project / "projects" / name.lstrip("/")))
        became = sent(("init", str(folder), "--name=mygame"), box.environment)
        if became == WORKS:
            home = dotenv_values(folder / ".env").get("DAGSTER_HOME")
            if home != str(folder.resolve() / ".dagster"):
                became = f"its .env names another home: {home!r}"
        yield Outcome("init", name, became)
        shutil.rmtree(box.project / "projects", ignore_errors=True)


# --- titles --------------------------------------------------------------------------------------

EVERY_FIELD = """
name: odd
description: A title that says everything that can be said
launch_date: 2025-01-01
seed: 1
source: simulated
heartbeat_seconds: 30
grid: {x: [-100, 100], y: [-100, 100], z: [-100, 100]}
encounters: {distance: 50, gap_seconds: 180, word: encounter}
simulation:
  growth: {kind: target, players: 10, days: 5, launch_share: 0.5, launch_fade: 0.58}
  retention: {d1: 0.4, d7: 0.2, d30: 0.1}
  archetypes: {daily: 1.0}
  countries: {US: 1.0}
  platforms: {pc: 1.0}
  signons: {habit: 0.55, spread: 0.35, moods: 0.2}
  sessions: {play_share: 0.9, per_day: 8, kills: [1, 2], lobbies: {5x2: 1}}
  movement: {models: {bezier: 1}, cohesion: 0.7}
  spending: {clusters: {none: {share: 1}}, spread: 1, causes: 1, currency: USD}
landing:
  datasets: [sessions, heartbeats]
  mapping:
    columns: {sessions: {kills: frags, deaths: [died, lost]}}
    defaults: {sessions: {country: US}}
    values: {country: {Amerika: US}}
    time_zone: UTC
    epoch_unit: ms
    teams: labels
faults: {late: 0.1, format: csv}
"""


def _leaves(part: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = part.items() if isinstance(part, dict) else enumerate(part)
    for step, value in inner:
        if isinstance(value, dict | list):
            yield from _leaves(value, (*at, step))
        else:
            yield (*at, step)


LEAVES = list(_leaves(yaml.safe_load(EVERY_FIELD)))


def title_outcome(folder: Path, leaf: tuple[Any, ...], value: str, as_key: bool) -> Outcome:
    """What became of the value, or the key, of the title at this leaf."""
    content = part = yaml.safe_load(EVERY_FIELD)
    *parents, last = leaf
    for step in parents:
        part = part[step]
    if as_key and isinstance(part, dict):
        part[value] = part.pop(last)
    else:
        part[last] = value
    where = ".".join(map(str, leaf)) + (" as a key" if as_key else "")
    path = folder / "odd.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    try:
        title = read_title(path)
    except TitleError as error:
        line = str(error)
        said = line.isprintable() and line.startswith(f"{path}:") and len(line) < 2000
        return Outcome(where, value, REFUSED if said else f"the message {line!r}")
    except Exception as error:  # noqa: BLE001
        return Outcome(where, value, f"a stack trace: {type(error).__name__}: {error}")
    if as_key:
        return Outcome(where, value, WORKS)
    read: Any = title.model_dump()
    for step in leaf:
        read = read[step]
    # a number or a day may be written as a text
    same = read == value or not isinstance(read, str)
    return Outcome(where, value, WORKS if same else f"it came out as {read!r}")
