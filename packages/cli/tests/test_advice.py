"""What an error advises can be done, and mends it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pointsman_testing import Fault, Vendor

Invoke = Callable[..., Result]


@pytest.fixture
def folder(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's files are, none of which is there yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(nowhere / "home"))
    folder = nowhere / "home" / "pointsman"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def silent() -> Iterator[None]:
    """Ollama is tried at an address where nobody answers, whatever runs on this machine."""
    pytest.importorskip("pointsman_ollama")
    from pointsman_ollama import OllamaConfig

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OllamaConfig.model_fields["base_url"], "default", "http://127.0.0.1:9")
        OllamaConfig.model_rebuild(force=True)
        yield
    OllamaConfig.model_rebuild(force=True)


def flat(text: str) -> str:
    """However it was wrapped."""
    return " ".join(text.split())


@pytest.mark.parametrize("place_of_key", ["variable", "keys file", "user file"])
def test_advice_for_a_refused_key_fits_where_it_comes_from(
    invoke: Invoke, place: Path, folder: Path, a: Vendor, monkeypatch: pytest.MonkeyPatch, place_of_key: str
) -> None:
    stored = "pointsman keys set a"
    advice = {
        "variable": f"put a working key into POINTSMAN_A_API_KEY, or unset it and: {stored}",
        "keys file": stored,
        "user file": f"put a working key into {folder / 'config.toml'}, or remove it there and: {stored}",
    }[place_of_key]
    if place_of_key != "variable":
        monkeypatch.delenv("POINTSMAN_A_API_KEY")
        file = folder / ("keys.toml" if place_of_key == "keys file" else "config.toml")
        file.touch(0o600)
        file.write_text('[providers.a]\napi_key = "sk-another-one-4711"\n')
    a.script(Fault(401))
    assert f"next:  {advice}\n" in invoke("chat", "hi", "-m", "a/m1").stderr
    a.script(Fault(401), on="models")
    assert f" {advice} " in f"{flat(invoke('providers', 'check', 'a').stdout)} "
    a.script(Fault(401), on="models")
    assert f" {advice} " in flat(invoke("keys", "test", "a").stdout)
    a.script(Fault(401), on="models")
    assert f"next: {advice} " in flat(invoke("doctor", "--live").stdout)


def test_refused_without_a_key_names_the_settings_that_are_to_be_set(
    invoke: Invoke, place: Path, folder: Path, a: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They need not be called api_key, and may be several."""
    pytest.importorskip("pointsman_modal")
    monkeypatch.setenv("POINTSMAN_MODAL_BASE_URL", a.base_url)
    stderr = invoke("chat", "hi", "-m", "modal/m1").stderr
    first, second = (f"pointsman keys set modal --setting {one}" for one in ("token_id", "token_secret"))
    assert "cause: it asks for a key, and none is set\n" in stderr
    assert f"next:  {first}; {second}\n" in stderr
    assert invoke("keys", "set", "modal", "--setting", "token_id", stdin="wk-0123456789").exit_code == 0
    stderr = invoke("chat", "hi", "-m", "modal/m1").stderr
    assert f"next:  {second}; or see it work" in stderr
    assert "Set base_url" not in stderr, "it is set"


def test_setting_that_is_no_key_is_not_stored_as_one(invoke: Invoke, folder: Path) -> None:
    stderr = invoke("chat", "hi", "-m", "openai-compatible/x").stderr
    assert "next:  pointsman config set providers.openai-compatible.base_url VALUE" in stderr


def test_key_that_is_too_short_is_no_setting_to_set(
    invoke: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMBANOVA_API_KEY", "short")
    advice = "put a working key into SAMBANOVA_API_KEY, or unset it and: pointsman keys set sambanova"
    shown = flat(invoke("doctor").stdout)
    assert f"next: {advice}" in shown
    assert "config set providers.sambanova" not in shown
    done = invoke("chat", "hi", "-m", "sambanova/x")
    assert done.exit_code == 2
    assert advice in done.stderr


@pytest.mark.parametrize("args", [["providers", "check"], ["models"]])
def test_nobody_ready_says_who_lacks_what_and_nothing_of_models(
    invoke: Invoke, folder: Path, silent: None, args: list[str]
) -> None:
    done = invoke(*args)
    assert done.exit_code == 4
    assert "no model is named" not in done.stderr
    assert re.search(r"ollama: cannot connect to 127.0.0.1:9: .*listening there\? ", done.stderr)
    assert "`ollama serve`" in done.stderr
    assert "-m ollama/" not in done.stderr, "it does not answer"
    assert "sambanova: no api_key: set SAMBANOVA_API_KEY" in done.stderr


def test_doctor_says_it_too(invoke: Invoke, folder: Path, silent: None) -> None:
    shown = flat(invoke("doctor", "--live").stdout)
    assert "health fail no provider is ready." in shown
    assert "`ollama serve`" in shown
    assert "no model is named" not in shown


def test_provider_that_suggests_no_model_is_asked_by_name(invoke: Invoke, place: Path, folder: Path, a: Vendor) -> None:
    file = place / "pointsman.toml"
    file.write_text(f'[providers.a]\nplugin = "openai-compatible"\nbase_url = "{a.base_url}"\n')
    stderr = invoke("chat", "hi").stderr
    assert "next:  -m a/MODEL, one that `pointsman models a` lists" in stderr
    assert "pointsman config set providers.a.default_models MODEL\n" in stderr
    assert invoke("config", "set", "providers.a.default_models", "m1").exit_code == 0
    assert invoke("chat", "hi").exit_code == 0


def test_provider_that_needs_nothing_is_not_said_to_lack_something(invoke: Invoke, folder: Path, silent: None) -> None:
    stderr = invoke("providers").stderr
    assert "-m ollama/MODEL" in stderr
    assert "None is set up" not in stderr


def test_server_that_does_not_answer_can_be_started(invoke: Invoke, place: Path) -> None:
    file = place / "pointsman.toml"
    file.write_text('[providers.a]\nplugin = "openai-compatible"\nbase_url = "http://127.0.0.1:9/v1"\n')
    stderr = invoke("chat", "hi", "-m", "a/m1").stderr
    assert "next:  Start a server such as llama.cpp" in stderr
    assert "pointsman providers check" in stderr


def test_several_that_do_not_answer_are_advised_about_as_several(invoke: Invoke, place: Path) -> None:
    file = place / "pointsman.toml"
    tables = [f'[providers.{one}]\nplugin = "openai-compatible"\nbase_url = "http://127.0.0.1:9/v1"\n' for one in "ab"]
    file.write_text("".join(tables) + '[routing]\ntargets = ["a/m1", "b/m1"]\n')
    stderr = invoke("chat", "hi").stderr
    assert "cause: none of them can be reached\n" in stderr
    assert stderr.count("Start a server such as llama.cpp") == 1
    assert "pointsman providers check; or add a target of another provider, to [routing] targets or" in stderr
    assert "name several targets" not in stderr


@pytest.mark.parametrize(
    ("second", "cause"), [(429, "too many requests or tokens for now"), (503, "they cannot be reached, or fail by ")]
)
def test_several_that_fail_are_not_told_to_be_several(
    invoke: Invoke, place: Path, a: Vendor, b: Vendor, second: int, cause: str
) -> None:
    a.script(*[Fault(503)] * 5)
    b.script(*[Fault(second)] * 5)
    stderr = invoke("chat", "hi").stderr
    assert f"cause: {cause}" in stderr
    assert "or add a target of another provider" in stderr


@pytest.mark.parametrize("targets", [["a/m1"], ["a/m1", "b/m1"]])
def test_what_fails_again_in_the_same_way_is_told_once(
    invoke: Invoke, place: Path, a: Vendor, b: Vendor, targets: list[str]
) -> None:
    for vendor in (a, b):
        vendor.script(*[Fault(503)] * 5)
    options = [part for target in targets for part in ("-m", target)]
    done = invoke("chat", "hi", *options)
    for target in targets:
        assert done.stderr.count(f"{target}: The service is not available") == 1
    if len(targets) == 1:
        assert f"tried {len(a.requests)} times" in done.stderr
    a.script(*[Fault(503)] * 5)
    b.script(*[Fault(503)] * 5)
    done = invoke("chat", "hi", "--json", *options)
    assert done.stderr.count("a/m1: The service is not available") == 1


@pytest.mark.parametrize(
    ("variable", "value"), [("POINTSMAN_SAMBANOVA_BASE_URL", "foo"), ("SAMBANOVA_API_KEY", "short")]
)
def test_wrong_setting_for_which_nobody_is_ready_is_what_is_told(
    invoke: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """Core tells it where a variable of ours is wrong, and leaves the vendor's own to the command."""
    monkeypatch.setenv(variable, value)
    done = invoke("chat", "hi")
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: sambanova: ")
    assert variable in done.stderr


@pytest.mark.parametrize(
    ("name", "text", "mode", "advice"),
    [
        ("config.toml", "x = = 1", 0o600, "next:  pointsman config edit\n"),
        ("keys.toml", "x = = 1", 0o600, "keys.toml in an editor, or remove it and store the keys anew"),
        ("keys.toml", "", 0o644, "next:  chmod 600 "),
    ],
)
def test_file_that_cannot_be_read_is_a_wrong_setting(
    invoke: Invoke, folder: Path, name: str, text: str, mode: int, advice: str
) -> None:
    if os.name != "posix" and mode == 0o644:
        pytest.skip("modes are POSIX's")
    (folder / name).write_text(text)
    (folder / name).chmod(mode)
    done = invoke("chat", "hi")
    assert done.exit_code == 2
    assert advice in done.stderr


def test_project_file_is_edited_as_one(invoke: Invoke, folder: Path, nowhere: Path) -> None:
    (nowhere / "pointsman.toml").write_text("x = = 1")
    assert "next:  pointsman config edit --project\n" in invoke("chat", "hi").stderr


def test_provider_that_is_not_there_may_be_a_package(invoke: Invoke, folder: Path) -> None:
    done = invoke("keys", "set", "zanzibar", stdin="sk-12345678")
    assert done.exit_code == 2
    assert "pip install pointsman-zanzibar" in done.stderr
    assert "pip install" not in invoke("keys", "set", "sambanvoa", stdin="sk-12345678").stderr  # That one is meant.


@pytest.mark.parametrize("name", ["huggingface", "pointsman-hf"])
def test_provider_is_known_by_its_package_and_its_hosts(invoke: Invoke, folder: Path, name: str) -> None:
    pytest.importorskip("pointsman_hf")
    stderr = invoke("providers", "check", name).stderr
    assert "did you mean hf?" in stderr
    assert "pip install" not in stderr


def test_where_a_key_is_made_is_said_once(
    invoke: Invoke, folder: Path, a: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_SAMBANOVA_BASE_URL", a.base_url)
    monkeypatch.setenv("POINTSMAN_SAMBANOVA_API_KEY", "sk-of-somebody-else")
    stderr = invoke("chat", "hi", "-m", "sambanova/m1").stderr
    assert stderr.count("https://cloud.sambanova.ai/apis") == 1
    assert "SAMBANOVA_API_KEY" not in stderr.replace("POINTSMAN_SAMBANOVA_API_KEY", "")


def test_model_that_is_not_there_points_to_those_that_are(invoke: Invoke, place: Path, a: Vendor) -> None:
    assert "pointsman models a" in invoke("chat", "hi", "-m", "a/nope").stderr


def test_address_that_is_wrong_is_not_a_model_that_is_gone(
    invoke: Invoke, folder: Path, a: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_SAMBANOVA_BASE_URL", a.base_url.removesuffix("/v1"))
    monkeypatch.setenv("POINTSMAN_SAMBANOVA_API_KEY", str(a.api_key))
    stderr = invoke("chat", "hi", "-m", "sambanova/m1").stderr
    assert "no such model" not in stderr
    assert "next:  correct base_url in environment POINTSMAN_SAMBANOVA_BASE_URL" in stderr


def test_models_that_a_package_knows_are_not_said_to_be_there(
    invoke: Invoke, folder: Path, a: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_SAMBANOVA_BASE_URL", a.base_url)
    monkeypatch.setenv("POINTSMAN_SAMBANOVA_API_KEY", str(a.api_key))
    stderr = invoke("chat", "hi", "-m", "sambanova/zzz").stderr
    assert "sambanova/gpt-oss-120b" not in stderr
    assert "pointsman models sambanova lists what is there" in stderr


@pytest.mark.parametrize("verb", ["chat", "route"])
def test_prompt_of_several_words_is_to_be_quoted(invoke: Invoke, place: Path, verb: str) -> None:
    done = invoke(verb, "hi", "there")
    assert done.exit_code == 2
    assert f"put it in quotes: pointsman {verb} 'hi there'" in done.stderr


def test_target_at_nobody_is_said_when_it_is_set_and_when_it_is_asked(invoke: Invoke, folder: Path) -> None:
    done = invoke("config", "set", "routing.targets", "sambanova/x,zanzibar/y")
    assert done.exit_code == 0
    assert "No provider is called zanzibar" in done.stderr
    assert "No provider is called sambanova" not in done.stderr
    done = invoke("config", "set", "routing.targets", "zanzibar/y")
    done = invoke("chat", "hi")
    assert done.exit_code == 2
    assert f"routing.targets from user file {folder / 'config.toml'} names it" in done.stderr


def test_the_example_of_a_negative_value_works(invoke: Invoke, folder: Path) -> None:
    pytest.importorskip("pointsman_ollama")
    assert "providers.ollama.keep_alive -- -1" in invoke("config", "set", "--help").stdout
    assert invoke("config", "set", "providers.ollama.keep_alive", "--", "-1").exit_code == 0


def test_wrong_usage_is_broken_between_words(terminal: Any, place: Path) -> None:
    screen = terminal("chat", "-a", "there-is-no-such-file", "hi", columns=40, env={"NO_COLOR": "1"})
    assert screen.code == 2
    lines = screen.text.splitlines()
    assert max(len(line) for line in lines if " " in line.strip()) <= 40
    assert "name one that" in flat(screen.text)
