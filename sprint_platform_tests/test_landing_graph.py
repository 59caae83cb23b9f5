"""A studio's files through the graph: landed, built, and built again exactly where they change."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from dagster._core.storage.tags import RUN_KEY_TAG
from typer.testing import CliRunner

from sprint_platform.cli.app import app
from sprint_platform.core import locks
from sprint_platform.core.locks import DEADLINE_SECONDS, Kind, hold, holder_of
from sprint_platform.dashboard.app import draw_replay
from sprint_platform.engines.database_identity import note_path
from sprint_platform.engines.duckdb_file import connect, warehouse_lock
from sprint_platform.landing.files import landing_dir
from sprint_platform.landing.land import LandReport, land
from sprint_platform.landing.register import landing_lock
from sprint_platform.operations.days_to_build import title_lock
from sprint_platform.orchestration.build import build_definitions
from sprint_platform.orchestration.raw_assets import landed_files_key
from sprint_platform.places import (
    dagster_config,
    dagster_home,
    data_dir,
    database_path,
    dbt_project_dir,
    project_root,
    published_dir,
    raw_dir,
)
from sprint_platform.storage.partitions import read_manifest
from sprint_platform.title import Title
from sprint_platform.transform import dbt_manifest
from sprint_platform_tests.other_process import held_elsewhere, let_go, waiting_lines

ARENA = """\
name: arena
launch_date: 2025-01-01
seed: 0
source: landing
encounters: {distance: 50, gap_seconds: 180}
"""
SESSIONS = "session_id,player_id,team_id,started_at,event_datetime,kills,deaths"
HEARTBEATS = "session_id,player_id,team_id,event_datetime,position_x,position_y,position_z"
Text = list[str]
FEW_MODELS = {"session_close_encounters_daily", "player_stats_lifetime"}


@pytest.fixture(autouse=True)
def folders(
    parsed_data_folder: Path,
    titles_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A data folder, titles and a Dagster of the test's own; the title ``arena`` is landed."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "220")
    (tmp_path / "home").mkdir()
    shutil.copy(dagster_config(), tmp_path / "home" / "dagster.yaml")
    add_title(titles_folder, ARENA)


def add_title(folder: Path, yaml: str) -> Title:
    name = yaml.partition("name: ")[2].split("\n", 1)[0]
    (folder / f"{name}.yaml").write_text(yaml)
    return Title.load(name)


# --- what a studio writes ------------------------------------------------------------------------


def at(moment: str, seconds: int = 0) -> str:
    """That many seconds after a moment, as a studio writes it."""
    return (datetime.fromisoformat(moment) + timedelta(seconds=seconds)).isoformat() + "Z"


def session(name: str, start: str, seconds: int = 300) -> Text:
    """Two players, each a team."""
    return [
        f"{name},{name}-p{team},{team},{at(start)},{at(start, seconds)},{team},1" for team in (1, 2)
    ]


def heartbeats(name: str, start: str, beats: int = 10) -> Text:
    """The two players close together, from the start on."""
    return [
        f"{name},{name}-p{team},{team},{at(start, 30 * beat)},{beat},{team},0"
        for team in (1, 2)
        for beat in range(beats)
    ]


def deliver(dataset: str, file: str, rows: Iterable[str], title: str = "arena") -> Path:
    """A file in the title's landing folder, in place at once."""
    path = landing_dir(title) / dataset / file
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"sessions": SESSIONS, "heartbeats": HEARTBEATS}.get(dataset)
    temporary = path.with_suffix(".tmp")
    temporary.write_text("\n".join([*([header] if header else []), *rows]) + "\n")
    temporary.replace(path)
    return path


def deliver_day(day: str, name: str | None = None) -> None:
    """A day's session with its heartbeats."""
    name = name or f"match-{day}"
    deliver("sessions", f"{name}.csv", session(name, f"{day}T12:00:00"))
    deliver("heartbeats", f"{name}.csv", heartbeats(name, f"{day}T12:00:00"))


# --- what is looked at afterwards ----------------------------------------------------------------


def rows(query: str) -> list[tuple]:
    with connect() as con:
        return con.execute(query).fetchall()


def encounters_by_day(title: str = "arena") -> dict[str, int]:
    return {
        str(day): count
        for day, count in rows(
            "select calendar_day, sum(close_encounter_count)"
            f" from {title}_mart.session_close_encounters_daily group by 1"
        )
    }


def sprint(*arguments: str) -> str:
    """What the command prints, and the text of the error that ended it."""
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None:
        if isinstance(result.exception, SystemExit | AssertionError | TypeError):
            raise result.exception
        return f"{result.output}\nended: {type(result.exception).__name__}: {result.exception}"
    return result.output


def partition_files() -> dict[str, int]:
    """Every manifest below data/raw, and the file it is."""
    root = data_dir() / "raw"
    return {str(p.relative_to(root)): p.stat().st_ino for p in root.rglob("manifest.json")}


@dataclass
class Daemon:
    """What Dagster's daemon does with a title's sensor: evaluates it, launches what it requests
    (never one run key twice), and keeps its cursor."""

    title: Title
    instance: dg.DagsterInstance
    cursor: str | None = None
    keys: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.definitions = build_definitions([self.title])
        self.sensor = next(s for s in self.definitions.sensors or [])
        assert isinstance(self.sensor, dg.SensorDefinition)

    def tick(self) -> list[str]:
        """One evaluation and the runs that come of it: ``arena_daily 2025-01-01...2025-01-02``."""
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.definitions.get_repository_def(),
        ) as context:
            result = self.sensor.evaluate_tick(context)
        self.cursor = result.cursor if result.cursor is not None else self.cursor
        launched = []
        for request in result.run_requests or []:
            assert request.run_key
            if request.run_key in self.keys:
                continue
            self.keys.add(request.run_key)
            days = request.partition_key or "...".join(
                str(request.tags[tag])
                for tag in (
                    "dagster/asset_partition_range_start",
                    "dagster/asset_partition_range_end",
                )
                if tag in request.tags
            )
            job = self.definitions.resolve_job_def(str(request.job_name))
            ran = job.execute_in_process(
                instance=self.instance,
                partition_key=request.partition_key,
                tags={**request.tags, RUN_KEY_TAG: request.run_key},
                raise_on_error=False,
            )
            ended = "" if ran.success else " failed"
            launched.append(f"{request.job_name} {days}".strip() + ended)
        return launched

    def all_ticks(self) -> list[str]:
        """Ticks until nothing is launched any more."""
        launched: list[str] = []
        while more := self.tick():
            launched += more
        return launched


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as found:
        yield found


@pytest.fixture
def daemon(few_models: None, instance: dg.DagsterInstance) -> Daemon:
    return Daemon(Title.load("arena"), instance)


@pytest.fixture
def few_models(folders: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph has few of the title's models, for tests of what is built when: these look at
    encounters and at players, and a run of all models takes three times as long."""
    whole = dbt_manifest._manifest_path
    few = data_dir() / "dbt" / "few.json"
    if not few.exists():
        few.write_text(json.dumps(with_models(dbt_manifest.graph_manifest(), FEW_MODELS)))

    def path_of(project: Path) -> Path:
        return few if project == dbt_project_dir() else whole(project)

    monkeypatch.setattr(dbt_manifest, "_manifest_path", path_of)


def with_models(manifest: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """The manifest with these models of titles, and those that they are made from. The others stay
    in it without their tag: what is no node of it dbt would be asked to build."""
    nodes, parents = manifest["nodes"], manifest["parent_map"]
    wanted = [n for n, node in nodes.items() if node["name"] in names]
    for name in wanted:
        wanted += [parent for parent in parents[name] if parent.startswith("model.")]
    left_out = {
        name
        for name, node in nodes.items()
        if name.startswith("model.") and name not in wanted and "title" in node["tags"]
    }
    for name in left_out:
        nodes[name]["tags"] = nodes[name]["config"]["tags"] = []
    for of, children in manifest["child_map"].items():
        manifest["child_map"][of] = [
            name for name in children if not left_out & {name, *parents.get(name, ())}
        ]
    return manifest


@pytest.fixture(scope="module")
def _stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stored") / "data"


@pytest.fixture
def landed(few_models: None, _stored: Path) -> str:
    """Two days of ``arena``, and an empty file, are landed and built by ``sprint land``: what it
    printed. One test builds them, and the others begin with a copy."""
    deliver_day("2025-01-01")
    deliver_day("2025-01-02")
    (landing_dir("arena") / "heartbeats" / "empty.csv").write_text("")
    printed = _stored.with_name("printed")
    if not printed.exists():
        printed.write_text(sprint("land", "--title", "arena"))
    places = {data_dir(): _stored, dagster_home(): _stored.with_name("home")}
    for folder, stored in places.items():
        if not stored.exists():
            shutil.copytree(folder, stored, symlinks=True)
            continue
        shutil.rmtree(folder)
        shutil.copytree(stored, folder, symlinks=True)
    # to the system the copies are other files: they are looked at once more
    assert "every landed day is built" in sprint("land", "--title", "arena")
    return printed.read_text()


# --- the graph -----------------------------------------------------------------------------------


def test_files_go_through_the_whole_graph(titles_folder: Path) -> None:
    """What is wrong with them is counted, and what the title lacks is empty."""
    deliver_day("2025-01-01")
    broken = heartbeats("match-2025-01-01", "2025-01-01T12:05:00", beats=1)[0].replace(",0,", ",x,")
    deliver("heartbeats", "late.csv", [*heartbeats("nobody-knows", "2025-01-02T09:00:00"), broken])
    (landing_dir("arena") / "heartbeats" / "half.parquet").write_bytes(b"PAR1")
    arena = add_title(titles_folder, ARENA + "landing: {reject_limit: 0.2}\n")
    definitions = build_definitions([arena])
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [a for a in definitions.assets or [] if isinstance(a, dg.AssetsDefinition)],
            selection=dg.AssetSelection.key_prefixes(["arena"]),
            resources=definitions.resources,
            instance=instance,
            tags={
                "dagster/asset_partition_range_start": "2025-01-01",
                "dagster/asset_partition_range_end": "2025-01-02",
            },
            raise_on_error=False,
        )
    assert result.success, [event.message for event in result.get_step_failure_events()]
    [landed] = result.asset_materializations_for_node("arena_landed_files")
    metadata = {name: value.value for name, value in landed.metadata.items()}
    assert (metadata["files_read"], metadata["files_refused"]) == (3, 1)
    counts = {name: metadata[name] for name in ("accepted", "rejected", "waiting", "duplicates")}
    assert counts == {"accepted": 22, "rejected": 1, "waiting": 20, "duplicates": 0}
    assert metadata["rows_read"] == sum(counts.values())
    # the worst first: the file that could not be read
    assert (
        str(metadata["files"]).splitlines()[2].startswith("| heartbeats/half.parquet | refused |")
    )
    assert rows("select reason from arena_raw.rejected where row is not null") == [("unparseable",)]
    with duckdb.connect(str(published_dir() / "sprint.duckdb"), read_only=True) as con:
        published = con.execute("from arena_mart.landing_rejects_daily order by all").fetchall()
    # neither says a day: a record that is no record, and a file that is none
    assert published == [
        (None, "heartbeats", "half_written", 1),
        (None, "heartbeats", "unparseable", 1),
    ]
    assert rows("select count(*), sum(heartbeats) from arena_raw.pending_session") == [(2, 20)]
    # two players, whose country nobody delivered; the second day has nothing, and is built
    assert rows("select country, count(*) from arena_mart.player_activity_daily group by 1") == [
        ("ZZ", 2)
    ]
    assert encounters_by_day() == {"2025-01-01": 1}
    for lacking in ("arena_dim.dim_players", "arena_dim.dim_products", "arena_raw.event_signons"):
        assert rows(f"select count(*) from {lacking}") == [(0,)], lacking
    assert not [check for check in result.get_asset_check_evaluations() if not check.passed]


@pytest.mark.parametrize(
    ("delivered", "landing", "players", "encounters"),
    [
        (("heartbeats",), "landing: {datasets: [heartbeats]}\n", 2, 1),
        (("sessions",), "landing: {datasets: [sessions]}\n", 2, 0),
    ],
)
def test_a_title_may_lack_what_it_likes(
    titles_folder: Path, delivered: tuple[str, ...], landing: str, players: int, encounters: int
) -> None:
    add_title(titles_folder, ARENA + landing)
    deliver_day("2025-01-01")
    for dataset in {"sessions", "heartbeats"} - set(delivered):
        shutil.rmtree(landing_dir("arena") / dataset)
    printed = sprint("land", "--title", "arena")
    assert "ended" not in printed
    assert "check failed" not in printed
    assert rows("select count(*) from arena_mart.player_stats_lifetime") == [(players,)]
    assert encounters_by_day() == {"2025-01-01": encounters}


def test_the_replay_shows_the_encounters_of_the_list_and_the_teams_labels(
    titles_folder: Path,
) -> None:
    """The session's record begins 20 s before its first heartbeat: of the beats that count from
    then on one is close, and of beats that counted from the first heartbeat none would be."""
    add_title(titles_folder, ARENA + "landing: {mapping: {teams: labels}}\n")
    start = "2025-01-01T12:00:00"
    deliver(
        "sessions",
        "duel.csv",
        [
            f"duel,{p},{team},{at(start)},{at(start, 300)},0,0"
            for p, team in (("a", "red"), ("b", "blue"))
        ],
    )
    deliver(
        "heartbeats",
        "duel.csv",
        [
            f"duel,{p},{team},{at(start, seconds)},{x},0,0"
            for p, team, places in (
                ("a", "red", {20: 90, 50: 0, 80: 90}),
                ("b", "blue", {40: 0, 70: -90}),
            )
            for seconds, x in places.items()
        ],
    )
    assert "ended" not in sprint("land", "--title", "arena")
    assert encounters_by_day() == {"2025-01-01": 1}
    replay = str(draw_replay("?title=arena"))
    assert "1 encounter, together 30 s" in replay
    assert "from 12:00:00 UTC; 1 encounter." in replay
    assert "'at': '12:00:30'" in replay
    assert "1 (blue) and 2 (red)" in replay


def test_landed_products_are_the_titles_own(titles_folder: Path) -> None:
    add_title(titles_folder, ARENA + "landing: {datasets: [products, transactions]}\n")
    products = (project_root() / "sprint_dbt/seeds/dim_products.csv").read_text().splitlines()[:4]
    deliver("products", "shop.csv", products)
    bought = products[1].split(",")[1]
    deliver(
        "transactions",
        "day.csv",
        [
            "transaction_id,player_id,event_datetime,purchase_item,purchase_price,currency,"
            "is_recurring,transaction_type",
            f"a,ann,2025-01-01T10:00:00Z,{bought},4.99,USD,true,BattlePass",
            "b,bob,2025-01-01T11:00:00Z,SKU-9999,2.50,EUR,false,Skin",
        ],
    )
    printed = sprint("land", "--title", "arena")
    assert "ended" not in printed
    assert rows("select count(*) from arena_dim.dim_products") == [(3,)]
    assert rows("select total_revenue from arena_mart.country_weekly_revenue") == [
        (Decimal("7.49"),)
    ]
    # what only a simulated title has to keep is a warning here, and stops nothing
    assert "purchases_of_known_products" in printed
    assert "revenue_in_one_currency" in printed


@pytest.mark.usefixtures("few_models")
def test_players_come_with_all_their_sign_up_days(titles_folder: Path) -> None:
    """Also those before the launch; one whom nobody delivered is a warning, and counts as ZZ."""
    add_title(
        titles_folder, ARENA + "landing: {datasets: [sessions, heartbeats, dim_players, signons]}\n"
    )
    deliver_day("2025-01-02", "duel")
    head = "player_id,display_name,country,language,time_zone,platform,birth_year,signed_up_at"
    profile = "Ann,DE,de-DE,Europe/Berlin,pc,1990,2024-06-01T10:00:00Z"
    deliver("dim_players", "known.csv", [head, f"duel-p1,{profile}"])
    deliver(
        "signons",
        "day.csv",
        ["player_id,platform,signed_on_at", "duel-p1,pc,2025-01-02T08:00:00Z"],
    )
    landed = sprint("land", "--title", "arena")
    assert "ended" not in landed
    (orphan,) = re.findall("check failed arena/sessions: no_orphan_keys .*", landed)
    assert "(duel-p2), event_date 2025-01-02" in orphan
    assert "arena/signons: no_orphan_keys" not in landed
    assert rows("select country, signup_date::varchar from arena_dim.dim_players") == [
        ("DE", "2024-06-01")
    ]
    assert "every landed day is built" in sprint("land", "--title", "arena")
    # the launch day takes in what is new of the days before it
    deliver("dim_players", "more.csv", [head, f"duel-p2,{profile}"])
    assert "arena, 2025-01-01: built" in sprint("land", "--title", "arena")
    assert rows("select count(*) from arena_dim.dim_players") == [(2,)]


# --- the sensor ----------------------------------------------------------------------------------


def test_the_sensor_builds_exactly_the_days_that_a_landing_changed(daemon: Daemon) -> None:
    # an empty folder, once: the tables of what was landed are there
    assert daemon.all_ticks() == ["arena_land"]
    for day in ("2025-01-01", "2025-01-02", "2025-01-05"):
        deliver_day(day)
    assert daemon.tick() == ["arena_land"]
    # the two days between them are empty, and cost less than a run
    assert daemon.tick() == ["arena_daily 2025-01-01...2025-01-05"]
    assert daemon.tick() == []
    assert encounters_by_day() == {"2025-01-01": 1, "2025-01-02": 1, "2025-01-05": 1}

    # a late file, of one day
    deliver_day("2025-01-02", "late")
    assert daemon.tick() == ["arena_land"]
    before = partition_files()
    assert daemon.tick() == ["arena_daily 2025-01-02"]
    assert partition_files() == before
    assert daemon.tick() == []
    assert encounters_by_day()["2025-01-02"] == 2

    # other content of the same size, under the same time
    path = landing_dir("arena") / "heartbeats" / "late.csv"
    status = path.stat()
    path.write_text(path.read_text().replace(",2,0\n", ",9,0\n"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert daemon.all_ticks() == ["arena_land", "arena_daily 2025-01-02"]
    assert rows("select count(*) from arena_raw.event_heartbeat where position_y = 9") == [(10,)]

    # touched, and what it says is the same
    os.utime(path)
    assert daemon.all_ticks() == ["arena_land"]


def test_a_session_that_moves_opens_both_of_its_days(daemon: Daemon) -> None:
    deliver("sessions", "second.csv", session("long", "2025-01-03T00:10:00"))
    deliver("heartbeats", "second.csv", heartbeats("long", "2025-01-03T00:10:00"))
    assert daemon.all_ticks() == ["arena_land", "arena_daily 2025-01-03"]
    # a third player was there before midnight
    deliver("sessions", "first.csv", [f"long,early,1,{at('2025-01-02T23:50:00')},"
                                      f"{at('2025-01-03T00:15:00')},0,0"])  # fmt: skip
    assert daemon.all_ticks() == ["arena_land", "arena_daily 2025-01-02...2025-01-03"]
    assert encounters_by_day() == {"2025-01-02": 1}
    assert rows("select distinct event_date::varchar from arena_raw.event_heartbeat") == [
        ("2025-01-02",)
    ]


def test_what_cannot_be_landed_is_not_tried_again_until_a_file_changes(daemon: Daemon) -> None:
    deliver_day("2025-01-01")
    assert daemon.tick() == ["arena_land"]
    # before its days are built, a delivery that is mostly rubbish
    deliver("sessions", "rubbish.csv", [row.replace("T12", "Tx") for row in
                                        session("rubbish", "2025-01-02T12:00:00")])  # fmt: skip
    assert daemon.tick() == ["arena_land failed"]
    assert daemon.tick() == ["arena_daily 2025-01-01"]
    assert daemon.tick() == []
    deliver("sessions", "rubbish.csv", session("rubbish", "2025-01-02T12:00:00"))
    assert daemon.all_ticks() == ["arena_land", "arena_daily 2025-01-02"]


def test_what_a_command_built_is_not_requested_again(landed: str, daemon: Daemon) -> None:
    assert "built" in landed
    assert daemon.tick() == []
    deliver_day("2025-01-03")
    with hold(title_lock(daemon.title), "sprint land"):
        assert daemon.tick() == []
    assert daemon.all_ticks() == ["arena_land", "arena_daily 2025-01-03"]


def test_what_was_landed_may_be_thrown_away(landed: str, daemon: Daemon) -> None:
    """Landings then count from 1 again, and the sensor goes on."""
    assert daemon.tick() == []
    deliver_day("2025-01-03")
    assert daemon.all_ticks() == ["arena_land", "arena_daily 2025-01-03"]
    shutil.rmtree(data_dir() / "landed" / "arena")
    assert "every landed day is built" in sprint("land", "--title", "arena")
    deliver_day("2025-01-02", "late")
    assert daemon.all_ticks() == ["arena_land", "arena_daily 2025-01-02"]


def test_days_that_the_graph_does_not_have_are_rejected_or_wait(daemon: Daemon) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    for day in ("2025-01-01", "2025-01-02", tomorrow):
        deliver_day(day)
    assert f"2 of sessions wait for {tomorrow}, which is to come" in sprint(
        "land", "--title", "arena", "--dry-run"
    )
    assert daemon.all_ticks() == [
        "arena_land", "arena_daily 2025-01-01...2025-01-02",
    ]  # fmt: skip
    assert encounters_by_day() == {"2025-01-01": 1, "2025-01-02": 1}


# --- the command ---------------------------------------------------------------------------------


def test_a_dry_run_says_what_is_new_and_writes_nothing() -> None:
    deliver_day("2025-01-01")
    dry = sprint("land", "--title", "arena", "--dry-run")
    assert "new sessions/match-2025-01-01.csv" in dry
    assert not partition_files()
    assert not database_path().exists()


def test_land_builds_what_is_new_and_says_why(landed: str) -> None:
    assert "empty_file" in landed
    assert "arena, 2025-01-01 to 2025-01-02: built" in landed
    assert "ended" not in landed
    assert "check failed" not in landed
    assert encounters_by_day() == {"2025-01-01": 1, "2025-01-02": 1}
    assert rows("select count(*) from arena_mart.player_stats_lifetime") == [(4,)]

    again = sprint("land", "--title", "arena")
    assert "no file is new or changed" in again
    assert "every landed day is built" in again
    assert "what was landed, in files and in what was loaded" in sprint(
        "verify", "--title", "arena"
    )


def test_another_mapping_marks_the_days_that_it_read_and_those_that_were_built(
    landed: str, titles_folder: Path
) -> None:
    verified = "what was landed, in files and in what was loaded, built and published"
    assert verified in sprint("verify", "--title", "arena")
    # the files' positions count from somewhere else, and seconds of encounters are no whole ones
    mapping = "landing: {mapping: {position_offset: [1, 0, 0]}}\nheartbeat_seconds: 1/30\n"
    add_title(titles_folder, ARENA + mapping)
    printed = sprint("verify", "--title", "arena")
    assert "arena: landed by another mapping than today's: 2025-01-01 (and 1 more" in printed
    assert "this mends it: sprint land --title arena" in printed
    both = "arena, 2025-01-01 to 2025-01-02: built"
    seconds = "select typeof(total_encounter_seconds)"
    seconds += " from arena_mart.session_close_encounters_daily limit 1"
    assert rows(seconds) == [("BIGINT",)]
    assert both in sprint("land", "--title", "arena")
    assert rows(seconds) == [("DECIMAL(18,6)",)]
    assert verified in sprint("verify", "--title", "arena")
    # another distance: the files are as they are, and what was counted from them is not
    add_title(titles_folder, ARENA.replace("distance: 50", "distance: 5") + mapping)
    printed = sprint("land", "--title", "arena")
    assert "every landed day is built" in printed
    stale = sprint("verify", "--title", "arena")
    assert "built by another definition than today's" in stale
    assert both in sprint("run", "--title", "arena", "--stale")
    assert verified in sprint("verify", "--title", "arena")


def test_days_before_a_launch_that_was_moved_are_named_and_can_be_left_out(
    landed: str, titles_folder: Path
) -> None:
    add_title(
        titles_folder,
        ARENA.replace("launch_date: 2025-01-01", "launch_date: 2025-01-02")
        + "landing: {reject_limit: 1}\n",
    )
    outside = (
        "arena: outside since launch_date is 2025-01-02, and still in tables and marts: 2025-01-01"
        " (20 heartbeats, 2 sessions); set launch_date back, or leave them out of a database made"
        " anew: sprint repair --anew"
    )
    printed = sprint("land", "--title", "arena")
    assert "2 before_launch of started_at (2025-01-02)" in printed
    assert outside in printed
    assert outside in sprint("verify", "--title", "arena")
    assert "arena: outside since launch_date is 2025-01-02" in sprint("doctor")
    sprint("repair", "--anew")
    assert encounters_by_day() == {"2025-01-02": 1}
    assert rows("select count(*) from arena_mart.player_stats_lifetime") == [(2,)]
    assert "1 days are what was landed" in sprint(
        "verify", "--title", "arena", "--from", "2025-01-02"
    )


def test_land_builds_what_a_killed_run_left(landed: str) -> None:
    assert "built" in landed
    both = "arena, 2025-01-01 to 2025-01-02: built"
    met = encounters_by_day()
    # killed between the load and the models
    rows("delete from arena_raw.built_from")
    rows("delete from arena_mart.session_close_encounters_daily")
    assert both in sprint("land", "--title", "arena")
    assert encounters_by_day() == met
    # killed after its first landing; or a new warehouse, on another machine
    shutil.rmtree(published_dir())
    note_path().unlink()
    database_path().unlink()
    assert both in sprint("land", "--title", "arena")
    assert encounters_by_day() == met


def test_rows_that_went_from_a_table_are_named_and_come_back(landed: str) -> None:
    before = rows("from arena_raw.event_heartbeat order by all")
    rows("delete from arena_raw.event_heartbeat where event_date = '2025-01-01' and position_x > 0")
    verified = sprint("verify", "--title", "arena")
    assert "arena/heartbeats 2025-01-01: its table holds v1-" in verified
    assert "1 partitions differ; this mends them: sprint land --title arena" in verified
    again = sprint("land", "--title", "arena")
    assert "arena, 2025-01-01: built" in again
    assert "2025-01-02" not in again
    assert rows("from arena_raw.event_heartbeat order by all") == before
    assert "what was landed, in files and in what was loaded" in sprint(
        "verify", "--title", "arena"
    )


def test_too_many_rejects_are_refused_in_one_line() -> None:
    deliver("sessions", "bad.csv", [row.replace("T12", "Tx") for row in
                                    session("bad", "2025-01-02T12:00:00")])  # fmt: skip
    printed = sprint("land", "--title", "arena")
    assert "would be rejected" in printed
    assert "ended: Stop: arena was not landed" in printed
    assert not partition_files()
    dry = sprint("land", "--title", "arena", "--dry-run")
    assert "would be rejected" in dry.splitlines()[-1]


@pytest.mark.usefixtures("few_models")
def test_other_commands_know_a_landed_title(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ended: Stop: title sprint is simulated" in sprint("land", "--title", "sprint")
    assert "its size is that of the files" in sprint("plan", "--title", "arena")
    assert "sprint land" in sprint("verify", "--title", "arena")
    deliver_day("2025-01-01")
    assert "files wait: sprint land" in sprint("doctor")
    # in the command's own words, and by no other file's name
    monkeypatch.setitem(DEADLINE_SECONDS, Kind.TITLE, 0.1)
    with held_elsewhere(title_lock(Title.load("arena")), "sprint run of somebody") as other:
        assert re.search("title arena +│ in use by sprint run of somebody", sprint("doctor"))
        for command in ("land", "run"):
            printed = sprint(command, "--title", "arena")
            assert "ended: LockError: title arena is in use by sprint run of somebody" in printed
            assert f"process {other.pid}" in printed
    # a run builds what is landed, and lands nothing
    sprint("run", "--title", "arena", "--to", "2025-01-02")
    assert rows("select count(*) from arena_raw.event_session") == [(0,)]
    land(Title.load("arena"))
    printed = sprint("run", "--title", "arena", "--to", "2025-01-02")
    assert "ended" not in printed
    assert encounters_by_day() == {"2025-01-01": 1}
    (part,) = raw_dir("arena", "heartbeats").rglob("*.parquet")
    part.write_bytes(part.read_bytes()[:100])
    assert "1 partitions differ" in sprint("verify", "--title", "arena")


def test_who_waits_for_a_landing_leaves_the_warehouse_to_others(
    monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    """It once waited for ever, and held the warehouse meanwhile."""
    monkeypatch.setattr(locks, "FIRST_LINE_SECONDS", 0.0)
    game = Title.load("arena")
    deliver_day("2025-01-01")
    held: list[str | None] = []
    with ExitStack() as stack:

        def between_landing_and_load(_: LandReport) -> None:
            other = stack.enter_context(held_elsewhere(landing_lock("arena"), "a dry run"))

            def look(line: str) -> None:
                assert "the landing register of arena is in use by a dry run" in line
                held.append(holder_of(warehouse_lock()))
                let_go(other)

            stack.enter_context(waiting_lines(look))

        definitions = build_definitions([game], on_landed=between_landing_and_load)
        result = dg.materialize(
            [a for a in definitions.assets or [] if isinstance(a, dg.AssetsDefinition)],
            instance=instance,
            selection=dg.AssetSelection.assets(landed_files_key(game)),
            resources=definitions.resources,
        )
    assert result.success
    assert held == [None]
    assert rows("select count(*) from arena_raw.landed_files") == [(2,)]


# --- a title with faults -------------------------------------------------------------------------


@pytest.mark.usefixtures("few_models")
def test_late_records_open_their_days_again(
    titles_folder: Path, instance: dg.DagsterInstance
) -> None:
    shipped = (project_root() / "sprint_platform" / "titles" / "sprint.yaml").read_text()
    dirty = add_title(
        titles_folder,
        shipped.replace("name: sprint", "name: dirty").replace(
            "active_players: 1000", "active_players: 40"
        )
        + "faults: {late: 0.2, late_days: 1, duplicate: 0.05, negative_amount: 0.5}\n",
    )
    first = sprint("run", "--title", "dirty", "--to", "2025-01-01")
    assert "ended" not in first
    once = rows("select count(*) from dirty_raw.event_session")[0][0]
    printed = sprint("run", "--title", "dirty", "--from", "2025-01-02", "--to", "2025-01-02")
    assert "ended" not in printed
    assert "dirty, 2025-01-01: built" in printed
    query = "select count(*) from dirty_raw.event_session where event_date = '2025-01-01'"
    assert rows(query)[0][0] > once
    manifest = read_manifest("dirty", "sessions", date(2025, 1, 1))
    assert manifest is not None
    assert rows(query) == [(manifest.rows,)]
    assert rows("select count(*) from dirty_raw.duplicates")[0][0] > 0
    # the run brings the ledger along
    assert rows("select distinct delivered::varchar from dirty_truth.fault_ledger order by 1") == [
        ("2025-01-01",),
        ("2025-01-02",),
    ]
    assert "what was landed" in sprint("verify", "--title", "dirty")

    # everything is built: the sensor has nothing to do; then the schedule's run for the next day
    daemon = Daemon(dirty, instance)
    assert daemon.tick() == []
    daily = daemon.definitions.resolve_job_def("dirty_daily")
    assert daily.execute_in_process(instance=instance, partition_key="2025-01-03").success
    assert daemon.all_ticks() == ["dirty_reopened 2025-01-02"]
