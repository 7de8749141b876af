"""What one request is to a container of ours, and what comes back from it: for `fan.py`. Pure.

The body is the one that the provider's session would send, less the streaming, and its answer is read by the same code,
so that an answer means the same whichever way it came.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

from pointsman import ChatRequest, FanAnswer, PointsmanError, ProviderError, Target, Unavailable
from pointsman_modal_app.container import ServerFailed
from pointsman_openai import Quirks, encode, fields, read_completion, read_refusal, request_body

from .. import asked
from ..config import ModalConfig
from ..cost import container_second, price_of_share
from ..errors import Place, refined

_AGAIN = "what is deployed is not of this version: `pointsman modal deploy` deploys it anew"


class Exchange:
    """Of one provider of a configuration."""

    def __init__(self, config: ModalConfig, name: str, parallel: int) -> None:
        """`parallel` is what was deployed, which the configuration need not know."""
        self._name = name
        self._context = config.context_tokens
        place = Place(config.base_url, config.token_id is not None, config.cold_start)
        self._quirks = Quirks(refine=partial(refined, place=place))
        self._second = container_second(config)
        self._parallel = parallel

    def body(self, request: ChatRequest) -> dict[str, Any]:
        """Raises `InvalidRequest` and `ContextOverflow` for what Ollama would ignore or cut in silence."""
        target = self.target(request)
        fit = asked.fitted(request, target)
        asked.refuse_overflow(asked.prompt_characters(fit), self._context, target)
        body = request_body(replace(fit, extra={**fit.extra, "stream": False}), self._quirks)
        encode(body)  # What is no JSON is the request's own fault, and told as such before it has cost anything.
        return body

    def answered(self, number: int, request: ChatRequest, said: dict[str, Any]) -> FanAnswer:
        """What `Server.answer` returned, as an answer or as the error that it stands for."""
        target = self.target(request)
        seconds = said.get("seconds")
        if not isinstance(seconds, int | float) or not isinstance(said.get("status"), int):
            return FanAnswer(number=number, error=ProviderError(_AGAIN, target=target))
        cost = price_of_share(self._second, self._parallel, seconds)
        try:
            events = self._events(request, target, said)
        except PointsmanError as error:
            return FanAnswer(number=number, error=error, cost=cost, seconds=seconds)
        return FanAnswer.of(number, events, cost=cost, seconds=seconds)

    def target(self, request: ChatRequest) -> Target:
        """Whom errors name."""
        return Target(self._name, request.model)

    def _events(self, request: ChatRequest, target: Target, said: dict[str, Any]) -> Any:
        status, told = said["status"], said.get("body")
        if not status:
            why = fields(fields(told).get("error")).get("message") or "no word why"
            raise Unavailable(f"Ollama has not answered in its container: {why}", target=target)
        body = told.encode() if isinstance(told, str) else json.dumps(told).encode()
        if status != 200:
            raise read_refusal(status, body, target, self._quirks)
        events = read_completion(body, target, self._quirks)
        if (size := asked.prompt_characters(request)) > (self._context or asked.LEAST_CONTEXT):
            asked.refuse_cut(events[-1], size, target)
        return events


def lost(error: Exception, target: Target) -> PointsmanError:
    """What Modal's exception in the place of an output means for the request."""
    from .sdk import sdk

    kinds = sdk().exception
    said = str(error).strip() or type(error).__name__
    match error:
        case kinds.FunctionTimeoutError():
            message = f"{said}: the deployment's own timeout ends every answer that takes longer"
            return Unavailable(message, target=target, retryable=False)
        case kinds.InternalFailure() | kinds.RemoteError():
            return Unavailable(f"its container was lost: {said}", target=target)
        case ServerFailed():
            return Unavailable(f"its container could not start: {said}", target=target, retryable=False)
        case _:
            return ProviderError(f"its container failed: {type(error).__name__}: {said}; {_AGAIN}", target=target)
