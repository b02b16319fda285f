"""The words of SMTP in plain language: commands, extensions, and what may follow (RFC 5321)."""

from __future__ import annotations

from netlabsvc.mail.languages import Both

#: What a command asks for, by its verb; "." is the end of a message.
COMMANDS: dict[str, Both] = {
    "EHLO": Both(
        "The client gives its name and asks what the server can do.",
        "客户端报上自己的名字，并询问服务器支持哪些扩展。",
    ),
    "HELO": Both(
        "The client gives its name, the old way: without extensions.",
        "客户端报上名字（旧式，不使用扩展）。",
    ),
    "MAIL": Both(
        "A new mail begins; this is the sender on its envelope, who gets the bounces.",
        "开始一封新邮件；这是信封上的发件人，退信寄给他。",
    ),
    "RCPT": Both(
        "One recipient on the envelope. The headers To and Cc play no part in this.",
        "信封上的一个收件人，与邮件头里的 To、Cc 无关。",
    ),
    "DATA": Both("The client wants to send the message now.", "客户端准备发送邮件内容。"),
    ".": Both(
        "A dot alone on a line: the message ends here.",
        "单独一行的点：邮件到此结束。",
    ),
    "RSET": Both("Forget this mail; the connection stays.", "作废当前邮件，连接保留。"),
    "NOOP": Both("Does nothing; shows that the connection lives.", "什么也不做，只表明连接还在。"),
    "VRFY": Both("Asks whether a mailbox exists.", "询问某个邮箱是否存在。"),
    "EXPN": Both("Asks who is on a mailing list.", "询问邮件列表的成员。"),
    "HELP": Both("Asks for help.", "请求帮助。"),
    "QUIT": Both("The client says goodbye.", "客户端告别。"),
    "STARTTLS": Both(
        "Asks to make this connection secret with TLS.",
        "请求用 TLS 加密当前连接。",
    ),
    "AUTH": Both(
        "The client logs in; the word behind AUTH says how.",
        "客户端登录；AUTH 后面的词是登录方式。",
    ),
}
COMMANDS |= {
    "BDAT": Both("A piece of the message, its bytes counted.", "邮件的一块，并注明字节数。"),
    "ETRN": Both("Asks for the mail that waits here.", "请求发送在此等待的邮件。"),
}
#: How somebody logs in, by the mechanism behind AUTH.
MECHANISMS: dict[str, Both] = {
    "PLAIN": Both(
        "PLAIN: name and password in one Base64 word, which anybody can decode.",
        "PLAIN：用户名和密码合成一个 Base64 词，任何人都能解码。",
    ),
    "LOGIN": Both(
        "LOGIN: name, then password, in Base64, which anybody can decode.",
        "LOGIN：先用户名，后密码，均为 Base64，任何人都能解码。",
    ),
    "CRAM-MD5": Both(
        "CRAM-MD5: answers a challenge, so that the password itself is not sent.",
        "CRAM-MD5：对服务器的质询作答，密码本身不会发送。",
    ),
    "SCRAM-SHA-256": Both(
        "SCRAM-SHA-256: both prove that they know the password, and nobody sends it.",
        "SCRAM-SHA-256：双方各自证明知道密码，而密码从不发送。",
    ),
    "XOAUTH2": Both(
        "XOAUTH2: a token takes the place of the password.", "XOAUTH2：用令牌代替密码。"
    ),
}
#: What a 334 of AUTH LOGIN asks for.
ASKED: dict[str, Both] = {
    "VXNlcm5hbWU6": Both(
        'It is "Username:" in Base64.', "这是 Base64 编码的 “Username:”（用户名）。"
    ),
    "UGFzc3dvcmQ6": Both(
        'It is "Password:" in Base64.', "这是 Base64 编码的 “Password:”（密码）。"
    ),
}
UNKNOWN = Both(
    "SMTP has no such command: a wrong word, or something that belongs into a message.",
    "SMTP 没有这个命令：写错了，或者本应出现在邮件内容里。",
)
#: What an extension is, by the word that EHLO lists and MAIL may carry.
EXTENSIONS: dict[str, Both] = {
    "SIZE": Both(
        "SIZE: how many bytes a message has, or may have.",
        "SIZE：邮件的字节数（或允许的上限）。",
    ),
    "8BITMIME": Both(
        "8BITMIME: octets above 127 may be in the message.",
        "8BITMIME：邮件内容可含大于 127 的字节。",
    ),
    "SMTPUTF8": Both(
        "SMTPUTF8: addresses and headers may be in any script.",
        "SMTPUTF8：地址和头字段可以使用任何文字。",
    ),
    "PIPELINING": Both(
        "PIPELINING: commands may be sent without waiting for each reply.",
        "PIPELINING：可以连续发送命令而不必逐条等待应答。",
    ),
    "ENHANCEDSTATUSCODES": Both(
        "ENHANCEDSTATUSCODES: replies carry a second code such as 5.1.1.",
        "ENHANCEDSTATUSCODES：应答带有 5.1.1 这样的增强状态码。",
    ),
    "STARTTLS": Both(
        "STARTTLS: the connection can be made secret.",
        "STARTTLS：连接可以加密。",
    ),
    "AUTH": Both(
        "AUTH: ways to log in.",
        "AUTH：支持的登录方式。",
    ),
    "VRFY": Both("VRFY: one may ask whether a mailbox exists.", "VRFY：可以询问邮箱是否存在。"),
    "ETRN": Both("ETRN: waiting mail can be asked for.", "ETRN：可以请求发送等待中的邮件。"),
    "DSN": Both("DSN: reports of delivery on request.", "DSN：可以要求投递报告。"),
    "CHUNKING": Both(
        "CHUNKING: messages may come in counted pieces (BDAT).",
        "CHUNKING：邮件可以分块发送（BDAT）。",
    ),
}
#: Those that MAIL may carry.
OF_MAIL = ("SIZE", "8BITMIME", "SMTPUTF8")
#: What may follow after a command was answered well.
NEXT: dict[str, Both] = {
    "connect": Both("Now the client says hello.", "接下来客户端打招呼。"),
    "EHLO": Both("Now a mail can begin with MAIL.", "接下来可以用 MAIL 开始一封邮件。"),
    "HELO": Both("Now a mail can begin with MAIL.", "接下来可以用 MAIL 开始一封邮件。"),
    "MAIL": Both("Now come the recipients.", "接下来指定收件人。"),
    "RCPT": Both("More recipients may come, then DATA.", "可以再加收件人，然后是 DATA。"),
    "DATA": Both(
        "Now comes the message, up to a line of one dot.",
        "接下来是邮件内容，直到单独一行的点。",
    ),
    ".": Both(
        "From here on the server is responsible for this mail.",
        "从此由服务器对这封邮件负责。",
    ),
    "RSET": Both("A mail can begin anew with MAIL.", "可以重新用 MAIL 开始。"),
    "AUTH": Both("The client is logged in.", "客户端已登录。"),
    "QUIT": Both("The connection closes.", "连接关闭。"),
}
#: What follows where a command was refused.
REFUSED: dict[str, Both] = {
    "connect": Both(
        "The server does not want to talk; all that is left is QUIT.",
        "服务器不愿提供服务；客户端只能用 QUIT 离开。",
    ),
    "STARTTLS": Both("The connection stays in clear text.", "连接仍未加密。"),
    "AUTH": Both("The client is not logged in.", "客户端没有登录。"),
    "MAIL": Both("There is no sender yet.", "还没有发件人。"),
    "RCPT": Both(
        "This recipient gets nothing; those taken before still do.",
        "这个收件人收不到这封邮件；之前已接受的收件人不受影响。",
    ),
    "DATA": Both("No message is taken.", "邮件没有被接收。"),
    ".": Both(
        "The message was not taken; the sender still has it.", "邮件未被接收，仍归发件方负责。"
    ),
}
