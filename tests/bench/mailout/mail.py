"""The mail that both sides send."""

SENDER, RECIPIENT = "ada@lab", "bob@lab"
MESSAGE = (
    b"""\
From: ada@lab
To: bob@lab
Subject: bench
Date: Fri, 02 Jan 2026 12:00:00 +0100
Message-ID: <bench@lab>

""".replace(b"\n", b"\r\n")
    + b"x" * 70
    + b"\r\n"
)
