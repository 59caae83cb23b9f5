"""The machine's zone, a day of the calendar and ``python -O``: the same rows, dbt's tables too.

The days hold a leap day, the change to summer time in New York, a year's end, and the day that was
left out in Apia (2011-12-30).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import duckdb

from sprint_platform.core.project import installed_root
from sprint_platform_tests.chaos.hostile_values import WORKS, Outcome, Sandbox
from sprint_platform_tests.small_titles import small_title

VARIANTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("UTC", ()),
    ("Asia/Kathmandu", ()),
    ("America/New_York", ()),
    ("Pacific/Apia", ()),
    ("UTC", ("-O",)),
)
TITLE = small_title("calendar", 60, seed=29, launch_date=date(2024, 2, 27))
STORE = ("--customers=20", "--products=10", "--orders=40", "--days=4", "--start=2024-12-30")
BATCH = ("--players=20", "--start=2011-12-28", "--end=2012-01-02")
EVENTLOG = (("eventlog", "generate", *BATCH), ("eventlog", "build"))
EVERYTHING = (
    ("run", "--title=calendar", "--from=2024-02-27", "--to=2024-03-11"),
    ("run", "--title=calendar", "--from=2024-12-30", "--to=2025-01-02"),
    *EVENTLOG,
    ("storefront", "generate", *STORE, "--load"),
    ("storefront", "build"),
)
# when, and by which run, something was loaded or built
OF_A_RUN = {"loaded_at", "ingestion_timestamp", "invocation", "published_at"}

PROGRAM = """
import json, os, sys
from pathlib import Path
from sprint_platform_tests.command_line import run_sprint
from sprint_platform_tests.parsed_once import parsed_once
with parsed_once(Path(sys.argv[1])):
    for command in json.loads(sys.argv[2]):
        ended = run_sprint(command, dict(os.environ))
        if ended.returncode:
            sys.exit(ended.stdout + ended.stderr)
"""

Digests = dict[str, str]


def run_in_zone(
    zone: str,
    flags: tuple[str, ...],
    commands: tuple[tuple[str, ...], ...],
    environment: Mapping[str, str],
    parsed: Path,
) -> None:
    """Runs the commands in a process of that zone; what dbt parses is in the folder ``parsed``.
    Raises CalledProcessError, with what was printed, where one fails."""
    subprocess.run(
        [sys.executable, *flags, "-c", PROGRAM, str(parsed), json.dumps(commands)],
        env={**environment, "TZ": zone, "PYTHONPATH": str(installed_root())},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )


def digests(database: Path) -> Digests:
    """The rows of every table and view, by its name: how many, and a sum of their hashes."""
    found: Digests = {}
    with duckdb.connect(str(database), read_only=True) as con:
        columns: dict[str, list[str]] = {}
        for relation, column in con.execute(
            "select table_schema || '.' || table_name, column_name"
            # which database it is, and how often it was loaded
            " from information_schema.columns where table_name <> 'database_identity'"
            " order by ordinal_position"
        ).fetchall():
            columns.setdefault(relation, []).append(f'"{column}"')
        for relation, names in sorted(columns.items()):
            compared = ", ".join(name for name in names if name.strip('"') not in OF_A_RUN)
            rows, content = con.execute(
                f"select count(*), sum(hash(row({compared}))) from {relation}"
            ).fetchall()[0]
            found[relation] = f"{rows} rows, {content}"
    return found


def unlike(one: Digests, other: Digests) -> list[str]:
    """The tables that differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def zone_outcomes(box: Sandbox, parsed: Path) -> Iterator[Outcome]:
    """Whether each table of each zone, and of ``-O``, is that of UTC."""
    (box.folder / "titles" / "calendar.yaml").write_text(TITLE, encoding="utf-8")
    expected: Digests = {}
    for zone, flags in VARIANTS:
        where = " ".join((f"TZ={zone}", *flags))
        for path in (box.folder / "data").iterdir():
            if path.name not in ("sprint.duckdb", "dbt"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        try:
            run_in_zone(zone, flags, EVERYTHING, box.environment, parsed)
        except subprocess.CalledProcessError as error:
            yield Outcome(where, "every command", f"it failed: {error.stderr[-800:]!r}")
            continue
        found = digests(box.folder / "data" / "sprint.duckdb")
        found |= digests(box.folder / "data" / "published" / "sprint.duckdb")
        expected = expected or found
        differ = unlike(found, expected)
        for relation in sorted(found):
            became = "it has other rows than in UTC" if relation in differ else WORKS
            yield Outcome(where, relation, became)
