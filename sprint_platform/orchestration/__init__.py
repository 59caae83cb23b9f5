"""The Dagster graph, and nothing else: assets, checks, dbt, jobs, schedules, resources."""
