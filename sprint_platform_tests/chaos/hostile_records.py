"""A studio's files full of hostile values: ids, names, countries, labels, columns, files, folders.

One landing of all of them goes through the whole graph. What is accepted comes out as it went in:
from the tables, from what is published, and on the pages of the dashboard.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from sprint_platform.dashboard.app import PAGES, build_app, draw, draw_replay
from sprint_platform_tests.chaos.hostile_values import (
    HOSTILE,
    REFUSED,
    WORKS,
    Outcome,
    Sandbox,
    patched_environment,
    sent,
)

# A file can hold them, and they are not empty. Landing takes names of up to 1,024 letters.
NO_TEXTS = ("\ud800", "\udcff")
TEXTS = [value for value in HOSTILE if value.strip() and value not in NO_TEXTS]
KILLS = "'; drop table other_mart.figures; --"
DAY = "2025-01-01"
TITLE = f"""
name: odd
description: "'; drop table other_mart.figures; -- {{{{ 7 * 7 }}}} [bold]</script>"
launch_date: {DAY}
seed: 0
source: landing
encounters: {{distance: 50, gap_seconds: 180}}
landing:
  datasets: [sessions, heartbeats, transactions, dim_players]
  reject_limit: 1
  mapping:
    null_words: []
    columns: {{sessions: {{kills: "{KILLS}", deaths: "{{{{ deaths }}}}"}}}}
    teams: labels
"""


def _session(number: int, value: str) -> list[dict[str, Any]]:
    """Two players, of whom one has the value wherever a text can be."""
    common = {
        "session_id": f"s{number} {value}",
        "started_at": f"{DAY}T12:00:00Z",
        "event_datetime": f"{DAY}T12:05:00Z",
        KILLS: number,
        "{{ deaths }}": 0,
    }
    one = {"player_id": f"p{number} {value}", "team_id": value, "country": value}
    other = {"player_id": f"q{number}", "team_id": f"not {value}", "country": "US"}
    return [common | one, common | other]


def deliver(landing: Path) -> None:
    """Writes the files of a day: for each value a session, heartbeats, a player, a purchase."""
    sessions, heartbeats = landing / "sessions", landing / "heartbeats"
    for number, value in enumerate(TEXTS):
        lines = "".join(json.dumps(part) + "\n" for part in _session(number, value))
        _write(sessions, number, value, ".ndjson", lines.encode())
        if "\0" not in value:
            _write(heartbeats, number, value, ".csv", _heartbeats(number, value))
    players = [
        {
            "player_id": f"p{number} {value}", "display_name": value, "country": value,
            "language": value, "time_zone": value, "platform": "pc", "birth_year": 1990,
            "signed_up_at": f"{DAY}T11:00:00Z",
        }
        for number, value in enumerate(TEXTS)
    ]  # fmt: skip
    (landing / "dim_players").mkdir()
    pq.write_table(pa.Table.from_pylist(players), landing / "dim_players" / "players.parquet")
    bought = [
        {
            "transaction_id": f"t{number} {value}", "player_id": f"p{number} {value}",
            "event_datetime": f"{DAY}T12:01:00Z", "purchase_item": value,
            "purchase_price": "1.50", "currency": value, "is_recurring": False,
            "transaction_type": "Skin",
        }
        for number, value in enumerate(TEXTS)
    ]  # fmt: skip
    (landing / "transactions").mkdir()
    (landing / "transactions" / "all.json").write_text(json.dumps(bought), encoding="utf-8")


def _heartbeats(number: int, value: str) -> bytes:
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(
        ["session_id", "player_id", "team_id", "event_datetime", *(f"position_{a}" for a in "xyz")]
    )
    for player, team in ((f"p{number} {value}", value), (f"q{number}", f"not {value}")):
        for beat in range(3):
            at = f"{DAY}T12:0{beat}:00Z"
            rows.writerow([f"s{number} {value}", player, team, at, beat, number % 90, 0])
    return text.getvalue().encode()


def _write(folder: Path, number: int, value: str, suffix: str, content: bytes) -> None:
    """Into a folder and a file of the value's name, as far as the system has such."""
    name = value.replace("/", " ").replace("\0", " ").lstrip("._")[:60]
    path = folder / (name or "none") / f"{name}{number}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def record_outcomes(box: Sandbox) -> Iterator[Outcome]:
    """What became of each value in the tables, in what is published, and on the pages."""
    (box.folder / "titles" / "odd.yaml").write_text(TITLE, encoding="utf-8")
    deliver(box.folder / "data" / "landing" / "odd")
    before = box.outside()
    landed = sent(("land", "--title=odd"), box.environment)
    yield Outcome("sprint land", "all of them", landed)
    if landed != WORKS:
        return
    if new := box.outside() - before:
        yield Outcome("sprint land", "all of them", f"files outside of the data: {sorted(new)[:3]}")
    yield from _as_they_went_in(box)
    yield from _pages(box)
    for number in range(1, 8):
        arguments = ("ask", str(number), "--title=odd", "--sql")
        yield Outcome(f"sprint ask {number}", "all of them", sent(arguments, box.environment))
    for file_format in ("csv", "json", "ndjson", "parquet"):
        arguments = ("export", "--title=odd", "--dataset=sessions", f"--format={file_format}")
        yield Outcome("sprint export", file_format, sent(arguments, box.environment))
    for command in ("verify", "doctor", "titles"):
        arguments = (command, "--title=odd") if command == "verify" else (command,)
        yield Outcome(f"sprint {command}", "all of them", sent(arguments, box.environment))


# a text, where it comes out, of the warehouse and of what is published
OUT = {
    "a session's country": "select country from odd_raw.event_session",
    "a player's name": "select display_name from odd_dim.dim_players",
    "a product": "select purchase_item from odd_raw.event_transaction",
    "a currency": "select currency from odd_raw.event_transaction",
    "a team's label": "select team_label from odd_raw.team_labels",
}
PUBLISHED = {
    "a country, published": "select country from odd_mart.player_activity_daily",
    "a country's key figures": "select country from odd_mart.kpi_daily",
}


def _as_they_went_in(box: Sandbox) -> Iterator[Outcome]:
    data = box.folder / "data"
    for path, queries in (
        (data / "sprint.duckdb", OUT),
        (data / "published" / "sprint.duckdb", PUBLISHED),
    ):
        with duckdb.connect(str(path), read_only=True) as con:
            for where, query in queries.items():
                found = {text for (text,) in con.execute(query).fetchall()}
                for value in TEXTS:
                    became = WORKS if {value, value.strip()} & found else "it did not come out"
                    if len(value) > 1024:
                        became = REFUSED if value not in found else "it is longer than may be"
                    yield Outcome(where, value, became)
    with duckdb.connect(str(data / "sprint.duckdb"), read_only=True) as con:
        kills = con.execute("select count(*), sum(kills) from odd_raw.event_session").fetchall()
        ids = dict(con.execute("select source_id, id from odd_dim.source_ids").fetchall())
    accepted = [number for number, value in enumerate(TEXTS) if len(value) <= 1024]
    wanted = [(2 * len(accepted), 2 * sum(accepted))]
    became = WORKS if kills == wanted else f"kills are {kills}, not {wanted}"
    yield Outcome("a column's name", KILLS, became)
    for number in accepted:
        value = f"p{number} {TEXTS[number]}".strip()
        yield Outcome("a player's id", value, WORKS if value in ids else "it did not come out")


PARAMETERS = ("title", "country", "from", "to", "day", "session")


def _pages(box: Sandbox) -> Iterator[Outcome]:
    """What became of each value in each part of the dashboard's addresses."""
    with patched_environment(box.environment):
        client = build_app().server.test_client()
        for value in HOSTILE:
            if value in NO_TEXTS:
                continue
            yield Outcome("a parameter's name", value, _drawn("/", {"title": "odd", value: "1"}))
            yield Outcome("a page's path", value, _drawn(f"/{value}", {"title": "odd"}))
            for name in PARAMETERS:
                given = {"title": "odd", name: value}
                yield Outcome(f"?{name}=", value, _drawn("/", given))
                yield Outcome(f"?{name}= of the replay", value, _replayed(given))
            for page in PAGES[1:]:
                given = {"title": "odd", "country": value}
                yield Outcome(f"{page.path}?country=", value, _drawn(page.path, given))
            answer = client.get(f"/{quote(value)}?country={quote(value)}")
            fine = answer.status_code < 500 and b"<script>alert" not in answer.get_data()
            yield Outcome("an address", value, WORKS if fine else f"{answer.status}, or a script")


def _drawn(path: str, given: dict[str, str]) -> str:
    try:
        shown = str(draw(path, f"?{urlencode(given)}", "now", None))
    except Exception as error:  # noqa: BLE001
        return f"a stack trace: {type(error).__name__}: {error}"
    return "it cannot be drawn" if "cannot be read" in shown else WORKS


def _replayed(given: dict[str, str]) -> str:
    try:
        shown = str(draw_replay(f"?{urlencode(given)}"))
    except Exception as error:  # noqa: BLE001
        return f"a stack trace: {type(error).__name__}: {error}"
    return "it cannot be drawn" if "cannot be read" in shown else WORKS
