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

from sprint_platform.eventlog.warehouse import LEDGER as EVENTLOG
from sprint_platform.operations.realism import report
from sprint_platform.places import dbt_project_dir
from sprint_platform.publish.marts import Mart, publish
from sprint_platform.simulation.world import World
from sprint_platform.storage.ledger import Ledger, title_ledger
from sprint_platform.storage.partitions import write_partition
from sprint_platform.storefront.duckdb_target import LEDGER as STOREFRONT
from sprint_platform.title import Title
from sprint_platform_tests.built_marts import note_built, note_days, publish_built

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


def declared_columns(model: str, domain: str = "title") -> dict[str, str]:
    """The columns of a domain's model and their types, as dbt's contract of it declares them."""
    (path,) = (dbt_project_dir() / "models" / domain).glob(f"*/{model}.yml")
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
            days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
            note_days(con, title_ledger(name), days)
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
        note_days(con, title_ledger(title), days)
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


# The store: 40 days without the 10th to 12th, on each of which two countries order, as a formula
# has it; three products, of which the first is out of stock on the last day.
STORE_DAYS = [FIRST + timedelta(days=n) for n in range(40) if not 9 <= n < 12]
_STORE_DAYS = (
    "(select day, (day - date '2025-01-01')::int as n from"
    f" (select unnest({[str(day) for day in STORE_DAYS]})::date as day))"
)
STORE = {
    "daily_sales": f"""
        select day as order_date, country as ship_country, 10 * k + n % 3 as orders,
            1 as cancelled_orders, k as returned_orders, 25 * k as pieces, 500 * k as gross,
            50 * k as discount, 300 * k + n as revenue, 9 * k as customers,
            2 as new_customer_orders
        from {_STORE_DAYS} cross join (values ('US', 2), ('BR', 1)) t(country, k)
    """,
    "conversion_funnel": f"""
        select day as event_date, device, 100 * k + n as sessions, 60 * k as product_views,
            24 * k as carts, 18 * k as checkouts, 12 * k as purchases
        from {_STORE_DAYS} cross join (values ('mobile', 2), ('desktop', 1)) t(device, k)
    """,
    "customer_cohorts": """
        select cohort_month, months_since, 100 as customers, 40 - 20 * months_since as
            active_customers, (40 - 20 * months_since) / 100 as active_share,
            if(months_since = 0, 15, null) as cumulative_revenue_per_customer
        from (values (date '2025-01-01', 0), ('2025-01-01', 1), ('2025-02-01', 0))
            t(cohort_month, months_since)
    """,
    "customer_lifetime_value": """
        select n as customer_id, if(n < 3, 'loyal', 'none') as segment, if(n < 3, 6, 0) as
            kept_orders, if(n < 3, 200, 0) as revenue, if(n < 3, n + 1, null) as revenue_decile
        from range(10) t(n)
    """,
    "player_value": """
        select uuid() as player_id, n as customer_id, true as in_game_known, 30 as in_game_spending,
            50 as store_spending, if(n = 0, 'store', null) as first_purchase_in from range(4) t(n)
    """,
    "product_performance": """
        select k as product_id, month as sales_month, 'Mug ' || k as product_name,
            if(k = 3, 'Games', 'Apparel') as category, 4 * k as orders, 37 * k as pieces,
            0 as cancelled_pieces, k as returned_pieces, 1000 * k as revenue, 400 * k as margin
        from (values (1), (2), (3)) t(k)
        cross join (values (date '2025-01-01'), ('2025-02-01')) m(month)
    """,
    "review_summary": """
        select k as product_id, 10 as reviews, 4.0 - k as average_rating, 0.2 as one_star_share,
            0.0 as two_star_share, 0.0 as three_star_share, 0.0 as four_star_share,
            0.8 as five_star_share, 9 as verified_reviews from (values (1), (2)) t(k)
    """,
    "stock_on_hand": f"""
        select k as product_id, day as stock_date, if(k = 3, 'Games', 'Apparel') as category,
            case when k = 1 and n = 39 then 0 when k = 2 and n = 12 then null else 20 * k end
                as closing_stock, 5 as unit_cost, closing_stock * 5 as stock_value
        from {_STORE_DAYS} cross join (values (1), (2), (3)) t(k)
    """,
}
# The event log: batches 1 and 3 of 31 days each, whose story has three chapters.
_BATCHES = """
    (select batch, first + n::int as day, n from range(31) t(n)
    cross join (values (1, date '2011-01-13'), (3, date '2011-03-16')) b(batch, first))
"""
EVENT_LOG = {
    "dim_players": "select 'player_' || batch || '_' || n as player_id, 5 as sessions,"
    f" batch as load_batch_id from {_BATCHES}",
    "fct_sessions": f"""
        select 'session_' || batch || '_' || n as session_id, 'player_' || n as player_id,
            day as session_date, 600 * batch as duration_seconds, 20 * batch as events,
            batch as load_batch_id
        from {_BATCHES}
    """,
    "daily_active_players": f"""
        select day as calendar_date, platform, 40 + n as active_players, 10 as new_players,
            30 + n as returning_players, 50 as sessions, 6000 as play_time_seconds
        from {_BATCHES} cross join (values ('pc'), ('ps3')) p(platform)
    """,
    "funnel_sessions": f"""
        select day as session_date, 'pc' as platform, 'easy' as difficulty, step_number, step,
            50 - 10 * step_number as sessions, 40 as sessions_started
        from {_BATCHES} cross join (values (1, 'game_started'), (2, 'chapter_started'),
            (3, 'chapter_completed')) s(step_number, step)
    """,
    "funnel_chapters": """
        select batch as load_batch_id, chapter, ['The Gate', 'The Mill', 'The Sea'][chapter] as
            chapter_name, platform, difficulty, started as players_started, completed as
            players_completed, 2 * started as attempts, deaths, stopped as players_stopped
        from (values (1, 100, 90, 30, 10), (2, 90, 60, 180, 40), (3, 50, 45, 40, 50))
            c(chapter, started, completed, deaths, stopped)
        cross join (values (1, 'pc', 'easy'), (3, 'ps3', 'hard')) b(batch, platform, difficulty)
    """,
    "retention": f"""
        select batch as load_batch_id, day as cohort_date, 'pc' as platform, 'easy' as difficulty,
            day_number, 10 as cohort_players,
            if(day_number = 0, 10, 4 - day_number // 10) as retained_players
        from {_BATCHES} cross join (values (0), (1), (7), (14), (30)) d(day_number)
        where n + day_number < 31
    """,
}


def publish_domain(domain: str, queries: dict[str, str], days: Iterable[date] = ()) -> None:
    """Publishes these marts of the ``storefront`` or the ``eventlog``, each in one file as a query
    has it: columns that are declared but not in the query are null. ``days`` are noted as built."""
    ledger: Ledger = {"storefront": STOREFRONT, "eventlog": EVENTLOG}[domain]
    with duckdb.connect() as con:
        con.execute("create schema made")
        note_days(con, ledger, days)
        for name, query in queries.items():
            columns = declared_columns(name, domain).items()
            con.execute(f"create table made.{name} ({', '.join(map(' '.join, columns))})")
            con.execute(f"insert into made.{name} by name {query}")
        marts = [Mart(f"made.{name}", f"{domain}_mart") for name in queries]
        for mart in marts:
            note_built(con, ledger, mart)
        publish(con, ledger, marts)
