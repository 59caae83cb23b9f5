"""Draws: hashes that are uniform and independent, exact tables, and ids that are valid."""

from __future__ import annotations

import math
from decimal import Context, Decimal
from fractions import Fraction
from uuid import RFC_4122, UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprint_platform import draws
from sprint_platform.draws import (
    ONE,
    below,
    cosine,
    cumulative,
    mix,
    mix_scalar,
    pick,
    picker,
    remix,
    stream_key,
    threshold,
    top_bits,
    uuids,
)

COUNT = 200_000


def test_mix_is_splitmix64() -> None:
    # the first outputs of Vigna's reference implementation from state 1234567
    state = 1234567
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert mix(state, np.arange(1, 4)).tolist() == expected
    assert mix_scalar(0) == 16294208416658607535


@given(st.integers(0, 2**63 - 1), st.lists(st.integers(0, 2**62), max_size=40), st.integers(1, 9))
def test_a_draw_depends_on_its_key_and_entity_alone(
    key: int, entities: list[int], step: int
) -> None:
    whole = mix(key, np.array(entities, np.int64))
    alone = [int(mix(key, np.array([entity], np.int64))[0]) for entity in entities]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draws, "STEP", step)
        stepwise = mix(key, np.array(entities, np.int64))
    assert whole.tolist() == alone == stepwise.tolist()


def test_draws_are_uniform_and_streams_independent() -> None:
    entity = np.arange(COUNT)
    one, other = (mix(stream_key(7, name), entity) for name in ("country", "skill"))
    tomorrow = mix(stream_key(7, "country", 1), entity)
    for draw in (one, other, tomorrow, remix(one, stream_key(7, "second"))):
        for bit in range(64):
            ones = int(((draw >> np.uint64(bit)) & np.uint64(1)).sum())
            assert abs(ones - COUNT / 2) < 5 * math.sqrt(COUNT) / 2
    for a, b in ((one, other), (one, tomorrow), (one, remix(one, stream_key(7, "second")))):
        table = np.bincount(below(a, 8) * 8 + below(b, 8), minlength=64)
        chi_square = ((table - COUNT / 64) ** 2 / (COUNT / 64)).sum()
        assert chi_square < 120  # 63 degrees of freedom: mean 63, one in 50,000 above 118


def test_another_seed_name_or_day_is_another_stream_key() -> None:
    keys = {
        stream_key(seed, name, day)
        for seed in (1, 2)
        for name in ("a", "b", "session/739000/high", "session/739000/low")
        for day in (0, 1, 739_000)
    }
    assert len(keys) == 2 * 4 * 3


@given(st.integers(1, 2**31), st.integers(0, 2**64 - 1))
def test_below_is_below(n: int, draw: int) -> None:
    (value,) = below(np.array([draw], np.uint64), n).tolist()
    assert value == ((draw >> 32) * n) >> 32
    assert 0 <= value < n


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=9).filter(any))
def test_a_picker_has_each_choice_as_often_as_its_weight(weights: list[float]) -> None:
    exact = [Fraction(w).limit_denominator(10**9) for w in weights]
    if not sum(exact):
        return
    counts = np.bincount(picker(weights), minlength=len(weights))
    for count, weight in zip(counts.tolist(), exact, strict=True):
        assert abs(count - 65_536 * weight / sum(exact)) <= 1
    assert cumulative(weights)[-1] == ONE


def test_a_choice_without_weight_is_never_picked() -> None:
    draw = mix(stream_key(1, "choice"), np.arange(COUNT))
    assert set(np.unique(pick(picker([0, 0.3, 0, 0.7, 0]), draw)).tolist()) == {1, 3}
    with pytest.raises(ValueError, match="zero"):
        picker([0, 0])


def test_thresholds_are_exact_at_the_ends() -> None:
    assert threshold(0) == 0
    assert threshold(1) == ONE
    assert threshold(0.9) == ONE * 9 // 10
    draw = mix(stream_key(1, "chance"), np.arange(COUNT))
    assert not (top_bits(draw) < threshold(0.0)).any()
    assert (top_bits(draw) < threshold(1.0)).all()


@pytest.mark.parametrize("turns", [8, 256, 480, 1024, 11_688, 65_536])
def test_cosine_is_the_cosine(turns: int) -> None:
    table = cosine(turns)
    assert table.shape == (turns,)
    exact = [math.cos(2 * math.pi * i / turns) for i in range(turns)]
    assert np.abs(table - exact).max() < 2e-15
    assert (table[0], table[turns // 2]) == (1, -1)


def test_cosine_is_correct_to_the_last_bits() -> None:
    context = Context(prec=50)
    angle = Decimal("6.283185307179586476925286766559005768394338798750") * 3 / 480
    term = total = Decimal(1)
    for n in range(1, 30):
        term = context.divide(
            context.multiply(context.multiply(-term, angle), angle), Decimal(2 * n * (2 * n - 1))
        )
        total = context.add(total, term)
    assert abs(Decimal(float(cosine(480)[3])) - total) < Decimal("3e-16")


def test_ids_are_valid_uuids_and_never_alike() -> None:
    made = np.concatenate([uuids(1, kind, np.arange(1000)) for kind in ("player", "session/1")])
    texts = {UUID(bytes=bytes(value)) for value in made}
    assert len(texts) == 2000
    assert {(value.version, value.variant) for value in texts} == {(8, RFC_4122)}
    # every other bit takes both values: none is lost to the version's and the variant's places
    flat = np.unpackbits(np.frombuffer(made.tobytes(), np.uint8).reshape(-1, 16), axis=1)
    both = np.flatnonzero((flat.min(axis=0) == 0) & (flat.max(axis=0) == 1))
    assert len(both) == 128 - 4 - 2
    assert bytes(uuids(1, "player", np.array([5]))[0]) == bytes(made[5])
    assert bytes(uuids(2, "player", np.array([5]))[0]) != bytes(made[5])
