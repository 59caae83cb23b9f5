"""What a record of a game is, wherever it comes from."""
