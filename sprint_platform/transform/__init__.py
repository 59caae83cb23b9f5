"""dbt: the project, one run of it, its manifest, its analyses and its pages."""
