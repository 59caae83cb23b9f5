"""DuckDB: the lease on the one database file, loading into it, and publishing from it."""
