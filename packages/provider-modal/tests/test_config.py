"""Settings: what is taken, what is refused, and in which words; what a user reads who has set half of something."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from pointsman import AsyncClient, ConfigError, Settings, Target
from pointsman_modal import SPEC, ModalConfig

URL = "https://ws--app-serve.modal.run"
PAIR = {"token_id": "wk-Ab12Cd34Ef56", "token_secret": "ws-Gh78Ij90Kl12"}


def configured(environ: dict[str, str] | None = None, **settings: Any) -> Any:
    """The configuration as core makes it. Raises what a user would read."""
    tables = {"providers": {"modal": settings}} if settings else {}
    return AsyncClient(settings=Settings.of(tables, environ=environ or {})).roster.configured("modal")


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (URL, f"{URL}/v1"),
        (f"{URL}/", f"{URL}/v1"),
        (f"{URL}/v1", f"{URL}/v1"),
        (f"{URL}/v1/", f"{URL}/v1"),
        ("https://ws--app-s.us-east.modal.direct", "https://ws--app-s.us-east.modal.direct/v1"),
        ("http://127.0.0.1:8000/serving/openai", "http://127.0.0.1:8000/serving/openai"),
    ],
)
def test_an_address_is_taken_as_modal_prints_it(given: str, read: str) -> None:
    assert ModalConfig.model_validate({"base_url": given}).base_url == read


def test_a_server_of_another_kind_may_be_below_api() -> None:
    """As Open WebUI is."""
    assert ModalConfig.model_validate({"base_url": f"{URL}/api", "server": "other"}).base_url == f"{URL}/api"
    assert ModalConfig.model_validate({"base_url": f"{URL}/apis/v1"}).base_url == f"{URL}/apis/v1"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"base_url": f"{URL}/api"}, "base_url .*/api is Ollama's other API"),
        ({"base_url": f"{URL}/api/chat"}, "base_url .*/api is Ollama's other API"),
        ({"base_url": f"{URL}/v1/chat/completions"}, "as Modal prints it"),
        ({"base_url": "ws--app-serve.modal.run"}, "write a whole address"),
        ({**PAIR, "token_id": "ak-0123456789"}, "account token .* needs a proxy token"),
        ({**PAIR, "token_secret": "as-0123456789"}, "account token .* needs a proxy token"),
        ({"api_key": "ak-0123456789"}, "account token .* needs a proxy token"),
        ({**PAIR, "token_id": "ws-0123456789"}, "other half of the token: token_id begins with wk-"),
        ({**PAIR, "token_secret": "wk-0123456789"}, "other half of the token: token_secret begins with ws-"),
        ({**PAIR, "token_id": "wk-0123456789.ws-0123456789"}, "both halves"),
        ({"api_key": "wk-0123456789"}, "half a proxy token"),
        ({**PAIR, "api_key": "wk-0123456789.ws-0123456789"}, "api_key .* another"),
        ({"gpu": "A11"}, "no GPU 'A11' at Modal: there are T4, L4, A10"),
        ({"gpu": ["L4", "H100:9"]}, "'H100:9': after the colon stands how many, from 1 to 8"),
        ({"gpu": "A10:5"}, "from 1 to 4"),
        ({"gpu": "L4:0"}, "from 1 to 8"),
        ({"region": "us-esat"}, "no region 'us-esat'"),
        ({"cpu": 0}, "greater than 0"),
        ({"memory_gib": "16GB"}, "decimal"),
        ({"parallel": 0}, "greater than 0"),
        ({"scaledown_window": 1}, "greater than or equal to 2"),
        ({"scaledown_window": 3601}, "less than or equal to 3600"),
        ({"cold_start": -1}, "greater than or equal to 0"),
        ({"price_per_second": -1}, "greater than or equal to 0"),
        ({"min_containers": -1}, "greater than or equal to 0"),
        ({"context_tokens": 0}, "greater than 0"),
        ({"server": "vllm"}, "'ollama' or 'other'"),
        ({"capabilities": ["visoin"]}, "did you mean 'vision'"),
        ({"gpus": "L4"}, "did you mean 'gpu'"),
    ],
)
def test_what_is_wrong_is_said_in_words_and_without_the_value_of_a_key(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        configured(**({"base_url": URL} | settings))
    assert not raised.value.missing
    assert "0123456789" not in str(raised.value)


@pytest.mark.parametrize(("have", "lack"), [("token_id", "token_secret"), ("token_secret", "token_id")])
def test_half_a_token_is_no_mistake_but_something_missing(have: str, lack: str) -> None:
    """So that the halves can be stored one after the other."""
    with pytest.raises(ConfigError, match=f"no {lack}: set MODAL_PROXY_{lack.upper()} or POINTSMAN_MODAL_") as raised:
        configured(base_url=URL, **{have: PAIR[have]})
    assert raised.value.missing
    assert "base_url" not in raised.value.message  # Which is set.


def test_where_nothing_is_set_the_address_and_the_token_are_asked_for() -> None:
    words = (
        r"no base_url: set POINTSMAN_MODAL_BASE_URL.* `pointsman modal deploy` .*token_id .*token_secret .*proxy token"
    )
    with pytest.raises(ConfigError, match=words):
        configured()


def test_a_whole_token_as_api_key_is_known_by_its_halves() -> None:
    config = ModalConfig.model_validate({"base_url": URL, "api_key": " wk-Ab12Cd34Ef56.ws-Gh78Ij90Kl12 "})
    assert config.whole_token
    assert (config.token_id, config.token_secret) == tuple(map(SecretStr, PAIR.values()))
    assert not ModalConfig.model_validate({"base_url": URL, "api_key": "sk-of-vllm", **PAIR}).whole_token
    hidden = configured(base_url=URL, api_key="wk-Ab12Cd34Ef56.ws-Gh78Ij90Kl12").hidden
    assert hidden >= {*PAIR.values(), "wk-Ab12Cd34Ef56.ws-Gh78Ij90Kl12"}


def test_variables_of_modal_and_of_ours() -> None:
    environ = {
        "POINTSMAN_MODAL_BASE_URL": URL,
        "MODAL_PROXY_TOKEN_ID": PAIR["token_id"],
        "MODAL_PROXY_TOKEN_SECRET": PAIR["token_secret"],
        "POINTSMAN_MODAL_GPU": "A10, L4",
        "POINTSMAN_MODAL_MEMORY_GIB": "16",
        "POINTSMAN_MODAL_DEFAULT_MODELS": "qwen2.5-coder:7b,qwen2.5-coder:14b",
    }
    config = configured(environ).config
    assert (config.gpu, config.memory_gib) == (("A10", "L4"), Decimal(16))
    assert config.default_models == ("qwen2.5-coder:7b", "qwen2.5-coder:14b")
    assert config.token_secret == SecretStr(PAIR["token_secret"])


@pytest.mark.parametrize("url", ["https://gpu.example.com", "http://ws--app-serve.modal.run"])
def test_the_vendors_variables_are_not_sent_elsewhere_nor_unencrypted(url: str) -> None:
    environ = {f"MODAL_PROXY_{name.upper()}": half for name, half in PAIR.items()}
    made = configured(environ, base_url=url)
    assert made.config.token_id is made.config.token_secret is None
    assert [warning for warning in made.warnings if "MODAL_PROXY_TOKEN_SECRET is not sent to" in warning]


@pytest.mark.parametrize("host", ["x--y.modal.run", "x--y.us-east.modal.direct"])
def test_the_hosts_of_both_products_are_modals(host: str) -> None:
    assert SPEC.trusts(host)
    assert not SPEC.trusts(f"{host}.example.com")
    assert not SPEC.trusts("modal.run")


def test_where_a_request_goes_by_itself() -> None:
    client = AsyncClient(settings=Settings.of({"providers": {"modal": {"base_url": URL}}}, environ={}))
    assert client.roster.default_targets("modal") == [Target("modal", "qwen2.5-coder:7b")]
    assert client.roster.capabilities(Target("modal", "qwen2.5-coder:7b")) == {"tools", "schema"}
    assert "vision" in client.roster.capabilities(Target("modal", "qwen2.5-vl:7b"))
