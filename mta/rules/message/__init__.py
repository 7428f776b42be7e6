"""What a message is made of: its header, its signature, its parts."""
