"""Partition files: whole or not there, whatever happens on the way; and the digest that says so."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest
from filelock import FileLock, Timeout
from hypothesis import given, settings
from hypothesis import strategies as st

from sprint_platform.places import project_root
from sprint_platform.simulation.world import World
from sprint_platform.storage import partitions
from sprint_platform.storage.digest import Digest, digest_table
from sprint_platform.storage.partitions import (
    PartitionError,
    partition_days,
    partition_dir,
    read_manifest,
    read_partition,
    write_partition,
)
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform_tests.worlds import LAUNCH, SIMULATED, days_from, table

DAY = LAUNCH + timedelta(days=1)


@pytest.fixture(scope="module")
def beats(sprint: World) -> pa.Table:
    """A day of heartbeats, about 19,000."""
    return table(sprint, "heartbeats", DAY).combine_chunks()


def pieces(records: pa.Table, size: int = 1000) -> list[pa.Table]:
    return [records.slice(start, size) for start in range(0, records.num_rows, size)]


def read(dataset: str = "heartbeats", day: date = DAY) -> Digest:
    """The digest of what a reader finds."""
    return sum((digest_table(part) for part in read_partition("sprint", dataset, day)), Digest())


def files() -> set[str]:
    return {path.name for path in partition_dir("sprint", "heartbeats", DAY).iterdir()}


def listed() -> set[str]:
    manifest = read_manifest("sprint", "heartbeats", DAY)
    assert manifest is not None
    return {part.name for part in manifest.parts}


# -- what is written is what is read ----------------------------------------------------------


@pytest.mark.parametrize("dataset", SIMULATED)
def test_records_come_back_as_they_were(data_folder: Path, sprint: World, dataset: str) -> None:
    records = table(sprint, dataset, LAUNCH)
    manifest = write_partition("sprint", dataset, LAUNCH, pieces(records, 300), "somewhere")
    back = pa.concat_tables(read_partition("sprint", dataset, LAUNCH))
    assert back.schema == DATASETS[dataset].arrow_schema
    assert back.equals(records)
    assert manifest == read_manifest("sprint", dataset, LAUNCH)
    assert (manifest.rows, manifest.source) == (records.num_rows, "somewhere")
    assert manifest.digest == str(digest_table(records))
    assert manifest.bytes == sum(path.stat().st_size for path in manifest.paths)
    assert partition_dir("sprint", dataset, LAUNCH).is_relative_to(data_folder)


def test_parts_are_cut_by_rows_and_named_for_their_content(
    data_folder: Path, beats: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = write_partition("sprint", "heartbeats", DAY, [beats], "")
    # a part ends with a table, and these have a thousand rows each
    rows = beats.num_rows // 4 // 1_000 * 1_000 + 1_000
    monkeypatch.setattr(partitions, "ROWS_PER_PART", rows)
    cut = write_partition("sprint", "heartbeats", DAY, pieces(beats), "")
    assert [part.rows for part in cut.parts] == [rows, rows, rows, beats.num_rows - 3 * rows]
    assert (cut.digest, cut.rows) == (whole.digest, whole.rows)
    assert len({part.name for part in cut.parts} | {part.name for part in whole.parts}) == 5
    assert read() == digest_table(beats)


@pytest.mark.parametrize("tables", [[], ["empty"], ["empty", "empty"]])
def test_an_empty_day_is_a_partition_without_rows(data_folder: Path, tables: list[str]) -> None:
    nothing = DATASETS["heartbeats"].arrow_schema.empty_table()
    manifest = write_partition("sprint", "heartbeats", DAY, [nothing for _ in tables], "s")
    assert (manifest.rows, manifest.parts, manifest.bytes) == (0, (), 0)
    assert manifest.digest == f"v1-0-{0:032x}"
    assert read_manifest("sprint", "heartbeats", DAY) == manifest
    assert list(read_partition("sprint", "heartbeats", DAY)) == []


def test_a_day_that_became_empty_has_no_parts_after_the_next_write(
    data_folder: Path, beats: pa.Table
) -> None:
    write_partition("sprint", "heartbeats", DAY, [beats], "")
    write_partition("sprint", "heartbeats", DAY, [], "")
    assert read() == Digest()
    write_partition("sprint", "heartbeats", DAY, [], "")
    assert files() - {".lock"} == {"manifest.json"}


def test_the_days_that_have_a_partition(data_folder: Path, beats: pa.Table) -> None:
    assert partition_days("sprint", "heartbeats") == []
    for day in (DAY, LAUNCH, date(2026, 1, 1)):
        write_partition("sprint", "heartbeats", day, [beats.slice(0, 5)], "")
    partition_dir("sprint", "heartbeats", date(2025, 5, 5)).mkdir()  # a write that never ended
    (data_folder / "raw/sprint/heartbeats/event_date=2025-01-01 copy").mkdir()
    assert partition_days("sprint", "heartbeats") == [LAUNCH, DAY, date(2026, 1, 1)]
    assert partition_days("leap", "heartbeats") == []


# -- what must not happen ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t.drop(["team_id"]),
        lambda t: t.rename_columns(["id", *t.column_names[1:]]),
        lambda t: t.select([*t.column_names[1:], t.column_names[0]]),
        lambda t: t.set_column(2, "team_id", t["team_id"].cast(pa.int32())),
        lambda t: t.append_column("more", t["team_id"]),
        lambda t: t.cast(pa.schema([f.with_nullable(True) for f in t.schema])),
    ],
    ids=["a column less", "another name", "another order", "another type", "more", "nullable"],
)
def test_records_of_another_schema_are_refused(
    data_folder: Path, beats: pa.Table, spoil: Callable[[pa.Table], pa.Table]
) -> None:
    write_partition("sprint", "heartbeats", DAY, [beats], "")
    with pytest.raises(PartitionError, match=r"^[^\n]*have the columns \[[^\n]*contract says \["):
        write_partition("sprint", "heartbeats", DAY, [beats.slice(0, 9), spoil(beats)], "")
    assert read() == digest_table(beats)


def test_a_missing_value_is_refused(data_folder: Path, beats: pa.Table) -> None:
    write_partition("sprint", "heartbeats", DAY, [beats], "")
    team = pa.array([None, *beats["team_id"].to_pylist()[1:]], pa.int16())
    holed = beats.set_column(2, beats.schema.field(2), team)
    with pytest.raises(PartitionError, match=r"^[^\n]*column team_id[^\n]*$"):
        write_partition("sprint", "heartbeats", DAY, [beats.slice(0, 10), holed], "")
    assert read() == digest_table(beats)


def torn(records: pa.Table, after: int) -> Iterator[pa.Table]:
    yield from pieces(records)[:after]
    raise RuntimeError("the power of the simulation failed")


@pytest.mark.parametrize("after", [0, 1, 6, 12])
@pytest.mark.parametrize("reversed_rows", [False, True])
def test_an_exception_leaves_the_old_partition_and_the_next_write_sweeps(
    data_folder: Path,
    beats: pa.Table,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
    reversed_rows: bool,
) -> None:
    monkeypatch.setattr(partitions, "ROWS_PER_PART", 5_000)
    old = write_partition("sprint", "heartbeats", DAY, pieces(beats), "old")
    # the same records in another order within each part: other bytes under the same digest
    again = beats
    if reversed_rows:
        order = np.concatenate([np.arange(5_000)[::-1], np.arange(5_000, beats.num_rows)])
        again = beats.take(pa.array(order))
    with pytest.raises(RuntimeError, match="power"):
        write_partition("sprint", "heartbeats", DAY, torn(again, after), "new")
    assert read_manifest("sprint", "heartbeats", DAY) == old
    assert read() == digest_table(beats)
    assert not [name for name in files() if name.endswith(".tmp")]
    new = write_partition("sprint", "heartbeats", DAY, [beats.slice(0, 100)], "new")
    assert read() == digest_table(beats.slice(0, 100))
    # parts that a reader may still have open go one write later
    write_partition("sprint", "heartbeats", DAY, [beats.slice(0, 100)], "new")
    assert files() - {".lock"} == {"manifest.json", *(part.name for part in new.parts)}


WRITER = """
import sys
from datetime import date
from sprint_platform.storage import partitions
from sprint_platform.simulation.world import World
partitions.ROWS_PER_PART = 3_000
day, dataset, seed_day, pause_after = date.fromisoformat(sys.argv[1]), *sys.argv[2:]
def tables():
    (records,) = World.load("sprint").heartbeats(date.fromisoformat(seed_day))
    for number, start in enumerate(range(0, records.num_rows, 1000)):
        if number == int(pause_after):
            print("inside", flush=True)
            sys.stdin.readline()
        yield records.slice(start, 1000)
print("starting", flush=True)
manifest = partitions.write_partition("sprint", dataset, day, tables(), seed_day)
print(manifest.digest, flush=True)
"""


def writer(records_of: date, pause_after: int) -> subprocess.Popen[str]:
    """A process that writes DAY with another day's records, and waits for a line on the way."""
    return subprocess.Popen(
        [
            sys.executable, "-c", WRITER,
            DAY.isoformat(), "heartbeats", records_of.isoformat(), str(pause_after),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=project_root(),
    )  # fmt: skip


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_killed_writer_leaves_the_old_partition(data_folder: Path, beats: pa.Table) -> None:
    old = write_partition("sprint", "heartbeats", DAY, [beats], "old")
    with writer(LAUNCH, pause_after=11) as child:
        assert [line(child), line(child)] == ["starting", "inside"]
        # whole parts and half a part lie there, and nobody lists them: of ten tables or of eleven,
        # as the next is made while one is written
        leftovers = files() - listed() - {"manifest.json", ".lock", ".lock.holder.json"}
        assert {Path(name).suffix for name in leftovers} == {".parquet", ".tmp"}
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert read_manifest("sprint", "heartbeats", DAY) == old
    assert read() == digest_table(beats)
    write_partition("sprint", "heartbeats", DAY, [beats], "new")
    assert files() - {".lock"} == {"manifest.json", *listed()}
    assert read() == digest_table(beats)


def test_two_writers_of_a_day_end_with_one_whole_partition(data_folder: Path) -> None:
    with writer(LAUNCH, pause_after=5) as one:
        assert [line(one), line(one)] == ["starting", "inside"]
        # the first is in the middle: a second one would sweep its parts away, so it has to wait
        with pytest.raises(Timeout):
            FileLock(partition_dir("sprint", "heartbeats", DAY) / ".lock").acquire(timeout=0)
        with writer(LAUNCH + timedelta(days=5), pause_after=0) as other:
            assert line(other) == "starting"
            ends = [child.communicate("on\n")[0].split()[-1] for child in (one, other)]
            assert (one.returncode, other.returncode) == (0, 0)
    assert len(set(ends)) == 2
    manifest = read_manifest("sprint", "heartbeats", DAY)
    assert manifest is not None
    assert manifest.digest == ends[1]
    assert str(read()) == manifest.digest


def spoil_missing(path: Path) -> None:
    path.unlink()


def spoil_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def spoil_long(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def spoil_footer(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-60] + bytes(60))


def spoil_pages(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:2000] + bytes(4000) + content[6000:])


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (spoil_missing, "is missing"),
        (spoil_short, r"has \d+ bytes, not \d+"),
        (spoil_long, r"has \d+ bytes, not \d+"),
        (spoil_footer, "is damaged"),
        (spoil_pages, "is damaged"),
    ],
    ids=["missing", "short", "long", "footer", "pages"],
)
def test_a_damaged_part_is_one_line_that_names_it(
    data_folder: Path, beats: pa.Table, spoil: Callable[[Path], None], what: str
) -> None:
    manifest = write_partition("sprint", "heartbeats", DAY, [beats], "")
    spoil(manifest.paths[0])
    path = re.escape(str(manifest.paths[0]))
    with pytest.raises(
        PartitionError, match=rf"^{path} {what}: materialize sprint/heartbeats for {DAY} again$"
    ):
        list(read_partition("sprint", "heartbeats", DAY))
    # and doing what it says helps
    write_partition("sprint", "heartbeats", DAY, [beats], "")
    assert read() == digest_table(beats)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", "null", "7", '{"contract_version": 1}', "\x00\x01", None],
)
def test_a_damaged_manifest_is_one_line_and_can_be_made_again(
    data_folder: Path, beats: pa.Table, text: str | None
) -> None:
    write_partition("sprint", "heartbeats", DAY, [beats], "")
    path = partition_dir("sprint", "heartbeats", DAY) / "manifest.json"
    if text is None:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        del manifest["parts"][0]["rows"]
        text = json.dumps(manifest)
    path.write_text(text, encoding="utf-8")
    for attempt in (
        lambda: list(read_partition("sprint", "heartbeats", DAY)),
        lambda: read_manifest("sprint", "heartbeats", DAY),
    ):
        with pytest.raises(PartitionError, match=r"^[^\n]*manifest\.json is damaged: materialize"):
            attempt()
    write_partition("sprint", "heartbeats", DAY, [beats], "")
    assert read() == digest_table(beats)


def test_a_partition_of_another_contract_counts_as_missing(
    data_folder: Path, beats: pa.Table
) -> None:
    write_partition("sprint", "heartbeats", DAY, [beats], "")
    path = partition_dir("sprint", "heartbeats", DAY) / "manifest.json"
    for version in ("contract_version", "format_version"):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(manifest | {version: manifest[version] + 1}), encoding="utf-8")
        assert read_manifest("sprint", "heartbeats", DAY) is None
        with pytest.raises(PartitionError, match=f"no partition {DAY} of sprint/heartbeats: mat"):
            list(read_partition("sprint", "heartbeats", DAY))
        write_partition("sprint", "heartbeats", DAY, [beats], "")
        assert read() == digest_table(beats)


def test_a_missing_partition_says_what_to_do(data_folder: Path) -> None:
    assert read_manifest("sprint", "signons", DAY) is None
    with pytest.raises(
        PartitionError,
        match=r"^there is no partition 2025-01-02 of sprint/signons: materialize it first$",
    ):
        list(read_partition("sprint", "signons", DAY))


# -- the digest -------------------------------------------------------------------------------

moments = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1))
ROWS = st.fixed_dictionaries(
    {
        "transaction_id": st.uuids(),
        "player_id": st.uuids(),
        "event_datetime": moments,
        "purchase_item": st.text(max_size=12),
        "purchase_price": st.integers(0, 10**9 - 1).map(lambda cents: Decimal(cents) / 100),
        "currency": st.sampled_from(["USD", "EUR", ""]),
        "is_recurring": st.booleans(),
        "cycle": st.sampled_from(["M", "Y", "", None]),
        "transaction_type": st.text(st.characters(codec="utf-8"), max_size=4),
    }
)
SCHEMA = pa.schema([f.with_nullable(True) for f in DATASETS["transactions"].arrow_schema])


def records(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, SCHEMA)


@given(st.lists(ROWS, max_size=8), st.randoms(use_true_random=False), st.integers(1, 8))
def test_a_digest_does_not_see_order_or_slices(
    rows: list[dict[str, Any]], chance: Any, size: int
) -> None:
    expected = digest_table(records(rows))
    shuffled = list(rows)
    chance.shuffle(shuffled)
    assert digest_table(records(shuffled)) == expected
    assert sum((digest_table(part) for part in pieces(records(rows), size)), Digest()) == expected
    halves = pa.concat_tables(pieces(records(rows), size)) if rows else records([])
    assert digest_table(halves) == expected
    assert expected.rows == len(rows)


def changed(value: Any) -> st.SearchStrategy[Any]:
    """Another value of the same column."""
    if value is None or isinstance(value, str):
        edits = st.sampled_from(["", "M", "a", "aa", None]) | st.text(max_size=5)
        if value:
            edits |= st.just(value[::-1]) | st.just(value + "\0") | st.just(value[:-1])
    elif isinstance(value, bool):
        edits = st.just(not value) | st.none()
    elif isinstance(value, UUID):
        edits = st.integers(0, 127).map(lambda bit: UUID(int=value.int ^ (1 << bit)))
    elif isinstance(value, Decimal):
        edits = st.sampled_from([Decimal("0.01"), Decimal(1), Decimal("-0.01")]).map(
            lambda cents: max(Decimal(0), value + cents) % 10**7
        )
    else:
        assert isinstance(value, datetime)
        edits = st.sampled_from([1, 1000, 10**6, 86_400 * 10**6]).map(
            lambda micros: value + timedelta(microseconds=micros)
        )
    return edits.filter(lambda edited: edited != value)


@given(st.lists(ROWS, min_size=1, max_size=5), st.data())
@settings(max_examples=200)
def test_a_digest_sees_any_changed_cell(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.sampled_from(SCHEMA.names))
    edited = [dict(values) for values in rows]
    edited[row][column] = data.draw(changed(rows[row][column]))
    assert digest_table(records(edited)) != digest_table(records(rows))


@given(ROWS, ROWS)
def test_twins_do_not_cancel(row: dict[str, Any], twin: dict[str, Any]) -> None:
    digests = {
        digest_table(records(rows)): str(digest_table(records(rows)))
        for rows in ([row], [row, twin, twin], [row, row, row], [row, twin], [row, row], [])
    }
    assert len(digests) == len(set(digests.values())) == (6 if row != twin else 4)


def test_a_digest_sees_cells_that_change_places(beats: pa.Table) -> None:
    x, y = (beats.schema.get_field_index(f"position_{axis}") for axis in "xy")
    swapped = beats.set_column(x, beats.schema.field(x), beats["position_y"])
    swapped = swapped.set_column(y, beats.schema.field(y), beats["position_x"])
    assert digest_table(swapped) != digest_table(beats)
    # a column of another name is another column, however long the names are alike
    named = beats.rename_columns(
        [{"position_z": "position_w"}.get(name, name) for name in beats.column_names]
    )
    assert digest_table(named) != digest_table(beats)
    # one value of two rows exchanged: the rows are others
    team = beats["team_id"].to_numpy().copy()
    other = int(np.flatnonzero(team != team[0])[0])
    team[[0, other]] = team[[other, 0]]
    exchanged = beats.set_column(2, beats.schema.field(2), pa.array(team))
    assert digest_table(exchanged) != digest_table(beats)


def test_a_long_column_of_words_has_the_digest_of_its_pieces(sprint: World) -> None:
    # columns of few words are hashed once a word: that must not show
    players = table(sprint, "dim_players", days_from(LAUNCH, 60))
    bought = table(sprint, "transactions", days_from(LAUNCH, 60))
    for whole in (players, bought):
        assert whole.num_rows > 300
        one_by_one = sum((digest_table(part) for part in pieces(whole, 7)), Digest())
        assert digest_table(whole.combine_chunks()) == one_by_one


def test_a_digest_is_written_down(sprint: World) -> None:
    # part of the file format: an edit that changes it changes DIGEST_VERSION too
    row = {
        "transaction_id": UUID(int=1),
        "player_id": UUID(int=2**127),
        "event_datetime": datetime(2025, 1, 1, tzinfo=UTC).replace(tzinfo=None),
        "purchase_item": "SKU-1000",
        "purchase_price": Decimal("9.99"),
        "currency": "USD",
        "is_recurring": True,
        "cycle": None,
        "transaction_type": "BattlePass",
    }
    digested = str(digest_table(records([row, row | {"cycle": "M", "is_recurring": False}])))
    assert digested == GOLDEN
    assert str(Digest(1, 2**64 - 1, 5) + Digest(2, 1, 2**64 - 1)) == f"v1-3-{0:016x}{4:016x}"


GOLDEN = "v1-2-c53bb78b6e763275d6380a84fc5b9a87"
