"""A console and its daemon: one thread hears what happens, one does all the rest.

What happens and what is typed comes into one queue; `Session.run` takes it from there, so that the
console itself need not know of threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import TypeAlias

from netlabsvc.control import orders
from netlabsvc.control.actions import Action, Ask, Print, Quit
from netlabsvc.control.client import Control, Events, Refused, Unreachable
from netlabsvc.control.console import Console
from netlabsvc.escape import escape

#: Between two attempts to connect: at first, and at most.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0
#: So many events, or lines of a pipe, wait to be shown; then no more are read.
MOST_WAITING = 1000
#: How long answers may still come after the end of the input: after the last, and at most.
PATIENCE_S, LONGEST_PATIENCE_S = 1.0, 5.0

Work: TypeAlias = Callable[[], list[Action]]


@dataclass(frozen=True)
class View:
    """How things stand, for the screen.

    :ivar clients: number and name of who is here.
    """

    prompt: str = "> "
    toolbar: str = ""
    clients: tuple[tuple[int, str], ...] = ()


class Session:
    """One operator at one daemon.

    :ivar view: made anew whenever something was done.
    """

    def __init__(self, control: Control, show: Callable[[str], None], *, terminal: bool) -> None:
        """:param show: prints lines, joined by LF; raises BrokenPipeError when nobody reads them.

        :raises Unreachable: when the daemon has gone; :raises Refused: when it says no.
        """
        self.view = View()
        self._console = Console(terminal=terminal)
        self._control = control
        self._show = show
        self._lines: list[str] = []
        self._inbox: SimpleQueue[Work] = SimpleQueue()
        self._space = threading.BoundedSemaphore(MOST_WAITING)
        self._over = False
        self._ends_s: float | None = None  # at the latest, once the input has ended
        self._terminal = terminal
        self._events = self._listen("")
        self._inbox.put(self._console.connect)  # before anything that is typed

    def run(self, changed: Callable[[], object] = lambda: None) -> None:
        """Until the operator leaves, or the daemon has ended as the operator wished.

        :param changed: called when the view is another one.
        """
        threading.Thread(target=self._hear, daemon=True).start()
        try:
            while not self._over:
                self._do(self._batch())
                self._look()
                changed()
        except BrokenPipeError:
            """Nobody reads any more."""
        finally:
            self._over = True
            self._events.close()

    def type(self, line: str) -> None:
        """A line that somebody typed at a terminal."""
        self._inbox.put(partial(orders.run, self._console, line))

    def feed(self, line: str) -> None:
        """A line of a pipe; waits until those before it are done. After `quit` none counts."""
        self._wait_and_put(lambda: [] if self._ends_s else orders.run(self._console, line))

    def leave(self) -> None:
        """The operator has gone."""
        self._inbox.put(self._console.leave)

    def finish(self) -> None:
        """The input of a pipe has ended."""
        self._inbox.put(lambda: [Quit()])

    def _batch(self) -> list[Work]:
        """All that is there, or else the next that comes; nothing when a pipe's time is over."""
        batch: list[Work] = []
        with suppress(Empty):
            batch.append(self._inbox.get(timeout=self._patience_s()))
            while len(batch) < MOST_WAITING:
                batch.append(self._inbox.get_nowait())
        return batch

    def _patience_s(self) -> float | None:
        if self._ends_s is None:
            return None
        return max(0.0, min(PATIENCE_S, self._ends_s - time.monotonic()))

    def _do(self, batch: list[Work]) -> None:
        late = self._ends_s is not None and time.monotonic() >= self._ends_s
        for work in batch:
            self._perform(work())
            if self._over:
                break
        self._write()  # what is taken from the desk was shown before
        self._perform(self._console.settle())
        if late or not batch:
            self._over = True
            self._perform(self._console.leave())
        self._write()

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Ask):
                self._perform(self._ask(action))
            elif isinstance(action, Print):
                self._lines.append(escape(action.text))
            elif isinstance(action, Quit):
                self._quit()

    def _quit(self) -> None:
        """A terminal's console ends now; a pipe's when nothing has happened for a while."""
        if self._terminal:
            self._over = True
        elif self._ends_s is None:
            self._ends_s = time.monotonic() + LONGEST_PATIENCE_S

    def _ask(self, ask: Ask) -> list[Action]:
        try:
            answer = self._control.ask(ask.method, ask.path, ask.body)
        except Refused as refusal:
            return self._console.refused(ask, refusal.document.get("status", 0), str(refusal))
        except Unreachable as error:
            return self._console.unreachable(ask, str(error))
        return ask.then(answer)

    def _write(self) -> None:
        if self._lines:
            lines, self._lines = self._lines, []
            self._show("\n".join(lines))

    def _look(self) -> None:
        console = self._console
        clients = tuple((client.number, client.name) for client in console.here())
        self.view = View(console.prompt(), console.toolbar(), clients)

    def _listen(self, last_id: str) -> Events:
        return self._control.events(last_id, attach="true", kinds="chat,netlab")

    def _hear(self) -> None:
        """Read events; when the stream ends, open it again behind the last one."""
        last_id = ""
        while not self._over:
            for kind, data in self._events:
                self._wait_and_put(partial(self._console.happened, kind, data))
            last_id = self._events.last_id or last_id
            self._wait_and_put(self._console.lose)
            self._reconnect(last_id)
            self._wait_and_put(self._console.connect)

    def _reconnect(self, last_id: str) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._over:
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            try:
                self._events = self._listen(last_id)
            except (Unreachable, Refused):
                continue
            return

    def _wait_and_put(self, work: Work) -> None:
        def release_and_work() -> list[Action]:
            self._space.release()
            return work()

        self._space.acquire()
        self._inbox.put(release_and_work)
