"""All that a policy has to keep: it ranks by what it is told, and by nothing else."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import pytest

from pointsman import (
    AsyncClient,
    ChatRequest,
    ConfigError,
    Decision,
    Exclusion,
    Plugins,
    Policy,
    Settings,
    Target,
    hookimpl,
    user,
)

from ..scripted import ScriptedProvider
from .deciding import QUESTIONS, Ranked, decide_elsewhere, expect_same, questions_of, rank_everything
from .overriding import Overridable
from .scores import ScoreCases
from .situations import FIELDS, REQUESTS
from .speech import expect
from .watching import watching


class PolicyConformance(ScoreCases, Overridable):
    """Subclass it as ``class TestCheapest(PolicyConformance)``, and say which `policy`.

    A test that does not hold is overridden with a strict ``pytest.mark.xfail`` that gives the reason, never deleted.
    """

    pytestmark: ClassVar[list[pytest.MarkDecorator]] = [pytest.mark.filterwarnings("error")]

    policy: ClassVar[str]
    """The policy's name, which is that of its entry point."""
    settings: ClassVar[Mapping[str, Any]] = {}
    """What is set under ``[policy]``: for a policy that has settings, all tests hold with these."""

    @pytest.fixture
    def ranker(self) -> Policy:
        """The policy, as everybody finds it: by the entry point, made with `settings`."""
        return Plugins.installed().policy(self.policy, Settings.of({"policy": self.settings}))

    @pytest.fixture(params=("asyncio", "trio"))
    def anyio_backend(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def ranked(self, ranker: Policy) -> list[Ranked]:
        """Its decisions on all that the kit asks. Where it raises there is none, and `test_always_answers` says so."""
        return rank_everything(ranker)

    # What it answers -------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("asked", REQUESTS)
    def test_always_answers(self, ranker: Policy, asked: str) -> None:
        for _, field, now, seed in questions_of(asked):
            try:
                decision = ranker.rank(REQUESTS[asked], tuple(FIELDS[field]), now, seed)
            except Exception as error:
                raise AssertionError(
                    f"asked for {asked} with the candidates {field!r} (now {now:g}, seed {seed}), it raised "
                    f"{type(error).__name__}: {error}; answer whatever is asked, and however little is known"
                ) from error
            expect(
                type(decision) is Decision,
                f"it answered with a {type(decision).__name__}: return pointsman.Decision(policy=, order=, ...)",
            )

    def test_names_no_stranger(self, ranked: list[Ranked]) -> None:
        for one in ranked:
            named = [*one.decision.order, *(item.target for item in one.decision.excluded)]
            strangers = [str(target) for target in named if target not in one.offered]
            expect(
                not strangers,
                f"{one}, it named {', '.join(strangers)}, which it was not offered: "
                "take the targets of `candidates`, as they are, and no others",
            )

    def test_names_nobody_twice(self, ranked: list[Ranked]) -> None:
        for one in ranked:
            named = [*one.decision.order, *(item.target for item in one.decision.excluded)]
            twice = [str(target) for target in dict.fromkeys(named) if named.count(target) > 1]
            expect(
                not twice,
                f"{one}, it named {', '.join(twice)} more than once: "
                "each candidate stands either in `order` or in `excluded`, once",
            )

    def test_loses_nobody(self, ranked: list[Ranked]) -> None:
        for one in ranked:
            named = {*one.decision.order, *(item.target for item in one.decision.excluded)}
            lost = [str(target) for target in sorted(one.offered - named)]
            expect(
                not lost,
                f"{one}, it lost {', '.join(lost)}: who is not in `order` is nobody's fallback, "
                "so leave nobody out but by an Exclusion that says why",
            )

    def test_sends_nobody_what_it_cannot_do(self, ranked: list[Ranked]) -> None:
        for one in ranked:
            lacking = {each.target: each.lacks(one.request) for each in one.candidates}
            sent = [f"{to} (no {', '.join(sorted(lacking[to]))})" for to in one.decision.order if lacking.get(to)]
            expect(
                not sent,
                f"{one}, it sends the request to {'; '.join(sent)}: "
                "exclude those for whom `candidate.lacks(request)` is not empty",
            )

    def test_says_why(self, ranked: list[Ranked]) -> None:
        for one in ranked:
            reasons = {"its `reason`": one.decision.reason}
            reasons |= {f"the Exclusion of {item.target}": item.reason for item in one.decision.excluded}
            mute = [what for what, said in reasons.items() if not str(said).strip()]
            expect(not mute, f"{one}, {', '.join(mute)} is empty: `pointsman route` shows it to whoever asks why")

    def test_explains_itself(self, ranker: Policy, ranked: list[Ranked]) -> None:
        for one in ranked:
            named = one.decision.policy
            expect(
                named == ranker.name == self.policy,
                f"{one}, the decision is by {named!r}, the policy's name is {ranker.name!r}, and its entry point's "
                f"is {self.policy!r}: make all three the same, with `policy=self.name`",
            )
            notes = [text for score in one.decision.scores for term in score.terms for text in (term.name, term.note)]
            reasons = [one.decision.reason, *(item.reason for item in one.decision.excluded), *notes]
            odd = [repr(said) for said in reasons if type(said) is not str or len(said) > 500 or not said.isprintable()]
            expect(
                not odd,
                f"{one}, a reason is {'; '.join(odd)[:200]}: it is one line in a terminal, so say it in a few words "
                "that can be printed, and do not quote the prompt",
            )
            begins = [message.text[:20] for message in one.request.messages if len(message.text) >= 20]
            expect(
                not [said for said in reasons if any(begin in said for begin in begins)],
                f"{one}, a reason quotes the prompt: records keep reasons, and not what was asked",
            )

    def test_a_decision_is_data(self, ranked: list[Ranked]) -> None:
        for one in ranked:
            order, excluded = type(one.decision.order), type(one.decision.excluded)
            expect(
                {order, excluded} == {tuple},
                f"{one}, `order` is a {order.__name__} and `excluded` a {excluded.__name__}: "
                "make both tuples, since a decision is recorded and compared",
            )
            kinds = {type(item).__name__ for item in one.decision.excluded if type(item) is not Exclusion}
            kinds |= {type(item).__name__ for item in one.decision.order if type(item) is not Target}
            expect(not kinds, f"{one}, it holds a {', '.join(kinds)}: `order` is of Target, `excluded` of Exclusion")
            copies = copy.deepcopy(one.decision), pickle.loads(pickle.dumps(one.decision))  # noqa: S301
            expect(
                copies == (one.decision, one.decision),
                f"{one}, the decision is not equal to its copy: put plain texts and targets into it",
            )

    # What it is made of ----------------------------------------------------------------------------------------------

    def test_decides_the_same_again(self, ranker: Policy, ranked: list[Ranked]) -> None:
        with _dice_thrown():
            again = rank_everything(ranker)
        expect_same(ranked, again, "asked again, it decides otherwise: use no dice but random.Random(seed), no clock")

    def test_does_not_depend_on_what_it_was_asked_before(self, ranker: Policy, ranked: list[Ranked]) -> None:
        back = rank_everything(ranker, QUESTIONS[::-1])
        sentence = "asked in another order, it decides otherwise: what is learnt stands in the candidates, not in the "
        expect_same(ranked, back, f"{sentence}policy, so keep nothing between calls")

    def test_decides_the_same_in_many_threads(self, ranker: Policy, ranked: list[Ranked]) -> None:
        with ThreadPoolExecutor(4) as threads:
            runs = list(threads.map(rank_everything, [ranker] * 4))
        for together in runs:
            expect_same(ranked, together, "asked by several threads at once, it decides otherwise: share nothing")

    def test_decides_the_same_in_another_process(self, ranked: list[Ranked]) -> None:
        one, other = (decide_elsewhere(self.policy, self.settings, ranked, seed) for seed in ("1", "2"))
        expect(one and other, f"a fresh process could not ask the policy {self.policy!r}: its message is above")
        differ = [f"{asked}: {a}, or {b}" for asked, a, b in zip(ranked, one, other, strict=True) if a != b]
        expect(
            not differ,
            "in two processes it decides differently, since sets of texts are in another order in each: sort what "
            f"comes out of a set, and use neither hash() nor id() ({differ[:1]})",
        )

    def test_touches_nothing(self, ranker: Policy) -> None:
        with watching() as watch:
            rank_everything(ranker)
        touched = ", ".join(dict.fromkeys(watch.touched))
        expect(
            not touched,
            f"it touched {touched}: a policy reads no file, network, environment or clock and prints nothing; the time "
            "is `now`, and the dice are random.Random(seed)",
        )

    def test_changes_nothing_that_it_is_given(self, ranker: Policy) -> None:
        requests, fields = copy.deepcopy((REQUESTS, FIELDS))
        before = {field: repr(candidates) for field, candidates in fields.items()}  # Nothing equals one that holds NaN.
        for asked, field, now, seed in QUESTIONS:
            given = list(fields[field])
            with suppress(Exception):
                ranker.rank(requests[asked], given, now, seed)
            expect(
                repr(given) == before[field],
                f"asked for {asked}, it changed the candidates {field!r}: sorted(candidates) makes a new list, "
                "dict(candidate.history.tasks) a new table",
            )
            expect(
                requests[asked] == REQUESTS[asked],
                f"asked for {asked}, it changed the request: dataclasses.replace copies one",
            )

    def test_work_grows_no_faster_than_the_prompt(self, ranker: Policy) -> None:
        """Counted in calls of functions. How long it takes, core measures: after 50 ms nobody listens any more."""
        calls: list[int] = []
        for words in (100, 4_000):
            request = ChatRequest(messages=(user("".join(f"word{n} " for n in range(words))),))
            with watching() as watch:
                ranker.rank(request, tuple(FIELDS["equal"]), 0.0, 0)
            calls.append(watch.calls)
        little, much = calls
        expect(
            much <= 120 * little,
            f"a prompt of 100 words took {little} calls of functions, one of 4,000 words {much}: read it once",
        )

    # What is set -----------------------------------------------------------------------------------------------------

    def test_needs_no_settings(self) -> None:
        try:
            Plugins.installed().policy(self.policy)
        except Exception as error:
            raise AssertionError(
                f"where nobody has set anything, it is not made ({error}): give each field of `PolicySpec.config` a "
                "default, and let `make` take it"
            ) from error

    def test_refuses_a_setting_that_it_has_not(self) -> None:
        settings = Settings.of({"policy": {**self.settings, "no_such_setting": 1}})
        with suppress(ConfigError):
            Plugins.installed().policy(self.policy, settings)
            expect(
                False,
                "[policy] no_such_setting = 1 is taken in silence, as would be a misspelt one: declare the model of "
                'its settings with extra="forbid"',
            )

    # In a client -----------------------------------------------------------------------------------------------------

    @pytest.mark.anyio
    async def test_a_call_goes_where_it_says(self, anyio_backend: str, ranker: Policy) -> None:
        providers = {name: ScriptedProvider(name, models=("m", "n")) for name in ("a", "b")}
        plugins = Plugins.of(providers=providers, policies={self.policy: _Plugin(ranker)})
        settings = Settings.of({"routing": {"policy": self.policy}})
        async with AsyncClient(settings=settings, plugins=plugins) as client:
            reply = await client.chat("Where should this go?")
            for _ in range(4):
                if (
                    reply.decision.policy != self.policy
                ):  # It may have been late, on a machine that has others to serve.
                    reply = await client.chat("Where should this go?")
        decision = reply.decision
        expect(decision.policy == self.policy, f"a client did not take its word: {decision.reason}")
        expect(reply.target == decision.order[0], f"the call went to {reply.target}, and the order is {decision.order}")


class _Plugin:
    """Whatever the fixture `ranker` gives, as a plugin."""

    def __init__(self, ranker: Policy) -> None:
        self._ranker = ranker

    @hookimpl
    def pointsman_policies(self) -> Sequence[Policy]:
        return [self._ranker]


@contextmanager
def _dice_thrown() -> Generator[None]:
    """The dice of the process fall otherwise inside."""
    before = random.getstate()
    random.seed(1)
    try:
        yield
    finally:
        random.setstate(before)
