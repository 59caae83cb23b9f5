"""`sprint score`: the pipeline held against the ledger of the dirt."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from sprint_platform.cli.app import app
from sprint_platform.core.errors import SprintError
from sprint_platform.core.locks import hold
from sprint_platform.engines.duckdb_file import connect, warehouse_lock
from sprint_platform.engines.load import load_partitions
from sprint_platform.landing.deliveries import DeliveryError, ledger_path
from sprint_platform.landing.fault_ledger import load_ledger
from sprint_platform.landing.land import land
from sprint_platform.operations.landed import load_landed
from sprint_platform.operations.score import UNSEEN, Score, score
from sprint_platform.places import data_dir
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.storage.partitions import partition_days, read_manifest
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.telemetry.dirt import EXPECTED
from sprint_platform.title import Title
from sprint_platform_tests.dirty_titles import DRIFT, RATES, deliver_days, ledger_rows, muddy
from sprint_platform_tests.worlds import LAUNCH, SIMULATED, days_from

DAYS = days_from(LAUNCH, 5)
LAST = DAYS[-1]


def land_and_load(title: Title) -> None:
    land(title)
    with hold(warehouse_lock(), "test"), connect() as con:
        load_landed(con, title)
        for dataset in SIMULATED:
            manifests = {
                day: manifest
                for day in partition_days(title.name, dataset)
                if (manifest := read_manifest(title.name, dataset, day))
            }
            load_partitions(con, title_ledger(title.name), DATASETS[dataset], manifests)


def figures(result: Score) -> dict[str, tuple[float | None, float | None]]:
    return {fault.fault: (fault.precision, fault.recall) for fault in result.faults}


PERFECT = {fault: (None, None) if fault in UNSEEN else (1.0, 1.0) for fault in EXPECTED}


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By format, the data folder into which a title with every fault was delivered."""
    folders = {}
    for file_format in ("csv", "ndjson"):
        folders[file_format] = tmp_path_factory.mktemp(file_format) / "data"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SPRINT_DATA_DIR", str(folders[file_format]))
            deliver_days(muddy(300, **DRIFT, format=file_format), DAYS)
    return folders


def deliver_again(delivered: Path, days: list[date]) -> None:
    """Puts what was delivered on these days into the data folder, as ``deliver_days`` would."""
    for day in days:
        for path in sorted(delivered.rglob(f"delivered={day}*")):
            to = data_dir() / path.relative_to(delivered)
            to.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if path.is_dir() else shutil.copy)(path, to)


@pytest.mark.parametrize(
    ("order", "file_format"), [("in order", "csv"), ("out of order", "ndjson"), ("at once", "csv")]
)
def test_every_fault_that_a_contract_sees_is_found(
    data_folder: Path, deliveries: dict[str, Path], file_format: str, order: str
) -> None:
    title = muddy(300, **DRIFT, format=file_format)
    if order == "at once":
        deliver_again(deliveries[file_format], DAYS)
        land_and_load(title)
    else:
        for day in DAYS if order == "in order" else [DAYS[n] for n in (3, 0, 4, 2, 1)]:
            deliver_again(deliveries[file_format], [day])
            land_and_load(title)
            if order == "in order":
                # what comes later takes nothing away from what was found
                result = score(title)
                assert {fault: PERFECT[fault] for fault in figures(result)} == figures(result)
                assert result.unexplained == 0
    result = score(title)
    assert figures(result) == PERFECT
    assert result.unexplained == 0
    assert list(result.days) == DAYS
    for fault in result.faults:
        assert fault.recorded + fault.hidden == len(ledger_rows(DAYS, fault=fault.fault)) > 0
        # the last day's files have another column's name: what is in them is hidden
        of_last = [row for row in ledger_rows([LAST], fault=fault.fault) if row["file"]]
        assert fault.hidden == (0 if fault.fault == "renamed_column" else len(of_last))


def test_parquet_deliveries_score_too(data_folder: Path) -> None:
    rates = {"late": 0.05, "duplicate": 0.05, "negative_amount": 0.05, "null_session_end": 0.05}
    title = muddy(100, **rates, clock_skew=0.05, out_of_order=0.05, format="parquet")
    deliver_days(title, DAYS)
    land_and_load(title)
    assert figures(score(title)) == {
        fault: PERFECT[fault] for fault in (*rates, "clock_skew", "out_of_order")
    }


@given(data=st.data())
@settings(max_examples=6)
def test_any_dirt_in_any_order_is_found(data: st.DataObject) -> None:
    rate = st.sampled_from([0.0, 0.02, 0.1, 0.4])
    rates = {name: data.draw(rate, name) for name in RATES if name != "late_days"}
    landing = {
        "datasets": list(SIMULATED),
        "reject_limit": 1,
        "session_tolerance_seconds": data.draw(st.sampled_from([0, 30, 86_400])),
    }
    title = muddy(
        data.draw(st.sampled_from([3, 40, 100]), "players"),
        landing,
        **rates,
        late_days=data.draw(st.integers(1, 5), "late_days"),
        renamed_column_from=data.draw(st.sampled_from([None, None, DAYS[3]]), "renamed"),
        format=data.draw(st.sampled_from(["csv", "ndjson"]), "format"),
    )
    order = data.draw(st.permutations(DAYS[:4]), "order")
    step = data.draw(st.sampled_from([1, 2, 4]), "days a landing")
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", folder)
        for start in range(0, 4, step):
            deliver_days(title, order[start : start + step])
            land_and_load(title)
        result = score(title)
    assert result.unexplained == 0
    for fault in result.faults:
        if fault.unseen is None:
            assert (fault.fault, fault.found, fault.right) == (
                fault.fault,
                fault.recorded,
                fault.recorded,
            )


@pytest.mark.parametrize("seed", range(1, 4))
def test_clocks_that_are_off_over_midnight_are_found_once(data_folder: Path, seed: int) -> None:
    # a skewed heartbeat lies on the day before its session's or the day after, beyond the end of
    # any session, and its session's day is opened again by the day before
    title = muddy(40, clock_skew=0.05).model_copy(update={"seed": seed})
    for day in (DAYS[1], DAYS[0]):
        deliver_days(title, [day])
        land_and_load(title)
    result = score(title)
    assert (figures(result), result.unexplained) == ({"clock_skew": (1.0, 1.0)}, 0)


@pytest.fixture(scope="module")
def landed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of ``scored``, to be copied."""
    folder = tmp_path_factory.mktemp("landed") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(folder))
        title = muddy(**DRIFT)
        deliver_days(title, DAYS)
        land_and_load(title)
        assert figures(score(title)) == PERFECT
    return folder


@pytest.fixture
def scored(data_folder: Path, landed_folder: Path) -> Title:
    """A title whose deliveries are landed and loaded, and score 1.0."""
    shutil.copytree(landed_folder, data_folder)
    return muddy(**DRIFT)


def broken(statement: str) -> None:
    with hold(warehouse_lock(), "test"), connect() as con:
        con.execute(statement)


HALF = "row % 2 = 0"


@pytest.mark.parametrize(
    ("statement", "fault", "precision_falls", "recall_falls"),
    [
        (f"delete from muddy_raw.rejected where {HALF}", "malformed", False, True),
        (f"delete from muddy_raw.rejected where {HALF}", "null_session_end", False, True),
        (f"delete from muddy_raw.rejected where {HALF}", "clock_skew", False, True),
        ("delete from muddy_raw.rejected", "negative_amount", None, True),
        ("update muddy_raw.rejected set row = row + 1", "malformed", True, True),
        ("update muddy_raw.rejected set reason = 'unparseable'", "malformed", True, False),
        ("delete from muddy_raw.duplicates where first_row % 2 = 0", "duplicate", False, True),
        ("update muddy_raw.duplicates set last_row = last_row + 1", "duplicate", True, False),
        ("insert into muddy_raw.event_session from muddy_raw.event_session", "late", True, True),
        (
            "update muddy_raw.event_heartbeat set event_date = event_date + 1",
            "out_of_order",
            True,
            True,
        ),
        ("delete from muddy_raw.event_heartbeat", "late", False, True),
        ("update muddy_raw.landed_files set notes = null", "new_column", None, True),
        (
            "update muddy_raw.landed_files set reason = 'empty_file'",
            "renamed_column",
            None,
            True,
        ),
        (
            "update muddy_raw.landed_files set status = 'refused', reason = 'wrong_header'"
            " where file like 'sessions%'",
            "renamed_column",
            True,
            False,
        ),
    ],
)
def test_a_broken_pipeline_scores_less(
    scored: Title,
    statement: str,
    fault: str,
    precision_falls: bool | None,
    recall_falls: bool,
) -> None:
    broken(statement)
    precision, recall = figures(score(scored))[fault]
    if precision_falls is None:
        assert precision is None
    else:
        assert (precision < 1) == precision_falls if precision is not None else False
    assert recall is not None
    assert (recall < 1) == recall_falls


def test_a_record_rejected_without_a_fault_is_counted(scored: Title) -> None:
    broken(
        "insert into muddy_raw.rejected (dataset, file, row, reason)"
        f" select 'signons', 'signons/delivered={LAUNCH}/signons.csv', 1 + n, 'unknown_value'"
        " from range(3) as numbers(n)"
    )
    result = score(scored)
    assert result.unexplained == 3
    assert figures(result) == PERFECT


def test_files_of_a_studio_beside_the_deliveries_do_not_count(scored: Title) -> None:
    broken(
        "insert into muddy_raw.rejected (dataset, file, row, reason)"
        " values ('sessions', 'sessions/by-hand/sessions.csv', 1, 'unparseable')"
    )
    result = score(scored)
    assert (figures(result), result.unexplained) == (PERFECT, 0)


def test_a_mapping_that_names_both_columns_reads_the_renamed_files(data_folder: Path) -> None:
    both = {"player_id": ["player_id", "user_id"]}
    landing = {
        "datasets": list(SIMULATED),
        "reject_limit": 1,
        "mapping": {"columns": dict.fromkeys(SIMULATED, both)},
    }
    title = muddy(landing=landing, **DRIFT)
    deliver_days(title, DAYS)
    land_and_load(title)
    result = score(title)
    assert figures(result) == {f: s for f, s in PERFECT.items() if f != "renamed_column"}
    assert not any(fault.hidden for fault in result.faults)


def test_only_the_asked_days_are_scored(scored: Title) -> None:
    result = score(scored, DAYS[1], DAYS[2])
    assert list(result.days) == DAYS[1:3]
    for fault in result.faults:
        assert fault.recorded == len(ledger_rows(DAYS[1:3], fault=fault.fault))
    assert {fault: PERFECT[fault] for fault in figures(result)} == figures(result)


def test_what_is_not_there_is_named_in_one_line(data_folder: Path) -> None:
    title = muddy()
    with pytest.raises(DeliveryError, match="nothing of muddy was delivered"):
        score(title)
    deliver_days(title, DAYS[:2])
    with pytest.raises(DeliveryError, match=r"has not landed sessions.*: sprint land --title"):
        score(title)
    land(title)
    with hold(warehouse_lock(), "test"), connect() as con:
        load_landed(con, title)
    with pytest.raises(DeliveryError, match="was landed, but the warehouse has not loaded it"):
        score(title)
    land_and_load(title)
    assert score(title).unexplained == 0
    # the same day with other faults: another file, and another ledger
    deliver_days(muddy(late=0.1), DAYS[:1])
    with pytest.raises(DeliveryError, match="has not landed"):
        score(title)


def test_a_ledger_is_loaded_by_replacing_its_day(data_folder: Path) -> None:
    title = muddy()
    deliver_days(title, DAYS[:2])
    with hold(warehouse_lock(), "test"), connect() as con:
        first = load_ledger(con, "muddy", DAYS[:1])
        both = load_ledger(con, "muddy", DAYS[:2])
        assert 0 < first < both == len(ledger_rows(DAYS[:2]))
        # again, and a day that was never delivered
        assert load_ledger(con, "muddy", [DAYS[1], DAYS[3]]) == both - first
        ledger_path("muddy", DAYS[0]).write_bytes(b"no parquet")
        with pytest.raises(duckdb.Error):
            load_ledger(con, "muddy", DAYS[:2])
        rows = con.execute("select count(*) from muddy_truth.fault_ledger").fetchone()
        assert rows == (both,)


# -- the command --------------------------------------------------------------------------------


@pytest.fixture
def yaml_title(titles_folder: Path) -> None:
    title = muddy(**DRIFT).model_dump_json()
    # JSON is YAML
    (titles_folder / "muddy.yaml").write_text(title, encoding="utf-8")


@pytest.mark.usefixtures("yaml_title")
def test_the_command_prints_a_line_per_fault(scored: Title) -> None:
    result = CliRunner().invoke(app, ["score", "--title", "muddy"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    lines = {words[1]: words for line in result.output.splitlines() if (words := line.split())[2:]}
    for fault in EXPECTED:
        assert fault in lines
    assert lines["malformed"].count("1.000") == 2
    assert "leaves no trace" in result.output


@pytest.mark.usefixtures("yaml_title")
def test_the_command_ends_with_one_line(data_folder: Path) -> None:
    for arguments, line in (
        (["--title", "sprint"], "has no faults"),
        (["--title", "muddy"], "nothing of muddy was delivered"),
        (["--title", "muddy", "--from", "2025-02-01", "--to", "2025-01-01"], "lies before --from"),
    ):
        result = CliRunner().invoke(app, ["score", *arguments])
        assert result.exit_code == 1
        assert isinstance(result.exception, SprintError)
        assert line in str(result.exception)
