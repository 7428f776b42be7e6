"""Where a message goes, over what, when again, and when to stop."""
