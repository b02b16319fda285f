"""Which content type a file's name stands for: a table of our own.

The host's mime.types would make the same site behave differently on another machine, and a type
guessed from the content can turn somebody's upload into a script: what is not in the table is
``application/octet-stream``.
"""

from __future__ import annotations

UNKNOWN = b"application/octet-stream"

_TEXT = {
    "html htm": "text/html",
    "css": "text/css",
    "js mjs": "text/javascript",
    "txt text log conf ini cfg toml sql diff patch tex": "text/plain",
    "py sh c h cc cpp hpp java go rs": "text/plain",
    "md markdown": "text/markdown",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "ics": "text/calendar",
    "vtt": "text/vtt",
    "svg": "image/svg+xml",
    "xml xsl": "application/xml",
}
_BINARY = {
    "json map": "application/json",
    "webmanifest": "application/manifest+json",
    "yaml yml": "application/yaml",
    "pdf": "application/pdf",
    "wasm": "application/wasm",
    "zip": "application/zip",
    "gz tgz": "application/gzip",
    "zst": "application/zstd",
    "tar": "application/x-tar",
    "bz2": "application/x-bzip2",
    "xz": "application/x-xz",
    "7z": "application/x-7z-compressed",
    "png": "image/png",
    "jpg jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "ico": "image/vnd.microsoft.icon",
    "mp3": "audio/mpeg",
    "ogg oga opus": "audio/ogg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp4 m4v": "video/mp4",
    "webm": "video/webm",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "ttf": "font/ttf",
    "otf": "font/otf",
    "pcap cap": "application/vnd.tcpdump.pcap",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}


def _by_extension() -> dict[bytes, bytes]:
    rows = [(names, f"{kind}; charset=utf-8") for names, kind in _TEXT.items()]
    rows += _BINARY.items()
    return {
        extension.encode("ascii"): kind.encode("ascii")
        for names, kind in rows
        for extension in names.split()
    }


_TYPES = _by_extension()


def content_type(name: bytes) -> bytes:
    """The Content-Type of a file by the last extension of its name, in either case."""
    return _TYPES.get(name.rpartition(b".")[2].lower(), UNKNOWN) if b"." in name else UNKNOWN
