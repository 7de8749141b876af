"""A completion that came whole, as JSON, where no `Session` stands between: the same events as of its stream."""

from __future__ import annotations

import time
from collections.abc import Mapping

from pointsman import PointsmanError, StreamEvent, Target

from .decode import ChatDecoder
from .errors import event_error, response_error
from .quirks import Quirks, Refusal
from .thinking import ThinkingDecoder


def read_completion(body: bytes, target: Target, quirks: Quirks) -> list[StreamEvent]:
    """What a ``chat.completion`` says; the last is `Finished`.

    Raises the error that the body stands for, and `StreamBroken` for an answer without its proof.
    """
    decoder = ChatDecoder(
        target,
        quirks,
        lambda event, begun: event_error(
            event, begun=begun, target=target, quirks=quirks, now=time.monotonic(), wall=time.time()
        ),
    )
    events = ThinkingDecoder(decoder) if quirks.think_tags else decoder
    events.feed_whole(body)
    if events.failure is not None:
        raise events.failure
    return list(events.ready)


def read_refusal(status: int, body: bytes, target: Target, quirks: Quirks) -> PointsmanError:
    """The error that a response with another status than 200 stands for."""
    headers: Mapping[str, str] = {}
    error = response_error(status, headers, body, quirks=quirks, now=time.monotonic(), wall=time.time(), target=target)
    return quirks.refine(error, Refusal(status, headers, body)) if quirks.refine else error
