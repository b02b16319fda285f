"""What reply codes mean, in plain words: the first digit (RFC 5321 section 4.2.1), a few whole
codes (section 4.2.3), and the enhanced codes (RFC 3463 and the registry that follows it).

    5  .  1  .  1
    |     |     what exactly
    |     about what: address, mailbox, system, network, protocol, content, policy
    class: 2 done, 4 try again later, 5 never like this
"""

from __future__ import annotations

from netlabsvc.mail.languages import Both

#: By the first digit.
CLASSES: dict[int, Both] = {
    2: Both("Done.", "成功。"),
    3: Both("Go on.", "请继续。"),
    4: Both("Not now: the same may work later.", "暂时不行：稍后再试可能成功。"),
    5: Both("Refused: the same again will not help.", "拒绝：原样重试也没有用。"),
}
#: Good replies whose class says too little.
GOOD: dict[int, Both] = {
    214: Both("Here is help.", "以下是帮助信息。"),
    220: Both("Ready.", "准备就绪。"),
    251: Both(
        "Taken; the mailbox is elsewhere, and mail is sent on.", "已接受；邮箱在别处，将转发。"
    ),
    252: Both(
        "Neither yes nor no: whether the mailbox exists is not told.",
        "不作肯定或否定：服务器不透露邮箱是否存在。",
    ),
}
#: By the whole code, where the enhanced one says nothing.
SUBJECTS: dict[int, Both] = {
    421: Both("The service is not available.", "服务不可用。"),
    450: Both("The mailbox is busy or held back.", "邮箱暂时不可用。"),
    451: Both(
        "An error in the server, or its wish to be asked again.", "服务器出错，或要求稍后重试。"
    ),
    452: Both("Too little room, or too many recipients.", "空间不足，或收件人太多。"),
    500: Both("A syntax error: no such command.", "语法错误：没有这个命令。"),
    501: Both("A syntax error behind the command.", "命令参数的语法错误。"),
    502: Both("The command is not offered.", "不提供这个命令。"),
    503: Both("Commands in the wrong order.", "命令的顺序不对。"),
    454: Both("TLS or login do not work at the moment.", "目前无法加密或登录。"),
    504: Both("A parameter that is not offered.", "不支持这个参数。"),
    530: Both("Log in first.", "请先登录。"),
    535: Both("The login failed.", "登录失败。"),
    538: Both("This way to log in needs TLS first.", "这种登录方式要求先加密。"),
    550: Both("No such mailbox, or not for you.", "没有这个邮箱，或不允许。"),
    551: Both("The mailbox is elsewhere.", "邮箱在别处。"),
    552: Both("Too large, or the mailbox is full.", "邮件太大，或邮箱已满。"),
    553: Both("This address is not allowed.", "不允许使用这个地址。"),
    554: Both("The transaction failed.", "这次发送失败。"),
    555: Both("A parameter that is not known.", "不认识这个参数。"),
}
#: The middle number.
_ABOUT: dict[str, Both] = {
    "0": Both("", ""),
    "1": Both("It is about an address.", "与地址有关。"),
    "2": Both("It is about the mailbox.", "与邮箱有关。"),
    "3": Both("It is about the mail system.", "与邮件系统有关。"),
    "4": Both("It is about the network.", "与网络有关。"),
    "5": Both("It is about the dialogue.", "与会话协议有关。"),
    "6": Both("It is about the message's content.", "与邮件内容有关。"),
    "7": Both("It is about security or policy.", "与安全或策略有关。"),
}
#: The last two numbers, where the class is 4 or 5.
_DETAIL: dict[str, Both] = {
    "1.0": Both("Something about the address.", "地址有问题。"),
    "1.1": Both("There is no such mailbox.", "没有这个邮箱。"),
    "1.2": Both("There is no such domain.", "没有这个域名。"),
    "1.3": Both("The recipient's address is not written right.", "收件人地址的写法不对。"),
    "1.4": Both("The address fits several mailboxes.", "地址对应多个邮箱。"),
    "1.6": Both("The mailbox has moved.", "邮箱已迁移。"),
    "1.7": Both("The sender's address is not written right.", "发件人地址的写法不对。"),
    "1.8": Both("The sender's domain is not right.", "发件人的域名不对。"),
    "1.10": Both("The domain takes no mail (null MX).", "该域名不接收邮件（null MX）。"),
    "2.0": Both("Something about the mailbox.", "邮箱有问题。"),
    "2.1": Both("The mailbox is switched off.", "邮箱已停用。"),
    "2.2": Both("The mailbox is full.", "邮箱已满。"),
    "2.3": Both("The message is too large for the mailbox.", "邮件超过邮箱允许的大小。"),
    "3.0": Both("Something about the server.", "服务器有问题。"),
    "3.1": Both("The server's disk is full.", "服务器磁盘已满。"),
    "3.2": Both("The server takes nothing at the moment.", "服务器目前不接收邮件。"),
    "3.4": Both("The message is too large for the server.", "邮件超过服务器允许的大小。"),
    "4.1": Both("The next server does not answer.", "下一个服务器没有回应。"),
    "4.2": Both(
        "The connection is bad, or was silent for too long.", "连接有问题，或太久没有动静。"
    ),
    "4.4": Both("No way leads to that domain.", "找不到通往该域名的路由。"),
    "4.6": Both("The mail goes round in circles.", "邮件在服务器之间循环。"),
    "4.7": Both("It was tried for too long.", "尝试投递的时间过长。"),
    "4.5": Both("Too much is going on.", "服务器过于繁忙。"),
    "5.0": Both("Something about the dialogue.", "会话有问题。"),
    "5.1": Both("No such command, or not at this time.", "没有这个命令，或此时不能用。"),
    "5.2": Both("A syntax error.", "语法错误。"),
    "5.3": Both("Too many recipients.", "收件人太多。"),
    "5.4": Both("What stands behind the command is wrong.", "命令的参数不对。"),
    "5.6": Both("A line of the login is too long.", "登录过程中的一行太长。"),
    "6.0": Both("Something about the content.", "邮件内容有问题。"),
    "6.7": Both("Letters beyond ASCII need SMTPUTF8.", "非 ASCII 字符需要 SMTPUTF8。"),
    "7.0": Both("A rule forbids it.", "策略不允许。"),
    "7.1": Both("A rule forbids this sender or recipient.", "策略不允许这个发件人或收件人。"),
    "7.8": Both("Name or password are wrong.", "用户名或密码不对。"),
    "7.9": Both("This way to log in is too weak.", "这种登录方式不够安全。"),
    "7.13": Both("The account is switched off.", "账号已停用。"),
    "7.23": Both(
        "SPF does not allow this server to send for the domain.",
        "SPF 不允许这台服务器代该域名发信。",
    ),
    "7.25": Both("The client's address has no name of its own.", "客户端地址没有对应的反向域名。"),
    "7.26": Both("SPF, DKIM or DMARC do not agree.", "SPF、DKIM 或 DMARC 验证未通过。"),
    "7.11": Both("This way to log in needs TLS first.", "这种登录方式要求先加密。"),
}

#: Of these a 4 in front says something else.
_LATER: dict[str, Both] = {
    "7.1": Both("A rule puts it off, as greylisting does.", "策略要求稍后再来，例如灰名单。"),
    "7.0": Both("A rule puts it off.", "策略要求稍后再来。"),
}


def enhanced(status: str) -> Both:
    """What an enhanced code such as ``5.1.1`` says; nothing where the class says it all."""
    kind, _, rest = status.partition(".")
    if kind == "2":
        return Both("", "")
    about = _ABOUT.get(rest.partition(".")[0], _ABOUT["0"])
    meaning = (_LATER.get(rest) if kind == "4" else None) or _DETAIL.get(rest, about)
    return Both(f"{status}: {meaning.en}", f"{status}：{meaning.zh}") if meaning.en else meaning
