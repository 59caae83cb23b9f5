"""The notebooks as people run them: in a kernel of this Python, against what dbt built small."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import nbformat
import pytest
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from sprint_platform.engines.load import Mode
from sprint_platform.eventlog.contracts import RAW_TABLES
from sprint_platform.eventlog.files import eventlog_dir, write_batch
from sprint_platform.eventlog.generation.batch import batch_rows
from sprint_platform.eventlog.load import load
from sprint_platform.eventlog.settings import BatchSettings
from sprint_platform.eventlog.warehouse import open_duckdb
from sprint_platform.orchestration.build import build_definitions
from sprint_platform.orchestration.domain_build import build_models
from sprint_platform.orchestration.eventlog_models import eventlog_environment, eventlog_translator
from sprint_platform.orchestration.runs import selection_for
from sprint_platform.places import project_root
from sprint_platform.publish.marts import publish_views
from sprint_platform.simulation.world import World
from sprint_platform.title import Title
from sprint_platform_tests.small_titles import small_title

NOTEBOOKS = {path.stem: path for path in (project_root() / "notebooks").glob("*.ipynb")}
# the cells that draw something, by notebook
CHARTS = {
    "eventlog": {"who", "when", "days", "retention", "chapters", "difficulty"},
    "analysis": {
        *("active", "days", "online", "retention", "churn", "revenue", "lifetime"),
        *("spenders", "countries", "streaks", "kills", "meetings", "heat"),
    },
    "foresight": {"labels", "ceiling", "calibration", "why"},
    "player_paths": {"session", "distances", "replay", "animation", "movement", "where"},
}
TITLES_OWN = ("analysis", "player_paths")
PICTURES = {"image/png", "image/gif"}
# what is committed of a notebook is at most so many bytes
LARGEST = {
    **{"eventlog": 250_000, "analysis": 400_000, "player_paths": 400_000},
    "foresight": 300_000,
}
PLAYERS = 300
# a Sunday and the two weeks after it: only then is it known who of that week is gone
LAUNCH, LAST = date(2025, 1, 5), date(2025, 1, 19)
LATER = date(2025, 2, 10)
# A game of few players, whose teams have conflicts: the committed outputs are of encounters.
SIEGE = small_title(
    "siege",
    80,
    seed=8,
    launch_date=LAUNCH,
    daily_growth=0.05,
    encounters="{distance: 60, gap_seconds: 90, word: conflict}",
)


@dataclass(frozen=True)
class Executed:
    """A notebook after a run: its code cells by id, and the error that stopped it, if one did."""

    cells: dict[str, Any]
    error: CellExecutionError | None

    def text(self, cell: str) -> str:
        """What the cell printed."""
        outputs = self.cells[cell].outputs
        return "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")


def execute(name: str, data_folder: Path, **environment: str) -> Executed:
    """Runs the notebook that is committed, from a folder that is not the project's."""
    notebook = nbformat.read(NOTEBOOKS[name], as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    # no kernel that this machine's user installed: the one of the Python that runs this test
    kernel = AsyncKernelManager(
        kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[])
    )
    folder = data_folder / "jupyter"
    folder.mkdir(parents=True, exist_ok=True)
    others = {"LOAD_BATCH_ID", "SPRINT_TITLE"}
    outside = {name: value for name, value in os.environ.items() if name not in others}
    variables = {
        **outside,
        "SPRINT_DATA_DIR": str(data_folder),
        # nor what this user runs at a kernel's start
        "IPYTHONDIR": str(folder / "ipython"),
        **environment,
    }
    client = NotebookClient(
        notebook, km=kernel, timeout=120, resources={"metadata": {"path": str(folder)}}
    )
    error = None
    try:
        client.execute(env=variables)
    except CellExecutionError as raised:
        error = raised
    return Executed({c.id: c for c in notebook.cells if c.cell_type == "code"}, error)


@pytest.fixture(scope="module")
def batch_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a small batch, loaded, modelled and published."""
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(folder))
        files = write_batch(BatchSettings(players=PLAYERS), eventlog_dir())
        with open_duckdb("the notebook's test") as target:
            load(target, {name: file.path for name, file in files.items()}, Mode.RECREATE)
        built = build_models(eventlog_translator(), eventlog_environment([], None))
        assert built.failure is None
    return folder


@pytest.fixture(scope="module")
def executed(batch_folder: Path) -> Executed:
    return execute("eventlog", batch_folder)


def all_ran(executed: Executed) -> set[str]:
    """The cells that drew something, once every cell has run without a warning."""
    assert executed.error is None
    counts = [cell.execution_count for cell in executed.cells.values()]
    assert counts == list(range(1, len(counts) + 1))
    outputs = [(name, o) for name, cell in executed.cells.items() for o in cell.outputs]
    assert [o.text for _, o in outputs if o.output_type == "stream" and o.name == "stderr"] == []
    return {name for name, o in outputs if PICTURES.intersection(o.get("data", {}))}


def test_every_cell_runs_and_every_chart_is_drawn(executed: Executed) -> None:
    assert all_ran(executed) == CHARTS["eventlog"]


def test_what_it_says_is_what_the_raw_tables_hold(batch_folder: Path, executed: Executed) -> None:
    with duckdb.connect(str(batch_folder / "sprint.duckdb"), read_only=True) as con:
        con.execute("use eventlog_raw")

        def row(sql: str) -> tuple[Any, ...]:
            found = con.execute(sql).fetchone()
            assert found is not None
            return found

        sessions, hours = row(
            "select count(*), sum(epoch(session_end::timestamp - session_start::timestamp)) / 3600"
            " from raw_sessions"
        )
        (events,) = row("select count(*) from raw_game_events")
        country, players = row(
            "select upper(country), count(*) from raw_players group by 1 order by 2 desc, 1 limit 1"
        )
        hour, in_hour = row(
            "select substr(session_start, 12, 2)::integer, count(*) from raw_sessions group by 1"
            " order by 2 desc, 1 limit 1"
        )
        day, active, new = row(
            "select session_start::date, count(*),"
            " count(*) filter (substr(first_seen_at, 1, 10) = substr(session_start, 1, 10))"
            " from raw_sessions join raw_players using (player_id) group by 1"
            " order by 2 desc, 1 limit 1"
        )
        returned, of = row(
            "with days as (select player_id, session_start::date as day,"
            "   min(day) over (partition by player_id) as first_day, max(day) over () as last_day"
            "   from raw_sessions)"
            " select count(distinct player_id) filter (day = first_day + 7),"
            " count(distinct player_id) from days where first_day + 7 <= last_day"
        )
        chapter, stopped, started = row(
            "with starts as (select player_id, event_time, (properties->>'chapter')::int as chapter"
            "   from raw_game_events where event_name = 'chapter_started'"
            "   and (properties->>'playthrough') = '1'),"
            " started as (select chapter, count(distinct player_id) as players from starts"
            "   group by chapter),"
            " last_starts as (select arg_max(chapter, event_time) as chapter from starts"
            "   group by player_id),"
            " stopped as (select chapter, count(*) as players from last_starts group by chapter)"
            " select chapter, stopped.players, started.players"
            " from started join stopped using (chapter)"
            " where chapter < (select max(chapter) from started)"
            " order by stopped.players / started.players desc, chapter limit 1"
        )
    assert executed.text("headline") == (
        "batch 1, 2011-01-13 to 2011-02-12\n"
        f"{PLAYERS} players, {sessions:,} sessions\n"
        f"{events:,} events in {hours:,.0f} hours of play\n"
    )
    assert f"by country: {country}, {players / PLAYERS:.1%}\n" in executed.text("who")
    assert f"busiest hour: {hour}:00 UTC, {in_hour} sessions\n" in executed.text("when")
    assert executed.text("days") == f"fullest day: {day}, {active} players, {new} of them new\n"
    assert f"D7: {returned / of:.1%} ({returned} of {of})\n" in executed.text("retention")
    printed = executed.text("chapters")
    assert re.match(rf"chapter {chapter}, .*: {stopped} of {started} went no further", printed)


@pytest.mark.parametrize(
    ("prepared", "environment", "line"),
    [
        ("nothing", {}, "There is no .*sprint.duckdb: run `sprint eventlog generate --batch 1`"),
        ("a title", {}, ".*sprint.duckdb holds no event log: run `sprint eventlog generate"),
        (
            "batch 1",
            {"LOAD_BATCH_ID": "7"},
            "Batch 7 is not published, only 1: run `sprint eventlog generate --batch 7`",
        ),
    ],
    ids=["nothing published", "only a title published", "another batch published"],
)
def test_without_the_batch_it_stops_with_one_line_that_says_what_to_run(
    prepared: str,
    environment: dict[str, str],
    line: str,
    tmp_path: Path,
    batch_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "data"
    if prepared == "batch 1":
        shutil.copytree(batch_folder / "published", folder / "published")
    elif prepared == "a title":
        monkeypatch.setenv("SPRINT_DATA_DIR", str(folder))
        publish_views()
    stopped = execute("eventlog", folder, **environment)
    assert stopped.error is not None
    [output] = stopped.cells["setup"].outputs
    assert output.output_type == "error"
    [shown] = output.traceback
    assert re.match(line, shown)
    assert "sprint eventlog build" in shown
    assert "\n" not in shown
    assert stopped.cells["headline"].execution_count is None


# --- the notebook that makes its own game --------------------------------------------------------


def test_what_players_do_next_is_learned_in_a_folder_of_its_own(tmp_path: Path) -> None:
    executed = execute("foresight", tmp_path)
    assert all_ran(executed) == CHARTS["foresight"]
    # nothing of it is in the reader's data folder but what the kernel needs
    assert {path.name for path in tmp_path.iterdir()} == {"jupyter"}
    shares = re.findall(r"(\w+): (\d+)% of what is attainable", executed.text("ceiling"))
    assert [label for label, _ in shares] == ["left_in_14_days", "bought_in_14_days"]
    assert all(0 < int(share) < 100 for _, share in shares)
    assert "is served" in executed.text("train")
    # the same game as in what is committed; figures of a fit may differ in the last digit
    shown = committed("foresight").text("setup")
    assert executed.text("setup") == shown


# --- a title's notebooks -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def siege_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder in which the graph built the game; its title is known meanwhile."""
    folder = tmp_path_factory.mktemp("siege")
    (folder / "titles").mkdir()
    (folder / "titles" / "siege.yaml").write_text(SIEGE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(folder))
        patch.setenv("SPRINT_TITLES_DIR", str(folder / "titles"))
        run_siege(LAUNCH, LAST)
        yield folder


def run_siege(first: date, last: date) -> None:
    """A run of the whole graph over these days, without a history, which would take longer."""
    definitions = build_definitions([Title.load("siege")])
    dg.materialize(
        [a for a in definitions.assets or [] if isinstance(a, dg.AssetsDefinition)],
        selection=selection_for("siege", "all"),
        resources=definitions.resources,
        tags={
            ASSET_PARTITION_RANGE_START_TAG: first.isoformat(),
            ASSET_PARTITION_RANGE_END_TAG: last.isoformat(),
        },
    )


@pytest.fixture(scope="module")
def holed_folder(siege_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same, and a day three weeks later: as if a schedule had been turned on after a demo."""
    folder = tmp_path_factory.mktemp("holed") / "data"
    shutil.copytree(siege_folder, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(folder))
        run_siege(LATER, LATER)
        yield folder


@pytest.fixture(scope="module")
def of_siege(siege_folder: Path) -> dict[str, Executed]:
    return {name: execute(name, siege_folder, SPRINT_TITLE="siege") for name in TITLES_OWN}


@pytest.mark.parametrize("name", TITLES_OWN)
def test_every_cell_runs_for_a_title(of_siege: dict[str, Executed], name: str) -> None:
    assert all_ran(of_siege[name]) == CHARTS[name]
    shown = sum(len(json.dumps(o)) for cell in of_siege[name].cells.values() for o in cell.outputs)
    assert shown < LARGEST[name]


def test_what_the_analysis_says_is_what_the_records_hold(
    siege_folder: Path, of_siege: dict[str, Executed]
) -> None:
    with duckdb.connect(str(siege_folder / "sprint.duckdb"), read_only=True) as con:
        con.execute("set search_path = 'siege_raw,siege_dim,siege_stage'")

        def row(sql: str) -> tuple[Any, ...]:
            found = con.execute(sql, {"last": LAST} if "$last" in sql else None).fetchone()
            assert found is not None
            return found

        players, sessions, hours = row(
            "select count(distinct player_id), count(*), sum(event_length_seconds) / 3600"
            " from event_session"
        )
        purchases, revenue, payer_days = row(
            "select count(*), sum(purchase_price), count(distinct (player_id, event_date))"
            " from event_transaction"
        )
        dau, wau, mau, player_days = row(
            "select count(distinct player_id) filter (event_date = $last),"
            " count(distinct player_id) filter (event_date > $last - 7),"
            " count(distinct player_id), count(distinct (player_id, event_date))"
            " from event_session"
        )
        fullest, players_then = row(
            "select event_date, count(distinct player_id) from event_session group by 1"
            " order by 2 desc, 1 limit 1"
        )
        back, of = row(
            "select count(distinct player_id) filter (event_date = signup_date + 7),"
            " count(distinct player_id)"
            " from dim_players left join event_session using (player_id)"
            " where signup_date + 7 <= $last"
        )
        (spent,) = row(
            "select sum(purchase_price) from event_transaction"
            " inner join dim_players using (player_id)"
            " where signup_date + 7 <= $last and event_date <= signup_date + 7"
        )
        weeks, gone = row(
            "with first_week as (select distinct player_id from event_session"
            "   where event_date = $last - 14)"
            " select count(*), count(*) filter (player_id not in"
            "   (select player_id from event_session where event_date > $last - 14))"
            " from first_week"
        )
        country, country_hours = row(
            "select country, sum(event_length_seconds) / 3600 from event_session group by 1"
            " order by 2 desc limit 1"
        )
        longest, a_week = row(
            "with days as (select distinct player_id, event_date from event_session),"
            " runs as (select player_id, event_date - row_number() over"
            "   (partition by player_id order by event_date)::integer as run from days),"
            " lengths as (select player_id, max(days) as days from"
            "   (select player_id, run, count(*) as days from runs group by all) group by 1)"
            " select max(days), count(*) filter (days >= 7) from lengths"
        )
        middle, winners = row(
            "with ratios as (select sum(kills) / sum(deaths) as ratio from event_session"
            "   group by player_id having sum(deaths) > 0)"
            " select median(ratio), avg((ratio > 1)::integer) from ratios"
        )
        conflicts, seconds, matches = row(
            "select count(*), avg(epoch(encounter_end - encounter_start)),"
            " (select count(distinct session_id) from event_session) from stage_conflicts"
        )
        (positions,) = row("select count(*) from siege_raw.event_heartbeat")
    analysis = of_siege["analysis"]
    assert analysis.text("headline") == (
        f"siege, {LAUNCH} to {LAST} (15 days)\n"
        f"{players:,} players in {sessions:,} sessions\n"
        f"{hours:,.0f} hours of play\n"
        f"{purchases:,} purchases for {revenue:,.2f}\n"
    )
    assert analysis.text("active") == (
        f"{LAST}: {dau:,} players, {wau:,} in 7 days, {mau:,} in 28, stickiness {dau / mau:.1%}\n"
    )
    assert analysis.text("days").startswith(f"fullest day: {fullest}, {players_then:,} players;")
    assert f"D7: {back / of:.1%} ({back:,} of {of:,})\n" in analysis.text("retention")
    assert f"({gone:,} of {weeks:,} players' weeks)\n" in analysis.text("churn")
    assert analysis.text("revenue") == (
        f"a player's day brings {revenue / player_days:.2f}, a payer's {revenue / payer_days:.2f};"
        f" {payer_days / player_days:.1%} of them buy\n"
    )
    assert f"D7: {spent / of:.2f} per player ({of:,} players)\n" in analysis.text("lifetime")
    assert analysis.text("countries").startswith(
        f"most played in {country}: {country_hours:,.0f} hours, {country_hours / hours:.1%} of all"
    )
    assert analysis.text("streaks") == (
        f"longest streak: {longest} days; seven or more: {a_week:,} of {players:,} players\n"
    )
    assert analysis.text("kills") == (
        f"kills per death: {middle:.2f} in the middle of the players,"
        f" more than 1 for {winners:.1%} of them\n"
    )
    assert analysis.text("meetings") == (
        f"{conflicts:,} conflicts in {matches:,} sessions, {conflicts / matches:.2f} each,"
        f" {seconds:.0f} s long\n"
    )
    assert analysis.text("heat").endswith(f" of {positions:,} positions\n")


def test_the_paths_are_those_of_the_session_and_its_conflicts_are_found(
    siege_folder: Path, of_siege: dict[str, Executed]
) -> None:
    with duckdb.connect(str(siege_folder / "sprint.duckdb"), read_only=True) as con:
        con.execute("set search_path = 'siege_raw,siege_stage'")

        def row(sql: str, **parameters: object) -> tuple[Any, ...]:
            found = con.execute(sql, parameters).fetchone()
            assert found is not None
            return found

        players, sessions, positions = row(
            "select count(distinct player_id), count(distinct session_id), count(*)"
            " from siege_raw.event_heartbeat where event_date = $last",
            last=LAST,
        )
        (of_the_day,) = row(
            "select count(*) from stage_conflicts where event_date = $last", last=LAST
        )
        session, conflicts = row(
            "select session_id, count(*) from stage_conflicts where event_date = $last"
            " group by 1 order by 2 desc, 1 limit 1",
            last=LAST,
        )
        members, teams, minutes = row(
            "select count(distinct player_id), count(distinct team_id),"
            " (epoch(max(event_datetime) - min(event_datetime)) + 30) / 60"
            " from siege_raw.event_heartbeat where session_id = $session",
            session=session,
        )
        one, two, close_minutes, nearest = row(
            "select team_1_id, team_2_id, sum(close_heartbeats) / 2, min(min_distance)"
            " from stage_conflicts where session_id = $session"
            " group by 1, 2 order by 3 desc, 4 limit 1",
            session=session,
        )
        (close_in_the_end,) = row(
            "select count(*) from stage_conflicts where session_id = $session and encounter_end ="
            " (select max(event_datetime) + interval 30 second from stage_centroids"
            " where session_id = $session)",
            session=session,
        )
    paths = of_siege["player_paths"]
    assert paths.text("day") == (
        f"siege, {LAST}\n"
        f"{players:,} players in {sessions:,} sessions\n"
        f"{positions:,} positions, one every 30 s\n"
        f"{of_the_day:,} conflicts\n"
    )
    assert paths.text("session") == (
        f"session {session}: {minutes:g} minutes\n"
        f"{members} players in {teams} teams, {conflicts} conflicts\n"
    )
    assert paths.text("distances") == (
        f"teams {one} and {two} are close for {close_minutes:g} minutes,"
        f" at the nearest {nearest:.1f} units apart\n"
    )
    assert paths.text("replay").endswith(f", {close_in_the_end} at minute {minutes - 0.5:.1f}\n")


@pytest.mark.parametrize("name", TITLES_OWN)
def test_every_cell_runs_over_a_hole(holed_folder: Path, name: str) -> None:
    executed = execute(name, holed_folder, SPRINT_TITLE="siege")
    assert all_ran(executed)
    if name == "analysis":
        assert executed.text("headline").startswith(f"siege, {LAUNCH} to {LATER} (16 of 37 days)\n")
        # what looks back over the hole is not known
        assert executed.text("active").endswith(
            " players, an unknown number in 7 days, an unknown number in 28\n"
        )
    else:
        assert executed.text("day").startswith(f"siege, {LATER}\n")


@pytest.mark.parametrize(
    ("name", "title", "published", "line"),
    [
        (
            "analysis",
            "sprint",
            False,
            "There is no .*sprint.duckdb: run `sprint run --title sprint`",
        ),
        ("player_paths", "leap", True, ".* holds no leap_mart.session_close_conflicts_daily: run"),
        ("player_paths", "spritn", True, "unknown title 'spritn': "),
    ],
    ids=["nothing published", "another title published", "no such title"],
)
def test_without_the_title_it_stops_with_one_line(
    name: str, title: str, published: bool, line: str, tmp_path: Path, siege_folder: Path
) -> None:
    folder = siege_folder if published else tmp_path
    stopped = execute(name, folder, SPRINT_TITLE=title)
    assert stopped.error is not None
    [output] = stopped.cells["setup"].outputs
    assert output.output_type == "error"
    [shown] = output.traceback
    assert re.match(line, shown)
    assert "\n" not in shown


# --- what is committed ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(NOTEBOOKS))
def test_the_committed_outputs_are_small_and_of_nobodys_machine(name: str) -> None:
    assert NOTEBOOKS[name].stat().st_size < LARGEST[name]
    notebook = nbformat.read(NOTEBOOKS[name], as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        assert cell.metadata == {}, "when it ran, for example"
        for output in cell.outputs:
            assert output.output_type != "error"
            # base64 may hold anything
            for picture in PICTURES:
                output.get("data", {}).pop(picture, None)
    text = json.dumps(notebook)
    assert str(project_root()) not in text
    assert not re.search(r"/(home|Users|root|tmp|private|var)/|[A-Z]:\\\\", text)


def committed(name: str) -> Executed:
    notebook = nbformat.read(NOTEBOOKS[name], as_version=4)
    return Executed({c.id: c for c in notebook.cells if c.cell_type == "code"}, None)


def test_the_committed_outputs_are_of_the_default_batch() -> None:
    shown = committed("eventlog")
    settings = BatchSettings()
    players, sessions, events = (
        sum(frame.height for frame in batch_rows(settings, table)) for table in RAW_TABLES
    )
    assert settings.start == date(2011, 1, 13)
    expected = f"{players:,} players, {sessions:,} sessions\n{events:,} events in"
    assert expected in shown.text("headline"), "execute the notebook again, on batch 1"


def test_the_committed_outputs_are_of_the_title_as_it_is(sprint: World) -> None:
    """Of the 90 days that the notebooks' own words name."""
    days = [sprint.title.launch_date + timedelta(days=n) for n in range(90)]
    sessions = sum(table.num_rows for day in days for table in sprint.sessions(day))
    positions = sum(table.num_rows for table in sprint.heartbeats(days[-1]))
    redo = f"execute the notebook again, after: sprint run --from {days[0]} --to {days[-1]}"
    headline = committed("analysis").text("headline")
    assert f"sprint, {days[0]} to {days[-1]} (90 days)\n" in headline, redo
    assert f"players in {sessions:,} sessions\n" in headline, redo
    printed = committed("player_paths").text("day")
    assert printed.startswith(f"sprint, {days[-1]}\n"), redo
    assert f"{positions:,} positions, one every 30 s\n" in printed, redo
