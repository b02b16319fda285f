"""The terminal of `netlab chat`: the line being typed stays whole while others talk."""

from __future__ import annotations

import asyncio

from prompt_toolkit import PromptSession
from prompt_toolkit.patch_stdout import patch_stdout

from netlabsvc.chat.client import Talk


async def talk_at_a_terminal(talk: Talk) -> None:
    """Talk with a line editor; it needs the asyncio reactor. Ends as `Talk.run` does."""
    prompt: PromptSession[str] = PromptSession()

    async def type_lines() -> None:
        while True:
            try:
                line = await prompt.prompt_async("> ")
            except (EOFError, KeyboardInterrupt):
                talk.leave()
                return
            if not talk.say(line):
                print("*** not connected; that was not sent")

    # Raw between two lines, too: else a Ctrl-D in that moment would be the terminal's, and lost.
    with patch_stdout(raw=True), prompt.input.raw_mode():
        typing = asyncio.ensure_future(type_lines())
        try:
            await talk.run(print)
        finally:
            typing.cancel()
