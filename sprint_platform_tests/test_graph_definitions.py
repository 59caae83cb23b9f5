"""The graph as Dagster loads it: keys, groups, checks, policies, jobs; and a wrong title."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from sprint_platform.core.window import Window
from sprint_platform.operations.catalogue import read_catalogue, write_catalogue
from sprint_platform.orchestration.build import build_definitions
from sprint_platform.orchestration.runs import _days_selection, selection_for
from sprint_platform.orchestration.title_models import TitleTranslator
from sprint_platform.places import dbt_project_dir, project_root
from sprint_platform.simulation.products import catalogue
from sprint_platform.storage.partitions import PartitionError
from sprint_platform.title import Title
from sprint_platform.transform.dbt_manifest import (
    domain_of,
    graph_manifest,
    project_fingerprint,
)
from sprint_platform.transform.dbt_runner import build_arguments, dbt_environment
from sprint_platform_tests.dbt_runs import OTHER_DOMAINS

GROUPS = {"raw", "dim", "stage", "activity", "money", "encounters"}
# as many assets of a group are seen at once
SCREEN = 12
DOMAINS = {"title", *OTHER_DOMAINS}
MADE_BY_MODELS = (
    *("training_set", "models", "evaluation", "player_predictions", "sales_segments"),
)
SHIPPED = ("launch", "leap", "sprint")
SEEDS = {"dim_products", "dim_countries"}
TRUTH = {dg.AssetKey([f"{title}_truth", "player_day_chances"]) for title in SHIPPED}


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.Definitions]:
    """The shipped titles' graph, from a data folder without a manifest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(tmp_path_factory.mktemp("graph")))
        patch.delenv("SPRINT_TITLES_DIR", raising=False)
        yield build_definitions()


@pytest.fixture(scope="module")
def graph(definitions: dg.Definitions) -> dg.AssetGraph:
    return definitions.resolve_asset_graph()


def words(title: str, names: set[str]) -> set[str]:
    """The names in that title: leap calls an encounter a conflict."""
    return {name.replace("encounter", "conflict") if title == "leap" else name for name in names}


@pytest.mark.parametrize("title", SHIPPED)
def test_groups_fit_a_screen(graph: dg.AssetGraph, title: str) -> None:
    found: dict[str, set[str]] = {}
    for key in graph.get_all_asset_keys():
        if key.path[0] == title:
            found.setdefault(graph.get(key).group_name, set()).add(key.path[1])
    groups = {f"{title}_{group}" for group in words(title, GROUPS)}
    assert found.keys() == groups, "a mart's YAML has as its group: activity, money or encounters"
    assert max(map(len, found.values())) <= SCREEN, found
    for node in manifest_nodes():
        if node["resource_type"] == "model" and domain_of(node) == "title":
            group = node["config"]["meta"].get("group", node["config"]["schema"])
            [group], [name] = words(title, {group}), words(title, {node["name"]})
            assert name in found[f"{title}_{group}"], name


def test_the_stores_layers_lie_apart(graph: dg.AssetGraph) -> None:
    for key in graph.get_all_asset_keys():
        if key.path[0] == "storefront":
            node = graph.get(key)
            schema = str(node.metadata["dagster/table_name"]).partition(".")[0]
            assert node.group_name == f"storefront_{schema}"
            assert schema in ("bronze", "silver", "gold")


def test_an_asset_names_its_table_and_columns_and_where_its_code_is(graph: dg.AssetGraph) -> None:
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        references = node.metadata["dagster/code_references"].code_references
        assert references, key
        for reference in references:
            lines = Path(reference.file_path).read_text(encoding="utf-8").splitlines()
            assert (reference.line_number or 1) <= len(lines)
        if table := node.metadata.get("dagster/table_name"):
            # else the description says what it is called in SQL and in dbt
            named = key.path[-1] == table.partition(".")[2]
            assert named or f"`{table}`; dbt's source is" in str(node.description)
            # the truth's are the simulation's, which nothing that is loaded imports
            assert key in TRUTH or node.metadata["dagster/column_schema"].columns
    kpis = graph.get(dg.AssetKey(["leap", "kpi_daily"])).metadata["dagster/code_references"]
    assert [Path(each.file_path).name for each in kpis.code_references] == [
        "kpi_daily.sql",
        "kpi_daily.yml",
    ]


@pytest.mark.parametrize("title", SHIPPED)
def test_the_realism_report_reads_a_year_and_is_in_no_run_of_a_day(
    graph: dg.AssetGraph, title: str
) -> None:
    node = graph.get(dg.AssetKey([f"{title}_mart", "realism_report"]))
    of_a_run = _days_selection(Title.load(title)).resolve(graph)
    assert dg.AssetKey([title, "kpi_daily"]) in of_a_run
    assert node.key not in of_a_run
    assert {("heartbeats",), ("transactions",), ("kpi_daily",), ("stage_centroids",)} <= {
        tuple(key.path[1:]) for key in node.parent_keys
    }
    assert not node.child_keys


@pytest.mark.parametrize("title", SHIPPED)
def test_models_are_weekly_and_in_no_run_of_a_day(
    definitions: dg.Definitions, graph: dg.AssetGraph, title: str
) -> None:
    group = f"{title}_ml"
    made = {dg.AssetKey([group, name]) for name in MADE_BY_MODELS}
    weekly = {
        dg.AssetKey([group, name]) for name in ("player_features_weekly", "player_labels_weekly")
    }
    assert {key for key in graph.get_all_asset_keys() if key.path[0] == group} == made | weekly
    assert {graph.get(key).group_name for key in made | weekly} == {group}
    job = definitions.resolve_job_def(f"{title}_weekly")
    assert job.asset_layer.selected_asset_keys == made | weekly
    assert dg.AssetKey([title, "sessions"]) in graph.get_ancestor_asset_keys(
        dg.AssetKey([group, "sales_segments"])
    )
    for entrypoint in ("all", "players", "products", "heartbeats"):
        assert not selection_for(title, entrypoint).resolve(graph) & (made | weekly)
    # dbt's tests of the weekly models are their checks, and nobody else's
    tests = {node["name"] for node in manifest_nodes() if is_test_of(node, "title_ml")}
    checks = {key.name for key in graph.asset_check_keys if key.asset_key.path[0] == group}
    assert tests < checks
    assert checks - tests == {"features_have_not_drifted", "scores_have_not_drifted"}


def is_test_of(node: dict, domain: str) -> bool:
    return node["resource_type"] == "test" and domain_of(node) == domain


def test_one_catalogue_feeds_every_title(graph: dg.AssetGraph) -> None:
    assert graph.get(dg.AssetKey("products")).child_keys == {
        dg.AssetKey([title, asset])
        for title in SHIPPED
        for asset in ("dim_products", "transactions")
    }


def test_models_hang_below_the_datasets(graph: dg.AssetGraph) -> None:
    assert dg.AssetKey(["leap", "heartbeats"]) in graph.get_ancestor_asset_keys(
        dg.AssetKey(["leap", "session_close_conflicts_daily"])
    )
    for key in graph.get_all_asset_keys():
        assert graph.get(key).is_executable, f"{key} is only referred to: its name must be wrong"


@pytest.mark.parametrize("title", ["sprint", "leap"])
def test_every_dbt_test_is_a_check(graph: dg.AssetGraph, title: str) -> None:
    tests = dbt_tests_of("title")
    python = {
        "rows_match_manifest",
        "dates_inside_partition",
        "no_orphan_keys",
        "kills_equal_deaths",
        "one_team_wins",
    }
    checks = {key.name for key in graph.asset_check_keys if key.asset_key.path[0] == title}
    assert checks - python == tests
    assert len(tests) > 25


def dbt_tests_of(domain: str) -> set[str]:
    """The names of dbt's tests of a domain; those of seeds are the titles'."""
    return {
        node["name"]
        for node in manifest_nodes()
        if node["resource_type"] == "test"
        and (domain_of(node) == domain or (domain == "title" and domain_of(node) not in DOMAINS))
    }


def manifest_nodes() -> list[dict]:
    return list(graph_manifest()["nodes"].values())


def test_python_checks_are_where_they_belong(graph: dg.AssetGraph) -> None:
    found: dict[str, set[str]] = {}
    for key in graph.asset_check_keys:
        if key.asset_key.path[0] == "sprint":
            found.setdefault(key.name, set()).add(key.asset_key.path[1])
    facts = {"signons", "sessions", "heartbeats", "transactions"}
    assert found["no_orphan_keys"] == facts
    assert found["kills_equal_deaths"] == {"sessions"}
    assert found["one_team_wins"] == {"sessions"}
    assert found["rows_match_manifest"] == facts | {"dim_players"}
    assert found["dates_inside_partition"] == facts | {"dim_players"}


def test_everything_daily_has_partitions_a_freshness_policy_and_an_owner(
    graph: dg.AssetGraph,
) -> None:
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.backfill_policy == dg.BackfillPolicy.single_run(), key
        assert node.owners, key
        assert node.description, key
        unpartitioned = {
            ("products",),
            *((t, seed) for t in SHIPPED for seed in SEEDS),
            *((f"{t}_mart", "realism_report") for t in SHIPPED),
            *((f"{t}_ml", made) for t in SHIPPED for made in MADE_BY_MODELS),
        }
        daily = tuple(key.path) not in unpartitioned and key.path[0] != "eventlog"
        assert (node.partitions_def is not None) == (daily or key.path[0] == "eventlog"), key
        # the truth is off until somebody asks for it, and never late
        weekly = key.path[0].endswith("_ml")
        late = (daily and key not in TRUTH) or weekly
        assert (node.freshness_policy is not None) == late, key


def test_the_truth_is_made_for_those_who_ask_and_nothing_is_made_from_it(
    definitions: dg.Definitions, graph: dg.AssetGraph
) -> None:
    assert graph.get_all_asset_keys() >= TRUTH
    for key in TRUTH:
        node = graph.get(key)
        assert node.child_keys == set()
        assert node.parent_keys == set()
        assert not node.check_keys
    for job in definitions.jobs or []:
        assert not definitions.resolve_job_def(job.name).asset_layer.selected_asset_keys & TRUTH
    for entrypoint in ("all", "players", "products", "heartbeats"):
        assert not selection_for("sprint", entrypoint).resolve(graph) & TRUTH


def test_a_titles_days_begin_at_its_launch_and_reach_today(graph: dg.AssetGraph) -> None:
    partitions = graph.get(dg.AssetKey(["sprint", "heartbeats"])).partitions_def
    assert partitions is not None
    with partition_loading_context(effective_dt=datetime(2025, 1, 3, 12, tzinfo=UTC)):
        assert list(partitions.get_partition_keys()) == ["2025-01-01", "2025-01-02", "2025-01-03"]


def test_the_daily_job_has_one_step_per_dataset_and_one_for_dbt(
    definitions: dg.Definitions, graph: dg.AssetGraph
) -> None:
    job = definitions.resolve_job_def("leap_daily")
    datasets = ["dim_players", "signons", "sessions", "heartbeats", "transactions"]
    # a blocking check that closes a circle would cut dbt's step in parts, each an invocation
    assert {node.name for node in job.nodes} == {f"leap_{d}" for d in datasets} | {"leap_dbt"}
    assert job.asset_layer.selected_asset_keys == {
        key
        for key in graph.get_all_asset_keys()
        if key.path[0] == "leap" and key.path[1] not in SEEDS
    }


def test_every_job_says_what_it_does_and_tags_its_runs(definitions: dg.Definitions) -> None:
    jobs = list(definitions.jobs or [])
    tags = {job.name: dict(definitions.resolve_job_def(job.name).run_tags) for job in jobs}
    assert tags["sprint_daily"] == {"sprint/title": "sprint"}
    assert tags["storefront_daily"] == {"sprint/domain": "storefront"}
    assert tags["eventlog_batch"] == {"sprint/domain": "eventlog"}
    assert all(
        run_tags and job.description for job, run_tags in zip(jobs, tags.values(), strict=True)
    )
    assert {schedule.name for schedule in definitions.schedules or []} == {
        *(f"{title}_daily_schedule" for title in SHIPPED),
        *(f"{title}_weekly_schedule" for title in SHIPPED),
        "storefront_daily_schedule",
    }


@pytest.mark.parametrize("job", ["sprint_daily", "storefront_daily"])
def test_a_schedule_runs_the_days_that_are_over(definitions: dg.Definitions, job: str) -> None:
    schedule = definitions.resolve_schedule_def(f"{job}_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 2 * * *", "UTC")
    assert "missing, up to yesterday" in str(schedule.description)
    with (
        dg.instance_for_test() as instance,
        dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime(2025, 1, 2, 2, tzinfo=UTC),
            repository_def=definitions.get_repository_def(),
        ) as context,
    ):
        [request] = schedule.evaluate_tick(context).run_requests or []
    assert (request.job_name, request.partition_key) == (job, "2025-01-01")


def test_a_wrong_title_is_named_in_one_line_and_the_others_load(
    titles_folder: Path, data_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sprint = (project_root() / "sprint_platform/titles/sprint.yaml").read_text()
    wrong = sprint.replace("name: sprint", "name: broken").replace(
        "play_share: 0.97", "play_share: 9"
    )
    (titles_folder / "broken.yaml").write_text(wrong)
    loaded = build_definitions()
    [message] = [record.message for record in caplog.records if "broken" in record.message]
    assert str(titles_folder / "broken.yaml") in message
    assert "simulation.sessions.play_share" in message
    assert "between 0 and 1" in message
    assert "\n" not in message
    titles = {key.path[0] for key in loaded.resolve_asset_graph().get_all_asset_keys()}
    others = {"products", "eventlog", "storefront"}
    assert titles == {
        *SHIPPED,
        *(f"{t}_{part}" for t in SHIPPED for part in ("mart", "ml", "truth")),
        *others,
    }


def test_a_title_is_a_yaml_and_no_code(titles_folder: Path, data_folder: Path) -> None:
    sprint = (project_root() / "sprint_platform/titles/sprint.yaml").read_text()
    (titles_folder / "mine.yaml").write_text(sprint.replace("name: sprint", "name: mine"))
    keys = build_definitions().resolve_asset_graph().get_all_asset_keys()
    of = {
        title: {key.path[1] for key in keys if key.path[0] == title} for title in ("sprint", "mine")
    }
    assert of["mine"] == of["sprint"]


def test_a_fresh_interpreter_loads_the_definitions_without_a_parse(
    definitions: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "import sys, sprint_platform.definitions as d; d.defs.get_repository_def();"
        "print('dbt.cli.main' in sys.modules, 'sprint_platform.simulation' in sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:sprint_platform", "-c", program],
        cwd=project_root(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.split() == ["False", "False"]
    assert loaded.stderr == ""


def test_the_manifest_is_parsed_anew_when_the_project_changes(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(dbt_project_dir(), project)
    before = project_fingerprint(project)
    (project / "target").mkdir(exist_ok=True)
    (project / "target" / "manifest.json").write_text("{}")
    (project / "seeds" / "dim_products.csv").write_text("another catalogue\n")
    assert project_fingerprint(project) == before
    (project / "macros" / "more.sql").write_text("{# nothing #}\n")
    assert project_fingerprint(project) != before


def test_a_catalogue_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "dim_products.csv"
    write_catalogue(catalogue(31), path)
    assert read_catalogue(path).equals(catalogue(31))
    path.write_text(path.read_text().replace("SKU-1001,", "SKU-1001,,").replace(",M,", ",M,x", 1))
    with pytest.raises(PartitionError, match=r"dim_products.csv: \w+ is no \w+"):
        read_catalogue(path)


def test_dbt_is_asked_for_just_the_selected_nodes() -> None:
    """A folder of which all is selected by its own name: dbt looks at all nodes for each name."""
    stage, daily, monthly, key, log = nodes = [
        {"fqn": ["sprint_dbt", "title", "stage", "fact_session"]},
        {"fqn": ["sprint_dbt", "title", "mart", "player_activity_daily"]},
        {"fqn": ["sprint_dbt", "title", "mart", "player_activity_monthly"]},
        {"fqn": ["sprint_dbt", "title", "player_activity_daily_key"]},
        {"fqn": ["sprint_dbt", "eventlog", "fct_sessions"]},
    ]
    manifest = {"nodes": {str(number): node for number, node in enumerate(nodes)}}

    def asked(*selected: dict[str, list[str]]) -> list[str]:
        arguments = build_arguments("sprint", manifest, selected)
        assert arguments[0] == "build"
        assert arguments[arguments.index("--indirect-selection") + 1] == "empty"
        left_out = arguments.index("--exclude-resource-type")
        assert arguments[left_out + 1 : left_out + 3] == ["unit_test", "exposure"]
        return arguments[arguments.index("--select") + 1 :]

    assert asked(daily, key) == [
        "fqn:sprint_dbt.title.mart.player_activity_daily",
        "fqn:sprint_dbt.title.player_activity_daily_key",
    ]
    assert asked(daily, monthly, key) == [
        "fqn:sprint_dbt.title.mart",
        "fqn:sprint_dbt.title.player_activity_daily_key",
    ]
    assert asked(stage, daily, monthly, key) == ["fqn:sprint_dbt.title"]
    assert asked(*nodes) == ["fqn:sprint_dbt.eventlog", "fqn:sprint_dbt.title"]
    assert asked(log) == ["fqn:sprint_dbt.eventlog"]


def test_two_titles_never_share_a_dbt_target() -> None:
    targets = {
        arguments[arguments.index("--target-path") + 1]
        for arguments in (build_arguments(name, {"nodes": {}}, []) for name in ("sprint", "leap"))
    }
    assert len(targets) == 2


def test_the_dbt_environment_is_the_titles() -> None:
    window = Window(date(2025, 1, 1), date(2025, 1, 8))
    environment = dbt_environment(Title.load("leap"), window)
    assert environment["SPRINT_TITLE"] == "leap"
    assert environment["SPRINT_WORD"] == "conflict"
    assert environment["SPRINT_ENCOUNTER_DISTANCE"] == "30"
    assert environment["SPRINT_ENCOUNTER_GAP_SECONDS"] == "60"
    # sums of seconds are whole where beats are
    assert environment["SPRINT_SECONDS_TYPE"] == "bigint"
    thirtieths = Title.load("leap").model_copy(update={"heartbeat_seconds": Fraction(1, 30)})
    assert dbt_environment(thirtieths, None)["SPRINT_SECONDS_TYPE"] == "decimal(18,6)"
    assert environment["SPRINT_WINDOW_START"] == "2025-01-01"
    assert environment["SPRINT_WINDOW_END"] == "2025-01-08"
    assert "SPRINT_WINDOW_START" not in dbt_environment(Title.load("leap"), None)


def test_a_models_relation_is_the_titles_own(definitions: dg.Definitions) -> None:
    [node] = [n for n in manifest_nodes() if n["name"] == "session_close_encounters_daily"]
    relations = {TitleTranslator(Title.load(t)).relation(node) for t in ("sprint", "leap")}
    assert relations == {
        "sprint_mart.session_close_encounters_daily",
        "leap_mart.session_close_conflicts_daily",
    }
