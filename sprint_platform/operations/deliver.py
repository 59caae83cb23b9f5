"""A day's delivery of a dirtied title: simulated, dirtied, and put into the landing folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING

from sprint_platform.landing.deliveries import Delivery, write_delivery
from sprint_platform.operations.catalogue import read_catalogue
from sprint_platform.telemetry.dirt import Dirtied
from sprint_platform.title import Title, TitleError

if TYPE_CHECKING:
    from sprint_platform.simulation.world import World

# The simulation orders records within tables of so many players, and an out-of-order record moves
# within its table: this number decides the files' bytes, not only the memory.
PLAYERS_A_TABLE = 20_000


def deliver(title: Title, day: date) -> Delivery:
    """Writes the files that the title delivers on the day, and the ledger of their faults: the
    day's records that are neither dropped nor late, then the late ones of the days before.

    The files depend on the title and the day alone (and on the catalogue, for purchases). Raises
    TitleError or DeliveryError, in one line.
    """
    # numpy and the name lists: only when something is simulated
    from sprint_platform.simulation.world import World

    if title.faults is None:
        raise TitleError(
            f"title {title.name} has no faults: only a simulated title with faults is delivered"
        )
    return deliver_from(World(title, read_catalogue(), PLAYERS_A_TABLE), day)


def deliver_from(world: World, day: date) -> Delivery:
    """``deliver`` from a world that exists already."""
    title = world.title
    datasets = [name for name in title.landing_settings.datasets if name != "products"]
    return write_delivery(title, day, {name: _records(world, name, day) for name in datasets})


def _records(world: World, dataset: str, day: date) -> Iterator[tuple[date, Dirtied]]:
    """The records in the dataset's file of the day, with the day that each table's records are
    of."""
    from sprint_platform.simulation.faults import delivered

    faults = world.title.faults
    assert faults is not None
    for later in range(faults.late_days + 1 if faults.late else 1):
        event_date = day - timedelta(days=later)
        if later and event_date < world.title.launch_date:
            break
        # the world's methods have the datasets' names
        for table in getattr(world, dataset)(event_date):
            if table.num_rows:
                yield event_date, delivered(world.title, dataset, table, event_date, later)
