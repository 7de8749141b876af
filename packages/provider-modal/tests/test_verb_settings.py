"""What a deployment writes is what the next one reads; times are read as they are shown."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman_modal import ModalConfig
from pointsman_modal.cli import plan_told
from pointsman_modal.cli.configured import SETTINGS, said_before, settings_of
from pointsman_modal.cli.figures import seconds, size, span
from pointsman_modal.deploy.plan import Plan
from pointsman_modal.prices import BROAD, GPUS, NARROW

plans: st.SearchStrategy[Plan] = st.builds(
    lambda counts, **values: Plan.of({**values, "min_containers": min(counts), "max_containers": max(1, *counts)}),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
    name=st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True),
    model=st.sampled_from(["qwen2.5-coder:7b", "llama3.1", "hf.co/a/b:q4"]),
    gpu=st.lists(st.sampled_from(sorted(GPUS)), max_size=3).map(tuple),
    cpu=st.integers(1, 512).map(lambda eighths: eighths / 8),
    memory_gib=st.integers(1, 800).map(lambda eighths: Decimal(eighths) / 8),
    region=st.lists(st.sampled_from(sorted(BROAD | NARROW)), max_size=2, unique=True).map(tuple),
    scaledown_window=st.integers(2, 3600),
    context_tokens=st.integers(512, 2**20),
    parallel=st.integers(1, 256),
)


@given(plan=plans, environment=st.none() | st.just("staging"))
def test_what_is_written_is_what_the_next_deployment_keeps(plan: Plan, environment: str | None) -> None:
    written = settings_of(plan, environment, "https://a--b.modal.run")
    config = ModalConfig.model_validate({name: value for name, value in written.items() if value is not None})
    assert Plan.of(said_before(config)) == plan
    assert plan_told.changes(plan, config) == {}
    assert config.environment == environment
    assert set(written) == set(SETTINGS)


@given(plan=plans, other=plans)
def test_what_changes_is_told_and_nothing_else(plan: Plan, other: Plan) -> None:
    written = settings_of(other, None, "https://a--b.modal.run")
    config = ModalConfig.model_validate({name: value for name, value in written.items() if value is not None})
    found = plan_told.changes(plan, config)
    assert {name: new for name, (_, new) in found.items()} == {
        name: value for name, value in plan.model_dump().items() if getattr(other, name) != value
    }
    traffic = plan_told.Traffic.of(None, None)
    marked = [label for label, text in plan_told.rows(plan, config, None, traffic) if "   (was " in text]
    assert bool(marked) == bool(found.keys() - {"name"})


@given(hours=st.integers(0, 99), minutes=st.integers(0, 59), rest=st.integers(0, 59))
@example(hours=0, minutes=0, rest=0)
def test_a_time_is_read_as_it_is_written(hours: int, minutes: int, rest: int) -> None:
    meant = 3600 * hours + 60 * minutes + rest
    assert seconds(f"{hours}h{minutes}m{rest}s") == seconds(str(meant)) == meant
    if hours == 0 or rest == 0:
        assert seconds(span(meant).replace(" ", "")) == meant


@pytest.mark.parametrize("text", ["", "m", "soon", "-1", "1d", "1 h", "nan", "inf", "1e3", "1h30", "30m1h x"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        seconds(text)


def test_no_time_is_longer_than_a_machine_can_wait() -> None:
    assert seconds("8760h") == 365 * 86_400
    with pytest.raises(ValueError, match="more than a year"):
        seconds("99999999999999h")


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_949_999, "9.9 MB"), (4_683_087_561, "4.7 GB"), (5e15, "5000 TB")],
)
def test_sizes(count: float, shown: str) -> None:
    assert size(count) == shown
