"""The cache, installed as everybody would install it: found by its entry point, in front of every provider."""

from __future__ import annotations

from typing import Any

import pytest
from pointsman import (
    AsyncClient,
    Exact,
    Finished,
    Image,
    Plugins,
    Settings,
    StreamBroken,
    TextDelta,
    Tool,
    Unknown,
    Usage,
    user,
)
from pointsman.plugins import Kind
from pointsman_testing import ScriptedProvider

import pointsman_cache


def client(*providers: ScriptedProvider) -> AsyncClient:
    """A client with the installed wrapper and scripted providers."""
    installed = dict(Plugins.installed().wrappers())
    assert "cache" in installed
    plugins = Plugins.of(providers={one.name: one for one in providers}, wrappers={"cache": installed["cache"]})
    return AsyncClient(settings=Settings.of({"engine": {"retries": 0}}), plugins=plugins)


def scripted(*scripts: Any) -> ScriptedProvider:
    return ScriptedProvider("scripted", *scripts, capabilities=["tools", "vision"], models=["m1", "m2"])


async def test_the_same_question_is_asked_once() -> None:
    provider = scripted("hello there", "something else")
    async with client(provider) as pointsman:
        first = await pointsman.chat("hi")
        again = await pointsman.chat("hi")
    assert (first.text, again.text) == ("hello there", "hello there")
    assert len(provider.calls) == 1
    assert first.cost == Unknown
    assert again.cost == Exact(0)
    assert again.usage == Usage()
    assert again.target == first.target


async def test_it_is_streamed_too() -> None:
    provider = scripted("hello there")
    async with client(provider) as pointsman:
        for _ in range(2):
            async with pointsman.stream("hi") as reply:
                assert [text async for text in reply.text_stream] == ["hello", " there"]
    assert len(provider.calls) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"prompt": "hi!"},
        {"prompt": [user("hi", Image("data:image/png;base64,AA=="))]},
        {"model": "scripted/m2"},
        {"temperature": 0.5},
        {"system": "Be brief."},
        {"tools": [Tool("look_up")]},
        {"extra": {"top_k": 1}},
    ],
)
async def test_another_question_is_another(other: dict[str, Any]) -> None:
    provider = scripted("one", "two")
    async with client(provider) as pointsman:
        first = await pointsman.chat("hi", model="scripted/m1")
        asked = {"prompt": "hi", "model": "scripted/m1", **other}
        second = await pointsman.chat(asked.pop("prompt"), **asked)
    assert (first.text, second.text) == ("one", "two")


@pytest.mark.parametrize("wish", [{"priority": "speed"}, {"task": "chat"}, {"deadline": 5}, {"tags": {"team": "a"}}])
async def test_how_it_is_routed_does_not_matter(wish: dict[str, Any]) -> None:
    provider = scripted("one", "two")
    async with client(provider) as pointsman:
        await pointsman.chat("hi")
        assert (await pointsman.chat("hi", **wish)).text == "one"


async def test_providers_are_told_apart() -> None:
    one, two = ScriptedProvider("one", "uno", models=["m"]), ScriptedProvider("two", "due", models=["m"])
    async with client(one, two) as pointsman:
        answers = [(await pointsman.chat("hi", model=model)).text for model in ("one/m", "two/m", "one/m")]
    assert answers == ["uno", "due", "uno"]


@pytest.mark.parametrize("reason", ["length", "content_filter", "tool_calls"])
async def test_what_did_not_end_by_itself_is_not_kept(reason: str) -> None:
    provider = scripted([TextDelta("half"), Finished(reason)], "whole")
    async with client(provider) as pointsman:
        await pointsman.chat("hi")
        assert (await pointsman.chat("hi")).text == "whole"


async def test_what_broke_off_is_not_kept() -> None:
    provider = scripted(["half"], "whole")
    async with client(provider) as pointsman:
        with pytest.raises(StreamBroken):
            await pointsman.chat("hi", model="scripted/m1", on_break="raise")
        assert (await pointsman.chat("hi", model="scripted/m1")).text == "whole"


async def test_memory_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pointsman_cache, "MOST", 2)
    provider = scripted()
    async with client(provider) as pointsman:
        for prompt in ("a", "b", "c", "c", "b", "a"):
            await pointsman.chat(prompt)
    assert [request.messages[0].text for request in provider.requests] == ["a", "b", "c", "a"]


def test_it_is_found_by_its_entry_point() -> None:
    assert "cache" in Plugins.installed().names(Kind.WRAPPER)
