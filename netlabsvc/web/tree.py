"""The directory tree that is served, and the one way into it: nothing outside it, ever.

Every name is opened below the directory before it (openat), with O_NOFOLLOW; no path is ever put
together and handed to the kernel, so neither ".." nor a directory that is swapped for a symbolic
link in the meantime leads out. Symbolic links are not followed at all: whether one leads out can
change between looking and opening, and a site that needs one can have a bind mount. The root itself
may be one; it is opened anew for each request, so that a root that was replaced is seen.

It knows file descriptors and no HTTP, but for the status that a refusal stands for.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice
from pathlib import Path

from netlabsvc.web.listing import Entry

#: A listing shows as many names; looking at them takes some 10 ms.
MOST_NAMES = 5000

#: Coarser than the times of files on any file system that is in use.
RESTED_S = 2.0
#: Device, inode, size, times of modification and change. The latter cannot be set back by anyone.
State = tuple[int, int, int, int, int]

_PASS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK and O_NOCTTY are for the file that becomes a FIFO or a terminal after the look at it.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LAST_SECOND = 253_402_300_799  # of the year 9999: the end of HTTP's dates

_STATUS = {
    errno.ENOENT: (HTTPStatus.NOT_FOUND, "There is nothing of that name here."),
    errno.ENOTDIR: (HTTPStatus.NOT_FOUND, "There is nothing of that name here."),
    errno.ENAMETOOLONG: (HTTPStatus.NOT_FOUND, "There is nothing of that name here."),
    errno.ELOOP: (HTTPStatus.FORBIDDEN, "Symbolic links are not followed."),
    errno.EACCES: (HTTPStatus.FORBIDDEN, "The server may not read it."),
    errno.EPERM: (HTTPStatus.FORBIDDEN, "The server may not read it."),
    errno.ENXIO: (HTTPStatus.FORBIDDEN, "It is not a file."),
    errno.EMFILE: (HTTPStatus.SERVICE_UNAVAILABLE, "The server has too many files open."),
    errno.ENFILE: (HTTPStatus.SERVICE_UNAVAILABLE, "The server has too many files open."),
}


class Refused(Exception):
    """Why a name is not served: the status, and a sentence for people."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


@dataclass
class Found:
    """An open regular file or directory, to be used in a `with` statement, which closes it."""

    fd: int
    directory: bool
    size_bytes: int
    modified_ns: int
    inode: int
    changed_ns: int
    device: int

    @property
    def state(self) -> State:
        """What no two states of any files have in common, once the file `rests`."""
        return self.device, self.inode, self.size_bytes, self.modified_ns, self.changed_ns

    def rests(self, now_s: float) -> bool:
        """Whether a change from now on will be seen in `state`: the clock of files is coarse."""
        return max(self.modified_ns, self.changed_ns) <= (now_s - RESTED_S) * 1e9

    @property
    def modified_s(self) -> int:
        return _second(self.modified_ns / 1e9)

    def detach(self) -> int:
        """The descriptor, for one who closes it himself."""
        fd, self.fd = self.fd, -1
        return fd

    def __enter__(self) -> Found:
        return self

    def __exit__(self, *_: object) -> None:
        if self.fd >= 0:
            os.close(self.fd)


def hidden(name: bytes) -> bool:
    """Whether a name is not for visitors: a dotfile, but for .well-known (RFC 8615)."""
    return name.startswith(b".") and name != b".well-known"


class Tree:
    """A directory, and what is below it."""

    def __init__(self, root: Path) -> None:
        """:raises OSError: there is no directory that can be read."""
        self._root = root
        os.close(self._open_root())

    def open(self, names: Sequence[bytes]) -> Found:
        """Open what the names lead to, one below the other; none leads to the root.

        :raises Refused: it is not there, not for visitors, or neither file nor directory.
        """
        with _as_refusal():
            place = self._open_root()
        try:
            for name in names[:-1]:
                below = _open(place, name, _PASS)
                os.close(place)
                place = below
            return open_below(place, names[-1] if names else b".")
        finally:
            os.close(place)

    def _open_root(self) -> int:
        return os.open(self._root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def open_below(directory: int, name: bytes) -> Found:
    """Open a file or directory in an open directory, which "." stands for itself.

    :raises Refused: as `Tree.open`.
    """
    # Opening a FIFO or a device can already do something, so it is looked at before.
    with _as_refusal():
        kind = os.stat(_checked(name), dir_fd=directory, follow_symlinks=False).st_mode
    if stat.S_ISLNK(kind):
        raise Refused(*_STATUS[errno.ELOOP])
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise Refused(*_STATUS[errno.ENXIO])
    fd = _open(directory, name, _READ)
    status = os.fstat(fd)
    kind = status.st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        os.close(fd)
        raise Refused(*_STATUS[errno.ENXIO])
    return Found(
        fd,
        stat.S_ISDIR(kind),
        status.st_size,
        status.st_mtime_ns,
        status.st_ino,
        status.st_ctime_ns,
        status.st_dev,
    )


def entries(directory: int) -> tuple[list[Entry], bool]:
    """What a visitor could fetch of an open directory, and whether there is more than that.

    :raises Refused: it cannot be read.
    """
    found = []
    with _as_refusal(), os.scandir(directory) as names:
        for entry in islice(names, MOST_NAMES):
            name = os.fsencode(entry.name)
            # A name may go between the reading of it and the look at it.
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                directory_too = stat.S_ISDIR(status.st_mode)
                if not hidden(name) and (directory_too or stat.S_ISREG(status.st_mode)):
                    changed = _second(status.st_mtime)
                    found.append(Entry(name, directory_too, status.st_size, changed))
        return found, next(names, None) is not None


def _open(directory: int, name: bytes, flags: int) -> int:
    with _as_refusal():
        try:
            return os.open(_checked(name), flags, dir_fd=directory)
        except NotADirectoryError:
            mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):  # O_DIRECTORY hides what O_NOFOLLOW would say
                raise Refused(*_STATUS[errno.ELOOP]) from None
            raise


def _checked(name: bytes) -> bytes:
    """A name that stays in its directory, whoever asks. Those that do not are not there."""
    if not name or b"/" in name or b"\0" in name or (hidden(name) and name != b"."):
        raise Refused(*_STATUS[errno.ENOENT])
    return name


def _second(seconds: float) -> int:
    return max(0, min(int(seconds), _LAST_SECOND))


@contextmanager
def _as_refusal() -> Iterator[None]:
    """Turns what the kernel says into a `Refused`."""
    try:
        yield
    except OSError as error:
        unknown = (HTTPStatus.INTERNAL_SERVER_ERROR, "It cannot be read.")
        raise Refused(*_STATUS.get(error.errno or 0, unknown)) from error
