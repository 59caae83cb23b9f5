"""Which store a warehouse holds, the settings with which a command or run goes on with it, and the
error where another store is asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sprint_platform.storefront.errors import StorefrontError
from sprint_platform.storefront.settings import PRESETS, StoreSettings
from sprint_platform.title import Title, TitleError

# So many stores of a mixture are named.
STORES_NAMED = 3


@dataclass(frozen=True)
class HeldStore:
    """The store whose days a warehouse holds, as its loads noted it.

    ``where`` names the warehouse for people; ``source`` is the store's fingerprint. ``settings``
    is None where an older version loaded it, which did not note them; ``title`` may still be known.
    """

    where: str
    days: int
    source: str
    settings: StoreSettings | None
    title: str | None = None
    # how a command names the warehouse
    option: str = ""


def source_of(settings: StoreSettings) -> str:
    """What the store's records come from, as 16 hex digits. Raises TitleError."""
    if not settings.title:
        return settings.fingerprint("")
    title = Title.load(settings.title)
    # a landed title's players are nobody's: no customer is one of them
    return settings.fingerprint("" if title.simulation is None else title.fingerprint)


def noted_settings(noted: str | None) -> StoreSettings | None:
    """The settings that a load noted as JSON; None where it noted none, or where another version
    noted settings that this one does not have."""
    try:
        return StoreSettings.model_validate_json(noted) if noted else None
    except ValidationError:
        # treated as none: the fingerprint decides whether a store is the same
        return None


def choose_settings(
    held: HeldStore | None,
    given: Mapping[str, Any],
    preset: str | None = None,
) -> StoreSettings:
    """The settings to make or load days with: what is given, then what the project's settings say,
    then those of the store that the warehouse holds, and of the default preset where it holds none.

    Raises SettingsError. ``refuse_other`` checks whether they are the held store's.
    """
    if held is None:
        return StoreSettings.read(given, preset)
    known = held.settings or _found_settings(held, given, preset)
    return StoreSettings.read(given, preset, known)


def _found_settings(
    held: HeldStore, given: Mapping[str, Any], preset: str | None
) -> StoreSettings | None:
    """Those of the configured settings and the presets that have the held store's fingerprint."""
    of_title = {} if held.title is None else {"title": held.title}
    configured = StoreSettings.read(given, preset)
    presets = (StoreSettings.read(of_title, name) for name in PRESETS)
    for settings in (configured, *presets):
        # its title may be gone
        with suppress(TitleError):
            if source_of(settings) == held.source:
                return settings
    return None


def refuse_other(held: HeldStore | None, source: str, settings: StoreSettings) -> None:
    """Raises StorefrontError where the warehouse holds another store than that of ``source``, which
    has these settings."""
    if held is None or held.source == source:
        return
    if held.settings is None:
        why = "or of another version of its title or of the generator"
        go_on = "Say the settings as they were (--preset, --seed … or SPRINT_STORE_*)"
    elif different := _differences(held.settings, settings):
        why = different
        go_on = "Leave out the flags and SPRINT_STORE_* variables that say so to go on with it"
    else:
        why = "its title or the generator was another version"
        go_on = "Go back to that version to go on with it"
    raise StorefrontError(
        f"{held.where} holds {held.days} days of a store with other settings ({why}): nothing was"
        f" made or loaded. {go_on}, or replace that store with this one: `sprint storefront"
        f" generate --load --replace{held.option}`, and the same settings"
    )


def _differences(held: StoreSettings, wanted: StoreSettings) -> str:
    """``customers 1000, not 10000; title '', not 'sprint'``"""
    there, here = held.records_from(), wanted.records_from()
    return "; ".join(
        f"{name} {there[name]!r}, not {here[name]!r}" for name in there if there[name] != here[name]
    )


def described_sources(
    sources: Collection[str], held: HeldStore | None, settings: StoreSettings
) -> str:
    """The stores with these fingerprints, for people: the held one, a preset, or neither."""
    known = {
        source_of(settings.model_copy(update=numbers)): f"preset {name}"
        for name, numbers in PRESETS.items()
    }
    if held is not None:
        known[held.source] = f"the store that {held.where} holds"
    named = sorted({known.get(source, f"fingerprint {source}") for source in sources})
    more = f" and {len(named) - STORES_NAMED} more" if len(named) > STORES_NAMED else ""
    return ", ".join(named[:STORES_NAMED]) + more
