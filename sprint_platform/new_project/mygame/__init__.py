"""The game's own part of the graph."""
