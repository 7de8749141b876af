"""`pointsman doctor` finds what is wrong, says what to do, and is kept from nothing by what it finds."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pointsman_cli.settings.toml_file import write
from pointsman_testing import Fault, Vendor

Invoke = Callable[..., Result]
HERE = "http://127.0.0.1:1/v1"
CORRECT_URL = f"pointsman config set --project providers.c.base_url {HERE}"
KEY = "sk-a-key-that-nobody-may-see-4711"


@pytest.fixture
def home(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, with nothing in it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(nowhere / "home"))
    return nowhere / "home" / "pointsman"


def findings(done: Result) -> list[dict[str, str]]:
    return json.loads(done.stdout)["checks"]


def of(done: Result, name: str, state: str | None = None) -> str:
    """What is said under `name`, and what to do next."""
    found = [one for one in findings(done) if one["name"] == name and state in (None, one["state"])]
    return " ".join(f"{one['said']} {one['next']}" for one in found)


def test_all_is_well(invoke: Invoke, place: Path, a: Vendor, b: Vendor, home: Path, valid: Any) -> None:
    done = invoke("doctor", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    valid("doctor.json", found)
    assert found["ok"] is True
    assert {one["state"] for one in found["checks"]} == {"ok"}
    names = [one["name"] for one in found["checks"]]
    for name in ("python", "packages", "user file", "keys file", "project file", "settings", "variables", "plugins"):
        assert name in names
    assert "api_key from environment POINTSMAN_A_API_KEY" in of(done, "a")
    assert " orders a/m1, b/m1" in of(done, "policy")
    assert "in_order (by project file" in of(done, "policy")
    assert [*a.requests, *b.requests] == []
    assert "no failures, no warnings." in invoke("doctor").stdout


def test_live_asks(invoke: Invoke, place: Path, a: Vendor, b: Vendor, home: Path, valid: Any) -> None:
    a.script(Fault(401), on="models")
    done = invoke("doctor", "--live", "--json")
    assert done.exit_code == 1
    valid("doctor.json", json.loads(done.stdout))
    assert "pointsman keys set a" in of(done, "a live", "fail")
    assert of(done, "b live", "ok")


def test_nobody_ready(invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_PLUGINS_DISABLE", "ollama")
    done = invoke("doctor", "--json")
    assert done.exit_code == 1
    advice = of(done, "providers", "fail")
    assert "sambanova (pointsman keys set sambanova)" in advice
    assert "openai-compatible (pointsman config set providers.openai-compatible.base_url VALUE)" in advice
    assert "SAMBANOVA_API_KEY" in of(done, "sambanova", "ok"), "never set up is no mistake"


@pytest.mark.parametrize("text", ["[engine", "a" * 10 + " = " + "[" * 5000, "x = " + "9" * 5000, "\0"])
def test_a_broken_file_hides_nothing_else(invoke: Invoke, place: Path, home: Path, text: str) -> None:
    write(home / "config.toml", text)
    done = invoke("doctor", "--json")
    assert done.exit_code == 1
    assert "config.toml" in of(done, "file", "fail")
    assert "ready" in of(done, "a", "ok")
    assert of(done, "policy", "ok")


def test_what_is_wrong_with_settings_is_all_told(invoke: Invoke, place: Path, home: Path) -> None:
    write(home / "config.toml", "[engine]\nstal = 3\n[providers.c]\nplugin = 'gone'\n")
    write(place / "pointsman.toml", (place / "pointsman.toml").read_text().replace("in_order", "nobodys"))
    done = invoke("doctor", "--json")
    assert done.exit_code == 1
    assert "did you mean 'stall'" in of(done, "settings", "fail")
    assert "no policy is called 'nobodys'" in of(done, "policy", "fail")
    assert "gone" in of(done, "c", "fail")
    assert "ready" in of(done, "a", "ok")


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ('[limits."a/m1"]\nrpmm = 3', "did you mean 'rpm'"),
        ("[limits.a]\nrpm = 0", '[limits."a"] rpm (from user file'),
        ("[limits.sambanvoa]\nrpm = 3", "did you mean 'sambanova'"),
        ("[limits.nobody]\nrpm = 3\n[plugins]\nwrapers = []", "no provider is called 'nobody'"),
    ],
)
def test_what_is_wrong_with_limits(invoke: Invoke, place: Path, home: Path, limits: str, said: str) -> None:
    write(home / "config.toml", limits)
    done = invoke("doctor", "--json")
    assert done.exit_code == 1
    assert said in of(done, "settings", "fail")


def test_limits_are_settings(invoke: Invoke, place: Path, home: Path) -> None:
    write(home / "config.toml", '[limits."a/m1"]\nrpm = 3\nconcurrent = 2\n')
    assert "8 set in files" in of(invoke("doctor", "--json"), "settings", "ok"), (
        "two for each provider, two for routing"
    )


PROJECT_FAULTS = [
    ("settings", "[engine]\nstal = 3", "pointsman config unset --project engine.stal"),
    ("settings", '[engine]\nstall = "3s"', "pointsman config set --project engine.stall 3"),
    ("settings", '[limits."a/m1"]\nrpm = 0', "pointsman config unset --project 'limits.\"a/m1\".rpm'"),
    ("settings", "[limits.nobody]\nrpm = 3", "pointsman config unset --project limits.nobody"),
    ("settings", '[plugins]\ndisable = "x"', "pointsman config unset --project plugins.disable"),
    ("plugins", '[plugins]\nwrappers = ["x"]', "pointsman config unset --project plugins.wrappers"),
    ("policy", '[routing]\npolicy = "x"', "pointsman config set --project routing.policy in_order"),
    ("policy", '[routing]\npolicy = "x"', "pointsman config unset --project routing.policy"),
    ("policy", '[routing]\ntargets = ["x/y"]', "pointsman config set --project routing.targets a/m1"),
    ("c", '[providers.c]\nplugin = "openai-compatible"\nbase_url = "x y"', CORRECT_URL),
    ("c", f'[providers.c]\nbase_url = "{HERE}"', "pointsman config set --project providers.c.plugin openai-compatible"),
    (
        "c",
        f'[providers.c]\nplugin = "gone"\nbase_url = "{HERE}"',
        "pointsman config set --project providers.c.plugin openai-compatible",
    ),
    (
        "c",
        f'[providers.c]\nplugin = "openai-compatible"\nbase_url = "{HERE}"\nurl = 3',
        "pointsman config unset --project providers.c.url",
    ),
]


@pytest.mark.parametrize(("check", "text", "command"), PROJECT_FAULTS)
def test_what_is_advised_about_a_project_file_mends_it(
    invoke: Invoke, place: Path, home: Path, check: str, text: str, command: str
) -> None:
    """The words that stand for what the user has in mind are filled in."""
    tables = (place / "pointsman.toml").read_text()
    if "[routing]" in text:
        tables = tables.partition("[routing]")[0]
    (place / "pointsman.toml").write_text(f"{tables}\n{text}\n")
    advised = of(invoke("doctor", "--json"), check, "fail")
    verb, *rest = shlex.split(command.removeprefix("pointsman config "))
    shown = " ".join(command.split()[:5] if verb == "set" else command.split())
    assert shown in advised
    done = invoke("config", verb, *rest)
    assert done.exit_code == 0, done.stderr
    assert not of(invoke("doctor", "--json"), check, "fail")


def test_a_plugin_that_is_left_out_and_is_not_there(invoke: Invoke, place: Path, home: Path) -> None:
    write(home / "config.toml", '[plugins]\ndisable = ["sambanvoa"]\n')
    done = invoke("doctor", "--json")
    assert done.exit_code == 0
    said = "[plugins] disable names sambanvoa, and no plugin is called that; did you mean 'sambanova'?"
    assert f"{said} pointsman config set plugins.disable ..." in of(done, "plugins", "warn")


def test_what_is_advised_about_a_variable_names_it(
    invoke: Invoke, place: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_ENGINE_STALL", "3s")
    monkeypatch.setenv("POINTSMAN_A_CAPABILITIES", "prefil")
    done = invoke("doctor", "--json")
    assert "correct POINTSMAN_ENGINE_STALL, or unset it" in of(done, "settings", "fail")
    assert "correct POINTSMAN_A_CAPABILITIES, or unset it" in of(done, "a", "fail")


def test_a_section_that_is_none_fails_and_the_rest_of_the_page_is_there(
    invoke: Invoke, place: Path, home: Path
) -> None:
    write(home / "config.toml", "[engin]\nstall = 3\n")
    done = invoke("doctor", "--json")
    assert done.exit_code == 1
    assert "did you mean 'engine'" in of(done, "settings", "fail")
    assert of(done, "python", "ok")
    assert of(done, "terminal", "ok")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[plugins]\nwrapers = []\n", "did you mean 'wrappers'"),
        ("[routing]\ntarget = []\n", "did you mean 'targets'"),
        ("[engin]\nstall = 3\n", "did you mean 'engine'"),
    ],
)
def test_what_is_in_the_way_of_several_checks_is_told_once(
    invoke: Invoke, place: Path, home: Path, text: str, said: str
) -> None:
    write(home / "config.toml", text)
    done = invoke("doctor", "--json")
    assert done.exit_code == 1
    assert [one["name"] for one in findings(done) if said in one["said"]] == ["settings"]
    assert "policy, at least not to the end" in of(done, "not checked", "warn")


def test_where_it_asks_is_shown_and_who_says_so(
    invoke: Invoke, place: Path, home: Path, a: Vendor, b: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_B_BASE_URL", a.base_url)
    monkeypatch.setenv("POINTSMAN_B_DEFAULT_MODELS", "m1")
    done = invoke("doctor", "--json")
    assert f"at {a.base_url} from project file" in of(done, "a")
    assert f"at {a.base_url} from environment POINTSMAN_B_BASE_URL" in of(done, "b")
    assert "default_models from environment POINTSMAN_B_DEFAULT_MODELS" in of(done, "b")
    assert "6 set in files, 4 by variables" in of(done, "settings")


def test_targets_that_are_not_ready(invoke: Invoke, place: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_ROUTING_TARGETS", "a/m1,sambanova/x")
    assert "pointsman keys set sambanova" in of(invoke("doctor", "--json"), "policy", "warn")
    monkeypatch.setenv("POINTSMAN_ROUTING_TARGETS", "sambanova/x")
    assert "is not ready" in of(invoke("doctor", "--json"), "policy", "fail")
    monkeypatch.setenv("POINTSMAN_ROUTING_TARGETS", "sambanvoa/x")
    assert "no provider has that name" in of(invoke("doctor", "--json"), "policy", "fail")


def test_keys_that_others_can_read(invoke: Invoke, place: Path, home: Path) -> None:
    write(home / "keys.toml", f'[providers.sambanova]\napi_key = "{KEY}"\n', mode=0o644)
    write(
        home / "config.toml",
        f'[providers.openai-compatible]\nbase_url = "http://[::1]/"\napi_key = "{KEY}"\n',
        mode=0o664,
    )
    with (place / "pointsman.toml").open("a") as file:
        file.write(f'[providers.sambanova]\napi_key = "{KEY}"\n')
    done = invoke("doctor", "--json")
    assert KEY not in done.output
    assert f"chmod 600 {home / 'keys.toml'}" in of(done, "keys file", "fail")
    assert "providers.openai-compatible.api_key, and others can read it" in of(done, "user file", "warn")
    assert "can be changed by others" in of(done, "user file", "warn")
    assert "pointsman keys set sambanova" in of(done, "project file", "warn")


def test_a_chosen_file_that_is_not_there(invoke: Invoke, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_CONFIG", str(place / "none.toml"))
    done = invoke("doctor", "--json")
    assert done.exit_code == 1
    assert "unset POINTSMAN_CONFIG" in of(done, "user file", "fail")


def test_variables(invoke: Invoke, place: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (place / "pointsman.toml").open("a") as file:
        for name in ("x.y", "x-y", "a-api"):
            file.write(f'[providers."{name}"]\nplugin = "openai-compatible"\nbase_url = "http://127.0.0.1:1/v1"\n')
    monkeypatch.setenv("POINTSMAN_SAMBANVOA_API_KEY", KEY)
    monkeypatch.setenv("POINTSMAN_HISTORY", str(place / "history"))
    done = invoke("doctor", "--json")
    assert KEY not in done.output
    assert "POINTSMAN_HISTORY" not in done.output
    told = of(done, "variables", "warn")
    assert "nobody reads POINTSMAN_SAMBANVOA_API_KEY" in told
    assert "did you mean POINTSMAN_SAMBANOVA_API_KEY?" in told
    assert "x-y and x.y share the variables POINTSMAN_X_Y_" in told
    assert "POINTSMAN_A_API_KEY is read by the provider a-api, not by a" in told
    assert "would share the variables" in of(done, "x.y", "fail")


def test_a_vendors_key_that_is_dropped(invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMBANOVA_API_KEY", KEY)
    monkeypatch.setenv("POINTSMAN_SAMBANOVA_BASE_URL", "https://elsewhere.example")
    done = invoke("doctor", "--json")
    assert KEY not in done.output
    assert "SAMBANOVA_API_KEY is not sent to elsewhere.example" in of(done, "sambanova")


def test_a_key_that_is_too_short(invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMBANOVA_API_KEY", "short")
    done = invoke("doctor", "--json")
    assert done.exit_code == 1
    assert "is shorter than 8 characters" in of(done, "sambanova", "fail")


def test_proxies(invoke: Invoke, place: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{KEY}@proxy.corp:3128")
    monkeypatch.setenv("http_proxy", "proxy.corp")
    monkeypatch.setenv("NO_PROXY", "localhost")
    done = invoke("doctor", "--json")
    assert KEY not in done.output
    assert "HTTPS_PROXY leads through proxy.corp:3128, except for localhost" in of(done, "proxies", "ok")
    assert "http_proxy is not an address" in of(done, "proxies", "fail")


def test_packages_that_do_not_fit(run: Any, place: Path, tmp_path: Path) -> None:
    info = tmp_path / "site" / "pointsman_old-0.0.dist-info"
    info.mkdir(parents=True)
    info.joinpath("METADATA").write_text(
        "Metadata-Version: 2.1\nName: pointsman-old\nVersion: 0.0\nRequires-Dist: pointsman<0.1\n"
        "Requires-Dist: pointsman-cli[x]>=0.1 ; extra == 'never'\nRequires-Dist: requests>99\n"
    )
    done = run("doctor", "--json", env={"PYTHONPATH": str(tmp_path / "site")})
    assert done.returncode == 1
    told = [one for one in json.loads(done.stdout)["checks"] if one["name"] == "packages"]
    assert [one["state"] for one in told] == ["ok", "fail"]
    assert "pointsman-old 0.0: it asks for pointsman<0.1, and " in told[1]["said"]


def test_a_plugin_that_says_a_key(run: Any, place: Path, stranger: Any) -> None:
    code = "import os\nraise RuntimeError('no good: ' + os.environ['POINTSMAN_A_API_KEY'])"
    env = stranger({"pointsman.providers": {"mine": "chatty"}, "pointsman.sinks": {"lost": "chatty"}}, chatty=code)
    for args in (["doctor"], ["doctor", "--json"], ["doctor", "--live"]):
        done = run(*args, env=env)
        assert done.returncode == 1, "a broken sink fails every call"
        assert "no good: [redacted]" in " ".join(done.stdout.split())
        assert KEY not in done.stdout + done.stderr


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_it_fits_the_terminal(terminal: Any, place: Path, columns: int) -> None:
    screen = terminal("doctor", columns=columns, env={"NO_COLOR": "1"})
    assert screen.code == 0
    assert "\x1b" not in screen.text
    assert f"{columns} columns, no colours (NO_COLOR)" in " ".join(screen.text.split())
    words = max(len(word) for word in screen.text.split()) + 30
    assert max(map(len, screen.text.splitlines())) <= max(columns, words)


def test_settings_of_a_policy_are_its_own(invoke: Invoke, fussy: Path) -> None:
    file = fussy / "pointsman.toml"
    assert "its settings" not in of(invoke("doctor", "--json"), "policy", "ok")
    good = file.read_text()
    file.write_text(f"{good}[policy]\nexplore = 0.1\n")
    assert f"its settings from project file {file}" in of(invoke("doctor", "--json"), "policy", "ok")


@pytest.mark.parametrize(
    ("text", "said", "command"),
    [
        ("[policy]\nexplore = 7", "is 1 or less, not 7", "set --project policy.explore 0.5"),
        ("[policy]\nexplor = 0.7", "did you mean 'explore'?", "unset --project policy.explor"),
        ("[policy.tasks.x]\nprefr = ['b']", "did you mean 'prefer'?", "unset --project policy.tasks.x.prefr"),
        ("[policy.tasks.x]\nprefer = 'b'", 'is a list: ["b"]', "set --project policy.tasks.x.prefer a/m1"),
        ("[policy.tasks]\nx = 3", "[policy] tasks.x ", "unset --project policy.tasks.x"),
    ],
)
def test_what_is_wrong_with_a_policys_settings_is_told_and_mended(
    invoke: Invoke, fussy: Path, text: str, said: str, command: str
) -> None:
    file = fussy / "pointsman.toml"
    file.write_text(f"{file.read_text()}{text}\n")
    told = of(invoke("doctor", "--json"), "policy", "fail")
    assert said in told
    words = command.split()
    assert " ".join(["pointsman", "config", *words[:3]]) in told
    for verb in ("route", "chat"):
        done = invoke(verb, "hi")
        assert done.exit_code == 2
        assert said in done.stderr
        assert "[routing] policy" not in done.stderr, "the choice of the policy is not what is wrong"
    assert invoke("config", *words).exit_code == 0
    assert not of(invoke("doctor", "--json"), "policy", "fail")


def test_settings_for_a_policy_that_takes_none(invoke: Invoke, place: Path) -> None:
    with (place / "pointsman.toml").open("a") as file:
        file.write("[policy]\nexplore = 0.1\n")
    told = of(invoke("doctor", "--json"), "policy", "fail")
    assert "the policy 'in_order' has no settings" in told
    assert "pointsman config unset --project policy.explore" in told
    assert "config set" not in told, "it would be refused"


def test_a_variable_for_a_policy_is_read(invoke: Invoke, fussy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_POLICY_EXPLORE", "0.25")
    assert json.loads(invoke("route", "--json", "hi").stdout)["decision"]["policy_hash"] == "explore-0.25"
    assert of(invoke("doctor", "--json"), "variables", "ok")
    monkeypatch.setenv("POINTSMAN_POLICY_EXPLRE", "0.25")
    assert "did you mean 'explore'?" in invoke("route", "hi").stderr


def test_a_rule_for_nobody_is_told(invoke: Invoke, place: Path) -> None:
    with (place / "pointsman.toml").open("a") as file:
        file.write('[policy.tasks.translation]\navoid = ["aa/*"]\nprefer = ["*", "?/m1", "b/*"]\n')
        file.write('[policy.quality]\n"nobody/*" = 3\n"a/*" = 3\n')
    toml = place / "pointsman.toml"
    toml.write_text(toml.read_text().replace('policy = "in_order"', 'policy = "scored"'))
    found = [one for one in json.loads(invoke("doctor", "--json").stdout)["checks"] if one["name"] == "policy"]
    assert [one["state"] for one in found] == ["warn", "warn"]
    said = " ".join(one["said"] for one in found)
    assert "a rule for aa/*" in said
    assert "a rule for nobody/*" in said
