"""Domains from outside: two packages that nothing of ours was edited for."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow as pa
import pytest

from sprint_platform.cli import main
from sprint_platform.domain import Domain, DomainError, outside_domain, outside_domains
from sprint_platform.engines.duckdb_file import connect
from sprint_platform.operations.domain_project import check_project
from sprint_platform.orchestration.build import build_definitions
from sprint_platform.orchestration.domain_definitions import OutsideTranslator
from sprint_platform.places import published_dir
from sprint_platform.telemetry.contracts import Column, Dataset
from sprint_platform.transform.dbt_manifest import graph_manifest

UNTYPED = Dataset("tickets", "raw", "tickets", "a", ("id",), (Column("id", "varchar", "the id"),))
MISNAMED = replace(UNTYPED, columns=(Column('id" text; drop', "text", "the id"),))
OUTSIDE = Path(__file__).parent / "outside"
LINES = 120  # of a domain, all of its files


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Both packages on Python's path, with the metadata that an installation writes."""
    for name, point in (("support", "support:SUPPORT"), ("surveys", "surveys:SURVEYS")):
        info = tmp_path / "site" / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[sprint_platform.domains]\n{name} = {point}\n")
        monkeypatch.syspath_prepend(OUTSIDE / name)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path


def read(query: str) -> list[tuple]:
    with duckdb.connect(str(published_dir() / "sprint.duckdb"), read_only=True) as con:
        return con.execute(query).fetchall()


def answers_by_batch() -> list[tuple]:
    return read(
        "select load_batch_id, sum(answers) from surveys_mart.scores group by all order by all"
    )


def sprint(*arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["sprint", *arguments])
        try:
            main()
        except SystemExit as ended:
            return int(ended.code or 0)
    return 0


@pytest.mark.parametrize("name", ["support", "surveys"])
def test_a_domain_is_less_than_120_lines(name: str) -> None:
    files = [path for path in (OUTSIDE / name).rglob("*") if path.suffix in (".py", ".sql", ".yml")]
    assert 50 < sum(len(path.read_text().splitlines()) for path in files) < LINES


def test_they_are_in_the_graph_with_checks_jobs_and_a_schedule(installed: Path) -> None:
    definitions = build_definitions()
    graph = definitions.resolve_asset_graph()
    ours = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert {"support/tickets", "support/tickets_daily"} <= ours
    assert {"surveys/answers", "surveys/scores"} <= ours
    checks = {(c.asset_key.path[-1], c.name) for c in graph.asset_check_keys}
    assert {
        ("tickets", "rows_match_manifest"),
        ("tickets", "dates_inside_partition"),
        ("tickets", "key_is_unique"),
        ("tickets_daily", "tickets_daily_rows"),
        ("answers", "key_is_unique"),
        ("scores", "scores_rows"),
    } <= checks
    repository = definitions.get_repository_def()
    assert {"support_daily", "surveys_batch"} <= set(repository.job_names)
    schedules = {schedule.name for schedule in repository.schedule_defs}
    assert "support_daily_schedule" in schedules
    assert "surveys_batch_schedule" not in schedules
    parents = graph.get(dg.AssetKey(["support", "tickets_daily"])).parent_keys
    assert parents == {dg.AssetKey(["support", "tickets"])}


def test_days_are_made_loaded_built_published_and_verified(
    installed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sprint("domain", "run", "support", "--from", "2025-01-01", "--to", "2025-01-03") == 0
    days = [date(2025, 1, day) for day in (1, 2, 3)]
    wanted = sum(5 + day.toordinal() % 7 for day in days)
    assert read("select sum(tickets) from support_mart.tickets_daily") == [(wanted,)]
    assert sprint("domain", "verify", "support") == 0
    assert sprint("domain", "plan", "support", "--from", "2025-01-01", "--to", "2025-01-06") == 0
    assert f"{2 * wanted}" in capsys.readouterr().out

    # the table differs from its files, the mart from what is published
    with connect() as con:
        con.execute("delete from support_mart.tickets_daily where calendar_date = '2025-01-02'")
        con.execute("delete from support_raw.tickets where ticket_id % 2 = 0")
    assert sprint("domain", "verify", "support") == 1
    said = capsys.readouterr().err
    assert "support/tickets 2025-01-01: its table holds v1-" in " ".join(said.split())
    assert "published with other rows than the warehouse has" in " ".join(said.split())
    assert sprint("domain", "run", "support", "--to", "2025-01-03") == 0
    assert sprint("domain", "verify", "support") == 0


def test_missing_days_are_named_and_made(
    installed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sprint_platform.cli.domain.yesterday", lambda: date(2025, 1, 5))
    assert sprint("domain", "run", "support", "--from", "2025-01-02", "--to", "2025-01-03") == 0
    capsys.readouterr()
    assert sprint("domain", "list") == 0
    [line] = [x for x in capsys.readouterr().out.splitlines() if "support" in x and "tickets" in x]
    assert [cell.strip() for cell in line.split("│")[4:6]] == ["2", "3"]
    assert sprint("domain", "run", "support", "--missing") == 0
    assert read("select count(distinct calendar_date) from support_mart.tickets_daily") == [(5,)]
    assert sprint("domain", "run", "support", "--missing") == 0
    assert "nothing is missing" in capsys.readouterr().out


def test_the_schedule_asks_for_the_oldest_missing_days(installed: Path) -> None:
    assert sprint("domain", "run", "support") == 0
    schedule = build_definitions().get_repository_def().get_schedule_def("support_daily_schedule")
    # evaluating enters the instance, and it cannot be entered twice
    context = dg.build_schedule_context(
        instance=dg.DagsterInstance.get(),
        scheduled_execution_time=datetime(2025, 1, 6, 2, tzinfo=UTC),
    )
    [request] = schedule.evaluate_tick(context).run_requests or []
    assert request.tags["sprint/days"] == "2025-01-02 to 2025-01-05"


def test_batches_are_built_with_what_they_stand_on(installed: Path) -> None:
    assert sprint("domain", "run", "surveys", "--from", "1", "--to", "2") == 0
    assert read(
        "select load_batch_id, sum(answers) from surveys_mart.scores group by all order by all"
    ) == [
        (1, 20),
        (2, 40),
    ]
    assert sprint("domain", "verify", "surveys") == 0
    # a batch that was loaded, and not built
    with connect() as con:
        con.execute("update surveys_raw.built_from set digest = 'old' where period = '1'")
        con.execute("delete from surveys_mart.scores where load_batch_id = 1")
    assert sprint("domain", "verify", "surveys") == 1
    assert sprint("domain", "run", "surveys", "--from", "3") == 0
    assert read(
        "select load_batch_id, sum(answers) from surveys_mart.scores group by all order by all"
    ) == [
        (1, 20),
        (2, 40),
        (3, 60),
    ]


def test_they_have_lines_in_the_doctor_and_on_the_home_page(
    installed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sprint_platform.cli.coverage_report import coverage_rows
    from sprint_platform.dashboard import home
    from sprint_platform.dashboard.published import published, published_titles

    for module in ("sprint_platform.cli.coverage_report", "sprint_platform.dashboard.home"):
        monkeypatch.setattr(f"{module}.yesterday", lambda: date(2025, 1, 3))
    assert sprint("domain", "run", "support") == 0
    assert sprint("domain", "run", "surveys", "--from", "4") == 0
    rows = dict(coverage_rows([]))
    assert rows["days of support"] == (
        "1 built, 2025-01-01\n"
        "2 not built yet, 2025-01-02 to 2025-01-03: sprint domain run support --missing"
    )
    assert rows["batches of surveys"] == "1 built"
    shown = str(home.page(None, None))
    assert "1 day" in shown
    assert "sprint domain run support --missing" in shown
    assert "1 batch" in shown
    with published() as con:
        assert published_titles(con) == {}


def test_a_batch_that_fails_its_checks_is_not_built_by_the_next(
    installed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    surveys = outside_domain("surveys")
    make = surveys.make["answers"]

    def some_twice(batch: int) -> Iterator:
        yield from make(batch)
        if batch == 1:
            yield from make(batch)

    monkeypatch.setitem(surveys.make, "answers", some_twice)  # type: ignore[arg-type]
    assert sprint("domain", "run", "surveys", "--from", "1") == 1
    assert sprint("domain", "run", "surveys", "--from", "2") == 0
    assert answers_by_batch() == [(2, 40)]


def test_a_dataset_of_other_columns_is_made_anew(
    installed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    support = outside_domain("support")
    assert sprint("domain", "run", "support", "--to", "2025-01-02") == 0
    [tickets] = support.datasets
    wider = replace(tickets, columns=(*tickets.columns, Column("open", "flag", "still open")))

    def open_tickets(day: date) -> Iterator[pa.Table]:
        for table in support.make["tickets"](day):
            yield table.append_column(wider.arrow_schema.field("open"), [[True] * table.num_rows])

    other = replace(support, datasets=(wider,), make={"tickets": open_tickets}, version="2")
    monkeypatch.setattr("support.SUPPORT", other)
    assert sprint("domain", "run", "support", "--from", "2025-01-02") == 0
    with connect() as con:
        held = con.execute("select distinct event_date, open from support_raw.tickets").fetchall()
    assert held == [(date(2025, 1, 2), True)]
    monkeypatch.setattr("sprint_platform.cli.domain.yesterday", lambda: date(2025, 1, 2))
    assert sprint("domain", "run", "support", "--missing") == 0
    assert sprint("domain", "verify", "support") == 0


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("+tags: [support]", "+tags: [others]", "tickets_daily needs the tag support"),
        ("+schema: support_mart", "+schema: support", "lies in support, not in support_stage or"),
        ("{ledger: support_raw}", "{ledger: sprint_raw}", "needs +meta: {ledger: support_raw}"),
        ('+post-hook: "{{ record_built() }}"', "", "needs +post-hook"),
        ('on-run-end: "{{ settle_built(results) }}"', "", "needs on-run-end"),
        ("+materialized: incremental", "+materialized: ephemeral", None),
    ],
)
def test_a_project_that_does_not_go_with_its_domain_is_left_out(
    installed: Path, before: str, after: str, why: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    support = outside_domain("support")
    project = installed / "project"
    shutil.copytree(support.dbt_project, project)
    settings = (project / "dbt_project.yml").read_text()
    assert before in settings
    (project / "dbt_project.yml").write_text(settings.replace(before, after))
    manifest = graph_manifest(project)
    if why is None:
        # nothing is built of it, and so no day waits for it
        assert OutsideTranslator(support).models(manifest) == []
        return
    with pytest.raises(DomainError, match=re.escape(why)):
        check_project(support, manifest)


def test_a_check_that_finds_something_stops_what_is_below(
    installed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    support = outside_domain("support")
    make = support.make["tickets"]

    def twice(day: date) -> Iterator:
        yield from make(day)
        yield from make(day)

    monkeypatch.setitem(support.make, "tickets", twice)  # type: ignore[arg-type]
    assert sprint("domain", "run", "support") == 1
    assert "support/tickets: key_is_unique" in " ".join(capsys.readouterr().err.split())
    assert not (published_dir() / "support" / "tickets_daily").exists()


def test_a_broken_package_is_left_out_and_the_others_go_on(
    installed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    info = installed / "site" / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sprint_platform.domains]\nbroken = nowhere:DOMAIN\n")
    assert [domain.name for domain in outside_domains()] == ["support", "surveys"]
    assert "the domain broken (nowhere:DOMAIN) is left out" in caplog.text
    with pytest.raises(DomainError, match=r"no domain broken from outside .*support, surveys"):
        outside_domain("broken")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": "Support"}, "lower-case letters"),
        ({"name": "eventlog"}, "a name of the platform's own"),
        ({"make": {}}, "support/tickets has no function"),
        ({"dbt_project": Path("/nowhere")}, "no dbt_project.yml"),
        ({"datasets": (UNTYPED,)}, "tickets.id is a 'varchar', none of: uuid, text"),
        ({"datasets": (MISNAMED,)}, "'id\" text; drop' is no name in lower-case letters"),
    ],
)
def test_what_does_not_go_together_is_refused(
    installed: Path, change: dict[str, object], why: str
) -> None:
    known = {field: getattr(outside_domain("support"), field) for field in Domain.__annotations__}
    build: Callable[..., Domain] = Domain
    with pytest.raises(DomainError, match=why):
        build(**{**known, **change})
