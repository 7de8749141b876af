"""What policies are asked: requests of every kind, and candidates of whom much, little or nothing is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, get_args

from pointsman import (
    Candidate,
    ChatRequest,
    Image,
    Message,
    Price,
    Priority,
    Target,
    Tool,
    ToolCall,
    assistant,
    system,
    tool_result,
    user,
)

MOMENTS: Sequence[tuple[float, int]] = ((0.0, 0), (1e9, 2**32 - 1))
"""`now` in seconds, and `seed`: the least and the most of both."""

EVERYTHING = ("tools", "schema", "vision", "prefill")


def _ask(*said: str | Message, **wishes: Any) -> ChatRequest:
    return ChatRequest(messages=tuple(user(one) if isinstance(one, str) else one for one in said), **wishes)


_TOOL = Tool("look_up", "Finds a word.", {"type": "object", "properties": {"word": {"type": "string"}}})
_PICTURE = Image("data:image/png;base64,AA==")

REQUESTS: Mapping[str, ChatRequest] = {
    "a-short-prompt": _ask("Hi"),
    "an-empty-instruction": _ask(system(""), "Hi"),
    "100000-characters": _ask("All work and no play. " * 4_546),
    "a-word-of-100000-characters": _ask("x" * 100_000),
    "emoji": _ask("👩‍🚀🏳️‍🌈 👍🏽?"),
    "right-to-left": _ask("اكتب دالة تعكس القائمة", "כתוב פונקציה"),
    "control-characters": _ask("\x00\x1b[31m\r\u2028\u200b\ufeff\U0010ffff"),
    "code": _ask("Why is this slow?\n```python\nfor a in b:\n    c.remove(a)\n```"),
    "an-image-alone": _ask(user(_PICTURE)),
    "an-image-with-a-question": _ask(user("What is this?", _PICTURE)),
    "tools": _ask(
        "What is a pointsman?",
        assistant("", tool_calls=[ToolCall("1", "look_up", '{"word": "pointsman"}')]),
        tool_result("1", "Somebody who sets the points."),
        tools=(_TOOL,),
        tool_choice="auto",
    ),
    "a-schema": _ask("Two plus two?", response_schema={"type": "object", "properties": {"sum": {"type": "integer"}}}),
    "200-messages": _ask(*(one for _ in range(100) for one in (user("And then?"), assistant("Nothing.")))),
    "a-task": _ask("Sort a list", task="code"),
    "an-unknown-task": _ask("Bake bread", task="baking \N{BREAD}"),
    "an-empty-task": _ask("Hi", task=""),
    "tags": _ask("Hi", tags={"thread": "1", "": ""}),
    "a-deadline": _ask("Hi", deadline=0.001),
    "one-token": _ask("Hi", max_tokens=1, temperature=0.0),
    "a-million-tokens": _ask("Hi", max_tokens=1_000_000),
    "much-at-once": _ask(user("Which?", _PICTURE), tools=(_TOOL,), response_schema={}, require=frozenset({"prefill"})),
    "what-nobody-can": _ask("Hi", require=frozenset({"telepathy"})),
    **{f"priority-{one}": _ask("Hi", priority=one) for one in get_args(Priority)},
}


def _candidate(name: str, can: Iterable[str] = EVERYTHING, context: int | None = 8_192, usd: str = "") -> Candidate:
    """`usd`: of a million tokens read; those written cost twice as much. Empty if nobody knows."""
    price = None
    if usd:
        price = Price(input=Decimal(usd), output=2 * Decimal(usd), as_of=date(2026, 1, 1), source="the kit")
    return Candidate(target=Target.parse(name), capabilities=frozenset(can), context_tokens=context, price=price)


FIELDS: Mapping[str, Sequence[Candidate]] = {
    "one": [_candidate("a/m", usd="1")],
    "fifty": [_candidate(f"p{n % 7}/m{n}", EVERYTHING[: n % 5], 1_024 * n or None, f"{n}") for n in range(50)],
    "equal": [_candidate(f"{name}/m", usd="1") for name in "cab"],
    "unknown": [_candidate(f"{name}/m", (), None) for name in "ba"],
    "partly known": [
        _candidate("a/blind", ("tools", "schema"), 131_072, "0.5"),
        _candidate("b/unpriced", EVERYTHING, None),
        _candidate("c/mute", (), 4_096, "0.1"),
    ],
    "too small": [_candidate("a/m", context=1, usd="1"), _candidate("b/m", context=16, usd="1")],
    "free and dear": [_candidate("a/m", usd="1000000"), _candidate("b/m", usd="0"), _candidate("c/m", usd="0.0000001")],
    "odd names": [_candidate("lab/org/model:free@1"), _candidate("größe/模型 1"), _candidate("a/" + "m" * 200)],
}
"""Candidates, by what is peculiar about them."""
