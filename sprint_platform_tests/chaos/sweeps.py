"""A sweep over all scenarios by as many processes as there are cores, and its page."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections import Counter
from typing import IO

from sprint_platform_tests.chaos.file_calls import FILES
from sprint_platform_tests.chaos.place import memory_folder
from sprint_platform_tests.chaos.report import SHOWN, Report, by_kind, noted
from sprint_platform_tests.chaos.scenarios import SCENARIOS, SHORT
from sprint_platform_tests.chaos.sweep import Asked, started


def swept(seed: int, minutes: float, report: Report, done: str) -> int:
    """Sweeps the report's part until the minutes are over or all is swept, and adds what was found
    to the page; returns how many kinds of findings there are. ``done`` is the past participle of
    what was done to a command."""
    shares = min(2, os.cpu_count() or 1)
    scenarios = [scenario.name for scenario in (*SHORT, *SCENARIOS)]
    if report.only:
        shares, scenarios = 1, [report.only.split()[0]]
    until = time.time() + minutes * 60
    with tempfile.TemporaryDirectory(prefix="chaos.", dir=memory_folder()) as folder:
        # some commands are run as another user
        os.chmod(folder, 0o755)
        processes = [
            started(
                Asked(
                    part=report.part,
                    seed=seed,
                    notes=str(report.notes),
                    folder=f"{folder}/{share}",
                    until=until,
                    scenarios=tuple(scenarios[share::shares]),
                    only=report.only,
                )
            )
            for share in range(shares)
        ]
        readers = [threading.Thread(target=_print, args=(p.stdout,)) for p in processes]
        try:
            for reader in readers:
                reader.start()
            codes = [process.wait() for process in processes]
        finally:
            for process in processes:
                process.kill()
            for reader in readers:
                reader.join()
        if any(codes):
            raise SystemExit(f"a process of the sweep ended with {max(codes, key=abs)}")
    return _sum_up(report, done)


def _sum_up(report: Report, done: str) -> int:
    lines = noted(report.notes)
    swept = {line["case"]: line for line in lines if "case" in line}
    counted = {tuple(key): n for line in lines for *key, n in line.get("counted", ())}
    met = [line for line in swept.values() if line["met"] is not None]
    report(
        f"**Swept {len(swept):,} of {sum(counted.values()):,}**; {len(met):,} met their point"
        " (where two threads race, a call may come in another order, or not at all)."
    )
    what = {scenario.name: scenario.what for scenario in (*SHORT, *SCENARIOS)}
    done_of = Counter((line["scenario"], line["how"], line["call"]) for line in met)
    for name in (name for name in what if any(kind[0] == name for kind in counted)):
        report(f"## {name}: {what[name]}")
        report.table(
            ("how", "call", "counted", "met"),
            [
                (kind[1], kind[2] or "-", f"{number:,}", f"{done_of[kind]:,}")
                for kind, number in sorted(counted.items())
                if kind[0] == name
            ],
        )
    report("## Which files")
    by_file: dict[str, Counter[str]] = {}
    for line in met:
        by_file.setdefault(FILES.get(line["files"], line["met"]), Counter())[line["how"]] += 1
    hows = sorted({line["how"] for line in met})
    report.table(
        (f"{done} at", *hows),
        [(file, *(of[how] or "" for how in hows)) for file, of in sorted(by_file.items())],
    )
    findings = [
        (f"{when}: {text}", case)
        for case, line in swept.items()
        for when, texts in (("right after", line["then"]), ("after the next run", line["next"]))
        for text in texts
    ]
    found = by_kind(findings)
    report("## What was found")
    if not found:
        report("Nothing: whatever was met, old or new was there, and the next run mended.")
    else:
        wrong = len({case for _, case in findings})
        report(
            f"{wrong:,} of {len(swept):,} cases, {len(found)} kinds. A case is run again by `make"
            f" chaos PART={report.part} SEED={report.seed} ONLY='...'`."
        )
        report.table(
            ("what (the first of its kind)", "how often", "first case"),
            [(text, number, f"`{case}`") for text, number, case in found[:SHOWN]],
        )
        if len(found) > SHOWN:
            report(f"And {len(found) - SHOWN} more kinds.")
    return len(found)


def _print(stream: IO[str] | None) -> None:
    for line in stream or ():
        print(line, end="", flush=True)
