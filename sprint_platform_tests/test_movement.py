"""Movement models: each one's shape, start, reach and repeatability, and how models are found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprint_platform.draws import mix
from sprint_platform.simulation import movement
from sprint_platform.simulation.movement.linear import basis_table
from sprint_platform.simulation.movement.registry import models
from sprint_platform.simulation.world import World
from sprint_platform.title import TitleError
from sprint_platform_tests.worlds import LAUNCH, positions, table, title_like

REACH = (6000, 6000, 3000)
NAMES = ["bezier", "lissajous", "lorentzian", "perlin"]
KEYS = mix(1, np.arange(3_000))


def walk(name: str, keys: npt.NDArray[np.uint64] = KEYS, beats: int = 60) -> npt.NDArray[np.int32]:
    return models()[name](keys, beats, REACH)


def steps(path: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """Distances between one position and the next, in units."""
    return np.sqrt((np.diff(path / 100.0, axis=2) ** 2).sum(axis=0)).reshape(-1)


def test_the_shipped_models_are_found() -> None:
    assert set(NAMES) <= set(models())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("beats", [1, 2, 5, 60, 240])
def test_a_path_is_whole_numbers_from_the_start_on(name: str, beats: int) -> None:
    path = walk(name, KEYS[:50], beats)
    assert path.shape == (3, 50, beats)
    assert path.dtype == np.int32
    assert (path[:, :, 0] == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_the_keys_alone(name: str) -> None:
    whole = walk(name)
    assert (walk(name, KEYS[::-1])[:, ::-1] == whole).all()
    assert (walk(name, KEYS[17:18]) == whole[:, 17:18]).all()
    # players move differently, and on the three axes too
    assert abs(np.corrcoef(whole[0, :, 20], whole[1, :, 20])[0, 1]) < 0.1
    assert abs(np.corrcoef(whole[0, 1:, 20], whole[0, :-1, 20])[0, 1]) < 0.1


@pytest.mark.parametrize("name", NAMES)
def test_players_do_not_all_come_back_together(name: str) -> None:
    # nor do they all meet at one place later on: noise is 0 at its lattice points, curves close
    path = walk(name) / 100.0
    for beat in range(3, 58):
        away = np.sqrt((path[:, :, beat] ** 2).sum(axis=0))
        assert np.median(away) > 15
        for earlier in range(3, beat - 2, 3):
            moved = np.sqrt(((path[:, :, beat] - path[:, :, earlier]) ** 2).sum(axis=0))
            assert np.median(moved) > 10


@given(name=st.sampled_from(NAMES), beats=st.integers(1, 240), longer=st.integers(1, 240))
def test_a_shorter_path_is_the_beginning_of_a_longer_one(
    name: str, beats: int, longer: int
) -> None:
    beats, longer = sorted((beats, longer))
    keys = KEYS[:9]
    assert (walk(name, keys, longer)[:, :, :beats] == walk(name, keys, beats)).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reach", [(250, 250, 250), (100_000, 100_000, 100_000)])
def test_paths_scale_with_the_reach_and_stay_in_32_bits(
    name: str, reach: tuple[int, int, int]
) -> None:
    path = models()[name](KEYS, 240, reach)
    far = np.abs(path.astype(np.int64)).max()
    assert far > 0.5 * reach[0]
    # the running sum is the longest way: a full reach each beat, never so far as to wrap
    assert far < 240 * reach[0]
    usual = models()[name](KEYS, 240, (6000, 6000, 6000))
    ratio = np.median(steps(path)) / np.median(steps(usual))
    assert ratio == pytest.approx(reach[0] / 6000, rel=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_nobody_stands_still_or_drifts_one_way(name: str) -> None:
    path = walk(name).astype(np.float64)
    assert np.median(steps(path)) > 1
    for axis in range(3):
        end = path[axis, :, -1]
        assert abs(end.mean()) < 4 * end.std() / np.sqrt(len(end))


def test_lorentzian_steps_have_a_sharper_peak_and_a_longer_tail() -> None:
    def shape(name: str) -> float:
        along = np.diff(walk(name)[0] / 100.0, axis=1).reshape(-1)
        low, quarter, three, high = np.quantile(along, [0.01, 0.25, 0.75, 0.99])
        return float((high - low) / (three - quarter))

    def quantile_ratio(name: str) -> float:
        length = steps(walk(name))
        return float(np.quantile(length, 0.99) / np.quantile(length, 0.5))

    # a normal distribution has (2 * 2.33) / (2 * 0.67) = 3.4
    assert shape("bezier") < 5
    assert shape("lorentzian") > 1.5 * shape("bezier")
    assert quantile_ratio("lorentzian") > 1.5 * quantile_ratio("bezier")


def test_lorentzian_step_lengths_are_half_cauchy() -> None:
    reach = (6000, 6000, 6000)
    length = steps(models()["lorentzian"](mix(2, np.arange(20_000)), 20, reach))
    width = 60.0 / np.tan(np.radians(80))
    for share in (0.1, 0.25, 0.5, 0.75, 0.95, 0.99):
        # cut off at the reach, which is tan 80 degrees
        expected = width * np.tan(np.radians(80 * share))
        assert np.quantile(length, share) == pytest.approx(expected, rel=0.03)
    assert length.max() <= 60.02
    # no length stands out: a clipped tail would be one
    assert np.bincount(np.rint(length * 10).astype(int)).max() < 0.02 * len(length)


@pytest.mark.parametrize("name", ["bezier", "lissajous", "perlin"])
def test_smooth_models_turn_smoothly(name: str) -> None:
    delta = np.diff(walk(name).astype(np.float64), axis=2)
    one, other = delta[:, :, :-1], delta[:, :, 1:]
    norm = np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))
    turn = ((one * other).sum(axis=0)[norm > 0] / norm[norm > 0]).mean()
    assert turn > 0.4


def test_a_lorentzian_walk_has_no_memory() -> None:
    delta = np.diff(walk("lorentzian").astype(np.float64), axis=2)
    one, other = delta[:, :, :-1], delta[:, :, 1:]
    norm = np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))
    turn = ((one * other).sum(axis=0)[norm > 0] / norm[norm > 0]).mean()
    assert abs(turn) < 0.02


def test_a_basis_that_floats_cannot_hold_is_refused() -> None:
    basis_table([np.ones(4)] * 15)
    with pytest.raises(ValueError, match="partial sums"):
        basis_table([np.ones(4)] * 16)


ZIGZAG = """
import numpy as np


def paths(key, beats, reach):
    out = np.zeros((3, key.size, beats), np.int32)
    out[0, :, 1::2] = reach[0]
    return out
"""


@pytest.fixture
def add_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts a module into the package of the movement models, until the test ends."""
    monkeypatch.setattr(movement, "__path__", [*movement.__path__, str(tmp_path)])

    def add(source: str) -> None:
        (tmp_path / "zigzag.py").write_text(source, encoding="utf-8")
        models.cache_clear()

    yield add
    models.cache_clear()
    sys.modules.pop(f"{movement.__name__}.zigzag", None)
    if hasattr(movement, "zigzag"):
        delattr(movement, "zigzag")


def test_a_new_module_is_a_new_model(add_model: Callable[[str], None]) -> None:
    title = title_like(
        "sprint",
        simulation__growth={
            "kind": "compound",
            "starting_players": 50,
            "daily_growth": 0.0,
            "daily_decay": 0.0,
        },
        simulation__movement={"models": {"zigzag": 1.0}},
    )
    with pytest.raises(TitleError, match="'zigzag' is not one of bezier, lissajous, lorentzian"):
        World(title)
    add_model(ZIGZAG)
    assert {*NAMES, "zigzag"} <= set(models())
    records = table(World(title), "heartbeats", LAUNCH)
    assert records.num_rows > 500
    # y and z are the team's way to its place and nothing else: few players are anywhere else
    assert len(np.unique(positions(records)[:, 2])) < records.num_rows / 3


def test_a_new_module_changes_nothing_for_titles_that_do_not_use_it(
    sprint: World, add_model: Callable[[str], None]
) -> None:
    before = table(sprint, "heartbeats", LAUNCH)
    add_model(ZIGZAG)
    assert table(World(sprint.title), "heartbeats", LAUNCH).equals(before)
