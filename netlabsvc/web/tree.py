"""The directory tree that is served, and the one way into it: nothing outside it, ever.

Every name is opened below the directory before it (openat), with O_NOFOLLOW; no path is ever put
together and handed to the kernel, so neither ".." nor a directory that is swapped for a symbolic
link in the meantime leads out. A symbolic link is refused, or (`links` "inside") read and walked
name by name from the directory it stands in: the kernel never follows one, for where it leads can
change between looking and opening. "follow" leaves all that to whoever may write in the root. The
root itself may be a link; it is opened anew for each request, so that a root that was replaced is
seen.

It knows file descriptors and no HTTP, but for the status that a refusal stands for.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice
from pathlib import Path

from netlabsvc.web.listing import Entry

#: A listing shows as many names: to look at them and to write it takes some 20 ms, in which nobody
#: else is served.
MOST_NAMES = 2000
#: Symbolic links on the way to one file; the kernel's own limit.
MOST_LINKS = 40

#: Coarser than the times of files on any file system that is in use.
RESTED_S = 2.0
#: Device, inode, size, times of modification and change. The latter cannot be set back by anyone.
State = tuple[int, int, int, int, int]

# O_NONBLOCK and O_NOCTTY are for the file that becomes a FIFO or a terminal after the look at it.
_PASS = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
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
    neighbours: tuple[bytes, ...] = ()
    """The suffixes under which the same lies beside it, as young as it is or younger."""
    suffix: bytes = b""
    """The one of them that was opened in its place."""

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


class _Link(Exception):
    """A symbolic link stands where a name leads."""


#: Of the suffixes that are there, the one to open in place of the file, or "" for the file.
Choice = Callable[[Sequence[bytes]], bytes]


class Tree:
    """A directory, and what is below it."""

    def __init__(self, root: Path, *, hidden: bool = False, links: str = "refuse") -> None:
        """:param hidden: dotfiles are served, too.
        :param links: "refuse", "inside" or "follow".
        :raises OSError: there is no directory that can be read.
        """
        self._root = root
        self._hidden = hidden
        self._links = links
        self._no_follow = 0 if links == "follow" else os.O_NOFOLLOW
        os.close(self._open_root())

    def open(
        self,
        names: Sequence[bytes],
        suffixes: Sequence[bytes] = (),
        choose: Choice = lambda there: b"",
    ) -> Found:
        """Open what the names lead to, one below the other; none leads to the root.

        :param suffixes: of the neighbours of a file that may stand for it: ".gz".
        :param choose: says which of those that are there is opened.
        :raises Refused: it is not there, not for visitors, or neither file nor directory.
        """
        held: list[int] = []
        with _as_refusal():
            held.append(self._open_root())
        try:
            directory, name = self._walk(held, names)
            found = self._open_below(directory, name)
            if suffixes and not found.directory:
                found = self._with_neighbours(found, directory, name, suffixes, choose)
            return found
        finally:
            for directory in held:
                os.close(directory)

    def entries(self, found: Found, names: Sequence[bytes]) -> tuple[list[Entry], bool]:
        """What a visitor could fetch of an open directory, and whether there is more than that.

        :param names: that led to it.
        :raises Refused: it cannot be read.
        """
        listed = []
        with _as_refusal(), os.scandir(found.fd) as there:
            for one in islice(there, MOST_NAMES):
                # A name may go between the reading of it and the look at it.
                with suppress(FileNotFoundError, Refused):
                    listed.append(self._entry(one, names))
            return listed, next(there, None) is not None

    def _entry(self, one: os.DirEntry[str], names: Sequence[bytes]) -> Entry:
        name = self._checked(os.fsencode(one.name))
        if one.is_symlink():
            with self.open([*names, name]) as found:
                return Entry(name, found.directory, found.size_bytes, found.modified_s)
        status = one.stat(follow_symlinks=False)
        directory = stat.S_ISDIR(status.st_mode)
        if not directory and not stat.S_ISREG(status.st_mode):
            raise Refused(*_STATUS[errno.ENXIO])
        return Entry(name, directory, status.st_size, _second(status.st_mtime))

    def _walk(self, held: list[int], names: Sequence[bytes]) -> tuple[int, bytes]:
        """The directory in which the last name stands, open, and that name.

        :param held: directories from the root to where we are; the caller closes them.
        """
        rest = list(reversed(names))
        links = 0
        while rest:
            name = rest.pop()
            if name is _UP:
                if len(held) == 1:
                    raise Refused(HTTPStatus.FORBIDDEN, "A symbolic link leads out of the site.")
                os.close(held.pop())
                continue
            try:
                if not rest:
                    self._look_for_link(held[-1], name)
                    return held[-1], name
                held.append(self._open_name(held[-1], name, _PASS))
            except _Link:
                links += 1
                if self._links != "inside" or links > MOST_LINKS:
                    raise Refused(*_STATUS[errno.ELOOP]) from None
                rest += reversed(_target(held[-1], name))
        return held[-1], b"."

    def _look_for_link(self, directory: int, name: bytes) -> None:
        """:raises _Link: one stands there, and is to be walked."""
        if self._links == "inside":
            with _as_refusal():
                mode = os.stat(self._checked(name), dir_fd=directory, follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                raise _Link

    def _with_neighbours(
        self, found: Found, directory: int, name: bytes, suffixes: Sequence[bytes], choose: Choice
    ) -> Found:
        found.neighbours = tuple(s for s in suffixes if _is_as_young(directory, name + s, found))
        suffix = choose(found.neighbours) if found.neighbours else b""
        if not suffix:
            return found
        try:
            other = self._open_below(directory, name + suffix)
        except Refused:  # it has gone since
            return found
        if other.directory:
            with other:
                return found
        with found:
            other.neighbours, other.suffix = found.neighbours, suffix
            return other

    def _open_root(self) -> int:
        return os.open(self._root, _PASS)

    def _open_below(self, directory: int, name: bytes) -> Found:
        """Open a file or directory in an open directory, which "." stands for itself."""
        # Opening a FIFO or a device can already do something, so it is looked at before.
        with _as_refusal():
            status = os.stat(
                self._checked(name), dir_fd=directory, follow_symlinks=not self._no_follow
            )
        if stat.S_ISLNK(status.st_mode):
            raise Refused(*_STATUS[errno.ELOOP])
        _check_kind(status.st_mode)
        try:
            fd = self._open_name(directory, name, _READ)
        except _Link:
            raise Refused(*_STATUS[errno.ELOOP]) from None
        status = os.fstat(fd)
        try:
            _check_kind(status.st_mode)
        except Refused:
            os.close(fd)
            raise
        return Found(
            fd,
            stat.S_ISDIR(status.st_mode),
            status.st_size,
            status.st_mtime_ns,
            status.st_ino,
            status.st_ctime_ns,
            status.st_dev,
        )

    def _open_name(self, directory: int, name: bytes, flags: int) -> int:
        """:raises _Link: a symbolic link stands there, and is not for the kernel to follow."""
        with _as_refusal():
            try:
                return os.open(self._checked(name), flags | self._no_follow, dir_fd=directory)
            except OSError as error:
                # O_DIRECTORY hides what O_NOFOLLOW would say.
                if self._no_follow and error.errno in (errno.ELOOP, errno.ENOTDIR):
                    mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
                    if stat.S_ISLNK(mode):
                        raise _Link from None
                raise

    def _checked(self, name: bytes) -> bytes:
        """A name that stays in its directory, whoever asks. Those that do not are not there."""
        secret = hidden(name) and not (self._hidden and name != b"..") and name != b"."
        if not name or b"/" in name or b"\0" in name or secret:
            raise Refused(*_STATUS[errno.ENOENT])
        return name


#: In the place of a name: the directory above. No request holds it, for it is no name.
_UP = b"/.."


def _target(directory: int, name: bytes) -> list[bytes]:
    """The names of a symbolic link.

    :raises Refused: it begins at the root of the machine.
    """
    with _as_refusal():
        target = os.readlink(name, dir_fd=directory)
    if target.startswith(b"/"):
        raise Refused(HTTPStatus.FORBIDDEN, "A symbolic link leads out of the site.")
    parts = [part for part in target.split(b"/") if part not in (b"", b".")]
    return [_UP if part == b".." else part for part in parts]


def _is_as_young(directory: int, name: bytes, found: Found) -> bool:
    """Whether a regular file of that name is there, and no older than another."""
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_mtime_ns >= found.modified_ns


def _check_kind(mode: int) -> None:
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise Refused(*_STATUS[errno.ENXIO])


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
