"""What a provider does besides answering: it opens and closes, says how it is, what it offers, and what that cost."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import cast

import anyio
import pytest

from pointsman import Cost, Health, HealthState, ModelInfo, PluginError, PointsmanError, Target, Timings, Usage

from ..lab import Fault, Hangup, Raw, Script
from .ahead import set_ahead
from .base import ProviderSetting
from .capabilities import claims
from .leaving import closing
from .sanity import oddities
from .speech import expect
from .stage import PATIENCE, Stage

ILLS: dict[str, Script | None] = {
    "nobody listens": None,
    "a hang-up": Hangup(),
    "401": Fault(401),
    "429": Fault(429),
    "500": Fault(500),
    "a page": Fault(200, "<html>Welcome to the hotel.</html>"),
    "garbage": Raw(b"\xff\x00\xfe{[", content_type="application/json", chunked=False),
    "JSON of another kind": Fault(200, {"data": 7, "models": [None], "error": "none"}),
}
"""How a vendor may be when it is asked how it is."""
PROBING = 8.0
"""Seconds that a health check may take; `pointsman providers` waits for it little longer."""
USED = Usage(input_tokens=1_000, output_tokens=500)
TOOK = Timings(ttft=0.5, tpot=0.01, e2e=5.5)


class UpkeepCases(ProviderSetting):
    """None of it costs tokens, and none of it raises anything but errors of ours."""

    async def test_opening_asks_nothing_of_a_model(self, stage: Stage) -> None:
        async with stage.client() as client:
            await client.connect(stage.spec.name)
        expect(not stage.chats, f"opening it, and closing, asked for {len(stage.chats)} answers: nobody wanted any")

    @pytest.mark.parametrize("ill", ["401", "500", "a page", "garbage"])
    async def test_opening_that_fails_leaves_nothing_open(self, stage: Stage, ill: str) -> None:
        met: Exception | None = None
        with self._all(stage, ILLS[ill]):
            async with stage.client() as client:
                try:
                    await client.connect(stage.spec.name)
                except Exception as error:
                    met = error
            await closing(stage)
        expect(
            met is None or (isinstance(met, PointsmanError) and not isinstance(met, PluginError)),
            f"the vendor is ill ({ill}), and opening met {met!r}: raise one of the errors of pointsman",
        )
        expect(
            met is None or all(request.hung_up() for request in stage.vendor.requests),
            f"opening met {met!r}, and left a connection to the vendor open: enter the HTTP client by `async with` "
            "before anything is asked",
        )

    async def test_it_opens_again(self, stage: Stage) -> None:
        for _ in range(2):
            async with stage.client() as one, stage.client() as other:
                for client in (one, other):
                    reply = await client.chat("Hi", model=stage.target)
                    expect(reply.text, "opened again, or twice at once, it does not answer any more")

    async def test_health_spends_no_tokens(self, stage: Stage) -> None:
        found = await self._health(stage)
        expect(not stage.chats, "its health was asked for, and a model was: where no probe is free, say unknown")
        expect(
            found.state not in (HealthState.DOWN, HealthState.DEGRADED),
            f"the vendor is well, and its health is {found.state}: {found.reason}",
        )

    # The clock of trio cannot be set; what has no limit there has none on asyncio, either.
    @pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
    async def test_health_of_a_silent_vendor_is_told(self, stage: Stage) -> None:
        found: Health | None = None

        async def wait_long() -> None:
            await stage.vendor.received(len(stage.vendor.requests) + 1)
            set_ahead(PROBING)

        async with stage.client() as client, anyio.create_task_group() as tasks:
            hooks = await client.connect(stage.spec.name)
            stage.script_all(Fault(200, wait=math.inf))
            tasks.start_soon(wait_long)
            with anyio.move_on_after(PROBING + 2):
                found = await hooks.health()
            tasks.cancel_scope.cancel()
        expect(
            found,
            f"the vendor is silent, and its health is not told within {PROBING:g} s: whoever asks waits with "
            "it, so give the probe a limit of its own, such as anyio.move_on_after(5)",
        )

    @pytest.mark.parametrize("ill", ILLS)
    async def test_health_says_what_is_wrong(self, stage: Stage, ill: str) -> None:
        before = len(stage.vendor.requests)
        with self._all(stage, ILLS[ill]):
            found = await self._health(stage)
        if ILLS[ill] is None or len(stage.vendor.requests) > before:
            expect(
                found.state is not HealthState.UP,
                f"the vendor is ill ({ill}), and its health is up: look at what the probe was answered",
            )
        expect(
            found.state in (HealthState.UP, HealthState.UNKNOWN) or found.reason,
            f"its health is {found.state}, and no reason says why",
        )

    async def test_models_are_told_apart(self, stage: Stage) -> None:
        async with stage.client() as client:
            models = await (await client.connect(stage.spec.name)).models()
        expect(not stage.chats, "its models were asked for, and one of them was asked something")
        wrong = [odd for model in models for odd in oddities(model, self.own_capabilities)]
        expect(not wrong, f"of the models that it lists, {'; '.join(wrong)}")
        ids = [model.id for model in models]
        twice = sorted({one for one in ids if ids.count(one) > 1})
        expect(not twice, f"its list has some models more than once: {', '.join(twice)}")

    @pytest.mark.parametrize("ill", ILLS)
    async def test_models_fail_as_ours(self, stage: Stage, ill: str) -> None:
        with self._all(stage, ILLS[ill]):
            async with stage.client() as client:
                hooks = await client.connect(stage.spec.name)
                try:
                    models = list(await hooks.models())
                except PointsmanError:
                    return
                except Exception as error:
                    raise AssertionError(
                        f"the vendor is ill ({ill}), and asking for its models raises {type(error).__name__}: {error}; "
                        "raise one of the errors of pointsman"
                    ) from error
        expect(
            all(isinstance(cast("object", model), ModelInfo) for model in models),
            f"asked for its models, it answers with something else: {models!r}",
        )

    async def test_cost_follows_usage(self, stage: Stage) -> None:
        wordy = replace(USED, output_tokens=USED.output_tokens * 3)
        guess = replace(USED, estimated=True)
        asked = (USED, USED, _times(USED, 2), _times(USED, 50), None, wordy, guess)
        once, again, twice, often, unknown, wordier, guessed = await self._costs(stage, stage.target, *asked)
        expect(once == again, f"the same usage costs {once!r}, then {again!r}: pricing is pure")
        expect(
            once.known <= twice.known <= often.known,
            f"more tokens cost less: {once.known}, {twice.known}, {often.known} USD",
        )
        price = stage.roster().prices(stage.spec.name).find(stage.target)
        if price is not None and price.of(USED).known:
            expect(not unknown.complete, f"nobody counted the tokens, and they cost {unknown!r}: say Unknown")
            expect(once.complete, f"a priced model's tokens were counted, and cost {once!r}: that is exact")
            expect(
                wordier.known > once.known or not price.output,
                f"an answer three times as long costs {wordier!r} instead of {once!r}: its tokens are priced, too",
            )
            expect(not guessed.complete, f"an estimate of usage costs {guessed!r}: it is a lower bound, AtLeast")

    async def test_unknown_price_is_not_nothing(self, stage: Stage) -> None:
        if "local" in claims(stage):
            pytest.skip("what runs on one's own machine costs nothing")
        stranger = Target(stage.target.provider, "kit-nobody-knows-this-model")
        [cost] = await self._costs(stage, stranger, USED)
        expect(not cost.complete, f"a model without a price costs {cost!r}: where no price is known, say Unknown")

    def _all(self, stage: Stage, script: Script | None) -> AbstractContextManager[None]:
        """Have the vendor answer so, whatever it is asked; None: it does not listen."""
        if script is None:
            return stage.vendor.refusing()
        stage.script_all(script)
        return nullcontext()

    async def _health(self, stage: Stage) -> Health:
        """Raises `AssertionError` if it does not answer with a `Health`, whatever happens."""
        async with stage.client() as client:
            hooks = await client.connect(stage.spec.name)
            try:
                with anyio.fail_after(PATIENCE):
                    found = cast("object", await hooks.health())
            except Exception as error:
                raise AssertionError(
                    f"asking for its health raises {type(error).__name__}: {error}; answer with a Health that says so"
                ) from error
        if not isinstance(found, Health):
            raise AssertionError(f"asked for its health, it answers with {found!r}, which is no Health")
        return found

    async def _costs(self, stage: Stage, target: Target, *usages: Usage | None) -> list[Cost]:
        async with stage.client() as client:
            hooks = await client.connect(stage.spec.name)
            costs = [hooks.cost(target, usage, TOOK) for usage in usages]
        for usage, cost in zip(usages, cast("list[object]", costs), strict=True):
            expect(
                isinstance(cost, Cost),
                f"{usage} costs {cost!r}, which is no Cost: say Exact, AtLeast or Unknown",
            )
        return costs


def _times(usage: Usage, times: int) -> Usage:
    return Usage(input_tokens=usage.input_tokens * times, output_tokens=usage.output_tokens * times)
