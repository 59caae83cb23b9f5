"""What is done with titles and domains beside building them; it knows no Dagster."""
