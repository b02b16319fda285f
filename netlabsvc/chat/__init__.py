"""The chat hub: for telnet, nc and whatever a student writes."""
