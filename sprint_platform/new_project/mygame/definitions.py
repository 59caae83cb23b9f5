"""What Dagster loads: the platform's graph, and what you put beside it."""

import dagster as dg

# the module, not its `defs`: Dagster wants one Definitions object in a file
from sprint_platform import definitions as platform

defs = dg.Definitions.merge(
    platform.defs,
    # assets of your own, for example one with deps=["mygame/kpi_daily"]
    dg.Definitions(assets=[]),
)
