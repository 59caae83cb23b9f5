"""Dirt on purpose: the ledger says everything that is wrong with what is delivered, and no more."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from sprint_platform.core.project import installed_root
from sprint_platform.landing.deliveries import (
    DeliveryError,
    delivered_days,
    delivered_files,
    ledger_path,
    renamed_is_mapped,
    write_delivery,
)
from sprint_platform.landing.record_lines import csv_header, csv_lines, ndjson_lines
from sprint_platform.operations.deliver import deliver
from sprint_platform.places import project_root
from sprint_platform.simulation.faults import AWAY, delivered
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.telemetry.dirt import Dirtied
from sprint_platform.title import Title, TitleError
from sprint_platform_tests.dirty_titles import (
    DRIFT,
    RATES,
    Row,
    clean_rows,
    deliver_days,
    delivered_paths,
    file_rows,
    ledger_rows,
    muddy,
    world_of,
)
from sprint_platform_tests.worlds import LAUNCH, SIMULATED, days_from, table

DAYS = days_from(LAUNCH, 4)
# late records of the last of DAYS come until then
UNTIL = days_from(LAUNCH, 4 + RATES["late_days"])


def key(dataset: str, row: Row) -> str:
    return "/".join(str(row[name]) for name in DATASETS[dataset].key)


def moment(text: str | None) -> datetime:
    assert text is not None
    return datetime.fromisoformat(text)


# -- the ledger and the files -------------------------------------------------------------------


@pytest.fixture(scope="module")
def delivered_in(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A data folder for each format of text, with the same title delivered in it."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("csv", "ndjson")}
    with pytest.MonkeyPatch.context() as patch:
        for name, folder in folders.items():
            patch.setenv("SPRINT_DATA_DIR", str(folder))
            deliver_days(muddy(format=name), UNTIL)
    return folders


@pytest.mark.parametrize("file_format", ["csv", "ndjson"])
@pytest.mark.parametrize("dataset", SIMULATED)
def test_what_the_ledger_does_not_name_is_as_it_was_simulated(
    delivered_in: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    dataset: str,
    file_format: str,
) -> None:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(delivered_in[file_format]))
    title = muddy(format=file_format)
    left = Counter(
        (day, tuple(row.items())) for day in UNTIL for row in clean_rows(title, dataset, day)
    )
    clean = set(left)
    for day in UNTIL:
        rows = file_rows(f"{dataset}/delivered={day}/{dataset}.{file_format}")
        entries = {e["row"]: e for e in ledger_rows([day], dataset=dataset) if e["row"]}
        assert max(entries, default=0) <= len(rows)
        for number, row in enumerate(rows, 1):
            fault = entries[number]["fault"] if number in entries else None
            own_day = entries[number]["event_date"] if fault == "late" else day
            if fault in (None, "late", "out_of_order"):
                assert (own_day, tuple(row.items())) in clean
                left[own_day, tuple(row.items())] -= 1
            elif fault == "duplicate":
                assert row in rows[: number - 1]
            else:
                assert (day, tuple(row.items())) not in clean
    assert min(left.values()) >= 0
    # what is left of the first days are the records that the ledger names as dropped or spoilt
    gone = [key(dataset, dict(row)) for day, row in left.elements() if day in DAYS]
    spoilt = [
        entry["record"]
        for entry in ledger_rows(UNTIL, dataset=dataset)
        if entry["event_date"] in DAYS and entry["expected"] in ("absent", "rejected")
    ]
    assert sorted(gone) == sorted(spoilt)
    assert len(gone) > 5


def test_every_fault_is_what_the_ledger_says(data_folder: Path) -> None:
    title = muddy(300, **DRIFT)
    deliver_days(title, UNTIL)
    seen: Counter[str] = Counter()
    sessions = {
        key("sessions", row): row for day in UNTIL for row in clean_rows(title, "sessions", day)
    }
    amounts = {
        key("transactions", row): row["purchase_price"]
        for day in UNTIL
        for row in clean_rows(title, "transactions", day)
    }
    for day in UNTIL:
        for dataset in SIMULATED:
            rows = file_rows(f"{dataset}/delivered={day}/{dataset}.csv")
            for row in rows:
                assert row.get("client_version") == (
                    "2.0.0" if day >= DRIFT["new_column_from"] else None
                )
                assert ("user_id" in row) == (day >= DRIFT["renamed_column_from"])
                row["player_id"] = row.pop("user_id", row.get("player_id"))
            delivered_keys = {key(dataset, row) for row in rows}
            for entry in ledger_rows([day], dataset=dataset):
                fault, record = entry["fault"], entry["record"]
                seen[fault] += 1
                assert entry["delivered"] == day
                if fault in ("new_column", "renamed_column"):
                    assert (entry["row"], record) == (None, None)
                    assert entry["file"] == f"{dataset}/delivered={day}/{dataset}.csv"
                    continue
                late = (day - entry["event_date"]).days
                assert (1 <= late <= 2) if fault == "late" else late == 0
                if fault == "dropped":
                    assert (entry["file"], entry["row"]) == (None, None)
                    assert record not in delivered_keys
                    continue
                row = rows[entry["row"] - 1]
                if fault == "malformed":
                    assert (
                        sum(
                            not parses(column.type, row[column.name])
                            for column in DATASETS[dataset].columns
                        )
                        == 1
                    )
                    continue
                if fault == "clock_skew":
                    part = sessions["/".join(record.split("/")[:2])]
                    skew = moment(row["event_datetime"]) - moment(record.split("/")[2])
                    assert skew % timedelta(hours=1) == timedelta(0)
                    assert not (
                        moment(part["started_at"])
                        <= moment(row["event_datetime"])
                        <= moment(part["event_datetime"])
                    )
                    continue
                assert key(dataset, row) == record
                if fault == "null_session_end":
                    assert row["event_datetime"] is None
                elif fault == "negative_amount":
                    assert Decimal(str(row["purchase_price"])) == -Decimal(str(amounts[record])) < 0
                elif fault == "overlapping_session":
                    assert record not in sessions
                    of_player = [
                        other
                        for name, other in sessions.items()
                        if other["player_id"] == row["player_id"]
                        and moment(other["started_at"]) <= moment(row["started_at"])
                        and moment(row["started_at"]) < moment(other["event_datetime"])
                    ]
                    assert len(of_player) == 1
                    assert str(row["started_at"])[:10] == str(entry["event_date"])
                    length = moment(row["event_datetime"]) - moment(row["started_at"])
                    assert length.total_seconds() == int(str(row["event_length_seconds"]))
    assert set(seen) == {
        *(fault for contract in DATASETS.values() for fault in contract.faults),
        "new_column",
        "renamed_column",
    }
    assert min(seen.values()) >= 5


def parses(kind: str, text: str | None) -> bool:
    if text is None:
        return True
    try:
        if kind == "timestamp":
            datetime.fromisoformat(text)
        elif kind in ("integer", "small"):
            int(text)
        elif kind in ("position", "money"):
            return Decimal(text).is_finite()
    except (ValueError, InvalidOperation):
        return False
    return True


def test_at_most_one_fault_befalls_a_record(data_folder: Path) -> None:
    deliver_days(muddy(300), UNTIL)
    counts = Counter(
        (row["dataset"], row["record"], row["event_date"]) for row in ledger_rows(UNTIL)
    )
    assert len(counts) > 500
    assert set(counts.values()) == {1}


def test_rates_are_met(data_folder: Path) -> None:
    faults = deliver_days(muddy(1_500), [LAUNCH])[LAUNCH].faults
    beats = table(world_of(muddy(1_500)), "heartbeats", LAUNCH).num_rows
    of = Counter(row["fault"] for row in ledger_rows([LAUNCH], dataset="heartbeats"))
    assert faults["clock_skew"] == of["clock_skew"]
    # of some 27,000 heartbeats; those of sessions that are away have no faults (18 %)
    for fault, rate, before in (("dropped", 0.04, 1), ("clock_skew", 0.02, 0.96 * 0.95 * 0.96)):
        assert of[fault] / beats == pytest.approx(rate * before * 0.83, rel=0.15)


def test_heartbeats_of_a_session_that_is_away_have_no_faults_of_their_own(
    data_folder: Path,
) -> None:
    deliver_days(muddy(300), UNTIL)
    away = {row["record"] for row in ledger_rows(UNTIL, dataset="sessions") if row["fault"] in AWAY}
    parts = {row["record"].rsplit("/", 1)[0] for row in ledger_rows(UNTIL, dataset="heartbeats")}
    assert len(away) > 20
    assert not away & parts


def test_records_of_order_move_and_the_others_keep_theirs(data_folder: Path) -> None:
    title = muddy(out_of_order=0.05)
    deliver_days(title, [LAUNCH])
    clean = [key("heartbeats", row) for row in clean_rows(title, "heartbeats", LAUNCH)]
    dirty = [
        key("heartbeats", row) for row in file_rows(f"heartbeats/delivered={LAUNCH}/heartbeats.csv")
    ]
    moved = {row["record"] for row in ledger_rows([LAUNCH], dataset="heartbeats")}
    assert [k for k in clean if k not in moved] == [k for k in dirty if k not in moved]
    before = dict(zip(clean, [None, *clean], strict=False))
    now = dict(zip(dirty, [None, *dirty], strict=False))
    assert len(moved) > 100
    # alone among its neighbours a record stands behind another one than before
    assert sum(before[k] == now[k] for k in moved) <= len(moved) // 100


def test_a_title_without_rates_delivers_what_is_simulated(data_folder: Path) -> None:
    title = muddy(late=0)
    deliver_days(title, [LAUNCH])
    assert ledger_rows([LAUNCH]) == []
    for dataset in SIMULATED:
        rows = file_rows(f"{dataset}/delivered={LAUNCH}/{dataset}.csv")
        assert rows == clean_rows(title, dataset, LAUNCH)


@pytest.mark.parametrize("fault", [name for name in RATES if name != "late_days"])
def test_a_fault_of_every_record(data_folder: Path, fault: str) -> None:
    title = muddy(60, **{fault: 1})
    deliveries = deliver_days(title, UNTIL)
    assert all(set(day.faults) <= {fault} for day in deliveries.values())
    hit = {dataset for dataset in SIMULATED if ledger_rows(UNTIL, dataset=dataset)}
    assert hit == {dataset for dataset in SIMULATED if fault in DATASETS[dataset].faults} - (
        # its session is away
        {"heartbeats"} if fault in AWAY else set()
    )
    if fault == "dropped":
        assert not [path for path in delivered_paths() if "sessions" in str(path)]


# -- the same, whoever makes it -----------------------------------------------------------------


def digests() -> dict[str, str]:
    return {
        str(path.relative_to(path.parents[3])): hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in delivered_paths()
    }


def test_days_delivered_in_any_order_are_the_same_bytes(data_folder: Path) -> None:
    title = muddy(**DRIFT)
    deliver_days(title, UNTIL)
    first, times = digests(), [path.stat().st_mtime_ns for path in delivered_paths()]
    ledger = {day: ledger_path("muddy", day).read_bytes() for day in UNTIL}
    # each day in a world of its own, backwards; a file that is there already is left alone
    for day in reversed(UNTIL):
        deliver_days(title, [day])
    assert digests() == first
    assert [path.stat().st_mtime_ns for path in delivered_paths()] == times
    assert {day: ledger_path("muddy", day).read_bytes() for day in UNTIL} == ledger


# the bytes of all files of a small title; they change with the records (SIMULATION_VERSION), with
# how they are written, and those of Parquet with pyarrow's version
GOLDEN = {
    "csv": "9c5d16d603385ed072920538a24cfd0b",
    "ndjson": "5ce7e36dd94c4b4c00627e2d43e353d0",
    "parquet": "8f845fea88878fb086f6ab990b3f819a",
}


@pytest.mark.parametrize("file_format", ["csv", "ndjson", "parquet"])
def test_golden_bytes(data_folder: Path, file_format: str) -> None:
    rates = {**RATES, "malformed": 0} if file_format == "parquet" else RATES
    title = muddy(100, **rates, **DRIFT, format=file_format)
    deliver_days(title, UNTIL)
    digest = hashlib.blake2b(digest_size=16)
    for path in delivered_paths():
        digest.update(path.read_bytes())
    assert digest.hexdigest() == GOLDEN[file_format]


@pytest.mark.parametrize("dataset", SIMULATED)
def test_which_records_are_dirty_does_not_depend_on_the_tables(dataset: str) -> None:
    title = muddy(300)
    records = table(world_of(title), dataset, LAUNCH)

    def dirty(later: int, tables: Iterator[pa.Table]) -> set[str]:
        return {
            f"{fault.fault} {row}"
            for part in tables
            for fault in delivered(title, dataset, part, LAUNCH, later).faults
            for row in fault.keys.to_pylist()
        }

    for later in range(3):
        parts = (records.slice(start, 37) for start in range(0, records.num_rows, 37))
        assert dirty(later, iter([records])) == dirty(later, parts)


def test_one_rate_leaves_the_other_faults_where_they_are(data_folder: Path) -> None:
    def records_by_fault() -> dict[str, set[str]]:
        return {
            fault: {row["record"] for row in ledger_rows([LAUNCH], fault=fault)}
            for fault in ("dropped", "clock_skew", "duplicate", "out_of_order")
        }

    deliver_days(muddy(**RATES), [LAUNCH])
    before = records_by_fault()
    deliver_days(muddy(**{**RATES, "duplicate": 0.1}), [LAUNCH])
    after = records_by_fault()
    assert after["dropped"] == before["dropped"]
    assert after["clock_skew"] == before["clock_skew"]
    assert after["duplicate"] > before["duplicate"]
    # a record has one fault: of two that befall it, the ledger names the first
    assert before["out_of_order"] - after["out_of_order"] <= after["duplicate"]
    assert after["out_of_order"] < before["out_of_order"]


# -- files --------------------------------------------------------------------------------------


def test_parquet_files_hold_the_contracts_values(data_folder: Path) -> None:
    title = muddy(**{**RATES, "malformed": 0}, format="parquet")
    deliver_days(title, [LAUNCH])
    for dataset in SIMULATED:
        path = data_folder / f"landing/muddy/{dataset}/delivered={LAUNCH}/{dataset}.parquet"
        rows = pq.read_table(path)
        assert rows.column_names == [column.name for column in DATASETS[dataset].columns]
        dirty = {row["row"] for row in ledger_rows([LAUNCH], dataset=dataset)}
        clean = {tuple(row.items()) for row in clean_rows(title, dataset, LAUNCH)}
        plain = [
            tuple((name, text(value)) for name, value in row.items()) for row in rows.to_pylist()
        ]
        assert all(row in clean for number, row in enumerate(plain, 1) if number not in dirty)


def text(value: object) -> str | None:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


def test_text_that_needs_quotes_is_read_back() -> None:
    names = ["plain", 'a "quoted" name', "comma, too", "semi;colon", "back\\slash", "", None, "né"]
    rows = pa.table(
        {
            "name": pa.array(names, pa.string()),
            "kills": pa.array(range(len(names)), pa.int32()),
            "price": pa.array([Decimal("1.50")] * len(names), pa.decimal32(9, 2)),
        }
    )
    garbage = {"kills": {2: "#REF!", 0: "0x1F"}}
    expected = ["0x1F", "1", "#REF!", *map(str, range(3, len(names)))]
    # a slice: buffers do not begin where the values do
    for start in (0, 3):
        part = rows.slice(start)
        wrong = garbage if start == 0 else {}
        written = bytes(csv_header(rows.column_names)) + bytes(csv_lines(part, wrong))
        read = list(csv.DictReader(io.StringIO(written.decode(), newline="")))
        assert [row["name"] for row in read] == [name or "" for name in names[start:]]
        assert [row["kills"] for row in read] == expected[start:]
        lines = bytes(ndjson_lines(part, wrong)).decode().splitlines()
        records = [json.loads(line, parse_float=Decimal) for line in lines]
        assert [row["name"] for row in records] == names[start:]
        assert [str(row["kills"]) for row in records] == expected[start:]
        assert {row["price"] for row in records} == {Decimal("1.50")}


def test_a_delivery_that_fails_leaves_the_files_as_they_were(data_folder: Path) -> None:
    title = muddy()
    deliver_days(title, [LAUNCH])
    before = digests()
    records = table(world_of(title), "sessions", LAUNCH)

    def interrupted() -> Iterator[tuple[date, Dirtied]]:
        yield LAUNCH, delivered(title, "sessions", records, LAUNCH, 0)
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        write_delivery(title, LAUNCH, {"sessions": interrupted()})
    assert digests() == before


def test_the_ledger_lists_the_days_files(data_folder: Path) -> None:
    title = muddy()
    deliveries = deliver_days(title, [DAYS[2], DAYS[0]])
    assert delivered_days("muddy") == [DAYS[0], DAYS[2]]
    assert deliveries[DAYS[0]].files == tuple(
        file.name for file in delivered_files("muddy", DAYS[0])
    )
    for file in delivered_files("muddy", DAYS[0]):
        path = data_folder / "landing" / "muddy" / file.name
        assert file.digest == hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        assert file.rows == len(file_rows(file.name))
    with pytest.raises(DeliveryError, match="delivered nothing on 2025-01-02"):
        delivered_files("muddy", DAYS[1])


def test_another_format_for_days_that_lie_there_is_refused(data_folder: Path) -> None:
    deliver_days(muddy(), [LAUNCH])
    with pytest.raises(DeliveryError, match=r"holds .*\.csv, but faults\.format is now ndjson"):
        deliver_days(muddy(format="ndjson"), [LAUNCH])


def test_what_cannot_be_delivered_is_refused_in_one_line(data_folder: Path) -> None:
    for settings, message in (
        ({"malformed": 0.1, "format": "parquet"}, "use csv or ndjson"),
        ({"clock_skew": 0.1, "landing": {"datasets": ["heartbeats"]}}, "lacks them"),
    ):
        with pytest.raises(ValidationError, match=message):
            muddy(**settings)
    with pytest.raises(TitleError, match="launches on 2025-01-01"):
        deliver(muddy(), LAUNCH - timedelta(days=1))
    assert delivered_paths() == []


def test_only_delivered_datasets_have_files(data_folder: Path) -> None:
    title = muddy(landing={"datasets": ["sessions", "heartbeats"]}, dropped=0.1)
    deliver_days(title, [LAUNCH])
    assert {path.parents[1].name for path in delivered_paths()} == {"sessions", "heartbeats"}


def test_the_documented_title_is_one(titles_folder: Path) -> None:
    page = (project_root() / "docs" / "dirt.md").read_text(encoding="utf-8")
    example, mapping = (part.split("```")[0] for part in page.split("```yaml\n")[1:])
    shipped = (installed_root() / "examples" / "titles" / "muddy.yaml").read_text(encoding="utf-8")
    assert example in shipped
    (titles_folder / "muddy.yaml").write_text(example + mapping, encoding="utf-8")
    title = Title.load("muddy")
    assert title.faults is not None
    assert all(getattr(title.faults, name) for name in (*RATES, *DRIFT))
    assert all(renamed_is_mapped(title, dataset) for dataset in SIMULATED)
