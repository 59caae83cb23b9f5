"""Dagster's history is the same in our storage as in Dagster's own."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sprint_platform.orchestration.event_storage import BATCH_SIZE, EventStorage
from sprint_platform.orchestration.instance import HistoryError, dagster_instance
from sprint_platform.places import dagster_config

OURS = dagster_config().read_text()
DAGSTERS = OURS[: OURS.index("event_log_storage:")]
DAYS = dg.DailyPartitionsDefinition("2025-01-01")


@dg.asset(
    partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=[dg.AssetCheckSpec("whole", asset="days")],
    tags={"of": "test"},
)
def days(context: dg.AssetExecutionContext) -> Iterator[Any]:
    context.log.info("made")
    yield dg.MaterializeResult(metadata={"rows": 3})
    yield dg.AssetCheckResult(passed=False, check_name="whole", severity=dg.AssetCheckSeverity.WARN)


@dg.asset(deps=[days])
def after(context: dg.AssetExecutionContext) -> None:
    context.log_event(dg.AssetObservation("after", metadata={"seen": 1}))
    raise dg.Failure("on purpose")


def history(home: Path, yaml: str, patch: pytest.MonkeyPatch) -> dict[str, list[tuple]]:
    """Runs the assets twice, the first over a range of days, and returns what was stored: the rows
    of each table without what is another one in each run."""
    home.mkdir()
    (home / "dagster.yaml").write_text(yaml)
    patch.setenv("DAGSTER_HOME", str(home))
    tags = {"dagster/asset_partition_range_start": "2025-01-01"}
    tags |= {"dagster/asset_partition_range_end": "2025-01-20"}
    with dg.DagsterInstance.get() as instance:
        dg.materialize([days], instance=instance, tags=tags)
        dg.materialize([after], instance=instance, raise_on_error=False)
        runs = {run.run_id: f"run {n}" for n, run in enumerate(reversed(instance.get_runs()))}
    return {
        f"{runs.get(path.stem, path.stem)} {table}": sorted(map(repr, rows))
        for path in (home / "history" / "runs").glob("*.db")
        for table, rows in tables(path, runs)
    }


def tables(path: Path, runs: dict[str, str]) -> Iterator[tuple[str, list[tuple]]]:
    with sqlite3.connect(path) as con:
        names = con.execute("select name from sqlite_master where type = 'table'").fetchall()
        for (name,) in names:
            columns = [row[1] for row in con.execute(f"pragma table_info({name})")]
            rows = con.execute(f"select * from {name}").fetchall()
            yield name, [tuple(map(known(runs), columns, row)) for row in rows]


def known(runs: dict[str, str]) -> Any:
    def value(column: str, value: Any) -> Any:
        if isinstance(value, str):
            for run, name in runs.items():
                value = value.replace(run, name)
            # moments, durations, processes, and identities of steps and events
            value = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32,64}", "id", value)
            value = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]*", "then", value)
            if value.startswith("{"):
                # as JSON; partitions are in columns, too
                value = re.sub(r"-?\d+(\.\d+)?(e-?\d+)?m?s?", "n", value)
                value = re.sub(r'"log_key": "[a-z]+"|/[^" ]*/', "", value)
        return "id" if column in ("id", "event_id") or column.endswith("storage_id") else value

    return value


def test_both_storages_have_the_same_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(BATCH_SIZE[0], raising=False)
    theirs = history(tmp_path / "theirs", DAGSTERS, monkeypatch)
    batches: list[int] = []
    store = EventStorage.store_event_batch

    def counted(self: EventStorage, events: Sequence[Any]) -> None:
        batches.append(len(events))
        store(self, events)

    monkeypatch.setattr(EventStorage, "store_event_batch", counted)
    ours = history(tmp_path / "ours", OURS, monkeypatch)
    assert ours.keys() == theirs.keys()
    assert len(ours) > 20
    for name in theirs:
        assert ours[name] == theirs[name], name
    # twenty days that were planned, with their check, and made
    assert [size for size in batches if size >= 20] == [21, 20]


def test_whoever_opens_the_instance_batches(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(OURS)
    environment = {name: value for name, value in os.environ.items() if name != BATCH_SIZE[0]}
    code = (
        "import dagster, os;"
        "storage = dagster.DagsterInstance.get().event_log_storage;"
        f"print(type(storage).__name__, os.environ[{BATCH_SIZE[0]!r}])"
    )
    opened = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert opened.stdout.split() == [EventStorage.__name__, BATCH_SIZE[1]]


def test_a_history_that_cannot_be_used_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_text(OURS)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    # nobody can open it as a database
    (tmp_path / "history" / "runs.db").mkdir(parents=True)
    with pytest.raises(HistoryError) as caught, dagster_instance() as instance:
        instance.get_runs()
    assert str(tmp_path) in str(caught.value)
    assert "DAGSTER_HOME" in str(caught.value)
    assert "\n" not in str(caught.value)
