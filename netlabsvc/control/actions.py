"""What a console wants done: a line for the screen, a question to the daemon, the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias


class Mistake(ValueError):
    """What is wrong with a typed line, and what would be right. Nothing was done."""


@dataclass(frozen=True)
class Print:
    """A line for the screen."""

    text: str


@dataclass(frozen=True)
class Quit:
    """The console ends."""


@dataclass(frozen=True)
class Ask:
    """Something to ask of the daemon.

    :ivar then: what is to be done with the answer.
    :ivar undo: is called when the daemon refuses or is not there.
    :ivar silent: nobody needs to know that it was refused.
    """

    method: str
    path: str
    body: Mapping[str, Any] = field(default_factory=dict)
    then: Callable[[Any], list[Action]] = field(default=lambda _: [], compare=False, repr=False)
    undo: Callable[[], object] = field(default=lambda: None, compare=False, repr=False)
    silent: bool = field(default=False, compare=False)


Action: TypeAlias = Print | Ask | Quit


def note(text: str) -> Print:
    """A line that no client said."""
    return Print(f"*** {text}")
