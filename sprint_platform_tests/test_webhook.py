"""The sensor that posts failed runs and checks: to a server of the test's own, each once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import dagster as dg
import pytest

from sprint_platform.orchestration.failures import ClearFailure
from sprint_platform.orchestration.run_tags import range_tags, title_tags
from sprint_platform.orchestration.webhook_sensor import build_webhook_sensor


class Server(HTTPServer):
    """Takes posts. ``answers`` are the codes of the next ones, 200 where there is none left."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[int] = []
        self.taken: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        assert self.headers["Content-Type"] == "application/json"
        posted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        code = self.server.answers.pop(0) if self.server.answers else 200
        if code == 200:
            assert list(posted) == ["text"]
            self.server.taken.append(posted["text"])
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "/login")
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("SPRINT_WEBHOOK_URL", f"{address}/services/token-of-the-channel")
        monkeypatch.setenv("SPRINT_UI_URL", "https://dagster.studio.example/")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


class Ticks:
    """The sensor's ticks, each from where the last one got to."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor: str | None = None
        sensor = build_webhook_sensor()
        assert sensor is not None
        self.sensor = sensor

    def next(self) -> None:
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor) as context:
            self.cursor = self.sensor.evaluate_tick(context).cursor


@dg.asset(name="quiet")
def quiet() -> None: ...


@dg.asset(name="broken", key_prefix="sprint")
def broken() -> None:
    raise ValueError("there is no <!channel> & no file\nof that name")


@dg.asset(name="talkative")
def talkative() -> None:
    raise ValueError("cannot connect to postgresql://shop:open-sesame@shop.example/shop")


@dg.asset(
    name="checked",
    check_specs=[
        dg.AssetCheckSpec("wrong", asset="checked"),
        dg.AssetCheckSpec("odd", asset="checked"),
        dg.AssetCheckSpec("fine", asset="checked"),
    ],
)
def checked() -> dg.MaterializeResult:
    warn = dg.AssetCheckSeverity.WARN
    return dg.MaterializeResult(
        check_results=[
            dg.AssetCheckResult(check_name="wrong", passed=False, description="3 rows are wrong"),
            dg.AssetCheckResult(check_name="odd", passed=False, severity=warn),
            dg.AssetCheckResult(check_name="fine", passed=True),
        ]
    )


def run(instance: dg.DagsterInstance, asset: dg.AssetsDefinition, **tags: str) -> str:
    result = dg.materialize([asset], instance=instance, tags=tags, raise_on_error=False)
    return result.run_id


def test_a_failed_run_and_a_failed_check_are_posted_once(
    server: Server, instance: dg.DagsterInstance
) -> None:
    run(instance, broken)
    ticks = Ticks(instance)
    # what failed before is in the UI already
    ticks.next()
    run(instance, quiet)
    tags = {**title_tags("sprint"), **range_tags("2025-01-01", "2025-01-07")}
    failed = run(instance, broken, **tags)
    with_checks = run(instance, checked)
    secretive = run(instance, talkative)
    ticks.next()
    ticks.next()
    assert server.taken == [
        "sprint, 2025-01-01 to 2025-01-07: a run failed\n"
        "sprint__broken: ValueError: there is no &lt;!channel&gt; &amp; no file\n"
        f"https://dagster.studio.example/runs/{failed}",
        "checked: checks failed\n"
        "checked wrong: 3 rows are wrong\n"
        f"https://dagster.studio.example/runs/{with_checks}",
        "talkative: a run failed\n"
        "the message quotes how to get in, and is left out\n"
        f"https://dagster.studio.example/runs/{secretive}",
    ]


@pytest.mark.parametrize("refusal", [500, 302])
def test_what_the_webhook_did_not_take_is_posted_later_and_the_rest_not_again(
    server: Server, instance: dg.DagsterInstance, refusal: int
) -> None:
    ticks = Ticks(instance)
    ticks.next()
    first, second = run(instance, broken), run(instance, broken)
    server.answers = [refusal, 200, refusal]
    with pytest.raises(ClearFailure, match=f"the webhook answered {refusal}") as failure:
        ticks.next()
    assert "token-of-the-channel" not in str(failure.value)
    ticks.next()
    assert [text.rpartition("/")[2] for text in server.taken] == [first]
    ticks.next()
    assert [text.rpartition("/")[2] for text in server.taken] == [first, second]


def test_there_is_no_sensor_without_a_webhook_or_with_a_wrong_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("SPRINT_WEBHOOK_URL", raising=False)
    assert build_webhook_sensor() is None
    monkeypatch.setenv("SPRINT_WEBHOOK_URL", "hooks.example/secret-token")
    assert build_webhook_sensor() is None
    [line] = caplog.messages
    assert "SPRINT_WEBHOOK_URL: it should be an address that begins with https://" in line
    assert "secret-token" not in line
