"""JSON and dates as a server written in Go writes them: what it escapes, what it leaves out, how it trims."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

EPOCH = 1_790_000_000
"""One date for all answers, in Unix seconds: the bytes of an answer can be known before it is asked for."""

_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
# These stand in strings only. A lone surrogate has no UTF-8; Go reads one as the replacement character.
_SPECIAL = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def dumps(value: Any) -> bytes:
    """Without spaces, in the order given. Raw but for what HTML or JavaScript would trip over: U+0085 is raw too."""
    return _SPECIAL.sub(_escape, _encode(value)).encode()


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return "\ufffd" if "\ud800" <= character <= "\udfff" else f"\\u{ord(character):04x}"


def without_zeros(fields: Mapping[str, Any]) -> dict[str, Any]:
    """`fields` but those that are zero, empty or nothing: what ``omitempty`` leaves."""
    return {name: value for name, value in fields.items() if value}


def quoted(text: str) -> str:
    """`text` as ``%q`` prints it, near enough."""
    return json.dumps(text, ensure_ascii=False)


def stamp(seconds: float) -> str:
    """The date `seconds` after `EPOCH`, as RFC 3339 with nanoseconds whose trailing zeros are dropped."""
    whole, rest = divmod(round(seconds * 1e9), 1_000_000_000)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    return f"{_second(whole)}{fraction}Z"


@lru_cache
def _second(whole: int) -> str:
    return f"{_UNIX + timedelta(seconds=EPOCH + whole):%Y-%m-%dT%H:%M:%S}"


def nanoseconds(seconds: float) -> int:
    """A duration as it is written."""
    return round(seconds * 1e9)
