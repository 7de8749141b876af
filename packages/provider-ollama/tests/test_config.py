"""Settings: an address in any of Ollama's spellings, and durations that the server will take."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pointsman import ConfigError, Settings
from pointsman_ollama import SPEC, OllamaConfig
from pointsman_ollama.config import address, is_cloud, runs_in_cloud


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("127.0.0.1", "http://127.0.0.1:11434"),
        ("box", "http://box:11434"),
        ("Box:1234", "http://box:1234"),
        (":1234", "http://127.0.0.1:1234"),
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:80", "http://127.0.0.1"),
        ("http://0.0.0.0:11434/", "http://127.0.0.1:11434"),
        ("[::]:11434", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
        ("[fe80::7]", "http://[fe80::7]:11434"),
        ("http://box", "http://box"),
        ("https://box", "https://box"),
        ("https://box:443/", "https://box"),
        ("HTTPS://box:8443/ollama/", "https://box:8443/ollama"),
        ("box/path", "http://box:11434/path"),
        ("ollama.com", "https://ollama.com"),
        ("https://ollama.com:443", "https://ollama.com"),
        (' "box:1" ', "http://box:1"),
    ],
)
def test_addresses(written: str, meant: str) -> None:
    assert address(written) == meant
    assert address(meant) == meant
    assert OllamaConfig(base_url=written).base_url == meant


@pytest.mark.parametrize(
    "written",
    ["ftp://box", "box:port", "box:99999", "box:-1", "user:pw@box", "http://box?x=1", "http://box#x", "[::1", "a:b:c"],
)
def test_what_is_no_address(written: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OllamaConfig(base_url=written)
    assert "pw" not in str(caught.value.errors(include_input=False))


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        once = address(text)
    except ValueError:
        return
    assert address(once) == once


def test_the_cloud() -> None:
    assert is_cloud(address("ollama.com"))
    assert not is_cloud(address("ollama.com.evil.example"))
    assert runs_in_cloud("gpt-oss:120b-cloud")
    assert runs_in_cloud("qwen3:8b:cloud")
    assert not runs_in_cloud("cloud:8b")


@pytest.mark.parametrize(
    ("written", "sent"),
    [("5m", "5m"), ("1h30m", "1h30m"), ("-1s", "-1s"), ("300", 300), ("-1", -1), (0, 0), (1.5, 1.5), (" 10m ", "10m")],
)
def test_durations(written: Any, sent: Any) -> None:
    assert OllamaConfig(keep_alive=written).keep_alive == sent


@pytest.mark.parametrize("written", ["", "5 minutes", "5x", True, "nan", "inf", "m", [5], 1e12])
def test_what_is_no_duration(written: Any) -> None:
    with pytest.raises(ValidationError):
        OllamaConfig.model_validate({"keep_alive": written})


@pytest.mark.parametrize("wrong", [{"num_ctx": 0}, {"think": "hard"}, {"connect_timeout": 0}, {"model": "m"}])
def test_settings_that_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OllamaConfig.model_validate(wrong)


def configured(environ: dict[str, str], **told: Any) -> Any:
    from pointsman.config.providers import configure

    settings = Settings.of({"providers": {"ollama": told}} if told else {}, environ=environ)
    return configure("ollama", SPEC, settings, ["ollama"])


def test_the_vendors_own_variables() -> None:
    found = configured({"OLLAMA_HOST": "0.0.0.0:9000"})
    assert found.config.base_url == "http://127.0.0.1:9000"
    ours = configured({"OLLAMA_HOST": "box", "POINTSMAN_OLLAMA_BASE_URL": "other", "POINTSMAN_OLLAMA_THINK": "false"})
    assert (ours.config.base_url, ours.config.think) == ("http://other:11434", False)
    listed = configured({"POINTSMAN_OLLAMA_DEFAULT_MODELS": "a, b:7b", "POINTSMAN_OLLAMA_KEEP_ALIVE": "-1"})
    assert (listed.config.default_models, listed.config.keep_alive) == (("a", "b:7b"), -1)
    with pytest.raises(ConfigError, match="OLLAMA_HOST"):
        configured({"OLLAMA_HOST": "box:port"})


def test_the_key_is_for_ollama_com() -> None:
    key = {"OLLAMA_API_KEY": "0123456789abcdef"}
    assert configured(key).config.api_key is None
    assert configured(key, base_url="http://box").config.api_key is None
    assert configured(key, base_url="https://ollama.com").config.api_key is not None
    assert configured(key, base_url="ollama.com").config.api_key is not None
    assert configured({**key, "OLLAMA_HOST": "ollama.com"}).config.api_key is not None
    assert "0123456789abcdef" not in repr(configured(key, base_url="ollama.com").config)
