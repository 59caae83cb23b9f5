"""Tests: each file is named for what it guards. Run them all with ``make test``."""
