"""The game event log: a single-player story game's players, sessions and events, in batches."""
