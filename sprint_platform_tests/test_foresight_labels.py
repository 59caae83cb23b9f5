"""What was known of a player's week and what came after it, from records that are written by hand:
whatever else is built of the weeks around it, and whenever a studio delivers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sprint_platform.core.window import Window
from sprint_platform.operations.practice import LAUNCH, build_weeks, days_of_weeks, practice_title
from sprint_platform.title import Title
from sprint_platform_tests.dbt_runs import DbtWarehouse, Row, landed_title

PLAYER, OTHER = UUID(int=1), UUID(int=2)
READ = ("signons", "sessions", "transactions")


def signon(player: UUID, day: date) -> Row:
    return {
        "player_id": player,
        "country": "US",
        "platform": "pc",
        "signed_on_at": datetime.combine(day, time(12)),
    }


def purchase(player: UUID, day: date) -> Row:
    return {
        "transaction_id": UUID(int=day.toordinal()),
        "player_id": player,
        "event_datetime": datetime.combine(day, time(12)),
        "purchase_item": "SKU-1",
        "purchase_price": 5,
        "currency": "USD",
        "is_recurring": False,
        "transaction_type": "Skin",
    }


def load(
    warehouse: DbtWarehouse, title: Title, dataset: str, days: Iterable[date], rows: Iterable[Row]
) -> None:
    """These rows on each of the days on which they are, and none on the others."""
    found: dict[date, list[Row]] = {day: [] for day in days}
    for row in rows:
        moment = row.get("signed_on_at") or row["event_datetime"]
        found[moment.date()].append(row)
    warehouse.load(title, dataset, found)


def labels(warehouse: DbtWarehouse, title: Title, label: str, player: UUID) -> dict[date, Any]:
    found = warehouse.rows(f"{title.name}_mart.player_labels_weekly")
    return {row["year_week"]: row[label] for row in found if row["player_id"] == player}


def test_weeks_that_are_loaded_and_not_built_yet_have_their_players(
    parsed_data_folder: Path,
) -> None:
    """A run of the first week builds the eleven after it; the players of the last of these come
    back in weeks that nobody has built."""
    warehouse, title = DbtWarehouse(parsed_data_folder), practice_title(20)
    warehouse.create_tables(title)
    days = days_of_weeks(16)
    every_week = [signon(PLAYER, day) for day in days[::7]]
    load(warehouse, title, "signons", days, [*every_week, signon(OTHER, days[77])])
    for dataset in READ[1:]:
        load(warehouse, title, dataset, days, [])
    build_weeks(title, Window.of(days[0], days[6]))
    came_back = labels(warehouse, title, "left_in_14_days", PLAYER)
    assert len(came_back) == 12
    assert set(came_back.values()) == {False}
    assert labels(warehouse, title, "left_in_14_days", OTHER) == {days[77]: True}
    part = warehouse.rows("sprint_mart.player_labels_weekly", f"year_week <= date '{days[77]}'")
    build_weeks(title)
    assert part == warehouse.rows(
        "sprint_mart.player_labels_weekly", f"year_week <= date '{days[77]}'"
    )


def test_nobody_has_bought_nothing_where_purchases_are_yet_to_be_delivered(
    parsed_data_folder: Path,
) -> None:
    """A studio whose sign-ons come every day and purchases later."""
    warehouse, title = DbtWarehouse(parsed_data_folder), landed_title("studio", 50, 180)
    warehouse.create_tables(title)
    days = days_of_weeks(10)
    load(warehouse, title, "signons", days, [signon(PLAYER, day) for day in days])
    load(warehouse, title, "sessions", days, [])
    delivered = [purchase(OTHER, day) for day in days[:35]]
    load(warehouse, title, "transactions", days, delivered)
    build_weeks(title)
    mondays = days[::7]
    known = {monday for monday, left in labels(warehouse, title, "left_in_14_days", PLAYER).items()
             if left is not None}  # fmt: skip
    assert known == set(mondays[:8])
    bought = labels(warehouse, title, "bought_in_14_days", PLAYER)
    # purchases are there up to the fifth Sunday
    assert bought == {m: False if m <= mondays[2] else None for m in mondays}
    assert set(labels(warehouse, title, "spend_in_30_days", PLAYER).values()) == {None}
    # the rest comes
    rest = [purchase(PLAYER, day) for day in days[35:]]
    load(warehouse, title, "transactions", days[35:], rest)
    build_weeks(title, Window.of(days[35], days[-1]))
    bought = labels(warehouse, title, "bought_in_14_days", PLAYER)
    assert bought == {
        m: None if m > mondays[7] else m + timedelta(days=20) >= days[35] for m in mondays
    }
    # of the first week: 30 days after its Sunday
    assert labels(warehouse, title, "spend_in_30_days", PLAYER)[LAUNCH] == 2 * 5


def test_who_signs_up_after_the_first_record_is_not_known_before(parsed_data_folder: Path) -> None:
    """A guest plays for two weeks, and makes an account in the third."""
    warehouse, title = DbtWarehouse(parsed_data_folder), landed_title("guests", 50, 180)
    warehouse.create_tables(title)
    days = days_of_weeks(6)
    load(warehouse, title, "signons", days, [signon(PLAYER, day) for day in days])
    for dataset in READ[1:]:
        load(warehouse, title, dataset, days, [])
    account: Row = {
        "player_id": PLAYER,
        "display_name": "Guest",
        "country": "SE",
        "platform": "console",
        "signed_up_at": datetime.combine(days[16], time(12)),
        "language": "sv",
        "time_zone": "Europe/Stockholm",
        "birth_year": 1990,
    }
    warehouse.load(title, "dim_players", {days[16]: [account]})
    build_weeks(title)
    found = {
        row["year_week"]: (row["tenure_days"], row["country"], row["platform"])
        for row in warehouse.rows("guests_mart.player_features_weekly")
    }
    before, after = days[6:14:7], days[20::7]
    assert found == {
        **{sunday - timedelta(days=6): (None, "US", "pc") for sunday in before},
        **{
            sunday - timedelta(days=6): ((sunday - days[16]).days, "SE", "console")
            for sunday in after
        },
    }
