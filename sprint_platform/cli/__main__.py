"""`python -m sprint_platform.cli` is `sprint`."""

from sprint_platform.cli import main

main()
