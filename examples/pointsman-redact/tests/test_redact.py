"""Redaction, installed as everybody would install it: found by its entry point, in front of every provider."""

from __future__ import annotations

import pytest
from pointsman import (
    AsyncClient,
    ChatRequest,
    Image,
    Plugins,
    RateLimited,
    Settings,
    ToolCall,
    assistant,
    system,
    tool_result,
    user,
)
from pointsman.plugins import Kind
from pointsman_testing import ScriptedProvider


def client(*providers: ScriptedProvider) -> AsyncClient:
    """A client with the installed wrapper and scripted providers."""
    installed = dict(Plugins.installed().wrappers())
    assert "redact" in installed
    plugins = Plugins.of(providers={one.name: one for one in providers}, wrappers={"redact": installed["redact"]})
    return AsyncClient(settings=Settings.of({"engine": {"retries": 0}}), plugins=plugins)


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("Write to ada@home.example!", "Write to [address]!"),
        ("ada.l+x@a-b.co.example and bob@b.example", "[address] and [address]"),
        ("No address at all @home, 5@6", "No address at all @home, 5@6"),
        ("ada@home.example.", "[address]."),
    ],
)
async def test_no_address_is_sent(text: str, sent: str) -> None:
    provider = ScriptedProvider("scripted", "done")
    async with client(provider) as pointsman:
        assert (await pointsman.chat(text)).text == "done"
    assert [message.text for message in provider.requests[0].messages] == [sent]


async def test_every_message_is_looked_through() -> None:
    provider = ScriptedProvider("scripted", capabilities=["vision"])
    mail = "me@home.example"
    asked = ChatRequest(
        messages=(
            system(f"You work for {mail}."),
            user(f"Who is {mail}", Image("data:image/png;base64,AA=="), mail),
            assistant("", tool_calls=[ToolCall("1", "look_up", f'{{"address": "{mail}"}}')]),
            tool_result("1", f"{mail} is Ada"),
        )
    )
    async with client(provider) as pointsman:
        await pointsman.chat(asked)
    assert mail not in repr(provider.requests[0])
    assert provider.requests[0].messages[1].images == (Image("data:image/png;base64,AA=="),)
    assert mail in repr(asked), "what the caller holds is left alone"


async def test_the_next_provider_gets_no_address_either() -> None:
    first, second = ScriptedProvider("first", RateLimited), ScriptedProvider("second", "done")
    async with client(first, second) as pointsman:
        reply = await pointsman.chat("I am me@home.example", model=["first/scripted-1", "second/scripted-1"])
    assert reply.text == "done"
    assert [one.requests[0].messages[0].text for one in (first, second)] == ["I am [address]"] * 2


def test_it_is_found_by_its_entry_point() -> None:
    assert "redact" in Plugins.installed().names(Kind.WRAPPER)
