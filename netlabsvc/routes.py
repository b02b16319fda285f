"""What an operator can do, in one form for every room: routes of the control API and their errors.

A room lists its routes; their functions are ordinary methods. A function's parameters are the
route's arguments: those that the path names come from the path, the others from the query (GET,
DELETE) or from the JSON object that is the body (POST, PUT). Annotations say what is accepted:

    def kick(self, who: str, reason: Annotated[str, Rule(longest=200)] = "") -> Json: ...
    Route("POST", "/v1/chat/kick", self.kick, "Remove a client.")

What a function returns is the answer, as JSON; a coroutine is awaited. A ValueError is the fault
of who asked (400), a LookupError names what is not there (404). It knows nothing of HTTP's bytes.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from http import HTTPStatus
from typing import Any, TypeAlias

from netlabsvc.keys import Key

Json: TypeAlias = dict[str, Any] | list[Any]


@dataclass(frozen=True)
class Rule:
    """What an argument may be, beyond its type.

    :ivar bounds: smallest and largest number, both included.
    :ivar one_of: the only words.
    :ivar longest: characters at most.
    :ivar read: turns what was given into the value; raises ValueError with what would be right.
    """

    bounds: tuple[float, float] | None = None
    one_of: tuple[str, ...] = ()
    longest: int = 4096
    read: Callable[[object], Any] | None = None


class Problem(Exception):
    """Why a request is refused: a problem document (RFC 9457).

    :ivar errors: one for each argument that is wrong: its name and what would be right.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Mapping[str, str] | None = None,
        allow: Sequence[str] = (),
    ) -> None:
        """:param allow: the methods that would be right, for a 405."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = dict(errors or {})
        self.allow = tuple(allow)

    def document(self) -> dict[str, Any]:
        """The members of the document; ``about:blank`` because the status says the kind."""
        title = HTTPStatus(self.status).phrase
        document = {"type": "about:blank", "title": title, "status": self.status}
        document["detail"] = self.detail
        if self.errors:
            document["errors"] = [
                {"name": name, "detail": detail} for name, detail in self.errors.items()
            ]
        return document


@dataclass(frozen=True)
class Argument:
    """One parameter of a route's function."""

    key: Key
    required: bool
    longest: int

    def value(self, raw: object) -> Any:
        """:raises ValueError: says what would be right."""
        value = self.key.value(raw)
        if isinstance(value, str) and len(value) > self.longest:
            raise ValueError(f"takes at most {self.longest} characters")
        return value

    def accepts(self) -> str:
        """What would be right, for people."""
        return self.key.accepts()


@dataclass(frozen=True)
class Route:
    """One thing that an operator can do.

    :ivar path: with names in braces: ``/v1/chat/bans/{address}``.
    :ivar body_bytes: what a request's body may have at most.
    """

    method: str
    path: str
    function: Callable[..., Any]
    help: str
    body_bytes: int = 64 * 1024

    @cached_property
    def arguments(self) -> dict[str, Argument]:
        """By name, in their order."""
        kinds = typing.get_type_hints(self.function, include_extras=True)
        found = {}
        for name, parameter in inspect.signature(self.function).parameters.items():
            required = parameter.default is parameter.empty
            default = None if required else parameter.default
            found[name] = _argument(name, kinds[name], default, required)
        return found

    @property
    def in_path(self) -> list[str]:
        """The arguments that the path names."""
        parts = self.path.split("/")
        return [part[1:-1] for part in parts if part.startswith("{")]

    @property
    def has_body(self) -> bool:
        """Whether the other arguments come as a JSON object."""
        return self.method in ("POST", "PUT")

    def call(self, given: Mapping[str, object]) -> Any:
        """Check the arguments, then call the function.

        :raises Problem: 400 with everything that is wrong; 404 for what is not there.
        """
        values, errors = {}, {}
        for name in given.keys() - self.arguments.keys():
            near = get_close_matches(name, self.arguments, n=1)
            names = ", ".join(self.arguments) or "there are none"
            hint = f"did you mean {near[0]}?" if near else f"arguments: {names}"
            errors[name] = f"is not known here; {hint}"
        for name, argument in self.arguments.items():
            try:
                if name in given:
                    values[name] = argument.value(given[name])
                elif argument.required:
                    raise ValueError(f"is missing; it {argument.accepts()}")
            except ValueError as error:
                errors[name] = str(error)
        if errors:
            detail = "; ".join(f"{name}: {error}" for name, error in errors.items())
            raise Problem(400, detail, errors)
        with refusals():
            return self.function(**values)


@contextmanager
def refusals() -> Iterator[None]:
    """What a function says of its arguments, as a `Problem`."""
    try:
        yield
    except (LookupError, ValueError) as error:
        # Exactly these two are meant: a KeyError or a UnicodeError is a mistake of ours.
        if type(error) not in (LookupError, ValueError):
            raise
        raise Problem(404 if type(error) is LookupError else 400, str(error)) from None


def _argument(name: str, kind: Any, default: Any, required: bool) -> Argument:
    rule = Rule()
    if typing.get_origin(kind) is typing.Annotated:
        kind, rule = typing.get_args(kind)
    key = Key(
        *("", name, kind, default, "", "", rule.bounds, rule.one_of, "", rule.read, "", "off")
    )
    return Argument(key, required, rule.longest)
