"""The chat hub under load, beside other hubs."""
