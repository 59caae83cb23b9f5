"""Small titles as YAML, for tests and trials that build whole days."""

from __future__ import annotations

from datetime import date

# Most of the players buy something on each day that they play.
SPENDING = """
    clusters:
      none: {share: 0.4}
      minnow: {share: 0.5, chance: 1.0, purchases: [1, 2], price: [1, 10]}
      whale: {share: 0.1, chance: 1.0, purchases: [2, 5], price: [10, 50]}"""


def small_title(
    name: str,
    players: int,
    *,
    seed: int,
    launch_date: date = date(2025, 1, 1),
    daily_growth: float = 0.02,
    encounters: str = "{distance: 50, gap_seconds: 180}",
    typical_seconds: int = 360,
    spending: str = SPENDING,
) -> str:
    """The YAML of a title with that many players on the launch day, who play short matches, and of
    whom some join and a few leave each day."""
    return f"""\
name: {name}
launch_date: {launch_date}
seed: {seed}
encounters: {encounters}
simulation:
  growth:
    kind: compound
    starting_players: {players}
    daily_growth: {daily_growth}
    daily_decay: 0.0007
  archetypes: {{daily: 0.6, weekday: 0.2, cyclical: 0.2}}
  countries: {{US: 0.6, BR: 0.4}}
  platforms: {{pc: 0.6, mobile: 0.4}}
  sessions: {{typical_seconds: {typical_seconds}, longest_seconds: 900}}
  movement: {{models: {{lorentzian: 0.5, bezier: 0.5}}}}
  spending: {spending}
"""


# The word is leap's.
CONFLICTS = "{distance: 50, gap_seconds: 180, word: conflict}"
TINY = small_title("tiny", 60, seed=11, daily_growth=0.05, encounters=CONFLICTS)
