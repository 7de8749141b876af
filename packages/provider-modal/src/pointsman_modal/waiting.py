"""One answer of an address that scales to zero, in as many exchanges as Modal makes of it.

A Web Function (``*.modal.run``) holds a request while a container starts. After 150 s without an answer it says 303,
with the address of the result; that one takes only GET ("bad redirect method"), holds in turn, and says 303 again.
A server (``*.modal.direct``, ``@app.server``) says 503 as long as no container is ready, and the request is to be sent
again. Waiting happens here, before the answer's head, so that to the engine both are one slow answer: its clock of the
first token, its deadline and its failover work on them alike. Every response that is left is closed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import anyio
import httpx2

from pointsman import ProviderContext
from pointsman_openai import Body, error_body, retry_after

from .errors import MOST_HOPS, is_starting

if TYPE_CHECKING:
    from .state import Warmth

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 5.0
GROWTH = 1.5
"""Seconds before a request that was refused with 503 is sent again. How Modal counts such requests is not known, so
they are few: 8 in the first 20 s, 12 a minute after that."""


async def arrive(
    http: httpx2.AsyncClient, request: httpx2.Request, limit: float, warmth: Warmth, context: ProviderContext
) -> httpx2.Response:
    """The response to `request`, its body still to come. `limit`: seconds for which a 503 is asked again.

    One that stays 503, and a 303 that cannot be followed, are returned as they are.
    """
    began = context.clock()
    pauses = _pauses()
    hops = 0
    response = await http.send(request, stream=True)
    while True:
        if response.status_code == 303 and hops < MOST_HOPS and (url := result_url(response)):
            hops += 1
            await error_body(Body(response), context.log)
            response = await http.send(_get(http, request, url), stream=True)
        elif response.status_code == 503 and not hops:  # A result that failed is no container that is not ready yet.
            said = await error_body(Body(response), context.log)
            if not is_starting(503, said):
                return _again(response, said)
            warmth.starting()
            left = began + limit - context.clock()
            told = retry_after(dict(response.headers), "", time.time())
            if left <= 0 or (told or 0.0) > left:
                return _again(response, said)
            await anyio.sleep(min(next(pauses) if told is None else max(told, FIRST_PAUSE), left))
            response = await http.send(request, stream=True)
        else:
            return response


def result_url(response: httpx2.Response) -> httpx2.URL | None:
    """Where the result will be; None if that is not the host that was asked, to which alone the keys may go."""
    asked, where = response.request.url, response.headers.get("location", "")
    try:
        url = asked.join(where)
    except (httpx2.InvalidURL, ValueError):
        return None
    return url if where and _origin(url) == _origin(asked) else None


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _pauses() -> Iterator[float]:
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * GROWTH, LONGEST_PAUSE)


def _get(http: httpx2.AsyncClient, request: httpx2.Request, url: httpx2.URL) -> httpx2.Request:
    """A request for a result. The client's own headers, the keys among them, go along."""
    return http.build_request("GET", url, headers={"accept": request.headers.get("accept", "*/*")})


def _again(response: httpx2.Response, said: bytes) -> httpx2.Response:
    """`response`, whose body was read, as one that can be read."""
    kept = [(name, value) for name, value in response.headers.multi_items() if name.lower() not in _OF_THE_BODY]
    return httpx2.Response(response.status_code, headers=kept, content=said, request=response.request)


_OF_THE_BODY = ("content-encoding", "content-length", "transfer-encoding")
