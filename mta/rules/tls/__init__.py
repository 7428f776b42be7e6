"""What a connection must prove: what the settings, a message and the receiving domain ask for."""
