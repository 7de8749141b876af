"""`pointsman keys`: kept where only their owner reads, and never shown, whoever asks."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pointsman_cli.settings.toml_file import write
from pointsman_testing import Fault, Hangup, Vendor

Invoke = Callable[..., Result]
KEY = "sk-a-key-that-nobody-may-see-4711"


@pytest.fixture
def kept(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where keys are kept; the file is not there yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(nowhere / "home"))
    return nowhere / "home" / "pointsman" / "keys.toml"


def rows(invoke: Invoke) -> dict[tuple[str, str], Any]:
    return {
        (one["provider"], one["setting"]): one for one in json.loads(invoke("keys", "list", "--json").stdout)["keys"]
    }


def test_a_key_from_a_pipe_is_stored_and_used(invoke: Invoke, kept: Path, valid: Any) -> None:
    done = invoke("keys", "set", "sambanova", "--json", stdin=f"{KEY}\n")
    assert done.exit_code == 0, done.output
    assert KEY not in done.output
    valid("change.json", json.loads(done.stdout))
    assert tomllib.loads(kept.read_text()) == {"providers": {"sambanova": {"api_key": KEY}}}
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert rows(invoke)["sambanova", "api_key"]["origin"] == {"kind": "keys file", "where": str(kept)}
    assert "keys file" in invoke("providers").stdout


def test_the_mode_is_right_from_the_first_byte(kept: Path) -> None:
    """Whatever the umask: what is written is looked at before it is put in its place."""
    code = """
import os, stat, sys
os.umask(0)
replace = os.replace
def look(one, other):
    print(oct(stat.S_IMODE(os.stat(one).st_mode)), file=sys.stderr)
    replace(one, other)
os.replace = look
from pointsman_cli.main import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, "keys", "set", "sambanova"], input=KEY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "0o600" in done.stderr
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


def test_other_entries_stay(invoke: Invoke, kept: Path) -> None:
    write(kept, '# mine\n[providers.openai-compatible]\napi_key = "sk-of-another-one-1"  # work\n')
    assert invoke("keys", "set", "sambanova", stdin=KEY).exit_code == 0
    assert invoke("keys", "set", "openai-compatible", "--setting", "headers.x-team", stdin=KEY).exit_code == 0
    text = kept.read_text()
    assert text.startswith('# mine\n[providers.openai-compatible]\napi_key = "sk-of-another-one-1"  # work\n')
    assert tomllib.loads(text)["providers"]["openai-compatible"]["headers"] == {"x-team": KEY}
    assert invoke("keys", "rm", "openai-compatible", "--setting", "headers.x-team").exit_code == 0
    assert invoke("keys", "rm", "sambanova").exit_code == 0
    assert kept.read_text().strip() == text.partition("\n\n")[0].strip()


def test_keys_that_are_stored_at_once_are_all_there(kept: Path) -> None:
    command = [sys.executable, "-m", "pointsman_cli", "keys", "set", "openai-compatible", "--setting"]
    names = [f"headers.x-{number}" for number in range(6)]
    running = [subprocess.Popen([*command, name], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) for name in names]
    for process in running:
        assert process.stdin
        process.stdin.write(KEY.encode())
        process.stdin.close()
    assert [process.wait(60) for process in running] == [0] * 6
    assert len(tomllib.loads(kept.read_text())["providers"]["openai-compatible"]["headers"]) == 6


def test_a_key_is_asked_for_unseen(kept: Path) -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pointsman_cli", "keys", "set", "sambanova"]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = b""
    while b"(not shown)" not in shown:
        shown += os.read(ours, 1000)
    os.write(ours, KEY.encode() + b"\n")
    while True:
        try:
            more = os.read(ours, 1000)
        except OSError:
            break
        if not more:
            break
        shown += more
    os.close(ours)
    assert process.wait(60) == 0
    assert KEY.encode() not in shown
    assert KEY in kept.read_text()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("short", "shorter than 8"),
        ("sk-half\nother-half", "line break"),
        ("sk-half other-half", "space"),
        ("", "stdin was empty"),
        ("  \n", "stdin was empty"),
    ],
)
def test_what_can_be_no_key_is_not_stored(invoke: Invoke, kept: Path, text: str, says: str) -> None:
    done = invoke("keys", "set", "sambanova", stdin=text)
    assert done.exit_code == 2
    assert says in done.stderr
    assert "half" not in done.output
    assert not kept.exists()


def test_bytes_are_no_key(run: Any, kept: Path) -> None:
    assert run("keys", "set", "sambanova", stdin=b"\xff\xfe\x00").returncode == 2


def test_a_short_key_is_enough_for_this_machine(invoke: Invoke, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_OPENAI_COMPATIBLE_BASE_URL", "http://127.0.0.1:1/v1")
    assert invoke("keys", "set", "openai-compatible", stdin="none").exit_code == 0


def test_a_key_is_never_an_argument(invoke: Invoke, kept: Path) -> None:
    done = invoke("keys", "set", "sambanova", KEY)
    assert done.exit_code == 2
    assert KEY not in done.output
    assert "history" in done.stderr


def test_wrong_names(invoke: Invoke, kept: Path) -> None:
    done = invoke("keys", "set", "sambanvoa", stdin=KEY)
    assert (done.exit_code, "did you mean 'sambanova'" in done.stderr) == (2, True)
    done = invoke("keys", "set", "sambanova", "--setting", "api_kye", stdin=KEY)
    assert (done.exit_code, "did you mean 'api_key'" in done.stderr) == (2, True)
    done = invoke("keys", "set", "sambanova", "--setting", "headers", stdin=KEY)
    assert (done.exit_code, "--setting headers.NAME" in done.stderr) == (2, True)
    done = invoke("keys", "rm", "sambanova")
    assert (done.exit_code, "holds no such key" in done.stderr) == (2, True)
    assert "editor" not in done.stderr, "nothing is wrong with the file"
    assert not kept.exists()


def test_what_others_can_read_is_refused(invoke: Invoke, kept: Path) -> None:
    write(kept, "", mode=0o644)
    done = invoke("keys", "set", "sambanova", stdin=KEY)
    assert done.exit_code == 2
    assert f"chmod 600 {kept}" in done.stderr
    assert kept.read_text() == ""


def test_the_environment_goes_before_it_and_that_is_said(
    invoke: Invoke, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_SAMBANOVA_API_KEY", "sk-of-the-environment")
    done = invoke("keys", "set", "sambanova", stdin=KEY)
    assert "It has no effect here: environment POINTSMAN_SAMBANOVA_API_KEY" in done.stderr
    row = rows(invoke)["sambanova", "api_key"]
    assert row["origin"]["kind"] == "environment"
    assert row["stored"] is True
    assert row["notes"]
    assert "not used" in invoke("keys", "list").stdout
    assert invoke("keys", "rm", "sambanova").exit_code == 0
    assert "comes from environment" in invoke("keys", "rm", "sambanova").stderr


def test_the_vendors_variable_goes_before_a_stored_key_and_that_is_said(
    invoke: Invoke, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMBANOVA_API_KEY", "sk-of-the-environment")
    done = invoke("keys", "set", "sambanova", stdin=KEY)
    assert done.exit_code == 0
    assert (
        "It has no effect here: environment SAMBANOVA_API_KEY goes before it; unset SAMBANOVA_API_KEY to use it."
        in done.stderr
    )
    row = rows(invoke)["sambanova", "api_key"]
    assert (row["origin"]["where"], row["stored"]) == ("SAMBANOVA_API_KEY", True)
    done = invoke("keys", "rm", "sambanova", "--setting", "api_key")
    assert "It is set still: environment SAMBANOVA_API_KEY" in done.stderr
    assert rows(invoke)["sambanova", "api_key"]["origin"]["where"] == "SAMBANOVA_API_KEY"


def test_a_second_provider_of_the_same_plugin_keeps_its_stored_key(
    invoke: Invoke, kept: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nowhere / "pointsman.toml").write_text('[providers.work]\nplugin = "sambanova"\n')
    monkeypatch.setenv("SAMBANOVA_API_KEY", "sk-of-the-environment")
    done = invoke("keys", "set", "work", stdin=KEY)
    assert done.exit_code == 0
    assert "no effect" not in done.stderr
    assert rows(invoke)["work", "api_key"]["origin"]["kind"] == "keys file"


def test_list(invoke: Invoke, kept: Path, monkeypatch: pytest.MonkeyPatch, valid: Any) -> None:
    monkeypatch.setenv("SAMBANOVA_API_KEY", KEY)
    monkeypatch.setenv("POINTSMAN_SAMBANOVA_BASE_URL", "https://elsewhere.example/v1")
    write(kept, '[providers.gone]\napi_key = "sk-of-nobody-at-all"\n')
    found = invoke("keys", "list", "--json")
    assert (found.exit_code, KEY in found.output) == (0, False)
    valid("keys.json", json.loads(found.stdout))
    row = rows(invoke)["sambanova", "api_key"]
    assert row["state"] == "missing"
    assert "SAMBANOVA_API_KEY is not sent to elsewhere.example" in row["notes"][0]
    assert rows(invoke)["gone", "api_key"]["stored"] is True
    assert rows(invoke)["openai-compatible", "api_key"]["state"] == "none"
    assert invoke("keys", "rm", "gone").exit_code == 0


def test_path(invoke: Invoke, kept: Path, valid: Any) -> None:
    assert invoke("keys", "path").stdout == f"{kept}\n"
    valid("files.json", json.loads(invoke("keys", "path", "--json").stdout))


@pytest.mark.parametrize(
    ("script", "code", "state"),
    [(None, 0, "works"), (Fault(401), 4, "refused"), (Hangup(), 3, "down")],
)
def test_testing_a_key(
    invoke: Invoke, place: Path, kept: Path, a: Vendor, script: Any, code: int, state: str, valid: Any
) -> None:
    if script:
        a.script(script, script, on="models")
    done = invoke("keys", "test", "a")
    assert done.exit_code == code, done.output
    assert f"a  {state}" in done.stdout
    found = invoke("keys", "test", "a", "--json")
    valid("providers.json", json.loads(found.stdout))
    assert KEY not in done.output + found.output


def test_testing_every_key(invoke: Invoke, place: Path, a: Vendor, b: Vendor) -> None:
    a.script(Fault(401), on="models")
    b.script(Hangup(), on="models")
    assert invoke("keys", "test").exit_code == 4
    assert invoke("keys", "test").exit_code == 0


def test_testing_where_there_is_no_key(invoke: Invoke, kept: Path) -> None:
    assert invoke("keys", "test").exit_code == 4
    done = invoke("keys", "test", "sambanova")
    assert done.exit_code == 4
    assert "SAMBANOVA_API_KEY" in done.stdout


UNASKED = """
from contextlib import asynccontextmanager
from pydantic import BaseModel, SecretStr
from pointsman import ProviderSpec, Terminal, hookimpl

class Config(BaseModel):
    base_url: str = "http://127.0.0.1"
    api_key: SecretStr = SecretStr("sk-of-the-plugin-1")

@asynccontextmanager
async def open_(config, context):
    yield lambda request: None

@hookimpl
def pointsman_providers():
    return [ProviderSpec(name="quiet", config=Config, open=open_, terminal=Terminal.DONE_FIELD)]

@hookimpl
def pointsman_stream(connection):
    return connection.session
"""


def test_a_vendor_without_a_free_way_to_ask(run: Any, kept: Path, stranger: Any) -> None:
    env = stranger({"pointsman.providers": {"quiet": "quiet_plugin"}}, quiet_plugin=UNASKED)
    done = run("keys", "test", "quiet", env={**env, "POINTSMAN_QUIET_API_KEY": KEY})
    assert done.returncode == 0, done.stderr
    assert "unknown" in done.stdout
    assert "without spending tokens" in done.stdout
    assert run("keys", "set", "quiet", env=env, stdin=KEY).returncode == 0


@pytest.mark.parametrize(("health", "said"), [("COLD", "unknown"), ("WARMING", "unknown"), ("DEGRADED", "works")])
def test_a_key_that_nobody_has_looked_at_is_not_said_to_work(
    run: Any, kept: Path, stranger: Any, health: str, said: str
) -> None:
    hook = f"""
from pointsman import Health, HealthState
@hookimpl
def pointsman_health(connection):
    async def ask():
        return Health(HealthState.{health}, "nobody asks")
    return ask
"""
    env = stranger({"pointsman.providers": {"quiet": "quiet_plugin"}}, quiet_plugin=UNASKED + hook)
    done = run("keys", "test", "quiet", env={**env, "POINTSMAN_QUIET_API_KEY": KEY})
    assert (done.returncode, f"quiet  {said}" in done.stdout) == (0, True), done.stdout


def test_a_health_check_that_raises_is_the_providers_fault(run: Any, nowhere: Path, stranger: Any) -> None:
    broken = (
        UNASKED + "\n@hookimpl\ndef pointsman_health(connection):\n    async def ask():\n        1/0\n    return ask\n"
    )
    env = stranger({"pointsman.providers": {"quiet": "quiet_plugin"}}, quiet_plugin=broken)
    done = run("providers", "check", "quiet", env={**env, "POINTSMAN_QUIET_API_KEY": KEY})
    assert done.returncode == 3
    assert "ZeroDivisionError" in done.stdout
