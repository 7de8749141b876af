"""What policies are asked: requests of every kind, and candidates of whom much, nothing or nonsense is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from math import inf, nan
from typing import Any, get_args

from pointsman import (
    Candidate,
    ChatRequest,
    History,
    Image,
    Measured,
    Message,
    Price,
    Priority,
    Strengths,
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
    "nothing-at-all": _ask(),
    "an-empty-prompt": _ask(""),
    "an-instruction-alone": _ask(system("Answer in one word.")),
    "an-empty-instruction": _ask(system(""), "Hi"),
    "100000-characters": _ask("All work and no play. " * 4_546),
    "a-word-of-100000-characters": _ask("x" * 100_000),
    "1000000-characters": _ask("Line of a log, with a number: 1234567890.\n" * 23_810),
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
    "results-alone": _ask(tool_result("1", "Somebody who sets the points."), tool_result("2", "")),
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


LONG = frozenset(asked for asked, one in REQUESTS.items() if sum(len(said.text) for said in one.messages) > 10_000)
"""Those that take a while to read: they are asked with one set of candidates only."""


def _candidate(
    name: str, can: Iterable[str] = EVERYTHING, context: int | None = 8_192, usd: str = "", **known: Any
) -> Candidate:
    """`usd`: of a million tokens read; those written cost twice as much. Empty if nobody knows."""
    price = None
    if usd:
        price = Price(input=Decimal(usd), output=2 * Decimal(usd), as_of=date(2026, 1, 1), source="the kit")
    return Candidate(
        target=Target.parse(name), capabilities=frozenset(can), context_tokens=context, price=price, **known
    )


def _history(seconds: float, *, failed: float = 0.0, quality: float | None = None) -> History:
    """Of a hundred attempts lately, of which that share failed; those of one task and of one length took longer."""

    def measured(seconds: float) -> Measured:
        return Measured(
            attempts=100.0,
            failures=100.0 * failed,
            first_token=seconds,
            answers=100.0 - 100.0 * failed,
            tokens_per_second=20 / seconds,
            timed=90.0,
            quality=quality,
            rated=0.0 if quality is None else 30.0,
        )

    return History(
        overall=measured(seconds),
        recent=measured(seconds),
        tasks={"code": measured(2 * seconds), "general_qa": measured(seconds)},
        lengths={"short": measured(seconds), "huge": measured(9 * seconds)},
    )


def _nonsense(name: str, number: float) -> Candidate:
    """Everything that is a number is this one. Core measures none such; a package or a file of years ago may say it."""
    measured = Measured(
        attempts=number,
        failures=number,
        first_token=number,
        answers=number,
        tokens_per_second=number,
        timed=number,
        quality=number,
        rated=number,
    )
    return _candidate(
        name,
        strengths=Strengths(
            speed=number,
            cost=number,
            tasks=dict.fromkeys(("code", "code_generation", "general", ""), number),
            first_token=(number, number),
            tokens_per_second=(number, -number),
        ),
        history=History(
            overall=measured,
            recent=measured,
            tasks={"code": measured, "general_qa": measured, "": measured},
            lengths=dict.fromkeys(("short", "medium", "long", "huge", "other"), measured),
        ),
        warm_tokens=0 if number in (inf, -inf) or number != number else int(number),
        cold_wait=number,
        open_at=number,
    )


_STRONG = Strengths(
    speed=10,
    cost=5,
    tasks={"code_generation": 10, "code_explanation": 0, "general": 5, "baking": 10},
    first_token=(0.1, 0.3),
    tokens_per_second=(100, 200),
)
_WEAK = Strengths(speed=0, cost=0, tasks={"code_generation": 0}, first_token=(5.0, 60.0), tokens_per_second=(0.5, 1))

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
    "declared": [
        _candidate("a/m", usd="1", strengths=_STRONG),
        _candidate("b/m", usd="1", strengths=_WEAK),
        _candidate("c/m"),
    ],
    "measured": [
        _candidate("a/slow", usd="1", strengths=_STRONG, history=_history(30.0, quality=0.9)),
        _candidate("b/fast", usd="2", strengths=_WEAK, history=_history(0.2, failed=0.01)),
        _candidate("c/failing", usd="0.1", history=_history(0.2, failed=1.0, quality=0.0)),
        _candidate("d/new", usd="1"),
    ],
    "not ready": [
        _candidate("a/cold", usd="1", cold_wait=90.0, state="cold", starts=3.0, standby_cost=Decimal("0.05")),
        _candidate("a/warming", usd="1", cold_wait=9.0, state="warming", standby_cost=Decimal(0)),
        _candidate("b/resting", usd="1", open_at=2e9),
        _candidate("c/warm", usd="1", warm_tokens=6_000),
    ],
    "all resting": [_candidate(f"{name}/m", usd="1", open_at=2e9) for name in "ab"],
    **{
        f"numbers of {number}": [_nonsense("a/odd", number), _candidate("b/m", usd="1")]
        for number in (nan, inf, -inf, -1.0, 0.0, 1e-300, 1e300)
    },
}
"""Candidates, by what is peculiar about them."""
