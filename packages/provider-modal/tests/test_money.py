"""What a deployment costs, said before it is made."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_modal import ModalConfig
from pointsman_modal.cost import container_second
from pointsman_modal.deploy.money import (
    Machines,
    Range,
    idle_per_month,
    most_per_hour,
    per_hour,
    per_month,
    storage_per_month,
)
from pointsman_modal.prices import GPUS

ONE = Machines(gpus=["A10", "L4"], cores=Decimal(2), gib=Decimal(8), window=300, start=20, parallel=4)
priced = st.lists(st.sampled_from([name for name, price in GPUS.items() if price]), min_size=1, max_size=4)


def usd(amount: Range) -> tuple[Decimal, Decimal]:
    assert amount.least is not None
    assert amount.most is not None
    return amount.least, amount.most


def test_an_hour_is_that_of_the_cheapest_to_that_of_the_dearest() -> None:
    """A10 at 0.000306, L4 at 0.000222; 2 cores at 0.0000131 and 8 GiB at 0.00000222 are 0.00004396 more."""
    assert usd(per_hour(ONE)) == (Decimal("0.000265960") * 3600, Decimal("0.00034996") * 3600)
    assert str(per_hour(ONE)) == "$0.96 to $1.26"
    assert str(per_hour(replace(ONE, gpus=["A10G"]))) == "$1.26"
    assert str(per_hour(replace(ONE, gpus=["A10"], regions=["us-east"]))) == "$2.21"  # 1.75 times


def test_a_gpu_whose_price_nobody_knows_makes_all_of_it_unknown() -> None:
    """Also beside others: nothing tells which one is given."""
    machines = replace(ONE, gpus=["L4", "B300"])
    for amount in (per_hour(machines), most_per_hour(machines), idle_per_month(machines), per_month(machines, 10, 5)):
        assert str(amount) == "unknown"


def test_without_a_gpu_it_costs_what_cpu_and_memory_do() -> None:
    assert usd(per_hour(replace(ONE, gpus=[]))) == (Decimal("0.00004396") * 3600,) * 2


def test_nothing_is_billed_while_nobody_asks_unless_some_always_run() -> None:
    assert str(per_month(ONE, 0, 5)) == str(idle_per_month(ONE)) == "$0.00"
    kept = replace(ONE, gpus=["L4"], least=2, most=3)
    # 2 x 30 days x 86,400 s x 0.00026596
    assert str(per_month(kept, 0, 5)) == str(idle_per_month(kept)) == "$1,378.74"


def test_one_lonely_request_pays_for_start_and_window() -> None:
    """One a year comes alone: 20 s of start, 5 s of answer, 300 s of window."""
    alone = usd(per_month(replace(ONE, gpus=["L4"]), 1 / 365, 5))[0]
    assert alone / (Decimal(30) / 365) == pytest.approx(Decimal("0.00026596") * 325, rel=Decimal("0.001"))


@given(priced, st.floats(0, 1e6), st.floats(0.01, 600), st.integers(0, 3), st.integers(0, 3))
def test_a_month_is_never_more_than_its_hours_at_their_most(
    gpus: list[str], requests: float, seconds: float, least: int, more: int
) -> None:
    machines = replace(ONE, gpus=gpus, least=least, most=max(1, least + more))
    within = [idle_per_month(machines), per_month(machines, requests, seconds), most_per_hour(machines).times(720)]
    for amounts in zip(*map(usd, within), strict=True):
        assert list(amounts) == sorted(amounts)
    assert usd(within[1]) <= usd(per_month(machines, requests * 2 + 1, seconds))


@given(priced, st.sampled_from([(), ("us",), ("us-east", "eu")]))
def test_it_begins_where_the_provider_counts_from(gpus: list[str], regions: tuple[str, ...]) -> None:
    """What a call costs is a lower bound, and is counted with the cheapest of the same seconds."""
    config = ModalConfig(base_url="https://x.modal.run", gpu=gpus, cpu=2, memory_gib=8, region=regions)
    assert replace(ONE, gpus=gpus, regions=regions).second.least == container_second(config)


@pytest.mark.parametrize(("field", "value"), [("gpus", ["L5"]), ("regions", ["atlantis"])])
def test_what_modal_does_not_have_is_refused(field: str, value: list[str]) -> None:
    with pytest.raises(ValueError, match=value[0]):
        per_hour(replace(ONE, **{field: value}))


def test_weights_cost_nothing_below_a_tebibyte() -> None:
    assert storage_per_month(Decimal(1024)) == storage_per_month(Decimal("4.4")) == 0
    assert storage_per_month(Decimal(1124)) == 9
