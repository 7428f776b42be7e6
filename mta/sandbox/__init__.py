"""A small Internet on loopback: name servers and mail exchangers with characters."""
