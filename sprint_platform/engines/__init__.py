"""The DuckDB file: opening it, and loading partitions into it."""
