"""The providers of a configuration, on paper: who is ready, who is not and why, and where requests may go."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from pointsman import (
    AsyncClient,
    ChatRequest,
    ConfigError,
    Decision,
    Exclusion,
    ModelInfo,
    NoCandidates,
    PluginError,
    Plugins,
    Price,
    ProviderContext,
    ProviderSpec,
    Settings,
    Target,
    Terminal,
    Tool,
    hookimpl,
    user,
)
from pointsman.engine import roster as roster_module
from pointsman.engine.roster import Roster
from pointsman.plugins import Kind, PluginInfo

KEY = "sk-0123456789abcdef"
PRICE = Price(input=Decimal(1), output=Decimal(2), as_of=date(2026, 11, 1), source="acme.example")


class Config(BaseModel, frozen=True, extra="forbid"):
    base_url: str = "http://127.0.0.1"


class KeyConfig(BaseModel, frozen=True, extra="forbid"):
    base_url: str = "https://api.vault.example"
    api_key: SecretStr


class ServerConfig(BaseModel, frozen=True, extra="forbid"):
    base_url: str
    default_models: tuple[str, ...] = ()
    capabilities: frozenset[str] = frozenset()


def unopened(config: Any, context: ProviderContext) -> AbstractAsyncContextManager[Any]:
    raise AssertionError("a roster opens nothing")


class Plugin:
    """A provider that is never opened."""

    def __init__(self, name: str, config: type[BaseModel] = Config, **facts: Any) -> None:
        self.spec = ProviderSpec(name=name, config=config, open=unopened, terminal=Terminal.DONE_FIELD, **facts)

    @hookimpl
    def pointsman_providers(self) -> Sequence[ProviderSpec[Any]]:
        return [self.spec]

    @hookimpl
    def pointsman_stream(self, connection: object) -> None:
        raise AssertionError("a roster asks nobody")


ALPHA = Plugin(
    "alpha",
    models=(
        ModelInfo(id="big", context_tokens=100_000, price=PRICE),
        ModelInfo(id="small", capabilities=frozenset({"tools"})),
    ),
    default_models=("big", "small"),
    capabilities=frozenset({"vision"}),
)
VAULT = Plugin(
    "vault",
    KeyConfig,
    default_models=("v1",),
    hosts=("api.vault.example",),
    env_keys={"api_key": "VAULT_API_KEY"},
    help="Make a key at https://vault.example.",
)
SERVER = Plugin("any-server", ServerConfig, help="Start a server, and set base_url to it.")
BROKEN = object()


def roster(
    table: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, *plugins: Plugin
) -> Roster:
    given = plugins or (ALPHA, VAULT, SERVER)
    return Roster(Settings.of(table, environ), Plugins.of(providers={one.spec.name: one for one in given}))


def offered(one: Roster) -> list[str]:
    return [str(item.target) for item in one.candidates()[0]]


def test_every_ready_providers_default_models_are_offered() -> None:
    made = roster()
    ready, unready = made.candidates()
    assert [str(one.target) for one in ready] == ["alpha/big", "alpha/small"]
    assert [(str(item.target), item.reason.partition(": ")[0]) for item in unready] == [
        ("any-server/*", "any-server"),
        ("vault/*", "vault"),
    ]
    assert offered(roster(environ={"VAULT_API_KEY": KEY})) == ["alpha/big", "alpha/small", "vault/v1"]


def test_a_candidate_is_what_its_model_is_known_for_else_its_provider() -> None:
    big, small = roster().candidates()[0]
    assert (big.capabilities, big.context_tokens, big.price) == ({"vision"}, 100_000, PRICE)
    assert (small.capabilities, small.context_tokens, small.price) == ({"tools"}, None, None)
    unheard = roster().candidate(Target("alpha", "unheard-of"))
    assert (unheard.capabilities, unheard.context_tokens, unheard.price) == ({"vision"}, None, None)


def test_its_user_may_know_that_a_server_can_do_more() -> None:
    lan = {"plugin": "any-server", "base_url": "http://10.0.0.2/v1", "default_models": ["qwen"]}
    for said in ((), ("prefill", "local")):
        made = roster({"providers": {"lan": lan | {"capabilities": said}}})
        assert made.capabilities(Target("lan", "qwen")) == SERVER.spec.capabilities.union(said)
        assert made.candidates()[0][-1].capabilities == SERVER.spec.capabilities.union(said)


@pytest.mark.parametrize("said", [["prefil"], ["tools", "prefil"], ("prefil",)])
def test_what_nobody_can_do_is_no_capability(said: Any) -> None:
    lan = {"plugin": "any-server", "base_url": "http://10.0.0.2/v1", "capabilities": said}
    with pytest.raises(ConfigError) as raised:
        roster({"providers": {"lan": lan}}).configured("lan")
    assert raised.value.message == (
        "capabilities (argument): there is no 'prefil': there are tools, schema, vision, reasoning, embeddings, "
        "prefill, agentic, local; did you mean 'prefill'?"
    )
    assert raised.value.missing is False
    assert raised.value.provider == "lan"


def test_what_a_spec_declares_by_a_name_of_its_own_may_be_said_too() -> None:
    poet = Plugin("poet", ServerConfig, capabilities=frozenset({"haiku"}))
    made = roster({"providers": {"poet": {"base_url": "http://10.0.0.2/v1", "capabilities": ["haiku"]}}}, None, poet)
    assert made.capabilities(Target("poet", "basho")) == {"haiku"}


def test_the_configured_targets_are_offered_in_their_order() -> None:
    targets = ["vault/v9", "alpha/small", "vault/v1"]
    made = roster({"routing": {"targets": targets}}, {"VAULT_API_KEY": KEY})
    assert offered(made) == targets
    without_key = roster({"routing": {"targets": targets}})
    ready, unready = without_key.candidates()
    assert [str(one.target) for one in ready] == ["alpha/small"]
    assert [str(item.target) for item in unready] == ["vault/v9", "vault/v1"]
    assert "set VAULT_API_KEY or POINTSMAN_VAULT_API_KEY" in unready[0].reason


def test_a_provider_made_of_a_plugin_is_its_own() -> None:
    lan = {"plugin": "any-server", "base_url": "http://10.0.0.2/v1", "default_models": ["qwen"]}
    made = roster({"providers": {"lan": lan}})
    assert offered(made) == ["alpha/big", "alpha/small", "lan/qwen"]
    assert made.declared("lan").plugin[0] == "any-server"
    assert made.declared("lan").spec is SERVER.spec
    assert made.configured("lan").name == "lan"
    with pytest.raises(ConfigError, match="any-server: no base_url"):
        made.configured("any-server")


# Who is not there -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "name", "said"),
    [
        ({}, "alhpa", r"no provider is called 'alhpa': there are alpha, any-server, vault; did you mean 'alpha'\?"),
        ({}, "zzz", r"no provider is called 'zzz': there are alpha, any-server, vault$"),
        (
            {"providers": {"office": {"plugin": "any-server", "base_url": "http://10.0.0.2"}}},
            "ofice",
            r"did you mean 'office'\?",
        ),
        ({"providers": {"lan": {"base_url": "x"}}}, "lan", r'\[providers\.lan\] needs the plugin .*plugin = "\.\.\."'),
        ({"providers": {"lan": {}}}, "lan", r"alpha, any-server, vault"),
        ({"providers": {"lan": {"plugin": "any-sever"}}}, "lan", r"no provider is called 'any-sever'.*'any-server'\?"),
        ({"providers": {"lan": {"plugin": ""}}}, "lan", r"no provider is called ''"),
    ],
)
def test_an_unknown_provider_is_named_with_the_nearest(table: dict[str, Any], name: str, said: str) -> None:
    made = roster(table)
    with pytest.raises(ConfigError, match=said):
        made.declared(name)


async def test_pinning_an_unknown_provider_says_so_too() -> None:
    plugins = Plugins.of(providers={"alpha": ALPHA})
    async with AsyncClient(settings=Settings.of({}), plugins=plugins) as client:
        with pytest.raises(ConfigError, match=r"did you mean 'alpha'\?"):
            await client.chat("hi", model="alpa/big")


def test_nobody_is_installed() -> None:
    made = Roster(Settings.of({}), Plugins.of())
    with pytest.raises(NoCandidates, match="no provider is installed: pip install pointsman-sambanova") as caught:
        made.candidates()
    assert caught.value.none_ready


def test_nobody_is_ready() -> None:
    with pytest.raises(NoCandidates) as caught:
        roster({}, {}, VAULT, SERVER).candidates()
    assert caught.value.none_ready
    assert str(caught.value).splitlines() == [
        "no provider is ready.",
        "  any-server: no base_url: set POINTSMAN_ANY_SERVER_BASE_URL, or base_url under [providers.any-server]. "
        "Start a server, and set base_url to it.",
        "  vault: no api_key: set VAULT_API_KEY or POINTSMAN_VAULT_API_KEY, or api_key under [providers.vault]. "
        "Make a key at https://vault.example.",
    ]


def test_nobody_has_a_model() -> None:
    with pytest.raises(NoCandidates, match=r"bare: it suggests no model: name one .*POINTSMAN_ROUTING_TARGETS"):
        roster({}, {}, Plugin("bare")).candidates()
    with pytest.raises(
        NoCandidates, match=r"(?s)no ready provider suggests one\..*bare: it suggests.*vault: no api_key"
    ):
        roster({}, {}, Plugin("bare"), VAULT).candidates()
    with pytest.raises(
        NoCandidates, match=r"lan: .* lan/MODEL, or set default_models \(POINTSMAN_LAN_DEFAULT_MODELS\)"
    ):
        roster({}, {"POINTSMAN_LAN_BASE_URL": "http://127.0.0.1"}, Plugin("lan", ServerConfig)).candidates()


def test_a_provider_that_suggests_nothing_is_left_out_with_the_reason() -> None:
    ready, unready = roster({}, {}, Plugin("bare"), ALPHA).candidates()
    assert {one.target.provider for one in ready} == {"alpha"}
    assert [str(one.target) for one in unready] == ["bare/*"]


def test_a_configured_mistake_is_not_passed_over() -> None:
    """Whoever wrote a table, or named a target, wants to know that it does not work."""
    with pytest.raises(ConfigError, match=r"no setting is called 'api_kye'.*did you mean 'api_key'\?"):
        roster({"providers": {"vault": {"api_kye": KEY}}}).candidates()
    with pytest.raises(ConfigError, match=r"vault: base_url \(environment POINTSMAN_VAULT_BASE_URL\)"):
        roster({}, {"POINTSMAN_VAULT_BASE_URL": "https://a b", "VAULT_API_KEY": KEY}).candidates()
    with pytest.raises(ConfigError, match=r"no provider is called 'zzz'"):
        roster({"routing": {"targets": ["alpha/big", "zzz/x"]}}).candidates()


def test_a_broken_plugin_hides_only_itself_unless_it_is_asked_for() -> None:
    def load() -> object:
        raise ImportError("no module named acme_sdk")

    infos = [
        PluginInfo(Kind.PROVIDER, "alpha", "given", "given", lambda: ALPHA),
        PluginInfo(Kind.PROVIDER, "bad", "bad 1.0", "bad", load),
    ]
    made = Roster(Settings.of({}), Plugins(infos))
    ready, unready = made.candidates()
    assert len(ready) == 2
    assert unready == [
        Exclusion(
            Target("bad", "*"), "plugin bad: it cannot be loaded from bad 1.0: ImportError: no module named acme_sdk"
        )
    ]
    wanted = Roster(Settings.of({"routing": {"targets": ["bad/x", "alpha/big"]}}), Plugins(infos))
    with pytest.raises(PluginError, match="bad"):
        wanted.candidates()


# What it costs, and what it keeps -------------------------------------------------------------------------------------


def test_a_configuration_is_made_once_and_warns_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made_for: list[str] = []
    configure = roster_module.configure
    monkeypatch.setattr(
        roster_module, "configure", lambda name, *rest: (made_for.append(name), configure(name, *rest))[1]
    )
    made = roster({"providers": {"vault": {"base_url": "https://elsewhere.example"}}}, {"VAULT_API_KEY": KEY})
    with caplog.at_level(logging.WARNING, "pointsman"):
        for _ in range(3):
            made.candidates()
    assert sorted(made_for) == ["alpha", "any-server", "vault"], "also what is not ready is not tried for each call"
    assert KEY not in caplog.text


def test_every_secret_of_a_configuration_is_kept_out_of_messages() -> None:
    made = roster(environ={"VAULT_API_KEY": KEY})
    made.configured("vault")
    assert made.redactor.text(f"Bearer {KEY}") == "Bearer [redacted]"


async def test_what_a_target_cannot_do_excludes_it_with_the_reason() -> None:
    async with AsyncClient(settings=Settings.of({}), plugins=Plugins.of(providers={"alpha": ALPHA})) as client:
        decision: Decision = client.decide("hi", tools=[Tool("look")])
        assert decision.order == (Target("alpha", "small"),)
        assert Exclusion(Target("alpha", "big"), "cannot do tools") in decision.excluded
        with pytest.raises(NoCandidates, match=r"alpha/small: cannot do embeddings"):
            client.decide(ChatRequest(messages=(user("hi"),), require=frozenset({"embeddings"})))
