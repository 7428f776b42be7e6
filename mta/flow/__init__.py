"""How a message moves, from the door to its settlement."""
