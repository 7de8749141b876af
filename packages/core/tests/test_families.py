"""A provider whose targets are of two kinds, and keys that the vendor's own tools have put down."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from pointsman import (
    AsyncClient,
    ConfigError,
    Cost,
    Exact,
    Family,
    ModelInfo,
    NoCandidates,
    PluginError,
    Plugins,
    ProviderContext,
    ProviderSpec,
    Settings,
    Target,
    Terminal,
    Unavailable,
    Unknown,
)
from pointsman.config import configure
from pointsman.engine.roster import Roster
from pointsman_testing import VIRTUAL_BACKENDS, ScriptedProvider, virtual_backend

KEY = "vault-0123456789"


class VaultConfig(BaseModel, frozen=True, extra="forbid"):
    base_url: str = "https://api.vault.example"
    api_key: SecretStr
    workspace: str = "main"


def unopened(config: Any, context: ProviderContext) -> AbstractAsyncContextManager[Any]:
    raise AssertionError("what is on paper is not opened")


def vault(**facts: Any) -> ProviderSpec[VaultConfig]:
    return ProviderSpec(
        name="vault",
        config=VaultConfig,
        open=unopened,
        terminal=Terminal.FINISH_REASON,
        hosts=("api.vault.example", "*.vault.run"),
        env_keys={"api_key": "VAULT_API_KEY"},
        **facts,
    )


class Acting(ScriptedProvider):
    """Models, and agents that act."""

    def __init__(self, name: str, *scripts: Any, **more: Any) -> None:
        super().__init__(name, *scripts, **more)
        agents = Family(terminal=Terminal.BODY_LENGTH, capabilities=frozenset({"agentic"}), idempotent=False)
        self.spec = ProviderSpec(
            name=name,
            config=self.spec.config,
            open=self.spec.open,
            terminal=Terminal.FINISH_REASON,
            capabilities=frozenset({"tools"}),
            models=(*self.spec.models, ModelInfo(id="agent:known", capabilities=frozenset({"agentic", "local"}))),
            default_models=("scripted-1", "agent:coder"),
            families={"agent:": agents},
        )


@pytest.fixture(params=VIRTUAL_BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return virtual_backend(request.param)


# Families ------------------------------------------------------------------------------------------------------------


def test_a_target_is_of_the_family_that_its_name_begins_with() -> None:
    agents = Family(terminal=Terminal.BODY_LENGTH, capabilities=frozenset({"agentic"}), cold_start=9.0)
    spec = vault(capabilities=frozenset({"tools"}), idempotent=False, cold_start=3.0, families={"agent:": agents})
    assert spec.family("agent:coder") is agents
    others = spec.family("an-agent:coder")
    assert (others.terminal, others.capabilities) == (Terminal.FINISH_REASON, frozenset({"tools"}))
    assert (others.idempotent, others.cold_start) == (False, 3.0)


def test_capabilities_are_the_models_own_or_its_familys() -> None:
    roster = Roster(Settings.of(), Plugins.of(providers={"a": Acting("a")}))
    can = {model: roster.capabilities(Target("a", model)) for model in ("scripted-1", "agent:coder", "agent:known")}
    assert can == {"scripted-1": {"tools"}, "agent:coder": {"agentic"}, "agent:known": {"agentic", "local"}}


async def test_what_must_be_agentic_goes_to_an_agent() -> None:
    a = Acting("a", "done")
    async with AsyncClient(settings=Settings.of(), plugins=Plugins.of(providers={"a": a})) as client:
        reply = await client.chat("Refactor it all.", require=["agentic"])
        with pytest.raises(NoCandidates):
            await client.chat("hi", require=["agentic", "tools"])
    assert reply.target == Target("a", "agent:coder")


@pytest.mark.parametrize(("model", "asked"), [("scripted-1", 2), ("agent:coder", 1)])
async def test_only_a_target_that_acts_is_left_after_dispatch(model: str, asked: int) -> None:
    a = Acting("a", default=[Unavailable])
    async with AsyncClient(settings=Settings.of(), plugins=Plugins.of(providers={"a": a})) as client:
        with pytest.raises(Unavailable):
            await client.chat("hi", model=f"a/{model}", deadline=60)
    assert len(a.calls) == asked


@pytest.mark.parametrize(
    ("model", "begun", "cost"),
    [("scripted-1", True, Exact(0)), ("agent:coder", True, Unknown), ("agent:coder", False, Exact(0))],
)
async def test_who_acts_may_cost_something_though_it_fails_with_a_status(model: str, begun: bool, cost: Cost) -> None:
    a = Acting("a", [Unavailable("boom", status=500, begun=begun, retryable=False)])
    async with AsyncClient(settings=Settings.of(), plugins=Plugins.of(providers={"a": a})) as client:
        with pytest.raises(Unavailable) as raised:
            await client.chat("hi", model=f"a/{model}")
    assert [attempt.cost for attempt in raised.value.attempts] == [cost]


# Hosts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("api.vault.example", True),
        ("API.vault.example.", True),
        ("a.vault.run", True),
        ("a.b.vault.run", True),
        ("vault.run", False),
        ("notvault.run", False),
        ("vault.run.evil.example", False),
        ("evil-api.vault.example", False),
        ("", False),
    ],
)
def test_hosts_may_be_all_below_one(host: str, trusted: bool) -> None:
    assert vault().trusts(host) is trusted


def test_a_vendors_key_goes_below_its_domain() -> None:
    environ = {"VAULT_API_KEY": KEY}
    settings = Settings.of({"providers": {"vault": {"base_url": "https://mine.vault.run"}}}, environ)
    assert configure("vault", vault(), settings, ["vault"]).hidden == {KEY}
    elsewhere = Settings.of({"providers": {"vault": {"base_url": "https://vault.run.evil.example"}}}, environ)
    with pytest.raises(ConfigError, match="VAULT_API_KEY is not sent to"):
        configure("vault", vault(), elsewhere, ["vault"])


# What the vendor's tools have stored ---------------------------------------------------------------------------------


def stored(environ: Mapping[str, str]) -> Mapping[str, tuple[str, str]]:
    return {"api_key": (KEY, "~/.vault/key"), "workspace": ("team", "~/.vault/config")} if "HOME" in environ else {}


def found(table: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, name: str = "vault") -> Any:
    settings = Settings.of({"providers": {name: table or {}}}, environ or {"HOME": "/home/me"})
    return configure(name, vault(stored=stored), settings, [name])


def test_what_nobody_has_set_is_looked_up_there() -> None:
    made = found()
    assert made.hidden == {KEY}
    assert made.config.workspace == "team"
    assert str(made.origins["api_key"]) == "vendor's file ~/.vault/key"


def test_what_somebody_has_set_goes_before_it() -> None:
    made = found({"workspace": "own"}, {"HOME": "/home/me", "VAULT_API_KEY": "from-the-variable"})
    assert made.hidden == {"from-the-variable"}
    assert made.config.workspace == "own"


def test_without_a_home_there_is_nothing() -> None:
    with pytest.raises(ConfigError, match="no api_key") as raised:
        found(environ={"LANG": "C"})
    assert raised.value.missing


def test_a_stored_key_is_not_sent_elsewhere() -> None:
    with pytest.raises(ConfigError, match="no api_key"):
        found({"base_url": "https://elsewhere.example"})


def test_another_account_does_not_use_it() -> None:
    with pytest.raises(ConfigError, match="no api_key"):
        found(name="second")


def test_a_plugin_that_cannot_read_it_says_so_without_its_words() -> None:
    def broken(environ: Mapping[str, str]) -> Mapping[str, tuple[str, str]]:
        raise ValueError(f"unexpected {KEY}")

    with pytest.raises(PluginError, match="raised ValueError") as raised:
        configure("vault", vault(stored=broken), Settings.of({}, {"HOME": "/"}), ["vault"])
    assert KEY not in repr(raised.value)
    assert raised.value.__context__ is None


@pytest.mark.parametrize("told", [None, {"api_key": KEY}, {"api_key": None}, [KEY]])
def test_a_plugin_that_says_something_else_is_told_too(told: Any) -> None:
    with pytest.raises(PluginError, match="have stored raised") as raised:
        configure("vault", vault(stored=lambda environ: told), Settings.of({}, {"HOME": "/"}), ["vault"])
    assert KEY not in repr(raised.value)


# Loops ---------------------------------------------------------------------------------------------------------------


async def test_a_provider_is_refused_on_a_loop_that_it_does_not_run_on(anyio_backend_name: str) -> None:
    a, b = ScriptedProvider("a", default="from a"), ScriptedProvider("b", default="from b")
    a.spec = replace(a.spec, backends=("asyncio",))
    async with AsyncClient(settings=Settings.of(), plugins=Plugins.of(providers={"a": a, "b": b})) as client:
        if anyio_backend_name == "asyncio":
            assert (await client.chat("hi", model="a/scripted-1")).text == "from a"
            return
        with pytest.raises(ConfigError, match="runs on asyncio, not on trio"):
            await client.chat("hi", model="a/scripted-1")
        assert (await client.chat("hi", model=["a/scripted-1", "b/scripted-1"])).text == "from b"
