"""The words of the web inbox's pages, in both languages."""

from __future__ import annotations

from netlabsvc.mail.languages import Both
from netlabsvc.mail.record import Verdict

LABELS: dict[str, Both] = {
    "inbox": Both("Inbox", "收件箱"),
    "skip": Both("Skip to the content", "跳到正文"),
    "search": Both("Search", "搜索"),
    "search in": Both("Sender, recipient, subject or text", "发件人、收件人、主题或正文"),
    "clear": Both("Show all", "显示全部"),
    "from": Both("From", "发件人"),
    "to": Both("To", "收件人"),
    "subject": Both("Subject", "主题"),
    "time": Both("Time", "时间"),
    "size": Both("Size", "大小"),
    "result": Both("Result", "结果"),
    "choose": Both("Choose", "选择"),
    "delete chosen": Both("Delete chosen", "删除所选"),
    "delete": Both("Delete", "删除"),
    "pages": Both("More mail", "更多邮件"),
    "older": Both("Older", "更早的"),
    "newest": Both("Newest", "最新的"),
    "empty": Both("No mail yet.", "还没有邮件。"),
    "try": Both(
        "Whatever is sent to this lab's SMTP port appears here at once. Try:",
        "发到本机 SMTP 端口的邮件会立即出现在这里。试试：",
    ),
    "none found": Both("No mail holds these words.", "没有找到符合条件的邮件。"),
    "no subject": Both("(no subject)", "（无主题）"),
    "no message": Both("(no message came)", "（未收到邮件内容）"),
    "nobody": Both("(nobody)", "（无）"),
    "live": Both("Live", "实时更新"),
    "not live": Both("Not connected", "未连接"),
    "new mail": Both("New mail", "新邮件"),
    "text": Both("Text", "文本"),
    "html": Both("HTML", "HTML"),
    "headers": Both("Headers", "邮件头"),
    "source": Both("Source", "源码"),
    "parts": Both("Attachments", "附件"),
    "dialogue": Both("Dialogue", "会话"),
    "claims": Both("Who says who", "谁自称是谁"),
    "lint": Both("Wire check", "格式检查"),
    "back": Both("All mail", "全部邮件"),
    "views": Both("Views of this mail", "邮件的各种视图"),
    "no text": Both("This mail has no plain text.", "这封邮件没有纯文本。"),
    "no html": Both("This mail has no HTML.", "这封邮件没有 HTML。"),
    "caged": Both(
        "Shown in a cage: it runs no script, and loads nothing from anywhere.",
        "在隔离环境中显示：不运行脚本，也不加载任何外部内容。",
    ),
    "download": Both("Download", "下载"),
    "as received": Both(
        "Exactly as received, byte for byte; what cannot be shown is written as \\x…",
        "与收到的内容逐字节一致；无法显示的字节写作 \\x…",
    ),
    "cut": Both(
        "Only the start is shown; the download has all of it.", "只显示开头；下载可得全文。"
    ),
    "name": Both("Name", "名称"),
    "type": Both("Type", "类型"),
    "tree": Both("How it is built", "结构"),
    "files": Both("Attachments", "附件"),
    "no files": Both("Nothing is attached.", "没有附件。"),
    "who": Both("Who", "谁"),
    "line": Both("Line", "内容"),
    "meaning": Both("What it means", "含义"),
    "client": Both("client", "客户端"),
    "server": Both("server", "服务器"),
    "dialogue lead": Both(
        "Every line of the session up to the reply that decided, with the seconds since the "
        "connection was made. Secrets are taken out.",
        "会话的每一行，直到决定结果的那条应答；左列是连接建立后经过的秒数。密码等内容已隐去。",
    ),
    "claims lead": Both(
        "A mail names its sender in many places, and nothing makes them agree.",
        "一封邮件会在多处写明发件人，但没有任何机制保证它们一致。",
    ),
    "layer": Both("Layer", "层次"),
    "says": Both("Says", "内容"),
    "worth": Both("What that is worth", "可信程度"),
    "differs": Both("not the sender of MAIL FROM", "与 MAIL FROM 不同"),
    "says nothing": Both("says nothing", "未提供"),
    "no TLS": Both("no: in clear text", "无：明文传输"),
    "no AUTH": Both("nobody logged in", "未登录"),
    "decided": Both("What decided", "判定依据"),
    "personality": Both("Personality", "行为模式"),
    "rule": Both("Rule", "规则"),
    "reply": Both("Reply", "应答"),
    "recipients": Both("Recipients", "收件人"),
    "clean": Both("Nothing to find fault with.", "没有发现问题。"),
    "times": Both("{} times", "{} 次"),
    "first in line": Both("first in line {}", "首见于第 {} 行"),
    "languages": Both("Language", "语言"),
}
VERDICTS: dict[Verdict, Both] = {
    Verdict.KEPT: Both("kept", "已收下"),
    Verdict.REFUSED: Both("refused", "被拒绝"),
    Verdict.DROPPED: Both("dropped", "被丢弃"),
    Verdict.ABANDONED: Both("abandoned", "中途放弃"),
}


def label(name: str, lang: str) -> str:
    """A word of the pages in a language."""
    return LABELS[name].text(lang)
