"""A policy, its plan and the machine together, through the client and on a virtual clock: whoever could have answered
in time does, and nobody is asked whom the policy left out.

A world is a few providers, each with a mood before and a mood now, that a client asks. The policy is ours, found by its
entry point; a stranger's, found in its wheel; or one that does what no policy may.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from math import nan
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman import (
    AsyncClient,
    AttemptRecord,
    AuthFailed,
    CallRecord,
    Candidate,
    ChatRequest,
    Decision,
    Exclusion,
    Finished,
    ModelGone,
    ModelInfo,
    NoCandidates,
    Plugins,
    PointsmanError,
    Policy,
    Price,
    RateLimited,
    Score,
    Settings,
    Sink,
    StreamBroken,
    Target,
    Unavailable,
    choosing,
    hookimpl,
)
from pointsman.engine.decide import PATIENCE, decide
from pointsman.engine.health.breaker import LONGEST_PAUSE
from pointsman.plugins import Kind
from pointsman_testing import VIRTUAL_BACKENDS, Hang, ScriptedProvider, VirtualBackend, virtual_run

CHEAPEST = Path(__file__).parents[2] / "examples" / "pointsman-cheapest"
CLOCK = 4.0
"""Seconds that an attempt may take to its first output, and between two."""
WORST = 2 * CLOCK + 1
"""Seconds that an attempt takes at most, whatever its mood."""
LONG = 2 * LONGEST_PAUSE
"""After so many seconds nobody is left alone for what was before."""
DONE = Finished("stop")
ANSWERS = {"at once": 0.0, "soon": 0.5, "late": CLOCK - 1}
"""Moods of those that answer: seconds until they do."""
FAULTS = ("refuses", "busy", "locked", "gone", "silent", "breaks", "unproven", "stalls")


@dataclass(frozen=True)
class Member:
    """A provider of a world."""

    name: str
    models: tuple[ModelInfo, ...]
    can: frozenset[str]
    before: str
    now: str

    def __str__(self) -> str:
        can = f" ({', '.join(sorted(self.can))})" if self.can else ""
        return f"{self.name}{can}: {self.before}, then {self.now}"


@dataclass(frozen=True)
class World:
    """What is there, and what is asked."""

    members: tuple[Member, ...]
    prompt: str
    wishes: dict[str, Any]
    needs: frozenset[str]
    calls_before: int
    pause: float
    max_attempts: int
    backend: VirtualBackend

    def whole(self, target: Target) -> str:
        return f"{target} says so"


MOODS = st.sampled_from([*ANSWERS, *FAULTS, *ANSWERS])
OFTEN = 3
"""How much more often than what is odd the usual is drawn: in most worlds somebody has to answer."""


@st.composite
def infos(draw: st.DrawFn, name: str) -> ModelInfo:
    usd = draw(st.sampled_from([None, "0", "0.1", "3"]))
    price = None if usd is None else Price(input=Decimal(usd), output=Decimal(usd), as_of=None, source="a test")
    return ModelInfo(id=name, context_tokens=draw(st.sampled_from([*[None, 100_000] * OFTEN, 8])), price=price)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    names = "abcd"[: draw(st.sampled_from([1, 2, 3, 3, 4]))]
    members = [
        Member(
            name,
            tuple(draw(infos(model)) for model in "mn"[: draw(st.integers(1, 2))]),
            draw(st.sampled_from([*[frozenset({"tools", "vision"})] * OFTEN, frozenset[str](), frozenset({"tools"})])),
            draw(MOODS),
            draw(MOODS),
        )
        for name in names
    ]
    wishes: dict[str, Any] = {
        "priority": draw(st.sampled_from(["balanced", "speed", "quality", "cost"])),
        "deadline": draw(st.sampled_from([*[None] * OFTEN, 2.0, 20.0, *[100.0] * OFTEN])),
        "max_tokens": draw(st.sampled_from([None, 1, 50])),
    }
    return World(
        members=tuple(members),
        prompt=draw(st.sampled_from(["Hi", "Write a function that sorts a list", "word " * 4_000, "\x00{}"])),
        wishes={name: value for name, value in wishes.items() if value is not None},
        needs=draw(
            st.sampled_from([*[frozenset[str]()] * OFTEN, frozenset({"tools"}), frozenset({"tools", "vision"})])
        ),
        calls_before=draw(st.integers(0, 6)),
        pause=draw(st.sampled_from([0.0, 5.0, *[LONG] * OFTEN])),
        max_attempts=draw(st.sampled_from([*[20] * OFTEN, 1, 3])),
        backend=draw(st.sampled_from(VIRTUAL_BACKENDS)),
    )


@dataclass
class Told:
    """What the last call of a world came to."""

    world: World
    text: str | None = None
    error: PointsmanError | None = None
    records: list[CallRecord] = field(default_factory=list[CallRecord])
    asked: list[Target] = field(default_factory=list[Target])
    took: float = 0.0

    @hookimpl
    def pointsman_sinks(self) -> Sequence[Sink]:
        return [self._take]

    def _take(self, record: AttemptRecord | CallRecord) -> None:
        if isinstance(record, CallRecord):
            self.records.append(record)

    @property
    def decision(self) -> Decision:
        return self.records[-1].decision

    def check(self) -> None:
        """Whatever the policy: those asked are of its order, and one that would have answered has."""
        order, excluded = self.decision.order, {item.target for item in self.decision.excluded}
        tried = [attempt.target for attempt in self.records[-1].attempts]
        assert {*self.asked, *tried} <= set(order), "nobody is asked who is not in the order"
        assert not excluded.intersection(order, self.asked, tried), "nobody is asked whom the policy left out"
        assert len(set(order)) == len(order), "nobody is a fallback twice"
        if not self.world.calls_before:
            assert list(dict.fromkeys(tried)) == [target for target in order if target in tried], "and in its order"
        deadline = self.world.wishes.get("deadline")
        assert deadline is None or self.took <= deadline + 1e-6
        if self.text is not None:
            assert self.text in {self.world.whole(target) for target in order}, "the answer is one target's, and whole"
        elif able := [target for target in order if self.would_answer(target)]:
            raise AssertionError(f"{able[0]} would have answered; {self.error!r}") from self.error

    def would_answer(self, target: Target) -> bool:
        """Whether it would for certain, however long all others take."""
        world, order = self.world, self.decision.order
        [member] = [one for one in world.members if one.name == target.provider]
        others = len(order) - 1
        forgiven = not world.calls_before or member.before in ANSWERS or world.pause >= LONG
        in_turn = others < world.max_attempts or (not world.calls_before and order.index(target) < world.max_attempts)
        in_time = others * WORST + CLOCK <= world.wishes.get("deadline", 600)
        return member.now in ANSWERS and forgiven and in_turn and in_time


def scripted(member: Member, world: World, mood: Callable[[Member], str]) -> ScriptedProvider:
    def steps(request: ChatRequest) -> list[Any]:
        own, target = mood(member), Target(member.name, request.model)
        if own in ANSWERS:
            return [ANSWERS[own], *world.whole(target).split(" ")[:1], 0.1, " says so", DONE]
        match own:
            case "refuses":
                return [Unavailable]
            case "busy":
                return [RateLimited("wait", target=target, retry_at=anyio.current_time() + 5)]
            case "locked":
                return [AuthFailed]
            case "gone":
                return [ModelGone]
            case "breaks":
                return [0.2, "half of ", StreamBroken]
            case "unproven":
                return [0.2, "all of it"]
            case "stalls":
                return ["half of ", Hang()]
            case _:
                return [Hang()]

    return ScriptedProvider(member.name, default=steps, models=member.models, capabilities=member.can)


def play(world: World, policy: object, name: str, timer: Callable[[], float] = lambda: 0.0) -> Told:
    """The world's calls, in a client whose policy is of that plugin. `timer` says how long it takes to decide."""
    told = Told(world)
    now = False
    providers = [scripted(one, world, lambda member: member.now if now else member.before) for one in world.members]
    engine = {"first_token": CLOCK, "stall": CLOCK, "max_attempts": world.max_attempts}
    chosen = Settings.of({"engine": engine, "routing": {"policy": name}})
    plugins = Plugins.of(providers={one.name: one for one in providers}, policies={name: policy}, sinks={"told": told})

    async def run() -> None:
        nonlocal now
        async with AsyncClient(settings=chosen, plugins=plugins) as client:
            for _ in range(world.calls_before):
                try:
                    await client.chat("Hi")
                except PointsmanError:
                    continue
            await anyio.sleep(world.pause)
            now, told.records[:] = True, []
            before, began = [len(one.calls) for one in providers], anyio.current_time()
            try:
                told.text = (await client.chat(world.prompt, require=world.needs, **world.wishes)).text
            except PointsmanError as error:
                told.error = error
            told.took = anyio.current_time() - began
            for one, many in zip(providers, before, strict=True):
                told.asked += [call.target for call in one.calls[many:] if call.target]
        assert not any(one.open_calls for one in providers)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choosing, "decide", partial(decide, timer=timer))
        virtual_run(run, backend=world.backend)
    return told


# Policies that are sound ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["scored", "keywords", "cheapest"])
def policy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, object]]:
    """Its name, and the plugin that the entry point of that name leads to; the stranger's is in its wheel."""
    name: str = request.param
    if name != "cheapest":
        yield name, Plugins.installed().load(Kind.POLICY, name)
        return
    built, there = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    subprocess.run(command, cwd=CHEAPEST, check=True, capture_output=True)
    [wheel] = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(there)
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "pointsman_cheapest", raising=False)
        patch.syspath_prepend(there)
        plugin: Any = Plugins.installed().load(Kind.POLICY, name)
        assert Path(plugin.__file__).is_relative_to(there)
        yield name, plugin
        del sys.modules["pointsman_cheapest"]


def could_not(world: World) -> set[Target]:
    """Those that cannot do what is needed, or have no room for the prompt."""
    tokens = len(world.prompt) // 8  # No tokenizer makes fewer of English.
    return {
        Target(member.name, model.id)
        for member in world.members
        for model in member.models
        if world.needs - member.can or (model.context_tokens or 1e9) < max(tokens, 1)
    }


@given(world=worlds())
def test_whoever_could_have_answered_does(policy: tuple[str, object], world: World) -> None:
    name, plugin = policy
    told = play(world, plugin, name)
    everybody = {Target(member.name, model.id) for member in world.members for model in member.models}
    if isinstance(told.error, NoCandidates):
        assert everybody == could_not(world)
        assert not told.asked
        return
    decision = told.decision
    assert decision.policy == name, decision.reason
    assert {*decision.order, *(item.target for item in decision.excluded)} == everybody
    assert {item.target for item in decision.excluded} <= could_not(world), "who could serve is not left out"
    told.check()


# Policies that are not -----------------------------------------------------------------------------------------------

Misdeed = Callable[[Decision, Sequence[Candidate], ChatRequest], object]


def _raises(sound: Decision, candidates: Sequence[Candidate], request: ChatRequest) -> object:
    raise ValueError(f"no idea what {request.task} is")


def _leaves(sound: Decision, candidates: Sequence[Candidate], request: ChatRequest) -> object:
    raise GeneratorExit


def _sorts_in_place(sound: Decision, candidates: Any, request: ChatRequest) -> object:
    candidates.sort(key=lambda one: one.target)
    return sound


def _rewrites(sound: Decision, candidates: Any, request: Any) -> object:
    request.messages = ()
    return sound


def _renames(sound: Decision, candidates: Any, request: ChatRequest) -> object:
    candidates[0].target = Target("mine", "m")
    return sound


MISDEEDS: dict[str, tuple[Misdeed, str]] = {
    "raises": (_raises, "raised ValueError: no idea what None is"),
    "leaves": (_leaves, "raised GeneratorExit"),
    "names a stranger": (lambda sound, *_: replace(sound, order=(*sound.order, Target("x", "y"))), "named x/y"),
    "names one twice": (lambda sound, *_: replace(sound, order=sound.order * 2), "named a target twice"),
    "names nobody": (lambda sound, *_: replace(sound, order=()), "named nobody"),
    "answers nothing": (lambda *_: None, "answered with a NoneType"),
    "answers with targets": (lambda sound, *_: sound.order, "answered with a tuple"),
    "has no order": (lambda sound, *_: replace(sound, order=None), "raised TypeError"),  # type: ignore[arg-type]
    "scores with no number": (
        lambda sound, *_: replace(sound, scores=tuple(Score(one, nan) for one in sound.order)),
        "scored with what is no Score",
    ),
    "is never so": (lambda sound, *_: replace(sound, propensity=0.0), "told a propensity of 0.0"),
    "sorts in place": (_sorts_in_place, "raised AttributeError"),
    "rewrites the request": (_rewrites, "raised FrozenInstanceError"),
    "renames a candidate": (_renames, "raised FrozenInstanceError"),
    "is late": (lambda sound, *_: sound, "took 60000 ms"),
}
"""What no policy may do, and what the decision then says."""


class Misbehaving:
    """`in_order` turned around, which then does as its script says."""

    name = "misbehaving"

    def __init__(self, misdeed: str) -> None:
        self.misdeed = misdeed
        self.time = 0.0

    def timer(self) -> float:
        return self.time

    def rank(self, request: ChatRequest, candidates: Sequence[Candidate], now: float, seed: int) -> Any:
        if self.misdeed == "is late":
            self.time += 60
        sound = Decision(policy=self.name, order=tuple(one.target for one in candidates)[::-1], reason="it is so")
        return MISDEEDS[self.misdeed][0](sound, candidates, request)

    @hookimpl
    def pointsman_policies(self) -> Sequence[Policy]:
        return [self]


FEW = settings(max_examples=max(3, settings().max_examples // 8))
"""For each misdeed, since there are many."""


@pytest.mark.parametrize("misdeed", MISDEEDS)
@FEW
@given(world=worlds())
def test_no_policy_loses_a_call(misdeed: str, world: World) -> None:
    policy = Misbehaving(misdeed)
    told = play(world, policy, policy.name, policy.timer)
    listed = [Target(member.name, model.id) for member in world.members for model in member.models]
    unable = {one.name for one in world.members if world.needs - one.can}
    able = [target for target in listed if target.provider not in unable]
    if not able:
        assert isinstance(told.error, NoCandidates)
        assert MISDEEDS[misdeed][1] in str(told.error)
        return
    assert told.decision.policy == "in_order"
    assert list(told.decision.order) == able
    assert told.decision.reason.startswith(f"the policy {policy.name!r} {MISDEEDS[misdeed][1]}")
    told.check()


def test_a_policy_is_late_after_50_ms() -> None:
    assert PATIENCE == 0.05


class NobodyAtAll(Misbehaving):
    """It excludes everybody, and says why: that is a decision."""

    def rank(self, request: ChatRequest, candidates: Sequence[Candidate], now: float, seed: int) -> Decision:
        excluded = tuple(Exclusion(one.target, "it is Sunday") for one in candidates)
        return Decision(policy=self.name, order=(), excluded=excluded, reason="nobody works today")


@FEW
@given(world=worlds())
def test_who_is_left_out_with_a_reason_is_not_asked(world: World) -> None:
    told = play(world, NobodyAtAll("raises"), NobodyAtAll.name)
    assert isinstance(told.error, NoCandidates)
    assert "nobody works today" in str(told.error)
    assert "not a/m: it is Sunday" in str(told.error)
    assert not told.asked
