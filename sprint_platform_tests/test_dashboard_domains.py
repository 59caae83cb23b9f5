"""The dashboard's pages of the web store and the event log, Home, and the way between them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from sprint_platform.dashboard.app import DOMAIN_PAGES, PAGES, build_app, draw
from sprint_platform_tests.dashboard_marts import (
    EVENT_LOG,
    STORE,
    STORE_DAYS,
    publish_domain,
    publish_few,
)


@pytest.fixture(scope="module", autouse=True)
def served() -> None:
    """Links lie below the path at which an application is served."""
    build_app()


@pytest.fixture(scope="module")
def both_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("domains")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(folder))
        publish_domain("storefront", STORE, STORE_DAYS)
        publish_domain("eventlog", EVENT_LOG)
    return folder


@pytest.fixture
def both(both_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the store and the event log, and no title."""
    monkeypatch.setenv("SPRINT_DATA_DIR", str(both_folder))
    return both_folder


def shown(path: str, search: str = "") -> str:
    """The page at the address, as text."""
    return str(draw(path, search, "", None)[0])


def headline(page: str, key: str) -> str:
    found = re.search(rf"Dd\(children='([^']*)', id='headline-{key}'", page)
    assert found is not None, key
    return found[1].replace("\\xa0", " ")


def links(path: str, search: str = "") -> dict[str, str]:
    """The addresses of the tabs at an address, by the tab's id."""
    tabs = draw(path, search, "", None)[1]
    return {tab.id: tab.href for tab in tabs if hasattr(tab, "href")}


@pytest.mark.usefixtures("both")
def test_sales_are_those_of_the_days_that_are_chosen() -> None:
    page = shown("/store", "?from=2025-01-13&to=2025-01-19")
    numbers = range(12, 19)
    orders, revenue = 30 * 7 + sum(2 * (n % 3) for n in numbers), 900 * 7 + 2 * sum(numbers)
    net = orders - 7 * (1 + 1 + 2 + 1)
    assert headline(page, "orders") == f"{orders:,}"
    assert headline(page, "revenue") == f"{revenue:,.2f}"
    assert headline(page, "revenue-per-order") == f"{revenue / net:.2f}"
    assert headline(page, "returned-share") == f"{21 / orders:.1%}".replace("%", " %")
    assert "Most goes to United States" in page
    # the week before lies over missing days
    assert "There are not as many days before these, without a gap" in page
    assert "10 – 12 Jan 2025: 3 days are missing." in page
    fills = "sprint storefront generate --from 2025-01-10 --to 2025-01-12 --load"
    assert f"{fills}, then sprint storefront build" in page
    # they are a band behind every chart of days; discounts are the same on all of them, a sentence
    for path, charts in (("/store", 3), ("/store/funnel", 2)):
        page = shown(path, "?from=2025-01-01&to=2025-01-13")
        assert "1 – 13 Jan 2025" in page
        assert page.count("'x0': '2025-01-09 12:00:00', 'x1': '2025-01-12 12:00:00'") == charts
    empty = shown("/store", "?from=2025-01-10&to=2025-01-12")
    assert "Nothing was ordered on 10 – 12 Jan 2025. What is published is of" in empty


@pytest.mark.usefixtures("both")
def test_a_period_without_a_gap_is_compared_with_the_one_before() -> None:
    page = shown("/store/funnel", "?from=2025-01-27&to=2025-02-02")
    visits = sum(300 + 2 * n for n in range(26, 33))
    assert headline(page, "sessions") == f"{visits:,}"
    assert headline(page, "conversion-rate") == f"{36 * 7 / visits:.1%}".replace("%", " %")
    assert "Changes are against 20 – 26 Jan 2025." in page
    # of 60 who look at a product 24 put it into the cart
    assert "Most are lost where they would have put one into the cart: 60.0" in page


@pytest.mark.usefixtures("both")
def test_stock_says_what_is_out_and_what_runs_out_first() -> None:
    page = shown("/store/stock")
    assert headline(page, "products") == "3"
    assert headline(page, "out-of-stock") == "1"
    # who is out is not nearly out
    assert headline(page, "short") == "0"
    assert headline(page, "worth") == "500.00"
    # Mug 3: 60 pieces, and 222 ordered in the 37 days of January and February that are there
    assert "if they are ordered as in Jan 2025 and Feb 2025." in page
    rows = re.findall(r"Th\(children='(Mug \d)', scope='row'\)", page)
    assert rows == ["Mug 1", "Mug 2", "Mug 3"]
    assert "Td('6.00'), Td('10')" in page
    page = shown("/store/stock", "?from=2025-01-13&to=2025-01-13")
    assert "The stock of 1 product is not known" in page
    assert headline(page, "worth") == "–"
    # products that did not move since the missing days have no row
    page = shown("/store/stock", "?from=2025-01-18&to=2025-01-18")
    assert "products that have not moved since are in none of these numbers" in page
    assert headline(page, "worth") == "–"
    assert headline(shown("/store/stock", "?to=2025-01-19"), "worth") == "600.00"


@pytest.mark.usefixtures("both")
def test_cohorts_and_products_count_whole_months() -> None:
    page = shown("/store/cohorts")
    assert "Jan 2025" in page
    assert "40.0" in page
    # January over missing days has no sum of revenue, and February is not over
    assert "The data end on 9 Feb 2025" in page
    assert (
        "30.0\\xa0% of 10 customers have an order that they neither cancelled nor returned." in page
    )
    assert "4 customers are players of the game; they spend 50.00 US dollars each" in page
    assert "Td(children=['50.00', Small(' of 3')], className='few')" in page
    page = shown("/store/products", "?from=2025-02-01&to=2025-02-03")
    assert headline(page, "pieces") == f"{37 * 6}"
    assert "these are the numbers of Feb 2025, whole." in page
    assert "Apparel brings most: 3,000.00 US dollars, 50.0" in page
    assert "20 reviews" in page


@pytest.mark.usefixtures("both")
def test_chapters_are_those_of_one_batch_or_of_all() -> None:
    page = shown("/eventlog")
    assert headline(page, "began") == "200"
    assert headline(page, "finished-share") == "45.0 %"
    assert "Most in chapter 2, The Mill: 44.4" in page
    assert "Players die most often in chapter 2, The Mill: 2.00 times each" in page
    page = shown("/eventlog", "?batch=3")
    assert headline(page, "began") == "100"
    assert "Event log, batch 3" in page
    assert "href='/eventlog?batch=1'" in page
    page = shown("/eventlog", "?batch=2")
    assert "There is no batch 2; these are all batches." in page
    assert headline(page, "began") == "200"


@pytest.mark.usefixtures("both")
def test_the_event_log_says_who_came_back_and_which_batch_is_not_there() -> None:
    page = shown("/eventlog/retention", "?from=2011-03-16&to=2011-03-22")
    # 10 players a day of seven days; a batch of 31 days has a day 30 of its first day alone
    assert headline(page, "d1") == "40.0 %"
    assert headline(page, "d30") == "10.0 %"
    assert "of 10 players" in page
    assert "In 50.0" in page
    page = shown("/eventlog/batches")
    assert headline(page, "events") == f"{31 * (20 + 60):,}"
    assert "There is no batch 2" in page
    assert "sprint eventlog generate --batch 2" in page


@pytest.mark.usefixtures("both")
def test_days_of_one_domain_are_no_others() -> None:
    # each shows its own latest days, whatever the other's are
    assert "Web store, 21 Jan – 9 Feb 2025" in shown("/store")
    assert "Event log, 1 Mar – 15 Apr 2011" in shown("/eventlog/retention")
    found = links("/store", "?title=leap&from=2025-01-01&to=2025-01-02")
    assert found["tab-eventlog"] == "/eventlog?title=leap"
    assert found["tab-overview"] == "/overview?title=leap"
    assert found["tab-home"] == "/home?title=leap"
    # between the pages of a domain they stay
    page = shown("/store", "?from=2025-01-01&to=2025-01-02")
    assert "href='/store/funnel?from=2025-01-01&to=2025-01-02'" in page
    assert links("/overview", "?title=leap&from=2025-01-01&country=BR")["tab-revenue"] == (
        "/revenue?title=leap&from=2025-01-01&country=BR"
    )


@pytest.mark.usefixtures("both")
def test_home_lists_what_is_there_and_what_runs_the_rest() -> None:
    page = shown("/")
    assert page == shown("/home")
    assert "37 days, 1 Jan – 9 Feb 2025." in page
    assert "3 days are missing in between" in page
    assert "the latest is 3" in page
    assert "sprint run --title sprint" in page
    # the pages of titles say what to run, too
    assert "sprint run --title sprint" in shown("/overview")


def test_an_address_of_before_there_was_a_home_is_the_overview(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path))
    day = "select date '2025-01-01' as calendar_date, 'BR' as country, 3 as active_players,"
    publish_few("sprint", {"kpi_daily": f"{day} 1 as new_players, 2 as revenue"})
    assert "Overview" in shown("/", "?title=sprint&from=2025-01-01&to=2025-01-01")
    page = shown("/")
    assert "A game: 1 day, 1 Jan 2025." in page
    assert headline(page, "sprint-players") == "3"
    # a title alone: the others say how to begin
    assert "sprint storefront generate --preset small --load" in page
    assert "sprint eventlog generate" in page
    for path in ("/store", "/store/cohorts", "/eventlog/batches"):
        assert "is published yet" in shown(path)
    # what an older version published without some column hides nothing else
    with duckdb.connect(str(tmp_path / "published" / "sprint.duckdb")) as con:
        con.execute("create schema storefront_mart")
        con.execute(
            "create view storefront_mart.daily_sales as"
            f" select current_date as order_date, '{tmp_path}/' as here"
        )
    page = shown("/")
    assert "What is published of it cannot be read" in page
    assert headline(page, "sprint-players") == "3"


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path))
    return


@pytest.mark.usefixtures("nothing")
def test_with_nothing_published_every_page_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "sprint demo" in shown("/")
    for page in PAGES:
        assert re.search("sprint (run|storefront|eventlog|demo)", shown(page.path)), page.path
    assert "PostgreSQL" not in shown("/store")
    monkeypatch.setenv("SPRINT_POSTGRES_URL", "postgresql://me:secret@host/shop")
    monkeypatch.setenv("SNOWFLAKE_ACCOUNT", "mine")
    for path in ("/store", "/"):
        page = shown(path)
        assert "SPRINT_POSTGRES_URL is set: days of a store that were loaded there lie in" in page
        assert "secret" not in page
    assert "SNOWFLAKE_ACCOUNT is set: an event log that was built there" in shown("/eventlog")


def test_a_mart_that_did_not_pass_its_tests_is_named_and_the_rest_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path))
    publish_domain("storefront", {"daily_sales": STORE["daily_sales"]})
    publish_domain("eventlog", {"daily_active_players": EVENT_LOG["daily_active_players"]})
    for page in DOMAIN_PAGES:
        drawn = shown(page.path)
        assert "Something went wrong" not in drawn
        if page.path not in ("/store", "/eventlog/retention"):
            assert "Not published yet: " in drawn, page.path
    assert "storefront_mart.stock_on_hand. A build publishes it:" in shown("/store/stock")
    assert "eventlog_mart.retention" in shown("/eventlog/retention")
    assert headline(shown("/store"), "orders") != "0"


def test_a_store_of_one_day_and_a_log_of_one_player_have_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path))
    days = {"daily_sales": "order_date", "conversion_funnel": "event_date"}
    days["stock_on_hand"] = "stock_date"
    first = {
        mart: f"select * from ({query}) where {days[mart]} = '2025-01-01'"
        for mart, query in STORE.items()
        if mart in days
    }
    publish_domain("storefront", first, STORE_DAYS[:1])
    retained = (
        "select 1 as load_batch_id, date '2011-01-13' as cohort_date, 'pc' as platform,"
        " 'easy' as difficulty, 0 as day_number, 1 as cohort_players, 1 as retained_players"
    )
    chapter = (
        "select 1 as load_batch_id, 1 as chapter, 'pc' as platform, 'easy' as difficulty,"
        " 1 as players_started, 0 as players_completed, 1 as attempts, 2 as deaths,"
        " 1 as players_stopped"
    )
    publish_domain(
        "eventlog",
        {
            "daily_active_players": "select date '2011-01-13' as calendar_date, 'pc' as platform,"
            " 1 as active_players, 1 as new_players, 0 as returning_players, 1 as sessions,"
            " 60 as play_time_seconds",
            "retention": retained,
            "funnel_chapters": chapter,
        },
    )
    assert "There is no day before it to compare it with." in shown("/store")
    assert "Web store, 1 Jan 2025" in shown("/store/funnel")
    assert "1 player starts chapter 1" in shown("/eventlog")
    # a rate of one player is grey, with the number
    assert "finished it; of 1 player" in shown("/eventlog")
    assert "Nobody stopped before the last chapter" in shown("/eventlog")
    assert "no day after their first is there yet" in shown("/eventlog/retention")
