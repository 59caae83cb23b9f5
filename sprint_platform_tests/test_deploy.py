"""The team's server of a project's ``deploy/compose.yaml``, without a container runtime: its very
commands on loopback, with a real PostgreSQL."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml

from sprint_platform.cli.init import write_project
from sprint_platform.core.project import installed_root
from sprint_platform_tests.postgres_server import serve
from sprint_platform_tests.two_engines import Place

T = TypeVar("T")
TITLE, FIRST, LAST = "arcade", date(2025, 1, 1), date(2025, 1, 3)
PASSWORD = "0a1b2c3d"
OURS = ("code-server", "webserver", "daemon", "dashboard")
# a machine that has other work
PATIENCE = 300


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sprint init` makes, of a small game."""
    folder = tmp_path_factory.mktemp("deploy") / "game"
    write_project(folder, TITLE, home=folder / ".dagster")
    path = folder / "titles" / f"{TITLE}.yaml"
    title = yaml.safe_load(path.read_text())
    title["simulation"]["growth"]["active_players"] = 30
    path.write_text(yaml.safe_dump(title))
    # which the image does not have
    (folder / ".env").unlink()
    return folder


def filled_in(text: str, variables: dict[str, str]) -> str:
    """The text with ``${NAME}``, ``${NAME:-otherwise}`` and ``${NAME:?reason}`` filled in, as
    Compose does; a KeyError where one is missing."""

    def value(found: re.Match[str]) -> str:
        name, otherwise = found["name"], found["otherwise"]
        return variables.get(name) or (variables[name] if otherwise is None else otherwise)

    return re.sub(r"\$\{(?P<name>\w+)(:-(?P<otherwise>[^}]*)|:\?[^}]*)?\}", value, text)


def test_the_compose_file_goes_with_what_lies_beside_it(project: Path) -> None:
    text = (project / "deploy" / "compose.yaml").read_text()
    with pytest.raises(KeyError, match="POSTGRES_PASSWORD"):
        filled_in(text, {})
    compose = yaml.safe_load(filled_in(text, {"POSTGRES_PASSWORD": PASSWORD}))
    services = compose["services"]
    assert set(services) == {"postgres", *OURS}
    mounted = [mount.split(":") for service in services.values() for mount in service["volumes"]]
    assert {name for name, *_ in mounted} == set(compose["volumes"])
    # one container writes the data
    assert [mount[2:] for mount in mounted if mount[0] == "data"] == [[], ["ro"]]
    assert all(
        port.startswith("127.0.0.1:")
        for service in services.values()
        for port in service.get("ports", [])
    )
    for name, service in services.items():
        assert service["restart"] == "unless-stopped"
        for other, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            assert "healthcheck" in services[other], f"{name} waits for {other}"
    assert {services[name]["image"] for name in OURS} == {f"sprint-platform:{TITLE}"}
    build = services["code-server"]["build"]
    context = project / "deploy" / build["context"]
    dockerfile = (context / build["dockerfile"]).read_text()
    copied = {source for source, _ in re.findall(r"^COPY (\S+) (\S+)$", dockerfile, re.MULTILINE)}
    # which is the user's to put there
    copied.remove("wheels")
    assert [source for source in copied if not (context / source).exists()] == []
    (location,) = yaml.safe_load((project / "deploy" / "workspace.yaml").read_text())["load_from"]
    host, port = location["grpc_server"]["host"], location["grpc_server"]["port"]
    assert str(port) in services[host]["command"]


@dataclass
class Server:
    """The services of the compose file as processes of this machine."""

    services: dict[str, dict[str, Any]]
    environment: dict[str, str]
    folder: Path
    logs: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Starts the service and what it depends on, and waits until it is healthy."""
        service = self.services[name]
        for other in service["depends_on"]:
            if other not in {"postgres", *self.running}:
                self.start(other)
        environment = self.environment | service["environment"]
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                service["command"],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        kind, *check = service["healthcheck"]["test"]
        assert kind == "CMD"

        def healthy() -> bool | None:
            assert self.running[name].poll() is None, self.log_of(name)
            done = subprocess.run(check, cwd=self.folder, env=environment, capture_output=True)
            return done.returncode == 0 or None

        self.wait_for(healthy, f"{name} to be healthy")

    def kill(self, name: str) -> None:
        """What is left of a container whose first process is killed: nothing."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def wait_for(self, found: Callable[[], T | None], what: str) -> T:
        until = time.monotonic() + PATIENCE
        while (result := found()) is None:
            if time.monotonic() > until:
                logs = "\n".join(self.log_of(name) for name in self.running)
                raise AssertionError(f"waited {PATIENCE} s for {what}\n{logs}")
            time.sleep(0.5)
        return result

    def log_of(self, name: str) -> str:
        return f"{name}: {(self.logs / f'{name}.log').read_text(errors='replace')[-3000:]}"

    def ask(self, query: str, **variables: Any) -> Any:
        """The first field of GraphQL's answer."""
        (port,) = self.services["webserver"]["ports"]
        request = urllib.request.Request(
            f"http://127.0.0.1:{port.split(':')[1]}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            found = json.load(error)
        assert "errors" not in found, found
        (result,) = found["data"].values()
        return result

    def run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask(RUN, id=run_id)
        return found

    def ended(self, run_id: str) -> str:
        """How the run ended, once it has."""

        def status() -> str | None:
            found = str(self.run(run_id)["status"])
            return found if found in {"SUCCESS", "FAILURE", "CANCELED"} else None

        return self.wait_for(status, f"run {run_id} to end")


def free_ports(number: int) -> list[str]:
    probes = [socket.socket() for _ in range(number)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [str(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@contextmanager
def users_database() -> Iterator[str]:
    """The address of a PostgreSQL in which the compose file's user has their database."""
    with serve() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create role dagster login password '{PASSWORD}'")
        connection.execute("create database dagster owner dagster")
        try:
            yield urlsplit(url).netloc.rpartition("@")[2]
        finally:
            connection.execute("drop database dagster with (force)")
            connection.execute("drop role dagster")


@pytest.fixture
def server(project: Path, tmp_path: Path) -> Iterator[Server]:
    with users_database() as database:
        home, data, logs = (tmp_path / name for name in ("home", "data", "logs"))
        for folder in (home, data, logs):
            folder.mkdir()
        code, web, dashboard = free_ports(3)
        # all that is not as in a container
        replaced = {
            "0.0.0.0": "127.0.0.1",
            "host: code-server": "host: 127.0.0.1",
            "@postgres:5432": f"@{database}",
            "4000": code,
            "3000": web,
            "8050": dashboard,
            "/srv/game": str(project),
            "/srv/dagster": str(home),
            "/srv/data": str(data),
        }

        def here(path: Path) -> str:
            text = path.read_text()
            for theirs, ours in replaced.items():
                text = text.replace(theirs, ours)
            return text

        deploy = project / "deploy"
        (deploy / "workspace.yaml").write_text(here(deploy / "workspace.yaml"))
        dockerfile = here(deploy / "Dockerfile").replace("\\\n", " ")
        environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "PYTHONPATH": str(installed_root()),
        }
        for line in re.findall(r"^ENV (.*)$", dockerfile, re.MULTILINE):
            environment |= dict(word.split("=", 1) for word in shlex.split(line))
        *_, configure = re.findall(r"^RUN (.*)$", dockerfile, re.MULTILINE)
        subprocess.run(["sh", "-c", configure], cwd=project, env=environment, check=True)
        config = home / "dagster.yaml"
        # a minute is long for a test
        config.write_text(config.read_text().replace("seconds: 60", "seconds: 1"))
        compose = filled_in(here(deploy / "compose.yaml"), {"POSTGRES_PASSWORD": PASSWORD})
        made = Server(yaml.safe_load(compose)["services"], environment, project, logs)
        try:
            yield made
        finally:
            for name in list(made.running):
                made.kill(name)


LAUNCH = """
mutation($params: LaunchBackfillParams!) {launchPartitionBackfill(backfillParams: $params) {
    ... on LaunchBackfillSuccess {backfillId} ... on PythonError {message}}}
"""
RUNS_OF = """
query($tags: [ExecutionTag!]) {runsOrError(filter: {tags: $tags}) {... on Runs {results {id}}}}
"""
RUN = """
query($id: ID!) {runOrError(runId: $id) {... on Run {status stepStats {stepKey status}}}}
"""
LOADED = "{assetNodes {id}}"
RETRY = """
mutation($run: String!) {
    launchRunReexecution(reexecutionParams: {parentRunId: $run, strategy: FROM_FAILURE}) {
        ... on LaunchRunSuccess {run {id}} ... on PythonError {message}}}
"""


@pytest.mark.deploy
def test_a_backfill_whose_code_server_dies_fails_and_is_right_when_retried(
    server: Server, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in OURS:
        if name not in server.running:
            server.start(name)
    nodes = server.ask("{assetNodes {assetKey {path} isPartitioned groupName}}")
    mine = [
        node["assetKey"]
        for node in nodes
        if node["assetKey"]["path"][0] == TITLE and node["isPartitioned"]
    ]
    days = [str(date(2025, 1, day)) for day in range(FIRST.day, LAST.day + 1)]
    backfill = server.ask(LAUNCH, params={"assetSelection": mine, "partitionNames": days})
    tags = [{"key": "dagster/backfill", "value": backfill["backfillId"]}]

    def launched() -> str | None:
        runs = server.ask(RUNS_OF, tags=tags)["results"]
        return str(runs[0]["id"]) if runs else None

    run = server.wait_for(launched, "the backfill's run")

    def midway() -> bool | None:
        found = server.run(run)
        assert found["status"] not in {"SUCCESS", "FAILURE"}, server.log_of("code-server")
        made = {step["stepKey"] for step in found["stepStats"] if step["status"] == "SUCCESS"}
        return f"{TITLE}_heartbeats" in made or None

    server.wait_for(midway, "heartbeats to be loaded")
    server.kill("code-server")
    assert server.run(run)["status"] == "STARTED"
    server.start("code-server")
    assert server.ended(run) == "FAILURE"
    server.wait_for(lambda: server.ask(LOADED) or None, "the web server to find the graph again")
    retry = server.ask(RETRY, run=run)["run"]["id"]
    assert server.ended(retry) == "SUCCESS", server.log_of("code-server")

    monkeypatch.setenv("SPRINT_TITLES_DIR", str(project / "titles"))
    undisturbed = Place("duckdb", tmp_path / "undisturbed")
    undisturbed.build(TITLE, FIRST, LAST)
    disturbed = Place("duckdb", tmp_path / "data")
    assert disturbed.digests(TITLE) == undisturbed.digests(TITLE)
