"""From a response that is no answer to the error that it means, where a vendor says no more than HTTP does."""

from __future__ import annotations

from collections.abc import Mapping

from .errors import PointsmanError, error_for_status
from .waits import retry_at

_LONGEST = 500
"""Characters of a body that a person still reads. More is left out as a whole: half a key would not be recognised."""

_REQUEST_IDS = ("x-request-id", "request-id")


def refusal(status: int, headers: Mapping[str, str], body: bytes, now: float) -> PointsmanError:
    """The error that a response means: by its `status`, in the words of its `body`, with its request id and with the
    moment from which it may be asked again.

    `now` is on the client's clock (``context.clock()``). A page, and a body that is too long to be read, are not told.
    """
    words = body.decode(errors="replace").strip()
    told = 0 < len(words) <= _LONGEST and not words.startswith("<")
    lower = {name.lower(): value for name, value in headers.items()}
    return error_for_status(
        status,
        f"the server answered {status}: {words}" if told else "",
        request_id=next((lower[name] for name in _REQUEST_IDS if name in lower), None),
        retry_at=retry_at(lower, now),
    )
