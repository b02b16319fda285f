"""The decision log: what was done to each packet, one JSON object a line, appended to a file.

Lines of one turn are written together. When the disk is full the log ends, and says so once; the
reflector goes on.
"""

from __future__ import annotations

from pathlib import Path

from twisted.logger import Logger

from netlabsvc.udp.decisions import Decision, line

log = Logger()


class Record:
    """The file, which all reflectors of a daemon share."""

    def __init__(self, path: Path) -> None:
        """:raises OSError: when it cannot be opened."""
        self._path = path
        self._file = path.open("a", encoding="ascii", buffering=1 << 16)
        self._broken = False

    def write(self, decision: Decision, reflector: str, client: str, t_ns: int) -> None:
        """Add a line.

        :param t_ns: Unix nanoseconds.
        """
        if not self._broken:
            try:
                self._file.write(line(decision, reflector, client, t_ns) + "\n")
            except OSError as error:
                self._end(error)

    def flush(self) -> None:
        """Let the file have all lines so far."""
        if not self._broken:
            try:
                self._file.flush()
            except OSError as error:
                self._end(error)

    def close(self) -> None:
        """Write what is left, and close the file."""
        try:
            self._file.close()
        except OSError as error:
            self._end(error)

    def _end(self, error: OSError) -> None:
        if not self._broken:
            self._broken = True
            log.error(
                "decision log {path} ends here: {why}; a restart begins it again",
                path=str(self._path),
                why=error.strerror,
            )
