"""A vendor that says no is understood: what it means, until when, and in whose words."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from itertools import pairwise
from typing import Any, ClassVar

import anyio
import pytest

from pointsman import (
    AuthFailed,
    ConfigError,
    ContextOverflow,
    ModelGone,
    PluginError,
    PointsmanError,
    QuotaExhausted,
    RateLimited,
    Refused,
    RequestError,
    StreamBroken,
    Target,
    Unavailable,
)

from ..lab import Answer, Fault
from .base import ProviderSetting
from .direct import Heard, directly
from .speech import expect
from .stage import Stage

MEANINGS: Mapping[int, tuple[type[PointsmanError], ...]] = {
    204: (Unavailable, StreamBroken),
    301: (Unavailable, ConfigError),
    400: (RequestError,),
    401: (AuthFailed,),
    402: (QuotaExhausted,),
    403: (AuthFailed,),
    404: (ModelGone, RequestError),
    408: (Unavailable,),
    409: (Unavailable,),
    410: (ModelGone, RequestError),
    413: (RequestError,),
    418: (RequestError,),
    422: (RequestError,),
    429: (RateLimited, QuotaExhausted),
    500: (Unavailable,),
    502: (Unavailable,),
    503: (Unavailable,),
    504: (Unavailable,),
    529: (Unavailable,),
}
"""What a status means where the body says nothing better (RFC 9110, RFC 6585; 529 is a vendor's "overloaded")."""

BODIES: Mapping[str, Mapping[str, Any] | str | bytes | None] = {
    "own": None,
    "text": {"error": "No."},
    "nothing": b"",
    "page": "<!doctype html><html><head><title>Bad gateway</title></head><body>nginx</body></html>",
    "words": "Service temporarily unavailable",
    "half": b'{"error": {"mess',
    "deep": b'{"error":' * 5_000 + b"1" + b"}" * 5_000,
    "list": b"[1, 2, 3]",
    "null": b"null",
    "null-error": {"error": None},
    "number": b"7",
    "binary": b"\xff\xfe\x00\x01",
    "megabyte": b"x" * 1_000_000,
}
"""What comes with a status: the vendor's own kind of error, and what proxies and crashes make of it."""

WAIT = 30
LONGEST = 1_500
"""Characters of a message: what a person reads, not a page that somebody's proxy sent."""
SPELLINGS = ("seconds", "fraction", "date", "milliseconds", "epoch")


class RefusalCases(ProviderSetting):
    """Whatever a vendor answers instead of an answer becomes one of Pointsman's errors, with its facts."""

    meanings: ClassVar[Mapping[int, tuple[type[PointsmanError], ...]]] = {}
    """Statuses that mean something else to this vendor than they do in general, and the errors that they may become."""
    request_ids: ClassVar[bool] = True
    """Whether its errors carry the id that comes as ``x-request-id``, which the vendor's support will ask for."""
    no_such_model: ClassVar[str] = "no-such-model"
    """The name of a model that its lab vendor does not have."""
    wrong_key: ClassVar[str | None] = None
    """A key that its lab vendor refuses; None: its `key` with another last character."""
    too_long: ClassVar[Fault | None] = Fault(
        400,
        code="context_length_exceeded",
        message="This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    )
    """How the vendor says that a prompt is longer than the model's context; None: it has no words of its own for it."""
    filtered: ClassVar[str | None] = "content_filter"
    """The finish reason by which the vendor says that its content filter stopped an answer; None: it has none."""

    @pytest.mark.parametrize("status", MEANINGS)
    async def test_status_says_what_is_wrong(self, stage: Stage, status: int) -> None:
        kinds = self.meanings.get(status) or MEANINGS[status]
        names = " or ".join(kind.__name__ for kind in kinds)
        async with directly(stage) as direct:
            for shape in ("own", "text", "nothing"):
                heard = await direct.ask(Fault(status, BODIES[shape]))
                said = f"the vendor refused with {status} ({_in_words(shape)}), and the plugin made of it {heard}"
                error = _is_ours(heard, status, said)
                expect(
                    isinstance(error, kinds),
                    f"{said}; it should be {names}: pointsman.error_for_status knows what a status means, and the test "
                    "class may say in `meanings` what this one means to your vendor",
                )
                if status >= 500 and isinstance(error, Unavailable):
                    expect(error.retryable, f"{said}, which is not retryable: an outage passes")

    @pytest.mark.parametrize("shape", BODIES)
    async def test_any_body_of_a_refusal_is_taken(self, stage: Stage, shape: str) -> None:
        async with directly(stage) as direct:
            for status in (400, 401, 404, 429, 500, 503):
                heard = await direct.ask(Fault(status, BODIES[shape]))
                said = f"the vendor refused with {status} ({_in_words(shape)}), and the plugin made of it {heard}"
                error = _is_ours(heard, status, said)
                if self.request_ids:
                    sent = f"{stage.vendor.name}-{stage.chats[-1].index}"
                    expect(
                        error.request_id == sent or (error.request_id and shape == "own"),  # It may say another in it.
                        f"{said}, with request_id={error.request_id!r}; the vendor sent x-request-id: {sent}",
                    )

    async def test_vendors_own_words_are_passed_on(self, stage: Stage) -> None:
        fault = Fault(400, message="The knob kit-9c turns to the left only.")
        if "kit-9c" not in json.dumps(self.dialect.error(fault)):
            pytest.skip("its dialect has no words for what is wrong")
        async with directly(stage) as direct:
            heard = await direct.ask(fault)
            error = _is_ours(heard, 400, f"the vendor refused with 400, and the plugin made of it {heard}")
        expect(
            "kit-9c" in error.message,
            f"the vendor said {fault.message!r}, and the error says {error.message!r}: pass on what it says, for only "
            "the vendor knows what is wrong",
        )

    @pytest.mark.parametrize("spelling", SPELLINGS)
    async def test_retry_after_is_kept(self, stage: Stage, spelling: str) -> None:
        async with directly(stage) as direct:
            for status in (429, 503):
                headers = _spelled(spelling)
                before = anyio.current_time()
                error = await direct.error(Fault(status, headers=headers))
                at = getattr(error, "retry_at", None)
                expect(
                    at is not None and before + WAIT - 1 <= at <= anyio.current_time() + WAIT + 1,
                    f"{headers} came with {status} and asks for {WAIT} seconds, and retry_at was "
                    f"{'None' if at is None else f'{at - before:.1f} seconds on'}; "
                    "pass retry_at=pointsman.retry_at(response.headers, context.clock()) to the error",
                )

    @pytest.mark.parametrize("value", ["", "soon", "nan", "inf", "-", "1e999", "99999999999999999999"])
    async def test_retry_after_that_is_nonsense_is_ignored(self, stage: Stage, value: str) -> None:
        async with directly(stage) as direct:
            for status in (429, 503):
                before = anyio.current_time()
                heard = await direct.ask(Fault(status, headers={"retry-after": value}))
                error = _is_ours(heard, status, f"with retry-after: {value!r} the plugin made of {status} {heard}")
                at = error.retry_at
                expect(
                    at is None or (math.isfinite(at) and at - before <= 2 * 86_400),
                    f"of retry-after: {value!r} came retry_at={at!r}, which closes the target for good; "
                    "pointsman.retry_at gives None for nonsense, and a day at most",
                )

    async def test_refused_request_leaves_no_connection_open(self, stage: Stage) -> None:
        async with directly(stage) as direct:
            for status in (400, 401, 503, 503):
                await direct.ask(Fault(status))
            for refused, after in pairwise(stage.chats):
                expect(
                    refused.client == after.client or refused.hung_up(),
                    "a request was refused, and its connection was neither used again nor closed; enter the response "
                    "(`async with`) before you look at its status",
                )

    async def test_unknown_model_is_gone(self, stage: Stage) -> None:
        error = await replace(stage, target=Target(self.provider, self.no_such_model)).meets()
        expect(
            isinstance(error, ModelGone),
            f"{self.no_such_model} is no model of the vendor's, and a caller met {type(error).__name__}: {error}; "
            "it should be ModelGone, so that others are asked and this one is not asked again",
        )

    async def test_wrong_key_is_refused(self, stage: Stage) -> None:
        if self.key is None:
            pytest.skip("its lab vendor takes any key")
        wrong = self.wrong_key or self.key[:-1] + ("0" if self.key[-1] != "0" else "1")
        config = {name: wrong if value == self.key else value for name, value in stage.config.items()}
        error = await replace(stage, config=config).meets()
        expect(
            isinstance(error, AuthFailed),
            f"the key is wrong or has expired, and a caller met {type(error).__name__}: {error}; it should be "
            "AuthFailed, so that nothing of this provider is asked again and the person is told to look at the key",
        )
        expect(wrong not in f"{error!s}{error!r}", "the error repeats the key: say that it was refused, not what it is")

    async def test_too_long_a_prompt_is_a_context_overflow(self, stage: Stage) -> None:
        if self.too_long is None:
            pytest.skip("the vendor has no words of its own for a prompt that is too long")
        stage.script(self.too_long)
        error = await stage.meets()
        expect(
            isinstance(error, ContextOverflow),
            f"the vendor said that the prompt is too long, and a caller met {type(error).__name__}: {error}; it should "
            "be ContextOverflow, which goes to a model with a larger context. Say in `too_long` how your vendor words "
            "it (None: it does not)",
        )

    async def test_content_filter_before_any_output_is_a_refusal(self, stage: Stage) -> None:
        if self.filtered is None:
            pytest.skip("the vendor has no content filter")
        stage.script(Answer(finish=self.filtered))
        error = await stage.meets()
        expect(
            isinstance(error, Refused),
            f"the vendor's filter stopped the answer before its first word, and a caller met {type(error).__name__}: "
            f"{error}; yield Finished('content_filter'), of which the engine makes Refused",
        )

    async def test_content_filter_after_output_is_told(self, stage: Stage) -> None:
        if self.filtered is None:
            pytest.skip("the vendor has no content filter")
        stage.script(Answer("So far so", finish=self.filtered))
        reply = await stage.chat()
        expect(
            (reply.text, reply.finish_reason) == ("So far so", "content_filter"),
            f"the vendor's filter stopped the answer after 'So far so', and a caller got {reply.text!r} with the "
            f"finish reason {reply.finish_reason!r}; it should be content_filter, whatever the vendor calls it",
        )


def _is_ours(heard: Heard, status: int, said: str) -> PointsmanError:
    """The error, which is one of ours and has the facts that all have."""
    error = heard.error
    expect(heard.finished is None, f"{said}: a refusal taken for an answer; look at the status before the body")
    expect(
        isinstance(error, PointsmanError) and not isinstance(error, PluginError),
        f"{said}; whatever is wrong has to be one of Pointsman's errors: raise pointsman.error_for_status(status, "
        "message) and catch what reading the body may raise, for it need not be JSON",
    )
    assert isinstance(error, PointsmanError)
    expect(
        error.status == status or (error.status is None and str(status) in error.message),
        f"{said}, with status={error.status}; pass status=response.status_code to the error or, if the vendor may bill "
        "the request all the same, say it in words",
    )
    expect(error.message.strip(), f"{said}, without a word; say at least which status came")
    expect(
        len(error.message) <= LONGEST,
        f"{said}, with a message of {len(error.message):,} characters; what the vendor says is shown to a person: "
        f"cut it off, at {LONGEST:,} at the latest",
    )
    return error


def _in_words(shape: str) -> str:
    return {"own": "its own kind of error", "text": "an error that is text", "nothing": "no body"}.get(
        shape, f"a body of the shape {shape!r}"
    )


def _spelled(spelling: str) -> dict[str, str]:
    """Headers that ask for `WAIT` seconds. The server's clock is a day slow, of which a date must not suffer."""
    now = time.time()
    slow = now - 86_400
    match spelling:
        case "seconds":
            return {"retry-after": str(WAIT)}
        case "fraction":
            return {"retry-after": f"{WAIT - 0.5}"}
        case "date":
            return {"date": formatdate(slow, usegmt=True), "retry-after": formatdate(slow + WAIT, usegmt=True)}
        case "milliseconds":
            return {"retry-after-ms": str(WAIT * 1000)}
        case _:
            return {"retry-after": f"{now + WAIT:.3f}"}
