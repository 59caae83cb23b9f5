"""The seven bronze tables of the web store: columns, types, keys. The single source of them.

A table holds what one of the store's systems delivers, day by day, and is only ever added to. So an
order has a row for every status that it reaches, whole each time: what was delivered yesterday is
never changed. ``raw_data`` is what the system sends beside its columns.
"""

from __future__ import annotations

from sprint_platform.dataset import Column, Dataset

# Also the group of its assets, the tag of its models, and the folder of its partition files.
DOMAIN = "storefront"
BRONZE = "bronze"

CURRENCY = "USD"
# Movements and reviews are numbered day by day: day number x this + rank.
IDS_A_DAY = 10_000_000
GENDERS = ("female", "male", "other", "undisclosed")
STATUSES = ("placed", "paid", "shipped", "delivered", "returned", "cancelled")
PAYMENT_METHODS = ("card", "wallet", "bank_transfer", "store_credit")
PAYMENT_STATUSES = ("pending", "paid", "failed", "refunded")
MOVEMENT_TYPES = ("IN", "OUT", "ADJUSTMENT")
MOVEMENT_REASONS = ("initial", "restock", "sale", "count")
DEVICES = ("desktop", "mobile", "tablet")
CHANNELS = ("direct", "search", "social", "email", "in_game", "affiliate")
EVENT_TYPES = ("page_view", "search", "click", "add_to_cart", "checkout", "purchase")
CATEGORIES = (
    "Apparel",
    "Accessories",
    "Books & Art",
    "Collectibles",
    "Games",
    "Hardware",
    "Home & Living",
    "Toys & Puzzles",
)


def _table(
    name: str,
    one_row_is: str,
    source_system: str,
    key: tuple[str, ...],
    columns: tuple[Column, ...],
    upstream: tuple[str, ...] = (),
    by_day: bool = True,
) -> Dataset:
    return Dataset(
        name=name,
        schema="bronze",
        table=name,
        one_row_is=one_row_is,
        key=key,
        columns=(*columns, _RAW_DATA),
        upstream=upstream,
        source_system=source_system,
        by_day=by_day,
    )


_RAW_DATA = Column("raw_data", "json", "what else the record carries, as JSON", nullable=True)
_CUSTOMER = Column("customer_id", "bigint", "the customer", low=1)
_PRODUCT = Column("product_id", "bigint", "the product", low=1)
_ORDER = Column("order_id", "bigint", "the order", low=1)
_SESSION = Column("session_id", "bigint", "the web session", low=1)

BRONZE_TABLES: dict[str, Dataset] = {
    table.name: table
    for table in (
        _table(
            "raw_customers",
            "a customer, on the day of registration",
            "accounts",
            ("customer_id",),
            (
                _CUSTOMER,
                Column("player_id", "uuid", "the player of the title, if linked", nullable=True),
                Column("email", "text", "on a domain that is reserved for examples"),
                Column("first_name", "text", "given name"),
                Column("last_name", "text", "family name"),
                Column("phone", "text", "with country code"),
                Column("address", "json", "street, city, region, postal_code, country"),
                Column("country", "text", "ISO 3166 country"),
                Column("registered_at", "timestamp", "when the account was made", unit="UTC"),
                Column("birth_date", "date", "date of birth"),
                Column("gender", "text", "as given", values=GENDERS),
            ),
            by_day=False,
        ),
        _table(
            "raw_products",
            "a product, on the day on which it was added",
            "catalogue",
            ("product_id",),
            (
                _PRODUCT,
                Column("sku", "text", "stock keeping unit, unique"),
                Column("product_name", "text", "the name that the store shows"),
                Column("category", "text", "one of eight", values=CATEGORIES),
                Column("subcategory", "text", "within the category"),
                Column("brand", "text", "who makes it"),
                Column("list_price", "money", "price without discount", unit=CURRENCY, low=0),
                Column("unit_cost", "money", "what the store pays", unit=CURRENCY, low=0),
                Column("currency", "text", "ISO 4217 currency", values=(CURRENCY,)),
                Column("attributes", "json", "size, color, material, weight and the like"),
                Column("added_at", "timestamp", "when it went on sale", unit="UTC"),
            ),
            by_day=False,
        ),
        _table(
            "raw_orders",
            "an order when it reached a status, on the day on which it did",
            "checkout",
            ("order_id", "status"),
            (
                _ORDER,
                Column("status", "text", "what the order reached", values=STATUSES),
                Column("status_at", "timestamp", "when it reached it", unit="UTC"),
                _CUSTOMER,
                Column("session_id", "bigint", "the web session in which it was placed", low=1),
                Column("ordered_at", "timestamp", "when it was placed", unit="UTC"),
                Column(
                    "items",
                    "json",
                    "array of: line (from 1), product_id, quantity, unit_price, discount, amount",
                ),
                Column("subtotal", "money", "sum of quantity x unit_price", unit=CURRENCY, low=0),
                Column("discount", "money", "sum of the lines' discounts", unit=CURRENCY, low=0),
                Column("tax", "money", "on subtotal less discount", unit=CURRENCY, low=0),
                Column("shipping", "money", "what delivery costs", unit=CURRENCY, low=0),
                Column(
                    "total", "money", "subtotal - discount + tax + shipping", unit=CURRENCY, low=0
                ),
                Column("currency", "text", "ISO 4217 currency", values=(CURRENCY,)),
                Column("payment_method", "text", "how it is paid", values=PAYMENT_METHODS),
                Column("payment_status", "text", "at that time", values=PAYMENT_STATUSES),
                Column("ship_country", "text", "ISO 3166 country of delivery"),
            ),
            upstream=("raw_customers", "raw_products"),
        ),
        _table(
            "raw_inventory",
            "a movement of a product's stock",
            "warehouse",
            ("movement_id",),
            (
                Column("movement_id", "bigint", "the movement: day number x 10^7 + its rank"),
                _PRODUCT,
                Column("movement_type", "text", "which way", values=MOVEMENT_TYPES),
                Column("reason", "text", "why", values=MOVEMENT_REASONS),
                Column("quantity", "integer", "signed: negative leaves the stock", unit="pieces"),
                Column("stock_after", "integer", "stock on hand after it", unit="pieces", low=0),
                Column("order_id", "bigint", "the order of a sale", nullable=True),
                Column("order_line", "small", "its line", nullable=True),
                Column("occurred_at", "timestamp", "when", unit="UTC"),
            ),
            upstream=("raw_products", "raw_orders"),
        ),
        _table(
            "raw_reviews",
            "a review of a product",
            "reviews",
            ("review_id",),
            (
                Column("review_id", "bigint", "the review: day number x 10^7 + its rank"),
                _PRODUCT,
                _CUSTOMER,
                Column("order_id", "bigint", "the order, where it is verified", nullable=True),
                Column("rating", "small", "stars", low=1, high=5),
                Column("title", "text", "headline"),
                Column("body", "text", "what it says"),
                Column("language", "text", "BCP 47 language tag"),
                Column("helpful_count", "integer", "readers who found it helpful", low=0),
                Column("verified_purchase", "flag", "whether the store knows the order"),
                Column("reviewed_at", "timestamp", "when", unit="UTC"),
            ),
            upstream=("raw_customers", "raw_products", "raw_orders"),
            by_day=False,
        ),
        _table(
            "raw_sessions",
            "a web session, on the day on which it began",
            "web",
            ("session_id",),
            (
                _SESSION,
                Column("customer_id", "bigint", "who was logged in, if anybody", nullable=True),
                Column("started_at", "timestamp", "first event", unit="UTC"),
                Column("ended_at", "timestamp", "last sign of life, on the same day", unit="UTC"),
                Column("device", "text", "kind of device", values=DEVICES),
                Column("browser", "text", "Chrome, Safari, Firefox, Edge and the like"),
                Column("operating_system", "text", "Windows, Android, iOS and the like"),
                Column("country", "text", "ISO 3166 country of the address"),
                Column("city", "text", "city of the address"),
                Column("ip_address", "text", "from the ranges that documentation may use"),
                Column("channel", "text", "where the visitor came from", values=CHANNELS),
                Column("landing_page", "text", "path of the first page"),
            ),
            upstream=("raw_customers", "raw_orders"),
        ),
        _table(
            "raw_clickstream",
            "an event of a web session",
            "web",
            ("session_id", "sequence_number"),
            (
                _SESSION,
                Column("sequence_number", "small", "from 1, in the order of time", low=1),
                Column("event_type", "text", "what was done", values=EVENT_TYPES),
                Column("occurred_at", "timestamp", "when, inside the session", unit="UTC"),
                Column("page_url", "text", "path of the page"),
                Column("product_id", "bigint", "the product, if it is about one", nullable=True),
                Column("order_id", "bigint", "the order of a purchase", nullable=True),
                Column("search_query", "text", "what was searched for", nullable=True),
            ),
            upstream=("raw_sessions", "raw_products", "raw_orders"),
        ),
    )
}
