"""What Dagster loads: ``dagster asset materialize -m sprint_platform.definitions``."""

from sprint_platform.orchestration.build import build_definitions

defs = build_definitions()
