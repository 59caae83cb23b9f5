"""What a store is made from: flags, presets, the environment, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from sprint_platform.core.settings import Settings, SettingsError, variable
from sprint_platform.storefront.settings import PRESETS, StoreSettings

PRESET_VARIABLE = "SPRINT_STORE_PRESET"
SURROUNDINGS = {
    "SPRINT_STORE_CUSTOMERS": "11",
    "SPRINT_STORE_PRODUCTS": "12",
    "SPRINT_STORE_ORDERS": "13",
    "SPRINT_STORE_DAYS": "14",
    "SPRINT_STORE_SEED": "15",
    "SPRINT_STORE_START": "2025-02-03",
    "SPRINT_STORE_TITLE": "leap",
    "SPRINT_STORE_BATCH_SIZE": "160",
}
SURROUNDED = {
    "customers": 11,
    "products": 12,
    "orders": 13,
    "days": 14,
    "seed": 15,
    "start": date(2025, 2, 3),
    "title": "leap",
    "batch_size": 160,
}


def read(
    environment: Mapping[str, str] | None = None,
    given: Mapping[str, Any] | None = None,
    preset: str | None = None,
) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        for name in (*SURROUNDINGS, PRESET_VARIABLE):
            patch.delenv(name, raising=False)
        for name, value in (environment or {}).items():
            patch.setenv(name, value)
        return StoreSettings.read(given or {}, preset).model_dump()


def test_without_settings_the_medium_store_is_made() -> None:
    assert read() == {
        "customers": 10_000,
        "products": 5_000,
        "orders": 50_000,
        "days": 365,
        "seed": 42,
        "start": date(2025, 1, 1),
        "title": "sprint",
        "batch_size": 50_000,
    }


@pytest.mark.parametrize(
    ("preset", "numbers"),
    [
        ("small", (1_000, 500, 1_000, 30)),
        ("medium", (10_000, 5_000, 50_000, 365)),
        ("large", (100_000, 50_000, 500_000, 730)),
    ],
)
def test_a_preset_is_chosen_by_flag_or_by_the_environment(
    preset: str, numbers: tuple[int, ...]
) -> None:
    expected = dict(zip(("customers", "products", "orders", "days"), numbers, strict=True))
    chosen = {**read(), **expected}
    assert read(preset=preset) == chosen
    assert read({PRESET_VARIABLE: preset}) == chosen
    other = "small" if preset == "large" else "large"
    assert read({PRESET_VARIABLE: other}, preset=preset) == chosen


def test_the_environment_gives_every_setting() -> None:
    known = {variable(field) for field in Settings.model_fields if field.startswith("store_")}
    assert known == {*SURROUNDINGS, PRESET_VARIABLE}
    assert read(SURROUNDINGS) == SURROUNDED
    # also beside a preset of the environment's, which is for the numbers that are not given
    assert read({**SURROUNDINGS, PRESET_VARIABLE: "large"}) == SURROUNDED
    settings = read({PRESET_VARIABLE: "small", "SPRINT_STORE_ORDERS": "7"})
    assert (settings["customers"], settings["orders"], settings["days"]) == (1_000, 7, 30)


def test_a_preset_that_is_typed_wins_over_the_environment() -> None:
    settings = read(SURROUNDINGS, preset="small")
    assert settings == {**SURROUNDED, **PRESETS["small"]}


def test_a_flag_wins_over_everything() -> None:
    flags: dict[str, Any] = {
        **{"customers": 1, "products": 2, "orders": 3, "days": 4},
        **{"seed": 0, "start": date(2025, 3, 4), "title": "", "batch_size": 100},
    }
    assert read({**SURROUNDINGS, PRESET_VARIABLE: "small"}, flags, "large") == flags
    # a flag that is not given is None
    settings = read(SURROUNDINGS, {**dict.fromkeys(flags), "orders": 3}, "small")
    assert settings == {**SURROUNDED, **PRESETS["small"], "orders": 3}


def test_a_variable_that_is_set_to_nothing_is_not_set_but_a_store_may_have_no_title() -> None:
    nothing = dict.fromkeys([*SURROUNDINGS, PRESET_VARIABLE], "")
    assert read(nothing) == {**read(), "title": ""}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("customers", "many"),
        ("customers", "0"),
        ("customers", "-3"),
        ("customers", "2.5"),
        ("customers", "20000001"),
        ("products", "0"),
        ("products", "1000001"),
        ("orders", "0"),
        ("orders", "200000001"),
        ("orders", "1e5"),
        ("days", "0"),
        ("days", "3661"),
        ("days", "a year\nand a day"),
        ("seed", "-1"),
        ("seed", str(2**63)),
        ("seed", "0x2a"),
        ("start", "2025-02-30"),
        ("title", "Sprint"),
        ("title", "../sprint"),
        ("title", "sprint\n"),
        ("batch_size", "99"),
        ("batch_size", "10000001"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line_that_says_where_it_is(
    name: str, value: str
) -> None:
    set_by = variable(f"store_{name}")
    with pytest.raises(SettingsError) as by_variable:
        read({set_by: value})
    with pytest.raises(SettingsError) as by_flag:
        read({set_by: SURROUNDINGS[set_by]}, {name: value})
    for error, where in ((by_variable, set_by), (by_flag, name.replace("_", " "))):
        message = str(error.value)
        assert message.startswith(f"{where} is {value!r}: "), message
        assert message.isprintable(), repr(message)


def test_a_wrong_variable_does_no_harm_where_something_else_wins() -> None:
    wrong = {"SPRINT_STORE_ORDERS": "many"}
    assert read(wrong, {"orders": 5})["orders"] == 5
    assert read(wrong, preset="small")["orders"] == 1_000
    assert read({PRESET_VARIABLE: "huge"}, preset="small")["orders"] == 1_000


def test_limits_are_within_what_can_be_asked_for() -> None:
    most: dict[str, Any] = {
        **{"customers": 20_000_000, "products": 1_000_000, "orders": 200_000_000, "days": 3_660},
        **{"seed": 2**63 - 1, "batch_size": 10_000_000},
    }
    assert {**read({}, most), **most} == read({}, most)
    least = {"customers": 1, "products": 1, "orders": 1, "days": 1, "seed": 0, "batch_size": 100}
    assert {**read({}, least), **least} == read({}, least)


def test_an_unknown_preset_is_refused_in_one_line_that_says_where_it_is() -> None:
    for environment, preset, where in (
        ({}, "huge", "preset"),
        ({PRESET_VARIABLE: "huge"}, None, PRESET_VARIABLE),
    ):
        with pytest.raises(SettingsError) as error:
            read(environment, preset=preset)
        assert str(error.value) == f"{where} is 'huge': choose one of small, medium, large"


def test_an_unknown_setting_is_refused_in_one_line() -> None:
    with pytest.raises(SettingsError) as error:
        read({}, {"color": "red"})
    assert str(error.value).startswith("color is 'red': ")
    assert str(error.value).isprintable()


def test_the_fingerprint_covers_what_the_records_come_from() -> None:
    base = StoreSettings.model_validate(PRESETS["small"])
    mine = base.fingerprint("players")
    assert len(mine) == 16
    assert int(mine, 16) >= 0
    for changed in ("customers", "products", "orders", "days", "seed"):
        other = base.model_copy(update={changed: getattr(base, changed) + 1})
        assert other.fingerprint("players") != mine, changed
    assert base.model_copy(update={"start": date(2025, 1, 2)}).fingerprint("players") != mine
    assert base.fingerprint("others") != mine
    # how many rows are sent at a time, and what the title is called, change no record
    for same in ({"batch_size": 100}, {"title": "arena"}):
        assert base.model_copy(update=same).fingerprint("players") == mine


def test_a_store_reaches_its_numbers_on_so_many_days() -> None:
    days = StoreSettings.model_validate({**PRESETS["small"], "days": 3}).first_days
    assert days == [date(2025, 1, 1), date(2025, 1, 2), date(2025, 1, 3)]
