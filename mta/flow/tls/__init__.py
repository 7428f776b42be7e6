"""What is asked of others' TLS, and what is remembered and reported of it."""
