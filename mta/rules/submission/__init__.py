"""Who may hand mail in, what clients say, and what it asks for."""
