"""What other frameworks need to send by this server."""
