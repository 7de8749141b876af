"""Many requests on the containers of one deployment, by Modal's own ``.map``: the provider's `FanOut`.

The containers are those that serve the address, and the cap on them stays what it was deployed with. Answers come as
they are ready, each with its number. What Modal itself says in the place of one, for a container that died, does not
tell whose it was: those are told once nothing else is left to come.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from pointsman import ChatRequest, Exact, FanAnswer, PointsmanError, Unavailable
from pointsman_modal_app.settings import Deployment
from pointsman_openai import fields, string

from ..config import ModalConfig
from .exchange import Exchange, lost
from .sdk import Place, asked, client, sdk, translated

MOST = 1000
"""Inputs of one map that Modal lets wait for their answers (``max_inputs_outstanding`` of the SDK, 1.6.4)."""
AHEAD = 2
"""Requests for each place in a container: one that is answered, and the next, so that nothing idles between."""

log = logging.getLogger("pointsman.modal")


@contextmanager
def fan_out(
    config: ModalConfig, name: str, requests: Iterable[tuple[int, ChatRequest]], *, at_once: int | None
) -> Generator[Iterator[FanAnswer]]:
    """See `pointsman.FanOut`. `requests` are read in the thread that reads the answers, which must run no event loop.

    Raises `ConfigError` if no account is set up here or nothing is deployed, `AuthFailed`, and `Unavailable`. The
    iterator raises what `sdk.translated` makes of an error of the whole map; who waited then is told first.
    """
    place = Place(config.app or Deployment().name, config.environment)
    mine = client()
    answer, most, parallel = asked("looking for the containers", lambda: _found(place, mine), place)
    work = _Work(Exchange(config, name, parallel), requests, at_once or min((most or MOST) * parallel * AHEAD, MOST))
    answers = work.answers(answer, place)
    try:
        yield answers
    finally:
        work.take_no_more()
        if work.waiting and work.call:
            _cancel(work.call, mine)
        with suppress(ValueError):  # Another thread waits in it, which ends with what was cancelled.
            answers.close()


def _found(place: Place, mine: Any) -> tuple[Any, int | None, int]:
    """The method that answers, how many containers there may be, and how many requests one answers at once."""
    kind = sdk().Cls.from_name(place.app, "Ollama", environment_name=place.environment, client=mine)
    answer = kind().answer
    most, concurrency = answer.autoscaler.settings().max_containers, answer.info().concurrency_info
    return answer, most, (concurrency and concurrency.max_inputs) or 1


def _cancel(call: str, mine: Any) -> None:
    """What still runs would be billed. Modal ends it too, within two minutes after nobody asks for it any more."""
    try:
        asked("ending the batch", lambda: sdk().FunctionCall.from_id(call, client=mine).cancel())
    except PointsmanError as error:
        log.warning("%s; Modal ends it within two minutes", error)


class _Work:
    """What is under way in one map."""

    def __init__(self, exchange: Exchange, requests: Iterable[tuple[int, ChatRequest]], at_once: int) -> None:
        self.waiting: dict[int, ChatRequest] = {}
        self.call = ""
        """The map's id at Modal, as soon as an answer has told it."""
        self._exchange = exchange
        self._requests = iter(requests)
        self._free = asyncio.Semaphore(at_once)
        self._calm = asyncio.Event()
        self._calm.set()
        self._most_lost = max(1, at_once // 4)
        """More of them, and nobody is taken in until the rest is answered: then it is known who they are, and whoever
        reads the answers can stop before all requests have gone into containers that die."""
        self._unsent: deque[FanAnswer] = deque()
        self._lost: list[Exception] = []
        """One for each of those `waiting` who will get no answer; whose is whose is not known."""
        self._broken: Exception | None = None
        """What reading the requests raised."""

    def answers(self, answer: Any, place: Place) -> Generator[FanAnswer]:
        """To be closed, which ends the map."""
        outputs = answer.starmap(self._inputs(), order_outputs=False, return_exceptions=True)
        try:
            with closing(iter(outputs)) as told:
                for said in told:
                    yield from self._take(said)
                    while self._unsent:
                        yield self._unsent.popleft()
        except Exception as error:
            broken = translated(error, "the batch", place)
            for number, request in self.waiting.items():
                target = self._exchange.target(request)
                yield FanAnswer(number=number, error=Unavailable(f"its answer is lost: {broken}", target=target))
            self.waiting.clear()
            raise broken from error
        yield from self._unsent
        yield from self._failed()
        if self._broken is not None:
            raise self._broken

    def take_no_more(self) -> None:
        """Nobody wants what has not been taken in yet."""
        self._requests = iter(())

    async def _inputs(self) -> AsyncGenerator[tuple[int, dict[str, Any]]]:
        """Numbers and bodies, as there is room: the SDK itself would take in all that there is."""
        while True:
            await self._free.acquire()
            await self._calm.wait()
            try:
                number, request = next(self._requests)
            except StopIteration:
                return
            except Exception as error:
                self._broken = error
                return
            try:
                body = self._exchange.body(request)
            except PointsmanError as error:
                self._unsent.append(FanAnswer(number=number, error=error, cost=Exact(0)))
                self._free.release()
                await asyncio.sleep(0)  # However many of these there are, others' answers are read.
            else:
                self.waiting[number] = request
                yield number, body

    def _take(self, said: Any) -> Iterator[FanAnswer]:
        told = fields(said)
        number = told.get("number")
        if isinstance(number, int) and number in self.waiting:
            self.call = self.call or string(told.get("call"))
            self._free.release()
            yield self._exchange.answered(number, self.waiting.pop(number), told)
        else:
            self._lost.append(said if isinstance(said, Exception) else TypeError(f"it said {type(said).__name__}"))
            if len(self._lost) >= self._most_lost:
                self._calm.clear()
        if len(self._lost) == len(self.waiting):
            yield from self._failed()

    def _failed(self) -> Iterator[FanAnswer]:
        """Who waits, and will get no answer any more."""
        failures, several = iter(self._lost), len({str(error) for error in self._lost}) > 1
        forgotten = sdk().exception.InternalFailure("Modal has ended the batch without its answer")
        for number, request in self.waiting.items():
            target = self._exchange.target(request)
            error = lost(next(failures, forgotten), target)
            if several:
                error.add_note(f"{len(self._lost)} requests failed, and which of them with this is not told")
            yield FanAnswer(number=number, error=error)
            self._free.release()
        self.waiting.clear()
        self._lost.clear()
        self._calm.set()
