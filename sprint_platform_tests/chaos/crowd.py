"""Eight processes on one data folder: every run succeeds, or waits with a line that names who holds
what it waits for; readers see no error; at the end `sprint verify` agrees."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from sprint_platform_tests.chaos.place import Place, memory_folder
from sprint_platform_tests.chaos.report import SHOWN, Report, by_kind
from sprint_platform_tests.chaos.scenarios import FAULTS, POCKET

CROWD_MINUTES = 5.0
# What ends by itself after the time is over: a run that waits for others.
PATIENCE = 900.0
LAUNCH = date(2025, 1, 1)
BIN = Path(sys.executable).parent
LOCK = re.compile(r"is in use by|Could not set lock|database is locked|Conflicting lock")
WAITS = re.compile(r"waiting: .* is (?:in use by|open in) (.*?)(?:;|$)")
ARENA = """\
name: arena
launch_date: 2025-01-01
seed: 0
source: landing
encounters: {distance: 50, gap_seconds: 180}
landing: {datasets: [sessions]}
"""
READER = """
import sys, time
import duckdb
path, until = sys.argv[1], float(sys.argv[2])
reads = 0
while time.time() < until:
    try:
        with duckdb.connect(path, read_only=True) as con:
            for view, in con.execute(
                "select schema_name || '.' || view_name from duckdb_views() where not internal"
            ).fetchall():
                con.execute(f"select count(*), max(hash(t)) from {view} as t").fetchall()
                reads += 1
    except duckdb.Error as error:
        print("error:", " ".join(str(error).split()), flush=True)
    time.sleep(0.1)
print("reads:", reads)
"""
DELIVER = """
import sys
from datetime import date
from sprint_platform.operations.deliver import deliver
from sprint_platform.title import Title
deliver(Title.load("muddy"), date.fromisoformat(sys.argv[1]))
"""


@dataclass
class Member:
    """One of the crowd: how often its command ended well, how long that took, which holders it
    waited for, and what went wrong."""

    name: str
    ended: int = 0
    seconds: list[float] = field(default_factory=list)
    waited_for: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, done: subprocess.CompletedProcess[str], seconds: float) -> None:
        output = done.stdout + done.stderr
        self.waited_for += WAITS.findall(output)
        if done.returncode == 0:
            self.ended += 1
            self.seconds.append(seconds)
            return
        lines = output.strip().splitlines() or ["no output"]
        about = next((line for line in lines if LOCK.search(line)), lines[-1])
        kind = "fails on a lock" if LOCK.search(about) else f"ends with {done.returncode}"
        self.wrong.append(f"{self.name} {kind}: {about.strip()[:240]}")


@dataclass(frozen=True)
class Crowd:
    """The folder that they share, and the time at which none begins anything new (Unix)."""

    place: Place
    until: float

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.environment(),
            cwd=self.place.work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def sprint(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.call(str(BIN / "sprint"), *arguments)

    def environment(self) -> dict[str, str]:
        path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
        return {**self.place.environment(), "PATH": path}

    def repeat(
        self, member: Member, once: Callable[[int], subprocess.CompletedProcess[str]]
    ) -> None:
        """Calls ``once`` with 0, 1, … until the time is over."""
        number = 0
        while time.time() < self.until:
            began = time.monotonic()
            member.add(once(number), time.monotonic() - began)
            number += 1


def run(seed: int, minutes: float, report: Report) -> int:
    """Lets them crowd for at most five minutes, verifies, and reports; the number of findings."""
    with tempfile.TemporaryDirectory(prefix="chaos.", dir=memory_folder()) as folder:
        place = Place(Path(folder))
        place.make()
        _titles(place.work / "titles")
        first = Crowd(place, 0)
        for title in ("pocket", "hop"):
            _must(first.sprint("run", "--title", title, "--to", str(LAUNCH)))
        crowd = Crowd(place, time.time() + min(minutes, CROWD_MINUTES) * 60)
        members = _crowd(crowd, seed)
        _verify(crowd, members)
    return _sum_up(report, members, min(minutes, CROWD_MINUTES))


def _titles(folder: Path) -> None:
    (folder / "pocket.yaml").write_text(POCKET)
    (folder / "hop.yaml").write_text(POCKET.replace("name: pocket", "name: hop"))
    (folder / "muddy.yaml").write_text(POCKET.replace("name: pocket", "name: muddy") + FAULTS)
    (folder / "arena.yaml").write_text(ARENA)


def _crowd(crowd: Crowd, seed: int) -> list[Member]:
    """Everybody at once, until the time is over and the last of them has ended."""
    chance = random.Random(seed)
    order = list(range(1, 60))
    chance.shuffle(order)

    def materialize(title: str) -> Callable[[int], subprocess.CompletedProcess[str]]:
        def once(number: int) -> subprocess.CompletedProcess[str]:
            day = LAUNCH + timedelta(days=order[number])
            return crowd.call(
                *(
                    str(BIN / "dagster"),
                    "asset",
                    "materialize",
                    "-m",
                    "sprint_platform.definitions",
                ),
                *("--select", f'key:"{title}/*"', "--partition", str(day)),
            )

        return once

    def days_of_run(number: int) -> subprocess.CompletedProcess[str]:
        first = LAUNCH + timedelta(days=100 + 2 * number)
        days = ("--from", str(first), "--to", str(first + timedelta(days=1)))
        return crowd.sprint("run", "--title", "pocket", *days, "--regenerate")

    def land(number: int) -> subprocess.CompletedProcess[str]:
        day = str(LAUNCH + timedelta(days=number))
        _must(crowd.call(sys.executable, "-c", DELIVER, day))
        return crowd.sprint("land", "--title", "muddy")

    def ask(number: int) -> subprocess.CompletedProcess[str]:
        return crowd.sprint("ask", str(number % 7 + 1), "--title", "pocket")

    daemon, dashboard, reader = (Member(name) for name in ("daemon", "dashboard", "reader"))
    named = {
        "dagster asset materialize, pocket": materialize("pocket"),
        "dagster asset materialize, hop": materialize("hop"),
        "sprint run": days_of_run,
        "sprint land": land,
        "sprint ask": ask,
    }
    tasks: list[tuple[Member, Callable[[], None]]] = [
        (daemon, partial(_daemon, crowd, daemon)),
        (dashboard, partial(_dashboard, crowd, dashboard)),
        (reader, partial(_reader, crowd, reader)),
    ]
    for name, once in named.items():
        member = Member(name)
        tasks.append((member, partial(crowd.repeat, member, once)))
    threads = [threading.Thread(target=_guarded, args=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [member for member, _ in tasks]


def _guarded(member: Member, task: Callable[[], None]) -> None:
    try:
        task()
    except (OSError, RuntimeError, subprocess.SubprocessError, sqlite3.Error) as error:
        member.wrong.append(f"{member.name}: {' '.join(str(error).split())[:240]}")


def _daemon(crowd: Crowd, member: Member) -> None:
    """Dagster's daemon, with the sensor that lands what the harness delivers to arena."""
    location = ("-m", "sprint_platform.definitions")
    _must(crowd.call(str(BIN / "dagster"), "sensor", "start", "arena_landing", *location))
    log = crowd.place.scratch / "daemon.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(BIN / "dagster-daemon"), "run", *location],
            env=crowd.environment(),
            cwd=crowd.place.work,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            for number in _turns(crowd.until, 20):
                _deliver_to_arena(crowd.place, number)
            # its runs end before it does
            patience = time.time() + PATIENCE
            while _runs(crowd, "STARTED', 'QUEUED', 'STARTING', 'NOT_STARTED") and (
                time.time() < patience
            ):
                time.sleep(2)
            if process.poll() is not None:
                member.wrong.append(f"daemon: it ended with {process.returncode}")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()
    text = log.read_text(errors="replace")
    member.waited_for += WAITS.findall(text)
    launched = "arena_"
    member.ended = _runs(crowd, "SUCCESS", launched)
    for job in _failed(crowd, launched):
        member.wrong.append(f"daemon: a run of {job} failed")
    if LOCK.search(text):
        line = next(line for line in text.splitlines() if LOCK.search(line))
        if not WAITS.search(line):
            member.wrong.append(f"daemon fails on a lock: {line[:240]}")


def _deliver_to_arena(place: Place, number: int) -> None:
    day = LAUNCH + timedelta(days=number)
    folder = place.data / "landing" / "arena" / "sessions"
    folder.mkdir(parents=True, exist_ok=True)
    half = place.scratch / "half.csv"
    half.write_text(
        "session_id,player_id,team_id,started_at,event_datetime,kills,deaths\n"
        f"m-{day},p,1,{day}T12:00:00Z,{day}T12:05:00Z,1,1\n"
    )
    half.replace(folder / f"{day}.csv")


def _dashboard(crowd: Crowd, member: Member) -> None:
    """The dashboard, and somebody who looks at it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [str(BIN / "sprint"), "dashboard", "--port", str(port)],
        env=crowd.environment(),
        cwd=crowd.place.work,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        for number in _turns(crowd.until, 1):
            page = ("/", "/_dash-layout", "/_dash-dependencies")[number % 3]
            began = time.monotonic()
            try:
                with opener.open(f"http://127.0.0.1:{port}{page}", timeout=60) as answer:
                    answer.read()
            except urllib.error.HTTPError as error:
                member.wrong.append(f"dashboard: {page} answers {error.code}")
            except OSError:
                # it has not started yet, or was too slow to
                if member.ended:
                    member.wrong.append(f"dashboard: {page} does not answer")
            else:
                member.ended += 1
                member.seconds.append(time.monotonic() - began)
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=PATIENCE)
    member.wrong += [
        f"dashboard: {line[:240]}" for line in errors.splitlines() if re.search("Error|error", line)
    ]


def _reader(crowd: Crowd, member: Member) -> None:
    """A BI tool: every view of the published database, again and again."""
    path = crowd.place.data / "published" / "sprint.duckdb"
    done = crowd.call(sys.executable, "-c", READER, str(path), str(crowd.until))
    for line in done.stdout.splitlines():
        if line.startswith("error:"):
            member.wrong.append(f"reader: {line[:240]}")
        elif line.startswith("reads:"):
            member.ended = int(line.split()[1])
    if done.returncode:
        member.wrong.append(f"reader ends with {done.returncode}: {done.stderr[-240:]}")


def _verify(crowd: Crowd, members: list[Member]) -> None:
    """`sprint verify` of each title, as a member of its own."""
    verify = Member("sprint verify")
    members.append(verify)
    # days that were landed while their title was built are built now, as the sensor would
    for title in ("arena", "muddy"):
        _must(crowd.sprint("land", "--title", title))
    for title in ("pocket", "hop", "muddy", "arena"):
        began = time.monotonic()
        done = crowd.sprint("verify", "--title", title)
        verify.add(done, time.monotonic() - began)


def _runs(crowd: Crowd, statuses: str, job: str = "") -> int:
    return len(_jobs(crowd, statuses, job))


def _failed(crowd: Crowd, job: str) -> list[str]:
    return _jobs(crowd, "FAILURE', 'CANCELED", job)


def _jobs(crowd: Crowd, statuses: str, job: str) -> list[str]:
    """The jobs of Dagster's runs with one of these statuses, whose name begins so."""
    path = crowd.place.work / "home" / "history" / "runs.db"
    if not path.exists():
        return []
    con = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)
    try:
        found = con.execute(
            f"select pipeline_name from runs where status in ('{statuses}')"
            " and pipeline_name like ? || '%'",
            [job],
        ).fetchall()
    finally:
        con.close()
    return [name for (name,) in found]


def _turns(until: float, seconds: float) -> Iterator[int]:
    number = 0
    while time.time() < until:
        yield number
        number += 1
        time.sleep(max(0.0, min(seconds, until - time.time())))


def _must(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        raise RuntimeError(f"{done.args} ended with {done.returncode}: {done.stderr[-1000:]}")


def _sum_up(report: Report, members: list[Member], minutes: float) -> int:
    report(
        f"Eight processes on one data folder for {minutes:g} minutes: Dagster's daemon, whose"
        " sensor lands a file every 20 seconds; `dagster asset materialize` of two titles on days"
        " in no order; `sprint run` of two days of the first, `sprint land` of a title with faults,"
        " `sprint ask`; the dashboard, looked at every second; and a reader of every view of the"
        " published database. Each begins again when it has ended. Then `sprint verify` of each"
        " title."
    )
    rows = []
    for member in members:
        seconds = sorted(member.seconds)
        median = f"{seconds[len(seconds) // 2]:.1f}" if seconds else "-"
        longest = f"{seconds[-1]:.1f}" if seconds else "-"
        waits = len(member.waited_for)
        unnamed = sum(who == "another process" for who in member.waited_for)
        wrong = len(member.wrong)
        rows.append((member.name, member.ended, median, longest, waits, unnamed, wrong))
    report.table(
        (
            *("who", "ended well", "median s", "longest s"),
            *("lines that name a wait", "of them without a name", "went wrong"),
        ),
        rows,
    )
    found = by_kind((line, member.name) for member in members for line in member.wrong)
    report("## What was found")
    if found:
        report.table(
            ("what (the first of its kind)", "how often"), [row[:2] for row in found[:SHOWN]]
        )
    else:
        report("Nothing: whoever had to wait, waited, and everything is verified.")
    return len(found)
