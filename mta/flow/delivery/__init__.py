"""How mail goes out: when, by which road, over which connection, and what becomes of it."""
