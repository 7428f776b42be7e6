"""Where a message goes, when again, and when to stop."""
