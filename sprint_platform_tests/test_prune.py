"""`sprint prune`: old heartbeats go, and nothing asks for them or is built without them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb
import pytest

from sprint_platform.cli.coverage_report import coverage_rows
from sprint_platform.cli.terminal import Stop
from sprint_platform.core.locks import hold
from sprint_platform.dashboard.app import draw_replay
from sprint_platform.engines.duckdb_file import connect
from sprint_platform.engines.load import load_partitions
from sprint_platform.landing.land import land
from sprint_platform.landing.register import landing_lock
from sprint_platform.operations.days_to_build import unbuilt_days
from sprint_platform.operations.landed import load_landed
from sprint_platform.orchestration import pruning
from sprint_platform.orchestration.dataset_step import make_partition
from sprint_platform.orchestration.pruning import PruneError, prunable, prune
from sprint_platform.orchestration.title_models import TitleTranslator
from sprint_platform.places import database_path, published_dir, raw_dir
from sprint_platform.publish.coverage import title_coverage
from sprint_platform.publish.marts import Mart, publish_views
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.storage.partitions import (
    PartitionError,
    prune_partition,
    read_manifest,
)
from sprint_platform.telemetry.contracts import DAILY, DATASETS
from sprint_platform.title import Title
from sprint_platform.transform.dbt_manifest import graph_manifest
from sprint_platform.transform.dbt_runner import (
    dbt_environment,
    dbt_result_in_duckdb,
    failure_line,
    project_arguments,
)
from sprint_platform_tests.studio import DAYS, built_studio, copied, deliver, purchase, sprint
from sprint_platform_tests.worlds import World

LEDGER = title_ledger("arena")
FIRST, SECOND, THIRD = map(date.fromisoformat, DAYS)


@pytest.fixture(scope="module")
def pruned_studio(
    tmp_path_factory: pytest.TempPathFactory, shared_folder: Path
) -> Iterator[tuple[Path, str]]:
    """The studio with its first two days pruned, and what the command printed."""
    folder = tmp_path_factory.mktemp("pruned") / "studio"
    with pytest.MonkeyPatch.context() as patch:
        copied(built_studio(shared_folder), folder, patch)
        yield folder, sprint("prune", "--title", "arena", "--before", DAYS[2])


@pytest.fixture
def studio(shared_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The studio, whole."""
    copied(built_studio(shared_folder), tmp_path / "studio", monkeypatch)
    return tmp_path / "studio" / "data"


@pytest.fixture
def pruned(pruned_studio: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What pruning two days printed; the folder is the test's own."""
    copied(pruned_studio[0], tmp_path / "studio", monkeypatch)
    return pruned_studio[1]


def marts() -> list[Mart]:
    return TitleTranslator(Title.load("arena")).marts(graph_manifest())


@contextmanager
def opened(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(path), read_only=True) as con:
        yield con


def content(path: Path) -> dict[str, list[tuple]]:
    """Every mart's rows."""
    with opened(path) as con:
        return {
            mart.name: con.execute(f"from {mart.relation} order by all").fetchall()
            for mart in marts()
        }


def days_of(relation: str) -> list[date]:
    with opened(database_path()) as con:
        found = con.execute(f"select distinct event_date from {relation} order by 1").fetchall()
    return [day for (day,) in found]


def test_only_what_no_later_day_reads_may_be_pruned(studio: Path) -> None:
    found = prunable(TitleTranslator(Title.load("sprint")), graph_manifest())
    assert found.datasets == ("heartbeats",)
    assert found.models == {"sprint_stage.stage_centroids": "event_date"}
    assert set(found.stays) == set(DAILY) - {"heartbeats"}
    assert found.stays["signons"] == "nothing is built of it that would stay"


def test_rows_and_files_go_and_marts_stay(pruned: str) -> None:
    assert "arena/heartbeats: pruned 2 days, 2025-01-01 to 2025-01-02: 60 rows" in pruned
    assert re.search(r"arena/sessions stays: \w+ and \d+ more read days before", pruned)
    assert days_of("arena_raw.event_heartbeat") == [THIRD]
    assert days_of("arena_stage.stage_centroids") == [THIRD]
    assert len(days_of("arena_raw.event_session")) == 3


def test_a_pruned_day_is_built_and_nobody_asks_for_it(pruned: str) -> None:
    assert content(database_path())["position_heat_daily"]
    found = title_coverage(Title.load("arena"), THIRD)
    assert found is not None
    assert (found.missing, found.pruned) == (0, (FIRST, SECOND))
    assert "every landed day is built" in sprint("land", "--title", "arena")
    assert "3 days are what was landed" in sprint("verify", "--title", "arena")
    publish_views()
    with opened(published_dir() / "sprint.duckdb") as con:
        days = con.execute("select distinct event_date from arena_raw.event_heartbeat").fetchall()
    assert days == [(THIRD,)]
    up_to = "2 of them pruned up to 2025-01-02: their marts stay"
    assert up_to in dict(coverage_rows([Title.load("arena")]))["days of arena"]
    replay = str(draw_replay(f"?title=arena&day={DAYS[0]}"))
    assert "Heartbeats are pruned up to 2 Jan 2025: choose a later day." in replay
    assert "no day before 2025-01-03 is left" in sprint(
        "prune", "--title", "arena", "--before", DAYS[2]
    )


def test_a_pruned_day_is_not_built_from_nothing(pruned: str) -> None:
    before = content(database_path())
    with pytest.raises(Stop, match="failed after"):
        sprint("run", "--title", "arena", "--from", DAYS[0], "--to", DAYS[0])
    title = Title.load("arena")
    # by hand, over everything
    ended = dbt_result_in_duckdb(
        ["build", *project_arguments("arena"), "--quiet", "--select", "position_heat_daily"],
        dbt_environment(title, None),
    )
    assert "heartbeats of 2025-01-01 to 2025-01-02 were pruned" in str(failure_line("arena", ended))
    assert content(database_path()) == before


def test_a_late_record_makes_its_day_whole_again(pruned: str) -> None:
    """Also one of another dataset: the day is built again, from everything."""
    title = Title.load("arena")
    deliver("transactions", "late", [purchase("late", DAYS[0], "ben")])
    changed = {(change.dataset, change.day): change.why for change in land(title).changes}
    assert "it was pruned, and is made again" in changed["heartbeats", FIRST]
    assert set(changed) == {("heartbeats", FIRST), ("transactions", FIRST)}
    manifest = read_manifest("arena", "heartbeats", FIRST)
    assert manifest is not None
    with hold(landing_lock("arena"), "a test"), connect() as con:
        load_landed(con, title)
        models = TitleTranslator(title).models(graph_manifest())
        assert unbuilt_days(con, title, models) == [FIRST]
        load_partitions(con, LEDGER, DATASETS["heartbeats"], {FIRST: manifest})
        assert LEDGER.pruned(con) == {"heartbeats": {SECOND}}
    assert days_of("arena_raw.event_heartbeat") == [FIRST, THIRD]


def test_a_database_made_anew_has_the_pruned_days_of_the_published_copy(pruned: str) -> None:
    before = content(database_path())
    database_path().unlink()
    assert "holds what the partition files say" in sprint("repair")
    after = content(database_path())
    for name in (
        "position_heat_daily",
        "stage_encounters",
        "player_activity_daily",
        "player_stats_lifetime",
        "country_monthly_playtime",
    ):
        assert before[name], name
        assert after[name] == before[name], name
    assert "arena: 3 days are what was landed" in sprint("verify", "--title", "arena")


def test_a_killed_pruning_is_finished_by_the_next(
    studio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(pruning, "prune_partition", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prune(Title.load("arena"), SECOND)
    assert "3 days are what was landed" in sprint("verify", "--title", "arena")
    assert len(list(raw_dir("arena", "heartbeats").rglob("*.parquet"))) == 3
    sprint("prune", "--title", "arena", "--before", DAYS[1])
    assert len(list(raw_dir("arena", "heartbeats").rglob("*.parquet"))) == 2


@pytest.mark.parametrize(
    ("changed", "why"),
    [("definition = 'older'", "run --title arena --stale"), ("digest = 'older'", "land --title")],
)
def test_what_is_not_built_as_it_is_now_is_not_pruned(studio: Path, changed: str, why: str) -> None:
    with connect() as con:
        con.execute(
            f"update arena_raw.built_from set {changed}"
            f" where model = 'position_heat_daily' and period = '{DAYS[0]}'"
        )
    with pytest.raises(PruneError, match=why):
        prune(Title.load("arena"), SECOND)
    assert len(days_of("arena_raw.event_heartbeat")) == 3


def test_a_simulated_day_that_is_made_again_is_whole_again(
    data_folder: Path, sprint: World
) -> None:
    """Also where a run reuses what there is."""
    contract, ledger = DATASETS["signons"], title_ledger("sprint")

    def made(reuse: bool) -> None:
        there = make_partition(
            "sprint", contract, FIRST, "now", lambda: sprint.signons(FIRST), reuse
        ).manifest
        with connect() as con:
            load_partitions(con, ledger, contract, {FIRST: there})

    made(reuse=False)
    manifest = read_manifest("sprint", "signons", FIRST)
    assert manifest is not None
    assert prune_partition("sprint", "signons", FIRST, "other records") == 0
    assert prune_partition("sprint", "signons", FIRST, manifest.digest) == manifest.bytes
    with connect() as con:
        con.execute(f"delete from {contract.relation('sprint')}")
        ledger.record_pruned(con, "signons", [FIRST])
        gone = read_manifest("sprint", "signons", FIRST)
        assert gone is not None
        with pytest.raises(PartitionError, match="was pruned"):
            load_partitions(con, ledger, contract, {FIRST: gone})
        assert ledger.pruned(con) == {"signons": {FIRST}}
    made(reuse=True)
    assert read_manifest("sprint", "signons", FIRST) == manifest
    with connect() as con:
        assert ledger.pruned(con) == {}
