"""OpenAI's own SDK reads the same bytes the same way. Where it does not, the tests elsewhere say why we differ:

it ends quietly without ``[DONE]``, reads on past an ``event: error``, and gives usage as the vendor wrote it.
"""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
from hypothesis import given
from hypothesis import strategies as st

from pointsman import Finished, PointsmanError, StreamBroken, Target, TextDelta, ToolCallDelta, Usage
from pointsman_openai import Quirks
from pointsman_openai.decode import ChatDecoder

TEXTS = st.text(alphabet=st.characters(codec="utf-8"))
CALLS: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"index": st.integers(0, 2), "function": st.fixed_dictionaries({"arguments": TEXTS}, optional={"name": TEXTS})},
    optional={"id": TEXTS, "type": st.just("function")},
)
DELTAS: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {}, optional={"role": st.just("assistant"), "content": TEXTS | st.none(), "tool_calls": st.lists(CALLS, max_size=2)}
)
USAGES = st.tuples(st.integers(1, 99), st.integers(0, 99)).map(
    lambda counts: {"prompt_tokens": counts[0], "completion_tokens": counts[1], "total_tokens": sum(counts)}
)
FILLERS = st.sampled_from(["", ": comment", "event: message", "id: 7", "retry: 10"])
NEWLINES = st.sampled_from(["\n", "\r\n", "\r"])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A whole stream as a vendor may write it."""
    deltas: list[dict[str, Any]] = draw(st.lists(DELTAS))
    begun = set[int]()
    for call in (call for one in deltas for call in one.get("tool_calls") or ()):
        if call["index"] in begun:  # The SDK fuses calls of two ids on one index, and repeated names; we do not.
            call.pop("id", None)
            call["function"].pop("name", None)
        begun.add(call["index"])
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": one, "finish_reason": None}]} for one in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": draw(st.sampled_from(["stop", "length"]))}]})
    usage = draw(st.none() | USAGES)
    if usage is not None:
        chunks.append({"choices": [], "usage": usage})
    newline = draw(NEWLINES)
    body = ""
    for data in [*(json.dumps(chunk, ensure_ascii=draw(st.booleans())) for chunk in chunks), "[DONE]"]:
        filler = draw(FILLERS)
        body += (filler + newline if filler else "") + "data: " + data + newline * 2
    return body.encode()


def theirs(body: bytes) -> dict[str, Any]:
    """The answer as the SDK reads it."""
    response = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)
    transport = httpx2.MockTransport(lambda request: response)
    answer = Said()
    with (
        httpx2.Client(transport=transport) as http,
        openai.OpenAI(api_key="x", base_url="http://127.0.0.1/v1", http_client=http, max_retries=0) as sdk,
        sdk.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True) as stream,
    ):
        for chunk in stream:
            if chunk.usage is not None:
                answer.usage = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
            for choice in chunk.choices:
                answer.text += choice.delta.content or ""
                for call in choice.delta.tool_calls or []:
                    function = call.function
                    assert function is not None
                    answer.call(call.index, call.id, function.name, function.arguments)
                answer.reason = choice.finish_reason or answer.reason
    return vars(answer)


def ours(body: bytes) -> dict[str, Any]:
    """The answer as we read it."""

    def complain(event: Any, begun: bool) -> PointsmanError:
        return StreamBroken(str(event))

    decoder = ChatDecoder(Target("acme", "m"), Quirks(), complain)
    decoder.feed(body)
    decoder.end()
    assert decoder.failure is None
    answer = Said()
    for event in decoder.ready:
        match event:
            case TextDelta(text):
                answer.text += text
            case ToolCallDelta(index, id_, name, arguments):
                answer.call(index, id_, name, arguments)
            case Finished(reason, usage):
                answer.reason = reason
                answer.usage = (usage.input_tokens, usage.output_tokens) if isinstance(usage, Usage) else None
            case _:
                raise AssertionError(event)
    return vars(answer)


class Said:
    """What was said in all."""

    def __init__(self) -> None:
        self.text = ""
        self.reason: str | None = None
        self.usage: tuple[int, int] | None = None
        self.calls: dict[int, tuple[str, str, str]] = {}

    def call(self, index: int, id_: str | None, name: str | None, arguments: str | None) -> None:
        if not (id_ or name or arguments):
            return
        before = self.calls.get(index, ("", "", ""))
        now = (id_ or "", name or "", arguments or "")
        self.calls[index] = (before[0] + now[0], before[1] + now[1], before[2] + now[2])


@given(bodies())
def test_the_same_answer(body: bytes) -> None:
    assert ours(body) == theirs(body)
