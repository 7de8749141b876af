"""Plugins: found by metadata alone, loaded when used, broken one by one, and asked only about what is theirs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pluggy
import pytest
from pydantic import BaseModel

from pointsman import (
    AsyncClient,
    ChatRequest,
    ConfigError,
    Connection,
    Exact,
    Finished,
    HealthState,
    ModelInfo,
    PluginError,
    Plugins,
    ProviderContext,
    ProviderSpec,
    Scope,
    Settings,
    StreamEvent,
    Target,
    Terminal,
    TextDelta,
    Unavailable,
    Unknown,
    hookimpl,
    hookspecs,
)
from pointsman.commands import CommandSpec
from pointsman.plugins import HookCallables, Kind, PluginInfo, compose
from pointsman.policy import InOrder

# Installed distributions, made up on the spot ------------------------------------------------------------------------

GOOD = """
from contextlib import asynccontextmanager
from pydantic import BaseModel
from pointsman import ProviderSpec, Terminal, hookimpl

class Config(BaseModel):
    base_url: str = "http://127.0.0.1"

@asynccontextmanager
async def open_(config, context):
    yield None

@hookimpl
def pointsman_providers():
    return [ProviderSpec(name={name!r}, config=Config, open=open_, terminal=Terminal.DONE_FIELD)]

@hookimpl
def pointsman_stream(connection):
    return connection.session
"""

WRAPPER = """
from pointsman import hookimpl

@hookimpl(wrapper=True)
def pointsman_stream(connection):
    return (yield)
"""

BROKEN = {
    "raises": ("raise RuntimeError('no SDK here')", "it cannot be loaded from p-raises 1.5: RuntimeError: no SDK here"),
    "exits": ("import sys; sys.exit(3)", "it cannot be loaded from p-exits 1.5: SystemExit: 3"),
    "syntax": ("def", "it cannot be loaded from p-syntax 1.5: SyntaxError"),
    "wants": ("import a_module_that_is_not_there", "ModuleNotFoundError: No module named 'a_module_that_is_not_there'"),
    "misspelt": (
        GOOD.replace("pointsman_stream", "pointsman_streem"),
        "unknown hook 'pointsman_streem'",
    ),
    "arguments": (GOOD.replace("(connection)", "(conection)"), "conection"),
    "unmarked": (
        GOOD.replace("@hookimpl\ndef pointsman_stream", "def pointsman_stream"),
        "pointsman_stream lacks its marker: write @hookimpl above it",
    ),
    "asynchronous": (
        GOOD.replace("def pointsman_stream", "async def pointsman_stream"),
        "pointsman_stream must be a plain function",
    ),
    "nothing": ("x = 1", "it implements no hook"),
    "undeclared": (WRAPPER, "it does not answer pointsman_providers"),
    "raising": (GOOD.replace("return [Prov", "return 1 / 0, [Prov"), "pointsman_providers raised ZeroDivisionError"),
    "none": (GOOD.replace("return [Prov", "return None; [Prov"), "it does not answer pointsman_providers"),
    "alone": (
        GOOD.replace("return [ProviderSpec", "return (ProviderSpec").replace("DONE_FIELD)]", "DONE_FIELD))"),
        "pointsman_providers must answer with a list, not with a ProviderSpec",
    ),
    "stranger": (GOOD.replace("return [Prov", "return ['acme', Prov"), "answered with a str, which is no provider"),
    "misnamed": (GOOD.format(name="another"), "it declares 'another', but its entry point is called 'misnamed'"),
}


def install(folder: Path, name: str, code: str, group: str = "pointsman.providers", entry: str | None = None) -> None:
    """A distribution ``p-<name>`` with one module and one entry point, as an installer leaves it."""
    module = f"p_{name.replace('-', '_')}"
    (folder / f"{module}.py").write_text(code.format(name=name) if "{name!r}" in code else code)
    info = folder / f"{module}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: p-{name}\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{entry or name} = {module}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path of imports; what is imported from it is forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path  # type: ignore[misc]
    for name in set(sys.modules) - before:
        if name.startswith("p_"):
            del sys.modules[name]


def test_listing_imports_no_plugin(tmp_path: Path) -> None:
    for name, (code, _) in BROKEN.items():
        install(tmp_path, name, code)
    install(tmp_path, "sleeps", "import time\ntime.sleep(60)\n")
    install(tmp_path, "wraps", "raise SystemExit", "pointsman.wrappers")
    script = (
        "import json, sys\n"
        "from pointsman.plugins import Kind, Plugins\n"
        "plugins = Plugins.installed()\n"
        "names = {kind.word: plugins.names(kind) for kind in Kind}\n"
        "infos = [(i.kind.word, i.name, i.origin, i.distribution) for i in plugins.infos()]\n"
        "loaded = [m for m in sys.modules if m.startswith('p_')]\n"
        "print(json.dumps([names, infos, loaded, list(map(str, plugins.broken))]))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    names, infos, loaded, broken = json.loads(ran.stdout)
    assert set(BROKEN) | {"sleeps"} <= set(names["provider"])
    assert names["wrapper"] == ["wraps"]
    assert "in_order" in names["policy"]
    assert ["provider", "misspelt", "p-misspelt 1.5", "p-misspelt"] in infos
    assert (loaded, broken) == ([], [])


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_hides_only_itself(site: Path, name: str) -> None:
    code, reason = BROKEN[name]
    install(site, name, code)
    install(site, "fine", GOOD)
    plugins = Plugins.installed()
    with pytest.raises(PluginError) as caught:
        plugins.provider(name)
    assert reason in str(caught.value)
    assert caught.value.plugin == name
    assert plugins.broken[Kind.PROVIDER, name] is caught.value
    with pytest.raises(PluginError) as again:
        plugins.provider(name)
    assert again.value is caught.value
    spec, plugin = plugins.provider("fine")
    assert spec.name == "fine"
    assert plugin is sys.modules["p_fine"]
    assert list(plugins.broken) == [(Kind.PROVIDER, name)]


def test_a_name_that_two_distributions_claim_is_nobodys(site: Path) -> None:
    install(site, "one", GOOD, entry="acme")
    install(site, "two", GOOD, entry="acme")
    install(site, "fine", GOOD)
    plugins = Plugins.installed()
    with pytest.raises(PluginError, match=r"p-one 1\.5 and p-two 1\.5 both claim this name: uninstall one of them"):
        plugins.provider("acme")
    assert "p_one" not in sys.modules
    assert plugins.provider("fine")[0].name == "fine"
    assert [info.origin for info in plugins.infos() if info.name == "acme"] == ["p-one 1.5", "p-two 1.5"]


def test_a_distribution_that_is_twice_on_the_path_is_one(
    site: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("again")
    monkeypatch.syspath_prepend(str(other))
    for folder in (site, other):
        install(folder, "fine", GOOD)
    assert Plugins.installed().provider("fine")[0].name == "fine"


def test_an_entry_point_that_leads_nowhere(site: Path) -> None:
    install(site, "gone", GOOD)
    (site / "p_gone-1.5.dist-info" / "entry_points.txt").write_text("[pointsman.providers]\ngone = p_gone:nothing\n")
    with pytest.raises(PluginError, match="AttributeError: module 'p_gone' has no attribute 'nothing'"):
        Plugins.installed().provider("gone")


@pytest.mark.parametrize("group", ["pointsman.wrappers", "pointsman.sinks"])
async def test_a_broken_wrapper_or_sink_is_fatal_unless_it_is_disabled(site: Path, group: str) -> None:
    install(site, "guard", "raise RuntimeError('no rules')", group)
    with pytest.raises(
        PluginError, match=r"plugin guard: it cannot be loaded from p-guard 1\.5: RuntimeError: no rules"
    ):
        async with AsyncClient(settings=Settings.of({})):
            pass
    async with AsyncClient(settings=Settings.of({"plugins": {"disable": ["guard"]}})):
        pass


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (WRAPPER.replace("(wrapper=True)", ""), "must be marked @hookimpl(wrapper=True)"),
        (WRAPPER.replace("wrapper=True", "hookwrapper=True"), "must be marked @hookimpl(wrapper=True)"),
        (WRAPPER.replace("@hookimpl(wrapper=True)", ""), "pointsman_stream lacks its marker"),
        (WRAPPER.replace("pointsman_stream", "pointsman_streem"), "unknown hook 'pointsman_streem'"),
        (WRAPPER.replace("return (yield)", "return None"), "generator"),
        ("def redact(request):\n    return request\n", "it implements no hook"),
    ],
)
async def test_a_wrapper_that_would_not_wrap_is_fatal(site: Path, code: str, said: str) -> None:
    """Silently leaving a redaction out would be worse than any error."""
    install(site, "guard", code, "pointsman.wrappers")
    with pytest.raises(PluginError) as caught:
        async with AsyncClient(settings=Settings.of({})):
            pass
    assert said in str(caught.value)
    assert caught.value.plugin == "guard"


def test_a_disabled_plugin_says_that_it_is(site: Path) -> None:
    install(site, "fine", GOOD)
    plugins = Plugins.installed(disabled=["fine"])
    assert "fine" not in plugins.names(Kind.PROVIDER)
    with pytest.raises(ConfigError, match=r"the provider 'fine' is disabled by \[plugins\] disable"):
        plugins.provider("fine")
    with pytest.raises(ConfigError, match=r"no provider is called 'finee'"):
        plugins.provider("finee")


# Order, choice, declarations -----------------------------------------------------------------------------------------


class Wraps:
    @hookimpl(wrapper=True)
    def pointsman_stream(self) -> Generator[None, Any, Any]:
        return (yield)


@pytest.mark.parametrize(
    ("order", "expected"),
    [((), "abc"), (("c",), "cab"), (("c", "a"), "cab"), (("b", "c", "a"), "bca"), (("c", "gone"), "cab")],
)
def test_wrappers_stand_in_the_configured_order_then_by_name(order: tuple[str, ...], expected: str) -> None:
    infos = [PluginInfo(Kind.WRAPPER, name, "given", "given", Wraps) for name in ["b", "c", "a", "gone"]]
    plugins = Plugins(infos, disabled=["gone"])
    assert "".join(name for name, _ in plugins.wrappers(order)) == expected


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (["redcat"], r"\[plugins\] wrappers: no wrapper is called 'redcat' \(installed: cache, redact\); .*'redact'\?"),
        (["redact", "redact"], r"\[plugins\] wrappers names 'redact' more than once"),
    ],
)
async def test_an_order_of_wrappers_that_are_not_there(order: list[str], said: str) -> None:
    plugins = Plugins.of(wrappers={"redact": Wraps(), "cache": Wraps()})
    with pytest.raises(ConfigError, match=said):
        async with AsyncClient(settings=Settings.of({"plugins": {"wrappers": order}}), plugins=plugins):
            pass


class Ranks:
    def __init__(self, *names: str) -> None:
        self.names = names

    @hookimpl
    def pointsman_policies(self) -> Sequence[Any]:
        return [InOrder(name) for name in self.names]


def policies(**distributions: str) -> Plugins:
    return Plugins(
        PluginInfo(Kind.POLICY, name, origin, origin, lambda name=name: Ranks(name))  # type: ignore[misc]
        for name, origin in {"in_order": "pointsman", **distributions}.items()
    )


def test_the_policy_is_the_chosen_one_else_ours_else_the_only_one() -> None:
    assert policies().policy().name == "in_order"
    assert policies(dice="p-dice").policy().name == "dice"
    assert policies(dice="p-dice", smart="pointsman-policy").policy().name == "smart"
    assert policies(dice="p-dice", coin="p-coin").policy("coin").name == "coin"
    with pytest.raises(
        ConfigError, match=r"several policies are installed: set \[routing\] policy to one of coin, dice"
    ):
        policies(dice="p-dice", coin="p-coin").policy()
    with pytest.raises(ConfigError, match=r"no policy is called 'dic' .*did you mean 'dice'\?"):
        policies(dice="p-dice").policy("dic")


def test_declarations_are_held_to_their_kind() -> None:
    commands = SimpleNamespace  # Any object may be a plugin.

    class Verbs:
        @hookimpl
        def pointsman_commands(self) -> Any:
            return [CommandSpec("bench", "Measure.", "bench:main"), commands()]

    class Sinks:
        @hookimpl
        def pointsman_sinks(self) -> Any:
            return [print, "not a sink"]

    plugins = Plugins([PluginInfo(Kind.COMMAND, "bench", "given", "given", Verbs)])
    with pytest.raises(PluginError, match="pointsman_commands answered with a SimpleNamespace, which is no command"):
        plugins.command("bench")
    with pytest.raises(PluginError, match="pointsman_sinks answered with a str, which is no sink"):
        Plugins.of(sinks={"bad": Sinks()}).sinks()
    with pytest.raises(PluginError, match="pointsman_policies answered with a type, which is no policy"):
        Plugins.of(policies={"bad": _answering("pointsman_policies", [InOrder])}).policy("bad")


def _answering(hook: str, answer: Any) -> object:
    """A plugin with one hook."""
    plugin = SimpleNamespace()
    setattr(plugin, hook, hookimpl(lambda: answer))
    return type("Plugin", (), {hook: staticmethod(getattr(plugin, hook))})()


# Composition ---------------------------------------------------------------------------------------------------------


class Config(BaseModel, frozen=True):
    base_url: str = "http://127.0.0.1"


def said_by(name: str) -> Callable[[ChatRequest], Any]:
    """A stream that says who answers."""

    @asynccontextmanager
    async def stream(request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        async def events() -> AsyncGenerator[StreamEvent]:
            yield TextDelta(name)
            yield Finished("stop")

        made = events()
        try:
            yield made
        finally:
            await made.aclose()

    return stream


class Provider:
    """Answers `pointsman_stream` for every connection that it is asked about, whoever it belongs to."""

    def __init__(self, name: str, **answers: Any) -> None:
        self.answers = {"pointsman_stream": said_by(name), **answers}
        self.asked = 0
        self.spec = ProviderSpec(
            name=name,
            config=Config,
            open=self._open,
            terminal=Terminal.DONE_FIELD,
            models=(ModelInfo(id="m"),),
            default_models=("m",),
        )

    @asynccontextmanager
    async def _open(self, config: Config, context: ProviderContext) -> AsyncGenerator[None]:
        yield None

    @hookimpl
    def pointsman_providers(self) -> Sequence[ProviderSpec[Any]]:
        return [self.spec]

    @hookimpl
    def pointsman_stream(self, connection: Connection[Any]) -> Any:
        self.asked += 1
        return self._answer("pointsman_stream")

    def _answer(self, hook: str) -> Any:
        answer = self.answers[hook]
        if isinstance(answer, BaseException):
            raise answer
        return answer


class WholeProvider(Provider):
    """Implements every hook."""

    @hookimpl
    def pointsman_health(self) -> Any:
        return self._answer("pointsman_health")

    @hookimpl
    def pointsman_cost(self) -> Any:
        return self._answer("pointsman_cost")

    @hookimpl
    def pointsman_models(self) -> Any:
        return self._answer("pointsman_models")

    @hookimpl
    def pointsman_embed(self) -> Any:
        return self._answer("pointsman_embed")

    @hookimpl
    def pointsman_warm(self) -> Any:
        return self._answer("pointsman_warm")


HOOKS = tuple(f"pointsman_{what}" for what in ("stream", "health", "cost", "models", "embed", "warm"))


class Wrapper:
    """Wraps one hook, with what `change` makes of the inner answer."""

    def __init__(self, hook: str, change: Callable[[Any], Any] = lambda inner: inner, **marks: bool) -> None:
        self.asked = 0

        def wrap(connection: Connection[Any]) -> Generator[None, Any, Any]:
            self.asked += 1
            return change((yield))

        setattr(self, hook, hookimpl(wrapper=True, **marks)(wrap))


def connection_of(provider: Provider) -> Connection[Any]:
    context = SimpleNamespace(name=provider.spec.name)
    return Connection(spec=provider.spec, config=Config(), session=None, context=context, prices=None)  # type: ignore[arg-type]


def composed(provider: Provider, **wrappers: object) -> HookCallables:
    return compose(connection_of(provider), (provider.spec.name, provider), list(wrappers.items()))


async def text_of(hooks: HookCallables) -> str:
    async with hooks.stream(ChatRequest(messages=())) as events:
        return "".join([event.text async for event in events if isinstance(event, TextDelta)])


def test_why_pluggys_own_subset_would_not_do() -> None:
    """A subset that leaves out today's siblings lets tomorrow's in, and the last to register answers first."""
    manager = pluggy.PluginManager("pointsman")
    manager.add_hookspecs(hookspecs)
    mine, sibling, late = (Provider(name) for name in ("mine", "sibling", "late"))
    manager.register(mine)
    manager.register(sibling)
    only_mine = manager.subset_hook_caller("pointsman_stream", remove_plugins=[sibling])
    assert only_mine(connection=connection_of(mine)) is mine.answers["pointsman_stream"]
    manager.register(late)
    assert only_mine(connection=connection_of(mine)) is late.answers["pointsman_stream"]


async def test_only_the_providers_own_plugin_answers_for_it() -> None:
    mine, sibling = Provider("mine"), Provider("sibling")
    plugins = Plugins.of(providers={"mine": mine, "sibling": sibling})
    async with AsyncClient(settings=Settings.of({}), plugins=plugins) as client:
        for name in ("mine", "sibling", "mine"):
            assert (await client.chat("hi", model=f"{name}/m")).text == name
    assert (mine.asked, sibling.asked) == (1, 1), "each once, when its connection opened"


async def test_hooks_are_not_on_the_path_of_a_request() -> None:
    provider, wrapper = Provider("mine"), Wrapper("pointsman_stream")
    plugins = Plugins.of(providers={"mine": provider}, wrappers={"w": wrapper})
    async with AsyncClient(settings=Settings.of({}), plugins=plugins) as client:
        for _ in range(5):
            await client.chat("hi")
    assert (provider.asked, wrapper.asked) == (1, 1)
    async with AsyncClient(settings=Settings.of({}), plugins=plugins) as client:
        await client.chat("hi")
    assert (provider.asked, wrapper.asked) == (2, 2), "once for each connection"


async def test_what_a_provider_leaves_out_has_a_default() -> None:
    hooks = composed(Provider("mine"))
    health = await hooks.health()
    assert (health.state, health.reason) == (HealthState.UNKNOWN, "mine has no free probe; traffic will tell")
    assert hooks.cost(Target("mine", "m"), None, None) == Unknown
    assert await hooks.models() == (ModelInfo(id="m"),)
    assert hooks.embed is None


async def test_wrappers_stand_around_defaults_too() -> None:
    free = Wrapper(
        "pointsman_cost", lambda inner: lambda target, usage, timing: inner(target, usage, timing) + Exact(5)
    )
    nobody = Wrapper("pointsman_embed", lambda inner: 1 / 0)
    hooks = composed(Provider("mine"), free=free, nobody=nobody)
    assert hooks.cost(Target("mine", "m"), None, None).known == 5
    assert hooks.embed is None
    assert nobody.asked == 0, "there is nothing to stand around"


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("answer", [None, 5, "stream"])
def test_a_provider_that_answers_with_nothing_to_call_is_named(hook: str, answer: object) -> None:
    provider = WholeProvider("mine", **(dict.fromkeys(HOOKS, print) | {hook: answer}))
    kind = "None" if answer is None else type(answer).__name__
    said = f"plugin mine: {hook} must answer with a callable, not with {kind}"
    with pytest.raises(PluginError, match=said) as caught:
        composed(provider, outer=Wrapper(hook))
    assert caught.value.plugin == "mine"
    assert caught.value.scope is Scope.PROVIDER


@pytest.mark.parametrize("hook", HOOKS)
def test_a_provider_whose_hook_raises_is_named(hook: str) -> None:
    provider = WholeProvider("mine", **(dict.fromkeys(HOOKS, print) | {hook: ValueError("oops")}))
    with pytest.raises(PluginError, match=f"plugin mine: {hook} raised ValueError: oops") as caught:
        composed(provider, outer=Wrapper(hook))
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_error_of_ours_stays_what_it_is_and_says_where() -> None:
    provider = Provider("mine", pointsman_stream=Unavailable("not today"))
    with pytest.raises(Unavailable, match="not today") as caught:
        composed(provider, outer=Wrapper("pointsman_stream"))
    assert caught.value.__notes__ == ["raised by pointsman_stream of the plugin 'mine'"]


def fail(inner: object) -> object:
    raise ValueError("oops")


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("marks", [{}, {"tryfirst": True}, {"trylast": True}])
@pytest.mark.parametrize("place", ["inner", "middle", "outer"])
@pytest.mark.parametrize(
    ("change", "said"),
    [(lambda inner: None, "must answer with a callable, not with None"), (fail, "raised ValueError: oops")],
)
def test_a_wrapper_that_breaks_its_promise_is_named(
    hook: str, marks: dict[str, bool], place: str, change: Callable[[Any], Any], said: str
) -> None:
    wrappers: dict[str, object] = {name: Wrapper(hook) for name in ("outer", "middle", "inner")}
    wrappers[place] = Wrapper(hook, change, **marks)
    with pytest.raises(PluginError, match=f"plugin {place}: {hook} {said}") as caught:
        composed(WholeProvider("mine", **dict.fromkeys(HOOKS, print)), **wrappers)
    assert caught.value.plugin == place
    assert caught.value.scope is Scope.REQUEST, "another target would meet the same wrapper"
    assert caught.value.provider == "mine"


@pytest.mark.parametrize("marks", [{}, {"tryfirst": True}, {"trylast": True}])
def test_pluggys_marks_do_not_change_the_order(marks: dict[str, bool]) -> None:
    """`[plugins] wrappers` alone decides it."""
    order: list[str] = []
    wrappers = {
        name: Wrapper(
            "pointsman_stream", lambda inner, name=name: order.append(name) or inner, **(marks if name == "b" else {})
        )  # type: ignore[misc]
        for name in "abc"
    }
    composed(Provider("mine"), **wrappers)
    assert order == ["c", "b", "a"], "the innermost answers first"


def test_a_provider_without_a_stream_is_none() -> None:
    class NoStream:
        pointsman_providers = Provider.pointsman_providers

    provider = Provider("mine")
    with pytest.raises(PluginError, match="plugin mine: it does not implement pointsman_stream"):
        compose(connection_of(provider), ("mine", NoStream()), [])


def test_one_object_may_wrap_under_two_names() -> None:
    wrapper = Wrapper("pointsman_stream")
    composed(Provider("mine"), one=wrapper, two=wrapper)
    assert wrapper.asked == 2
