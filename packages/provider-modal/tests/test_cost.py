"""What a second costs, what an attempt costs, and that the attempts together never cost more than is billed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from decimal import Context, Decimal, localcontext
from typing import Any, TypeAlias

import anyio
from hypothesis import given
from hypothesis import strategies as st

from pointsman import AsyncClient, AtLeast, Exact, Plugins, Settings, Target, Timings, Unknown, Usage
from pointsman.engine.roster import Roster
from pointsman_modal import ModalConfig
from pointsman_modal.cost import container_second, gpu_price, price_of, region_times
from pointsman_modal.prices import ALIASES, AS_OF, BROAD, GPUS, NARROW, SOURCE
from pointsman_testing import Answer, Lab, ModalEndpoint, Profile

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]

TARGET = Target("modal", "qwen2.5-coder:7b")
USAGE = Usage(input_tokens=100, output_tokens=1_000_000)


def config(**settings: Any) -> ModalConfig:
    return ModalConfig.model_validate({"base_url": "https://a--b.modal.run", **settings})


def cost(timings: Timings | None, **settings: Any) -> Any:
    price = price_of(config(**settings))
    return price.of(USAGE, timings) if price else Unknown


def test_a_container_second_is_gpu_and_cpu_and_memory_times_the_region() -> None:
    """Modal's list: an L4 with 4 cores and 16 GiB is $1.12 an hour, and $1.95 in a region of one's choice."""
    box: dict[str, Any] = {"gpu": "L4", "cpu": 4, "memory_gib": 16}
    second = container_second(config(**box))
    assert second == Decimal("0.00030992")
    assert round(second * 3600, 2) == Decimal("1.12")
    assert round((container_second(config(**box, region="us-east")) or 0) * 3600, 2) == Decimal("1.95")
    assert container_second(config(**box, region="us,us-east")) == second * Decimal("1.5")
    assert container_second(config(gpu="H100:2", cpu=1, memory_gib=1)) == Decimal("0.002194") + Decimal("0.00001532")
    assert container_second(config(gpu=["A100", "L4"])) == container_second(config(gpu="L4"))  # Whichever was given.
    assert container_second(config(gpu="A10G")) == container_second(config(gpu="A10"))
    assert container_second(config(**box, price_per_second="0.0005")) == Decimal("0.0005")


def test_without_a_gpu_that_has_a_price_nobody_knows() -> None:
    run = Timings(ttft=1.0, e2e=3.0)
    assert container_second(config()) is None
    assert container_second(config(gpu=["L4", "B300"])) is None
    assert cost(run) == cost(run, gpu="B300") == Unknown
    assert cost(None, gpu="L4") == cost(Timings(e2e=3.0), gpu="L4") == Unknown


def test_an_attempt_costs_its_share_of_the_seconds_in_which_it_was_answered() -> None:
    assert cost(Timings(ttft=20.0, e2e=30.0), price_per_second="0.001") == AtLeast("0.010000000000")
    assert cost(Timings(ttft=20.0, e2e=30.0), price_per_second="0.001", parallel=4) == AtLeast("0.002500000000")


def test_the_book_has_the_second_with_its_date_and_the_users_own_price_goes_before_it() -> None:
    box = {"modal": {"base_url": "https://a--b.modal.run", "gpu": "L4", "parallel": 3}}
    mine = {str(TARGET): {"input": 1, "output": 2}}
    book = Roster(Settings.of({"providers": box, "prices": mine}), Plugins.installed()).prices("modal")
    other = book.quote(Target("modal", "other"))
    assert other is not None
    assert (other.layer, other.price.as_of, other.price.source) == ("package", AS_OF, SOURCE)
    assert other.price.second * 3 <= (container_second(config(gpu="L4")) or 0)
    assert book.cost(TARGET, USAGE, Timings(ttft=1.0, e2e=3.0)) == Exact("2.0001")


def test_a_price_that_the_user_has_set_has_no_date_of_ours() -> None:
    price = price_of(config(price_per_second="0.0005", gpu="L4"))
    assert price is not None
    assert (price.second, price.as_of) == (Decimal("0.0005"), None)
    assert "price_per_second" in price.source


@given(name=st.sampled_from([*GPUS, *ALIASES]), count=st.integers(1, 4), lower=st.booleans())
def test_every_gpu_costs_as_often_as_it_is_there(name: str, count: int, lower: bool) -> None:
    one = gpu_price(name.lower() if lower else name)
    assert gpu_price(f"{name}:{count}") == (None if one is None else one * count)


def test_several_gpus_cost_no_more_in_a_program_that_rounds_its_decimals() -> None:
    with localcontext(Context(prec=3)):
        assert gpu_price("H100:8") == Decimal("0.008776")


@given(st.lists(st.sampled_from(sorted(BROAD | NARROW)), min_size=1))
def test_of_several_regions_the_cheapest_counts(regions: list[str]) -> None:
    assert region_times(regions) == (Decimal("1.5") if BROAD.intersection(regions) else Decimal("1.75"))


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(1, 100), st.decimals(0, 1, places=9))
def test_a_share_is_never_rounded_up(ttft: float, more: float, parallel: int, second: Decimal) -> None:
    run = Timings(ttft=ttft, e2e=ttft + more)
    share = cost(run, price_per_second=second, parallel=parallel)
    exact = second * Decimal(run.e2e - ttft) / parallel
    assert share.complete is (second == 0)
    assert exact - Decimal("1e-12") <= share.known <= exact + Decimal("1e-20")


async def test_together_the_attempts_cost_no_more_than_the_container(lab: Lab) -> None:
    """Six at once, to a container that answers two at a time. From dispatch to end they would cost too much."""
    slow = Profile((12.0, 12.0), (0.5, 0.5))  # In the lab's seconds, of which 600 are a real one.
    endpoint = ModalEndpoint(parallel=2)
    vendor = lab.vendor("modal", dialect=endpoint, profile=slow, default=Answer(" ".join("word" for _ in range(61))))
    settings = {"base_url": vendor.base_url, "price_per_second": 1, "parallel": 2}
    known: list[Decimal] = []
    naive: list[float] = []
    async with AsyncClient(settings=Settings.of({"providers": {"modal": settings}})) as client:
        await client.connect("modal")  # It loads the HTTP library.
        began = anyio.current_time()

        async def ask() -> None:
            reply = await client.chat("hi", model=str(TARGET))
            assert not reply.cost.complete
            known.append(reply.cost.known)
            naive.append(reply.timings.e2e / 2)

        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(ask)
        billed = anyio.current_time() - began  # One container, up all the time: it was warm, and is not idle yet.
    output = Decimal(6 * 120) / Decimal(lab.speed) / 2  # What the six take at the least, if nobody is late to read it.
    assert output / 2 < sum(known) <= Decimal(billed)
    assert sum(naive) > billed * 1.2
