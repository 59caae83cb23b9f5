"""Dagster's history in PostgreSQL, by the setting that names it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from sprint_platform import cli
from sprint_platform_tests.postgres_server import serve


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serve() as url:
        yield url


def test_every_home_has_the_history_that_one_setting_names(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dg.asset
    def made() -> None:
        """An asset of nothing."""

    before = dict(os.environ)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "one"))
    monkeypatch.setenv("SPRINT_DAGSTER_POSTGRES_URL", server)
    try:
        cli.prepare_environment()
        with dg.DagsterInstance.get() as instance:
            assert dg.materialize([made], instance=instance).success
        # another machine's: a home of its own, and nothing else in common
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "elsewhere"))
        cli.prepare_environment()
        with dg.DagsterInstance.get() as instance:
            assert instance.get_latest_materialization_event(made.key) is not None
        assert not list(tmp_path.glob("**/*.db"))
    finally:
        os.environ.clear()
        os.environ.update(before)
