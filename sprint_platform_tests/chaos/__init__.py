"""What kills, fills, crowds, ages and mishandles the platform: `make chaos PART=…`."""
