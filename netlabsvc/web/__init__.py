"""The static web site, and the client that fetches from one."""
