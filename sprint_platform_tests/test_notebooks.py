"""The notebook as people run it: in a kernel of this Python, against a small batch dbt built."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from sprint_platform.eventlog.contracts import RAW_TABLES
from sprint_platform.eventlog.duckdb_target import open_duckdb
from sprint_platform.eventlog.files import eventlog_dir, write_batch
from sprint_platform.eventlog.generation.batch import batch_rows
from sprint_platform.eventlog.load import Mode, load
from sprint_platform.eventlog.settings import BatchSettings
from sprint_platform.orchestration.domain_build import build_models
from sprint_platform.orchestration.eventlog_dbt import SCHEMAS, eventlog_environment, publish
from sprint_platform.places import project_root
from sprint_platform.warehouse.publish import publish_views

NOTEBOOK = project_root() / "notebooks" / "eventlog.ipynb"
CHARTS = {"who", "when", "days", "retention", "chapters", "difficulty"}
PLAYERS = 300


@dataclass(frozen=True)
class Executed:
    """A notebook after a run: its code cells by id, and the error that stopped it, if one did."""

    cells: dict[str, Any]
    error: CellExecutionError | None

    def text(self, cell: str) -> str:
        """What the cell printed."""
        outputs = self.cells[cell].outputs
        return "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")


def execute(data_folder: Path, **environment: str) -> Executed:
    """Runs the notebook that is committed, from a folder that is not the project's."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    # no kernel that this machine's user installed: the one of the Python that runs this test
    kernel = AsyncKernelManager(
        kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[])
    )
    folder = data_folder / "jupyter"
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name != "LOAD_BATCH_ID"}
    told = {
        **kept,
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
        client.execute(env=told)
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
        built = build_models(
            "eventlog",
            eventlog_environment([], None),
            SCHEMAS,
            lambda con, built: publish(con, built, []),
        )
        assert built.failure is None
    return folder


@pytest.fixture(scope="module")
def executed(batch_folder: Path) -> Executed:
    return execute(batch_folder)


def test_every_cell_runs_and_every_chart_is_drawn(executed: Executed) -> None:
    assert executed.error is None
    counts = [cell.execution_count for cell in executed.cells.values()]
    assert counts == list(range(1, len(counts) + 1))
    outputs = [(name, o) for name, cell in executed.cells.items() for o in cell.outputs]
    assert {name for name, o in outputs if "image/png" in o.get("data", {})} == CHARTS
    assert [o.text for _, o in outputs if o.output_type == "stream" and o.name == "stderr"] == []


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
    told = executed.text("chapters")
    assert re.match(rf"chapter {chapter}, .*: {stopped} of {started} went no further", told)


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
    stopped = execute(folder, **environment)
    assert stopped.error is not None
    [output] = stopped.cells["setup"].outputs
    assert output.output_type == "error"
    [shown] = output.traceback
    assert re.match(line, shown)
    assert "sprint eventlog build" in shown
    assert "\n" not in shown
    assert stopped.cells["headline"].execution_count is None


def test_the_committed_outputs_are_small_and_of_nobodys_machine() -> None:
    assert NOTEBOOK.stat().st_size < 250_000
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        assert cell.metadata == {}, "when it ran, for example"
        for output in cell.outputs:
            assert output.output_type != "error"
            # base64 may hold anything
            output.get("data", {}).pop("image/png", None)
    told = json.dumps(notebook)
    assert str(project_root()) not in told
    assert not re.search(r"/(home|Users|root|tmp|private|var)/|[A-Z]:\\\\", told)


def test_the_committed_outputs_are_of_the_default_batch() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    shown = Executed({c.id: c for c in notebook.cells if c.cell_type == "code"}, None)
    settings = BatchSettings()
    players, sessions, events = (
        sum(frame.height for frame in batch_rows(settings, table)) for table in RAW_TABLES
    )
    assert settings.start == date(2011, 1, 13)
    expected = f"{players:,} players, {sessions:,} sessions\n{events:,} events in"
    assert expected in shown.text("headline"), "execute the notebook again, on batch 1"
