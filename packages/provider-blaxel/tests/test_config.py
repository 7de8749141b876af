"""Settings, what Blaxel's own command has put down, and where keys may go."""

from __future__ import annotations

import builtins
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pointsman import ConfigError, Settings
from pointsman.config import configure
from pointsman_blaxel import SPEC, BlaxelConfig
from pointsman_blaxel.agent_config import AgentConfig
from pointsman_blaxel.stored import stored

KEY = "bl_aaaabbbbccccdddd"
BOTH = {"api_key": KEY, "workspace": "lab"}
FILE = """\
context: {workspace: main}
workspaces:
  - name: main
    credentials: {apiKey: bl_main_0123456789}
  - name: team
    env: prod
    credentials: {clientCredentials: dGVhbTpzZWNyZXQ=}
  - name: browser
    credentials: {access_token: eyJ0, refresh_token: r, expires_in: 7200, device_code: d}
tracking: false
"""


def made(table: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Any:
    settings = Settings.of({"providers": {"blaxel": table or {}}}, environ or {})
    return configure("blaxel", SPEC, settings, ["blaxel"])


def config(**settings: Any) -> BlaxelConfig:
    return BlaxelConfig.model_validate({**BOTH, **settings})


# What is there ------------------------------------------------------------------------------------------------------


def test_key_and_workspace_come_from_blaxels_variables() -> None:
    found = made(environ={"BL_API_KEY": KEY, "BL_WORKSPACE": "lab"})
    assert found.hidden == {KEY}
    assert found.config.workspace == "lab"
    assert found.config.control == "https://api.blaxel.ai/v0"


def test_credentials_stand_for_a_key() -> None:
    found = made(environ={"BL_CLIENT_CREDENTIALS": "dGVhbTpzZWNyZXQ=", "BL_WORKSPACE": "lab"})
    assert found.config.api_key is None
    assert found.hidden == {"dGVhbTpzZWNyZXQ="}


def test_what_is_missing_is_said() -> None:
    with pytest.raises(ConfigError, match=r"no api_key: set BL_API_KEY.*no workspace: set BL_WORKSPACE") as caught:
        made()
    assert caught.value.missing


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"workspace": "a/b"}, "workspace"),
        ({"agents": {"x": {"path": "a?b=c"}}}, r"agents .*x\.path"),
        ({"agents": {"x": {"price": -1}}}, r"agents .*x\.price"),
        ({"agents": {"x": {"headers": {"a": "sécret-0123"}}}}, r"agents .*x\.headers"),
        ({"agents": {"y": {}, "x": {"inputs": {}}}}, r"x\.inputs: there is no such setting: there are input, output"),
        ({"agents": {"x": 3}}, r"agents .*x: "),
        ({"agents": {"agent:x": {}}}, r"agents .*agent:x: write the name alone, 'x'"),
    ],
)
def test_what_is_wrong_is_refused_by_name_without_its_secrets(wrong: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        made({**BOTH, **wrong})
    assert not caught.value.missing
    assert "sécret" not in str(caught.value)
    assert KEY not in str(caught.value)


def test_agents_are_by_convention_unless_they_are_configured() -> None:
    found = config(agents={"own": {"price": 0.02, "path": "/run"}})
    assert found.agent("any") == AgentConfig()
    assert found.agent("any").input == {"inputs": "{prompt}"}
    assert (found.agent("own").price, found.agent("own").path) == (Decimal("0.02"), "run")
    with pytest.raises(ValidationError):
        AgentConfig(method="GET")  # type: ignore[arg-type]


def test_agents_may_come_from_a_variable() -> None:
    environ = {"POINTSMAN_BLAXEL_AGENTS": '{"a": {"output": "x"}}', "BL_API_KEY": KEY, "BL_WORKSPACE": "lab"}
    assert made(environ=environ).config.agent("a").output == "x"


def test_headers_are_secrets() -> None:
    found = made({**BOTH, "agents": {"a": {"headers": {"authorization": "Bearer of-an-agent-01"}}}})
    assert found.hidden == {KEY, "Bearer of-an-agent-01"}
    assert "of-an-agent-01" in found.config.hidden
    assert "of-an-agent-01" not in repr(found.config)


# Where keys may go ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base_url", "control"),
    [
        ("https://run.blaxel.ai", "https://api.blaxel.ai/v0"),
        ("https://run.blaxel.dev", "https://api.blaxel.dev/v0"),
        ("https://agt-x-lab.us.bl.run", None),
        ("https://gateway.example", None),
        ("http://127.0.0.1:1", None),
        ("https://blaxel.ai.evil.example", None),
    ],
)
def test_only_blaxels_own_base_url_implies_a_control_plane(base_url: str, control: str | None) -> None:
    assert config(base_url=base_url).control == control
    assert config(base_url=base_url, control_url="https://c.example/v0").control == "https://c.example/v0"


@pytest.mark.parametrize(
    ("url", "may", "named"),
    [
        ("https://run.blaxel.ai/lab/models/x", True, True),
        ("https://x.blaxel.dev", True, True),
        ("https://agt-x-lab.us.bl.run", False, True),
        ("http://run.blaxel.ai/x", False, False),
        ("https://bl.run", False, False),
        ("https://blaxel.ai", False, False),
        ("https://evilblaxel.ai", False, False),
        ("https://run.blaxel.ai.evil.example", False, False),
        ("http://127.0.0.1:8080/x", False, False),
        ("https://elsewhere.example", False, False),
    ],
)
def test_where_a_key_may_go(url: str, may: bool, named: bool) -> None:
    assert config().may_have_key(url, named_by_control=False) is may
    assert config().may_have_key(url, named_by_control=True) is named


def test_loopback_gets_it_where_all_is_there() -> None:
    here = config(base_url="http://127.0.0.1:1", control_url="http://localhost:2/v0")
    assert here.may_have_key("http://127.0.0.1:3/x", named_by_control=True)
    half = config(base_url="http://127.0.0.1:1", control_url="https://c.example/v0")
    assert not half.may_have_key("http://127.0.0.1:3/x", named_by_control=True)
    assert half.may_have_key("http://127.0.0.1:1/x", named_by_control=True)


@pytest.mark.parametrize("setting", ["base_url", "control_url"])
@pytest.mark.parametrize("host", ["evil.example", "agt-evil-other.us.bl.run"])
def test_a_project_file_lures_no_key_away(tmp_path: Path, setting: str, host: str) -> None:
    """Nor to another customer's workload, which has a name of Blaxel's."""
    (tmp_path / "pointsman.toml").write_text(f'[providers.blaxel]\n{setting} = "https://{host}"\n')
    environ = {"POINTSMAN_BLAXEL_API_KEY": KEY, "POINTSMAN_BLAXEL_WORKSPACE": "lab"}
    settings = Settings.discover(environ, tmp_path, {})
    with pytest.raises(ConfigError, match=f"not sent to {host}"):
        configure("blaxel", SPEC, settings, ["blaxel"])


# What Blaxel's command has put down -----------------------------------------------------------------------------------


def at(home: Path, text: str | bytes = FILE) -> dict[str, str]:
    (home / ".blaxel").mkdir()
    content = text if isinstance(text, bytes) else text.encode()
    (home / ".blaxel" / "config.yaml").write_bytes(content)
    return {"HOME": str(home)}


def test_its_workspace_and_key_are_found(tmp_path: Path) -> None:
    found = made(environ=at(tmp_path))
    assert found.config.workspace == "main"
    assert found.hidden == {"bl_main_0123456789"}
    assert str(found.origins["api_key"]) == "vendor's file ~/.blaxel/config.yaml"


def test_a_workspace_that_is_named_has_its_own_key(tmp_path: Path) -> None:
    environ = {**at(tmp_path), "BL_WORKSPACE": "team"}
    found = made(environ=environ)
    assert (found.config.workspace, found.hidden) == ("team", {"dGVhbTpzZWNyZXQ="})


@pytest.mark.parametrize("name", ["browser", "unknown"])
def test_a_login_in_the_browser_is_no_key(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="no api_key") as caught:
        made(environ={**at(tmp_path), "BL_WORKSPACE": name})
    assert caught.value.missing


@pytest.mark.parametrize("variable", ["BL_API_KEY", "BL_CLIENT_CREDENTIALS"])
def test_a_key_in_the_environment_goes_before_it_whole(tmp_path: Path, variable: str) -> None:
    found = made(environ={**at(tmp_path), variable: "from-the-variable"})
    assert (found.config.workspace, found.hidden) == ("main", {"from-the-variable"})


@pytest.mark.parametrize(
    "text", ["a: [unclosed bl_secret_0123", b"a: \x00bl_secret", "a: b: bl_secret_0123", "{" * 5000]
)
def test_a_file_that_is_no_yaml_is_said_to_be_none(tmp_path: Path, text: str | bytes) -> None:
    environ = at(tmp_path, text)
    with pytest.raises(ConfigError, match=r"~/\.blaxel/config\.yaml is no YAML") as caught:
        made(environ=environ)
    assert "bl_secret" not in f"{caught.value} {caught.value.__cause__}"
    assert made(environ={**environ, "BL_API_KEY": KEY, "BL_WORKSPACE": "lab"}).hidden == {KEY}


@pytest.mark.parametrize(
    "text", ["", "[]", "context: main", "workspaces: {a: 1}", "workspaces: [1, {name: 2}]\ncontext: {workspace: [x]}"]
)
def test_a_file_of_another_shape_says_nothing(tmp_path: Path, text: str) -> None:
    assert stored(at(tmp_path, text)) == {}


def test_a_file_that_cannot_be_read_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / ".blaxel" / "config.yaml").mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot be read"):
        stored({"HOME": str(tmp_path)})


def test_without_a_home_or_a_file_there_is_nothing_and_yaml_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def importing(name: str, *rest: Any) -> Any:
        assert name != "yaml"
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", importing)
    assert stored({}) == {}
    assert stored({"HOME": str(tmp_path)}) == {}


def test_importing_it_loads_no_http_library_and_no_yaml() -> None:
    script = "import sys, pointsman_blaxel; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"httpx2", "msgspec", "anyio", "h11", "ssl", "httpx", "yaml", "blaxel"} & set(run.stdout.split())
