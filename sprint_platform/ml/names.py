"""The marts of what players do next, by name."""

from __future__ import annotations

from sprint_platform.storage.ledger import BUILT_WEEKLY

# what dbt builds of the records, every week
FEATURES, LABELS = BUILT_WEEKLY
# what models say
PREDICTIONS, SEGMENTS = "player_predictions", "sales_segments"
SCORES, CALIBRATION, IMPORTANCE = "model_scores", "model_calibration", "model_importance"
