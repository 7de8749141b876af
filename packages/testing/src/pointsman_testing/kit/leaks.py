"""Finding a key in what is shown, also where only a part of it is left, or it is written in another notation."""

from __future__ import annotations

import base64
import binascii
import html
import pickle
import re
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import cast
from urllib.parse import unquote

from ..lab import RecordedRequest

PART = 8
"""Characters of a key, one after the other, that give it away. No ordinary text has so many of them by chance, if two
of them are digits."""

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")


class Leaks:
    """Knows some secrets, and finds them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._parts = {part for secret in secrets if secret for part in _parts(secret)}

    def __bool__(self) -> bool:
        """Whether there is anything to be found."""
        return bool(self._parts)

    def find(self, shown: str) -> str | None:
        """Some 40 characters around the first part of a secret in `shown`; None if there is none."""
        for reading in _readings(shown):
            for part in self._parts:
                if (at := reading.find(part)) >= 0:
                    return reading[max(0, at - 30) : at + PART + 10]
        return None


def _parts(secret: str) -> Iterator[str]:
    whole = [secret[at : at + PART] for at in range(max(1, len(secret) - PART + 1))]
    return iter([part for part in whole if sum(map(str.isdigit, part)) > 1] or [secret])


def _readings(shown: str) -> Iterator[str]:
    """`shown` as it is, as a URL or a page writes it, and what is Base64 in it."""
    yield shown
    if "%" in shown:
        yield unquote(shown)
    if "&" in shown:
        yield html.unescape(shown)
    for word in _BASE64.findall(shown):
        with suppress(binascii.Error, ValueError):
            plain = word.rstrip("=").translate(str.maketrans("-_", "+/"))
            yield base64.b64decode(plain + "=" * (-len(plain) % 4)).decode("latin-1")


def sent(request: RecordedRequest) -> str:
    """All that the lab was sent by one request, but for its body."""
    return f"{request.path}?{request.query}; {headers_of(request)}"


def headers_of(request: RecordedRequest) -> str:
    """All headers of the request, in one line."""
    return "; ".join(f"{name}: {value}" for name, value in request.raw_headers)


def shown_by(error: BaseException) -> str:
    """All that printing, logging or sending an exception may show: its notes, its causes, and what they hold."""
    texts = ["".join(traceback.format_exception(error))]
    for one in _chain(error):
        texts += [str(one), repr(one), repr(vars(one))]
    with suppress(Exception):  # One that cannot be pickled is not sent anywhere either.
        texts.append(pickle.dumps(error).decode("latin-1"))
    return "\n".join(texts)


def _chain(error: BaseException) -> list[BaseException]:
    waiting: list[BaseException | None] = [error]
    found: list[BaseException] = []
    while waiting:
        one = waiting.pop()
        if one is None or one in found:
            continue
        found.append(one)
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += cast(BaseExceptionGroup[BaseException], one).exceptions
    return found
