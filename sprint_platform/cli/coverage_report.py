"""How many days and batches are built and missing, and what builds them, for `sprint doctor`.

It is read from the ledgers' published copies: nothing is parsed, and no database is opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from sprint_platform.domain import outside_domains
from sprint_platform.publish.coverage import Coverage, domain_coverage, title_coverage, yesterday
from sprint_platform.storage.ledger import Ledger, title_ledger
from sprint_platform.title import Title


def coverage_rows(games: Iterable[Title]) -> Iterator[tuple[str, str]]:
    """A row for each title, the store, the event log and each domain from outside that this version
    has published: a name, and lines that say what is built, missing and stale."""
    from sprint_platform.eventlog.warehouse import LEDGER as EVENTLOG
    from sprint_platform.operations.days_to_build import before_launch, outdated_days
    from sprint_platform.orchestration.dbt_translator import ModelTranslator
    from sprint_platform.orchestration.domain_definitions import OutsideTranslator
    from sprint_platform.orchestration.eventlog_models import eventlog_translator
    from sprint_platform.orchestration.storefront_models import StorefrontTranslator
    from sprint_platform.orchestration.title_models import TitleTranslator
    from sprint_platform.storefront.coverage import store_coverage
    from sprint_platform.storefront.duckdb_target import LEDGER as STORE
    from sprint_platform.transform.dbt_manifest import Node, manifest_at_hand

    ours = manifest_at_hand()

    def stale(
        ledger: Ledger, translator: ModelTranslator, again: str, manifest: Node | None = ours
    ) -> Iterator[str]:
        models = translator.models(manifest) if manifest else []
        standing = ledger.published_standing(models)
        if standing and standing.stale:
            number = f"{len(standing.stale):,}"
            yield f"{number} built by another definition than today's: {again}"

    for game in games:
        if found := title_coverage(game, yesterday()):
            again = f"sprint run --title {game.name} --stale"
            ledger = title_ledger(game.name)
            lines = [*_days(found), *stale(ledger, TitleTranslator(game), again)]
            if outdated := outdated_days(game, ledger.published_sources()):
                lines.append(f"{len(outdated):,} made by another version of it: {again}")
            _, outside = before_launch(game, ledger.published_before(game.launch_date))
            lines += [outside] if outside else []
            yield f"days of {game.name}", "\n".join(lines)
    if found := store_coverage():
        old = stale(STORE, StorefrontTranslator(), "sprint storefront build")
        yield "days of the store", "\n".join([*_days(found), *old])
    if standing := EVENTLOG.published_standing():
        lines = [f"{len(standing.built):,} built"]
        if standing.unbuilt:
            behind = ", ".join(standing.unbuilt)
            lines.append(f"loaded and not built: {behind}: sprint eventlog build")
        old = stale(EVENTLOG, eventlog_translator(), "sprint eventlog build")
        yield "batches of the event log", "\n".join([*lines, *old])
    for domain in outside_domains():
        parsed = manifest_at_hand(domain.dbt_project)
        again = f"sprint domain run {domain.name} --stale"
        old = stale(domain.ledger, OutsideTranslator(domain), again, parsed)
        if found := domain_coverage(domain, yesterday()):
            yield f"days of {domain.name}", "\n".join([*_days(found), *old])
        elif standing := domain.ledger.published_standing():
            lines = [f"{len(standing.built):,} built"]
            if standing.unbuilt:
                behind = ", ".join(standing.unbuilt)
                build = f"sprint domain run {domain.name} --from {standing.unbuilt[0]} --reuse"
                lines.append(f"loaded and not built: {behind}: {build}")
            yield f"batches of {domain.name}", "\n".join([*lines, *old])


def _days(found: Coverage) -> Iterator[str]:
    yield f"{len(found.built):,} built{_span(found.built)}"
    if found.pruned:
        yield f"{len(found.pruned):,} of them pruned up to {found.pruned[-1]}: their marts stay"
    for days, what, command in (
        (found.gaps, "missing", found.gap_command),
        (found.tail, "not built yet", found.command),
    ):
        if days:
            yield f"{len(days):,} {what}{_span(days)}: {command}"


def _span(days: Sequence[date]) -> str:
    if not days:
        return ""
    return f", {days[0]}" if len(days) == 1 else f", {days[0]} to {days[-1]}"
