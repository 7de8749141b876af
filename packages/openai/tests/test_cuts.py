"""No silent truncation: an answer that is cut at any byte, in any way, is whole or is an error.

First on the decoder alone, then through HTTP over loopback.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, TypeAlias

import pytest

from pointsman import (
    ChatRequest,
    Finished,
    PointsmanError,
    ProviderError,
    StreamBroken,
    StreamEvent,
    Target,
    Terminal,
    TextDelta,
    Unavailable,
    Usage,
    user,
)
from pointsman_openai import Quirks, Session
from pointsman_openai.decode import ChatDecoder
from pointsman_testing import Lab, Raw

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Session]]
Ending: TypeAlias = Literal["clean", "close", "reset", "done", "error"]

REQUEST = ChatRequest(messages=(user("What is a closure?"),), model="m")
TEXT = "A függvény 😀 here."


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


CHUNKS = [
    *[event({"choices": [{"index": 0, "delta": {"content": word}}]}) for word in TEXT.split(" ")],
    event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
    event({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 6}}),
    b"data: [DONE]\n\n",
]
BODY = b"".join(CHUNKS)
PROOF = len(b"".join(CHUNKS[:-2])) - len("\n\n")
"""Where the chunk with the finish reason is whole, be it without its blank line."""
MARK = len(BODY) - len("\n\n")
WORDS = [TextDelta(word) for word in TEXT.split(" ")]

AFTER: dict[Ending, bytes] = {
    "clean": b"",
    "close": b"",
    "reset": b"",
    "done": b"\n\ndata: [DONE]\n\n",
    "error": b'\n\ndata: {"error":{"message":"it broke","code":500}}\n\n',
}


def check(at: int, events: list[StreamEvent], error: PointsmanError | None, *, proof: int = PROOF) -> None:
    """Either whole, and then nothing is missing, or an error after a part of the text."""
    texts = [event for event in events if isinstance(event, TextDelta)]
    assert texts == WORDS[: len(texts)]
    if error is None:
        assert at >= proof
        assert texts == WORDS
        assert isinstance(events[-1], Finished)
        assert events[-1].reason == "stop"
        assert events[-1].usage in (None, Usage(input_tokens=5, output_tokens=6))
    else:
        assert at < proof
        assert isinstance(error, StreamBroken | Unavailable)
        assert not any(isinstance(event, Finished) for event in events)


@pytest.mark.parametrize("ending", AFTER)
@pytest.mark.parametrize("terminal", [Terminal.FINISH_REASON, Terminal.DONE_MARKER])
def test_decoder(ending: Ending, terminal: Terminal) -> None:
    def complain(event: Any, begun: bool) -> PointsmanError:
        return StreamBroken("it broke")

    if terminal is Terminal.DONE_MARKER and ending == "done":
        pytest.skip("where [DONE] is the proof, nothing shows that something is missing before it")
    for at in range(len(BODY) + 1):
        decoder = ChatDecoder(Target("acme", "m"), Quirks(terminal=terminal), complain)
        decoder.feed(BODY[:at])
        decoder.feed(AFTER[ending])
        decoder.end(ConnectionResetError("reset") if ending in ("close", "reset") else None)
        proof = PROOF if terminal is Terminal.FINISH_REASON else MARK
        check(at, list(decoder.ready), decoder.failure, proof=proof)


@pytest.mark.parametrize("ending", AFTER)
@pytest.mark.parametrize("chunked", [True, False])
async def test_over_http(opened: Open, lab: Lab, ending: Ending, chunked: bool) -> None:
    vendor = lab.vendor("cutting")
    how = ending if ending in ("close", "reset") else "clean"
    async with opened(vendor.base_url) as session:
        for at in range(0, len(BODY) + 1, 1 if chunked else 7):
            data = BODY[:at] + AFTER[ending]
            answer = Raw(data, chunked=chunked)
            vendor.script(answer if how == "clean" else Raw(BODY, chunked=chunked).cut(at=at, how=how))
            events: list[StreamEvent] = []
            error: PointsmanError | None = None
            try:
                async with session.stream(REQUEST) as stream:
                    async for event in stream:
                        events.append(event)
            except ProviderError as raised:
                error = raised
            check(at, events, error)
