"""`pointsman config`: every setting with its origin, and changing one without harm to the file it stands in."""

from __future__ import annotations

import json
import os
import stat
import sys
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from pointsman import ConfigError
from pointsman_cli.settings.names import dotted, parse
from pointsman_cli.settings.toml_file import TomlFile, write

Invoke = Callable[..., Result]
KEY = "sk-a-key-that-nobody-may-see-4711"


@pytest.fixture
def own(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own file, which is not there yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(nowhere / "home"))
    return nowhere / "home" / "pointsman" / "config.toml"


def settings(done: Result) -> dict[str, Any]:
    return {one["key"]: one for one in json.loads(done.stdout)["settings"]}


def test_every_setting_is_shown_with_its_origin(invoke: Invoke, place: Path, own: Path, valid: Any) -> None:
    invoke("config", "set", "engine.stall", "30")
    done = invoke("config", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    valid("config.json", json.loads(done.stdout))
    found = settings(done)
    assert found["engine.stall"]["value"] == 30
    assert found["engine.stall"]["origin"] == {"kind": "user file", "where": str(own)}
    assert found["engine.retries"]["origin"] == {"kind": "default", "where": None}
    assert found["routing.targets"]["value"] == ["a/m1", "b/m1"]
    assert found["routing.targets"]["origin"]["kind"] == "project file"
    assert found["providers.a.plugin"]["value"] == "openai-compatible"
    assert found["providers.a.api_key"] == {
        "key": "providers.a.api_key",
        "value": "***",
        "origin": {"kind": "environment", "where": "POINTSMAN_A_API_KEY"},
        "secret": True,
    }
    assert invoke("config", "show", "--json").stdout == done.stdout
    assert "engine.stall\t30.0\tuser file" in invoke("config").stdout


def test_secrets_are_never_shown_also_of_a_provider_that_is_wrong(invoke: Invoke, own: Path) -> None:
    write(
        own,
        f'[providers.lan]\nplugin = "not-there"\napi_key = "{KEY}"\ntoken = "{KEY}"\nheaders = {{ x-a = "{KEY}" }}\n'
        f'[providers.sambanova]\napi_key = "{KEY}"\napikey = "{KEY}"\n[providers.openai-compatible]\n'
        f'base_url = "http://127.0.0.1:1/v1"\nheaders = {{ authorization = "Bearer {KEY}" }}\n',
    )
    for args in (["config"], ["config", "--json"], ["config", "get", "providers.sambanova.api_key"], ["keys", "list"]):
        done = invoke(*args)
        assert KEY not in done.stdout + done.stderr
    assert "authorization" in invoke("config").stdout


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("engine.deadline", "60", 60),
        ("engine.stall", "2.5", 2.5),
        ("engine.on_break", "restart", "restart"),
        ("routing.targets", "sambanova/gpt-oss-120b, ollama/x", ["sambanova/gpt-oss-120b", "ollama/x"]),
        ("plugins.disable", "5", ["5"]),
        ("routing.policy", "5", "5"),
        ("providers.sambanova.base_url", "http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1"),
    ],
)
def test_set_writes_what_get_reads(invoke: Invoke, own: Path, key: str, text: str, value: object, valid: Any) -> None:
    done = invoke("config", "set", key, text, "--json")
    assert done.exit_code == 0, done.output
    valid("change.json", json.loads(done.stdout))
    section, *_, name = key.split(".")
    table = tomllib.loads(own.read_text())[section]
    assert (table["sambanova"] if section == "providers" else table)[name] == value
    got = invoke("config", "get", key, "--json")
    valid("config.json", json.loads(got.stdout))
    assert settings(got)[key]["value"] == value


@pytest.mark.parametrize("key", ["providers.a.capabilities", "providers.a.default_models", "plugins.disable"])
def test_what_is_empty_is_shown_as_it_may_be_set(invoke: Invoke, place: Path, own: Path, key: str, valid: Any) -> None:
    assert f"{key}\t[]\tdefault" in invoke("config").stdout
    got = invoke("config", "get", key, "--json")
    valid("config.json", json.loads(got.stdout))
    assert settings(got)[key]["value"] == []
    assert invoke("config", "get", key).stdout == "\n"
    assert invoke("config", "set", key, "[]").exit_code == 0
    assert settings(invoke("config", "get", key, "--json"))[key] == {
        "key": key,
        "value": [],
        "origin": {"kind": "user file", "where": str(own)},
        "secret": False,
    }


def test_limits_are_set_shown_and_unset(invoke: Invoke, own: Path, valid: Any) -> None:
    name = 'limits."sambanova/a.b"'
    done = invoke("config", "set", f"{name}.rpm", "60", "--json")
    assert done.exit_code == 0, done.output
    valid("change.json", json.loads(done.stdout))
    assert tomllib.loads(own.read_text()) == {"limits": {"sambanova/a.b": {"rpm": 60}}}
    assert invoke("config", "get", f"{name}.rpm").stdout == "60\n"
    assert invoke("config", "get", f"{name}.tpm").stdout == ""
    shown = invoke("config", "--json")
    valid("config.json", json.loads(shown.stdout))
    assert settings(shown)[f"{name}.rpm"]["origin"] == {"kind": "user file", "where": str(own)}
    assert settings(shown)[f"{name}.tpm"] == {
        "key": f"{name}.tpm",
        "value": None,
        "origin": {"kind": "default", "where": None},
        "secret": False,
    }
    assert invoke("config", "unset", f"{name}.rpm").exit_code == 0
    assert "limits" not in invoke("config").stdout


def test_a_price_is_written_as_a_whole(invoke: Invoke, own: Path, valid: Any) -> None:
    name = 'prices."sambanova/a.b"'
    half = invoke("config", "set", f"{name}.input", "0.2")
    assert half.exit_code == 2
    assert f"pointsman config set '{name}' '{{ input = 1, output = 4 }}'" in half.stderr
    done = invoke("config", "set", name, "{ input = 0.2, output = 1, as_of = 2026-11-01 }", "--json")
    assert done.exit_code == 0, done.output
    valid("change.json", json.loads(done.stdout))
    assert settings(done)[f"{name}.input"]["value"] == 0.2
    assert own.read_text().startswith(f"[{name}]\n")
    assert tomllib.loads(own.read_text()) == {
        "prices": {"sambanova/a.b": {"input": 0.2, "output": 1, "as_of": date(2026, 11, 1)}}
    }
    assert f"{name} = {{ input = 3, output = 4 }}" in invoke("config", "set", name, "{ input = 3, output = 4 }").stderr
    assert invoke("config", "set", f"{name}.input", "2").exit_code == 0
    assert invoke("config", "get", f"{name}.input").stdout == "2\n"
    assert invoke("config", "unset", name).exit_code == 0
    assert "prices" not in invoke("config").stdout


def test_a_limit_keeps_its_provider(invoke: Invoke, own: Path) -> None:
    write(own, '[providers.lan]\nplugin = "openai-compatible"\n[limits."lan/x"]\nrpm = 5\n')
    done = invoke("config", "unset", "providers.lan")
    assert done.exit_code == 2
    assert "[limits.\"lan/x\"]: no provider is called 'lan'" in done.stderr


def test_a_new_file_is_the_users_alone(invoke: Invoke, own: Path) -> None:
    assert invoke("config", "set", "engine.stall", "30").exit_code == 0
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    assert stat.S_IMODE(own.parent.stat().st_mode) == 0o700
    assert [path.name for path in own.parent.iterdir()] == ["config.toml"]


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("engine.stal", "3", "did you mean 'stall'"),
        ("engin.stall", "3", "did you mean 'engine'"),
        ("engine", "3", "is a table"),
        ("engine.stall.x", "3", "no table"),
        ("stall", "3", "not a section"),
        ("engine.stall", "soon", "is a number, not 'soon'"),
        ("engine.stall", "-3", "is more than 0, not "),
        ("engine.on_break", "restrt", "not 'restrt'; did you mean 'restart'?"),
        ("routing.targets", "no-target", "write provider/model"),
        ('limits."a/m1".rpmm', "3", "did you mean 'rpm'"),
        ('limits."a/m1".rpm', "soon", "is a whole number, not 'soon'"),
        ('limits."a/m1".rpm', "0", "is more than 0, not "),
        ('limits."a/m1".rpm.x', "3", "no table"),
        ('limits."a/m1"', "3", 'limits."a/m1" is a table'),
        ("limits", "3", "limits.sambanova"),
        ("limits", "{ sambanova = { rpm = 3 } }", "limits.sambanova"),
        ("engine", "{ stall = 3 }", "is a table"),
        ("providers.sambanova", "{ base_url = 'http://x' }", "is a table"),
        ('prices."a/m1"', "{ input = 3 }", "has input without output"),
        ('prices."a/m1"', "{ inptu = 3, output = 1 }", "did you mean 'input'"),
        ('prices."a/m1"', "{ input = 3", "or write the whole of it"),
        ('prices."sambanvoa/m"', "{ input = 3, output = 4 }", "did you mean 'sambanova'"),
        ("limit.a.rpm", "3", "did you mean 'limits'"),
        ('limits."sambanvoa/m".rpm', "3", "did you mean 'sambanova'"),
        ("providers.sambanova.base_ulr", "http://x", "did you mean 'base_url'"),
        ("providers.sambanova.base_url", "x y", "base_url"),
        ("providers.lan.base_url", "http://x", "needs the plugin"),
        ("a = 1\nb", "3", "is no setting"),
        ("", "3", "is no setting"),
        ("providers.sambanova.api_key", "sk-12345678", "pointsman keys set sambanova"),
        ("providers.lan.api_key", "sk-12345678", "pointsman keys set lan"),
        ("providers.openai-compatible.headers.x-a", "sk-12345678", "--setting headers.x-a"),
    ],
)
def test_what_is_wrong_is_not_written(invoke: Invoke, own: Path, key: str, value: str, says: str) -> None:
    done = invoke("config", "set", key, "--", value)
    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr
    assert "sk-12345678" not in done.stderr
    assert not own.exists()


def test_a_capability_that_nobody_has_is_not_written(invoke: Invoke, own: Path) -> None:
    assert invoke("config", "set", "providers.openai-compatible.base_url", "http://127.0.0.1:1/v1").exit_code == 0
    before = own.read_text()
    done = invoke("config", "set", "providers.openai-compatible.capabilities", "prefil")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "did you mean 'prefill'?" in done.stderr
    assert own.read_text() == before


def test_what_is_wrong_is_not_written_either_where_a_nearer_place_decides(
    invoke: Invoke, own: Path, nowhere: Path
) -> None:
    (nowhere / "pointsman.toml").write_text("[engine]\nhedge = 0.1\n")
    done = invoke("config", "set", "engine.hedge", "lots")
    assert done.exit_code == 2
    assert "[engine] hedge" in done.stderr
    assert not own.exists()


def test_mistakes_that_were_there_do_not_stand_in_the_way(invoke: Invoke, own: Path) -> None:
    write(own, "[engine]\nstal = 3\n[providers.c]\nplugin = 'openai-compatible'\nbase_url = 'no-address'\n")
    assert invoke("config", "set", "routing.policy", "in_order").exit_code == 0
    assert invoke("config", "unset", "engine.stal").exit_code == 0
    assert invoke("config", "set", "providers.c.base_url", "http://127.0.0.1:1").exit_code == 0
    assert invoke("config").exit_code == 0


def test_what_cannot_be_read_at_all_can_be_mended_step_by_step(invoke: Invoke, own: Path) -> None:
    write(own, "[engin]\nstall = 3\n[rooting]\n[engine]\nstall = 3\n")
    done = invoke("config", "set", "engine.stall", "4")
    assert done.exit_code == 2
    assert "Mend that first" in done.stderr
    assert invoke("config").exit_code == 2
    assert invoke("config", "unset", "engin").exit_code == 0
    assert invoke("config", "unset", "rooting").exit_code == 0
    assert invoke("config", "get", "engine.stall").stdout == "3.0\n"


COMMENTED = """# mine
[engine]  # limits
deadline = 60 # a minute

stall = 5

[providers."a.b"]
plugin = "openai-compatible"   # ours
base_url = "http://127.0.0.1:1/v1"
"""


def test_comments_order_and_mode_stay(invoke: Invoke, own: Path) -> None:
    write(own, COMMENTED, mode=0o640)
    assert invoke("config", "set", "engine.deadline", "90").exit_code == 0
    assert own.read_text() == COMMENTED.replace("deadline = 60", "deadline = 90")
    assert stat.S_IMODE(own.stat().st_mode) == 0o640
    assert invoke("config", "set", 'providers."a.b".connect_timeout', "2").exit_code == 0
    assert tomllib.loads(own.read_text())["providers"]["a.b"]["connect_timeout"] == 2
    assert invoke("config", "unset", 'providers."a.b".connect_timeout').exit_code == 0
    assert invoke("config", "set", "engine.deadline", "60").exit_code == 0
    assert own.read_text() == COMMENTED


def test_a_link_stays_a_link(invoke: Invoke, own: Path, nowhere: Path) -> None:
    kept = nowhere / "dotfiles" / "pointsman.toml.kept"
    write(kept, COMMENTED)
    own.parent.mkdir(parents=True)
    own.symlink_to(kept)
    assert invoke("config", "set", "engine.deadline", "90").exit_code == 0
    assert own.is_symlink()
    assert "deadline = 90" in kept.read_text()


def test_project_file(invoke: Invoke, own: Path, nowhere: Path) -> None:
    assert invoke("config", "set", "--project", "engine.stall", "9").exit_code == 0
    assert tomllib.loads((nowhere / "pointsman.toml").read_text()) == {"engine": {"stall": 9}}
    assert not own.exists()
    done = invoke("config", "set", "engine.stall", "8")
    assert "has no effect here: project file" in done.stderr
    done = invoke("config", "unset", "engine.retries")
    assert done.exit_code == 2
    assert "is not set in" in done.stderr


def test_what_has_no_effect_is_said(invoke: Invoke, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_ENGINE_STALL", "3")
    done = invoke("config", "set", "engine.stall", "8", "--json")
    assert done.exit_code == 0
    assert "It has no effect here: environment POINTSMAN_ENGINE_STALL" in done.stderr
    assert settings(done)["engine.stall"]["value"] == 3


def test_unset(invoke: Invoke, own: Path, valid: Any) -> None:
    write(own, COMMENTED)
    done = invoke("config", "unset", "engine.stall", "--json")
    valid("change.json", json.loads(done.stdout))
    assert settings(done)["engine.stall"]["value"] is None
    assert invoke("config", "unset", "providers").exit_code == 0
    assert tomllib.loads(own.read_text()) == {"engine": {"deadline": 60}}
    assert invoke("config", "unset", "engine.deadline").exit_code == 0
    assert tomllib.loads(own.read_text()) == {}
    assert "# mine" in own.read_text()
    assert invoke("config", "unset", "engine.dedline").exit_code == 2


def test_unset_does_not_leave_what_is_wrong(invoke: Invoke, own: Path) -> None:
    write(own, COMMENTED)
    done = invoke("config", "unset", 'providers."a.b".plugin')
    assert done.exit_code == 2
    assert "needs the plugin" in done.stderr
    assert own.read_text() == COMMENTED


def test_get(invoke: Invoke, own: Path) -> None:
    assert invoke("config", "get", "engine.stall").stdout == ""
    assert invoke("config", "get", "engine.max_wait").stdout == "5.0\n"
    assert invoke("config", "get", "engine.deadline").stdout == ""
    invoke("config", "set", "routing.targets", "a/b,c/d")
    assert invoke("config", "get", "routing.targets").stdout == "a/b,c/d\n"
    assert invoke("config", "get", "engine.dedline").exit_code == 2


def test_path(invoke: Invoke, own: Path, nowhere: Path, valid: Any) -> None:
    assert invoke("config", "path").stdout == f"{own}\n"
    assert invoke("config", "path", "--project").stdout == f"{nowhere / 'pointsman.toml'}\n"
    found = json.loads(invoke("config", "path", "--json").stdout)
    valid("files.json", found)
    assert [one["kind"] for one in found["files"]] == ["user file", "keys file"]


# The editor ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def editor(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """An editor that writes what it is told to."""

    def writes(code: str) -> None:
        script = nowhere / "editor with spaces.py"
        script.write_text(f"import sys\npath = sys.argv[1]\n{code}\n")
        monkeypatch.setenv("EDITOR", f"{sys.executable} '{script}'")

    return writes


def test_edit(invoke: Invoke, own: Path, editor: Any, valid: Any) -> None:
    editor("open(path, 'a').write('[engine]\\nstall = 7\\n')")
    done = invoke("config", "edit", "--json")
    assert done.exit_code == 0, done.output
    valid("change.json", json.loads(done.stdout))
    assert tomllib.loads(own.read_text()) == {"engine": {"stall": 7}}
    editor("pass")
    before = own.read_bytes()
    assert "is as it was" in invoke("config", "edit").stderr
    assert own.read_bytes() == before


@pytest.mark.parametrize("text", ["[engine", "[engine]\\nstal = 3", "[engine]\\nstall = -1"])
def test_an_edit_that_is_wrong_is_kept_aside(invoke: Invoke, own: Path, editor: Any, text: str) -> None:
    write(own, COMMENTED)
    editor(f"open(path, 'w').write('{text}')")
    done = invoke("config", "edit")
    assert done.exit_code == 2
    assert own.read_text() == COMMENTED
    aside = own.with_name("config.toml.rejected")
    assert str(aside) in done.stderr
    assert aside.read_text() == text.replace("\\n", "\n")
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600


def test_an_edit_that_is_no_text_is_kept_aside_too(invoke: Invoke, own: Path, editor: Any) -> None:
    write(own, COMMENTED)
    editor("open(path, 'wb').write(b'# caf\\xe9')")
    done = invoke("config", "edit")
    assert done.exit_code == 2
    assert "not UTF-8" in done.stderr
    assert own.with_name("config.toml.rejected").read_bytes() == b"# caf\xe9"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_stay(invoke: Invoke, own: Path, mark: bytes) -> None:
    write(own, mark + COMMENTED.replace("\n", "\r\n").encode())
    assert invoke("config", "set", "engine.deadline", "90").exit_code == 0
    assert own.read_bytes() == COMMENTED.replace("deadline = 60", "deadline = 90").replace("\n", "\r\n").encode()


def test_an_edit_does_not_undo_what_somebody_else_wrote_meanwhile(invoke: Invoke, own: Path, editor: Any) -> None:
    write(own, COMMENTED)
    editor(f"open(path, 'a').write('# mine\\n'); open({str(own)!r}, 'a').write('# theirs\\n')")
    done = invoke("config", "edit")
    assert done.exit_code == 2
    assert own.read_text() == COMMENTED + "# theirs\n"
    assert own.with_name("config.toml.rejected").read_text() == COMMENTED + "# mine\n"


def test_an_editor_that_fails(invoke: Invoke, own: Path, editor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    editor("open(path, 'w').write('[engine]\\nstall = 7\\n'); sys.exit(1)")
    done = invoke("config", "edit")
    assert done.exit_code == 2
    assert "nothing was changed" in done.stderr
    monkeypatch.setenv("VISUAL", "/no/such/editor")
    assert "cannot be started" in invoke("config", "edit").stderr
    assert not own.exists()


# Names and files by themselves ---------------------------------------------------------------------------------------


@given(st.lists(st.text(min_size=1, max_size=8).filter(str.isprintable), min_size=1, max_size=4))
def test_a_key_is_read_as_it_is_written(parts: list[str]) -> None:
    if "=" in "".join(parts):
        return
    assert parse(dotted(tuple(parts))) == tuple(parts)


names = st.text("abc-", min_size=1, max_size=3)
scalars = st.integers(-5, 5) | st.booleans() | st.text("xy #\"'", max_size=4) | st.lists(st.integers(0, 3), max_size=2)
tables = st.dictionaries(names, scalars | st.dictionaries(names, scalars, max_size=3), max_size=4)


@given(tables, st.lists(names, min_size=1, max_size=3), scalars)
def test_a_change_means_what_was_meant_and_undoing_it_too(
    tmp_path_factory: pytest.TempPathFactory, table: dict[str, Any], key: list[str], value: Any
) -> None:
    import tomlkit

    path = tmp_path_factory.mktemp("toml") / "config.toml"
    path.write_text(tomlkit.dumps(table))
    file = TomlFile(path)
    try:
        changed = tomllib.loads(file.with_value(tuple(key), value))
    except ConfigError:  # Rather than to write what means something else.
        return
    found: Any = changed
    for name in key:
        found = found[name]
    assert found == value
    assert {name: one for name, one in changed.items() if name != key[0]} == {
        name: one for name, one in table.items() if name != key[0]
    }


def test_writing_fails_without_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.toml"
    write(path, "a = 1\n")

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(ConfigError, match="No space left on device"):
        write(path, "a = 2\n")
    assert path.read_text() == "a = 1\n"
    assert list(tmp_path.iterdir()) == [path]


def test_settings_of_the_policy_are_shown_with_their_origin(invoke: Invoke, fussy: Path) -> None:
    with (fussy / "pointsman.toml").open("a") as file:
        file.write("[policy.tasks.code_review]\nprefer = ['a/*', 'b/m1']\n")
    found = {one["key"]: one for one in json.loads(invoke("config", "--json").stdout)["settings"]}
    assert found["policy.explore"]["value"] == 0.02
    assert found["policy.explore"]["origin"]["kind"] == "default"
    assert found["policy.tasks.code_review.prefer"]["value"] == ["a/*", "b/m1"]
    assert found["policy.tasks.code_review.prefer"]["origin"]["kind"] == "project file"
    assert invoke("config", "get", "policy.tasks.code_review.prefer").stdout == "a/*,b/m1\n"


@pytest.mark.parametrize(
    ("key", "text", "written"),
    [
        ("policy.explore", "0.5", {"explore": 0.5}),
        ("policy.tasks.x.prefer", "a/*, b/m1", {"tasks": {"x": {"prefer": ["a/*", "b/m1"]}}}),
        ("policy.tasks.x.priority", "cost", {"tasks": {"x": {"priority": "cost"}}}),
        ("policy.tasks.x", "{ prefer = ['a/m1'] }", {"tasks": {"x": {"prefer": ["a/m1"]}}}),
        ("policy.weights.cost.price", "0.4", {"weights": {"cost": {"price": 0.4}}}),
    ],
)
def test_settings_of_the_policy_are_written_and_taken_away(
    invoke: Invoke, fussy: Path, key: str, text: str, written: dict[str, Any]
) -> None:
    file = fussy / "pointsman.toml"
    before = tomllib.loads(file.read_text())
    done = invoke("config", "set", "--project", key, text)
    assert (done.exit_code, done.stdout) == (0, ""), done.stderr
    assert tomllib.loads(file.read_text()) == {**before, "policy": written}
    assert invoke("config", "unset", "--project", key).exit_code == 0
    assert tomllib.loads(file.read_text()) == before


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("policy.explore", "7", "is 1 or less, not 7"),
        ("policy.explor", "0.5", "did you mean 'explore'?"),
        ("policy.explore.more", "0.5", "policy.explore is no table"),
        ("policy.tasks.x.prefr", "a", "policy.tasks.x has no setting 'prefr': it has prefer, priority"),
        ("policy.tasks.x.prefer.y", "a", "policy.tasks.x.prefer is no table"),
        ("policy.tasks.x", "a", "policy.tasks.x is a table: name a setting in it, such as policy.tasks.x.prefer"),
        ("policy.weights.cost.price", "much", "weights.cost.price"),
        ("policy", "a", "policy is a table"),
    ],
)
def test_what_the_policy_does_not_take_is_not_written(
    invoke: Invoke, fussy: Path, key: str, text: str, said: str
) -> None:
    before = (fussy / "pointsman.toml").read_text()
    done = invoke("config", "set", "--project", key, text)
    assert done.exit_code == 2
    assert said in done.stderr
    assert (fussy / "pointsman.toml").read_text() == before


def test_a_policy_without_settings_says_so(invoke: Invoke, place: Path) -> None:
    done = invoke("config", "set", "policy.explore", "0.5")
    assert done.exit_code == 2
    assert "the policy 'in_order' takes none" in done.stderr


@pytest.mark.parametrize(
    ("text", "mend", "left"),
    [
        ("[engine]\nstall = -1\nfirst_token = -1\n", ("engine.stall", "20"), "first_token"),
        ("[policy]\nexplore = 7\ntasks = 5\n", ("policy.explore", "0.5"), "tasks"),
    ],
)
def test_one_of_two_wrong_settings_can_be_mended(
    invoke: Invoke, fussy: Path, text: str, mend: tuple[str, str], left: str
) -> None:
    """What is told of both in one sentence is nothing new when it is told of the other alone."""
    with (fussy / "pointsman.toml").open("a") as file:
        file.write(text)
    done = invoke("config", "set", "--project", *mend)
    assert (done.exit_code, done.stdout) == (0, "")
    assert left in invoke("route", "hi").stderr


def test_a_policy_that_is_not_there_is_written_and_told(invoke: Invoke, own: Path) -> None:
    """As of a provider that is not there yet: it may be installed later."""
    done = invoke("config", "set", "routing.policy", "scord")
    assert done.exit_code == 0
    assert "no policy is called 'scord'" in done.stderr
    assert "did you mean 'scored'?" in done.stderr
    assert "no policy" not in invoke("config", "set", "routing.policy", "scored").stderr


def test_a_pattern_in_a_name_is_quoted(invoke: Invoke, own: Path) -> None:
    assert "is quoted: 'limits.\"a/b\".rpm'" in invoke("config", "set", "policy.quality.modal/*", "9").stderr
    assert invoke("config", "set", 'policy.quality."modal/*"', "9").exit_code == 0
