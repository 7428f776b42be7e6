"""Where the world begins: one module for each thing outside."""
