"""Keys are kept out of whatever is shown, in every shape that they take; unfit ones are refused."""

from __future__ import annotations

import html
import json
import logging
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from pointsman import AllTargetsFailed, PluginError, PointsmanError, RateLimited, Target, Unavailable
from pointsman.config import RedactingLog, Redactor
from pointsman.config.secrets import SHORTEST_KEY, host_of, is_loopback, unfit

KEY = "sk-a/b+c=d\"e'f\\g&h<i"  # Everything that some notation writes differently.
keys = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=SHORTEST_KEY, max_size=60)

SHAPES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a URL's path": lambda key: quote(key),
    "in a URL's query": lambda key: quote(key, safe=""),
    "in a form": quote_plus,
    "in a URL, lower-case": lambda key: re.sub("%..", lambda match: match[0].lower(), quote(key, safe="")),
    "quoted twice": lambda key: quote(quote(key, safe=""), safe=""),
    "in JSON": lambda key: json.dumps(key)[1:-1],
    "in JSON in JSON": lambda key: json.dumps(json.dumps(key))[3:-3],
    "in JSON that escapes slashes": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "in JSON for the web": lambda key: json.dumps(key)[1:-1].replace("<", "\\u003c").replace("&", "\\u0026"),
    "in repr": lambda key: repr(key)[1:-1],
    "in repr of bytes": lambda key: repr(key.encode())[2:-1],
    "in HTML": html.escape,
}


@given(key=keys, around=st.tuples(st.text(max_size=5), st.text(max_size=5)), shape=st.sampled_from(sorted(SHAPES)))
@example(key=KEY, around=("?key=", "&x=1"), shape="in a URL's query")
@example(key="000000\\<", around=("", ""), shape="in JSON for the web")
def test_no_shape_of_a_key_is_shown(key: str, around: tuple[str, str], shape: str) -> None:
    shown = Redactor([key]).text(around[0] + SHAPES[shape](key) + around[1])
    assert SHAPES[shape](key) not in shown
    assert key not in shown
    assert "[redacted]" in shown


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_by_example(shape: str) -> None:
    assert Redactor([KEY]).text(f"Bearer {SHAPES[shape](KEY)}, sorry") == "Bearer [redacted], sorry"


@given(keys, keys, st.text(max_size=20))
def test_a_key_inside_another_and_other_text(one: str, other: str, text: str) -> None:
    redactor = Redactor([one, other, one + other])
    assert redactor.text(one + other) == "[redacted]"
    if one not in text and other not in text and "%" not in text and "\\" not in text and "&" not in text:
        assert redactor.text(text) == text


def test_parts_of_a_header_are_keys_and_short_values_are_not() -> None:
    redactor = Redactor(["Bearer abcdefgh12345", "short"])
    assert redactor.text("abcdefgh12345") == "[redacted]"
    assert redactor.text("a short story by a Bearer") == "a short story by a Bearer"
    assert Redactor().text("anything") == "anything"


# Exceptions ----------------------------------------------------------------------------------------------------------


class Frozen(Exception):
    """Refuses to be changed, and shows what it was given."""

    def __init__(self, key: str) -> None:
        object.__setattr__(self, "key", key)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("cannot assign")

    def __str__(self) -> str:
        return f"refused {self.key}"  # type: ignore[attr-defined]


class Slotted(Exception):
    """Keeps the key where nobody can reach it, and shows it."""

    __slots__ = ("hidden",)

    def __init__(self, key: str) -> None:
        super().__init__()
        self.hidden = (key,)

    def __str__(self) -> str:
        return f"refused {self.hidden[0]}"


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


@dataclass
class Response:
    body: str


class Config(BaseModel):
    number: int


def invalid(key: str) -> Exception:
    try:
        Config.model_validate({"number": key})
    except ValidationError as error:
        return error
    return ValueError(key)  # It was a number.


def with_note(key: str) -> Exception:
    error = ValueError("see the note")
    error.add_note(f"sent {key}")
    return error


def with_attribute(key: str) -> Exception:
    error = ValueError("see the response")
    error.response = {"headers": [("authorization", f"Bearer {key}")], "raw": Response(key)}  # type: ignore[attr-defined]
    return error


EXCEPTIONS: dict[str, Callable[[str], BaseException]] = {
    "a message": lambda key: ValueError(f"bad key {key}"),
    "several arguments": lambda key: ValueError("bad", 5, (key, [key]), {"key": key}, key.encode()),
    "an object in the arguments": lambda key: ValueError(Response(key)),
    "a file name": lambda key: FileNotFoundError(2, "no such file", f"/keys/{key}"),
    "undecodable bytes": lambda key: UnicodeDecodeError("utf-8", key.encode() + b"\xff", len(key), len(key) + 1, "bad"),
    "a group's message": lambda key: ExceptionGroup(f"with {key}", [ValueError("x")]),
    "inside a group": lambda key: ExceptionGroup("two", [ValueError(key), ExceptionGroup("in", [OSError(key)])]),
    "frozen": Frozen,
    "slotted": Slotted,
    "pydantic's": invalid,
    "a note": with_note,
    "an attribute": with_attribute,
    "ours": lambda key: RateLimited(f"for {key}", target=Target("acme", "a"), request_id=key, partial=f"I am {key}"),
    "ours with a plugin": lambda key: PluginError("x", plugin=key),
    "all of ours": lambda key: AllTargetsFailed(f"all {key}", [RateLimited(key), Unavailable("y", partial=key)]),
    "cancellation": lambda key: KeyboardInterrupt(key),
}


def chained(kind: str, how: str, key: str) -> PointsmanError:
    """One of our errors, on which an exception hangs that shows the key."""
    inner = EXCEPTIONS[kind](key)
    if how == "top" and isinstance(inner, PointsmanError):
        return inner
    if how == "group" and isinstance(inner, PointsmanError):
        return AllTargetsFailed("all", [inner])
    try:
        try:
            raise inner
        except BaseException as error:
            if how == "context":
                raise Unavailable("no answer")  # noqa: B904
            raise Unavailable("no answer") from (
                ValueError("in between").with_traceback(None) if how == "deep" else error
            )
    except Unavailable as error:
        if how == "deep" and error.__cause__ is not None:
            error.__cause__.__cause__ = inner
        return error


def everything(error: BaseException) -> str:
    """All that can be seen of an exception and of what hangs on it."""
    shown = ["".join(traceback.format_exception(error))]
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        for show in (str, repr, lambda e: repr(vars(e)), lambda e: repr(e.args)):
            try:
                shown.append(show(one))
            except RuntimeError:
                shown.append("unprintable")
        waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
    return "\n".join(shown)


def shows(error: BaseException, key: str) -> list[str]:
    """In which shapes a key can be seen."""
    shown = everything(error)
    return [name for name, shape in SHAPES.items() if shape(key) in shown]


@given(
    kind=st.sampled_from(sorted(EXCEPTIONS)),
    how=st.sampled_from(["top", "cause", "context", "deep", "group"]),
    key=keys,
)
@example(kind="pydantic's", how="cause", key=KEY)
def test_no_exception_shows_a_key(kind: str, how: str, key: str) -> None:
    assume(not shows(chained(kind, how, "~" * 9), key))
    error = chained(kind, how, key)
    if not shows(error, key):
        return  # pydantic shortens what it shows.
    before = type(error), error.__suppress_context__, [type(one) for one in getattr(error, "exceptions", ())]
    Redactor([key]).error(error)
    assert shows(error, key) == []
    assert (type(error), error.__suppress_context__, [type(one) for one in getattr(error, "exceptions", ())]) == before


def test_exceptions_that_show_no_key_stay_the_same() -> None:
    cause = ValueError("a", 5, Response("b"))
    cause.response = Response("c")  # type: ignore[attr-defined]
    error = Unavailable("no answer", target=Target("acme", "a"), status=503, retry_at=2.5)
    error.__cause__ = cause
    error.__context__ = error.__cause__
    cause.__context__ = error  # A circle, as careless code makes them.
    Redactor([KEY]).error(error)
    assert error.__cause__ is cause
    assert cause.args == ("a", 5, Response("b"))
    assert vars(cause) == {"response": Response("c")}
    assert (error.status, error.retry_at, error.target) == (503, 2.5, Target("acme", "a"))


def test_an_exception_that_cannot_be_printed_stops_nothing() -> None:
    error = Unavailable(f"with {KEY}")
    error.__cause__ = Unprintable()
    Redactor([KEY]).error(error)
    assert error.message == "with [redacted]"


def test_a_stand_in_keeps_the_story() -> None:
    try:
        try:
            raise Frozen(KEY) from ValueError("the root")
        except Frozen as inner:
            raise Unavailable("no answer") from inner
    except Unavailable as error:
        Redactor([KEY]).error(error)
        told = "".join(traceback.format_exception(error))
    assert "Frozen: refused [redacted]" in told
    assert "ValueError: the root" in told
    assert "raise Frozen(KEY)" in told


# Logs ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> RedactingLog:
    caplog.set_level(logging.DEBUG, logger="pointsman.acme")
    return RedactingLog(logging.getLogger("pointsman.acme"), Redactor([KEY]))


def fail(log: RedactingLog, **how: Any) -> None:
    try:
        raise Frozen(KEY) from ValueError(KEY)
    except Frozen as error:
        log.error("it failed: %s", error, **{name: error if value == "it" else value for name, value in how.items()})


@pytest.mark.parametrize(
    "write",
    [
        lambda log: log.info(f"key {KEY}"),
        lambda log: log.info("key %s", KEY),
        lambda log: log.info("key %(key)s", {"key": KEY}),
        lambda log: log.info("key %r and %s", {"headers": [KEY]}, 5),
        lambda log: log.info(ValueError(KEY)),
        lambda log: log.info("wrong number %s", KEY, KEY),
        lambda log: log.info("%d", KEY),
        lambda log: log.info("extra", extra={"key": KEY, "more": {"key": [KEY]}}),
        lambda log: log.log(logging.WARNING, "key %s", Response(KEY)),
        lambda log: fail(log, exc_info="it"),
        lambda log: fail(log, exc_info=True),
        lambda log: fail(log, exc_info=(Frozen, Frozen(KEY), None)),
        lambda log: fail(log, stack_info=True),
    ],
)
def test_no_record_holds_a_key(
    log: RedactingLog, caplog: pytest.LogCaptureFixture, write: Callable[[RedactingLog], None]
) -> None:
    write(log)
    [record] = caplog.records
    shown = logging.Formatter().format(record) + repr(vars(record))
    assert [name for name, shape in SHAPES.items() if shape(KEY) in shown] == []
    assert "[redacted]" in shown or "extra" in shown
    assert record.funcName != "log", "a record says who wrote it"


def test_what_is_logged_is_otherwise_as_written(log: RedactingLog, caplog: pytest.LogCaptureFixture) -> None:
    log.info("%s of %d", "one", 3)
    log.info("100%")
    log.info("%(a)s", {"a": 1})
    log.exception("nothing was raised")
    log.info("with extra", extra={"attempt": 3})
    assert [record.getMessage() for record in caplog.records] == [
        "one of 3",
        "100%",
        "1",
        "nothing was raised",
        "with extra",
    ]
    assert vars(caplog.records[-1])["attempt"] == 3
    assert caplog.records[0].funcName == "test_what_is_logged_is_otherwise_as_written"


def test_what_is_not_wanted_is_not_even_made(log: RedactingLog) -> None:
    log.logger.setLevel(logging.ERROR)
    log.info("%s", Unprintable())


# Fitness and hosts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "host", "said"),
    [
        ("", "acme.example", "is empty"),
        ("sk-1234", "acme.example", "shorter than 8"),
        ("with a space", "acme.example", "a space, a line break"),
        ("line\nbreak!", "127.0.0.1", "a space, a line break"),
        ("Schlüssel", "acme.example", "another character"),
        ("nul\0nulnul", "acme.example", "another character"),
        ("short", "127.0.0.1", None),
        ("x", "::1", None),
        ("12345678", "acme.example", None),
    ],
)
def test_keys_that_cannot_be_kept_out_of_messages_are_refused(key: str, host: str, said: str | None) -> None:
    reason = unfit(key, host)
    assert (
        (reason is None) if said is None else (reason is not None and said in reason and (not key or key not in reason))
    )


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://API.Acme.Example/v1", "api.acme.example"),
        ("https://api.acme.example:8443", "api.acme.example"),
        ("https://api.acme.example./v1", "api.acme.example"),
        ("https://api.acme.example@evil.example/", "evil.example"),
        ("https://api.acme.example:443@evil.example/", "evil.example"),
        ("https://evil.example/?@api.acme.example", "evil.example"),
        ("https://evil.example#@api.acme.example", "evil.example"),
        ("https://api.acme.example.evil.example", "api.acme.example.evil.example"),
        ("http://[::1]:8000/v1", "::1"),
        ("http://[2001:DB8::1]", "2001:db8::1"),
        ("127.0.0.1:11434", "127.0.0.1"),
        ("localhost:11434", "localhost"),
        ("", ""),
        ("https://", ""),
    ],
)
def test_the_host_is_the_one_that_would_be_called(url: str, host: str) -> None:
    assert host_of(url) == host


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example\\@api.acme.example/",
        "https://api.acme\t.example",
        "https://api.acme.example\n",
        "https://api.acme.example /",
        "http://[::1",
        "https://api.acme\u3002example\uff0fv1",
    ],
)
def test_addresses_that_two_readers_may_understand_differently_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        host_of(url)


def test_this_machine() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.8.9.1", "::1", "localhost", "lab.localhost"]))
    assert not any(map(is_loopback, ["", "0.0.0.0", "10.0.0.1", "localhost.example", "2130706433", "acme.example"]))
