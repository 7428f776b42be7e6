"""What things are: the nouns of the trade, as values."""
