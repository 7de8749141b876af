"""Where OpenAI's SDK and we read the same bytes differently. `docs/openai-sdk.md` is the table of these cases.

Each is answered over loopback HTTP and read twice: by a plain loop over the SDK's chunks, as its own documentation has
it, and by a session of ours. Where a test of the SDK's half fails, the SDK has changed: correct the case and the page.
"""

from __future__ import annotations

import gc
import json
import warnings
from collections.abc import AsyncIterable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import httpx2
import openai
import pytest

from pointsman import (
    ChatRequest,
    Finished,
    PointsmanError,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    Usage,
    user,
)
from pointsman_openai import Session
from pointsman_testing import Ending, Lab, Raw, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Session]]

MEASURED = "3.54.0"
"""The version of the SDK that the page speaks of."""
PAGE = Path(__file__).parents[3] / "docs" / "openai-sdk.md"
"""Not there where the tests run from the wheel."""


def event(value: Any, name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(value).encode() + b"\n\n"


def said(content: Any = None, finish_reason: str | None = None, **more: Any) -> bytes:
    """An event with one choice; `more` goes into its delta."""
    delta = more if content is None else {"content": content, **more}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return event({**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})


def called(call_id: str | None, name: str | None, arguments: str) -> bytes:
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    call = {"index": 0, "function": function} | ({"id": call_id} if call_id else {})
    return said(tool_calls=[call])


def usage(**counts: Any) -> bytes:
    return event({"choices": [], "usage": counts})


HELLO, THERE, STOP, DONE = said("Hello"), said(" there"), said(finish_reason="stop"), b"data: [DONE]\n\n"
END = STOP + DONE
COMPLETION = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]}
ERROR = {"error": {"message": "it broke", "code": "server_error"}}
WHOLE = '"Hello there", stop'


@dataclass(frozen=True)
class Case:
    title: str
    body: bytes
    sdk: str
    ours: str
    how: Ending = "clean"
    kind: str = "text/event-stream"
    collected: bool = False
    """The SDK reads it with its helper that collects."""

    def __str__(self) -> str:
        return self.title


CASES = {
    "Something is lost, and no exception says so": [
        Case("the stream ends in the middle of the answer", HELLO, '"Hello", no reason', '"Hello", then StreamBroken'),
        Case("the same, and `[DONE]` follows", HELLO + DONE, '"Hello", no reason', '"Hello", then StreamBroken'),
        Case(
            "the stream ends in the middle of an event",
            HELLO + THERE[:-9],
            '"Hello", no reason',
            '"Hello", then StreamBroken',
        ),
        Case(
            "the last event lacks its blank line",
            HELLO + THERE + STOP.rstrip(),
            '"Hello there", no reason',
            '"Hello there", stop',
        ),
        Case(
            "the stream begins with a byte order mark",
            b"\xef\xbb\xbf" + HELLO + THERE + END,
            '" there", stop',
            '"Hello there", stop',
        ),
        Case("the body is empty", b"", "nothing, no reason", "nothing, then StreamBroken"),
        Case(
            "a whole completion in the place of a stream",
            json.dumps(COMPLETION).encode(),
            "nothing, no reason",
            '"Hello", stop',
            kind="application/json",
        ),
        Case(
            "an error in the place of a stream, under status 200",
            json.dumps(ERROR).encode(),
            "nothing, no reason",
            "nothing, then Unavailable",
            kind="application/json",
        ),
        Case(
            "a web page that is called an event stream",
            b"<html><title>Welcome</title></html>",
            "nothing, no reason",
            "nothing, then StreamBroken",
        ),
        Case(
            "`event: error`, its data without the key `error`",
            HELLO + event({"message": "it broke"}, "error"),
            '"Hello", no reason',
            '"Hello", then StreamBroken',
        ),
        Case(
            '`{"object": "error"}` (vLLM)',
            HELLO + event({"object": "error", "message": "it broke"}),
            '"Hello", no reason',
            '"Hello", then StreamBroken',
        ),
        Case(
            "`error` inside the choice (OpenRouter)",
            HELLO + event({"choices": [{"index": 0, "delta": {}, "error": {"message": "it broke"}}]}),
            '"Hello", no reason',
            '"Hello", then StreamBroken',
        ),
        Case(
            "the finish reason is `error`",
            HELLO + said(finish_reason="error") + DONE,
            '"Hello", error',
            '"Hello", then StreamBroken',
        ),
        Case(
            "usage after `[DONE]`",
            HELLO + END + usage(prompt_tokens=1, completion_tokens=2),
            '"Hello", stop',
            '"Hello", stop, 1 + 2 tokens',
        ),
    ],
    "The answer is whole, and an exception takes it away": [
        Case(
            "the connection is lost after the finish reason",
            HELLO + THERE + STOP,
            '"Hello there", then APIConnectionError',
            '"Hello there", stop',
            how="reset",
        ),
        Case(
            "an error after the finish reason",
            HELLO + THERE + STOP + event(ERROR),
            '"Hello there", then APIError',
            '"Hello there", stop',
        ),
        Case(
            "garbage after the finish reason",
            HELLO + THERE + STOP + b"data: {oops\n\n" + DONE,
            '"Hello there", then JSONDecodeError',
            '"Hello there", stop',
        ),
        Case(
            "a comment on its own after an event with an `id`",
            b"id: 7\n" + HELLO + b": keep-alive\n\n" + THERE + END,
            '"Hello", then JSONDecodeError',
            '"Hello there", stop',
        ),
        Case(
            "an event without data",
            HELLO + b"event: ping\n\n" + THERE + END,
            '"Hello", then JSONDecodeError',
            '"Hello there", stop',
        ),
        Case(
            "an event with empty data",
            HELLO + b"data:\n\n" + THERE + END,
            '"Hello", then JSONDecodeError',
            '"Hello there", stop',
        ),
        Case(
            "two spaces before `[DONE]`",
            HELLO + THERE + STOP + b"data:  [DONE]\n\n",
            '"Hello there", then JSONDecodeError',
            '"Hello there", stop',
        ),
        Case(
            "the whole message instead of a delta",
            event(COMPLETION) + DONE,
            "nothing, then AttributeError",
            '"Hello", stop',
        ),
        Case(
            "`delta` is null",
            HELLO + THERE + event({"choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]}) + DONE,
            '"Hello there", then AttributeError',
            '"Hello there", stop',
        ),
        Case(
            "`null` as a chunk",
            HELLO + event(None) + THERE + END,
            '"Hello", then AttributeError',
            '"Hello there", stop',
        ),
        Case(
            "content in parts (Mistral)",
            said([{"type": "text", "text": "Hello"}]) + THERE + END,
            "nothing, then TypeError",
            '"Hello there", stop',
        ),
        Case(
            "a tool call without `function`",
            said(tool_calls=[{"index": 0, "id": "a"}]) + called(None, "f", "{}") + END,
            "nothing, then AttributeError",
            "a: f({}), stop",
        ),
        Case(
            "tool call arguments that are an object already",
            said(tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": 1}}}]) + END,
            "a: f(), then TypeError",
            'a: f({"x": 1}), stop',
        ),
        Case(
            "bytes in the text that are not UTF-8",
            HELLO.replace(b'o"', b'\xff"') + THERE + END,
            "nothing, then UnicodeDecodeError",
            '"Hell� there", stop',
        ),
        Case(
            "a character in two halves, in two chunks",
            said("\ud83d") + said("\ude00") + END,
            "text that cannot be encoded, stop",
            '"😀", stop',
        ),
    ],
    "Through its own collector, `chat.completions.stream()`": [
        Case(
            "the stream ends in the middle, collected",
            HELLO,
            '"Hello", no reason',
            '"Hello", then StreamBroken',
            collected=True,
        ),
        Case(
            "no event at all, collected",
            b"",
            "nothing, then AssertionError",
            "nothing, then StreamBroken",
            collected=True,
        ),
        Case(
            "a tool call that repeats its id and name, collected",
            called("a", "f", "{") + called("a", "f", "}") + said(finish_reason="tool_calls"),
            "aa: ff({}), tool_calls",
            "a: f({}), tool_calls",
            collected=True,
        ),
        Case(
            "the finish reason is `length`, collected",
            HELLO + said(finish_reason="length"),
            "nothing, then LengthFinishReasonError",
            '"Hello", length',
            collected=True,
        ),
    ],
    "Broken for both, told differently": [
        Case(
            "the connection is lost in the middle",
            HELLO,
            '"Hello", then APIConnectionError',
            '"Hello", then StreamBroken',
            how="reset",
        ),
        Case(
            "the connection is closed in the middle",
            HELLO,
            '"Hello", then APIConnectionError',
            '"Hello", then StreamBroken',
            how="close",
        ),
        Case('`data: {"error": ...}`', HELLO + event(ERROR), '"Hello", then APIError', '"Hello", then StreamBroken'),
        Case("the same, before any output", event(ERROR), "nothing, then APIError", "nothing, then Unavailable"),
        Case(
            "an event that is not JSON",
            HELLO + b"data: {oops\n\n" + THERE + END,
            '"Hello", then JSONDecodeError',
            '"Hello", then StreamBroken',
        ),
        Case(
            "two JSON values in one event",
            HELLO + THERE.rstrip() + STOP.partition(b" ")[2] + DONE,
            '"Hello", then JSONDecodeError',
            '"Hello", then StreamBroken',
        ),
        Case(
            "the stream ends inside a character",
            HELLO + "data: é".encode()[:-1],
            '"Hello", then UnicodeDecodeError',
            '"Hello", then StreamBroken',
        ),
        Case(
            "JSON that is nested too deeply",
            HELLO + b"data: " + b"[" * 99_999 + b"\n\n",
            '"Hello", then RecursionError',
            '"Hello", then StreamBroken',
        ),
    ],
    "Read differently on purpose": [
        Case(
            "several choices",
            event({"choices": [{"index": 1, "delta": {"content": "Bye"}}, {"index": 0, "delta": {"content": "Hello"}}]})
            + END,
            '"ByeHello", stop',
            '"Hello", stop',
        ),
        Case("a refusal in words", said(refusal="I cannot help.") + END, "nothing, stop", '"I cannot help.", stop'),
        Case(
            "the content filter lets nothing out",
            said(finish_reason="content_filter") + DONE,
            "nothing, content_filter",
            "nothing, then Refused",
        ),
        Case(
            "an event of more than 8 MiB",
            said("x" * 9_000_000) + END,
            "9000000 characters, stop",
            "nothing, then StreamBroken",
        ),
        Case(
            "the same reasoning under both names",
            said("Hello", reasoning="hm", reasoning_content="hm") + END,
            "thinks 'hmhm', \"Hello\", stop",
            "thinks 'hm', \"Hello\", stop",
        ),
        Case(
            "a finish reason in another vendor's word",
            HELLO + said(finish_reason="eos") + DONE,
            '"Hello", eos',
            '"Hello", stop',
        ),
        Case(
            "the old `function_call`",
            said(function_call={"name": "f", "arguments": "{}"}) + END,
            "nothing, stop",
            "f({}), stop",
        ),
        Case(
            "the old `text` of completions",
            event({"choices": [{"index": 0, "text": "Hello"}]}) + END,
            "nothing, then AttributeError",
            '"Hello", stop',
        ),
        Case(
            "a tool call repeats its name",
            called("a", "f", "{") + called("a", "f", "}") + END,
            "a: ff({}), stop",
            "a: f({}), stop",
        ),
        Case(
            "another tool call takes an index over",
            called("a", "f", "{}") + called("b", "g", "{}") + END,
            "a: fg({}{}), stop",
            "a: f({}), b: g({}), stop",
        ),
        Case(
            "two tool calls without an `index`",
            said(tool_calls=[{"id": one, "function": {"name": one, "arguments": "{}"}} for one in "fg"]) + END,
            "f: fg({}{}), stop",
            "f: f({}), g: g({}), stop",
        ),
        Case(
            "more output after the finish reason, and no other",
            HELLO + STOP + THERE,
            '"Hello there", stop',
            '"Hello there", then StreamBroken',
        ),
        Case(
            "usage inside the choice (Moonshot)",
            HELLO
            + event(
                {
                    "choices": [
                        {
                            "index": 0,
                            "delta": {},
                            "finish_reason": "stop",
                            "usage": {"prompt_tokens": 1, "completion_tokens": 2},
                        }
                    ]
                }
            )
            + DONE,
            '"Hello", stop',
            '"Hello", stop, 1 + 2 tokens',
        ),
        Case(
            "usage of zeros",
            HELLO + END.replace(DONE, b"") + usage(prompt_tokens=0, completion_tokens=0),
            '"Hello", stop, 0 + 0 tokens',
            '"Hello", stop',
        ),
        Case(
            "usage in strings",
            HELLO + STOP + usage(prompt_tokens="1", completion_tokens="2") + DONE,
            "\"Hello\", stop, '1' + '2' tokens",
            '"Hello", stop, 1 + 2 tokens',
        ),
        Case(
            "usage in floats",
            HELLO + STOP + usage(prompt_tokens=1.0, completion_tokens=2.0) + DONE,
            '"Hello", stop, 1.0 + 2.0 tokens',
            '"Hello", stop, 1 + 2 tokens',
        ),
        Case(
            "reasoning counted beside the output (xAI)",
            HELLO
            + STOP
            + usage(
                prompt_tokens=1, completion_tokens=2, total_tokens=6, completion_tokens_details={"reasoning_tokens": 3}
            )
            + DONE,
            '"Hello", stop, 1 + 2 tokens',
            '"Hello", stop, 1 + 5 tokens',
        ),
    ],
}


@dataclass
class Said:
    """What was said in all, and in words."""

    text: str = ""
    reasoning: str = ""
    calls: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    reason: str | None = None
    usage: str = ""
    error: str = ""

    def call(self, index: int, id_: str | None, name: str | None, arguments: str | None) -> None:
        for place, piece in enumerate((id_ if index not in self.calls else "", name, arguments)):
            self.calls.setdefault(index, ["", "", ""])[place] += piece or ""

    def __str__(self) -> str:
        try:
            self.text.encode()
            text = f'"{self.text}"' if len(self.text) < 99 else f"{len(self.text)} characters"
        except UnicodeEncodeError:
            text = "text that cannot be encoded"
        parts = [f"thinks {self.reasoning!r}"] if self.reasoning else []
        parts += [text] if self.text else []
        parts += [
            f"{id_ and id_ + ': '}{name}({arguments})" for _, (id_, name, arguments) in sorted(self.calls.items())
        ]
        parts = parts or ["nothing"]
        ending = f"then {self.error}" if self.error else self.reason or "no reason"
        return ", ".join([*parts, ending, *([self.usage] if self.usage else [])])


async def theirs(stream: AsyncIterable[Any], answer: Said) -> None:
    """The loop that everybody writes."""
    async for chunk in stream:
        if chunk.usage:
            counts = chunk.usage
            answer.usage = f"{counts.prompt_tokens!r} + {counts.completion_tokens!r} tokens"
        for choice in chunk.choices or []:
            answer.text += choice.delta.content or ""
            extra = choice.delta.model_extra or {}
            answer.reasoning += (extra.get("reasoning") or "") + (extra.get("reasoning_content") or "")
            for call in choice.delta.tool_calls or []:
                answer.call(call.index, call.id, call.function.name, call.function.arguments)
            answer.reason = choice.finish_reason or answer.reason


def collected(completion: Any, answer: Said) -> None:
    (choice,) = completion.choices
    answer.text = choice.message.content or ""
    for index, call in enumerate(choice.message.tool_calls or []):
        answer.call(index, call.id, call.function.name, call.function.arguments)
    answer.reason = choice.finish_reason


async def ours(stream: AsyncIterable[StreamEvent], answer: Said) -> None:
    async for one in stream:
        match one:
            case TextDelta(text):
                answer.text += text
            case ReasoningDelta(text):
                answer.reasoning += text
            case ToolCallDelta(index, id_, name, arguments):
                answer.call(index, id_, name, arguments)
            case Finished(reason, counts):
                answer.reason = reason
                if isinstance(counts, Usage):
                    answer.usage = f"{counts.input_tokens} + {counts.output_tokens} tokens"
            case _:
                raise AssertionError(one)


ALL = [case for cases in CASES.values() for case in cases]


def raw(case: Case) -> Raw:
    answer = Raw(case.body, content_type=case.kind)
    return answer if case.how == "clean" else answer.cut(at=len(case.body), how=case.how)


async def read_by_sdk(vendor: Vendor, case: Case) -> Said:
    vendor.script(raw(case))
    answer = Said()
    async with (
        httpx2.AsyncClient(trust_env=False, verify=False) as http,
        openai.AsyncOpenAI(api_key="x", base_url=vendor.base_url, http_client=http, max_retries=0) as sdk,
    ):
        try:
            ask: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
            if case.collected:
                async with sdk.chat.completions.stream(**ask) as stream:
                    collected(await stream.get_final_completion(), answer)
            else:
                await theirs(await sdk.chat.completions.create(**ask, stream=True), answer)
        except Exception as error:
            answer.error = type(error).__name__
    return answer


async def read_by_us(vendor: Vendor, opened: Open, case: Case) -> Said:
    vendor.script(raw(case))
    answer = Said()
    async with opened(vendor.base_url) as session:
        try:
            async with session.stream(ChatRequest(messages=(user("hi"),), model="m")) as stream:
                await ours(stream, answer)
        except PointsmanError as error:
            answer.error = type(error).__name__
    return answer


WARNING = "garbage collected before it had been exhausted"
"""What trio says of generators that nobody closed. The SDK leaves some after each stream that it does not read up."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_the_sdk(lab: Lab) -> None:
    read = {case.title: str(await read_by_sdk(lab.vendor(f"openai-{at}"), case)) for at, case in enumerate(ALL)}
    gc.collect()  # What the SDK left open complains here, not in a later test.
    hint = f"openai {openai.__version__} reads these otherwise than {MEASURED} did: correct the cases and {PAGE.name}"
    assert read == {case.title: case.sdk for case in ALL}, hint


@pytest.mark.parametrize("case", ALL, ids=str)
async def test_ours(lab: Lab, opened: Open, case: Case) -> None:
    assert str(await read_by_us(lab.vendor("openai"), opened, case)) == case.ours


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_what_is_left_open(lab: Lab, opened: Open, anyio_backend: str) -> None:
    """After a whole answer that is read to its end, on trio, which looks."""
    vendor, case = lab.vendor("openai"), Case("whole", HELLO + THERE + END, WHOLE, WHOLE)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert str(await read_by_us(vendor, opened, case)) == WHOLE
        gc.collect()
        assert not caught
        assert str(await read_by_sdk(vendor, case)) == WHOLE
        gc.collect()
        assert any(WARNING in str(one.message) for one in caught) is (anyio_backend == "trio")


def test_the_page_is_the_table_of_these_cases() -> None:
    expected: list[str] = []
    for title, cases in CASES.items():
        expected += [f"## {title}", f"| the server sends | openai {MEASURED} | Pointsman |", "| --- | --- | --- |"]
        expected += [f"| {case.title} | `{case.sdk}` | `{case.ours}` |" for case in cases]
    lines = PAGE.read_text("utf-8").splitlines()
    assert [line for line in lines if line.startswith(("## ", "|"))] == expected
