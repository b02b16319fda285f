"""The bench of `netlab ping`."""
