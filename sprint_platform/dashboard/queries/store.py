"""The web store: gold, as it is published in ``storefront_mart``."""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb

from sprint_platform.dashboard.published import Columns, PublishedDomain, read_columns, read_row

# The sums of days' sales, and what follows from them.
SALES = """
    coalesce(sum(orders), 0) as orders,
    coalesce(sum(cancelled_orders), 0) as cancelled_orders,
    coalesce(sum(returned_orders), 0) as returned_orders,
    coalesce(sum(orders - cancelled_orders - returned_orders), 0) as kept_orders,
    coalesce(sum(gross), 0) as gross,
    coalesce(sum(discount), 0) as discount,
    coalesce(sum(revenue), 0) as revenue,
    coalesce(sum(gross - discount - revenue), 0) as lost,
    sum(revenue)::double / nullif(sum(orders - cancelled_orders - returned_orders), 0)
        as revenue_per_order,
    sum(discount)::double / nullif(sum(gross), 0) as discount_share,
    sum(cancelled_orders) / nullif(sum(orders), 0) as cancelled_share,
    sum(returned_orders) / nullif(sum(orders), 0) as returned_share,
    sum(pieces) / nullif(sum(orders), 0) as pieces_per_order,
    sum(new_customer_orders) / nullif(sum(orders), 0) as new_customer_share
"""
STOCK = ("whole", "products", "out_of_stock", "unknown", "pieces", "worth")
# The steps of a web session, and what share of the sessions at the step before came to each.
STEPS = ("sessions", "product_views", "carts", "checkouts", "purchases")
FUNNEL = f"""
    {", ".join(f"coalesce(sum({step}), 0) as {step}" for step in STEPS)},
    sum(product_views) / nullif(sum(sessions), 0) as view_rate,
    sum(carts) / nullif(sum(product_views), 0) as cart_rate,
    sum(checkouts) / nullif(sum(carts), 0) as checkout_rate,
    sum(purchases) / nullif(sum(checkouts), 0) as purchase_rate,
    sum(purchases) / nullif(sum(sessions), 0) as conversion_rate
"""


def sales(
    con: duckdb.DuckDBPyConnection, store: PublishedDomain, first: date, last: date
) -> dict[str, Any]:
    """The sums of the days and their shares; ``days`` is how many of them there are."""
    return read_row(
        con,
        f"""
        select (select count(*) from {store.days_table} where day between $first and $last)
            as days, {SALES}
        from {store.schema}.daily_sales where order_date between $first and $last
        """,
        {"first": first, "last": last},
    )


def sales_by_period(
    con: duckdb.DuckDBPyConnection, store: PublishedDomain, first: date, last: date, grain: str
) -> Columns:
    """One row per day, week or month (``period``, its first day): its sums and shares. A day
    without orders has zeros; one that is not published has no row."""
    return read_columns(
        con,
        f"""
        select date_trunc('{grain}', day)::date as period, {SALES}
        from {store.days_table}
        left join {store.schema}.daily_sales on order_date = day
        where day between $first and $last
        group by period order by period
        """,
        {"first": first, "last": last},
    )


def sales_by_country(
    con: duckdb.DuckDBPyConnection, store: PublishedDomain, first: date, last: date
) -> Columns:
    """One row per country of delivery, that with most revenue first."""
    return read_columns(
        con,
        f"""
        select ship_country as country, {SALES}
        from {store.schema}.daily_sales where order_date between $first and $last
        group by country order by revenue desc, country
        """,
        {"first": first, "last": last},
    )


def cohorts(con: duckdb.DuckDBPyConnection, store: PublishedDomain) -> Columns:
    """One row per month of registration and number of months since: the cohort's customers, how
    many of them ordered and their share, and what they have brought since they registered, each."""
    return read_columns(
        con,
        f"""
        select cohort_month, months_since, customers, active_customers, active_share,
            cumulative_revenue_per_customer as revenue_each
        from {store.schema}.customer_cohorts order by cohort_month, months_since
        """,
    )


def cohort_curve(con: duckdb.DuckDBPyConnection, store: PublishedDomain, over: date) -> Columns:
    """One row per number of months since the registration, of the months that were over on the day
    ``over``: the customers that are so old, how many ordered, and their share."""
    return read_columns(
        con,
        f"""
        select months_since, sum(customers) as customers, sum(active_customers) as active_customers,
            sum(active_customers) / sum(customers) as active_share
        from {store.schema}.customer_cohorts
        where last_day(cohort_month + to_months(months_since)) <= $over
        group by months_since order by months_since
        """,
        {"over": over},
    )


def segments(con: duckdb.DuckDBPyConnection, store: PublishedDomain) -> Columns:
    """One row per segment of customers, those who order most first."""
    return read_columns(
        con,
        f"""
        select segment, count(*) as customers, sum(kept_orders) as orders, sum(revenue) as revenue,
            sum(revenue)::double / nullif(sum(kept_orders), 0) as revenue_per_order
        from {store.schema}.customer_lifetime_value
        group by segment order by sum(kept_orders) / count(*) desc
        """,
    )


def best_tenth(con: duckdb.DuckDBPyConnection, store: PublishedDomain) -> float | None:
    """What share of the revenue the tenth of the buyers with the highest brought."""
    query = (
        "select sum(revenue) filter (revenue_decile = 1)::double / nullif(sum(revenue), 0)"
        f" as share from {store.schema}.customer_lifetime_value"
    )
    share: float | None = read_row(con, query)["share"]
    return share


def players(con: duckdb.DuckDBPyConnection, store: PublishedDomain) -> Columns:
    """One row per place of the first purchase (game, store or null) of players with an account."""
    return read_columns(
        con,
        f"""
        select first_purchase_in, count(*) as players, bool_or(in_game_known) as in_game_known,
            avg(in_game_spending) as in_game, avg(store_spending) as in_store
        from {store.schema}.player_value
        group by first_purchase_in order by players desc, first_purchase_in
        """,
    )


def funnel(
    con: duckdb.DuckDBPyConnection, store: PublishedDomain, first: date, last: date
) -> dict[str, Any]:
    """The sessions of the days at each step, and the shares that went on; ``days`` is how many
    days there are."""
    return read_row(
        con,
        f"""
        select count(distinct event_date) as days, {FUNNEL}
        from {store.schema}.conversion_funnel where event_date between $first and $last
        """,
        {"first": first, "last": last},
    )


def funnel_by_period(
    con: duckdb.DuckDBPyConnection, store: PublishedDomain, first: date, last: date, grain: str
) -> Columns:
    """One row per day, week or month: its sessions at each step, and the shares that went on."""
    return read_columns(
        con,
        f"""
        select date_trunc('{grain}', event_date)::date as period, {FUNNEL}
        from {store.schema}.conversion_funnel where event_date between $first and $last
        group by period order by period
        """,
        {"first": first, "last": last},
    )


def funnel_by_device(
    con: duckdb.DuckDBPyConnection, store: PublishedDomain, first: date, last: date
) -> Columns:
    """One row per kind of device, that with most sessions first."""
    return read_columns(
        con,
        f"""
        select device, {FUNNEL}
        from {store.schema}.conversion_funnel where event_date between $first and $last
        group by device order by sum(sessions) desc, device
        """,
        {"first": first, "last": last},
    )


def stock_by_period(
    con: duckdb.DuckDBPyConnection, store: PublishedDomain, first: date, last: date, grain: str
) -> Columns:
    """One row per day, week or month: at the end of its last day the products that are stocked, how
    many of them are out of stock, of how many it is not known, and the pieces and what these are
    worth. A product's stock is that after its last movement in seven days: where one of them is
    missing (``whole`` is false), or the stock of a product is not known, pieces and worth are
    null."""
    return read_columns(
        con,
        f"""
        with weeks as (
            select days.day as stock_date, count(*) = least(7, days.day - $opened + 1) as whole
            from {store.days_table} as days
            inner join {store.days_table} as week on week.day between days.day - 6 and days.day
            where days.day between $first and $last
            group by days.day
        ),
        days as (
            select stock_date, whole, count(*) as products,
                count(*) filter (closing_stock = 0) as out_of_stock,
                count(*) filter (closing_stock is null) as unknown,
                if(whole and unknown = 0, sum(closing_stock), null) as pieces,
                if(whole and unknown = 0, sum(stock_value), null) as worth
            from {store.schema}.stock_on_hand inner join weeks using (stock_date)
            group by stock_date, whole
        )
        select date_trunc('{grain}', stock_date)::date as period,
            {", ".join(f"arg_max_null({name}, stock_date) as {name}" for name in STOCK)}
        from days group by period order by period
        """,
        {"first": first, "last": last, "opened": store.first},
    )


def stock_of_products(
    con: duckdb.DuckDBPyConnection, store: PublishedDomain, day: date, since: date
) -> Columns:
    """One row per product on the day, that which lasts shortest first: its pieces on hand, how many
    are ordered a day (in the months from that of ``since`` to that of the day, over their days that
    are published), and how many days the pieces last at that pace (null where none is ordered). A
    product has a name once it was ordered."""
    return read_columns(
        con,
        f"""
        with pace as (
            select product_id, sum(pieces) as pieces
            from {store.schema}.product_performance
            where sales_month between date_trunc('month', $since) and $day
            group by product_id
        ),
        names as (
            select product_id, any_value(product_name) as product_name
            from {store.schema}.product_performance group by product_id
        ),
        months as (
            select count(*) as days from {store.days_table}
            where day between date_trunc('month', $since) and last_day($day)
        )
        select
            stock.product_id, product_name, category, closing_stock,
            coalesce(pieces, 0) / days as a_day,
            closing_stock * days / nullif(pieces, 0) as days_left
        from {store.schema}.stock_on_hand as stock
        cross join months
        left join pace using (product_id)
        left join names using (product_id)
        where stock_date = $day and closing_stock is not null
        order by closing_stock > 0, days_left nulls last, closing_stock, product_id
        """,
        {"day": day, "since": since},
    )


def stock_by_category(con: duckdb.DuckDBPyConnection, store: PublishedDomain, day: date) -> Columns:
    """One row per category on the day, that which is worth most first."""
    return read_columns(
        con,
        f"""
        select coalesce(category, 'not known') as category, count(*) as products,
            sum(closing_stock) as pieces, coalesce(sum(stock_value), 0) as worth
        from {store.schema}.stock_on_hand where stock_date = $day
        group by all order by worth desc, category
        """,
        {"day": day},
    )


def products(
    con: duckdb.DuckDBPyConnection, store: PublishedDomain, first: date, last: date
) -> Columns:
    """One row per product that was ordered in the months of the days, that with most revenue first.
    Reviews are those of all time, null without ``review_summary``."""
    reviewed = "select null::bigint as product_id, null as reviews, null as average_rating"
    if "review_summary" in store.marts:
        reviewed = f"select product_id, reviews, average_rating from {store.schema}.review_summary"
    return read_columns(
        con,
        f"""
        select
            product_id,
            any_value(product_name) as product_name,
            coalesce(any_value(category), 'not known') as category,
            sum(orders) as orders,
            sum(pieces) as pieces,
            sum(returned_pieces) as returned_pieces,
            sum(cancelled_pieces) as cancelled_pieces,
            sum(revenue) as revenue,
            if(bool_and(margin is not null), sum(margin), null) as margin,
            any_value(reviews) as reviews,
            any_value(average_rating) as average_rating
        from {store.schema}.product_performance
        left join ({reviewed}) using (product_id)
        where sales_month between date_trunc('month', $first) and $last
        group by product_id order by revenue desc, product_id
        """,
        {"first": first, "last": last},
    )


def ratings(con: duckdb.DuckDBPyConnection, store: PublishedDomain) -> dict[str, Any]:
    """The reviews of all products and all time: how many with one star, two … five, how many there
    are, and how many of them the store knows the order of."""
    stars = ", ".join(
        f"round(sum(reviews * {name}_star_share)) as stars_{number}"
        for number, name in enumerate(("one", "two", "three", "four", "five"), start=1)
    )
    return read_row(
        con,
        f"select {stars}, coalesce(sum(reviews), 0) as reviews, sum(verified_reviews) as verified,"
        " sum(reviews * average_rating) / nullif(sum(reviews), 0) as average"
        f" from {store.schema}.review_summary",
    )


def worst_rated(con: duckdb.DuckDBPyConnection, store: PublishedDomain, reviews: int) -> Columns:
    """The ten products with at least so many reviews that have the fewest stars on average."""
    return read_columns(
        con,
        f"""
        select product_id, product_name, category, reviews, average_rating, one_star_share
        from {store.schema}.review_summary
        left join (
            select product_id, any_value(product_name) as product_name,
                any_value(category) as category
            from {store.schema}.product_performance group by product_id
        ) using (product_id)
        where reviews >= $reviews
        order by average_rating, reviews desc, product_id limit 10
        """,
        {"reviews": reviews},
    )
