"""What is done with titles and domains besides building them. Nothing here knows Dagster."""
