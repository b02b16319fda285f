"""The netlab command: the client to each service of the lab."""
