"""What the dashboard computes itself: replays, views, changes; and how its command ends."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from sprint_platform.dashboard import parts, wording
from sprint_platform.dashboard.published import Columns, NothingPublished, published
from sprint_platform.dashboard.replay import beats_of, meetings_of
from sprint_platform.dashboard.view import address, read_view
from sprint_platform.orchestration.history import last_runs, latest_checks
from sprint_platform.title import Title
from sprint_platform_tests.command_line import run_sprint
from sprint_platform_tests.dashboard_marts import FIRST, LAST, publish_marts

START = datetime(2025, 1, 1, 23, 59)


def heartbeats(*told: tuple[str, int, int, int]) -> Columns:
    """Heartbeats from (player, team, seconds after the start, x in hundredths)."""
    return {
        "player_id": [player for player, _, _, _ in told],
        "team_id": [team for _, team, _, _ in told],
        "event_datetime": [START + timedelta(seconds=at) for _, _, at, _ in told],
        "x": [x for _, _, _, x in told],
        "y": [0 for _ in told],
        "z": [0 for _ in told],
    }


def test_the_later_heartbeat_of_a_beat_counts_and_empty_beats_are_left_out() -> None:
    beats = beats_of(
        heartbeats(("a", 1, 0, 0), ("b", 1, 5, 1000), ("a", 1, 29, 500), ("a", 1, 90, 700)), 30
    )
    assert [beat.at for beat in beats] == [START, START + timedelta(seconds=90)]
    assert sorted(place.x for place in beats[0].players) == [500, 1000]
    assert beats[0].teams[0].middle == (7.5, 0)


def test_teams_meet_at_exactly_the_distance_and_over_exactly_the_gap() -> None:
    sprint = Title.load("sprint")
    assert (sprint.encounters.distance, sprint.encounters.gap_seconds) == (50, 180)

    def meetings(*apart: tuple[int, int]) -> list[tuple[datetime, datetime, int, float]]:
        told = [
            beat
            for at, distance in apart
            for beat in (("a", 1, at, 1401), ("b", 2, at, 1401 + distance))
        ]
        found = meetings_of(beats_of(heartbeats(*told), 30), sprint)
        return [(m.start, m.end, m.close_beats, m.least_distance) for m in found]

    # 64.01 - 14.01 is more than 50 in binary
    assert meetings((0, 5000), (30, 5001)) == [(START, START + timedelta(seconds=30), 1, 50.0)]
    # over midnight, and over what is not close in between
    assert meetings((0, 4000), (90, 9000), (180, 3000)) == [
        (START, START + timedelta(seconds=210), 2, 30.0)
    ]
    assert len(meetings((0, 4000), (210, 3000))) == 2
    assert meetings((0, 5001)) == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(folder))
        publish_marts(folder)
    return folder


@pytest.fixture
def data(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(folder))
    return folder


@pytest.mark.usefixtures("data")
def test_an_address_without_days_shows_the_latest_and_leaves_as_many_to_compare() -> None:
    with published() as con:
        view = read_view(con, None)
        assert (view.title.name, view.titles) == ("sprint", ("leap", "sprint"))
        assert (view.first, view.last, view.days) == (date(2025, 1, 31), LAST, 30)
        assert view.before == (FIRST, date(2025, 1, 30))
        # a day more has no period of its length before it
        assert read_view(con, "?from=2025-01-30").before is None
        # both ends are inclusive, also of a single day
        view = read_view(con, f"?from={FIRST}&to={FIRST}&country=BR&title=leap")
        assert (view.days, view.country, view.title.word) == (1, "BR", "conflict")
        # what cannot be had is told, not an error
        odd = read_view(con, "?title=x'&from=2025-02-02&to=2025-02-01&day=soon&session=1")
        assert (odd.first, odd.last) == (date(2025, 2, 1), date(2025, 2, 2))
        assert len(odd.notes) == 4


def test_nothing_published_is_told(data_folder: Path) -> None:
    with pytest.raises(NothingPublished, match="there is no"), published():
        pass


def test_the_address_keeps_what_is_not_changed() -> None:
    assert address("?title=sprint&country=BR", country=None, day="2025-01-01") == (
        "?title=sprint&day=2025-01-01"
    )
    assert address("?country=BR", country=None) == ""


def test_changes_and_numbers_as_people_read_them() -> None:
    assert "12.5 %" in str(parts.change(90, 80))
    assert "down" in str(parts.change(70, 80))
    assert "3.0 points" in str(parts.change(0.23, 0.20, points=True))
    assert "unchanged" in str(parts.change(100.01, 100))
    # there is no share of nothing
    assert parts.change(5, 0) is None
    assert parts.change(5, None) is None
    assert wording.duration(119) == "119 s"
    assert wording.duration(5400) == "90.0 min"
    assert wording.span(date(2024, 12, 31), date(2025, 1, 1)) == "31 Dec 2024 – 1 Jan 2025"
    assert wording.share(None) == "–"


@pytest.fixture
def dagster_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("dagster_home")
def test_history_tells_a_domains_runs_and_the_latest_result_of_each_check() -> None:
    outcome = {"passed": False}

    @dg.asset(
        key=["game", "sessions"],
        check_specs=[dg.AssetCheckSpec("adds_up", asset=["game", "sessions"])],
    )
    def sessions() -> Iterator[dg.MaterializeResult[None]]:
        told = None if outcome["passed"] else "3 rows are wrong"
        yield dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(
                    passed=outcome["passed"],
                    check_name="adds_up",
                    severity=dg.AssetCheckSeverity.WARN,
                    description=told,
                )
            ]
        )

    @dg.asset(key=["other", "players"])
    def players() -> None:
        raise ValueError("there are no players")

    def run(asset: dg.AssetsDefinition, day: str) -> None:
        tags = {
            "dagster/asset_partition_range_start": day,
            "dagster/asset_partition_range_end": day,
        }
        with dg.DagsterInstance.get() as instance:
            dg.materialize([asset], instance=instance, tags=tags, raise_on_error=False)

    assert last_runs("game") == []
    assert latest_checks("game") == []
    run(sessions, "2025-01-01")
    (failed,) = latest_checks("game")
    assert (failed.asset, failed.check, failed.passed) == ("game/sessions", "adds_up", False)
    assert (failed.severity, failed.wrong) == ("warn", "3 rows are wrong")
    outcome["passed"] = True
    run(sessions, "2025-01-02")
    (passed,) = latest_checks("game")
    assert (passed.passed, passed.wrong) == (True, None)
    assert passed.at > failed.at
    run(players, "2025-01-03")
    assert [(past.first, past.last, past.status) for past in last_runs("game")] == [
        ("2025-01-02", "2025-01-02", "success"),
        ("2025-01-01", "2025-01-01", "success"),
    ]
    assert len(last_runs("game", limit=1)) == 1
    (past,) = last_runs("other")
    assert past.status == "failure"
    assert past.failure == "other__players: ValueError: there are no players"
    assert past.started is not None
    assert past.started.tzinfo is UTC


def test_a_port_that_is_taken_is_one_line(data_folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run_sprint(["dashboard", "--port", str(port)], os.environ)
    assert ended.returncode == 1
    assert f"port {port} is taken by another program: choose another with --port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_its_packages_one_line_says_what_to_install(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as Python has it where the package is not installed
    monkeypatch.setitem(sys.modules, "waitress", None)
    ended = run_sprint(["dashboard"], os.environ)
    assert ended.returncode == 1
    assert "the dashboard needs waitress, which is not installed" in ended.stderr
    assert ".[dashboard]" in ended.stderr
