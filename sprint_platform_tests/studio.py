"""A small landed title of three days, landed and built once for all tests: ``arena``.

Anna and Ben have the studio's own ids, Cleo's is a UUID. Anna is in every dataset. What may become
of a record became of one of hers, and of one of somebody else's in the same file: it was rejected,
dropped as a copy, or waits for its session.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from sprint_platform.cli.app import app
from sprint_platform.landing.files import landing_dir
from sprint_platform.places import dagster_config

CLEO = "0b9c3f6e-7a51-4c1d-9d0e-5f2a6b7c8d9e"
PLAYERS = ("anna", "ben", CLEO)
DAYS = ("2025-01-01", "2025-01-02", "2025-01-03")
YAML = """\
name: arena
launch_date: 2025-01-01
seed: 0
source: landing
encounters: {distance: 50, gap_seconds: 180}
landing:
  datasets: [dim_players, signons, sessions, heartbeats, transactions]
  reject_limit: 0.5
"""
HEADERS = {
    "dim_players": "player_id,display_name,country,language,time_zone,platform,birth_year,"
    "signed_up_at",
    "signons": "player_id,country,platform,signed_on_at",
    "sessions": "session_id,player_id,team_id,country,started_at,event_datetime,kills,deaths",
    "heartbeats": "session_id,player_id,team_id,event_datetime,position_x,position_y,position_z",
    "transactions": "transaction_id,player_id,event_datetime,purchase_item,purchase_price,currency,"
    "is_recurring,cycle,transaction_type",
}


def at(day: str, seconds: int = 0) -> str:
    """So many seconds after noon."""
    return (datetime.fromisoformat(f"{day}T12:00:00") + timedelta(seconds=seconds)).isoformat()


def deliver(dataset: str, file: str, rows: Iterable[str]) -> None:
    """A file in the title's landing folder."""
    path = landing_dir("arena") / dataset / f"{file}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEADERS[dataset], *rows]) + "\n")


def heartbeats(session: str, day: str, player: str, team: int, beats: int = 10) -> list[str]:
    return [
        f"{session},{player},{team},{at(day, 30 * beat)},{beat},{team},0" for beat in range(beats)
    ]


def purchase(name: str, day: str, player: str) -> str:
    return f"{name},{player},{at(day)},SKU-1000,9.99,USD,false,,Skin"


def sprint(*arguments: str) -> str:
    """What the command prints; an error is raised."""
    ended = CliRunner().invoke(app, list(arguments))
    if ended.exception is not None:
        raise ended.exception
    return ended.output


def _deliver_all() -> None:
    deliver(
        "dim_players",
        "players",
        [f"{p},The one,US,en-US,UTC,pc,1990,{at(DAYS[0])}" for p in PLAYERS],
    )
    for day in DAYS:
        deliver("signons", day, [f"{p},US,pc,{at(day)}" for p in PLAYERS])
        deliver(
            "sessions",
            day,
            [
                f"m-{day},{p},{team},US,{at(day)},{at(day, 300)},{team},1"
                for team, p in enumerate(PLAYERS, 1)
            ],
        )
        beats = [
            row for team, p in enumerate(PLAYERS, 1) for row in heartbeats(f"m-{day}", day, p, team)
        ]
        deliver("heartbeats", day, beats)
        deliver("transactions", day, [purchase(f"{p}-{day}", day, p) for p in ("anna", CLEO)])
    odd = []
    for player, team in (("ben", 2), ("anna", 1), (CLEO, 3)):
        beat = heartbeats(f"m-{DAYS[0]}", DAYS[0], player, team, 1)[0]
        odd += [
            # a copy of what the day's file has, what contradicts it, what lies after the session
            beat,
            beat.replace(",0,", ",9,"),
            beat.replace(at(DAYS[0]), at(DAYS[0], 900)),
            beat.replace(at(DAYS[0]), "soon"),
            *heartbeats("m-unknown", DAYS[2], player, team, 3),
        ]
    deliver("heartbeats", "odd", odd)


def built_studio(shared: Path) -> Path:
    """A folder with ``data``, ``titles`` and ``home`` (Dagster's) of the title, built by the first
    of the processes that ask for it. Not to be changed: ``copied`` makes a copy."""
    with FileLock(shared / "studio.lock"):
        whole = shared / "studio"
        if not whole.exists():
            made = shared / "studio.tmp"
            with pytest.MonkeyPatch.context() as patch:
                _use(made, patch)
                (made / "titles").mkdir(parents=True)
                (made / "titles" / "arena.yaml").write_text(YAML)
                (made / "home").mkdir()
                shutil.copy(dagster_config(), made / "home" / "dagster.yaml")
                _deliver_all()
                sprint("land", "--title", "arena")
            made.rename(whole)
    return whole


def copied(whole: Path, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Copies a built studio to a folder that does not exist yet, and uses it from now on."""
    shutil.copytree(whole, folder)
    _use(folder, patch)


def _use(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("SPRINT_DATA_DIR", str(folder / "data"))
    patch.setenv("SPRINT_TITLES_DIR", str(folder / "titles"))
    patch.setenv("DAGSTER_HOME", str(folder / "home"))
