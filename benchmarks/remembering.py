"""What it costs that a policy knows how targets have done: of each decision, and to learn it from the ledger.

    uv run python benchmarks/remembering.py [--calls 50000]

"Decision" is core's share of one over ten targets, just after a call has ended: candidates, history, conversation.
"First look" reads what a ledger of so many calls tells a client that has just begun, "next look" what it tells half a
minute later, when nothing was new; both happen beside the event loop. "Count" is what one call takes of the loop.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

from pointsman import (
    AttemptRecord,
    CallRecord,
    Candidate,
    ChatRequest,
    Decision,
    Exact,
    LedgerEntry,
    Plugins,
    Settings,
    Target,
    Timings,
    Usage,
    hookimpl,
    open_ledger,
    user,
)
from pointsman.choosing import Chooser
from pointsman.engine.health import Health
from pointsman.engine.health.histories import Histories
from pointsman.engine.health.machines import Machines
from pointsman.engine.roster import Roster
from pointsman.remembering import BACK, CALLS, OVERLAP, Memory
from pointsman_testing import ScriptedProvider

TARGETS = [Target(f"p{number}", model) for number in range(5) for model in ("small", "large")]
TASKS = ["code_generation", "code_review", "writing", "translation", "general_qa"]


class First:
    """A policy that takes no time."""

    name = "first"

    def rank(self, request: ChatRequest, candidates: Sequence[Candidate], now: float, seed: int) -> Decision:
        return Decision(policy="first", order=tuple(one.target for one in candidates))

    @hookimpl
    def pointsman_policies(self) -> Sequence[First]:
        return [self]


def record(dice: Random, number: int, ago: float) -> CallRecord:
    target, first = dice.choice(TARGETS), dice.lognormvariate(-1, 0.5)
    lasted = first + dice.random() * 3
    started = time.monotonic() - ago - lasted
    usage = Usage(input_tokens=dice.choice((10, 1_000, 8_000)), output_tokens=300)
    attempt = AttemptRecord(
        call_id=str(number),
        attempt=1,
        target=target,
        outcome="finished",
        started=started,
        first_output=started + first,
        ended=started + lasted,
        usage=usage,
        cost=Exact("0.01"),
    )
    return CallRecord(
        call_id=str(number),
        decision=Decision(policy="first", order=tuple(TARGETS)),
        outcome="finished",
        attempts=(attempt,),
        timings=Timings(ttft=first, e2e=lasted),
        cost=Exact("0.01"),
        at=time.time() - ago - lasted,
        started=started,
        task=dice.choice(TASKS),
        target=target,
        usage=usage,
    )


def timed(work: Callable[[], object], before: Callable[[], object] = lambda: None, rounds: int = 400) -> list[float]:
    seconds: list[float] = []
    for _ in range(rounds):
        before()
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return sorted(seconds)


def deciding(dice: Random) -> list[float]:
    providers = {one: ScriptedProvider(one, models=("small", "large")) for one in sorted({t.provider for t in TARGETS})}
    plugins = Plugins.of(providers=providers, policies={"first": First()})
    settings = Settings.of({"routing": {"policy": "first"}, "ledger": {"url": "none"}})
    chooser, memory, health = (
        Chooser(settings, plugins, Roster(settings, plugins)),
        Memory(None, time.monotonic, Machines()),
        Health(),
    )
    request = ChatRequest(messages=(user("word " * 400),))

    def ended() -> None:
        memory.note(record(dice, 0, 0.0))

    def chosen() -> None:
        chooser.decide(request, None, memory.beginnings(request.messages), memory, health)

    timed(chosen, ended)
    return timed(chosen, ended)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=50_000)
    calls, dice = parser.parse_args().calls, Random(1)
    microseconds = [one * 1e6 for one in deciding(dice)]
    print(f"decision     {statistics.median(microseconds):8.0f} us, p99 {microseconds[-4]:.0f} us")
    with tempfile.TemporaryDirectory() as folder, open_ledger(f"sqlite:{folder}/ledger.db") as ledger:
        for first in range(0, calls, 1_000):
            several = range(first, min(first + 1_000, calls))
            ledger.write([LedgerEntry(call=record(dice, n, (calls - n) * 10.0 + 120.0)) for n in several])
        now = datetime.now(UTC)
        for name, back in (("first look", BACK), ("next look", OVERLAP)):
            since = now - timedelta(seconds=back)
            look = timed(lambda since=since: ledger.recent(since, CALLS), rounds=9)  # type: ignore[misc]
            found = len(ledger.recent(since, CALLS))
            print(f"{name:<12} {look[4] * 1e3:8.2f} ms, {found} calls of {calls}")
        past = ledger.recent(now - timedelta(seconds=BACK), CALLS)
    histories, wall = Histories(), time.time()
    began = time.perf_counter()
    for one in past:
        histories.add(one, wall)
    print(f"count        {(time.perf_counter() - began) / len(past) * 1e6:8.1f} us a call")


if __name__ == "__main__":
    main()
