"""Keys: which are fit to be used, and how they are kept out of whatever is shown."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable, MutableMapping
from typing import Any, cast
from urllib.parse import quote, urlsplit

SHORTEST_KEY = 8
"""Shorter values cannot be redacted by value without tearing ordinary words apart."""


def host_of(url: str) -> str:
    """The host of a URL, lower-case; empty if it has none."""
    return (urlsplit(url).hostname or "").lower()


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
        return "contains a space, a line break or another character that no key has"
    if len(key) < SHORTEST_KEY and not is_loopback(host):
        return f"is shorter than {SHORTEST_KEY} characters, so that it could not be kept out of messages"
    return None


class Redactor:
    """Replaces every known secret, by value, in whatever is shown: also as it looks inside a URL."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: list[str] = []
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Keep these out too. Shorter ones than `SHORTEST_KEY` belong to loopback servers and are left alone."""
        known = {
            *self._secrets,
            *(form for one in secrets if len(one) >= SHORTEST_KEY for form in (one, quote(one, ""))),
        }
        self._secrets = sorted(known, key=len, reverse=True)

    def text(self, shown: str) -> str:
        """`shown` without secrets."""
        for secret in self._secrets:
            shown = shown.replace(secret, "[redacted]")
        return shown

    def error(self, error: BaseException) -> None:
        """Take secrets out of an exception, its causes, its notes, and what else it carries."""
        seen: set[int] = set()
        waiting: list[BaseException | None] = [error]
        while waiting:
            one = waiting.pop()
            if one is None or id(one) in seen:
                continue
            seen.add(id(one))
            one.args = tuple(self._value(arg) for arg in one.args)
            if notes := getattr(one, "__notes__", None):
                one.__notes__ = [self.text(note) for note in notes]
            for name, value in vars(one).items():
                if isinstance(value, str):
                    setattr(one, name, self.text(value))
            waiting += [one.__cause__, one.__context__]
            if isinstance(one, BaseExceptionGroup):
                waiting += cast(tuple[BaseException, ...], one.exceptions)

    def _value(self, value: Any) -> Any:
        return self.text(value) if isinstance(value, str) else value


class RedactingLog(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records carry no secret, neither in the message nor in its arguments nor in a traceback."""

    def __init__(self, logger: logging.Logger, redactor: Redactor) -> None:
        super().__init__(logger, {})
        self._redactor = redactor

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        if isinstance(info := kwargs.get("exc_info"), BaseException):
            self._redactor.error(info)
        return msg, kwargs

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        if self.isEnabledFor(level):
            text = self._redactor.text(str(msg) % args if args else str(msg))
            super().log(level, "%s", text, **kwargs)
