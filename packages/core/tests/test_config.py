"""Settings: the nearest layer wins, every value knows where it came from, and what is wrong is said with a way out."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

from pointsman import AsyncClient, ConfigError, PluginError, Plugins, ProviderSpec, Settings, Terminal
from pointsman.config import Configured, Origin, configure
from pointsman.config.providers import own_variable
from pointsman_testing import ScriptedProvider

KEY = "sk-0123456789abcdef"
OTHER = "sk-fedcba9876543210"


class AcmeConfig(BaseModel, frozen=True, extra="forbid"):
    api_key: SecretStr
    base_url: str = "https://api.acme.example/v1"
    timeout: float = 5.0
    default_models: tuple[str, ...] = ()
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    workspace: str | None = None

    @field_validator("base_url")
    @classmethod
    def _is_somebody(cls, url: str) -> str:
        if url == "http://nobody":
            raise ValueError("nobody is not there")
        return url


class LocalConfig(BaseModel, frozen=True, extra="forbid"):
    base_url: str
    api_key: SecretStr | None = None

    @field_validator("api_key")
    @classmethod
    def _talkative(cls, key: SecretStr | None) -> SecretStr | None:
        if key and key.get_secret_value().startswith("wrong"):
            raise ValueError(f"{key.get_secret_value()} is no key")
        return key


def spec_of(name: str, config: type[BaseModel] = AcmeConfig, **facts: Any) -> ProviderSpec[Any]:
    facts.setdefault("env_keys", {"api_key": "ACME_API_KEY"})
    facts.setdefault("hosts", ("api.acme.example",))
    return ProviderSpec(
        name=name, config=config, open=lambda config, context: None, terminal=Terminal.DONE_FIELD, **facts
    )  # type: ignore[arg-type,return-value]


ACME = spec_of("acme", env_settings={"workspace": "ACME_WORKSPACE"}, help="Make a key at https://acme.example/keys.")
LOCAL = spec_of(
    "local", LocalConfig, hosts=(), env_keys={"api_key": "LOCAL_API_KEY"}, env_settings={"base_url": "LOCAL_HOST"}
)


def acme(table: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, **more: Any) -> Configured:
    settings = Settings.of({"providers": {"acme": table or {}}}, environ)
    return configure("acme", more.get("spec", ACME), settings, more.get("known", ["acme"]))


# Layers --------------------------------------------------------------------------------------------------------------


@dataclass
class Layers:
    """The four places where a setting can be, on disk and in an environment."""

    folder: Path
    table: dict[str, Any] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)

    def write(self, file: str, text: str | bytes) -> Path:
        path = self.folder / file
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    @property
    def user_file(self) -> Path:
        return self.folder / "home" / "config.toml"

    @property
    def project_file(self) -> Path:
        return self.folder / "project" / "pointsman.toml"

    def read(self) -> Settings:
        environ = dict(self.environ)
        if self.user_file.exists():
            environ["POINTSMAN_CONFIG"] = str(self.user_file)
        inside = self.folder / "project" / "src" / "deep"
        inside.mkdir(parents=True, exist_ok=True)
        return Settings.discover(environ, inside, self.table)


@pytest.fixture
def layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layers:
    monkeypatch.setattr("platformdirs.user_config_path", lambda name: tmp_path / "nowhere" / name)
    return Layers(tmp_path)


def test_keys_stand_in_a_file_of_their_own(layers: Layers) -> None:
    layers.write("home/config.toml", "[providers.acme]\napi_key = 'in-the-user-file'\nspeed = 'fast'\n")
    keys = layers.write("home/keys.toml", "[providers.acme]\napi_key = 'in-the-keys-file'\n")
    keys.chmod(0o600)
    found = layers.read().provider("acme")
    assert found["api_key"].value == "in-the-keys-file"
    assert found["api_key"].origin == Origin("keys file", str(keys))
    assert found["speed"].value == "fast"
    layers.write("project/pointsman.toml", "[providers.acme]\napi_key = 'in-the-project'\n")
    assert layers.read().provider("acme")["api_key"].value == "in-the-project"


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such modes")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_keys_that_others_can_read_are_refused(layers: Layers, mode: int) -> None:
    layers.write("home/config.toml", "")
    layers.write("home/keys.toml", "[providers.acme]\napi_key = 'sesame-sesame'\n").chmod(mode)
    with pytest.raises(ConfigError, match=rf"others can read it \(mode {mode:03o}\): chmod 600 .*keys\.toml") as caught:
        layers.read()
    assert "sesame" not in str(caught.value)


# What each setting is in each layer, nearest first, and how it reads.
SETTINGS: dict[tuple[str, ...], tuple[str, list[tuple[Any, Any]]]] = {
    ("engine", "deadline"): ("POINTSMAN_ENGINE_DEADLINE", [(1, 1), ("2", 2), (3.5, 3.5), (4, 4)]),
    ("engine", "max_attempts"): ("POINTSMAN_ENGINE_MAX_ATTEMPTS", [(1, 1), ("2", 2), (3, 3), (4, 4)]),
    ("engine", "on_break"): (
        "POINTSMAN_ENGINE_ON_BREAK",
        [("raise", "raise"), ("restart", "restart"), ("continue", "continue"), ("restart", "restart")],
    ),
    ("routing", "targets"): (
        "POINTSMAN_ROUTING_TARGETS",
        [(["a/1"], ("a/1",)), ("a/2, b/2,", ("a/2", "b/2")), (["a/3"], ("a/3",)), (["a/4"], ("a/4",))],
    ),
    ("routing", "policy"): ("POINTSMAN_ROUTING_POLICY", [("p1", "p1"), ("p2", "p2"), ("p3", "p3"), ("p4", "p4")]),
    ("plugins", "wrappers"): (
        "POINTSMAN_PLUGINS_WRAPPERS",
        [(["w1"], ("w1",)), ("w2,x", ("w2", "x")), (["w3"], ("w3",)), (["w4"], ("w4",))],
    ),
    ("plugins", "disable"): (
        "POINTSMAN_PLUGINS_DISABLE",
        [(["d1"], ("d1",)), ("d2", ("d2",)), (["d3"], ("d3",)), (["d4"], ("d4",))],
    ),
    ("providers", "acme", "timeout"): ("POINTSMAN_ACME_TIMEOUT", [(1, 1), ("2", 2), (3, 3), (4, 4)]),
    ("providers", "acme", "default_models"): (
        "POINTSMAN_ACME_DEFAULT_MODELS",
        [(["m1"], ("m1",)), ("m2, n2", ("m2", "n2")), (["m3"], ("m3",)), (["m4"], ("m4",))],
    ),
    ("providers", "acme", "base_url"): (
        "POINTSMAN_ACME_BASE_URL",
        [(url, url) for url in ("https://a.example", "https://b.example", "http://localhost:3", "https://d.example")],
    ),
}
PLACES = ("argument", "environment", "project file", "user file")


def toml(value: Any) -> str:
    return str(value) if not isinstance(value, list | str) else repr(value)


@pytest.mark.parametrize("path", SETTINGS, ids=".".join)
@pytest.mark.parametrize("present", range(1, 16))
def test_the_nearest_layer_wins_and_is_named(layers: Layers, path: tuple[str, ...], present: int) -> None:
    variable, values = SETTINGS[path]
    there = [place for bit, place in enumerate(PLACES) if present >> bit & 1]
    for place, (written, _) in zip(PLACES, values, strict=True):
        if place not in there:
            continue
        if place == "argument":
            for name in reversed(path):
                written = {name: written}
            layers.table = written
        elif place == "environment":
            layers.environ[variable] = f" {written} "
        else:
            file = layers.project_file if place == "project file" else layers.user_file
            layers.write(str(file), f"[{'.'.join(path[:-1])}]\n{path[-1]} = {toml(written)}\n")
    layers.environ["POINTSMAN_ACME_API_KEY"] = KEY
    settings = layers.read()
    nearest = there[0]
    if path[0] == "providers":
        made = configure("acme", ACME, settings, ["acme"])
        found, origin = getattr(made.config, path[-1]), made.origins[path[-1]]
    else:
        found, origin = getattr(getattr(settings, path[0]), path[-1]), None
    assert found == values[PLACES.index(nearest)][1]
    expected = {
        "argument": Origin("argument"),
        "environment": Origin("environment", variable),
        "project file": Origin("project file", str(layers.project_file)),
        "user file": Origin("user file", str(layers.user_file)),
    }[nearest]
    assert origin in (None, expected)


def test_what_is_handed_over_goes_before_the_environment() -> None:
    environ = {"POINTSMAN_ENGINE_DEADLINE": "5", "POINTSMAN_ENGINE_STALL": "6"}
    settings = Settings.of({"engine": {"deadline": 1}}, environ)
    assert (settings.engine.deadline, settings.engine.stall) == (1, 6)


def test_without_any_layer_the_defaults_hold(layers: Layers) -> None:
    settings = layers.read()
    assert (settings.engine.deadline, settings.engine.stall, settings.engine.max_attempts) == (None, None, 8)
    assert settings.routing.targets == ()
    assert settings.plugins.disable == ()
    assert settings.provider_tables() == []


def test_tables_are_merged_and_a_value_replaces_a_table(layers: Layers) -> None:
    layers.write("home/config.toml", '[providers.acme]\ntimeout = 7\nheaders = {x-a = "aaaaaaaa", x-b = "bbbbbbbb"}\n')
    layers.write("project/pointsman.toml", '[providers.acme.headers]\nx-b = "BBBBBBBB"\n[providers.acme]\n[engine]\n')
    assert {key: value.value for key, value in layers.read().provider("acme").items()} == {
        "timeout": 7,
        "headers": {"x-a": "aaaaaaaa", "x-b": "BBBBBBBB"},
    }
    layers.write("project/pointsman.toml", '[providers.acme]\nheaders = "none"\n')
    assert layers.read().provider("acme")["headers"].value == "none"
    layers.table = {"providers": {"acme": {"headers": {"x-c": "cccccccc"}}}}
    assert layers.read().provider("acme")["headers"].value == {"x-c": "cccccccc"}
    assert layers.read().provider("acme")["timeout"].value == 7


tables = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@given(
    far=st.dictionaries(st.sampled_from("abc"), tables, max_size=3),
    near=st.dictionaries(st.sampled_from("abc"), tables, max_size=3),
)
def test_layers_merge_like_tables_of_tables(far: dict[str, Any], near: dict[str, Any]) -> None:
    """Against the plain recursive merge, where an empty table adds nothing to a table."""
    from pointsman.config.layers import flatten, nested, overlay

    def merged(below: Any, above: Any) -> Any:
        if isinstance(below, dict) and isinstance(above, dict):
            both = {**below, **above}
            return {key: merged(below[key], above[key]) if key in below and key in above else both[key] for key in both}
        return above

    one, two = (dict(flatten(table, Origin("argument"))) for table in (far, near))
    found = {key: value.value for key, value in nested(overlay(one, two)).items()}
    assert found == merged(far, near)


class _Room(BaseModel, frozen=True, extra="forbid"):
    beds: tuple[str, ...] = ()
    doors: int = 1


class _House(BaseModel, frozen=True, extra="forbid"):
    rooms: dict[str, _Room] = {}
    attic: _Room | None = None


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            {"rooms": {"blue": {"bed": 1}}},
            "[policy.rooms.blue] has no setting 'bed' (from argument): it has beds, doors;",
        ),
        ({"attic": {"bed": 1}}, "[policy.attic] has no setting 'bed' (from argument): it has "),
        ({"rooms": {"blue": {"beds": "a, b"}}}, '[policy] rooms.blue.beds (from argument): is a list: ["a", "b"]'),
        ({"rooms": {"blue": {"beds": ["a", 1]}}}, "[policy] rooms.blue.beds (from argument): is a list of texts: 1 is"),
        ({"rooms": {"blue": {"doors": 1.5}}}, "[policy] rooms.blue.doors (from argument): is a whole number, not 1.5"),
    ],
)
def test_a_mistake_in_a_table_of_a_table_is_named_with_its_place(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.of({"policy": table}).policy(_House)
    assert str(caught.value).startswith(said)


# Files that are not as they should be --------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["home/config.toml", "project/pointsman.toml"])
def test_a_mistake_in_a_file_is_shown_with_its_line(layers: Layers, file: str) -> None:
    path = layers.write(file, f'[providers.acme]\napi_key = "{KEY}"\ntimeout = = 5\n')
    with pytest.raises(ConfigError, match=r"is not valid TOML.*line 3, column 11") as caught:
        layers.read()
    assert str(path) in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None, "tomllib's error holds the whole text, and so the key"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[limits.one/any]\nrpm = 5\n", r'a name with a slash needs quotes: \[limits\."one/any"\]'),
        ("[ limits.a.b/c.d ] # per minute\nrpm = 5\n", r'needs quotes: \[limits\."a\.b/c\.d"\]'),
        ("[routing]\n[engine]\n[routing]\n", r"\[routing\] stands there twice: put all its settings below one of them"),
        ("[limits.a]\n[limits.a]\n", r"\[limits\.a\] stands there twice"),
        ("[engine]\nstall = 3\nstall = 5\n", r"line 3[^;]*\)$"),
    ],
)
def test_a_mistake_in_a_file_that_is_often_made_is_told_with_its_remedy(layers: Layers, text: str, hint: str) -> None:
    layers.write("project/pointsman.toml", text)
    with pytest.raises(ConfigError, match=rf"is not valid TOML: .*{hint}"):
        layers.read()


@pytest.mark.parametrize("file", ["home/config.toml", "project/pointsman.toml"])
def test_bytes_that_are_no_text(layers: Layers, file: str) -> None:
    path = layers.write(file, b"[engine]\ndeadline = 5 # caf\xe9\n" + KEY.encode())
    with pytest.raises(ConfigError, match=r"is not UTF-8 \(byte 27\)") as caught:
        layers.read()
    assert str(path) in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = " + "[" * 20_000, "is nested too deeply"),
        ("a = " + "{a=" * 20_000, "is nested too deeply"),
        ("[engine]\nretries = " + "9" * 5_000, "holds a number that is too long"),
        (".".join("a" * 2_000) + " = 1", "nested more than 32 deep"),
        (f"[{'.'.join('a' * 100)}]\nb = 1", "nested more than 32 deep"),
    ],
)
def test_what_is_too_much_for_a_reader_is_a_mistake_in_the_file(layers: Layers, text: str, said: str) -> None:
    path = layers.write("home/config.toml", text)
    with pytest.raises(ConfigError) as caught:
        layers.read()
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("file", ["home/config.toml", "project/pointsman.toml"])
def test_a_byte_order_mark_is_no_mistake(layers: Layers, file: str) -> None:
    layers.write(file, b"\xef\xbb\xbf[engine]\r\ndeadline = 5\r\n")
    assert layers.read().engine.deadline == 5


@pytest.mark.parametrize("file", ["home/config.toml", "project/pointsman.toml"])
def test_a_folder_where_a_file_should_be(layers: Layers, file: str) -> None:
    (layers.folder / file).mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory"):
        layers.read()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such pipes here")
@pytest.mark.parametrize("file", ["home/config.toml", "home/keys.toml", "project/pointsman.toml"])
def test_what_would_hang_or_never_end_is_no_file_of_settings(layers: Layers, file: str) -> None:
    layers.write("home/config.toml", "")
    path = layers.folder / file
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True, parents=True)
    os.mkfifo(path, 0o600)
    with pytest.raises(ConfigError, match="it is a pipe"):
        layers.read()
    path.unlink()
    path.write_text("#" * 2_000_000)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="longer than 1024 KiB"):
        layers.read()


def test_a_file_that_may_not_be_read(layers: Layers, monkeypatch: pytest.MonkeyPatch) -> None:
    path = layers.write("home/config.toml", "")
    path.chmod(0)
    if path.stat().st_mode & stat.S_IRUSR == 0:

        def refuse(path: object, *args: object) -> int:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(os, "open", refuse)  # root may read everything
    with pytest.raises(ConfigError, match=r"config\.toml cannot be read: Permission denied"):
        layers.read()


def test_a_chosen_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"POINTSMAN_CONFIG names .*typo\.toml, which does not exist"):
        Settings.discover({"POINTSMAN_CONFIG": str(tmp_path / "typo.toml")}, tmp_path)


def test_the_users_own_file_need_not_exist(layers: Layers) -> None:
    assert layers.read().engine.deadline is None


# What is not a setting -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"enginee": {"deadline": 5}}, r"\[enginee\] from argument is not a section: .*did you mean 'engine'\?"),
        ({"enginee": {}}, r"\[enginee\] from argument is not a section"),
        ({"deadline": 5}, r"\[deadline\] from argument is not a section"),
        ({"engine": 5}, r"engine from argument must be a table: \[engine\]"),
        ({"engine": [{"deadline": 5}]}, r"engine from argument must be a table: \[engine\]"),
        ({"providers": 5}, r"providers from argument must be a table: \[providers\.NAME\]"),
        ({"providers": {"lan": 5}}, r"providers\.lan from argument must be a table"),
        ({"limits": 5}, r"limits from argument must be a table: \[limits\.\"NAME\"\]"),
        ({"limits": {"rpm": 5}}, r"limits\.rpm from argument must be a table: \[limits\.\"NAME\"\]"),
        ({"limit": {"acme": {"rpm": 5}}}, r"\[limit\] from argument is not a section: .*did you mean 'limits'\?"),
    ],
)
def test_what_is_no_section_is_refused_at_once(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Settings.of(table)


@pytest.mark.parametrize(
    ("section", "settings", "said"),
    [
        ("engine", {"dedline": 5}, r"\[engine\] has no setting 'dedline' \(from argument\).*did you mean 'deadline'\?"),
        ("engine", {"deadline": -1}, r"\[engine\] deadline \(from argument\): is more than 0, not -1: .* the default$"),
        (
            "engine",
            {"deadline": "30s"},
            r"deadline \(from argument\): is a number without a unit, not '30s': write 30$",
        ),
        ("engine", {"deadline": "5m"}, r"deadline \(from argument\): is a number, not '5m'; times are in seconds$"),
        ("engine", {"min_speed": "9s"}, r"min_speed \(from argument\): is a number without a unit, not '9s': write 9$"),
        ("engine", {"deadline": [30]}, r"deadline \(from argument\): is a number, not a list$"),
        ("engine", {"max_wait": -1}, r"max_wait \(from argument\): is 0 or more, not -1$"),
        ("engine", {"retries": 0.5}, r"retries \(from argument\): is a whole number, not 0.5$"),
        ("engine", {"retries": float("inf")}, r"retries \(from argument\): is a finite number, not inf$"),
        ("engine", {"retries": "x" * 200}, r"retries \(from argument\): is a whole number, not 'x{20,50}\.\.\.$"),
        ("engine", {"deadline": True}, r"\[engine\] deadline \(from argument\): .*no switch|is not a switch"),
        ("engine", {"deadline": float("nan")}, r"deadline \(from argument\)"),
        ("engine", {"stall": {"x": 1}}, r"\[engine\] stall \(from argument\)"),
        ("engine", {"retries": -1}, r"retries \(from argument\)"),
        ("engine", {"max_attempts": 0}, r"max_attempts \(from argument\)"),
        ("engine", {"max_attempts": 1.5}, r"max_attempts \(from argument\)"),
        (
            "engine",
            {"on_break": "go on"},
            r"on_break \(from argument\): is one of raise, restart, continue, not 'go on'$",
        ),
        ("engine", {"on_break": "restrat"}, r"not 'restrat'; did you mean 'restart'\?$"),
        ("engine", {"on_break": 5}, r"is one of raise, restart, continue, not 5$"),
        ("engine", {"hedge": -0.1}, r"hedge \(from argument\)"),
        ("engine", {"hedge": 5}, r"hedge \(from argument\): is a share of calls, from 0 to 1: 5 is none"),
        ("engine", {"retry_budget": 1.01}, r"retry_budget \(from argument\): is a share of calls, .*: 1.01 is none"),
        ("engine", {"retry_budget": 20}, r"\[engine\] retry_budget \(from argument\): .*: 20 is none; 0.2 allows one"),
        ("engine", {"retry_budget": -0.1}, r"retry_budget \(from argument\): is a share of calls"),
        ("engine", {"retry_budget": float("nan")}, r"retry_budget \(from argument\): is a share of calls"),
        ("engine", {"retry_budget": float("inf")}, r"retry_budget \(from argument\): is a share of calls"),
        ("engine", {"retry_budget": "all"}, r"retry_budget \(from argument\): is a number, not 'all'"),
        ("engine", {"hedge": True}, r"hedge \(from argument\): .*is not a switch"),
        ("engine", {"health_checks": 0}, r"health_checks \(from argument\): is more than 0, not 0"),
        (
            "limits",
            {"acme/a": {"rpmm": 5}},
            r"\[limits\.\"acme/a\"\] has no setting 'rpmm' \(from argument\).*did you mean 'rpm'\?",
        ),
        (
            "limits",
            {"acme": {"rpm": 0}},
            r"\[limits\.\"acme\"\] rpm \(from argument\): is more than 0, not 0: leave it out for no limit$",
        ),
        ("limits", {"acme": {"concurrent": True}}, r"concurrent \(from argument\): .*is not a switch"),
        ("limits", {"acme": {"tpm": "many"}}, r"tpm \(from argument\): is a whole number, not 'many'$"),
        ("limits", {"acme": {"rpm": {"x": 1}}}, r"rpm \(from argument\)"),
        ("routing", {"targets": "acme/a"}, r"targets \(from argument\): is a list: \[\"acme/a\"\]$"),
        ("routing", {"targets": 5}, r"targets \(from argument\): is a list, not 5$"),
        ("routing", {"targets": ["acme/a", 5]}, r"targets \(from argument\): is a list of texts: 5 is none$"),
        ("routing", {"policy": ["in_order"]}, r"policy \(from argument\): is a text, not a list$"),
        ("routing", {"targets": ["acme"]}, r"'acme' is not a target: write provider/model"),
        ("routing", {"targets": ["acme/a", "b/b", "acme/a"]}, r"acme/a is named more than once"),
        ("plugins", {"wrapers": []}, r"did you mean 'wrappers'\?"),
    ],
)
def test_what_is_no_setting_is_refused_with_its_origin(section: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        getattr(Settings.of({section: settings}), section)


def test_a_share_of_calls_is_from_none_to_all() -> None:
    for share in (0, 0.2, 1, "1"):
        engine = Settings.of({"engine": {"retry_budget": share, "hedge": share}}).engine
        assert engine.retry_budget == engine.hedge == float(share)


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("POINTSMAN_ENGINE_DEADLINE", "soon", r"deadline \(from environment POINTSMAN_ENGINE_DEADLINE\)"),
        ("POINTSMAN_ENGINE_DEDLINE", "5", r"'dedline' \(from environment POINTSMAN_ENGINE_DEDLINE\).*did you mean"),
    ],
)
def test_variables_are_held_to_the_same(variable: str, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        _ = Settings.of({}, {variable: text}).engine


def test_an_empty_variable_is_none() -> None:
    settings = Settings.of({}, {"POINTSMAN_ENGINE_DEADLINE": " ", "POINTSMAN_ROUTING_TARGETS": ""})
    assert (settings.engine.deadline, settings.routing.targets) == (None, ())


def test_endless_patience_can_be_written() -> None:
    assert Settings.of({}, {"POINTSMAN_ENGINE_STALL": "inf"}).engine.stall == float("inf")


# Limits --------------------------------------------------------------------------------------------------------------


def test_limits_are_for_providers_and_for_targets() -> None:
    settings = Settings.of({"limits": {"acme": {"concurrent": 4}, "acme/a/b": {"rpm": 60, "tpm": 1000}, "idle": {}}})
    assert {name: dict(limit) for name, limit in settings.limits.items()} == {
        "acme": {"concurrent": 4, "rpm": None, "tpm": None},
        "acme/a/b": {"concurrent": None, "rpm": 60, "tpm": 1000},
        "idle": {"concurrent": None, "rpm": None, "tpm": None},
    }


def test_limits_of_layers_are_merged(layers: Layers) -> None:
    layers.write("home/config.toml", '[limits."acme/a"]\nrpm = 60\nconcurrent = 2\n')
    path = layers.write("project/pointsman.toml", '[limits."acme/a"]\nrpm = 30\n[limits.acme]\ntpm = "x"\n')
    with pytest.raises(ConfigError, match=r'\[limits\."acme"\] tpm \(from project file .*pointsman\.toml\)'):
        _ = layers.read().limits
    path.write_text('[limits."acme/a"]\nrpm = 30\n')
    limit = layers.read().limits["acme/a"]
    assert (limit.rpm, limit.concurrent) == (30, 2)


def limited_client(name: str) -> AsyncClient:
    plugins = Plugins.of(providers={"acme": ScriptedProvider("acme")})
    return AsyncClient(settings=Settings.of({"limits": {name: {"rpm": 60}}}), plugins=plugins)


@pytest.mark.parametrize("name", ["acmee", "acmee/a"])
async def test_a_limit_on_nobody_is_refused_when_the_client_is_opened(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await limited_client(name).__aenter__()
    assert str(caught.value) == (
        f"[limits.\"{name}\"]: no provider is called 'acmee': there is acme; did you mean 'acme'?"
    )


@pytest.mark.parametrize("name", ["acme", "acme/scripted-1", "acme/not-listed"])
async def test_a_limit_on_somebody_is_taken(name: str) -> None:
    async with limited_client(name) as client:
        assert (await client.chat("hi")).text == "ok"


# Providers -----------------------------------------------------------------------------------------------------------


def test_a_provider_of_another_name_has_variables_of_its_own() -> None:
    settings = Settings.of(
        {"providers": {"my-lan.2": {"plugin": "local", "base_url": "http://10.0.0.2"}}},
        {"POINTSMAN_MY_LAN_2_API_KEY": KEY, "POINTSMAN_LOCAL_API_KEY": OTHER},
    )
    made = configure("my-lan.2", LOCAL, settings, ["my-lan.2", "local"])
    assert made.secrets["api_key"].get_secret_value() == KEY
    assert made.origins["api_key"] == Origin("environment", "POINTSMAN_MY_LAN_2_API_KEY")
    assert own_variable("my-lan.2", "api_key") == "POINTSMAN_MY_LAN_2_API_KEY"


def test_the_longest_name_has_the_variable() -> None:
    environ = {"POINTSMAN_OPENAI_API_KEY": KEY, "POINTSMAN_OPENAI_COMPATIBLE_API_KEY": OTHER}
    known = ["openai", "openai-compatible"]
    settings = Settings.of({}, environ)
    short, long = (configure(name, spec_of(name), settings, known) for name in known)
    assert short.secrets["api_key"].get_secret_value() == KEY
    assert long.secrets["api_key"].get_secret_value() == OTHER
    with pytest.raises(ConfigError, match=r"no setting is called 'compatible_api_key'"):
        configure("openai", spec_of("openai"), settings, ["openai"])


@pytest.mark.parametrize("twin", ["a-b", "a_b", "A.B"])
def test_two_providers_that_would_share_their_variables_are_refused(twin: str) -> None:
    tables = {name: {"base_url": "http://127.0.0.1:1"} for name in ("a.b", twin)}
    settings = Settings.of({"providers": tables}, {})
    with pytest.raises(ConfigError) as caught:
        configure("a.b", spec_of("a.b"), settings, ["a.b", twin])
    assert f"[providers.a.b] and [providers.{twin}] would share the variables POINTSMAN_A_B_" in str(caught.value)
    assert not caught.value.missing


def test_a_twin_that_nobody_configured_is_no_obstacle() -> None:
    settings = Settings.of({"providers": {"a-b": {"base_url": "http://127.0.0.1:1", "api_key": KEY}}}, {})
    assert configure("a-b", spec_of("a-b"), settings, ["a-b", "a_b"]).name == "a-b"


def test_files_are_named_there_or_not(layers: Layers, tmp_path: Path) -> None:
    from pointsman.config.settings import files

    environ = {"POINTSMAN_CONFIG": str(tmp_path / "mine.toml")}
    assert [origin.kind for origin in files(environ, tmp_path / "nowhere")][:2] == ["user file", "keys file"]
    assert [origin.where for origin in files(environ, tmp_path)][:2] == [
        str(tmp_path / "mine.toml"),
        str(tmp_path / "keys.toml"),
    ]


def test_layers_that_are_at_hand_are_read_like_files() -> None:
    far, near = Origin("user file", "far"), Origin("project file", "near")
    settings = Settings.layered(
        [(far, {"engine": {"stall": 1, "retries": 2}}), (near, {"engine": {"stall": 3}})],
        {"POINTSMAN_ENGINE_DEADLINE": "4"},
    )
    assert {path: (value.value, value.origin.kind) for path, value in settings} == {
        ("engine", "deadline"): ("4", "environment"),
        ("engine", "retries"): (2, "user file"),
        ("engine", "stall"): (3, "project file"),
    }


def test_variables_hold_lists_and_tables_too() -> None:
    made = acme(
        environ={
            "POINTSMAN_ACME_API_KEY": KEY,
            "POINTSMAN_ACME_DEFAULT_MODELS": "a, b,",
            "POINTSMAN_ACME_HEADERS": '{"x-team": "team-secret"}',
            "ACME_WORKSPACE": " ours ",
        }
    )
    assert made.config.default_models == ("a", "b")  # type: ignore[attr-defined]
    assert made.config.headers["x-team"].get_secret_value() == "team-secret"  # type: ignore[attr-defined]
    assert made.config.workspace == "ours"  # type: ignore[attr-defined]
    assert made.origins["workspace"] == Origin("environment", "ACME_WORKSPACE")
    assert made.hidden == {KEY, "team-secret"}


@pytest.mark.parametrize(
    ("table", "environ", "missing", "said"),
    [
        (
            {},
            {},
            True,
            r"acme: no api_key: set ACME_API_KEY or POINTSMAN_ACME_API_KEY, or api_key under \[providers\.acme\]\. "
            r"Make a key at https://acme\.example/keys\.",
        ),
        ({}, {"ACME_API_KEY": "  "}, True, r"no api_key"),
        (
            {"api_key": KEY, "timout": 5},
            {},
            False,
            r"no setting is called 'timout' \(argument\).*did you mean 'timeout'",
        ),
        ({"timeout": "soon"}, {"ACME_API_KEY": KEY}, False, r"timeout \(argument\): .*number"),
        (
            {},
            {"ACME_API_KEY": KEY, "POINTSMAN_ACME_TIMEOUT": "soon"},
            False,
            r"timeout \(environment POINTSMAN_ACME_TIMEOUT\)",
        ),
        ({"api_key": 5}, {}, False, r"api_key \(argument\): "),
        ({"api_key": "short"}, {}, False, r"acme: api_key from argument is shorter than 8"),
        ({"api_key": ""}, {}, False, r"acme: api_key from argument is empty"),
        ({}, {"ACME_API_KEY": "two words and more"}, False, r"api_key from environment ACME_API_KEY contains a space"),
        ({}, {"ACME_API_KEY": "line\nline12345"}, False, r"a space, a line break"),
        ({}, {"ACME_API_KEY": "schlüssel12345"}, False, r"another character that no key has"),
        (
            {"base_url": "http://nobody", "api_key": KEY},
            {},
            False,
            r"acme: base_url \(argument\): nobody is not there$",
        ),
        ({"base_url": "http://[::1"}, {"ACME_API_KEY": KEY}, False, r"base_url \(argument\) is not an address"),
        ({"base_url": "https://e.example\\@api.acme.example"}, {}, False, r"base_url \(argument\) is not an address"),
    ],
)
def test_what_is_wrong_with_a_provider(
    table: dict[str, Any], environ: dict[str, str], missing: bool, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        acme(table, environ)
    assert caught.value.missing is missing
    assert caught.value.provider == "acme"
    assert caught.value.__cause__ is None
    assert not isinstance(caught.value.__context__, ValidationError), "it holds every value, and so the key"
    for value in (KEY, "two words and more", "schlüssel12345"):
        assert value not in str(caught.value)


class PairConfig(AcmeConfig, frozen=True):
    user: str | None = None
    password: SecretStr | None = Field(default=None, validate_default=True)

    @field_validator("password")
    @classmethod
    def _both(cls, password: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if info.data["user"] and not password:
            raise PydanticKnownError("missing")
        return password


def test_how_to_begin_is_not_said_where_only_a_second_half_is_missing() -> None:
    pair = spec_of("acme", PairConfig, help="Make a key.")
    with pytest.raises(ConfigError, match=r"^acme: no password: .*\[providers\.acme\]$") as caught:
        acme({"api_key": KEY, "user": "me"}, spec=pair)
    assert caught.value.missing
    with pytest.raises(ConfigError, match=r"no api_key: .*no password: .*\. Make a key\.$"):
        acme({"user": "me"}, spec=pair)


@pytest.mark.parametrize("key", ["wrong-0123456789", "wrong-with space"])
def test_a_validator_that_quotes_a_key_is_not_passed_on(key: str) -> None:
    settings = Settings.of({"providers": {"local": {"base_url": "http://127.0.0.1", "api_key": key}}})
    with pytest.raises(ConfigError, match=r"local: api_key \(argument\): its value does not fit") as caught:
        configure("local", LOCAL, settings, ["local"])
    assert key not in repr(caught.value)


def test_keys_are_stripped_wherever_they_come_from() -> None:
    for made in (
        acme({"api_key": f" {KEY}\n"}),
        acme(environ={"ACME_API_KEY": f"{KEY}\r\n"}),
        acme(environ={"POINTSMAN_ACME_API_KEY": f"\t{KEY}"}),
    ):
        assert made.secrets["api_key"].get_secret_value() == KEY


def test_nothing_that_was_read_shows_a_key() -> None:
    settings = Settings.of({"providers": {"acme": {"api_key": KEY}}})
    made = acme({"api_key": KEY, "headers": {"x": OTHER}})
    for shown in (repr(settings.provider("acme")), repr(made), str(made), repr(made.config), repr(vars(settings))):
        assert KEY not in shown
        assert OTHER not in shown


def test_a_key_that_is_plain_text_is_the_plugins_mistake() -> None:
    class Careless(BaseModel):
        api_key: str
        base_url: str = "https://api.acme.example"

    with pytest.raises(PluginError, match=r"plugin acme: its setting api_key holds a key, so it must be a SecretStr"):
        acme({"api_key": KEY}, spec=spec_of("acme", Careless))


# Where keys may go ---------------------------------------------------------------------------------------------------


def test_our_variable_goes_before_the_vendors() -> None:
    environ = {"ACME_API_KEY": OTHER, "POINTSMAN_ACME_API_KEY": KEY}
    assert acme(environ=environ).secrets["api_key"].get_secret_value() == KEY
    assert acme({"api_key": KEY}, {"ACME_API_KEY": OTHER}).secrets["api_key"].get_secret_value() == KEY
    assert acme(environ={"ACME_API_KEY": OTHER}).origins["api_key"] == Origin("environment", "ACME_API_KEY")


@pytest.mark.parametrize("file", ["home/config.toml", "home/keys.toml", "project/pointsman.toml"])
def test_the_environment_goes_before_files_in_the_vendors_variables_too(layers: Layers, file: str) -> None:
    layers.write("home/config.toml", "")
    tables = "[providers.acme]\napi_key = '{0}'\n[providers.work]\nplugin = 'acme'\napi_key = '{0}'\n"
    layers.write(file, tables.format("in-a-file-0123")).chmod(0o600)
    layers.environ["ACME_API_KEY"] = KEY
    settings = layers.read()
    keys = [configure(name, ACME, settings, ["acme", "work"]).secrets["api_key"] for name in ("acme", "work")]
    assert [key.get_secret_value() for key in keys] == [KEY, "in-a-file-0123"], "a second one is another account"


def test_a_key_in_a_file_stays_where_the_vendors_variable_may_not_go(layers: Layers) -> None:
    layers.write(
        "home/config.toml", "[providers.acme]\nbase_url = 'https://own.example/v1'\napi_key = 'own-key-0123'\n"
    )
    layers.environ["ACME_API_KEY"] = KEY
    made = configure("acme", ACME, layers.read(), ["acme"])
    assert made.secrets["api_key"].get_secret_value() == "own-key-0123"
    assert made.warnings == ()


THEIRS = [
    "https://api.acme.example",
    "https://API.ACME.EXAMPLE/v2",
    "https://api.acme.example.:443/v1",
    "https://api.acme.example:8443/v1",
    "HTTPS://api.acme.example",
]
NOT_THEIRS = {
    "https://evil.example/v1": "evil.example, which base_url names",
    "https://api.acme.example@evil.example/": "evil.example, which base_url names",
    "https://api.acme.example:pw@evil.example:443/": "evil.example, which base_url names",
    "https://api.acme.example.evil.example/": "api.acme.example.evil.example, which base_url names",
    "https://x.api.acme.example/": "x.api.acme.example, which base_url names",
    "https://not-api.acme.example/": "not-api.acme.example, which base_url names",
    "https://evil.example/api.acme.example": "evil.example, which base_url names",
    "https://evil.example?@api.acme.example": "evil.example, which base_url names",
    "https://evil.example#@api.acme.example": "evil.example, which base_url names",
    "https://[2001:db8::1]/v1": "2001:db8::1, which base_url names",
    "http://127.0.0.1:8000": "127.0.0.1, which base_url names",
    "http://api.acme.example/v1": "api.acme.example unencrypted",
    "https://xn--pi-xka.acme.example": "xn--pi-xka.acme.example, which base_url names",
    "https://": "an unnamed host",
}


@pytest.mark.parametrize("address", THEIRS)
def test_a_vendors_key_goes_to_its_vendor(address: str) -> None:
    made = acme({"base_url": address}, {"ACME_API_KEY": KEY})
    assert made.secrets["api_key"].get_secret_value() == KEY
    assert made.warnings == ()


@pytest.mark.parametrize("address", NOT_THEIRS)
def test_a_vendors_key_goes_nowhere_else(address: str) -> None:
    with pytest.raises(ConfigError, match=r"no api_key") as caught:
        acme({"base_url": address}, {"ACME_API_KEY": KEY})
    assert f"ACME_API_KEY is not sent to {NOT_THEIRS[address]}" in str(caught.value)
    assert "set POINTSMAN_ACME_API_KEY if it is meant for it" in str(caught.value)
    assert KEY not in str(caught.value)
    ours = acme({"base_url": address}, {"ACME_API_KEY": KEY, "POINTSMAN_ACME_API_KEY": OTHER})
    assert ours.secrets["api_key"].get_secret_value() == OTHER
    assert ours.warnings == (), "whoever set our own variable meant it"


def test_a_vendors_key_that_is_not_needed_is_dropped_with_a_warning() -> None:
    settings = Settings.of({"providers": {"local": {"base_url": "http://10.0.0.2/v1"}}}, {"LOCAL_API_KEY": KEY})
    made = configure("local", LOCAL, settings, ["local"])
    assert made.secrets == {}
    assert made.warnings == (
        "local: LOCAL_API_KEY is not sent to 10.0.0.2, which base_url names; "
        "set POINTSMAN_LOCAL_API_KEY if it is meant for it",
    )


def test_an_address_and_a_key_in_the_vendors_own_variables_belong_together() -> None:
    settings = Settings.of({}, {"LOCAL_HOST": "http://10.0.0.2:11434", "LOCAL_API_KEY": KEY})
    made = configure("local", LOCAL, settings, ["local"])
    assert made.secrets["api_key"].get_secret_value() == KEY
    assert made.origins["base_url"] == Origin("environment", "LOCAL_HOST")


def test_a_plugin_that_hides_where_a_key_goes_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"would send a key to api\.acme\.example, which its hosts do not name"):
        acme({"api_key": KEY}, spec=spec_of("acme", hosts=("acme.example",)))


def test_short_keys_are_for_loopback_servers() -> None:
    made = acme({"base_url": "http://127.0.0.1:8000", "api_key": "lab"})
    assert made.secrets["api_key"].get_secret_value() == "lab"


@pytest.mark.parametrize("key_in", ["environment", "user file", "project file"])
def test_a_project_file_cannot_lure_a_key_to_another_host(layers: Layers, key_in: str) -> None:
    """Whoever enters a stranger's folder must not send the stranger a key of their own."""
    table = '[providers.acme]\nbase_url = "https://evil.example/v1"\n'
    mine = 'api_key = "mine-0123456789"\n'
    layers.write("project/pointsman.toml", table + (mine if key_in == "project file" else ""))
    if key_in == "user file":
        layers.write("home/config.toml", "[providers.acme]\n" + mine)
    if key_in == "environment":
        layers.environ["POINTSMAN_ACME_API_KEY"] = "mine-0123456789"
    if key_in == "project file":
        assert configure("acme", ACME, layers.read(), ["acme"]).secrets["api_key"]
        return
    with pytest.raises(ConfigError, match=r"not sent to evil\.example.*POINTSMAN_ACME_BASE_URL") as caught:
        configure("acme", ACME, layers.read(), ["acme"])
    assert "mine-0123456789" not in str(caught.value)
    layers.environ["POINTSMAN_ACME_BASE_URL"] = "https://evil.example/v1"
    assert configure("acme", ACME, layers.read(), ["acme"]).secrets["api_key"], "meant by the user, in so many words"


def test_nor_by_any_other_setting_that_is_an_address(layers: Layers) -> None:
    class Planes(AcmeConfig, frozen=True):
        control_url: str = "https://control.acme.example"

    spec = spec_of("acme", Planes, addresses=("control_url",))
    layers.write("project/pointsman.toml", '[providers.acme]\ncontrol_url = "https://evil.example/v0"\n')
    layers.environ["ACME_API_KEY"] = "mine-0123456789"
    with pytest.raises(ConfigError, match=r"not sent to evil\.example.*POINTSMAN_ACME_CONTROL_URL") as caught:
        configure("acme", spec, layers.read(), ["acme"])
    assert "mine-0123456789" not in str(caught.value)
    layers.environ["POINTSMAN_ACME_CONTROL_URL"] = "https://evil.example/v0"
    assert configure("acme", spec, layers.read(), ["acme"]).secrets["api_key"]


@pytest.mark.parametrize("theirs", ["", 'x-b = "theirs"\n'])
def test_nor_what_a_table_of_the_user_holds(layers: Layers, theirs: str) -> None:
    class Tables(BaseModel, frozen=True, extra="forbid"):
        base_url: str = "https://api.acme.example"
        headers: Mapping[str, SecretStr] = {}

    spec = spec_of("acme", Tables)
    evil = '[providers.acme]\nbase_url = "https://evil.example/v1"\n[providers.acme.headers]\n' + theirs
    layers.write("project/pointsman.toml", evil)
    layers.write("home/config.toml", '[providers.acme.headers]\nx-a = "mine-0123456789"\n')
    with pytest.raises(ConfigError, match=r"headers from user file .* is not sent to evil\.example") as caught:
        configure("acme", spec, layers.read(), ["acme"])
    assert "mine-0123456789" not in str(caught.value)
    layers.write("home/config.toml", "")
    assert configure("acme", spec, layers.read(), ["acme"]).origins["base_url"].kind == "project file"
