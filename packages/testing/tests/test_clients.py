"""The clients that application developers test with."""

from __future__ import annotations

import inspect
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

import pointsman
import pointsman_testing
from pointsman import (
    AllTargetsFailed,
    AsyncClient,
    ChatRequest,
    Client,
    ConfigError,
    Exact,
    Finished,
    Image,
    ModelInfo,
    PluginError,
    Plugins,
    PointsmanError,
    Price,
    RateLimited,
    Settings,
    StreamBroken,
    Target,
    TextDelta,
    Tool,
    ToolCallDelta,
    Unavailable,
    Usage,
    user,
)
from pointsman_testing import client, replacing, sync_client

QUICK: dict[str, Any] = {"engine": {"retries": 0}}


async def test_answers_come_one_after_another() -> None:
    async with client("Hello there.", RateLimited, ["Hel", StreamBroken], settings=QUICK) as llm:
        assert isinstance(llm, AsyncClient)
        assert (await llm.chat("one")).text == "Hello there."
        with pytest.raises(RateLimited):
            await llm.chat("two")
        with pytest.raises(StreamBroken) as caught:
            await llm.chat("three", on_break="raise")
        assert caught.value.partial == "Hel"
        assert [request.messages[0].text for request in llm.requests] == ["one", "two", "three"]
        assert llm.script.pending == 0


async def test_without_answers_all_is_ok() -> None:
    async with client() as llm:
        assert [(await llm.chat(text)).text for text in ("a", "b")] == ["ok", "ok"]


async def test_it_streams() -> None:
    async with client("Hello there, you.") as llm, llm.stream("Hi") as reply:
        assert [text async for text in reply.text_stream] == ["Hello", " there,", " you."]


async def test_targets_have_answers_of_their_own() -> None:
    answers = {"fast/small": (Unavailable, "quick"), "smart/large": "deep", "fast/other": "else"}
    async with client(answers, settings=QUICK) as llm:
        first = await llm.chat("one")
        assert (first.text, str(first.target)) == ("deep", "smart/large")
        assert (await llm.chat("two")).text == "quick"
        assert (await llm.chat("three", model="fast/other")).text == "else"
        assert [str(call.target) for call in llm.calls] == ["fast/small", "smart/large", "fast/small", "fast/other"]


async def test_a_default_follows_and_may_look_at_the_request() -> None:
    async with client("first", default=lambda request: f"You said {request.messages[-1].text}") as llm:
        assert [(await llm.chat(text)).text for text in ("a", "b", "c")] == ["first", "You said b", "You said c"]


async def test_an_answer_may_be_made_of_the_request() -> None:
    def asserting(request: ChatRequest) -> str:
        assert request.temperature == 0.5
        return "fine"

    async with client(asserting) as llm:
        assert (await llm.chat("Hi", temperature=0.5)).text == "fine"


async def test_all_that_an_answer_can_be() -> None:
    call = [ToolCallDelta(0, "1", "look_up", "{}"), Finished("tool_calls", Usage(output_tokens=3))]
    async with client(call, '{"sum": 4}') as llm:
        reply = await llm.chat([user("What is this?", Image("https://p.example/1"))], tools=[Tool("look_up")])
        assert (reply.finish_reason, [one.name for one in reply.tool_calls]) == ("tool_calls", ["look_up"])
        assert (await llm.chat("2 + 2?", response_schema={"type": "object"})).parsed == {"sum": 4}


async def test_models_have_prices() -> None:
    price = Price(input=Decimal(1), output=Decimal(2), as_of=date(2026, 1, 1), source="a test")
    async with client("one two", target="dear/m", models=[ModelInfo(id="m", price=price)]) as llm:
        reply = await llm.chat("Hi", model="dear/m")
        assert reply.cost == Exact("0.000005")


async def test_what_targets_cannot_do_is_refused() -> None:
    async with client("Hi", capabilities=()) as llm:
        with pytest.raises(pointsman.NoCandidates, match="tools"):
            await llm.chat("Hi", tools=[Tool("look_up")])
        assert llm.script.pending == 1


async def test_a_call_too_many_fails_the_test_even_where_its_error_is_caught() -> None:
    async def body() -> None:
        async with client({"a/m": "once", "b/m": "once"}) as llm:
            await llm.chat("first", model=["a/m", "b/m"])
            with pytest.raises(PluginError, match="nothing is scripted for this call of a/m") as caught:
                await llm.chat("second " * 20, model=["a/m", "b/m"])
            assert "was called 1 times before: 'second second" in str(caught.value)
            assert "second " * 20 not in str(caught.value)
            assert [str(call.target) for call in llm.calls] == ["a/m", "a/m"], "nobody else is asked instead"

    with pytest.raises(AssertionError, match=r"nothing is scripted .* Script more answers, or a default"):
        await body()


async def test_a_retry_that_nobody_scripted_is_told_as_one() -> None:
    with pytest.raises(
        AssertionError, match=r"if this is its retry, settings=\{'engine': \{'retries': 0\}\} makes none"
    ):
        async with client(["Hel", StreamBroken]) as llm:
            with pytest.raises(PluginError):
                await llm.chat("Hi")
    async with client(default=RateLimited, settings=QUICK) as llm:
        with pytest.raises(RateLimited):
            await llm.chat("Hi")


async def test_a_function_that_fails_fails_the_test_even_where_its_error_is_caught() -> None:
    def asserting(request: ChatRequest) -> str:
        assert request.temperature == 0.5, "too warm"
        return "fine"

    with pytest.raises(AssertionError, match=r"answers a call of scripted/scripted-1 raised AssertionError: too warm"):
        async with client(asserting) as llm:
            with pytest.raises(PointsmanError):
                await llm.chat("Hi", temperature=1)

    def refusing(request: ChatRequest) -> str:
        raise Unavailable("on purpose")

    async with client(refusing, settings=QUICK) as llm:
        with pytest.raises(Unavailable):
            await llm.chat("Hi")


async def test_what_the_body_raised_goes_first() -> None:
    with pytest.raises(ZeroDivisionError):
        async with client("once") as llm:
            for _ in range(2):
                try:
                    await llm.chat("Hi")
                except PointsmanError as error:
                    raise ZeroDivisionError from error


async def test_a_model_that_nobody_scripted_is_named() -> None:
    async with client({"a/m": "Hi"}) as llm:
        with pytest.raises(ConfigError, match="no provider is called 'b': there is a"):
            await llm.chat("Hi", model="b/m")
        llm.script.check()
    with pytest.raises(AssertionError, match="there are a/m"):
        async with client({"a/m": "Hi"}) as llm:
            with pytest.raises(PluginError):
                await llm.chat("Hi", model="a/other")


async def test_nothing_of_this_machine_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "pointsman.toml").write_text("[nonsense]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POINTSMAN_ROUTING_TARGETS", "sambanova/x")
    async with client("Hi") as llm:
        assert str((await llm.chat("Hi")).target) == "scripted/scripted-1"
        assert llm.roster.names == ["scripted"]


async def test_settings_are_those_of_a_file() -> None:
    async with client({"a/m": [Unavailable], "b/m": "Hi"}, settings={"routing": {"targets": ["b/m"]}}) as llm:
        assert str((await llm.chat("Hi")).target) == "b/m"
    with pytest.raises(ConfigError, match="nonsense"):
        client("Hi", settings={"nonsense": {}})


async def test_all_may_fail() -> None:
    async with client({"a/m": RateLimited, "b/m": Unavailable}, settings=QUICK) as llm:
        with pytest.raises(AllTargetsFailed) as caught:
            await llm.chat("Hi", max_wait=0)
    assert [type(error) for error in caught.value.exceptions] == [RateLimited, Unavailable]


def test_misuse_is_told() -> None:
    with pytest.raises(TypeError, match="not both"):
        client({"a/m": "Hi"}, "Hi")
    with pytest.raises(ValueError, match="is not a target"):
        client({"a": "Hi"})
    misspelt: dict[str, Any] = {"defualt": "Hi"}
    with pytest.raises(TypeError, match="nothing is known of defualt: there are target, default"):
        client(**misspelt)


def test_programs_without_a_loop() -> None:
    with sync_client("Hello", "again") as llm:
        assert isinstance(llm, Client)
        assert llm.chat("one").text == "Hello"
        with llm.stream("two") as reply:
            assert "".join(reply.text_stream) == "again"
        assert [call.text for call in llm.calls] == ["Hello", "again"]
        assert [request.messages[0].text for request in llm.requests] == ["one", "two"]
    with pytest.raises(AssertionError, match="nothing is scripted"), sync_client("once") as llm:
        llm.chat("one")
        with pytest.raises(PluginError):
            llm.chat("two")


def test_code_that_makes_its_own_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_ROUTING_TARGETS", "nobody/x")
    with replacing("one", "two", "three") as script:
        assert pointsman.chat("a").text == "one"
        with pointsman.Client() as llm:
            assert llm.chat("b").text == "two"
        assert script.pending == 1
        assert [request.messages[0].text for request in script.requests] == ["a", "b"]


async def test_asynchronous_code_that_makes_its_own_client() -> None:
    with replacing({"a/m": "one"}) as script:
        async with AsyncClient() as llm:
            assert (await llm.chat("a")).target == Target("a", "m")
        async with AsyncClient(settings=Settings.of({}), plugins=Plugins.of()) as own:
            with pytest.raises(ConfigError):
                await own.chat("b", model="a/m")
    assert len(script.calls) == 1


def test_afterwards_all_is_as_it_was() -> None:
    before = inspect.getattr_static(Settings, "discover"), inspect.getattr_static(Plugins, "installed")
    with pytest.raises(AssertionError, match="nothing is scripted"), replacing("once"):
        pointsman.chat("a")
        with pytest.raises(PluginError):
            pointsman.chat("b")
    with pytest.raises(ZeroDivisionError), replacing():
        raise ZeroDivisionError
    assert (inspect.getattr_static(Settings, "discover"), inspect.getattr_static(Plugins, "installed")) == before


async def test_what_became_of_calls_is_told() -> None:
    async with client([TextDelta("Hello"), pointsman_testing.Hang()]) as llm:
        async with llm.stream("Hi") as reply:
            async for text in reply.text_stream:
                assert text == "Hello"
                break
        [call] = llm.calls
        assert (call.state, call.accepted, call.text) == ("closed", True, "Hello")
