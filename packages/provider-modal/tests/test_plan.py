"""A plan is checked before anything is sent: what Modal's SDK lets pass is said here, in words that lead on."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import ConfigError
from pointsman_modal import ModalConfig
from pointsman_modal.cost import container_second
from pointsman_modal.deploy import Plan
from pointsman_modal.deploy.fits import GPU_BYTES, SHAPES, memory_of, needed
from pointsman_modal.prices import ALIASES, BROAD, GPUS, MOST_GPUS, NARROW
from pointsman_modal_app.settings import Deployment

GPU_NAMES = st.sampled_from([*GPUS, *ALIASES]).flatmap(
    lambda kind: st.integers(0, MOST_GPUS.get(ALIASES.get(kind, kind), 8)).map(lambda n: f"{kind}:{n}" if n else kind)
)
NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,40}", fullmatch=True)
PLANS = st.fixed_dictionaries(
    {},
    optional={
        "name": NAMES,
        "model": st.sampled_from([*SHAPES, "llama3.2", "hf.co/unsloth/Qwen3-4B-GGUF:Q4_K_M"]),
        "gpu": st.lists(GPU_NAMES, max_size=3),
        "cpu": st.floats(0.125, 64),
        "memory_gib": st.integers(1, 2048) | st.sampled_from(["8", "0.5"]),
        "region": st.lists(st.sampled_from(sorted(BROAD | NARROW)), max_size=3),
        "min_containers": st.integers(0, 1),
        "max_containers": st.integers(1, 4000),
        "scaledown_window": st.integers(2, 3600),
        "context_tokens": st.integers(512, 2**20),
        "parallel": st.integers(1, 256),
        "timeout": st.integers(1, 86_400),
        "startup_timeout": st.integers(1, 86_400),
        "volume": NAMES,
        "ollama_version": st.sampled_from(["0.32.15", "0.33.0-rc1"]),
    },
)


@given(PLANS)
def test_what_is_planned_is_deployed_and_what_it_costs_is_known(values: dict[str, Any]) -> None:
    plan = Plan.of(values)
    deployed = plan.deployment()
    assert Deployment.from_json(deployed.to_json()) == deployed
    assert deployed.memory == int(Decimal(str(values.get("memory_gib", 8))) * 1024)
    assert deployed.max_containers >= 1
    assert "volume" in values or deployed.volume == f"{deployed.name}-weights"
    for name in values.keys() - {"gpu", "region", "memory_gib"}:
        assert getattr(deployed, name) == values[name]

    settings = plan.provider_settings()
    config = ModalConfig.model_validate({"base_url": "https://ws--app-serve.modal.run", **settings})
    assert (config.gpu, config.region) == (deployed.gpu, deployed.region)
    assert config.memory_gib == Decimal(deployed.memory) / 1024
    assert config.default_models == (deployed.model,)
    for name in ("parallel", "context_tokens", "scaledown_window", "min_containers"):
        assert getattr(config, name) == getattr(deployed, name)
    known = deployed.gpu and not any(gpu.startswith("B300") for gpu in deployed.gpu)
    assert (container_second(config) is not None) == bool(known)
    assert all(isinstance(warning, str) for warning in plan.warnings())


def test_the_defaults_are_those_of_the_app_and_fit() -> None:
    plan = Plan.of({})
    assert plan.deployment() == Deployment()
    assert set(Plan.model_fields) ^ {field.name for field in fields(Deployment)} == {"memory", "memory_gib", "port"}
    assert plan.gpu == ("A10", "L4")
    assert plan.warnings() == []


def test_the_settings_are_of_types_that_toml_has() -> None:
    settings = Plan.of({"memory_gib": "0.5", "region": "us", "cpu": 2}).provider_settings()
    lines = [
        f"{name} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for name, value in settings.items()
    ]
    assert tomllib.loads("\n".join(lines)) == settings
    assert settings["memory_gib"] == 0.5


def test_an_older_name_of_a_gpu_and_a_list_in_one_string_are_taken() -> None:
    assert Plan.of({"gpu": "A10G, l4:2"}).gpu == ("A10", "L4:2")
    assert Plan.of({"gpu": "H100!"}).gpu == ("H100!",)
    assert Plan.of({"gpu": ""}).gpu == ()
    assert Plan.of({"region": "us-east,eu"}).region == ("us-east", "eu")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"gpu": "H1000"}, "gpu: there is no GPU 'H1000' at Modal: there are T4, L4, A10"),
        ({"gpu": "L4:0"}, "gpu: 'L4:0': after the colon stands how many, from 1 to 8"),
        ({"gpu": "A10G:5"}, "gpu: 'A10G:5': .* from 1 to 4"),
        ({"gpu": ["L4", "L4:x"]}, "gpu: 'L4:x'"),
        ({"gpu": 5}, "gpu: "),
        ({"region": "us-esat"}, "region: there is no region 'us-esat': there are"),
        ({"memory_gib": "16GB"}, "memory_gib: write a number of GiB without a unit, such as 16: '16GB' is none"),
        ({"memory_gib": "0,5"}, "memory_gib: write a number of GiB without a unit, such as 8"),
        ({"memory_gib": 16_384}, "memory_gib: 16384 is out of range: it is a number of GiB, not of MiB, from 0.125"),
        ({"memory_gib": 0}, "memory_gib: 0 is out of range"),
        ({"cpu": 0.01}, "cpu: 0.01 is out of range: it is a number of physical cores, from 0.125 to 64"),
        ({"cpu": float("nan")}, "cpu: nan is out of range"),
        ({"cpu": "many"}, "cpu: .*number.* not 'many'"),
        ({"max_containers": 0}, "max_containers: 0 .* Modal takes 0 for none at all, from 1 to 4,000"),
        ({"min_containers": -1}, "min_containers: -1 is out of range"),
        ({"min_containers": 3, "max_containers": 2}, r"min_containers \(3\) is more than max_containers \(2\): raise"),
        ({"scaledown_window": 1}, "scaledown_window: 1 is out of range: it is a number of seconds, from 2 to 3,600"),
        ({"scaledown_window": 3601}, "scaledown_window: 3601 is out of range"),
        ({"scaledown_window": 60.5}, "scaledown_window: .*integer.* not 60.5"),
        ({"timeout": 0}, "timeout: 0 is out of range: it is a number of seconds, from 1 to 86,400"),
        ({"timeout": 86_401}, "timeout: 86401 is out of range"),
        ({"startup_timeout": 99_999}, "startup_timeout: 99999 is out of range"),
        ({"parallel": 0}, "parallel: 0 is out of range: it is how many requests a container answers at once"),
        ({"parallel": 100_000}, "parallel: 100000 is out of range"),
        ({"context_tokens": 100}, "context_tokens: 100 is out of range: .* from 512 to 1,048,576"),
        ({"name": "my app"}, "name: 'my app' is no name at Modal"),
        ({"name": "a" * 51}, "name: .* at most 50"),
        ({"name": "ap-" + "a" * 22}, r"name: .* no id \(ap-"),
        ({"name": ""}, "name: '' is no name"),
        ({"volume": "Käse"}, "volume: 'Käse' is no name"),
        ({"ollama_version": "latest"}, "ollama_version: 'latest' does not say which Ollama: .* such as 0.32.15"),
        ({"ollama_version": "0.32"}, "ollama_version: '0.32' does not say"),
        ({"ollama_version": "0.32.15-rocm"}, "ollama_version: .* for other GPUs"),
        ({"model": "gpt-oss:120b-cloud"}, "model: 'gpt-oss:120b-cloud' runs at ollama.com and not here: ask it by"),
        ({"model": "qwen 7b"}, "model: 'qwen 7b' is no name of a model"),
        ({"model": "-x; rm"}, "model: "),
        ({"gpus": "L4"}, "there is no 'gpus': there are name, model, gpu"),
        ({"gpu": "X1", "region": "moon"}, "gpu: .*; region: "),
    ],
)
def test_what_is_wrong_is_named_with_what_to_write(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Plan.of(values)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model": "qwen2.5-coder:14b"}, "takes about 36 GB, more than A10, L4 have: the rest goes to the CPU"),
        ({"gpu": "T4", "parallel": 8}, "8 contexts of 32,768 tokens takes about 21 GB, more than T4 has"),
        ({"context_tokens": 65_536}, "65,536 tokens is longer than the 32,768 that qwen2.5-coder:7b was trained for"),
        ({"model": "llama3.3:70b"}, "llama3.3:70b alone are about 43 GB in 4 bits, more than A10, L4 have"),
        ({"model": "mixtral:8x7b", "gpu": "H100,L4"}, "about 35 GB in 4 bits, more than L4 has"),
        ({"model": "llama3.1:8b"}, "is not known here: whether all of it fits (A10 with 24 GB, L4 with 24 GB)"),
        ({"model": "phi4-mini"}, "how much memory the contexts of phi4-mini take is not known here"),
        ({"gpu": ""}, "runs on the CPU"),
        ({"model": "qwen2.5-coder"}, "is qwen2.5-coder:latest, which may be another model tomorrow"),
        ({"region": "us-east"}, "in us-east all costs 1.75 times as much"),
        ({"min_containers": 1}, "billed day and night"),
        ({"gpu": "B300"}, "the price of B300 is not known"),
    ],
)
def test_what_will_be_slow_or_dear_is_said(values: dict[str, Any], words: str) -> None:
    assert [warning for warning in Plan.of(values).warnings() if words in warning]


@given(st.sampled_from([*SHAPES]), st.integers(512, 40_000), st.integers(1, 64))
def test_more_context_never_takes_less(model: str, context: int, parallel: int) -> None:
    need = needed(model, context, parallel)
    assert need
    assert SHAPES[model].weights < need <= (needed(model, context + 1, parallel) or 0)
    assert need < (needed(model, context, parallel + 1) or 0)


def test_the_estimate_agrees_with_what_is_known_of_the_usual_model() -> None:
    """Its file has 4,683,087,561 bytes, and a token of context takes 57,344."""
    usual = SHAPES["qwen2.5-coder:7b"]
    assert usual.weights == pytest.approx(4_683_087_561, rel=0.02)
    assert usual.token == 57_344
    assert needed("another:7b", 8192, 1) is None


def test_the_memory_of_each_gpu_with_a_price_is_known() -> None:
    assert set(GPU_BYTES) == set(GPUS)
    assert memory_of("a10g") == memory_of("A10") == 24e9
    assert memory_of("H100!:2") == 160e9
