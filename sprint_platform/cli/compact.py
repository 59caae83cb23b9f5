"""`sprint compact`: give the room of replaced and deleted rows back to the disk."""

from __future__ import annotations

from rich.filesize import decimal as bytes_as_text

from sprint_platform.cli.progress import working
from sprint_platform.cli.terminal import Stop, out


def compact() -> None:
    """Write the database anew without the room that replaced and deleted rows left in it; also the
    registers of landed titles, and Dagster's history where rows were deleted from it.

    Each file is compared with the old one, and takes its place in one step. Runs wait meanwhile.
    """
    from sprint_platform.operations.compact import compact_all

    before = after = 0
    with working("writing the database anew"):
        for done in compact_all():
            before, after = before + done.before, after + done.after
            out.print(
                f"{done.path}: {bytes_as_text(done.before)}, now {bytes_as_text(done.after)}",
                highlight=False,
                soft_wrap=True,
                markup=False,
            )
    if not before:
        raise Stop("there is no database yet: sprint run makes one")
    if before > after:
        out.print(f"{bytes_as_text(before - after)} are free again.", highlight=False)
