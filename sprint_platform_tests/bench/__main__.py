"""`python -m sprint_platform_tests.bench`: prints the table, and writes it as JSON."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import psutil
import typer
from rich.console import Console
from rich.table import Table

from sprint_platform_tests.bench import (
    big_day,
    eventlog,
    foresight,
    graph_runs,
    history,
    landing,
    rates,
    storefront,
)

# Active players of days whose cost is drawn in docs/scale.md.
SIZES = (1_000, 10_000, 100_000, 1_000_000)


def main(
    only: Annotated[
        str,
        typer.Option(
            help="rates, landing, landing-10gb, eventlog, storefront, foresight, graph, sizes,"
            " big-day, history or all."
        ),
    ] = "all",
    large_gigabytes: Annotated[
        float, typer.Option(help="How large the one file of landing-10gb is.")
    ] = landing.LARGE_GIGABYTES,
    json_file: Annotated[Path | None, typer.Option(help="Where to write the JSON.")] = None,
) -> None:
    """Measures, prints a table, and writes the same as JSON."""
    table = Table(title="Sprint Platform, measured")
    for heading in ("what", "figure", "promise", "against the seed's 8,400/s"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    report: dict[str, object] = {
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30),
            "python": platform.python_version(),
            "processor": platform.machine(),
        }
    }

    path = json_file or Path(".cache") / "bench.json"
    path.parent.mkdir(parents=True, exist_ok=True)

    def add(key: str, what: str, value: float, shown: str, promise: str, seed: str = "") -> None:
        report[key] = value
        table.add_row(what, shown, promise, seed)
        # at once: some parts take long, and a later one may fail
        path.write_text(json.dumps(report, indent=1) + "\n")

    if only in ("all", "rates"):
        with graph_runs.fresh_folders(), rates.one_core():
            for rate in rates.measure():
                seed = f"{rate.over_seed:,.0f} x" if rate.over_seed else ""
                promise = f">= {rate.target / 1e6:g} M/s" if rate.target else ""
                add(
                    rate.name.replace(" ", "_") + "_rows_per_cpu_second",
                    f"{rate.name}, rows per CPU-second",
                    rate.per_second,
                    f"{rate.per_second / 1e6:.1f} M/s",
                    promise,
                    seed,
                )
            signed_up, active, seconds = rates.active_set_seconds()
            add(
                "active_set_seconds",
                f"a day's active set ({active:,}) out of {signed_up:,} players, CPU-seconds",
                seconds,
                f"{seconds:.3f} s",
                "<= 0.1 s",
            )
    if only in ("all", "landing"):
        for file_format, promise in (("parquet", 2e6), ("csv", 0.5e6)):
            landed = landing.by_the_hour(file_format)
            add(
                f"landing_{file_format}_rows_per_second",
                f"landing {landed.rows:,} heartbeats from {file_format}, rows per second",
                landed.per_second,
                f"{landed.per_second / 1e6:.2f} M/s",
                f">= {promise / 1e6:g} M/s",
                f"{landed.per_second / rates.SEED_HEARTBEATS_PER_SECOND:,.0f} x",
            )
            add(
                f"landing_{file_format}_load_seconds",
                "  and into the warehouse",
                landed.load_seconds,
                f"{landed.load_seconds:.1f} s",
                "",
            )
    if only in ("all", "landing-10gb"):
        large = landing.one_large_file(round(large_gigabytes * 1e9))
        millions = f"{large.rows / 1e6:.0f} M heartbeats, {large.rows_a_day / 1e6:.1f} M a day"
        for key, what, process, promise in (
            ("file", f"landing one CSV file of {large.size / 1e9:.1f} GB ({millions})",
             large.landing, "< 2 GiB"),
            # it takes what DuckDB may have
            ("load", "  and into the warehouse", large.load, ""),
        ):  # fmt: skip
            seconds, peak = process.wall, process.peak_bytes / 2**30
            add(f"landing_large_{key}_seconds", what, seconds, f"{seconds:.0f} s", "")
            name = f"landing_large_{key}_peak_gib"
            add(name, "  peak memory", peak, f"{peak:.2f} GiB", promise)
    if only in ("all", "eventlog"):
        seconds = eventlog.default_batch_seconds()
        add(
            "eventlog_default_seconds",
            "event log of 2,000 players, generated and loaded",
            seconds,
            f"{seconds:.1f} s",
            "<= 5 s",
        )
        batch = eventlog.large_batch()
        players = f"{eventlog.LARGE:,} players ({batch.events:,} events)"
        for key, what, process, promise in (
            ("generated", f"event log of {players}, generated and loaded", batch.generated, 90),
            ("built", "  its models built and tested", batch.built, None),
        ):
            add(
                f"eventlog_large_{key}_seconds",
                what,
                process.wall,
                f"{process.wall:.0f} s",
                f"<= {promise} s" if promise else "",
            )
            peak = process.peak_bytes / 2**30
            add(
                f"eventlog_large_{key}_peak_gib",
                "  peak memory",
                peak,
                f"{peak:.2f} GiB",
                "< 2 GiB",
            )
    if only in ("all", "storefront"):
        for preset, seconds_promise, peak_promise in (("medium", 30, None), ("large", None, 3)):
            stored = storefront.in_duckdb(preset)
            for key, what, process in (
                (
                    "generated",
                    f"{preset} store ({stored.rows:,} rows), generated and loaded",
                    stored.generated,
                ),
                ("built", "  its models built and tested", stored.built),
            ):
                promise = (
                    f"<= {seconds_promise} s" if seconds_promise and key == "generated" else ""
                )
                seconds = process.wall
                name = f"store_{preset}_{key}"
                add(f"{name}_seconds", what, seconds, f"{seconds:.0f} s", promise)
                peak = process.peak_bytes / 2**30
                promise = f"< {peak_promise} GiB" if peak_promise else ""
                add(f"{name}_peak_gib", "  peak memory", peak, f"{peak:.2f} GiB", promise)
        posted = storefront.in_postgres()
        seconds = posted.generated.wall
        what = "medium store, generated and loaded into PostgreSQL"
        add("store_postgres_seconds", what, seconds, f"{seconds:.0f} s", "<= 90 s")
        for key, what, rate, promise in (
            (
                "load",
                "  its load alone, rows per second",
                posted.rows_per_second,
                ">= 150,000/s",
            ),
            (
                "load_with_tables",
                "  with the making of tables and 1,460 partitions",
                posted.rows / posted.load_seconds,
                "",
            ),
            (
                "again",
                "  once more, which adds nothing",
                posted.rows / posted.again_seconds,
                "",
            ),
        ):
            add(f"store_postgres_{key}_rows_per_second", what, rate, f"{rate:,.0f}/s", promise)
    if only in ("all", "foresight"):
        year = foresight.half_a_year()
        whose = f"{year.players:,} players in 26 weeks ({year.rows:,} of their weeks)"
        for key, what, value, shown, promise in (
            ("features", f"features of {whose}", year.features, "{:.1f} s", "<= 10 s"),
            ("training", "  training of all models", year.training, "{:.1f} s", "<= 60 s"),
            (
                "scored",
                "  players scored a minute",
                year.scored_a_minute / 1e6,
                "{:.1f} M",
                ">= 1 M",
            ),
            ("peak_gib", "  peak memory", year.peak_bytes / 2**30, "{:.2f} GiB", "<= 2 GiB"),
        ):
            add(f"foresight_{key}", what, value, shown.format(value), promise)
        for label, promise in (("left_in_14_days", ">= 0.5"), ("bought_in_14_days", ">= 0.25")):
            for period in ("near", "far"):
                share = year.evaluation.value(label, period, "served", "share_of_attainable")
                what = f"  share of the attainable, {label}, {period} test"
                add(f"foresight_{label}_{period}", what, share, f"{share:.2f}", promise)
                error = year.evaluation.value(label, period, "served", "ece")
                what = f"  calibration error (ECE), {label}, {period} test"
                most = "<= 0.02" if period == "near" else "<= 0.05"
                add(f"foresight_{label}_{period}_ece", what, error, f"{error:.3f}", most)
    if only in ("all", "graph"):
        graph, bare, ratio = graph_runs.one_day_ratio()
        add("one_day_seconds", "one day of 1,000 players, whole graph", graph, f"{graph:.1f} s", "")
        add(
            "bare_seconds",
            "dagster --version + dbt run, nothing selected",
            bare,
            f"{bare:.1f} s",
            "",
        )
        add("one_day_ratio", "their ratio", ratio, f"{ratio:.2f}", "<= 1.4")
        real, noop, own = graph_runs.a_year()
        add("year_seconds", "365 days of 1,000 players, one run", real, f"{real:.1f} s", "<= 60 s")
        add("year_noop_seconds", "the same with no-op assets", noop, f"{noop:.1f} s", "")
        add(
            "year_above_noop_seconds", "above no-op", real - noop, f"{real - noop:.1f} s", "<= 60 s"
        )
        add("year_own_seconds", "in our own stages", own, f"{own:.1f} s", "<= 60 s")
        over = real / graph_runs.starts()
        what = "  over dagster --version and two dbt runs of nothing, cold and warm"
        add("year_over_starts", what, over, f"{over:.1f}", "<= 5")
        seconds = graph_runs.a_year_of("leap")
        add(
            "leap_year_seconds",
            "365 days of leap, one run",
            seconds,
            f"{seconds:.1f} s",
            "<= 120 s",
        )
        seconds = graph_runs.demo()
        add("demo_seconds", "sprint demo", seconds, f"{seconds:.1f} s", "<= 45 s")
        process, stages, rows = graph_runs.day_of(200_000)
        peak = process.peak_bytes / 2**30
        beats = rows["bench_raw.event_heartbeat"]
        add(
            "large_day_peak_gib",
            f"a day of 200,000 active players ({beats:,} heartbeats), peak memory",
            peak,
            f"{peak:.2f} GiB",
            "< 2 GiB",
        )
        add("large_day_seconds", "the same, wall clock", process.wall, f"{process.wall:.1f} s", "")
        for stage, seconds in stages.items():
            add(f"large_day_{stage}_seconds", f"  {stage}", seconds, f"{seconds:.1f} s", "")
    if only in ("all", "sizes"):
        for players in SIZES:
            process = graph_runs.day_of(players)[0]
            what = f"a day of {players:,} active players, whole graph"
            add(f"day_of_{players}_seconds", what, process.wall, f"{process.wall:.1f} s", "")
            peak = process.peak_bytes / 2**30
            add(f"day_of_{players}_peak_gib", "  peak memory", peak, f"{peak:.2f} GiB", "")
    if only in ("all", "big-day"):
        plain, day, ratio = big_day.measured()
        beats = f"{plain.heartbeats:,} heartbeats"
        add(
            "big_day_floor_seconds",
            f"plain statements of {beats}",
            plain.total,
            f"{plain.total:.1f} s",
            "",
        )
        for stage, seconds in plain.seconds.items():
            add(f"big_day_floor_{stage}_seconds", f"  {stage}", seconds, f"{seconds:.1f} s", "")
        wall = day.process.wall
        add("big_day_seconds", f"a day of {beats}, whole graph", wall, f"{wall:.1f} s", "")
        for stage, seconds in day.steps.items():
            add(f"big_day_{stage}_seconds", f"  {stage}", seconds, f"{seconds:.1f} s", "")
        add("big_day_ratio", "  over the plain statements", ratio, f"{ratio:.2f}", "<= 1.6")
        watched = big_day.whole_graph(big_day.TITLE, big_day.DAY, watch_memory=True).process
        peak = watched.peak_bytes / 2**30
        add("big_day_peak_gib", "  peak memory", peak, f"{peak:.2f} GiB", "<= 4 GiB")
        plan = big_day.planned()
        for key, what, said, promise in (
            ("rows", "rows", plan.rows / day.rows, "0.8 to 1.2"),
            ("bytes", "bytes of files", plan.file_bytes / day.file_bytes, "0.8 to 1.2"),
            ("seconds", "seconds", plan.seconds / wall, "0.5 to 2"),
        ):
            add(
                f"big_day_planned_{key}",
                f"  planned {what} over made",
                said,
                f"{said:.2f}",
                promise,
            )
        little = big_day.whole_graph(
            big_day.TITLE, big_day.DAY, "512MiB", watch_memory=True
        ).process
        over = little.wall / watched.wall
        add(
            "big_day_512_ratio", "  with 512 MiB for DuckDB, over that", over, f"{over:.2f}", "<= 2"
        )
        peak = little.peak_bytes / 2**30
        add("big_day_512_peak_gib", "    peak memory", peak, f"{peak:.2f} GiB", "")
        share = big_day.side_by_side()
        what = "two days simulated by two processes, over one after the other"
        add("side_by_side", what, share, f"{share:.2f}", "<= 0.65")
    if only in ("all", "history"):
        past = history.two_years("sprint")
        for days, seconds in past.days.items():
            what = f"a day of 1,000 players after {days} days, whole graph"
            add(f"day_after_{days}_seconds", what, seconds, f"{seconds:.1f} s", "")
        what = "  the last over the first"
        add("day_after_years_ratio", what, past.ratio, f"{past.ratio:.2f}", "<= 1.1")
        slowest = max(past.questions.values())
        what = f"  the slowest of {len(past.questions)} questions on those days"
        add("question_seconds", what, slowest, f"{slowest:.2f} s", "<= 0.2 s")
        if past.first_page is not None:
            page = past.first_page
            what = "  the dashboard, until every chart is drawn in a new browser"
            add("first_page_seconds", what, page, f"{page:.1f} s", "<= 2 s")
    Console().print(table)
    Console().print(f"The same as JSON: {path}")


if __name__ == "__main__":
    typer.run(main)
