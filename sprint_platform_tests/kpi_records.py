"""Every KPI mart by brute force in plain Python, from a small game's records: each row is counted
by itself, over all days, without a running sum or a window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import ceil, floor
from uuid import UUID

from sprint_platform_tests.dbt_runs import Row
from sprint_platform_tests.game_records import Records

DAY = timedelta(days=1)
DAY_NUMBERS = (1, 3, 7, 14, 30, 60, 90)
CELL = 5.0


@dataclass(frozen=True)
class SignUp:
    """When a player signed up, and where from."""

    day: date
    country: str


SignUps = dict[UUID, SignUp]


def quotient(part: float | Decimal, whole: float) -> float | None:
    return float(part) / whole if whole else None


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def month_of(day: date, later: int = 0) -> date:
    months = day.year * 12 + day.month - 1 + later
    return date(months // 12, months % 12 + 1, 1)


class Game:
    """The records, by what the marts ask for."""

    def __init__(self, records: Records, sign_ups: SignUps, missing: Collection[date]) -> None:
        self.sign_ups = sign_ups
        self.missing = missing
        self.sessions = [(day, row) for day, row in records.all("sessions")]
        self.heartbeats = [(day, row) for day, row in records.all("heartbeats")]
        self.purchases = [(day, row) for day, row in records.all("transactions")]
        self.paid = [(day, row) for day, row in self.purchases if row["purchase_price"]]
        # of each player and day of play, its sessions
        self.played: dict[tuple[UUID, date], list[Row]] = defaultdict(list)
        for day, row in self.sessions:
            self.played[row["player_id"], day].append(row)
        self.days_of: dict[UUID, set[date]] = defaultdict(set)
        for player, day in self.played:
            self.days_of[player].add(day)
        self.play_days = {day for _, day in self.played}
        self.game_days = self.play_days | {day for day, _ in self.purchases}

    def lacks(self, first: date, last: date) -> bool:
        """Whether one of these days is missing."""
        return any(first <= day <= last for day in self.missing)

    def home(self, player: UUID) -> str:
        known = self.sign_ups.get(player)
        return known.country if known else "ZZ"

    def country_on(self, player: UUID, day: date) -> str:
        """Where the day's last session was."""
        rows = self.played[player, day]
        return str(max(rows, key=lambda r: (r["started_at"], r["session_id"]))["country"])

    def last_played(self, player: UUID, day: date, days: int) -> date | None:
        """The last day of play of the so many days that end with this one."""
        found = [d for d in self.days_of[player] if timedelta(0) <= day - d < timedelta(days)]
        return max(found, default=None)

    def bought(self, players: Iterable[UUID], days: Iterable[date]) -> list[Row]:
        who, when = set(players), set(days)
        return [row for day, row in self.purchases if day in when and row["player_id"] in who]


def expected_kpis(
    records: Records,
    sign_ups: SignUps,
    sessions_met: list[Row],
    missing: Collection[date] = (),
) -> dict[str, list[Row]]:
    """Every KPI mart; ``sessions_met`` are the rows of session_close_encounters_daily, ``missing``
    the days that were not made."""
    game = Game(records, sign_ups, missing)
    return {
        "kpi_daily": _kpi_daily(game),
        "cohort_retention": _retention(game),
        "concurrency_5_minutes": _concurrency(game),
        "cohort_revenue": _cohort_revenue(game),
        "spender_concentration_monthly": _concentration(game),
        "player_rfm_monthly": _rfm(game),
        "player_churn_weekly": _churn(game),
        "encounter_rates_daily": _encounter_rates(game, sessions_met),
        "position_heat_daily": _heat(game),
    }


def paying(purchases: Iterable[Row]) -> set[UUID]:
    """Who bought something that costs something."""
    return {row["player_id"] for row in purchases if row["purchase_price"]}


def _kpi_daily(game: Game) -> list[Row]:
    rows = []
    for day in game.game_days:
        of: dict[str, Row] = defaultdict(lambda: defaultdict(lambda: Decimal(0)))
        for player in game.days_of:
            for measure, days in (
                ("active_players", 1),
                ("weekly_active_players", 7),
                ("monthly_active_players", 28),
            ):
                if last := game.last_played(player, day, days):
                    of[game.country_on(player, last)][measure] += 1
            if day in game.days_of[player]:
                here = of[game.country_on(player, day)]
                here["sessions"] += len(game.played[player, day])
                here["play_time_seconds"] += sum(
                    row["event_length_seconds"] for row in game.played[player, day]
                )
                known = game.sign_ups.get(player)
                here["returning_players"] += not (known and known.day == day)
        for sign_up in game.sign_ups.values():
            if sign_up.day == day:
                of[sign_up.country]["new_players"] += 1
        for country in {game.home(row["player_id"]) for d, row in game.purchases if d == day}:
            bought = [
                row for d, row in game.purchases
                if d == day and game.home(row["player_id"]) == country
            ]  # fmt: skip
            of[country]["purchases"] += len(bought)
            of[country]["payers"] += len(paying(bought))
            of[country]["revenue"] += sum(row["purchase_price"] for row in bought)
        lacks_week, lacks_month = (game.lacks(day - n * DAY, day) for n in (6, 27))
        for country, totals in of.items():
            active, payers = int(totals["active_players"]), int(totals["payers"])
            rows.append(
                {
                    "calendar_date": day,
                    "country": country,
                    "active_players": active,
                    "weekly_active_players": None
                    if lacks_week
                    else int(totals["weekly_active_players"]),
                    "monthly_active_players": None
                    if lacks_month
                    else int(totals["monthly_active_players"]),
                    "stickiness": None
                    if lacks_month
                    else quotient(active, int(totals["monthly_active_players"])),
                    "new_players": int(totals["new_players"]),
                    "returning_players": int(totals["returning_players"]),
                    "sessions": int(totals["sessions"]),
                    "play_time_seconds": int(totals["play_time_seconds"]),
                    "sessions_per_active_player": quotient(totals["sessions"], active),
                    "play_time_per_active_player": quotient(totals["play_time_seconds"], active),
                    "revenue": totals["revenue"],
                    "purchases": int(totals["purchases"]),
                    "payers": payers,
                    "arpdau": quotient(totals["revenue"], active),
                    "arppu": quotient(totals["revenue"], payers),
                    "payer_conversion": quotient(payers, active),
                }
            )
    return rows


def _cohorts(game: Game) -> dict[tuple[date, str], list[UUID]]:
    cohorts: dict[tuple[date, str], list[UUID]] = defaultdict(list)
    for player, sign_up in game.sign_ups.items():
        cohorts[sign_up.day, sign_up.country].append(player)
    return cohorts


def _retention(game: Game) -> list[Row]:
    rows = []
    for (day, country), players in _cohorts(game).items():
        for number in DAY_NUMBERS:
            later = day + number * DAY
            if later not in game.play_days:
                continue
            retained = sum(later in game.days_of[player] for player in players)
            rows.append(
                {
                    "signup_date": day,
                    "country": country,
                    "day_number": number,
                    "calendar_date": later,
                    "cohort_players": len(players),
                    "retained_players": retained,
                    "retention": retained / len(players),
                }
            )
    return rows


def _concurrency(game: Game) -> list[Row]:
    spans = []
    for day, row in game.sessions:
        end_of_next_day = datetime.combine(day + 2 * DAY, datetime.min.time())
        end = min(row["event_datetime"], end_of_next_day)
        spans.append((row["player_id"], row["started_at"], end))
    rows = []
    for day in game.play_days:
        midnight = datetime.combine(day, datetime.min.time())
        near = [s for s in spans if s[1] < midnight + DAY and s[2] > midnight]
        moments = [midnight + n * timedelta(minutes=5) for n in range(288)]
        online = {
            moment: len({player for player, start, end in near if start <= moment < end})
            for moment in moments
        }
        unknown = game.lacks(day - DAY, day - DAY)
        rows += [
            {
                "slot_started_at": moment,
                "calendar_date": day,
                "players_online": None if unknown else players,
                "day_peak": None if unknown else max(online.values()),
            }
            for moment, players in online.items()
        ]
    return rows


def _cohort_revenue(game: Game) -> list[Row]:
    rows = []
    for (day, country), players in _cohorts(game).items():
        for number in range(91):
            here = day + number * DAY
            if here not in game.game_days:
                continue
            bought = game.bought(players, [here])
            so_far = game.bought(players, [day + n * DAY for n in range(number + 1)])
            paid: Decimal | None = sum((row["purchase_price"] for row in so_far), Decimal(0))
            if game.lacks(day, here):
                paid = None
            rows.append(
                {
                    "signup_date": day,
                    "country": country,
                    "day_number": number,
                    "calendar_date": here,
                    "cohort_players": len(players),
                    "payers": len(paying(bought)),
                    "revenue": sum((row["purchase_price"] for row in bought), Decimal(0)),
                    "cumulative_revenue": paid,
                    "lifetime_value": None if paid is None else float(paid) / len(players),
                }
            )
    return rows


def _concentration(game: Game) -> list[Row]:
    spent: dict[date, dict[UUID, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for day, row in game.paid:
        spent[month_of(day)][row["player_id"]] += row["purchase_price"]
    rows = []
    for month, of in spent.items():
        amounts = sorted(of.values(), reverse=True)
        one, ten = (ceil(len(amounts) * share / 100) for share in (1, 10))
        total = sum(amounts)
        rows.append(
            {
                "year_month": month,
                "payers": len(amounts),
                "revenue": total,
                "top_1_percent_payers": one,
                "top_1_percent_revenue": sum(amounts[:one]),
                "top_1_percent_share": quotient(sum(amounts[:one]), float(total)),
                "top_10_percent_payers": ten,
                "top_10_percent_revenue": sum(amounts[:ten]),
                "top_10_percent_share": quotient(sum(amounts[:ten]), float(total)),
            }
        )
    return rows


def _rfm(game: Game) -> list[Row]:
    rows = []
    for month in {month_of(day) for day, _ in game.paid}:
        first, end = month_of(month, -2), month_of(month, 1)
        payments: dict[UUID, list[tuple[date, Decimal]]] = defaultdict(list)
        for day, row in game.paid:
            if first <= day < end:
                payments[row["player_id"]].append((day, row["purchase_price"]))
        measures = {
            player: (
                (end - DAY - max(day for day, _ in bought)).days,
                len(bought),
                sum(price for _, price in bought),
            )
            for player, bought in payments.items()
        }
        for player, (recency, frequency, monetary) in measures.items():
            # in fifths of all payers: those who are not better
            r = ceil(5 * sum(other[0] >= recency for other in measures.values()) / len(measures))
            f = ceil(5 * sum(other[1] <= frequency for other in measures.values()) / len(measures))
            m = ceil(5 * sum(other[2] <= monetary for other in measures.values()) / len(measures))
            figures = {
                "recency_days": recency,
                "frequency": frequency,
                "monetary": monetary,
                "recency_score": r,
                "frequency_score": f,
                "monetary_score": m,
                "segment": _segment(r, f, m, frequency),
            }
            if game.lacks(first, end - DAY):
                figures = dict.fromkeys(figures)
            row = {"player_id": player, "year_month": month, "country": game.home(player)}
            rows.append({**row, **figures})
    return rows


def _segment(recency: int, frequency: int, monetary: int, purchases: int) -> str:
    again = purchases > 1
    if recency >= 3:
        if not again:
            return "new" if recency >= 4 else "promising"
        if frequency < 4:
            return "promising"
        return "champions" if recency >= 4 and monetary >= 4 else "loyal"
    if monetary >= 4:
        return "big spenders at risk"
    return "at risk" if again and frequency >= 3 else "lapsing"


def _churn(game: Game) -> list[Row]:
    rows = []
    for player, days in game.days_of.items():
        for week in {monday(day) for day in days}:
            here = sorted(day for day in days if monday(day) == week)
            before = [day for day in days if week - 28 * DAY <= day < week]
            after = [week + n * DAY for n in range(7, 21)]
            played = [row for day in here for row in game.played[player, day]]
            played_before = [row for day in before for row in game.played[player, day]]
            bought = game.bought([player], [week + n * DAY for n in range(7)])
            bought_before = game.bought([player], [week - n * DAY for n in range(1, 29)])
            churned = None
            if any(day in days for day in after):
                churned = False
            elif all(day in game.play_days for day in after):
                churned = True
            known = game.sign_ups.get(player)
            looking_back = {
                "days_played_before": len(before),
                "sessions_before": len(played_before),
                "play_time_seconds_before": sum(
                    row["event_length_seconds"] for row in played_before
                ),
                "revenue_before": sum((row["purchase_price"] for row in bought_before), Decimal(0)),
                "days_since_last_played": (here[0] - max(before)).days if before else None,
            }
            if game.lacks(week - 28 * DAY, week - DAY):
                looking_back = dict.fromkeys(looking_back)
            rows.append(
                {
                    "player_id": player,
                    "year_week": week,
                    "country": game.country_on(player, here[-1]),
                    "days_played": len(here),
                    "sessions": len(played),
                    "play_time_seconds": sum(row["event_length_seconds"] for row in played),
                    "kills": sum(row["kills"] for row in played),
                    "deaths": sum(row["deaths"] for row in played),
                    "purchases": len(bought),
                    "revenue": sum((row["purchase_price"] for row in bought), Decimal(0)),
                    "days_since_signup": (here[-1] - known.day).days if known else None,
                    **looking_back,
                    "churned": churned,
                }
            )
    return rows


def _encounter_rates(game: Game, sessions_met: list[Row]) -> list[Row]:
    spans: dict[tuple[UUID, date], list[Row]] = defaultdict(list)
    for day, row in game.sessions:
        spans[row["session_id"], day].append(row)
    seconds = {
        key: int(
            (
                max(row["event_datetime"] for row in parts)
                - min(row["started_at"] for row in parts)
            ).total_seconds()
        )
        for key, parts in spans.items()
    }
    rows = []
    for day in {row["calendar_day"] for row in sessions_met}:
        met = [row for row in sessions_met if row["calendar_day"] == day]
        timed = [row for row in met if (row["session_id"], day) in seconds]
        length = sum(seconds[row["session_id"], day] for row in timed)
        encounters = sum(row["close_encounter_count"] for row in met)
        rows.append(
            {
                "calendar_day": day,
                "sessions": len(met),
                "encounters": encounters,
                "session_seconds": length,
                "encounter_seconds": sum(row["total_encounter_seconds"] for row in met),
                "encounters_per_session": encounters / len(met),
                "encounters_per_session_hour": quotient(
                    3600 * sum(row["close_encounter_count"] for row in timed), length
                ),
            }
        )
    return rows


def _heat(game: Game) -> list[Row]:
    cells: dict[tuple[date, int, int], int] = defaultdict(int)
    for day, row in game.heartbeats:
        x, y = (floor(float(row[f"position_{axis}"]) / CELL) for axis in "xy")
        cells[day, x, y] += 1
    return [
        {
            "calendar_date": day,
            "cell_x": x,
            "cell_y": y,
            "x_from": x * CELL,
            "y_from": y * CELL,
            "cell_side": CELL,
            "heartbeats": count,
        }
        for (day, x, y), count in cells.items()
    ]
