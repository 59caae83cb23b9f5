"""Running dbt in this process: the environment, the arguments, one invocation, its events.

The dbt command would cost its imports again, and dagster-dbt's CLI resource two dbt commands.
dbt itself is imported late, by whoever runs it.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import duckdb

from sprint_platform.core.errors import one_line
from sprint_platform.core.settings import settings, variable
from sprint_platform.core.signals import when_stopped
from sprint_platform.core.window import Window
from sprint_platform.engines.duckdb_file import connect, memory_limit, remedy
from sprint_platform.places import (
    data_dir,
    dbt_project_dir,
    dbt_target_dir,
    duckdb_temp_dir,
    spark_warehouse_dir,
)
from sprint_platform.title import Title

if TYPE_CHECKING:
    from dbt.artifacts.schemas.results import NodeResult
    from dbt.cli.main import dbtRunnerResult
    from dbt_common.events.base_types import EventMsg

# More failures than these are only counted.
FAILURES_SHOWN = 5
# What a failure shows of the rows that a test found: some three keys.
LETTERS_OF_ROWS = 300
RESULT_EVENTS = {"LogModelResult", "LogSeedResult", "LogTestResult"}
# The levels of dbt's events and logs, and the events that go to every log.
LEVELS = ("debug", "test", "info", "warn", "error")
PRINTED = {"PrintEvent", "ShowNode", "CompiledNode"}
# The variables that limit a dbt run to one title and window, or to some batches.
RUN_VARIABLES = {
    "SPRINT_TITLE",
    "SPRINT_WORD",
    "SPRINT_ENCOUNTER_DISTANCE",
    "SPRINT_ENCOUNTER_GAP_SECONDS",
    "SPRINT_HEARTBEAT_SECONDS",
    "SPRINT_SECONDS_TYPE",
    "SPRINT_MAP_CELL",
    "SPRINT_SOURCE",
    "SPRINT_LAUNCH_DATE",
    "SPRINT_WINDOW_START",
    "SPRINT_WINDOW_END",
    "SPRINT_BATCHES",
    "SPRINT_AS_OF",
    "SPRINT_STORE_TITLE",
    "SPRINT_DEFINITIONS",
    # which engine builds is for the platform to say
    "DBT_TARGET",
}


# Of beats of whole seconds, and of beats that are a fraction of one.
SECONDS_TYPES = ("bigint", "decimal(18,6)")


def project_environment() -> dict[str, str]:
    """The folder of dbt's profile, and every setting that the profile reads for DuckDB: dbt can
    open a file that this process has open only with the same settings."""
    return {
        "DBT_PROFILES_DIR": str(dbt_project_dir()),
        # where a project from outside finds ours
        "SPRINT_DBT_MACROS": str(dbt_project_dir() / "macros"),
        variable("data_dir"): str(data_dir()),
        variable("duckdb_memory"): memory_limit(),
        variable("duckdb_temp"): str(duckdb_temp_dir()),
    }


def seconds_type(title: Title) -> str:
    """The SQL type of the marts' sums of seconds, one of ``SECONDS_TYPES``: of whole beats they are
    whole."""
    whole, fraction = SECONDS_TYPES
    return whole if isinstance(title.heartbeat_seconds, int) else fraction


def dbt_environment(title: Title, window: Window | None) -> dict[str, str]:
    """The environment of a dbt run for the title; without a window it covers everything."""
    environment = {
        **project_environment(),
        "SPRINT_TITLE": title.name,
        "SPRINT_WORD": title.encounters.word,
        "SPRINT_ENCOUNTER_DISTANCE": f"{title.encounters.distance:.12g}",
        "SPRINT_ENCOUNTER_GAP_SECONDS": str(title.encounters.gap_seconds),
        "SPRINT_HEARTBEAT_SECONDS": str(title.heartbeat_seconds),
        "SPRINT_SECONDS_TYPE": seconds_type(title),
        "SPRINT_MAP_CELL": f"{title.grid.map_cell:.12g}",
        "SPRINT_SOURCE": "landing" if title.lands else "simulated",
        "SPRINT_LAUNCH_DATE": title.launch_date.isoformat(),
    }
    return {**environment, **window_environment(window)}


def spark_environment() -> dict[str, str]:
    """The variables that send a title's dbt run to Spark, whose session is open in this process."""
    return {
        "DBT_TARGET": "spark",
        variable("spark_warehouse"): str(spark_warehouse_dir()),
        variable("spark_threads"): str(settings().spark_threads),
    }


def window_environment(window: Window | None) -> dict[str, str]:
    """The variables that limit a dbt run to these days; without a window it covers everything."""
    if window is None:
        return {}
    return {
        "SPRINT_WINDOW_START": window.start.isoformat(),
        "SPRINT_WINDOW_END": window.end.isoformat(),
    }


def batches_environment(batches: Collection[int]) -> dict[str, str]:
    """The variables that limit a dbt run to these batches; without any it covers everything."""
    if not batches:
        return {}
    return {"SPRINT_BATCHES": ",".join(str(batch) for batch in sorted(set(batches)))}


def title_schemas(title: str) -> set[str]:
    """The schemas that a title's models may be built in."""
    return {f"{title}_{part}" for part in ("raw", "dim", "stage", "mart")}


def build_arguments(
    name: str,
    manifest: Mapping[str, Any],
    nodes: Iterable[Mapping[str, Any]],
    project: Path | None = None,
) -> list[str]:
    """The arguments of ``dbt build`` for exactly these nodes of the manifest, models and tests.
    ``name`` is the title's, or the domain's; ``project`` its dbt project where that is not ours.

    Every node is named: dbt's own ways to pick tests for models either leave the sources' tests out
    or take those of assets that were not selected.
    """
    return [
        "build",
        *project_arguments(name, project),
        # a file log of every query and artifacts that nobody reads cost a tenth of a small run
        *("--log-level-file", "info"),
        "--no-write-json",
        "--no-use-colors",
        *("--indirect-selection", "empty"),
        # folders also hold nodes that are not built
        *("--exclude-resource-type", "unit_test", "exposure"),
        "--select",
        *sorted("fqn:" + ".".join(name) for name in _shortest_names(manifest, nodes)),
    ]


def _shortest_names(
    manifest: Mapping[str, Any], nodes: Iterable[Mapping[str, Any]]
) -> set[tuple[str, ...]]:
    """The names of the folders of which every node is asked for, and of the asked nodes elsewhere.

    dbt looks at all nodes for each name: naming the 80 nodes of a title's day one by one took half
    a second.
    """
    asked = {tuple(node["fqn"]) for node in nodes}
    others = {tuple(node["fqn"]) for node in manifest["nodes"].values()} - asked
    # a project's name alone would also select any model of that name
    others_folders = {name[:depth] for name in others for depth in range(2, len(name))}
    shortest = set()
    for name in asked:
        folders = (name[:depth] for depth in range(2, len(name)))
        shortest.add(next((f for f in folders if f not in others_folders), name))
    return shortest


def project_arguments(name: str, project: Path | None = None) -> list[str]:
    """The arguments for the project's folder and for the folder of what dbt parsed, one for each
    title and domain."""
    target = dbt_target_dir(name)
    return [
        *("--project-dir", str(project or dbt_project_dir())),
        *("--target-path", str(target)),
        *("--log-path", str(target / "logs")),
    ]


class WrongRows:
    """Examples of the rows that failed tests found: the lines of macros/test_materialization.sql,
    taken from dbt's events."""

    def __init__(self) -> None:
        self._rows: dict[str, list[str]] = {}

    def note(self, event: EventMsg) -> None:
        """Takes the row of the event, where it has one: `<test> (1 of 3): <row>`."""
        if event.info.name == "JinjaLogInfo":
            row = event.data.msg.partition(": ")[2]
            self._rows.setdefault(event.data.node_info.unique_id, []).append(row)

    def of(self, test: str) -> str:
        """The rows of the test of that unique id, one after the other; '' where it found none."""
        return "; ".join(self._rows.get(test, []))


def dbt_result(
    arguments: list[str],
    environment: Mapping[str, str],
    callbacks: list[Callable[[EventMsg], None]] | None = None,
    wrong_rows: WrongRows | None = None,
) -> dbtRunnerResult:
    """Runs dbt. The message of a failed test ends with examples of its rows, which ``wrong_rows``
    has whole. dbt's database connections are closed afterwards: they would keep the file locked."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    wrong_rows = wrong_rows or WrongRows()
    with _environment(environment), _silent_logging_errors():
        try:
            # never with manifest=: names would be those of the title it was parsed for
            listeners = [_only_lines_for_a_log, wrong_rows.note, *(callbacks or [])]
            result = dbtRunner(callbacks=listeners).invoke(arguments)
        finally:
            DuckDBConnectionManager.close_all_connections()
    # in the main thread dbt cancels its queries, and reports the signal like any other failure
    if isinstance(result.exception, (KeyboardInterrupt, SystemExit)):
        raise result.exception
    for each in node_results(result):
        if rows := wrong_rows.of(each.node.unique_id):
            # between words: of half an id `sprint forget` would find nothing to take away
            each.message = f"{each.message}: {shorten(rows, LETTERS_OF_ROWS, placeholder=' …')}"
    return result


def dbt_result_in_duckdb(
    arguments: list[str],
    environment: Mapping[str, str],
    callbacks: list[Callable[[EventMsg], None]] | None = None,
) -> dbtRunnerResult:
    """Runs dbt in the DuckDB file; the caller holds the lease.

    A connection beside dbt's own opens the file first: dbt would fail where another program has it
    open, so this waits for that program, which then cannot come in between. Raises LockError where
    it does not let go.
    """
    with connect():
        return dbt_result(arguments, environment, callbacks)


def dbt_events(
    arguments: list[str],
    environment: Mapping[str, str],
    at_once: Callable[[dict[str, Any]], None] | None = None,
) -> Generator[dict[str, Any], None, dbtRunnerResult]:
    """Runs dbt in the DuckDB file, and yields every model's and test's result as it comes, with
    examples of the rows that a failed test found as ``wrong_rows``; returns dbt's result. The
    caller has the file open, as ``dbt_result_in_duckdb`` has: other programs cannot come in
    between.

    dbt works in a thread of its own, so that its next model runs while Dagster stores the last
    result. When the run is stopped, so is dbt: the models that are being built are rolled back, and
    no other begins. ``at_once`` is called with each result first, in the thread that built it:
    until it returns, dbt has the database open.
    """
    from dbt_common.events.functions import msg_to_dict

    waiting: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    finished: list[dbtRunnerResult] = []
    stopping = threading.Event()
    wrong_rows = WrongRows()

    def on_event(event: EventMsg) -> None:
        if stopping.is_set() and event.info.name in ("LogStartLine", "SQLQuery"):
            raise RuntimeError("the run was stopped")
        if event.info.name in RESULT_EVENTS:
            result = msg_to_dict(event)
            result["wrong_rows"] = wrong_rows.of(result["data"]["node_info"]["unique_id"])
            if at_once:
                at_once(result)
            waiting.put(result)

    def run() -> None:
        try:
            finished.append(dbt_result(arguments, environment, [on_event], wrong_rows))
        finally:
            waiting.put(None)

    def stop() -> None:
        stopping.set()
        _interrupt_queries()

    # the signal may find Dagster storing what the step yielded: it then leaves the step in the
    # middle
    with when_stopped(stop):
        thread = threading.Thread(target=run, name="dbt")
        thread.start()
        try:
            while (event := waiting.get()) is not None:
                yield event
        except BaseException:
            stop()
            raise
        finally:
            thread.join()
    return finished[0]


def _interrupt_queries() -> None:
    from dbt.adapters.base import BaseAdapter
    from dbt.adapters.factory import FACTORY

    for adapter in list(FACTORY.adapters.values()):
        assert isinstance(adapter, BaseAdapter)
        # a connection that was just closed runs nothing
        with suppress(duckdb.ConnectionException):
            adapter.cancel_open_connections()


def _only_lines_for_a_log(_: EventMsg) -> None:
    """Called with dbt's first event, after which each of dbt's logs is given only what its level
    takes.

    dbt itself makes the line of every event, in which it looks for every secret of the environment,
    before it asks for the level: a fifth of a small run.
    """
    from dbt_common.events.event_manager_client import get_event_manager

    for logger in get_event_manager().loggers:
        if not isinstance(logger.filter, _OfLevel):
            logger.filter = _OfLevel(logger.filter, LEVELS.index(logger.level.value))


@dataclass(frozen=True)
class _OfLevel:
    """dbt's own filter of a log, and the log's level, a place in ``LEVELS``."""

    filter: Callable[[EventMsg], bool]
    level: int

    def __call__(self, event: EventMsg) -> bool:
        taken = LEVELS.index(event.info.level) >= self.level or event.info.name in PRINTED
        return taken and self.filter(event)


@contextmanager
def _silent_logging_errors() -> Iterator[None]:
    """Where dbt's log cannot be written, a stack trace for each of its lines would hide
    the line that says why: the disk that is full stops the models, too."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = before


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Sets the process's environment, from which dbt reads its settings, for the time of the
    block."""
    # a title or window exported for dbt's own command line is not this run's, and would freeze its
    # names into the graph's manifest
    names = {*values, *RUN_VARIABLES}
    before = {name: os.environ[name] for name in names if name in os.environ}
    try:
        # no variable may be missing for a moment: another thread would look for the data elsewhere
        os.environ.update(values)
        for name in RUN_VARIABLES - values.keys():
            os.environ.pop(name, None)
        yield
    finally:
        os.environ.update(before)
        for name in names - before.keys():
            os.environ.pop(name, None)


def failure_line(name: str, result: dbtRunnerResult) -> str | None:
    """What went wrong, in one line that names the models and tests; None when nothing did."""
    if result.success:
        return None
    results = node_results(result)
    if result.exception is not None or not results:
        reason = remedy(result.exception) or one_line(result.exception)
        return f"dbt failed for {name}: {reason}"
    failed = [r for r in results if r.status in ("error", "fail", "runtime error")]
    texts = "; ".join(_failure_text(r) for r in failed[:FAILURES_SHOWN])
    more = f"; and {len(failed) - FAILURES_SHOWN} more" if len(failed) > FAILURES_SHOWN else ""
    skipped = sum(r.status == "skipped" for r in results)
    downstream = f" ({skipped} downstream were skipped)" if skipped else ""
    return f"dbt: {len(failed)} of {len(results)} failed for {name}: {texts}{more}{downstream}"


def node_results(result: dbtRunnerResult) -> list[NodeResult]:
    """The results of the models, seeds and tests; none when dbt failed before them."""
    return list(getattr(result.result, "results", []))


def _failure_text(result: NodeResult) -> str:
    kind, name = str(result.node.resource_type), result.node.name
    return f"{kind} {name}: {remedy(result.message) or one_line(result.message)}"


def stray_relations(schemas: Collection[str], result: dbtRunnerResult) -> list[str]:
    """Relations that the run built outside these schemas: names of another title, from an old parse
    that should not have been used."""
    return sorted(
        str(r.node.relation_name)
        for r in node_results(result)
        if r.node.resource_type in ("model", "seed") and r.node.schema not in schemas
    )
