"""The terminal of `netlab operator`: the line being typed stays whole while others talk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.patch_stdout import patch_stdout

from netlabsvc.cli.operator_session import Session
from netlabsvc.control import orders


class Words(Completer):
    """Commands, then clients or modes, where the Tab key is pressed."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterator[Completion]:
        text = document.text_before_cursor
        typed = len(text.rpartition(" ")[2])
        for word, about in orders.complete(text, self._session.view.clients):
            yield Completion(word, -typed, display_meta=about)


def converse(session: Session) -> None:
    """Run a session with a line editor, to its end.

    What is typed stays in memory: it may be meant for one reader alone.
    """
    asyncio.run(_converse(session))


async def _converse(session: Session) -> None:
    editor: PromptSession[str] = PromptSession(
        completer=Words(session),
        complete_while_typing=False,
        bottom_toolbar=lambda: session.view.toolbar,
    )
    # Raw between two lines, too: else a Ctrl-D in that moment would be the terminal's, and lost.
    with patch_stdout(), editor.input.raw_mode():
        running = asyncio.create_task(asyncio.to_thread(session.run, editor.app.invalidate))
        typing = asyncio.create_task(_type(session, editor))
        running.add_done_callback(lambda _: typing.cancel())
        await asyncio.wait([typing])
        session.leave()
        await running


async def _type(session: Session, editor: PromptSession[str]) -> None:
    while True:
        try:
            line = await editor.prompt_async(lambda: session.view.prompt)
        except KeyboardInterrupt:
            print("*** Ctrl-D or quit leaves; the daemon goes on")
        except EOFError:
            return
        else:
            session.type(line)
