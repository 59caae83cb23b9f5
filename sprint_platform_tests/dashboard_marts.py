"""A small published folder for the dashboard's tests: marts of known numbers, in the columns that
dbt's models declare, written by the project's own publication.

Players and money follow plain formulas of the day's number and the country's place, so that a test
may ask SQL for what a page should say. Heartbeats are those of the simulation, of one day.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import yaml

from sprint_platform.operations.realism import report
from sprint_platform.places import dbt_project_dir
from sprint_platform.simulation.world import World
from sprint_platform.storage.partitions import write_partition
from sprint_platform.title import Title
from sprint_platform_tests.built_marts import note_days, publish_built

FIRST = date(2025, 1, 1)
LAST = date(2025, 3, 1)
REPLAY_DAY = date(2025, 2, 20)
COUNTRIES = ("BR", "DE", "US", "ZZ")

# What each mart's rows are, of the table `days` (calendar_date, n from 0) and `places` (country, k
# from 1). Formulas, not simulation: they differ by day and country, and none of them is zero.
MARTS = {
    "kpi_daily": """
        with figures as (
            select calendar_date, country, n, k,
                30 * k + n % 7 + n // 6 as active_players, 1 + (n + k) % 3 as new_players,
                5 * k + n % 4 as payers
            from days cross join places
        )
        select *,
            active_players + 8 * k as weekly_active_players,
            active_players + 20 * k as monthly_active_players,
            active_players / (active_players + 20 * k) as stickiness,
            active_players - new_players as returning_players,
            2 * active_players + n % 5 as sessions,
            (900 + 7 * n) * active_players as play_time_seconds,
            (2 * active_players + n % 5) / active_players as sessions_per_active_player,
            900 + 7 * n as play_time_per_active_player,
            payers * (3 + k) + n + 0.25 as revenue, payers + n % 3 as purchases,
            (payers * (3 + k) + n + 0.25)::double / active_players as arpdau,
            (payers * (3 + k) + n + 0.25)::double / payers as arppu,
            payers / active_players as payer_conversion
        from figures
    """,
    "cohort_retention": """
        select calendar_date as signup_date, country, day_number,
            calendar_date + day_number as calendar_date, 1 + (n + k) % 3 as cohort_players,
            (n + k + day_number) % (2 + (n + k) % 3) as retained_players,
            ((n + k + day_number) % (2 + (n + k) % 3)) / (1 + (n + k) % 3) as retention
        from days cross join places
        cross join (values (1), (3), (7), (14), (30), (60)) t(day_number)
        where n + day_number < {days}
    """,
    "cohort_revenue": """
        select calendar_date as signup_date, country, day_number,
            calendar_date + day_number as calendar_date, 1 + (n + k) % 3 as cohort_players,
            1 as payers, k + 0.5 as revenue, (day_number + 1) * (k + 0.5) as cumulative_revenue,
            ((day_number + 1) * (k + 0.5))::double / (1 + (n + k) % 3) as lifetime_value
        from days cross join places
        cross join (select unnest(range(0, 91))::int as day_number) where n + day_number < {days}
    """,
    "concurrency_5_minutes": """
        select calendar_date + to_minutes(5 * slot) as slot_started_at, calendar_date,
            10 + n % 5 + abs(144 - slot) // 9 as players_online, 26 + n % 5 as day_peak
        from days cross join (select unnest(range(0, 288))::int as slot)
    """,
    "spender_concentration_monthly": """
        select distinct date_trunc('month', calendar_date)::date as year_month, 250 as payers,
            1000.5 as revenue, 3 as top_1_percent_payers, 120 as top_1_percent_revenue,
            0.12 as top_1_percent_share, 25 as top_10_percent_payers,
            480 as top_10_percent_revenue, 0.48 as top_10_percent_share
        from days
    """,
    "player_rfm_monthly": """
        select uuid() as player_id, year_month, country, 3 * k as recency_days, k as frequency,
            10 * k as monetary, 3 as recency_score, 3 as frequency_score, 3 as monetary_score,
            case when k = 1 then 'champions' when k = 2 then 'loyal' else 'lapsing' end as segment
        from (select distinct date_trunc('month', calendar_date)::date as year_month from days)
        cross join places cross join range(0, 5)
    """,
    "encounter_rates_daily": """
        select calendar_date as calendar_day, 40 + n % 3 as sessions, 100 + n as encounters,
            36000 + 3600 * (n % 2) as session_seconds, 12000 as encounter_seconds,
            (100 + n) / (40 + n % 3) as encounters_per_session,
            -- on every fourth day 7 were in sessions whose length is not known
            (100 + n - if(n % 4 = 0, 7, 0)) / (10 + n % 2) as encounters_per_session_hour
        from days
    """,
    "position_heat_daily": """
        select calendar_date, x as cell_x, y as cell_y, 20 * x as x_from, 20 * y as y_from,
            20 as cell_side, 50 - x * x - y * y + n % 3 as heartbeats
        from days cross join range(-5, 5) a(x) cross join range(-5, 5) b(y)
    """,
    # teams meet as the simulation's heartbeats say, with the distance and gap written out
    "stage_encounters": """
        with centroids as (
            select session_id, team_id, event_datetime, avg(position_x) as x, avg(position_y) as y,
                avg(position_z) as z
            from heartbeats group by all
        ),
        close as (
            select one.session_id, one.team_id as team_1_id, two.team_id as team_2_id,
                one.event_datetime as beat,
                sqrt((one.x - two.x) ** 2 + (one.y - two.y) ** 2 + (one.z - two.z) ** 2) as apart
            from centroids as one join centroids as two using (session_id, event_datetime)
            where one.team_id < two.team_id and apart <= {distance}
        ),
        numbered as (
            select *, sum(starts) over (partition by {pair} order by beat) as number
            from (
                select *, if(beat - lag(beat) over (partition by {pair} order by beat)
                    <= to_seconds({gap}), 0, 1) as starts
                from close
            )
        )
        select {pair}, min(beat) as encounter_start, max(beat) + to_seconds(30) as encounter_end,
            count(*) as close_heartbeats, min(apart) as min_distance,
            date '{replay_day}' as event_date
        from numbered group by {pair}, number
    """,
    "session_close_encounters_daily": """
        with counted as (
            select session_id, count(*) as encounters,
                sum(epoch(encounter_end - encounter_start)) as seconds
            from {title}_stage.stage_{word}s group by session_id
        )
        select session_id, date '{replay_day}' as calendar_day,
            coalesce(encounters, 0) as close_encounter_count,
            coalesce(seconds, 0) as total_encounter_seconds
        from (select distinct session_id from heartbeats) left join counted using (session_id)
    """,
}  # fmt: skip


def declared_columns(model: str) -> dict[str, str]:
    """The columns of a title's model and their types, as dbt's contract of it declares them."""
    (path,) = (dbt_project_dir() / "models" / "title").glob(f"*/{model}.yml")
    declared = yaml.safe_load(path.read_text(encoding="utf-8"))["models"][0]
    # sums of seconds are whole where beats are
    return {
        column["name"]: "bigint" if "{{" in column["data_type"] else column["data_type"]
        for column in declared["columns"]
    }


def relation_of(title: str, table: str) -> str:
    """The table in the schema that dbt builds it in."""
    return f"{title}_{'stage' if table.startswith('stage_') else 'mart'}.{table}"


def build_marts(con: duckdb.DuckDBPyConnection, world: World) -> list[str]:
    """Makes the title's marts in a database of the test's own, and its heartbeats' partition;
    returns what there is to publish."""
    title = world.title
    days = (LAST - FIRST).days + 1
    con.execute(
        "create or replace table days as select (date '2025-01-01' + n::int) as calendar_date, n"
        f" from range({days}) t(n)"
    )
    con.execute("create or replace table places (country varchar, k integer)")
    con.executemany(
        "insert into places values (?, ?)", [[c, k + 1] for k, c in enumerate(COUNTRIES)]
    )
    beats = list(world.heartbeats(REPLAY_DAY))
    write_partition(title.name, "heartbeats", REPLAY_DAY, beats, world.source("heartbeats"))
    con.register("beats", beats[0])
    con.execute("create or replace table heartbeats as select * from beats")
    con.execute(f"create schema {title.name}_stage")
    con.execute(f"create schema {title.name}_mart")
    made = []
    for model, query in MARTS.items():
        columns = declared_columns(model)
        relation = relation_of(title.name, model.replace("encounter", title.encounters.word))
        typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        con.execute(f"create table {relation} ({typed})")
        rows = query.format(
            days=days,
            replay_day=REPLAY_DAY,
            distance=title.encounters.distance,
            gap=title.encounters.gap_seconds,
            pair="session_id, team_1_id, team_2_id",
            title=title.name,
            word=title.encounters.word,
        )
        con.execute(
            f"insert into {relation} by name select {', '.join(columns)} from ({rows}) as made"
        )
        made.append(relation)
    return made


def build_rejects(con: duckdb.DuckDBPyConnection, title: str) -> str:
    """What landing refused of the title: 3 sessions a day, and on every third day 5 heartbeats in
    their place."""
    con.execute(
        f"create table {title}_mart.landing_rejects_daily as select calendar_date as event_date,"
        " if(n % 3 = 0, 'heartbeats', 'sessions') as dataset,"
        " if(n % 3 = 0, 'outside of the grid', 'starts after it ends') as reason,"
        " if(n % 3 = 0, 5, 3) as records from days"
    )
    return f"{title}_mart.landing_rejects_daily"


def publish_marts(folder: Path, names: tuple[str, ...] = ("sprint", "leap")) -> None:
    """Publishes these titles' marts; ``folder`` holds the database that they are made in, and
    SPRINT_DATA_DIR says where they are published."""
    for name in names:
        path = folder / f"{name}.duckdb"
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path)) as con:
            marts = build_marts(con, World.load(name))
            if name == "leap":
                marts.append(build_rejects(con, name))
            note_days(
                con, name, [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
            )
            publish_built(con, name, marts, by_month=True)
            if name == "sprint":
                # most of its rows are not measured: of leap's nobody asked for one
                report(con, Title.load(name))


def change_mart(folder: Path, title: str, statement: str, relation: str) -> None:
    """Runs a statement on the title's marts and publishes one of them anew, as a run would."""
    with duckdb.connect(str(folder / f"{title}.duckdb")) as con:
        con.execute(statement)
        publish_built(con, title, [relation], by_month=True)


def publish_few(title: str, queries: dict[str, str], days: Iterable[date] = ()) -> None:
    """Publishes these marts of a title that is no other test's, each as a query has it: columns
    that are declared but not in the query are null. What landing refused has no declaration.
    ``days`` are noted as built."""
    with duckdb.connect() as con:
        note_days(con, title, days)
        for mart, query in queries.items():
            relation = relation_of(title, mart)
            con.execute(f"create schema if not exists {relation.partition('.')[0]}")
            if mart == "landing_rejects_daily":
                con.execute(f"create table {relation} as {query}")
                publish_built(con, title, [relation], whole=True)
                continue
            typed = ", ".join(f"{name} {kind}" for name, kind in declared_columns(mart).items())
            con.execute(f"create table {relation} ({typed})")
            con.execute(f"insert into {relation} by name {query}")
            publish_built(con, title, [relation], by_month=True)
