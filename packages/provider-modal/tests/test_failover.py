"""Cold starts through the whole engine: waited for if nobody else is left, left if somebody is, never an outage."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import anyio
import pytest

from pointsman import (
    AsyncClient,
    AttemptFailed,
    DeadlineExceeded,
    Exact,
    FirstTokenTimeout,
    PointsmanError,
    Settings,
    StreamBroken,
    Unknown,
)
from pointsman_testing import MODAL_FAULTS, Answer, Lab, ModalEndpoint, Vendor

Product: TypeAlias = Literal["held", "refusing"]

TARGET = "modal/qwen2.5-coder:7b"
BOTH = [TARGET, "other/m"]
FOREVER = 1e9
PRODUCTS = pytest.mark.parametrize("product", ["held", "refusing"])


def client(modal: Vendor, other: Vendor | None = None, *, engine: dict[str, Any] | None = None, **more: Any) -> Any:
    providers: dict[str, dict[str, Any]] = {"modal": {"base_url": modal.base_url, **more}}
    if other is not None:
        providers["other"] = {"plugin": "openai-compatible", "base_url": other.base_url}
    return AsyncClient(settings=Settings.of({"providers": providers, "engine": engine or {}}, environ={}))


@PRODUCTS
async def test_alone_it_is_waited_for(lab: Lab, product: Product) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(product=product, start=100, scaledown_window=FOREVER))
    async with client(vendor) as one:
        reply = await one.chat("hi", model=TARGET)
    assert reply.text == "modal answers."
    assert len(reply.attempts) == 1
    assert reply.timings.ttft >= 100 / lab.speed


@PRODUCTS
async def test_another_takes_over_and_the_start_goes_on(lab: Lab, product: Product) -> None:
    endpoint = ModalEndpoint(product=product, start=600, scaledown_window=FOREVER)
    modal, other = lab.vendor("modal", dialect=endpoint), lab.vendor("other")
    async with client(modal, other, engine={"first_token": 0.5}) as one:
        first = await one.chat("hi", model=BOTH)
        assert (str(first.target), [attempt.outcome for attempt in first.attempts]) == (
            "other/m",
            ["failed", "finished"],
        )
        assert "nothing came within" in (first.attempts[0].error or "")
        assert first.attempts[0].cost == Unknown  # What was started is billed, but not how much.
        await anyio.sleep(1.5)  # By now it is up.
        last = await one.chat("hi", model=TARGET)
    assert last.text == "modal answers."


@PRODUCTS
async def test_a_cold_start_trips_no_breaker(lab: Lab, product: Product) -> None:
    """Seven in a row, where five failures would open one: each is sent, and the first after the start is answered."""
    endpoint = ModalEndpoint(product=product, start=1500, scaledown_window=FOREVER, redirect_after=FOREVER)
    vendor = lab.vendor("modal", dialect=endpoint)
    limits = {"cold_start": 0} if product == "refusing" else {}
    async with client(vendor, **limits) as one:
        await one.connect("modal")
        up = 0.0
        for _ in range(7):
            with pytest.raises(FirstTokenTimeout, match=r"nothing came within|cold_start = 0"):
                await one.chat("hi", model=TARGET, first_token=0.15)
            up = up or anyio.current_time() + 1500 / lab.speed
        assert len(vendor.requests) == 7
        await anyio.sleep(up - anyio.current_time())
        assert (await one.chat("hi", model=TARGET)).text == "modal answers."


async def test_what_is_an_outage_does_trip_it(lab: Lab) -> None:
    """So that the test before this one would see it."""
    vendor = lab.vendor("modal", dialect=ModalEndpoint(), default=MODAL_FAULTS["timed out"])
    async with client(vendor) as one:
        errors: list[str] = []
        for _ in range(7):
            with pytest.raises(PointsmanError) as raised:
                await one.chat("hi", model=TARGET, deadline=0.5)
            errors.append(str(raised.value))
    assert len(vendor.requests) < 7
    assert any("not asked" in error for error in errors)


async def test_who_gives_up_first_says_so_itself(lab: Lab) -> None:
    """`cold_start` is over before the engine's own clock: the error says what was waited for."""
    endpoint = ModalEndpoint(product="refusing", start=FOREVER)
    modal, other = lab.vendor("modal", dialect=endpoint), lab.vendor("other")
    async with client(modal, other, cold_start=0.4) as one:
        async with one.stream("hi", model=BOTH) as reply:
            failed = [event async for event in reply.events if isinstance(event, AttemptFailed)]
    assert isinstance(failed[0].error, FirstTokenTimeout)
    assert "none is waited for longer than cold_start = 0.4 s" in failed[0].error.message
    assert str(reply.target) == "other/m"


@PRODUCTS
async def test_the_deadline_holds_in_the_middle_of_a_start(lab: Lab, product: Product) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(product=product, start=FOREVER, redirect_after=60))
    async with client(vendor) as one:
        began = anyio.current_time()
        with pytest.raises(DeadlineExceeded):
            await one.chat("hi", model=TARGET, deadline=0.7)
        assert anyio.current_time() - began < 1.5
    with anyio.fail_after(2):
        await vendor.requests[-1].done.wait()


async def test_an_app_that_is_gone_is_left_at_once_and_costs_nothing(lab: Lab) -> None:
    modal = lab.vendor("modal", dialect=ModalEndpoint(refusal="stopped"))
    other = lab.vendor("other")
    async with client(modal, other) as one:
        reply = await one.chat("hi", model=BOTH)
    assert [attempt.cost for attempt in reply.attempts[:1]] == [Exact(0)]
    assert len(modal.requests) == 1
    assert "deploy it" in (reply.attempts[0].error or "")


async def test_a_container_that_is_killed_is_asked_again(lab: Lab) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint())
    vendor.script(MODAL_FAULTS["terminated"], MODAL_FAULTS["lost track"])
    async with client(vendor, engine={"retries": 2}) as one:
        reply = await one.chat("hi", model=TARGET)
    assert [attempt.cost for attempt in reply.attempts[:2]] == [Unknown, Unknown]  # It was at work until then.
    assert reply.text == "modal answers."


async def test_an_answer_whose_error_ollama_loses_is_given_by_another(lab: Lab) -> None:
    modal, other = lab.vendor("modal", dialect=ModalEndpoint()), lab.vendor("other")
    modal.script(Answer("half an answer", error="CUDA error: out of memory"))
    async with client(modal, other) as one:
        reply = await one.chat("hi", model=BOTH)
        modal.script(Answer("half an answer", error="CUDA error: out of memory"))
        async with one.stream("hi", model=TARGET, on_break="raise") as stream:
            with pytest.raises(StreamBroken, match="without a finish reason") as raised:
                async for _ in stream.events:
                    pass
    assert (reply.text, str(reply.target)) == ("other answers.", "other/m")
    assert raised.value.partial == "half an answer"
