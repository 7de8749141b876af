"""What type checkers must see in the public API. Read by mypy and pyright, never run.

A `type: ignore` marks what must be refused: both checkers say so if it is not.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any, Literal, assert_type

from pydantic import BaseModel

import pointsman
from pointsman import (
    AllTargetsFailed,
    ChatRequest,
    Connection,
    Cost,
    Finished,
    Message,
    PointsmanError,
    ProviderSpec,
    Scope,
    StreamEvent,
    Target,
    TextDelta,
    Usage,
)


class AcmeConfig(BaseModel, frozen=True, extra="forbid"):
    base_url: str = "https://acme.example"


async def answers_are_streamed(client: pointsman.AsyncClient) -> None:
    async with client.stream("hello", model=["acme/a", Target("acme", "b")], deadline=5) as reply:
        assert_type(reply, pointsman.StreamedReply)
        async for text in reply.text_stream:
            assert_type(text, str)
        async for event in reply.events:
            assert_type(event, StreamEvent)
        assert_type(reply.target, Target | None)
        assert_type(reply.usage, Usage | None)
        assert_type(reply.cost, Cost)
        assert_type(reply.decision.explain(), str)


async def answers_are_collected(client: pointsman.AsyncClient) -> None:
    reply = await client.chat([pointsman.user("hello")], on_break="restart")
    assert_type(reply, pointsman.Reply)
    assert_type(reply.text, str)
    assert_type(reply.target, Target)
    assert_type(reply.timings.ttft, float | None)
    assert_type(reply.attempts, tuple[pointsman.AttemptRecord, ...])


def the_synchronous_client_is_the_same(client: pointsman.Client) -> None:
    with client.stream("hello", deadline=5) as reply:
        assert_type(reply, pointsman.SyncStreamedReply)
        for text in reply.text_stream:
            assert_type(text, str)
        for event in reply.events:
            assert_type(event, StreamEvent)
        assert_type(reply.target, Target | None)
        assert_type(reply.collect(), pointsman.Reply)
    assert_type(client.chat("hello", model="acme/a"), pointsman.Reply)
    assert_type(pointsman.chat("hello", max_tokens=5), pointsman.Reply)
    client.chat("hello", modle="acme/a")  # type: ignore[call-arg]


async def misspelt_options_are_refused(client: pointsman.AsyncClient) -> None:
    await client.chat("hello", modle="acme/a")  # type: ignore[call-arg]
    await client.chat("hello", on_break="ignore")  # type: ignore[arg-type]
    await client.chat("hello", priority="fast")  # type: ignore[arg-type]


def config_type_survives(spec: ProviderSpec[AcmeConfig], connection: Connection[AcmeConfig]) -> None:
    assert_type(spec.config, type[AcmeConfig])
    assert_type(connection.config, AcmeConfig)
    assert_type(connection.config.base_url, str)
    assert_type(connection.spec, ProviderSpec[AcmeConfig])


def messages_are_built_by_role() -> None:
    assert_type(pointsman.user("hello", pointsman.Image("https://acme.example/a.png")), Message)
    assert_type(pointsman.system("be brief").role, Literal["system", "user", "assistant", "tool"])
    assert_type(ChatRequest(messages=(pointsman.user("hello"),)).for_model("a"), ChatRequest)
    assert_type(Target.parse("acme/a").model, str)


def costs_add_up(one: Cost, usage: Usage) -> None:
    assert_type(one + pointsman.Exact("0.5"), Cost)
    assert_type(pointsman.Unknown.known, Decimal)
    assert_type(Cost.total([one]), Cost)
    assert_type(usage.output_tokens, int)


def events_are_told_apart(event: StreamEvent) -> str:
    match event:
        case TextDelta(text):
            return assert_type(text, str)
        case Finished(reason, usage, cost):
            assert_type(usage, Usage | None)
            assert_type(cost, Cost)
            return assert_type(reason, str)
        case _:
            return ""


def errors_say_what_may_be_done(error: PointsmanError, all_failed: AllTargetsFailed) -> None:
    assert_type(error.scope, Scope)
    assert_type(error.retryable, bool)
    assert_type(error.target, Target | None)
    assert_type(error.retry_at, float | None)
    assert_type(all_failed.exceptions, tuple[PointsmanError | ExceptionGroup[PointsmanError], ...])


def wrappers_keep_the_shape_of_a_stream(
    inner: Callable[[ChatRequest], AbstractAsyncContextManager[AsyncIterator[StreamEvent]]],
    remember: Callable[[ChatRequest, Sequence[StreamEvent]], None],
) -> pointsman.Stream:
    asked = pointsman.map_request(inner, lambda request: request.for_model("a"))
    answered = pointsman.map_events(asked, lambda event: None if isinstance(event, TextDelta) else event)
    return assert_type(pointsman.short_circuit(answered, lambda _: None, remember), pointsman.Stream)


@pointsman.hookimpl
def pointsman_stream(connection: Connection[Any]) -> pointsman.Stream | None:
    return None


@pointsman.hookimpl(wrapper=True)
def pointsman_health(connection: Connection[Any]) -> Generator[None, pointsman.CheckHealth, pointsman.CheckHealth]:
    inner: pointsman.CheckHealth = yield
    return inner


def implementations_stay_callable(connection: Connection[AcmeConfig]) -> None:
    assert_type(pointsman_stream(connection), pointsman.Stream | None)
