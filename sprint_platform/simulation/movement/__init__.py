"""Movement models: how a player leaves the spawn point, one module a model.

To add a model, add a module here with a function

    paths(key, beats, reach) -> int32 array of shape (3, players, beats)

``key`` holds one 64-bit draw per player-session, ``beats`` is how many positions are wanted, and
``reach`` is how far the model should lead from the start on each axis, in hundredths of a unit. The
result is the displacement from the spawn point in hundredths, 0 at beat 0; the caller adds
walls and teammates. With fewer beats it returns the beginning of the same path: ``beats`` is that
of the longest session made in the same step, and no path may depend on it. The model's name is the
module's, and a title's YAML weighs it under ``simulation.movement.models``.
"""
