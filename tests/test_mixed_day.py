"""A day with five providers, faults, a hedge and prices that nobody knows: its total is the one on paper."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pointsman import (
    AsyncClient,
    AtLeast,
    AuthFailed,
    Exact,
    LedgerQuery,
    Settings,
    StreamBroken,
    Unknown,
    Usage,
    open_ledger,
)
from pointsman_testing import (
    Answer,
    BlaxelApi,
    Fault,
    HuggingFaceApi,
    Lab,
    ModalEndpoint,
    OllamaApi,
    SambaNovaApi,
    Vendor,
)

KEY = "wk-mixed-day-0123.ws-mixed-day-4567"
SAMBANOVA, HF = "sambanova/gpt-oss-120b", "hf/openai/gpt-oss-120b"
E5 = "hf/intfloat/e5"
OLLAMA, MODAL, BLAXEL = "ollama/qwen2.5-coder:7b", "modal/qwen2.5-coder:7b", "blaxel/gpt"
SERVED = ("openai/gpt-oss-120b", "intfloat/e5")
PRICES = {
    SAMBANOVA: {"input": "0.22", "output": "0.59", "cached_input": "0.11"},
    HF: {"input": "0.50", "output": "1.50"},
    E5: {"input": "0.25", "output": 0},
    MODAL: {"input": "0.10", "output": "0.30"},
}
"""USD for a million tokens. Nobody says what Blaxel's gateway costs."""


ASKED = ("chat", "features")
"""What costs money, among all that a vendor is asked."""


def counted(asked: int, answered: int, cached: int = 0) -> Answer:
    usage = Usage(input_tokens=asked, cached_input_tokens=cached, output_tokens=answered)
    return Answer("It is done.", counts=usage)


HEDGED = 20
"""So many answers of a target must be known before another is asked beside it."""


@asynccontextmanager
async def day(folder: Path) -> AsyncGenerator[tuple[AsyncClient, dict[str, Vendor]]]:
    """The five providers' labs, and a client that keeps a ledger."""
    async with Lab() as lab:
        vendors = {
            "sambanova": lab.vendor("sambanova", dialect=SambaNovaApi(), api_key=KEY),
            "hf": lab.vendor(
                "hf", dialect=HuggingFaceApi(), models=("openai/gpt-oss-120b", "intfloat/e5"), api_key=KEY
            ),
            "ollama": lab.vendor("ollama", dialect=OllamaApi(), models=("qwen2.5-coder:7b",)),
            "modal": lab.vendor("modal", dialect=ModalEndpoint(), models=("qwen2.5-coder:7b",), api_key=KEY),
            "blaxel": lab.vendor("blaxel", dialect=BlaxelApi(), models=({"id": "gpt", "model": "x"},), api_key=KEY),
        }
        providers: dict[str, dict[str, Any]] = {
            name: {"base_url": vendor.base_url, "api_key": KEY} for name, vendor in vendors.items()
        }
        hub = vendors["hf"].base_url.removesuffix("/v1")
        providers["hf"] |= {"hub_url": hub, "endpoints_url": f"{hub}/v2"}
        providers["modal"] |= {"cold_start": 0, "min_containers": 1}
        providers["blaxel"] |= {"control_url": f"{vendors['blaxel'].base_url}/v0", "workspace": "lab"}
        del providers["ollama"]["api_key"]
        table = {
            "providers": providers,
            "prices": PRICES,
            "ledger": {"url": f"sqlite:///{folder / 'day.db'}"},
            "engine": {"hedge": 1 / HEDGED, "retries": 0},  # One for all of the day: a busy machine makes others late.
        }
        async with AsyncClient(settings=Settings.of(table)) as client:
            yield client, vendors


async def live_through(client: AsyncClient, vendors: dict[str, Vendor]) -> None:
    """What else was asked."""
    sambanova, hf, ollama = vendors["sambanova"], vendors["hf"], vendors["ollama"]

    # 1. Priced, 300 of 1,000 tokens from the cache.
    sambanova.script(counted(1000, 500, cached=300))
    await client.chat("one", model=SAMBANOVA, tags={"team": "red"})

    # 2. Another vendor's price.
    hf.script(counted(2000, 100))
    await client.chat("two", model=HF, tags={"team": "blue"})

    # 3. A machine of one's own.
    ollama.script(counted(5000, 5000))
    await client.chat("three", model=OLLAMA, tags={"team": "red"})

    # 4. The user has set a price by the token where the package would charge by the second.
    vendors["modal"].script(counted(10, 30))
    await client.chat("four", model=MODAL)

    # 5. Nobody knows the price.
    vendors["blaxel"].script(counted(1, 1))
    await client.chat("five", model=BLAXEL)

    # Left by its reader: 24 characters were asked, which are 3 tokens at the very least, and 16 had come, which are 2.
    sambanova.script(Answer("three words came and no more", counts=Usage(input_tokens=9)).stall(after=2))
    async with client.stream("z" * 24, model=SAMBANOVA, tags={"team": "blue"}) as reply:
        async for _ in reply.text_stream:
            break

    # 6. Refused with 429, which is free, and answered by the next.
    sambanova.script(Fault(429, headers={"retry-after": "1"}))
    hf.script(counted(100, 10))
    await client.chat("six", model=[SAMBANOVA, HF], tags={"team": "red"})

    # An embedding, of 32 characters, which are 4 tokens at the very least: this vendor does not count them.
    await client.embed("y" * 32, model=E5)

    # 7. Refused for good.
    hf.script(Fault(401))
    with pytest.raises(AuthFailed):
        await client.chat("seven", model=HF)

    # 8. Cut after some output: 32 characters were asked and 16 had come, which are 4 and 2 tokens at the very least.
    vendors["modal"].script(Answer("eight letters in many words here").cut(after=4))
    with pytest.raises(StreamBroken):
        async with client.stream("x" * 32, model=MODAL) as reply:
            async for _ in reply.text_stream:
                pass

    # 9. Left by its reader, after its first word at a vendor whose price nobody knows.
    vendors["blaxel"].script(Answer("never to be read to its end", counts=Usage(input_tokens=1)).stall(after=3))
    async with client.stream("nine", model=BLAXEL) as reply:
        async for _ in reply.text_stream:
            break

    # 10. Left by its reader, too, on the machine of one's own, which is free whatever was made of it.
    ollama.script(Answer("never to be read to its end").stall(after=3))
    async with client.stream("hello", model=OLLAMA) as reply:
        async for _ in reply.text_stream:
            break


async def hedge(client: AsyncClient, vendors: dict[str, Vendor]) -> None:
    """One more: sambanova is late, hf is asked beside it, and its answer is taken."""
    vendors["sambanova"].script(*[counted(10, 10)] * HEDGED, replace(counted(10, 10), wait=600.0))
    for _ in range(HEDGED):
        await client.chat("again", model=SAMBANOVA)
    vendors["hf"].script(counted(10, 10))
    reply = await client.chat("late", model=[SAMBANOVA, HF])
    assert [one.outcome for one in reply.attempts] == ["lost", "finished"]


async def test_the_total_of_a_mixed_day_is_the_one_on_paper(tmp_path: Path) -> None:
    async with day(tmp_path) as (client, vendors):
        await hedge(client, vendors)
        await live_through(client, vendors)
        seen = {name: sum(one.route in ASKED for one in vendor.requests) for name, vendor in vendors.items()}
    with open_ledger(f"sqlite:///{tmp_path / 'day.db'}") as ledger:
        by_provider = {total.key[0]: total for total in ledger.totals(LedgerQuery(), ["provider"])}
        by_team = {total.key[0]: total.cost for total in ledger.totals(LedgerQuery(), ["tag:team"])}
        [whole] = ledger.totals(LedgerQuery())

    # Millionths of a dollar:
    #   sambanova  one      700 x 0.22 + 300 x 0.11 + 500 x 0.59 = 154 + 33 + 295 = 482
    #              again    20 x (10 x 0.22 + 10 x 0.59)         = 20 x 8.1       = 162
    #              left     3 x 0.11 + 2 x 0.59, at least        = 0.33 + 1.18    = 1.51
    #                       (the price of cached input, for all of it may have been in the cache)
    #              late     what the loser cost: nobody knows                              645.51, at least
    #   hf         two      2000 x 0.50 + 100 x 1.50             = 1000 + 150     = 1150
    #              six      100 x 0.50 + 10 x 1.50               = 50 + 15        = 65
    #              late     10 x 0.50 + 10 x 1.50                = 5 + 15         = 20
    #              embed    4 x 0.25, at least                   = 1
    #              seven    refused, free                                               1236, at least
    #   ollama     three, hello: a machine of one's own                                         0
    #   modal      four     10 x 0.10 + 30 x 0.30                = 1 + 9          = 10
    #              eight    4 x 0.10 + 2 x 0.30, at least        = 0.4 + 0.6      = 1       11, at least
    #   blaxel     five, nine: nobody knows
    #   all                                                        645.51 + 1236 + 11 =   1892.51, at least
    costs = {name: total.cost for name, total in by_provider.items()}
    assert costs == {
        "sambanova": AtLeast("0.00064551"),
        "hf": AtLeast("0.001236"),
        "ollama": Exact(0),
        "modal": AtLeast("0.000011"),
        "blaxel": Unknown,
    }
    assert whole.cost == AtLeast("0.00189251")
    assert whole.calls == HEDGED + 13
    assert (whole.unpriced, whole.bounded) == (3, 3)  # five, nine, late; left, eight, embed
    assert {name: total.attempts for name, total in by_provider.items()} == seen
    assert by_team == {
        "red": Exact("0.000547"),  # one, three, six: 482 + 0 + 65
        "blue": AtLeast("0.00115151"),  # two, left: 1150 + 1.51
        None: AtLeast("0.000194"),  # again, late, embed, four, eight: 162 + 20 + 1 + 10 + 1
    }
