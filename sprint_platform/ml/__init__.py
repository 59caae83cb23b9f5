"""What a title's players will do next: models of churn, purchase and value, learned from the weekly
marts. Plain functions of arrays; nothing here knows Dagster."""
