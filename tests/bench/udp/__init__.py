"""The bench of the reflectors."""
