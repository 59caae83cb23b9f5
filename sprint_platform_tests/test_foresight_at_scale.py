"""What the models promise of 50,000 players: on fewer, chance alone is as large as the promise."""

from __future__ import annotations

import pytest

from sprint_platform_tests.bench.foresight import half_a_year


@pytest.mark.door
def test_models_of_a_large_game_are_as_good_as_promised() -> None:
    year = half_a_year()
    assert year.players >= 50_000
    share = {"left_in_14_days": 0.5, "bought_in_14_days": 0.25}
    for label, least in share.items():
        for period, most in (("near", 0.02), ("far", 0.05)):
            found = {
                metric: year.evaluation.value(label, period, "served", metric)
                for metric in ("share_of_attainable", "ece")
            }
            assert found["share_of_attainable"] >= least, (label, period)
            assert found["ece"] <= most, (label, period)
            assert year.evaluation.value(label, period, "ceiling", "ece") <= 0.005
