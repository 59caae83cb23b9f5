"""What a materialization shows of its table: a picture and some rows, of the run's last day."""

from __future__ import annotations

import base64
import copy
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg
import duckdb
import numpy as np
import pytest
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)
from PIL import Image

from sprint_platform.engines.duckdb_file import connect
from sprint_platform.operations.pictures import TITLE_LETTERS, Picture, bars
from sprint_platform.orchestration import build
from sprint_platform.orchestration.glances import Glance, model_glance, sample
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.title import Title
from sprint_platform.transform.dbt_manifest import graph_manifest
from sprint_platform_tests.small_titles import CONFLICTS, small_title

# nobody buys anything
POOR = small_title(
    "tiny",
    60,
    seed=11,
    encounters=CONFLICTS,
    spending="{pass_share: 0, clusters: {none: {share: 1}}}",
)
FIRST, LAST = "2025-01-01", "2025-01-02"


@dataclass(frozen=True)
class Run:
    """A run of two days of a title in which nobody buys; its events by type, and its lines."""

    result: dg.ExecuteInProcessResult
    events: Counter[str]
    lines: list[str]

    def metadata(self, asset: str, day: str) -> dict[str, Any]:
        [found] = [
            m.metadata
            for m in materializations(self.result)
            if m.asset_key.path[-1] == asset and m.partition == day
        ]
        return dict(found)


@pytest.fixture(scope="module", autouse=True)
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A data folder and titles of the file's own."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "titles").mkdir()
    (folder / "titles" / "tiny.yaml").write_text(POOR)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(folder / "data"))
        patch.setenv("SPRINT_TITLES_DIR", str(folder / "titles"))
        yield


@pytest.fixture(scope="module")
def run() -> Run:
    # models of what players do next say how many weeks are missing
    return ran(dg.AssetSelection.all() - dg.AssetSelection.groups("tiny_ml"), FIRST, LAST)


def ran(selection: dg.AssetSelection, first: str, last: str) -> Run:
    definitions = build.build_definitions([Title.load("tiny")])
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [asset for asset in definitions.assets or [] if isinstance(asset, dg.AssetsDefinition)],
            selection=selection,
            tags={ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last},
            resources={"warehouse": Warehouse()},
            instance=instance,
        )
        logged = instance.all_logs(result.run_id)
    events = Counter(e.dagster_event.event_type_value for e in logged if e.dagster_event)
    return Run(result, events, [e.user_message for e in logged if not e.dagster_event])


def materializations(result: dg.ExecuteInProcessResult) -> list[dg.AssetMaterialization]:
    events = result.filter_events(lambda event: event.is_step_materialization)
    return [event.step_materialization_data.materialization for event in events]


def rows(query: str) -> list[tuple]:
    with connect() as con:
        return con.execute(query).fetchall()


def decoded(value: Any, kind: str) -> bytes:
    """The picture in a metadata value, which is Markdown."""
    [encoded] = re.findall(rf"^!\[[^]]+\]\(data:image/{kind};base64,([^)]+)\)", str(value.value))
    return base64.b64decode(encoded)


def column_heights(svg: str) -> list[float]:
    """The heights of the columns from left to right."""
    return [float(height) for height in re.findall(r" \d+v-([\d.]+)h", svg)]


def written(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


# -- a run of two days ----------------------------------------------------------------------------


def test_sessions_show_the_last_days_hours(run: Run) -> None:
    svg = decoded(run.metadata("sessions", LAST)["picture"], r"svg\+xml").decode()
    started = rows(
        "select hour(started_at), count(*) from (select session_id, min(started_at) as started_at"
        f" from tiny_raw.event_session where event_date = '{LAST}' group by session_id)"
        " group by 1 order by 1"
    )
    counts = np.array([count for _, count in started])
    assert len(set(counts)) > 1
    heights = np.array(column_heights(svg))
    assert np.allclose(heights / heights.max(), counts / counts.max(), atol=0.01)
    assert written(svg)[:2] == ["Sessions started, by hour (UTC)", LAST]
    assert str(started[0][0]) in written(svg)


def test_heartbeats_show_the_last_days_positions(run: Run) -> None:
    shown = run.metadata("heartbeats", LAST)["positions"]
    picture = Image.open(io.BytesIO(decoded(shown, "png")))
    [cells] = re.findall(r"of (\d+) × \1 cells", str(shown.value))
    side = int(cells)
    assert f"of {len(positions()):,} heartbeats" in str(shown.value)
    shades = np.array(picture.resize((side, side), Image.Resampling.NEAREST))
    counts = np.zeros((side, side))
    for x, y in positions():
        # the field is 200 units wide; the picture's first line is the highest y
        cell_x = min(int((x + 100) * side // 200), side - 1)
        cell_y = min(int((y + 100) * side // 200), side - 1)
        counts[side - 1 - cell_y, cell_x] += 1
    by_count = shades.flatten()[np.argsort(counts, axis=None, kind="stable")].astype(int)
    assert (np.diff(by_count) >= 0).all(), "a cell with more heartbeats is not darker"
    assert (shades.min(), shades.max()) == (0, 255)


def positions() -> list[tuple]:
    return rows(
        f"select position_x, position_y from tiny_raw.event_heartbeat where event_date = '{LAST}'"
    )


def test_a_mart_shows_its_period_by_what_its_yaml_says(run: Run) -> None:
    svg = decoded(run.metadata("country_monthly_playtime", LAST)["picture"], r"svg\+xml").decode()
    title, month, *labels = written(svg)
    assert (title, month) == ("Hours played, by country", "2025-01")
    hours = rows(
        "select country, sum(total_play_time_seconds) / 3600 from tiny_mart.player_activity_daily"
        " group by 1 order by 2 desc"
    )
    assert labels == [text for name, value in hours for text in (name, f"{value:,.4g}")]


def test_a_mart_shows_its_first_rows(run: Run) -> None:
    metadata = run.metadata("player_activity_daily", LAST)
    stored = rows(
        "select * from tiny_mart.player_activity_daily"
        f" where calendar_date = '{LAST}' order by player_id"
    )
    assert metadata["dagster/partition_row_count"].value == len(stored)
    shown = {record.data["column"]: record.data for record in metadata["sample"].records}
    for n, (player, day, country, seconds, *_) in enumerate(stored[:5], 1):
        assert str(player).startswith(shown["player_id"][str(n)].removesuffix("…"))
        assert shown["calendar_date"][str(n)] == str(day)
        assert shown["country"][str(n)] == country
        assert shown["total_play_time_seconds"][str(n)] == seconds


def test_a_range_shows_its_last_day_only(run: Run) -> None:
    shown = {
        (m.asset_key.path[-1], m.partition, name)
        for m in materializations(run.result)
        for name in m.metadata
        if name in ("picture", "positions", "sample")
    }
    assert {day for _, day, _ in shown} == {LAST}
    drawn = {asset for asset, _, name in shown if name in ("picture", "positions")}
    assert drawn >= {
        *("signons", "sessions", "heartbeats", "player_activity_daily", "player_stats_lifetime"),
        *("conflict_summary_daily", "session_close_conflicts_daily"),
        *("country_monthly_playtime", "player_consecutive_days_monthly"),
    }
    assert drawn <= {asset for asset, _, name in shown if name == "sample"}
    # names and years of birth are not for Dagster's history
    assert "dim_players" not in {asset for asset, _, _ in shown}


def test_a_day_without_rows_shows_nothing_and_stops_nothing(run: Run) -> None:
    assert run.result.success
    assert rows("select count(*) from tiny_raw.event_transaction") == [(0,)]
    for asset in ("transactions", "country_weekly_revenue"):
        assert not run.metadata(asset, LAST).keys() & {"picture", "sample"}


def test_showing_adds_no_event(run: Run) -> None:
    events = run.events
    daily = {m.asset_key for m in materializations(run.result) if m.partition}
    others = {m.asset_key for m in materializations(run.result) if not m.partition}
    checks = len(run.result.get_asset_check_evaluations())
    # each asset once, or once a day; an output for each asset and check; and nothing else
    assert events["ASSET_MATERIALIZATION"] == 2 * len(daily) + len(others)
    assert events["STEP_OUTPUT"] == len(daily) + len(others) + checks
    assert events["ASSET_CHECK_EVALUATION"] == checks
    assert events.keys() == {
        *("ASSET_MATERIALIZATION_PLANNED", "ASSET_CHECK_EVALUATION_PLANNED", "PIPELINE_START"),
        *("ENGINE_EVENT", "RESOURCE_INIT_STARTED", "RESOURCE_INIT_SUCCESS", "LOGS_CAPTURED"),
        *("STEP_START", "STEP_OUTPUT", "ASSET_MATERIALIZATION", "ASSET_CHECK_EVALUATION"),
        *("STEP_SUCCESS", "PIPELINE_SUCCESS"),
    }
    [line] = run.lines
    assert "files published" in line


def test_a_picture_that_cannot_be_had_is_logged_and_stops_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = copy.deepcopy(graph_manifest())
    meta = {
        name: manifest["nodes"][f"model.sprint_dbt.{name}"]["config"]["meta"]
        for name in ("player_activity_daily", "player_consecutive_days_monthly")
    }
    meta["player_activity_daily"]["picture"] = {"title": "Nobody", "x": "nobody", "y": "count(*)"}
    meta["player_consecutive_days_monthly"]["picture"] = {"title": "No place", "z": "country"}
    monkeypatch.setattr(build, "graph_manifest", lambda: manifest)
    wrong = ran(dg.AssetSelection.assets(*(["tiny", name] for name in meta)), LAST, LAST)
    assert wrong.result.success
    first, second = sorted(line for line in wrong.lines if "nothing is shown" in line)
    assert "model player_consecutive_days_monthly: a picture has title, x and y" in first
    assert "tiny_mart.player_activity_daily" in second
    assert '"nobody" not found' in second
    for name in meta:
        assert "sample" not in wrong.metadata(name, LAST)


# -- the models' YAML -----------------------------------------------------------------------------


def test_every_picture_of_a_mart_is_one() -> None:
    glances = [
        model_glance(node["name"], node)
        for node in graph_manifest()["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["schema"] == "mart"
    ]
    assert len([glance for glance in glances if glance and glance.picture]) >= 7


@pytest.mark.parametrize(
    "meta",
    [
        "country",
        {"title": "No place", "x": "country"},
        {"title": "More", "x": "country", "y": "count(*)", "colour": "red"},
        {"title": "long " * TITLE_LETTERS, "x": "country", "y": "count(*)"},
    ],
)
def test_what_is_no_picture_is_refused(meta: Any) -> None:
    with pytest.raises(ValueError, match="a picture"):
        Picture.of(meta)


# -- what is drawn --------------------------------------------------------------------------------


def table(con: duckdb.DuckDBPyConnection, periods: list[date]) -> None:
    con.execute("create table sold (period date, country varchar, paid decimal(9, 2))")
    con.executemany(
        "insert into sold values (?, ?, ?)",
        [(day, country, n + 1) for n, day in enumerate(periods) for country in ("US", "BR")],
    )


def test_a_picture_of_several_periods_ends_with_the_one_that_is_shown() -> None:
    months = [date(2024, month, 1) for month in (10, 11, 12)] + [date(2025, 1, 1)]
    picture = Picture("Paid", x="period", y="sum(paid)", periods=3)
    with duckdb.connect() as con:
        table(con, months)
        glance = Glance("sold", "period", "month", picture)
        seen = glance.read(con, date(2024, 12, 31))
        assert seen is not None
        assert {point[0] for point in seen.points} == {date(2024, m, 1) for m in (10, 11, 12)}
        shown = glance.metadata(seen, date(2024, 12, 31))["picture"]
        assert glance.read(con, date(2025, 2, 1)) is None
    svg = decoded(shown, r"svg\+xml").decode()
    heights = column_heights(svg)
    assert [height / heights[0] for height in heights] == pytest.approx([1, 2, 3], abs=0.02)
    assert written(svg)[:2] == ["Paid", "up to 2024-12"]
    assert {"Oct 2024", "Nov 2024", "Dec 2024"} <= set(written(svg))


def test_a_week_is_shown_by_its_monday() -> None:
    with duckdb.connect() as con:
        table(con, [date(2024, 12, 30)])
        glance = Glance("sold", "period", "week", Picture("Paid", x="country", y="sum(paid)"))
        seen = glance.read(con, date(2025, 1, 5))
        assert seen is not None
        assert "week of 2024-12-30" in str(glance.metadata(seen, date(2025, 1, 5))["picture"])
        assert glance.read(con, date(2025, 1, 6)) is None


def test_names_are_few_and_the_largest_and_cannot_break_the_picture() -> None:
    points = [(f"<{n}> & a name that is longer than its place", n) for n in range(20)]
    names = written(bars("Names", "2025", points))[2::2]
    assert len(names) == 12
    assert names[0].startswith("&lt;19&gt; &amp; ")
    assert names[0].endswith("…")


def test_what_has_no_number_is_not_drawn() -> None:
    picture = Picture("Share", x="day", y="share")
    assert picture.drawn([(1, None), (2, float("nan"))], "2025") is None
    drawn = picture.drawn([(1, None), (2, 3.0), (3, 6.0)], "2025")
    [encoded] = re.findall("base64,([^)]+)", str(drawn))
    low, high = column_heights(base64.b64decode(encoded).decode())
    assert high == pytest.approx(2 * low, abs=0.2)
    assert column_heights(bars("Nothing", "2025", [(1, 0), (2, 0)])) == [0, 0]


def test_a_map_puts_a_cell_where_it_lies_and_one_far_off_stays_small() -> None:
    picture = Picture("Heat", x="x", y="y", shade="n")
    drawn = picture.drawn([(-1, 5, 4), (1, 7, 16)], "2025")
    image = Image.open(io.BytesIO(decoded(dg.MetadataValue.md(str(drawn)), "png")))
    shades = np.array(image.resize((3, 3), Image.Resampling.NEAREST)).astype(int)
    # half as bright for a quarter: the lower left, and the upper right
    assert shades[0, 2] == 255
    assert abs(shades[2, 0] - 127) <= 1
    assert shades.sum() == shades[0, 2] + shades[2, 0]
    far = picture.drawn([(0, 0, 1), (3_000_000, 2_000_000, 1)], "2025")
    image = Image.open(io.BytesIO(decoded(dg.MetadataValue.md(str(far)), "png")))
    assert max(image.size) < 1000


def test_rows_are_readable() -> None:
    with duckdb.connect() as con:
        con.execute(
            "create table seen as select date '2025-01-02' as day, uuid() as id,"
            " timestamp '2025-01-02 10:00:00.123' as at, 1 / 3 as share, null::integer as none,"
            " 'nan'::double as odd"
        )
        seen = Glance("seen", "day", "day", None, in_order=False).read(con, date(2025, 1, 2))
        [(full,)] = con.execute("select id::varchar from seen").fetchall()
    assert seen is not None
    value = sample(seen)
    assert isinstance(value, dg.TableMetadataValue)
    [record] = value.records
    assert record.data == {
        "day": "2025-01-02",
        "id": f"{full[:8]}…",
        "at": str(datetime(2025, 1, 2) + timedelta(hours=10)),
        "share": 0.3333,
        "none": None,
        "odd": "nan",
    }
    assert value.schema.columns[1].type == "uuid"
