"""The control API: how an operator reaches a daemon that has no terminal."""
