"""Canary secrets: marked passwords that no output, log, history, artifact or file may show."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import duckdb
import psycopg
import pyarrow.parquet as pq

from sprint_platform_tests import fake_snowflake, postgres_server
from sprint_platform_tests.chaos.hostile_values import (
    REFUSED,
    SMALL_STORE,
    WORKS,
    Outcome,
    Sandbox,
)
from sprint_platform_tests.chaos.zones import TITLE

# a space and an @ are written otherwise in an address
OF_POSTGRES, OF_SNOWFLAKE = "canary of@postgres-7c2a", "canary of@snowflake-5f1e"
OF_NOBODY, WRONG = "canary-of-nobody-9d3b", "canary-mistyped-31e7"
DAY = ("--from=2024-02-27", "--to=2024-02-27")
BATCH = ("--players=3",)
MATERIALIZE = ("--select", "key:calendar/dim_players", "--partition", "2024-02-28")

Command = tuple[str, ...]
SPRINT, DAGSTER = ("-m", "sprint_platform.cli"), ("-m", "dagster")


def spelled(secret: str) -> set[bytes]:
    """The ways in which a secret may be written."""
    plain = secret.encode()
    return {plain, quote(secret, safe="").encode(), base64.b64encode(plain).rstrip(b"=")[:-1]}


NEEDLES = set().union(*map(spelled, (OF_POSTGRES, OF_SNOWFLAKE, OF_NOBODY, WRONG)))


def with_password(url: str, password: str) -> str:
    """The URL of user ``canary`` with that password."""
    place = urlsplit(url)
    who = f"canary:{quote(password, safe='')}@{place.hostname}:{place.port}"
    return urlunsplit(place._replace(netloc=who))


def secret_outcomes(box: Sandbox) -> Iterator[Outcome]:
    """Whether commands that use the secrets, rightly and wrongly, and the files that they leave
    show one."""
    (box.folder / "titles" / "calendar.yaml").write_text(TITLE, encoding="utf-8")
    fake_snowflake.PASSWORD = OF_SNOWFLAKE
    with (
        fake_snowflake.serve() as snowflake,
        postgres_server.serve() as server,
        postgres_server.database(server) as url,
    ):
        with psycopg.connect(server, autocommit=True) as con:
            con.execute(f"create role canary superuser login password '{OF_POSTGRES}'")
        right = {
            **snowflake,
            "SPRINT_POSTGRES_URL": with_password(url, OF_POSTGRES),
            "SOMEBODYS_TOKEN": OF_NOBODY,
        }
        wrong = {
            **right,
            "SNOWFLAKE_PASSWORD": WRONG,
            "SPRINT_POSTGRES_URL": with_password(url, WRONG),
        }
        nowhere = {
            **right,
            "SNOWFLAKE_PORT": OF_NOBODY,
            "SPRINT_POSTGRES_URL": f"postgresql://canary:{WRONG}@127.0.0.1:1/nothing",
        }
        for secrets, commands in (
            (right, (*_commands(), (*SPRINT, "run", "--title=calendar", *DAY))),
            (right, ((*DAGSTER, "asset", "materialize", "-m", "sprint_platform.definitions",
                      *MATERIALIZE),)),
            (wrong, _commands()),
            (nowhere, _commands()),
        ):  # fmt: skip
            yield from _printed(box, secrets, commands)
    (box.project / ".env").unlink()
    yield from _files(box.folder)


def _commands() -> tuple[Command, ...]:
    to_snowflake, to_postgres = "--to=snowflake", ("--load", "--to=postgres")
    return tuple(
        (*SPRINT, *command)
        for command in (
            ("doctor",),
            ("eventlog", "generate", *BATCH, to_snowflake),
            ("eventlog", "build", to_snowflake),
            ("storefront", "generate", *SMALL_STORE, *to_postgres),
        )
    )


def _printed(
    box: Sandbox, secrets: dict[str, str], commands: tuple[Command, ...]
) -> Iterator[Outcome]:
    lines = "".join(f"{name}='{value}'\n" for name, value in secrets.items())
    (box.project / ".env").write_text(lines, encoding="utf-8")
    for command in commands:
        ended = subprocess.run(
            [sys.executable, *command],
            env=box.environment,
            cwd=box.project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        became = WORKS if ended.returncode == 0 else REFUSED
        if b"Traceback" in ended.stdout:
            became = f"a stack trace: {ended.stdout[-500:]!r}"
        if _shows(ended.stdout):
            became = "it prints a secret"
        yield Outcome(" ".join(command[1:]), "", became)


def _shows(content: bytes) -> bool:
    return any(needle in content for needle in NEEDLES)


def _files(folder: Path) -> Iterator[Outcome]:
    """Whether the files below the folder hold a secret, also where their format packs it."""
    for at, _, names in os.walk(folder):
        for path in (Path(at, name) for name in names):
            content = path.read_bytes()
            if path.suffix == ".parquet":
                content += str(pq.read_table(path).to_pylist()).encode()
            elif path.suffix == ".duckdb":
                content += _texts(path)
            became = "it holds a secret" if _shows(content) else WORKS
            yield Outcome("a file", str(path.relative_to(folder)), became)


def _texts(database: Path) -> bytes:
    with duckdb.connect(str(database), read_only=True) as con:
        found = con.execute(
            "select table_schema || '.' || table_name, column_name from information_schema.columns"
            " where data_type in ('VARCHAR', 'JSON')"
        ).fetchall()
        texts = [
            con.execute(f'select string_agg("{column}", chr(10)) from {relation}').fetchall()[0][0]
            for relation, column in found
        ]
    return "\n".join(filter(None, texts)).encode()
