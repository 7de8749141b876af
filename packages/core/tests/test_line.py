"""Who waits for limits of ours: nobody is passed over, nobody waits for what is free, nobody waits for ever."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count

from hypothesis import example, given
from hypothesis import strategies as st

from pointsman import Target
from pointsman.engine.health import Caps, Health, Ticket
from pointsman.engine.health.line import Line
from pointsman.engine.health.windows import MINUTE

M, N = Target("a", "m"), Target("a", "n")


@dataclass
class World:
    """Time, in which callers arrive, are answered, and give up."""

    caps: dict[str, Caps]
    now: float = 0.0
    agenda: list[tuple[float, int, Callable[[], None]]] = field(
        default_factory=list[tuple[float, int, Callable[[], None]]]
    )
    callers: list[Caller] = field(default_factory=list["Caller"])
    _numbers: Iterable[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.health = Health(lambda name: self.caps.get(name, Caps()))

    def at(self, moment: float, act: Callable[[], None]) -> None:
        heapq.heappush(self.agenda, (moment, next(iter(self._numbers)), act))

    def run(self, *, checked: bool = True) -> None:
        while self.agenda:
            self.now, _, act = heapq.heappop(self.agenda)
            act()
            if checked and not (self.agenda and self.agenda[0][0] == self.now):
                self.check()

    def check(self) -> None:
        running = [one for one in self.callers if one.ticket]
        for name, cap in self.caps.items():
            mine = [one for one in self.callers if name in (one.target.provider, str(one.target))]
            if cap.concurrent is not None:
                assert sum(one in running for one in mine) <= cap.concurrent
            recent = [one for one in mine if one.began is not None and one.began > self.now - MINUTE]
            if cap.rpm is not None:
                assert len(recent) <= cap.rpm
            if cap.tpm is not None:
                assert sum(min(one.tokens, cap.tpm) for one in recent) <= cap.tpm
        for one in self.callers:
            if one.waits:
                opens = one.outlook.standing(one.target, self.now).open_at
                assert opens > self.now, "a wake-up was lost"
                began = [
                    other.number for other in self.callers if other.target == one.target and other.began is not None
                ]
                assert all(number < one.number for number in began), "passed over by who came later"


class Caller:
    """A call that waits for its turn, holds its place for a while, or leaves before it has had it."""

    def __init__(self, world: World, number: int, target: Target, tokens: int, stays: float, patience: float) -> None:
        self.world, self.number, self.target, self.tokens, self.stays = world, number, target, tokens, stays
        self.outlook = world.health.call(tokens)
        self.ticket: Ticket | None = None
        self.began: float | None = None
        self.waits = True
        world.callers.append(self)
        world.at(world.now + patience, self.give_up)
        self.look()

    def look(self) -> None:
        if not self.waits:  # A timer of who was woken before.
            return
        now = self.world.now
        opens = self.outlook.standing(self.target, now).open_at
        if opens <= now:
            self.waits, self.began = False, now
            self.ticket = self.world.health.begin(self.target, now, self.tokens, cold=False)
            self.outlook.step_out()
            self.world.at(now + self.stays, self.end)
            return
        self.outlook.line_up([self.target], now, self.look)
        if self.waits and opens < float("inf"):
            self.world.at(opens, self.look)

    def end(self) -> None:
        ticket, self.ticket = self.ticket, None
        assert ticket is not None
        self.tokens //= 2  # It was taken to be longer than it was.
        self.world.health.end(ticket, self.world.now, self.tokens)

    def give_up(self) -> None:
        if self.waits:
            self.waits = False
            self.outlook.step_out()


HALVES = st.integers(0, 60).map(lambda number: number / 2)  # So that sums of times are exact.
LIMIT = st.none() | st.integers(1, 4)
CAPS = st.builds(Caps, LIMIT, LIMIT, st.none() | st.integers(5, 30))
ARRIVALS = st.tuples(
    HALVES,
    st.sampled_from([M, N]),
    st.integers(1, 40),
    HALVES,
    st.sampled_from([5.0, 100.0, 1e6]),
)


@given(CAPS, CAPS, st.lists(ARRIVALS, max_size=30))
@example(Caps(2), Caps(1), [(0.0, M, 1, 5.0, 1e6), (0.0, M, 1, 5.0, 1e6), (0.0, N, 1, 1.0, 1e6), (0.0, N, 1, 9.0, 1e6)])
@example(Caps(tpm=10), Caps(), [(0.0, M, 6, 0.0, 1e6), (1.0, M, 9, 0.0, 1e6), (1.0, M, 1, 0.0, 1e6)])
def test_everybody_has_a_turn_in_order_and_as_soon_as_it_can_be(
    whole: Caps, mine: Caps, story: list[tuple[float, Target, int, float, float]]
) -> None:
    world = World({"a": whole, "a/m": mine})
    at = 0.0
    for number, (pause, target, tokens, stays, patience) in enumerate(story):
        at += pause

        def arrive(
            number: int = number,
            target: Target = target,
            tokens: int = tokens,
            rest: tuple[float, float] = (stays, patience),
        ) -> None:
            Caller(world, number, target, tokens, *rest)

        world.at(at, arrive)
    world.run()
    assert all(one.began is not None for one, of in zip(world.callers, story, strict=True) if of[-1] == 1e6)
    assert not world.health.waiting
    for name in ("a", "a/m", "a/n"):
        place = world.health.place(name)
        assert place.running == len(place.line) == 0


def test_a_long_prompt_is_not_passed_over_by_short_ones() -> None:
    world = World({"a": Caps(tpm=10)})
    for number in range(60):
        world.at(3.0 * number, lambda number=number: Caller(world, number, M, 9 if number == 5 else 1, 0.0, 1e6))
    world.run()
    long = world.callers[5]
    assert long.began is not None
    assert long.began <= 15.0 + MINUTE
    assert [one.number for one in sorted(world.callers, key=lambda one: (one.began, one.number))] == list(range(60))


def test_who_waits_for_a_target_does_not_hold_up_those_who_ask_for_another() -> None:
    world = World({"a": Caps(rpm=2), "a/m": Caps(concurrent=1)})
    for number, target in enumerate((M, M, N)):
        world.at(float(number), lambda number=number, target=target: Caller(world, number, target, 1, 100.0, 1e6))
    world.run()
    assert [one.began for one in world.callers] == [0.0, 100.0, 2.0]


def test_thousands_may_go_at_once() -> None:
    """Each tells the next, yet not from within the telling: the stack would end."""
    world = World({"a": Caps(concurrent=1), "a/m": Caps(rpm=5000)})
    for number in range(5000):
        Caller(world, number, N, 1, 0.0, 1e6)
    world.run(checked=False)
    assert all(one.began == 0.0 for one in world.callers)
    world = World({"a": Caps(rpm=5000)})
    for number in range(10000):
        Caller(world, number, N, 1, 0.0, 1e6)
    world.run(checked=False)
    assert [one.began for one in world.callers] == [0.0] * 5000 + [MINUTE] * 5000


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=40))
def test_a_line_is_in_order_whoever_joins_when(story: list[tuple[int, bool]]) -> None:
    line, told, model = Line(), list[float](), set[int]()
    for order, joins in story:
        if joins:
            line.join(order, lambda order=order: (told.append(order), line.leave(order)))
        else:
            line.leave(order)
        (model.add if joins else model.discard)(order)
        assert len(line) == len(model)
        assert [line.before(limit) for limit in range(11)] == [any(one < limit for one in model) for limit in range(11)]
    line.tell(unless=lambda: len(told) == 3)
    assert told == sorted(model)[:3]
    line.tell(unless=lambda: False)
    assert told == sorted(model)
