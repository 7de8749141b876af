"""In which form an answer comes: told by how it begins, since its header cannot be trusted. Pure.

Blaxel's Python templates send bare text as ``text/event-stream``; other agents send what they like. The rules, which
give the same for every prefix that is long enough to tell:

- server-sent events: the first block has nothing but fields (``data:``, ``event:``, ``id:``, ``retry:``, comments),
  and not comments alone;
- a JSON value a line: the first two lines are an object each; the first alone if the header says that there are lines;
- one JSON value: the first line begins an object that it does not end, or is one and the only line; what the header
  calls JSON may be any other value, too;
- bare text: everything else, and whatever turns out in the end to be none of these.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal, TypeAlias

Form: TypeAlias = Literal["text", "json", "lines", "sse"]

LINE_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")
MOST_HELD = 32 * 1024 * 1024
"""Bytes of an answer of which the form, or the value, is not known before its end."""
MOST_HEAD = 64 * 1024
"""Bytes of an answer after which blank lines, or a block of fields that does not end, are taken as they are."""
_BLANK = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_VALUES = b'"[-0123456789tfn'
"""What a JSON value begins with that is no object."""
_FIELDS = (b"data", b"event", b"id", b"retry")
_FIELD = re.compile(rb"(data|event|id|retry)(:|$)")
_LINE_END = re.compile(rb"\r\n|\n|\r")


def form_of(head: bytes, kind: str, *, ended: bool) -> Form | None:
    """The form of a body that begins with `head`, or that is `head`, if it has `ended`; None if more is needed.

    `kind` is the media type that the header claims.
    """
    if not ended and len(head) < len(_BOM) and _BOM.startswith(head):
        return None
    text = head[:MOST_HEAD].removeprefix(_BOM).lstrip(_BLANK)
    if text[:1] == b"{":
        text = head.removeprefix(_BOM).lstrip(_BLANK)
    elif len(head) >= MOST_HEAD:
        text, ended = _whole_lines(text), True
    if not text:
        return "text" if ended else None
    if text[:1] == b"{":
        return _json(text, kind, ended=ended)
    if is_json(kind) and text[:1] in _VALUES:
        return "json"
    return _events(text, ended=ended) if text[:1] in b":deir" else "text"


def is_json(kind: str) -> bool:
    """Whether a header claims one JSON value."""
    return kind == "application/json" or kind.endswith("+json")


def loaded(text: bytes | str) -> Any:
    """The JSON value; `ValueError` if it is none. What has no place in a text is taken as read."""
    try:
        return json.loads(text, strict=False)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def is_object(line: bytes) -> bool:
    """Whether the line is a whole JSON object."""
    if line[:1] != b"{":
        return False
    try:
        return isinstance(loaded(line), dict)
    except ValueError:
        return False


def _whole_lines(text: bytes) -> bytes:
    """Without what is cut off at its end; a single line as it is."""
    return text[: max(text.rfind(b"\n"), text.rfind(b"\r")) + 1] or text


def _json(text: bytes, kind: str, *, ended: bool) -> Form | None:
    if not is_json(kind) and kind not in LINE_TYPES:
        inside = text[1:].lstrip(_BLANK)
        if not inside:
            return "text" if ended else None
        if inside[:1] not in b'"}':
            return "text"  # A brace, as in code.
    first, newline, rest = text.partition(b"\n")
    if not newline and not ended:
        return None
    if not is_object(first.rstrip(_BLANK)):
        return "json"
    if kind in LINE_TYPES:
        return "lines"
    rest = rest.lstrip(_BLANK)
    if not rest:
        return "json" if ended else None
    second, newline, _ = rest.partition(b"\n")
    if rest[:1] != b"{":
        return "text"
    if not newline and not ended:
        return None
    return "lines" if is_object(second.rstrip(_BLANK)) else "text"


def _events(text: bytes, *, ended: bool) -> Form | None:
    *lines, last = _LINE_END.split(text)
    if not ended and text.endswith(b"\r"):
        last = lines.pop()  # Perhaps half of a line's end.
    decided = False
    for line in lines:
        if not line and decided:
            return "sse"
        if line and line[:1] != b":":
            if not _FIELD.match(line):
                return "text"
            if line[:5] == b"data:" and is_object(line[5:].strip()):
                return "sse"
            decided = True
    if last and last[:1] != b":" and not _FIELD.match(last):
        may_become = any(name.startswith(last) for name in _FIELDS) and not ended
        return None if may_become else "text"
    if not ended:
        return None
    return "sse" if decided or (last and last[:1] != b":") else "text"
