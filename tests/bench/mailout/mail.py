"""The mail that both sides send."""

SENDER, RECIPIENT = "ada@lab", "bob@lab"
MESSAGE = b"From: ada@lab\r\nTo: bob@lab\r\nSubject: bench\r\n\r\n" + b"x" * 70 + b"\r\n"
