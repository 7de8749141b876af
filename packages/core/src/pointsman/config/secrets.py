"""Keys: which are fit to be used, and how they are kept out of whatever is shown."""

from __future__ import annotations

import ipaddress
import logging
import re
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, cast
from urllib.parse import urlsplit

SHORTEST_KEY = 8
"""Shorter values cannot be redacted by value without tearing ordinary words apart."""

REDACTED = "[redacted]"

_ESCAPES = re.compile(r"[%\\&]")
"""Without one of these, text is in no notation that writes a key differently."""

_IN_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}

_COLLECTIONS: Mapping[object, Callable[[Iterable[Any]], Any]] = {kind: kind for kind in (tuple, list, set, frozenset)}
"""Those that can be built anew; how kinds of somebody's own are made nobody knows."""


def host_of(url: str) -> str:
    """The host of a URL, lower-case and without a dot at its end; empty if it has none.

    Raises `ValueError` for a URL that two readers might understand differently.
    """
    if any(char <= " " or char in "\\\x7f" for char in url):
        raise ValueError("it holds a space, a control character or a backslash")
    try:
        host = urlsplit(url if "://" in url else f"//{url}").hostname or ""
    except ValueError:
        raise ValueError("its host is malformed") from None  # What urllib says may quote a password in it.
    return host.lower().rstrip(".")


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def unfit(key: str, host: str) -> str | None:
    """Why `key` cannot be used as a key for `host`; None if it can."""
    if not key:
        return "is empty"
    if any(not ("!" <= char <= "~") for char in key):
        return "contains a space, a line break or another character that no key has: copy it again"
    if len(key) < SHORTEST_KEY and not is_loopback(host):
        return f"is shorter than {SHORTEST_KEY} characters, so that it could not be kept out of messages: set all of it"
    return None


class Redactor:
    """Replaces every known secret, by value, in whatever is shown: also as it looks in a URL, in JSON or in `repr`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: tuple[str, ...] = ()
        """Longest first, so that what is part of another does not break it up."""
        self._pattern: re.Pattern[str] | None = None
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Keep these out too, and each word of them (``Bearer <key>``).

        Shorter ones than `SHORTEST_KEY` belong to loopback servers and are left alone.
        """
        forms = [form for one in secrets for form in (one, *one.split())]
        known = {*self._secrets, *(form for form in forms if len(form) >= SHORTEST_KEY)}
        if len(known) > len(self._secrets):
            self._secrets = tuple(sorted(known, key=len, reverse=True))
            self._pattern = re.compile("|".join(map(_any_form, self._secrets)))

    def text(self, shown: str) -> str:
        """`shown` without secrets."""
        if self._pattern and _ESCAPES.search(shown):
            return self._pattern.sub(REDACTED, shown)
        for secret in self._secrets:  # 40 times faster, and most text is as it is.
            shown = shown.replace(secret, REDACTED)
        return shown

    def value(self, value: Any) -> Any:
        """`value` without secrets: the same object, if it shows none."""
        kind: object = cast(object, type(value))
        if kind is dict:
            return {self.value(key): self.value(one) for key, one in value.items()}
        if build := _COLLECTIONS.get(kind):
            return build(map(self.value, value))
        if value is None or isinstance(value, bool | int | float | BaseException):  # An exception has its own turn.
            return value
        shown = str(value) if isinstance(value, str) else _shown(value)
        clean = self.text(shown)
        return value if clean == shown else clean

    def error(self, error: BaseException) -> None:
        """Take secrets out of an exception, its causes, its notes, and what else it carries."""
        self.cleaned(error)

    def cleaned(self, error: BaseException) -> BaseException:
        """`error` without secrets, in place; a stand-in, for it or a cause of it, where an exception cannot be changed.

        Never raises, whatever the exception is like: it is on the way to somebody.
        """
        if self._pattern is None:
            return error
        chain = _reachable(error)
        for one in chain:
            self._scrub(one)
        unclean = [one for one in chain if (shown := f"{_shown(one)}{_shown(vars(one))}") != self.text(shown)]
        stand_ins = {id(one): _StandIn(one, self.text(said(one))) for one in unclean}
        for one in [*chain, *stand_ins.values()]:
            suppressed = one.__suppress_context__
            for link in ("__cause__", "__context__"):
                if stand_in := stand_ins.get(id(getattr(one, link))):
                    object.__setattr__(one, link, stand_in)
            object.__setattr__(one, "__suppress_context__", suppressed)
        return stand_ins.get(id(error), error)

    def _scrub(self, one: BaseException) -> None:
        """Change what can be changed, also where the class itself would refuse."""
        with suppress(AttributeError, TypeError, RecursionError):  # What does refuse gets a stand-in.
            object.__setattr__(one, "args", tuple(map(self.value, one.args)))
            for name, value in list(vars(one).items()):
                vars(one)[name] = self.value(value)


class _StandIn(Exception):
    """Stands for an exception that showed a key and could not be changed."""

    def __init__(self, original: BaseException, text: str) -> None:
        super().__init__(text)
        self.__traceback__ = original.__traceback__
        self.__cause__ = original.__cause__
        self.__context__ = original.__context__
        self.__suppress_context__ = original.__suppress_context__


class RedactingLog(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records carry no secret, neither in the message nor in its arguments nor in a traceback."""

    def __init__(self, logger: logging.Logger, redactor: Redactor) -> None:
        super().__init__(logger, {})
        self._redactor = redactor

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, kwargs

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        if not self.isEnabledFor(level):
            return
        info: Any = kwargs.get("exc_info")
        if info:
            raised: Any = info if isinstance(info, BaseException) else info[1] if info is not True else sys.exception()
            kwargs["exc_info"] = raised and self._redactor.cleaned(raised)
        if kwargs.get("extra"):
            kwargs["extra"] = self._redactor.value(kwargs["extra"])
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        super().log(level, "%s", self._redactor.text(_merged(msg, args)), **kwargs)


def _merged(msg: object, args: tuple[object, ...]) -> str:
    """The message as `logging` would make it; it never raises into who logs."""
    try:
        if len(args) == 1 and isinstance(args[0], Mapping) and args[0]:
            return str(msg) % args[0]
        return str(msg) % args if args else str(msg)
    except Exception:
        return " ".join(map(_shown, (msg, *args)))


def _any_form(secret: str) -> str:
    """A pattern for `secret` as it is, in a URL (also quoted twice), in JSON, in `repr` and in HTML."""
    return "".join(map(_any_form_of, re.findall(r"\\+|[^\\]", secret)))


def _any_form_of(part: str) -> str:
    """The same for one character, or for a run of backslashes, of which any notation makes more."""
    char = part[0]
    quoted = "".join(f"%(?:25)*{byte:02x}" for byte in char.encode(errors="replace"))
    escaped = rf"(?i:{quoted}|\\*+u{ord(char):04x})"  # A run before it may have taken the backslash.
    if char == "\\":
        return rf"(?:{escaped}|\\){{{len(part)},}}+"  # Possessive: nothing to be gained from trying fewer.
    if char.isalnum():
        return f"(?:{char}|{escaped})"
    return rf"(?:\\*+{re.escape(char)}|{escaped}|{re.escape(_IN_HTML.get(char, char))}|&#{ord(char)};)"


def _reachable(error: BaseException) -> list[BaseException]:
    """`error`, and every exception that hangs on it."""
    found: dict[int, BaseException] = {}
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in found:
            continue
        found[id(one)] = one
        waiting += [one.__cause__, one.__context__]
        waiting += [held for held in (*one.args, *vars(one).values()) if isinstance(held, BaseException)]
        if isinstance(one, BaseExceptionGroup):
            waiting += cast(tuple[BaseException, ...], one.exceptions)
    return list(found.values())


def said(value: object) -> str:
    """What `value` says of itself. Never raises."""
    try:
        return f"{type(value).__name__}: {value}"
    except Exception as error:
        return f"{type(value).__name__}, which cannot be shown: {type(error).__name__}"


def _shown(value: object) -> str:
    """Everything that printing `value` may show. Never raises."""
    try:
        return f"{said(value)} {value!r}"
    except Exception:
        return said(value)
