"""How mail comes in: who may, how much, and stored once."""
