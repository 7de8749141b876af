"""Where Ollama's own client and we read the same bytes differently: `docs/ollama-client.md` is the table of the cases.

Each is answered over loopback HTTP and read twice: by the loop that everybody writes over the client's parts, and by a
session of ours. Where a test of the client's half fails, it has changed: correct the case and the page.
"""

from __future__ import annotations

import contextlib
import gc
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import ollama
import pytest

from pointsman import ChatRequest, Finished, PointsmanError, TextDelta, ToolCallDelta, user
from pointsman_testing import Ending, Lab, OllamaApi, Raw, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]

MEASURED = "0.6.3"
"""The version of the client that the page speaks of."""
PAGE = Path(__file__).parents[3] / "docs" / "ollama-client.md"
"""Not there where the tests run from the wheel without it."""
ON_ASYNCIO = pytest.mark.parametrize("anyio_backend", ["asyncio"])
"""On trio the client leaves its generators open, which is a warning each."""


def line(**told: Any) -> bytes:
    return json.dumps(told, ensure_ascii=False).encode() + b"\n"


def said(content: str = "", **more: Any) -> bytes:
    return line(message={"role": "assistant", "content": content}, done=False, **more)


def layer(completed: int) -> bytes:
    return line(status="pulling a", digest="sha256:a", total=9, completed=completed)


HELLO = said("Hello")
STOP = line(message={"role": "assistant", "content": ""}, done=True, done_reason="stop")
PULLING = line(status="pulling manifest")
SUCCESS = line(status="success")
CALL: Any = {"function": {"name": "f", "arguments": '{"x": 1}'}}


@dataclass(frozen=True)
class Case:
    """What a server sends, and what either reader makes of it."""

    title: str
    body: bytes
    client: str
    ours: str
    how: Ending = "clean"
    pull: bool = False

    def __str__(self) -> str:
        return self.title


CASES: dict[str, list[Case]] = {
    "Something is lost, and no exception says so": [
        Case("the stream ends in the middle of the answer", HELLO, '"Hello", no reason', '"Hello", then StreamBroken'),
        Case("the body is empty", b"", "nothing, no reason", "nothing, then StreamBroken"),
        Case(
            "more lines after the one that is done",
            HELLO + STOP + said(" again"),
            '"Hello again", stop',
            '"Hello", stop',
        ),
        Case(
            "a pull ends in the middle of a layer",
            PULLING + layer(4),
            "pulling a 4/9, and ends",
            "pulling a 4/9, then StreamBroken",
            pull=True,
        ),
        Case("a pull of which nothing comes", b"", "nothing, and ends", "nothing, then StreamBroken", pull=True),
        Case(
            "a pull whose layer goes back",
            PULLING + layer(4) + layer(2),
            "pulling a 2/9, and ends",
            "pulling a 4/9, then StreamBroken",
            pull=True,
        ),
    ],
    "The answer is whole, and an exception takes it away": [
        Case(
            "a blank line between two",
            HELLO + b"\n" + STOP,
            '"Hello", then JSONDecodeError',
            '"Hello", stop',
        ),
        Case(
            "U+0085 in the text, raw as Go writes it",
            said("a\x85b") + STOP,
            "nothing, then JSONDecodeError",
            '"a\x85b", stop',
        ),
        Case(
            "a line without a message",
            HELLO + line(done=False) + STOP,
            '"Hello", then ValidationError',
            '"Hello", stop',
        ),
        Case(
            "arguments of a tool call as a string",
            line(message={"role": "assistant", "content": "", "tool_calls": [CALL]}, done=False) + STOP,
            "nothing, then ValidationError",
            'f({"x": 1}), tool_calls',
        ),
        Case(
            "the connection is lost after the line that is done",
            HELLO + STOP,
            '"Hello", then RemoteProtocolError',
            '"Hello", stop',
            how="close",
        ),
        Case(
            "a pull's connection is lost after `success`",
            PULLING + SUCCESS,
            "success, then RemoteProtocolError",
            "success, and ends",
            how="close",
            pull=True,
        ),
    ],
    "Broken for both, told differently": [
        Case(
            "the connection is lost",
            HELLO,
            '"Hello", then RemoteProtocolError',
            '"Hello", then StreamBroken',
            how="close",
        ),
        Case("the connection is reset", HELLO, '"Hello", then ReadError', '"Hello", then StreamBroken', how="reset"),
        Case(
            "the stream ends within a line",
            HELLO + b'{"mess',
            '"Hello", then JSONDecodeError',
            '"Hello", then StreamBroken',
        ),
        Case("a web page", b"<html>\n", "nothing, then JSONDecodeError", "nothing, then StreamBroken"),
        Case(
            "an error after output",
            HELLO + line(error="runner died"),
            '"Hello", then ResponseError',
            '"Hello", then StreamBroken',
        ),
        Case(
            "an error before any",
            line(error="model 'm' not found"),
            "nothing, then ResponseError",
            "nothing, then ModelGone",
        ),
        Case(
            "a pull for which there is no room",
            PULLING + line(error="no space left on device"),
            "pulling manifest, then ResponseError",
            "pulling manifest, then Unavailable",
            pull=True,
        ),
        Case(
            "a pull of what does not exist",
            PULLING + line(error="pull model manifest: file does not exist"),
            "pulling manifest, then ResponseError",
            "pulling manifest, then ModelGone",
            pull=True,
        ),
    ],
}
ALL = [case for cases in CASES.values() for case in cases]


@dataclass
class Told:
    """What a reader made of it, in words."""

    text: str = ""
    calls: list[str] = field(default_factory=list[str])
    reason: str | None = None
    step: str = ""
    error: str = ""

    def words(self, *, pull: bool) -> str:
        if pull:
            return f"{self.step or 'nothing'}, {f'then {self.error}' if self.error else 'and ends'}"
        parts = ([f'"{self.text}"'] if self.text else []) + self.calls or ["nothing"]
        return ", ".join([*parts, f"then {self.error}" if self.error else self.reason or "no reason"])


def scripted(vendor: Vendor, case: Case) -> None:
    route = "pull" if case.pull else "chat"
    answer = Raw(case.body, content_type="application/x-ndjson")
    vendor.script(answer if case.how == "clean" else answer.cut(at=len(case.body), how=case.how), on=route)


def step(status: str | None, digest: str | None, completed: int | None, total: int | None) -> str:
    return f"{status} {completed}/{total}" if digest else status or ""


async def read_by_client(vendor: Vendor, case: Case) -> str:
    scripted(vendor, case)
    told = Told()
    async with ollama.AsyncClient(vendor.base_url) as client:
        try:
            if case.pull:
                async for part in await client.pull("m", stream=True):
                    told.step = step(part.status, part.digest, part.completed, part.total)
            else:
                async for part in await client.chat("m", [{"role": "user", "content": "hi"}], stream=True):
                    told.text += part.message.content or ""
                    for call in part.message.tool_calls or ():
                        told.calls.append(f"{call.function.name}({json.dumps(dict(call.function.arguments))})")
                    told.reason = part.done_reason or told.reason
        except Exception as error:
            told.error = type(error).__name__
    return told.words(pull=case.pull)


async def read_by_us(session: Any, vendor: Vendor, case: Case) -> str:
    scripted(vendor, case)
    told = Told()
    try:
        if case.pull:
            async with session.server.pull("m", resumes=0) as progress:
                async for one in progress:
                    told.step = step(one.status, one.digest, one.completed, one.total)
        else:
            async with session.stream(ChatRequest(messages=(user("hi"),), model="m")) as events:
                async for event in events:
                    match event:
                        case TextDelta(text):
                            told.text += text
                        case ToolCallDelta(_, _, name, arguments):
                            told.calls.append(f"{name}({arguments})")
                        case Finished(reason):
                            told.reason = reason
                        case _:
                            raise AssertionError(event)
    except PointsmanError as error:
        told.error = type(error).__name__
    return told.words(pull=case.pull)


@ON_ASYNCIO
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_the_client(lab: Lab) -> None:
    read: dict[str, str] = {}
    for at, case in enumerate(ALL):
        read[case.title] = await read_by_client(lab.vendor(f"ollama-{at}", dialect=OllamaApi()), case)
    with contextlib.suppress(Exception):
        gc.collect()  # What the client left open complains here, not in a later test.
    hint = f"ollama {version('ollama')} reads these otherwise than {MEASURED} did: correct the cases and {PAGE.name}"
    assert read == {case.title: case.client for case in ALL}, hint


@pytest.mark.parametrize("case", ALL, ids=str)
async def test_ours(opened: Open, vendor: Vendor, case: Case) -> None:
    async with opened(vendor.base_url) as session:
        assert await read_by_us(session, vendor, case) == case.ours


@pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")
def test_the_page_is_the_table_of_these_cases() -> None:
    expected: list[str] = []
    for title, cases in CASES.items():
        expected += [f"## {title}", f"| the server sends | ollama {MEASURED} | Pointsman |", "| --- | --- | --- |"]
        for case in cases:
            shown = case.ours.replace("\x85", "\\x85")
            expected.append(f"| {case.title} | `{case.client}` | `{shown}` |")
    lines = PAGE.read_text("utf-8").splitlines()
    assert [line for line in lines if line.startswith(("## ", "|"))] == expected
