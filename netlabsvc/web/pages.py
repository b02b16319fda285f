"""The look of the pages that are made here, and the page of an error. Text in, HTML out."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from http import HTTPStatus

CONTENT_TYPE = b"text/html; charset=utf-8"
_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:0 auto;padding:1.5rem 1rem;
color:#1d2733;background:#fbfaf7}
h1{font-size:1.35rem;font-weight:600;overflow-wrap:anywhere}
a{color:#0b6b6b;text-decoration:none}a:hover{text-decoration:underline}
p.quiet,td.quiet{color:#66717d}
table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}
th{font-weight:500;font-size:.85rem;color:#66717d;text-align:left}
td,th{padding:.4rem .25rem;border-bottom:1px solid #8883}
td:first-child{overflow-wrap:anywhere}
td+td,th+th{text-align:right;white-space:nowrap;padding-left:1rem}
th a{color:inherit}th[aria-sort]{color:inherit;font-weight:600}
@media(max-width:34rem){body{padding:1rem .8rem}tbody td:first-child a{display:block}
td,th{padding:.55rem .1rem}td+td,th+th{padding-left:.6rem}td+td{font-size:.82rem}
td:nth-child(3){white-space:normal;width:5.5rem}}
@media(prefers-color-scheme:dark){body{color:#d8dee6;background:#14181d}a{color:#6cc7c2}
p.quiet,td.quiet,th{color:#8d98a5}}
"""

_HASH = b64encode(sha256(_STYLE.encode("utf-8")).digest())
#: Such a page loads its styles at most, and runs nothing: what is smuggled in stays text.
CONTENT_SECURITY_POLICY = (
    b"default-src 'none'; style-src 'self' 'sha256-%b'; img-src data:; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'" % _HASH
)


def document(title: str, body: str) -> bytes:
    """A whole HTML page. The title is escaped here, the body must be HTML already."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    ).encode()


def phrase(status: int) -> str:
    """The reason phrase of a status code: ``Not Found``."""
    return HTTPStatus(status).phrase


def error(status: int, why: str) -> bytes:
    """The page of an error: its status, and in a sentence what would be right."""
    title = f"{status} {phrase(status)}"
    return document(title, f'<h1>{escape(title)}</h1>\n<p class="quiet">{escape(why)}</p>')
