"""The game that is logged: its chapters, places, enemies, weapons and things to craft.

An invented story: a courier walks a flooded valley from the dam to the sea. Minutes and walls were
chosen so that a session of an hour brings three chapters, and chapters 4 and 9 lose players.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Chapter:
    """A chapter: about how long it takes, what share of attempts a player on normal gives up, and
    its places: each ends with a checkpoint, the last with the chapter."""

    name: str
    minutes: int
    given_up: Fraction
    places: tuple[str, ...]


def _percent(share: int) -> Fraction:
    return Fraction(share, 100)


CHAPTERS = (
    Chapter("The Dam at Ostrow", 10, _percent(2), ("spillway", "control room")),
    Chapter("Drowned Orchards", 14, _percent(4), ("orchard", "press house", "ferry landing")),
    Chapter("Salt Road", 15, _percent(5), ("toll gate", "caravan", "brine works")),
    Chapter("The Glass Quarter", 22, _percent(24), ("arcade", "greenhouse", "atrium", "roof walk")),
    Chapter("Night Ferry", 12, _percent(5), ("lower deck", "engine room")),
    Chapter("Kestrel Station", 16, _percent(6), ("platform", "signal box", "turntable")),
    Chapter("What the Mill Kept", 15, _percent(6), ("mill race", "granary", "loft")),
    Chapter("Hollow Sunday", 14, _percent(5), ("square", "bell tower", "crypt")),
    Chapter("The Long Tunnel", 24, _percent(28), ("portal", "shelter", "pump hall", "far end")),
    Chapter("Letters for Nobody", 12, _percent(4), ("post office", "archive")),
    Chapter("Breakwater", 18, _percent(8), ("pier", "crane yard", "lighthouse")),
    Chapter("The Sea, at Last", 20, _percent(5), ("dunes", "wreck", "slipway")),
)

WEATHERS = ("clear", "fog", "rain", "storm", "snow")
WEATHER_SHARES = (0.34, 0.20, 0.24, 0.14, 0.08)

ENEMIES = ("scavenger", "warden", "hound", "drifter", "sniper", "brute", "sapper", "tollman")
ENEMY_SHARES = (0.26, 0.18, 0.14, 0.14, 0.08, 0.06, 0.06, 0.08)


@dataclass(frozen=True)
class Weapon:
    """A weapon: how often it is used, the least damage of a killing hit, and its chance of a hit to
    the head."""

    name: str
    share: float
    damage: int
    headshots: Fraction


WEAPONS = (
    Weapon("pistol", 0.28, 30, _percent(30)),
    Weapon("shotgun", 0.16, 70, _percent(12)),
    Weapon("hunting rifle", 0.14, 85, _percent(48)),
    Weapon("bow", 0.14, 60, _percent(42)),
    Weapon("machete", 0.12, 55, _percent(0)),
    Weapon("brick", 0.08, 25, _percent(20)),
    Weapon("fire bottle", 0.05, 90, _percent(0)),
    Weapon("crowbar", 0.03, 45, _percent(0)),
)
# a hit does its weapon's least damage and up to this much more; twice as much to the head
DAMAGE_SPREAD = 32


@dataclass(frozen=True)
class Item:
    """A thing to craft, and what one of it takes."""

    name: str
    share: float
    materials: tuple[tuple[str, int], ...]


ITEMS = (
    Item("bandage", 0.34, (("cloth", 2), ("alcohol", 1))),
    Item("fire bottle", 0.18, (("bottle", 1), ("alcohol", 2), ("cloth", 1))),
    Item("arrow", 0.20, (("wood", 2), ("feather", 1), ("scrap", 1))),
    Item("lockpick", 0.12, (("scrap", 2), ("wire", 1))),
    Item("smoke pot", 0.09, (("sugar", 1), ("saltpetre", 2))),
    Item("blade", 0.07, (("scrap", 3), ("tape", 1))),
)
MOST_CRAFTED = 3  # of one thing at a time

# What a player does between checkpoints: shares of kills, deaths and crafting by difficulty, and
# how much longer a chapter takes and how much more often it is given up, against normal.
ACTION_SHARES = {
    "easy": (0.78, 0.06, 0.16),
    "normal": (0.70, 0.13, 0.17),
    "hard": (0.62, 0.21, 0.17),
    "grounded": (0.55, 0.28, 0.17),
}
SLOWER = {
    "easy": Fraction(9, 10),
    "normal": Fraction(1),
    "hard": Fraction(23, 20),
    "grounded": Fraction(13, 10),
}
GIVEN_UP_MORE = {
    "easy": Fraction(6, 10),
    "normal": Fraction(1),
    "hard": Fraction(3, 2),
    "grounded": Fraction(2),
}

# What counts towards the score.
POINTS = {
    "enemy_killed": 100,
    "headshot": 50,
    "checkpoint_reached": 250,
    "item_crafted": 20,
    "chapter_completed": 1000,
}
