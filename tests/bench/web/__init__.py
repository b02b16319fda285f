"""The web site beside other servers of static files."""
