"""What refusals mean: one table of patterns, read by everything that has to do with them."""
