"""The game studio's web store: what its systems deliver every day, made up, and loaded."""
