"""Clients whose providers are scripted: for the tests of applications, without network, keys, files or plugins."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeAlias, TypedDict, Unpack, cast

from pointsman import (
    AsyncClient,
    ChatRequest,
    Client,
    Finished,
    ModelInfo,
    PluginError,
    Plugins,
    PointsmanError,
    Scope,
    Settings,
    Target,
)

from .scripted import ScriptedCall, ScriptedProvider, Steps

Answers: TypeAlias = Steps | Callable[[ChatRequest], Steps]
"""What one call does: a text (a whole answer), an error, steps in a list, or a function of the request."""

ByTarget: TypeAlias = Mapping[str, Answers | tuple[Answers, ...]]
"""Answers of each target, in the order in which targets are asked; a tuple is one answer after another."""


class Wishes(TypedDict, total=False):
    """What can be said of scripted targets besides their answers."""

    target: str
    """What answers where there is one target only, for code that names a model; ``scripted/scripted-1`` if left out."""
    default: Answers
    """What each call does that no answer is left for. Without it such a call fails the test."""
    models: Iterable[ModelInfo]
    """More about the models of these ids: prices, contexts, capabilities of their own."""
    capabilities: Iterable[str]
    """What targets can do; tools, schema, vision and reasoning if left out."""
    settings: Mapping[str, Any]
    """A table as in ``pointsman.toml``. Nothing else is configured."""


class ScriptedTargets:
    """What scripted targets will do, and what they were asked."""

    def __init__(self, *answers: Answers | ByTarget, **wishes: Unpack[Wishes]) -> None:
        if unknown := wishes.keys() - Wishes.__annotations__.keys():
            raise TypeError(
                f"nothing is known of {', '.join(sorted(unknown))}: there are {', '.join(Wishes.__annotations__)}"
            )
        self._scripts = _by_target(answers, wishes.get("target", "scripted/scripted-1"))
        self._default = wishes.get("default", None if any(self._scripts.values()) else "ok")
        self._wrong: list[str] = []
        self.calls: list[ScriptedCall] = []
        """Every call, of all targets, in order of entering."""
        known = {info.id: info for info in wishes.get("models", ())}
        able = tuple(wishes.get("capabilities", ("tools", "schema", "vision", "reasoning")))
        providers: dict[str, ScriptedProvider] = {}
        for name in dict.fromkeys(one.provider for one in self._scripts):
            models = [known.get(one.model, one.model) for one in self._scripts if one.provider == name]
            one = ScriptedProvider(name, default=self._answerer(name), models=models, capabilities=able)
            one.calls = self.calls
            providers[name] = one
        self.plugins = Plugins.of(providers=providers)
        """The providers as plugins, and core's own policy."""
        table = dict(wishes.get("settings", {}))
        routing = {"targets": [str(one) for one in self._scripts], **table.get("routing", {})}
        self.settings = Settings.of({**table, "routing": routing}, {})
        """Where no model is named, targets are asked in the order in which they were given."""

    @property
    def requests(self) -> list[ChatRequest]:
        """What was asked, in order, one request for each attempt."""
        return [call.request for call in self.calls]

    @property
    def pending(self) -> int:
        """How many of the given answers nobody has asked for yet."""
        return sum(map(len, self._scripts.values()))

    def check(self) -> None:
        """Raises `AssertionError` if there was a call that nobody scripted, or whose function failed."""
        if self._wrong:
            raise AssertionError("; ".join(self._wrong))

    def _answerer(self, provider: str) -> Callable[[ChatRequest], Steps]:
        def answer(request: ChatRequest) -> Steps:
            target = Target(provider, request.model)
            script = self._scripts.get(target)
            found = script.popleft() if script else self._default
            if found is None:
                return self._surprised(target, request, known=script is not None)
            if isinstance(found, type) or not callable(found):
                return found
            try:
                return found(request)
            except PointsmanError:
                raise
            except Exception as error:  # The code under test may catch what the client makes of it.
                self._wrong.append(
                    f"the function that answers a call of {target} raised {type(error).__name__}: {error}"
                )
                raise

        return answer

    def _surprised(self, target: Target, request: ChatRequest, *, known: bool) -> PluginError:
        before = sum(call.target == target for call in self.calls)
        told = f"which was called {before} times before" if known else f"there are {', '.join(map(str, self._scripts))}"
        text = request.messages[-1].text
        shown = text if len(text) <= 60 else f"{text[:60]}..."
        said = f"nothing is scripted for this call of {target}, {told}: {shown!r}. Script more answers, or a default"
        last = next((call for call in reversed(self.calls) if call.target == target), None)
        if last and not any(isinstance(event, Finished) for event in last.events):
            said += ". The one before it failed: if this is its retry, settings={'engine': {'retries': 0}} makes none"
        self._wrong.append(said)
        # A request's fault is neither retried nor tried elsewhere, so that the test fails with this sentence.
        return PluginError(said, plugin=target.provider, scope=Scope.REQUEST)


class _Scripted:
    """What a client before scripted targets tells of them."""

    script: ScriptedTargets

    @property
    def calls(self) -> Sequence[ScriptedCall]:
        """Every call, in order: its request, its target, what was yielded, whether it was cancelled."""
        return self.script.calls

    @property
    def requests(self) -> Sequence[ChatRequest]:
        """What was asked, in order, one request for each attempt."""
        return self.script.requests


class ScriptedClient(_Scripted, AsyncClient):
    """An `AsyncClient` before scripted targets. Leaving it raises `AssertionError` after a call that nobody scripted,
    also where the code under test caught what that call met.
    """

    def __init__(self, script: ScriptedTargets) -> None:
        super().__init__(settings=script.settings, plugins=script.plugins)
        self.script = script

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        if error is None:
            self.script.check()


class ScriptedSyncClient(_Scripted, Client):
    """A `Client` before scripted targets; see `ScriptedClient`."""

    def __init__(self, script: ScriptedTargets) -> None:
        super().__init__(settings=script.settings, plugins=script.plugins)
        self.script = script

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if error is None:
            self.script.check()


def client(*answers: Answers | ByTarget, **wishes: Unpack[Wishes]) -> ScriptedClient:
    """An `AsyncClient` that answers as told: ``client("Hello there.", RateLimited, ["Hello", StreamBroken])``.

    Each call uses up one of `answers`. Without any, the answer is always ``ok``. Answers by target are one mapping:
    ``client({"fast/small": RateLimited, "smart/large": ("Hello", "again")})``.
    """
    return ScriptedClient(ScriptedTargets(*answers, **wishes))


def sync_client(*answers: Answers | ByTarget, **wishes: Unpack[Wishes]) -> ScriptedSyncClient:
    """The same for programs without an event loop; see `client`."""
    return ScriptedSyncClient(ScriptedTargets(*answers, **wishes))


@contextmanager
def replacing(*answers: Answers | ByTarget, **wishes: Unpack[Wishes]) -> Generator[ScriptedTargets]:
    """For code that makes its own client: inside, `pointsman.chat` and each client that is made without arguments find
    these targets, and neither plugins nor configuration. All of them share one script; see `client`.

    It holds for the whole process, so not for tests in several threads. A client that was made before, or is made with
    arguments, is left alone. Leaving it raises `AssertionError` after a call that nobody scripted.
    """
    script = ScriptedTargets(*answers, **wishes)

    def discover(*args: object, **named: object) -> Settings:
        return script.settings

    def installed(*args: object, **named: object) -> Plugins:
        return script.plugins

    replaced = (Settings, "discover", staticmethod(discover)), (Plugins, "installed", staticmethod(installed))
    before = [(kind, name, vars(kind)[name]) for kind, name, _ in replaced]
    try:
        for kind, name, method in replaced:
            setattr(kind, name, method)
        yield script
    finally:
        for kind, name, method in before:
            setattr(kind, name, method)
    script.check()


def _by_target(answers: Sequence[Answers | ByTarget], target: str) -> dict[Target, deque[Answers]]:
    if any(isinstance(one, Mapping) for one in answers):
        if len(answers) > 1:
            raise TypeError("give answers one after another, or one mapping of answers by target: not both")
        scripts = cast(ByTarget, answers[0])
    else:
        scripts = {target: tuple(cast(Sequence[Answers], answers))}
    return {
        Target.parse(name): deque(cast(tuple[Answers, ...], script) if isinstance(script, tuple) else (script,))
        for name, script in scripts.items()
    }
