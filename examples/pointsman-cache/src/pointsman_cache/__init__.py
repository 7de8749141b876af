"""Answers a question that was asked before, of the same model and with the same settings, without asking again."""

from collections.abc import Generator, Sequence
from dataclasses import replace

from pointsman import ChatRequest, Exact, Finished, Stream, StreamEvent, Usage, hookimpl, short_circuit

MOST = 1_000


def key(request: ChatRequest) -> str:
    """All that reaches the vendor; how the request found its way there does not matter."""
    return repr(replace(request, priority="balanced", task=None, require=frozenset(), deadline=None, tags={}))


@hookimpl(wrapper=True)
def pointsman_stream() -> Generator[None, Stream, Stream]:
    known: dict[str, list[StreamEvent]] = {}  # For each connection one, so that providers are told apart.

    def remember(request: ChatRequest, events: Sequence[StreamEvent]) -> None:
        *answer, end = events
        if isinstance(end, Finished) and end.reason == "stop":
            known[key(request)] = [*answer, replace(end, usage=Usage(), cost=Exact(0))]
            if len(known) > MOST:
                del known[next(iter(known))]

    return short_circuit((yield), lambda request: known.get(key(request)), remember)
