"""The bench of the mail sandbox."""
