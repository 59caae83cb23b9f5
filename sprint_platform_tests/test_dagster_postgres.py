"""Dagster's history in PostgreSQL, by the setting that names it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.test_utils import create_run_for_test
from dagster._grpc.server import GrpcServerProcess

from sprint_platform import cli
from sprint_platform_tests.postgres_server import serve


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serve() as url:
        yield url


@pytest.fixture(autouse=True)
def prepared(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = dict(os.environ)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "one"))
    monkeypatch.setenv("SPRINT_DAGSTER_POSTGRES_URL", server)
    try:
        cli.prepare_environment()
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_every_home_has_the_history_that_one_setting_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dg.asset
    def made() -> None:
        """An asset of nothing."""

    with dg.DagsterInstance.get() as instance:
        assert dg.materialize([made], instance=instance).success
    # another machine's: a home of its own, and nothing else in common
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "elsewhere"))
    cli.prepare_environment()
    with dg.DagsterInstance.get() as instance:
        assert instance.get_latest_materialization_event(made.key) is not None
    assert not list(tmp_path.glob("**/*.db"))


def test_a_run_has_ended_where_its_code_server_does_not_know_it() -> None:
    with dg.DagsterInstance.get() as instance:

        def status(code_server: dict[str, object] | None) -> WorkerStatus:
            tags = {GRPC_INFO_TAG: json.dumps(code_server)} if code_server else {}
            run = create_run_for_test(instance, tags=tags, status=dg.DagsterRunStatus.STARTED)
            return instance.run_launcher.check_run_worker_health(run).status

        assert instance.run_launcher.supports_check_run_worker_health
        with GrpcServerProcess(instance_ref=None, force_port=True, wait_on_exit=True) as started:
            asked = {"host": "127.0.0.1", "port": started.port}
            assert status(asked) is WorkerStatus.NOT_FOUND
        # a server that does not answer may know it yet
        assert status(asked) is WorkerStatus.RUNNING
        # those of `sprint ui` forget runs that go on, when their code is reloaded
        assert status({"host": "localhost", "socket": "/not/there"}) is WorkerStatus.RUNNING
        assert status(None) is WorkerStatus.RUNNING
