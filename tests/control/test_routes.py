"""How a request's arguments are read, and what is said of wrong ones."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import netlabsvc
from netlabsvc.control.router import Router
from netlabsvc.routes import Json, Problem, Route, Rule


def greet(
    who: Annotated[str, Rule(longest=10)],
    times: Annotated[int, Rule(bounds=(1, 3))] = 1,
    tone: Annotated[str, Rule(one_of=("soft", "loud"))] = "soft",
    twice: bool = False,
) -> Json:
    if who == "nobody":
        raise LookupError("nobody is not here")
    if who == "self":
        raise ValueError("greet somebody else")
    return {"who": who, "times": times, "tone": tone, "twice": twice}


def broken() -> Json:
    nothing: dict[str, list[str]] = {}
    return nothing["missing"]


GREET = Route("POST", "/v1/greet/{who}", greet, "Say hello.")


def problem(given: dict[str, object]) -> Problem:
    with pytest.raises(Problem) as caught:
        GREET.call(given)
    return caught.value


def test_arguments_come_typed_and_missing_ones_have_their_defaults() -> None:
    """As text, from a path or a query, or typed, from JSON."""
    assert GREET.call({"who": "ada", "times": "2", "twice": "true"}) == {
        "who": "ada",
        "times": 2,
        "tone": "soft",
        "twice": True,
    }
    assert GREET.call({"who": "ada", "times": 3, "tone": "loud"})["times"] == 3


@pytest.mark.parametrize(
    ("given", "errors"),
    [
        ({}, {"who": "is missing; it takes a text"}),
        ({"who": 5}, {"who": "takes a text"}),
        ({"who": "x" * 11}, {"who": "takes at most 10 characters"}),
        ({"who": "a", "times": 4}, {"times": "takes a whole number from 1 to 3"}),
        ({"who": "a", "times": True}, {"times": "takes a whole number from 1 to 3"}),
        ({"who": "a", "times": None}, {"times": "takes a whole number from 1 to 3"}),
        ({"who": "a", "times": [1]}, {"times": "takes a whole number from 1 to 3"}),
        ({"who": "a", "tone": "shrill"}, {"tone": "takes one of soft, loud"}),
        ({"who": "a", "twice": "maybe"}, {"twice": "takes true or false"}),
        ({"who": "a", "tine": 1}, {"tine": "is not known here; did you mean tone?"}),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_right(
    given: dict[str, object], errors: dict[str, str]
) -> None:
    """A problem document with status 400 that names the argument."""
    caught = problem(given)
    assert (caught.status, caught.errors) == (400, errors)
    assert caught.document()["errors"] == [
        {"name": name, "detail": detail} for name, detail in errors.items()
    ]


def test_all_mistakes_are_told_at_once() -> None:
    """Nobody has to find them one by one."""
    assert set(problem({"times": 9, "tone": "x", "y": 1}).errors) == {"who", "times", "tone", "y"}


def test_what_a_function_refuses_is_told_and_what_is_missing_is_a_404() -> None:
    """ValueError and LookupError are for people."""
    assert (problem({"who": "self"}).status, str(problem({"who": "self"}))) == (
        400,
        "greet somebody else",
    )
    assert (problem({"who": "nobody"}).status, problem({"who": "nobody"}).detail) == (
        404,
        "nobody is not here",
    )


def test_a_mistake_of_ours_is_not_blamed_on_who_asked() -> None:
    """A KeyError is a LookupError, but not one that was meant."""
    with pytest.raises(KeyError):
        Route("GET", "/v1/broken", broken, "").call({})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.sampled_from(["who", "times", "tone", "twice"]) | st.text(), JSON))
def test_no_json_object_leads_to_anything_but_an_answer_or_a_problem(given: dict[str, Any]) -> None:
    """Whatever the body holds."""
    with suppress(Problem):
        GREET.call(given)


@pytest.fixture
def router() -> Router:
    return Router(
        [
            GREET,
            Route("GET", "/v1/greet/{who}", greet, ""),
            Route("DELETE", "/v1/bans/{address}", greet, ""),
            Route("GET", "/v1/openapi.json", greet, ""),
        ]
    )


def test_a_path_finds_its_route_and_gives_its_arguments_decoded(router: Router) -> None:
    """Percent-encoded; HEAD goes where GET goes."""
    found = router.find("POST", "/v1/greet/%E5%B0%8F%E6%98%8E")
    assert (found.route, found.arguments) == (GREET, {"who": "小明"})
    assert router.find("DELETE", "/v1/bans/::1").arguments == {"address": "::1"}
    assert router.find("HEAD", "/v1/greet/a").route.method == "GET"


@pytest.mark.parametrize(
    "path", ["", "/", "/v1", "/v1/greet/", "/v1/greet/a/b", "/v1/openapiXjson"]
)
def test_a_path_that_is_not_there(router: Router, path: str) -> None:
    """404, and where one finds what there is."""
    with pytest.raises(Problem, match=r"openapi\.json lists what there is") as caught:
        router.find("GET", path)
    assert caught.value.status == 404


def test_a_method_that_a_path_does_not_take(router: Router) -> None:
    """405 with the methods that it takes."""
    with pytest.raises(Problem) as caught:
        router.find("PUT", "/v1/greet/a")
    assert (caught.value.status, caught.value.allow) == (405, ("POST", "GET", "HEAD"))


def test_the_documentation_names_every_route() -> None:
    """docs/control.md has a row for each."""
    docs = Path(__file__).parents[2] / "docs/control.md"
    openapi = json.loads((Path(netlabsvc.__file__).parent / "data/openapi.json").read_text("utf-8"))
    written = set(re.findall(r"^\| `([A-Z]+ /v1/\S+)` \|", docs.read_text("utf-8"), re.MULTILINE))
    assert written == {f"{m.upper()} {p}" for p, ms in openapi["paths"].items() for m in ms}
