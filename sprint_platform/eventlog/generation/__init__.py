"""Making a batch: pure functions of its settings. No files, no database, no clock."""
