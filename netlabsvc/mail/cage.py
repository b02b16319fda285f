"""The HTML of a mail as a document of its own, which may do nothing.

The policy lets it show itself: no script runs, no form is sent, nothing is loaded from anywhere;
its own style and images inside the document are all there is. Images that came with the mail
(``cid:``, RFC 2392) are put into the document. Nothing is cut out of the HTML: a filter could be
deceived, the policy cannot.
"""

from __future__ import annotations

import re
from base64 import b64encode

from netlabsvc.mail.parts import Parts

POLICY = (
    b"default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
#: Of images so much is put in, all together.
MAX_IMAGES_BYTES = 4 << 20
_IMAGES = frozenset(("image/png", "image/jpeg", "image/gif", "image/webp"))
_CID = re.compile(r"(?i)cid:([^\"'\s<>)]{1,200})")


def document(parts: Parts) -> bytes:
    """The document in UTF-8; what a meta element claims of its charset loses to the header."""
    html = parts.html
    assert html is not None
    room = MAX_IMAGES_BYTES
    images = {one.content_id: one for one in parts.leaves if one.kind in _IMAGES}

    def put_in(match: re.Match[str]) -> str:
        nonlocal room
        image = images.get(match[1])
        if image is None or len(image.data) > room:
            return match[0]
        room -= len(image.data)  # each time: one image may be named often
        return f"data:{image.kind};base64,{b64encode(image.data).decode()}"

    return _CID.sub(put_in, html.text).encode("utf-8", "replace")
