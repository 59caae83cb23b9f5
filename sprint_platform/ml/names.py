"""The marts of what players do next, by name."""

from __future__ import annotations

# what dbt builds of the records, every week
FEATURES, LABELS = "player_features_weekly", "player_labels_weekly"
# what models say
PREDICTIONS, SEGMENTS = "player_predictions", "sales_segments"
SCORES, CALIBRATION, IMPORTANCE = "model_scores", "model_calibration", "model_importance"
