"""How long a vendor goes on answering a call that was cancelled: a loop by hand (httpx2), and each of our providers.

    nox -s bench -- benchmarks/cancel.py    # or: uv run python benchmarks/cancel.py [CALLS]

From `cancel()` to the moment at which the lab reads that the connection was closed, in milliseconds. The lab runs in
the same event loop, so its turn is in every figure, that of the loop by hand too; contenders take turns. Half of the
calls are cancelled before the head of the response, half in the midst of a body that stands still. Exits 7 if one of
ours takes longer than a call may take.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx2

from pointsman import AsyncClient, Plugins, Settings
from pointsman_testing import (
    Answer,
    BlaxelApi,
    Dialect,
    HuggingFaceApi,
    Lab,
    LabEndpoint,
    ModalEndpoint,
    Model,
    OllamaApi,
    OpenAIChat,
    SambaNovaApi,
    Vendor,
)

Ask = Callable[[], Awaitable[object]]
LIMIT = 100.0
"""Milliseconds: DESIGN, section 5.7."""
WORDS = "one two three four five six"
STATES = (Answer(WORDS, wait=math.inf), Answer(WORDS).stall(after=4))
KEY = "key-for-benchmarks-only"
HAND = "by hand (httpx2)"


@dataclass(frozen=True, kw_only=True)
class Party:
    """One contender, and the vendor that it asks."""

    name: str
    target: str = ""
    """What is asked of Pointsman; nothing for the loop by hand."""
    dialect: Dialect = field(default_factory=OpenAIChat)
    models: tuple[Model, ...] = ()
    route: str = "chat"
    key: str = KEY
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])


PARTIES = [
    Party(name=HAND),
    Party(name="openai-compatible", target="openai-compatible/m"),
    Party(name="sambanova", target="sambanova/gpt-oss-120b", dialect=SambaNovaApi()),
    Party(name="hf", target="hf/openai/gpt-oss-120b", dialect=HuggingFaceApi()),
    Party(
        name="hf, an endpoint",
        target="hf/endpoint:me/mine",
        dialect=HuggingFaceApi(endpoints=(LabEndpoint(name="mine", namespace="me", state="running"),)),
        route="serving",
    ),
    Party(name="ollama", target="ollama/llama3.2", dialect=OllamaApi(), models=("llama3.2",)),
    Party(name="blaxel", target="blaxel/gpt", dialect=BlaxelApi(workspace="lab"), models=("gpt",)),
    Party(
        name="blaxel, an agent",
        target="blaxel/agent:coder",
        dialect=BlaxelApi(workspace="lab"),
        models=({"id": "agent:coder", "form": "sse"},),
        route="agent",
    ),
    Party(
        name="modal",
        target="modal/qwen2.5-coder:7b",
        dialect=ModalEndpoint(),
        models=("qwen2.5-coder:7b",),
        key="wk-Ab12Cd34Ef56.ws-Gh78Ij90Kl12",
    ),
]


def settings(party: Party, vendor: Vendor) -> Mapping[str, Any]:
    """What a provider is told besides its key; each takes what it knows."""
    base = vendor.base_url
    match party.target.partition("/")[0]:
        case "hf":
            hub = base.removesuffix("/v1")
            return {"hub_url": hub, "endpoints_url": f"{hub}/v2"}
        case "blaxel":
            return {"control_url": f"{base}/v0", "workspace": "lab"}
        case "modal":
            return {"cold_start": 0, "min_containers": 1}
        case _:
            return {}


@asynccontextmanager
async def asking(party: Party, vendor: Vendor) -> AsyncIterator[Ask]:
    if not party.target:
        async with httpx2.AsyncClient(timeout=None) as http:

            async def by_hand() -> None:
                body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
                async with http.stream("POST", f"{vendor.base_url}/chat/completions", json=body) as response:
                    async for _ in response.aiter_raw():
                        pass

            yield by_hand
        return
    table = {"base_url": vendor.base_url, "api_key": party.key, **settings(party, vendor)}
    provider = party.target.partition("/")[0]
    alone = Plugins.of(providers={provider: Plugins.installed().provider(provider)[1]})  # No wrapper that remembers.
    async with AsyncClient(settings=Settings.of({"providers": {provider: table}}), plugins=alone) as client:
        yield lambda: client.chat("Hi", model=party.target)


async def cancelled(ask: Ask, vendor: Vendor, party: Party, state: Answer) -> float:
    """Milliseconds until a call that is cancelled now is known to be over at the vendor's."""
    vendor.script(state, on=party.route)
    scope = anyio.CancelScope()

    async def call() -> None:
        with scope:
            await ask()

    before = len(vendor.requests)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        request = await vendor.received(before + 1)
        while request.route != party.route:
            before += 1
            request = await vendor.received(before + 1)
        await anyio.sleep(0.01)  # What is to be read has been read.
        began = anyio.current_time()
        scope.cancel()
        await request.gone.wait()
    assert request.gone_at is not None
    return (request.gone_at - began) * 1000


async def measure(calls: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {party.name: [] for party in PARTIES}
    async with Lab() as lab, AsyncExitStack() as stack:
        entered: list[tuple[Party, Vendor, Ask]] = []
        for party in PARTIES:
            key = party.key if party.target else None
            vendor = lab.vendor(party.name, dialect=party.dialect, models=party.models, api_key=key)
            ask = await stack.enter_async_context(asking(party, vendor))
            await ask()  # What is opened once is open.
            entered.append((party, vendor, ask))
        for number in range(calls):
            for party, vendor, ask in entered:
                found[party.name].append(await cancelled(ask, vendor, party, STATES[number % len(STATES)]))
    return found


def main() -> int:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print("| who is cancelled | asyncio p50 | p99 | trio p50 | p99 |\n| --- | --- | --- | --- | --- |")
    loops = [anyio.run(measure, calls, backend=backend) for backend in ("asyncio", "trio")]
    worst = 0.0
    for party in PARTIES:
        cells: list[str] = []
        for found in loops:
            cuts = statistics.quantiles(found[party.name], n=100, method="inclusive")
            ratio = cuts[49] / statistics.median(found[HAND])
            cells += [f"{cuts[49]:.2f} ms" + (f" ({ratio:.1f} x)" if party.target else ""), f"{cuts[98]:.1f} ms"]
            worst = max(worst, cuts[98] if party.target else 0.0)
        print(f"| {party.name} | {' | '.join(cells)} |")
    print(f"\n{calls} calls each; the limit is {LIMIT:g} ms, the slowest p99 of ours {worst:.1f} ms", file=sys.stderr)
    return 0 if worst <= LIMIT else 7


if __name__ == "__main__":
    sys.exit(main())
