"""Which road for which mail."""
