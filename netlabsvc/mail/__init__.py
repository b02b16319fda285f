"""Mail: the sandbox that accepts everything and relays nothing, and the ESMTP client."""
