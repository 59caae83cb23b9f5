"""What every model of the web store should hold, from the bronze rows in plain Python: no SQL, and
no table but those of bronze."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

Row = dict[str, Any]
Bronze = dict[str, list[Row]]  # rows by table; each has `ingested`, a number that grows

DAY = timedelta(days=1)
COUNTED_WITHIN = 7
LIFE = ("placed", "paid", "cancelled", "shipped", "delivered", "returned")
STEPS = ("product_views", "carts", "checkouts", "purchases")
STARS = ("one", "two", "three", "four", "five")
SILVER = (
    *("customers", "products", "orders", "order_items", "inventory_movements", "reviews"),
    *("sessions", "clickstream", "daily_stock"),
)
GOLD = (
    *("daily_sales", "product_performance", "stock_on_hand", "customer_lifetime_value"),
    *("customer_cohorts", "conversion_funnel", "review_summary", "player_value"),
)
MODELS = {**{name: f"silver.{name}" for name in SILVER}, **{name: f"gold.{name}" for name in GOLD}}


def expected_models(bronze: Bronze, purchases: list[Row] | None = None) -> dict[str, list[Row]]:
    """Every model's rows; ``purchases`` are those in the store's title, None without its table."""
    orders = _orders(bronze)
    items = _items(orders)
    silver = {
        "customers": _customers(bronze),
        "products": _kept(bronze, "raw_products", ("product_id",)),
        "orders": [{k: v for k, v in order.items() if k != "items"} for order in orders],
        "order_items": items,
        "inventory_movements": _kept(
            bronze, "raw_inventory", ("movement_id",), {"order_line": "line_number"}
        ),
        "reviews": _kept(
            bronze, "raw_reviews", ("review_id",), {"verified_purchase": "is_verified"}
        ),
        "sessions": _sessions(bronze),
        "clickstream": _kept(bronze, "raw_clickstream", ("session_id", "sequence_number")),
    }
    silver["daily_stock"] = _daily_stock(silver["inventory_movements"], silver["sessions"])
    lifetimes = _lifetimes(silver)
    return {
        **silver,
        "daily_sales": _daily_sales(silver),
        "product_performance": _product_performance(silver),
        "stock_on_hand": _stock_on_hand(silver),
        "customer_lifetime_value": lifetimes,
        "customer_cohorts": _cohorts(silver),
        "conversion_funnel": _funnel(silver),
        "review_summary": _reviews(silver["reviews"]),
        "player_value": _players(silver, purchases),
    }


def comparable(rows: Iterable[Row]) -> list[str]:
    """The rows as texts, in an order of their own: money as money, whatever its type is called."""
    return sorted(
        ", ".join(
            f"{name} {f'{value:.2f}' if isinstance(value, Decimal) else value}"
            for name, value in sorted(row.items())
        )
        for row in rows
    )


def _grouped(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    groups = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return dict(groups)


def _last(rows: list[Row], key: tuple[str, ...]) -> list[Row]:
    """Of rows with one key the one that was ingested last; of those, the first by its words."""
    groups = _grouped(rows, lambda row: tuple(row[column] for column in key))
    return [
        min(group, key=lambda row: (-row["ingested"], str(list(row.values()))))
        for group in groups.values()
    ]


def _kept(
    bronze: Bronze, table: str, key: tuple[str, ...], renamed: dict[str, str] | None = None
) -> list[Row]:
    renamed = renamed or {}
    return [
        {renamed.get(k, k): v for k, v in row.items() if k not in ("raw_data", "ingested")}
        for row in _last(bronze[table], (*key, "event_date"))
    ]


def _customers(bronze: Bronze) -> list[Row]:
    customers = []
    for row in _kept(bronze, "raw_customers", ("customer_id",)):
        address = json.loads(row.pop("address"))
        place = {name: address[name] for name in ("street", "city", "region", "postal_code")}
        customers.append({**row, **place, "email": row["email"].strip().lower()})
    return customers


def _sessions(bronze: Bronze) -> list[Row]:
    return [
        {**row, "duration_seconds": (row["ended_at"] - row["started_at"]) // timedelta(seconds=1)}
        for row in _kept(bronze, "raw_sessions", ("session_id",))
    ]


def _orders(bronze: Bronze) -> list[Row]:
    orders = []
    records = _last(bronze["raw_orders"], ("order_id", "status"))
    for statuses in _grouped(records, lambda row: row["order_id"]).values():
        reached = {row["status"]: row["status_at"] for row in statuses}
        if "placed" not in reached:
            continue
        latest = max(statuses, key=lambda row: (row["status_at"], LIFE.index(row["status"])))
        order = {
            k: v
            for k, v in latest.items()
            if k not in ("status_at", "raw_data", "event_date", "ingested")
        }
        lost = order["status"] in ("cancelled", "returned")
        orders.append(
            {
                **order,
                **{f"{status}_at": reached.get(status) for status in LIFE},
                "is_cancelled": order["status"] == "cancelled",
                "is_returned": order["status"] == "returned",
                "revenue": Decimal(0) if lost else order["subtotal"] - order["discount"],
                "order_date": order["ordered_at"].date(),
            }
        )
    return orders


def _items(orders: list[Row]) -> list[Row]:
    items = []
    for order in orders:
        for line in json.loads(order["items"], parse_float=Decimal):
            amount = Decimal(line["amount"])
            items.append(
                {
                    "order_id": order["order_id"],
                    "line_number": line["line"],
                    "product_id": line["product_id"],
                    "customer_id": order["customer_id"],
                    "quantity": line["quantity"],
                    "unit_price": Decimal(line["unit_price"]),
                    "discount": Decimal(line["discount"]),
                    "amount": amount,
                    "is_cancelled": order["is_cancelled"],
                    "is_returned": order["is_returned"],
                    "revenue": Decimal(0) if _lost(order) else amount,
                    "order_date": order["order_date"],
                }
            )
    return items


def _lost(row: Row) -> bool:
    return bool(row["is_cancelled"] or row["is_returned"])


def _daily_stock(movements: list[Row], sessions: list[Row]) -> list[Row]:
    """Every day's stock by looking at each of the week's days, from the last back."""
    loaded = {row["event_date"] for row in [*movements, *sessions]}
    closing: dict[tuple[int, date], int] = {}
    for row in sorted(movements, key=lambda row: (row["occurred_at"], row["movement_id"])):
        closing[row["product_id"], row["event_date"]] = row["stock_after"]
    stock = []
    for product in {product for product, _ in closing}:
        for day in loaded:
            week = [day - n * DAY for n in range(COUNTED_WITHIN)]
            moved = next((earlier for earlier in week if (product, earlier) in closing), None)
            if moved:
                since = [moved + n * DAY for n in range((day - moved).days)]
                known = loaded.issuperset(since)
                stock.append(
                    {
                        "product_id": product,
                        "stock_date": day,
                        "closing_stock": closing[product, moved] if known else None,
                        "last_movement_date": moved,
                    }
                )
    return stock


def _stock_on_hand(silver: dict[str, list[Row]]) -> list[Row]:
    products = {row["product_id"]: row for row in silver["products"]}
    found = []
    for row in silver["daily_stock"]:
        product = products.get(row["product_id"])
        cost = product["unit_cost"] if product else None
        known = product and row["closing_stock"] is not None
        found.append(
            {
                **row,
                "category": product["category"] if product else None,
                "unit_cost": cost,
                "stock_value": row["closing_stock"] * cost if known else None,
            }
        )
    return found


def _daily_sales(silver: dict[str, list[Row]]) -> list[Row]:
    registered = {row["customer_id"]: row["event_date"] for row in silver["customers"]}
    pieces: dict[int, int] = defaultdict(int)
    for item in silver["order_items"]:
        pieces[item["order_id"]] += item["quantity"]
    sales = []
    groups = _grouped(silver["orders"], lambda row: (row["order_date"], row["ship_country"]))
    for (day, country), orders in groups.items():
        sales.append(
            {
                "order_date": day,
                "ship_country": country,
                "orders": len(orders),
                "cancelled_orders": sum(row["is_cancelled"] for row in orders),
                "returned_orders": sum(row["is_returned"] for row in orders),
                "pieces": sum(pieces[row["order_id"]] for row in orders),
                "gross": sum(row["subtotal"] for row in orders),
                "discount": sum(row["discount"] for row in orders),
                "tax": sum(row["tax"] for row in orders),
                "shipping": sum(row["shipping"] for row in orders),
                "revenue": sum(row["revenue"] for row in orders),
                "customers": len({row["customer_id"] for row in orders}),
                "new_customer_orders": sum(
                    registered.get(row["customer_id"]) == day for row in orders
                ),
            }
        )
    return sales


def _product_performance(silver: dict[str, list[Row]]) -> list[Row]:
    products = {row["product_id"]: row for row in silver["products"]}
    groups = _grouped(
        silver["order_items"], lambda row: (row["product_id"], row["order_date"].replace(day=1))
    )
    months = []
    for (product_id, month), items in groups.items():
        product = products.get(product_id)
        revenue = sum(row["revenue"] for row in items)
        kept_pieces = sum(row["quantity"] for row in items if not _lost(row))
        months.append(
            {
                "product_id": product_id,
                "sales_month": month,
                "product_name": product["product_name"] if product else None,
                "category": product["category"] if product else None,
                "orders": len({row["order_id"] for row in items}),
                "pieces": sum(row["quantity"] for row in items),
                "cancelled_pieces": sum(r["quantity"] for r in items if r["is_cancelled"]),
                "returned_pieces": sum(r["quantity"] for r in items if r["is_returned"]),
                "gross": sum(row["quantity"] * row["unit_price"] for row in items),
                "discount": sum(row["discount"] for row in items),
                "revenue": revenue,
                "margin": revenue - product["unit_cost"] * kept_pieces if product else None,
            }
        )
    return months


def _lifetimes(silver: dict[str, list[Row]]) -> list[Row]:
    last_day = max(row["event_date"] for row in silver["sessions"])
    by_customer = _grouped(silver["orders"], lambda row: row["customer_id"])
    lifetimes = []
    for customer in silver["customers"]:
        orders = by_customer.get(customer["customer_id"], [])
        days = [row["order_date"] for row in orders]
        kept_orders = sum(not _lost(row) for row in orders)
        revenue = sum((row["revenue"] for row in orders), Decimal(0))
        lifetimes.append(
            {
                "customer_id": customer["customer_id"],
                "player_id": customer["player_id"],
                "country": customer["country"],
                "registration_date": customer["event_date"],
                "first_order_date": min(days, default=None),
                "last_order_date": max(days, default=None),
                "orders": len(orders),
                "cancelled_orders": sum(row["is_cancelled"] for row in orders),
                "returned_orders": sum(row["is_returned"] for row in orders),
                "kept_orders": kept_orders,
                "revenue": revenue,
                "average_order_value": float(revenue) / kept_orders if kept_orders else None,
                "days_as_customer": (last_day - customer["event_date"]).days,
                "segment": "loyal"
                if kept_orders > 4
                else ["none", "one_time", *["repeat"] * 3][kept_orders],
                "revenue_decile": None,
            }
        )
    buyers = [row for row in lifetimes if row["kept_orders"]]
    buyers.sort(key=lambda row: (-row["revenue"], row["customer_id"]))
    # the first deciles take one more where they cannot be equal
    size, larger = divmod(len(buyers), 10)
    deciles = [n + 1 for n in range(10) for _ in range(size + (n < larger))]
    for row, decile in zip(buyers, deciles, strict=True):
        row["revenue_decile"] = decile
    return lifetimes


def _cohorts(silver: dict[str, list[Row]]) -> list[Row]:
    days = [row["event_date"] for row in silver["sessions"]]
    days += [row["order_date"] for row in silver["orders"]]
    months = sorted({day.replace(day=1) for day in days})
    missing = [min(days) + n * DAY for n in range((max(days) - min(days)).days)]
    missing = [day for day in missing if day not in days]
    cohorts = _grouped(silver["customers"], lambda row: row["event_date"].replace(day=1))
    found = []
    for cohort, customers in cohorts.items():
        ids = {row["customer_id"] for row in customers}
        so_far = Decimal(0)
        for month in months:
            if month < cohort:
                continue
            orders = [
                row
                for row in silver["orders"]
                if row["customer_id"] in ids and row["order_date"].replace(day=1) == month
            ]
            active = len({row["customer_id"] for row in orders})
            revenue = sum((row["revenue"] for row in orders), Decimal(0))
            so_far += revenue
            known = not any(cohort <= day.replace(day=1) <= month for day in missing)
            found.append(
                {
                    "cohort_month": cohort,
                    "months_since": 12 * (month.year - cohort.year) + month.month - cohort.month,
                    "customers": len(ids),
                    "active_customers": active,
                    "active_share": active / len(ids),
                    "orders": len(orders),
                    "revenue": revenue,
                    "cumulative_revenue": so_far if known else None,
                    "cumulative_revenue_per_customer": float(so_far) / len(ids) if known else None,
                }
            )
    return found


def _step(event: Row) -> int:
    if event["event_type"] == "page_view":
        return int(event["product_id"] is not None)
    return {"add_to_cart": 2, "checkout": 3, "purchase": 4}.get(event["event_type"], 0)


def _funnel(silver: dict[str, list[Row]]) -> list[Row]:
    farthest: dict[int, int] = defaultdict(int)
    for event in silver["clickstream"]:
        farthest[event["session_id"]] = max(farthest[event["session_id"]], _step(event))
    found = []
    groups = _grouped(silver["sessions"], lambda row: (row["event_date"], row["device"]))
    for (day, device), sessions in groups.items():
        counts = [len(sessions)] + [
            sum(farthest[row["session_id"]] >= step for row in sessions) for step in (1, 2, 3, 4)
        ]
        rates = [there / before if before else None for before, there in pairwise(counts)]
        found.append(
            {
                "event_date": day,
                "device": device,
                "sessions": counts[0],
                **dict(zip(STEPS, counts[1:], strict=True)),
                "view_rate": rates[0],
                "cart_rate": rates[1],
                "checkout_rate": rates[2],
                "purchase_rate": rates[3],
                "conversion_rate": counts[4] / counts[0],
            }
        )
    return found


def _reviews(reviews: list[Row]) -> list[Row]:
    found = []
    for product, written in _grouped(reviews, lambda row: row["product_id"]).items():
        ratings = [row["rating"] for row in written]
        verified = sum(row["is_verified"] for row in written)
        found.append(
            {
                "product_id": product,
                "reviews": len(written),
                "average_rating": sum(ratings) / len(ratings),
                **{
                    f"{name}_star_share": ratings.count(stars) / len(ratings)
                    for stars, name in enumerate(STARS, start=1)
                },
                "verified_reviews": verified,
                "verified_share": verified / len(written),
                "first_reviewed_at": min(row["reviewed_at"] for row in written),
                "last_reviewed_at": max(row["reviewed_at"] for row in written),
            }
        )
    return found


def _players(silver: dict[str, list[Row]], purchases: list[Row] | None) -> list[Row]:
    in_game = _grouped(purchases or [], lambda row: row["player_id"])
    kept_orders = [row for row in silver["orders"] if not _lost(row)]
    in_store = _grouped(kept_orders, lambda row: row["customer_id"])
    found = []
    for customer in silver["customers"]:
        if customer["player_id"] is None:
            continue
        bought = in_game.get(customer["player_id"], [])
        orders = in_store.get(customer["customer_id"], [])
        firsts: dict[str, datetime] = {}
        if bought:
            firsts["game"] = min(row["event_datetime"] for row in bought)
        if orders:
            firsts["store"] = min(row["ordered_at"] for row in orders)
        paid = sum((row["purchase_price"] for row in bought), Decimal(0))
        spent = sum((row["revenue"] for row in orders), Decimal(0))
        found.append(
            {
                "player_id": customer["player_id"],
                "customer_id": customer["customer_id"],
                "country": customer["country"],
                "in_game_known": bool(purchases),
                "in_game_spending": paid,
                "in_game_purchases": len(bought),
                "store_spending": spent,
                "store_orders": len(orders),
                "total_spending": paid + spent,
                "first_in_game_at": firsts.get("game"),
                "first_store_at": firsts.get("store"),
                "first_purchase_in": min(firsts, key=lambda where: firsts[where], default=None),
            }
        )
    return found
