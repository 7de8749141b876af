"""What the command lends to verbs of other packages: settings are written all or none, and keys where only their user
reads."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from pointsman import ConfigError
from pointsman_cli.app import cli
from pointsman_cli.host import host
from pointsman_cli.settings.toml_file import write

Invoke = Callable[..., Result]
LAN = '# the office\n[providers.lan]\nplugin = "openai-compatible"  # vLLM\nbase_url = "http://127.0.0.1:1/v1"\n'

PLUGIN = """
from pointsman import CommandSpec, hookimpl
@hookimpl
def pointsman_commands():
    return [CommandSpec("erect", "Set a server up.", "stranger_command:erect")]
"""
COMMAND = """
import click
@click.command()
@click.argument("base_url")
@click.pass_obj
def erect(host, base_url):
    where = host.store_settings("lan", {"plugin": "openai-compatible", "base_url": base_url, "default_models": ["m"]})
    host.store_keys("lan", {"api_key": "sk-of-the-server-4711"})
    click.echo(where)
"""
ERECT = {"pointsman.commands": {"erect": "stranger_plugin"}}


@pytest.fixture
def folder(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's files are to be."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(nowhere / "home"))
    return nowhere / "home" / "pointsman"


def test_a_strangers_verb_sets_a_provider_up(run: Any, folder: Path, stranger: Any) -> None:
    env = stranger(ERECT, stranger_plugin=PLUGIN, stranger_command=COMMAND)
    done = run("erect", "http://127.0.0.1:1/v1", env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{folder / 'config.toml'}\n", "")
    assert tomllib.loads((folder / "config.toml").read_text()) == {
        "providers": {
            "lan": {"plugin": "openai-compatible", "base_url": "http://127.0.0.1:1/v1", "default_models": ["m"]}
        }
    }
    assert tomllib.loads((folder / "keys.toml").read_text()) == {
        "providers": {"lan": {"api_key": "sk-of-the-server-4711"}}
    }
    assert stat.S_IMODE((folder / "keys.toml").stat().st_mode) == 0o600
    wrong = run("erect", "no address", env=env)
    assert wrong.returncode == 2
    assert "base_url" in wrong.stderr
    assert (folder / "config.toml").read_text().count("127.0.0.1") == 1


def test_comments_stay_and_none_removes(folder: Path) -> None:
    write(folder / "config.toml", LAN + "connect_timeout = 3\n\n[engine]\nstall = 9 # s\n")
    host().store_settings("lan", {"base_url": "http://127.0.0.1:2/v1", "connect_timeout": None, "capabilities": None})
    text = (folder / "config.toml").read_text()
    assert text == LAN.replace(":1/", ":2/") + "\n[engine]\nstall = 9 # s\n"


def test_the_last_setting_that_is_removed_takes_its_table_along(folder: Path) -> None:
    write(folder / "config.toml", LAN)
    host().store_settings("lan", {"plugin": None, "base_url": None})
    assert tomllib.loads((folder / "config.toml").read_text()) == {}


@pytest.mark.parametrize(
    ("provider", "values", "says"),
    [
        ("lan", {"base_url": "http://127.0.0.1:2/v1", "connect_timeout": -1}, "connect_timeout"),
        ("lan", {"base_url": "http://127.0.0.1:2/v1", "conect_timeout": 3}, "did you mean 'connect_timeout'"),
        ("lan", {"base_url": "http://127.0.0.1:2/v1", "api_key": "sk-of-the-server-4711"}, "keys set lan"),
        ("lan", {"base_url": "http://127.0.0.1:2/v1", "connect_timeout": object()}, "no object"),
        ("nobody", {"base_url": "http://127.0.0.1:2/v1"}, "nobody"),
        ("nobody", {"plugin": "not-there", "base_url": "http://127.0.0.1:2/v1"}, "not-there"),
    ],
)
def test_all_or_none(folder: Path, provider: str, values: dict[str, Any], says: str) -> None:
    write(folder / "config.toml", LAN)
    with pytest.raises(ConfigError) as caught:
        host().store_settings(provider, values)
    assert says in str(caught.value)
    assert "sk-of" not in str(caught.value)
    assert (folder / "config.toml").read_text() == LAN


@pytest.mark.parametrize("text", ["[providers\n", "providers = 3\n"])
def test_a_file_that_is_broken_is_left_alone(folder: Path, text: str) -> None:
    write(folder / "config.toml", text)
    with pytest.raises(ConfigError):
        host().store_settings("openai-compatible", {"base_url": "http://127.0.0.1:2/v1"})
    assert (folder / "config.toml").read_text() == text


def test_a_file_that_cannot_be_written_is_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "config.toml", LAN)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        host().store_settings("lan", {"base_url": "http://127.0.0.1:2/v1"})
    assert [path.name for path in folder.iterdir()] == ["config.toml"]
    assert (folder / "config.toml").read_text() == LAN


def test_what_goes_before_the_file_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POINTSMAN_OPENAI_COMPATIBLE_BASE_URL", "http://127.0.0.1:9/v1")
    host().store_settings("openai-compatible", {"base_url": "http://127.0.0.1:2/v1", "connect_timeout": 3})
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("providers.openai-compatible.base_url has no effect here:")
    assert "unset POINTSMAN_OPENAI_COMPATIBLE_BASE_URL" in line


@pytest.mark.parametrize(
    ("setting", "key", "says"),
    [("api_key", "a b", "a space"), ("api_key", "", "is empty"), ("base_url", "sk-of-the-server", "holds no key")],
)
def test_what_can_be_no_key_is_not_kept(folder: Path, setting: str, key: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        host().store_keys("openai-compatible", {setting: key})
    assert not (folder / "keys.toml").exists()


def test_of_two_halves_none_is_kept_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a token is worse than none: it is refused, and with it what needs no token."""
    with pytest.raises(ConfigError, match="headers"):
        host().store_keys("openai-compatible", {"api_key": "sk-of-the-server", "headers.x-key": "a\nb"})
    assert not (folder / "keys.toml").exists()
    written: list[str] = []
    monkeypatch.setattr("pointsman_cli.keys.store.write", lambda path, text, **_: written.append(text))
    host().store_keys("openai-compatible", {"api_key": "sk-of-the-server", "headers.x-key": "of-the-office"})
    (text,) = written
    kept = {"api_key": "sk-of-the-server", "headers": {"x-key": "of-the-office"}}
    assert tomllib.loads(text)["providers"]["openai-compatible"] == kept


def test_a_caller_may_bring_a_host_of_its_own(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import click

    seen: list[object] = []

    @click.command()
    @click.pass_obj
    def look(obj: object) -> None:
        seen.append(obj)

    monkeypatch.setitem(cli.commands, "look", look)
    monkeypatch.setattr(type(cli), "get_command", lambda self, ctx, name: self.commands.get(name))
    mine = object()
    assert CliRunner().invoke(cli, ["look"], obj=mine).exit_code == 0
    assert CliRunner().invoke(cli, ["look"]).exit_code == 0
    assert seen[0] is mine
    assert type(seen[1]) is type(host())


plain = st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]))


@given(
    before=st.dictionaries(st.sampled_from("abcdef"), plain | st.lists(plain)),
    values=st.dictionaries(st.sampled_from("abcdef"), st.none() | plain | st.lists(plain)),
)
def test_what_is_stored_is_what_was_meant(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, Any], values: dict[str, Any]
) -> None:
    """Of a provider whose plugin is not told yet, any setting is taken: the file then says just that."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_CONFIG_HOME", str(folder))
        patch.setattr("pointsman_cli.settings.several.refuse_new_problems", lambda before, after: None)
        first = {name: value for name, value in before.items() if value is not None}
        host().store_settings("some", first)
        host().store_settings("some", values)
        file = folder / "pointsman" / "config.toml"
        said = tomllib.loads(file.read_text()) if file.exists() else {}
    meant = {name: value for name, value in {**first, **values}.items() if value is not None}
    assert said == ({"providers": {"some": meant}} if meant else {})
