"""One store's records, any day alone: pure functions of the settings and the day."""
