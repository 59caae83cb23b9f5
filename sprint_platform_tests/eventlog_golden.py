"""Golden digests: what a batch's files are, to the last byte.

``python -m sprint_platform_tests.eventlog_golden`` writes ``eventlog_golden.json`` anew. Do so only
when the bytes are meant to change, together with ``GENERATION_VERSION`` once a version is released.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from sprint_platform.eventlog.files import GENERATION_VERSION, write_batch
from sprint_platform.eventlog.settings import BatchSettings

PATH = Path(__file__).parent / "eventlog_golden.json"
BATCHES = {
    "the default batch": BatchSettings(),
    "another batch": BatchSettings(
        batch=2,
        players=300,
        max_sessions=40,
        game_version="1.1.0-beta+7",
        seed=2**63 - 1,
        start=date(2012, 2, 20),
        end=date(2012, 4, 10),
    ),
}

Digests = dict[str, dict[str, str]]


def digests() -> Digests:
    """What ``sha256sum`` prints of every file, by batch and table."""
    by_batch: Digests = {}
    for name, settings in BATCHES.items():
        with TemporaryDirectory() as folder:
            written = write_batch(settings, Path(folder))
            by_batch[name] = {table: file.sha256 for table, file in written.items()}
    return by_batch


def main() -> None:
    content = {"generation_version": GENERATION_VERSION, "sha256": digests()}
    PATH.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {PATH}")


if __name__ == "__main__":
    main()
