"""No key comes to light, and none goes where it was not meant to go."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import quote

import pytest

from pointsman import AttemptRecord, CallRecord, ConfigError, PointsmanError, Sink, hookimpl

from ..lab import Answer, Fault, Raw, RecordedRequest, Response
from .base import ProviderSetting
from .leaks import Leaks, headers_of, sent, shown_by
from .speech import expect
from .stage import Stage

Parrot: TypeAlias = Callable[[RecordedRequest], Response]
REFUSING: Mapping[str, Parrot] = {
    "its own kind of error": lambda request: Fault(401, message=headers_of(request), code=headers_of(request)),
    "JSON": lambda request: Fault(400, {"error": {"message": headers_of(request)}, "detail": headers_of(request)}),
    "words": lambda request: Fault(403, f"no: {headers_of(request)}"),
    "a page": lambda request: Fault(502, f"<html><title>{headers_of(request)}</title></html>"),
    "half a body": lambda request: Raw(headers_of(request).encode(), content_type="text/plain").cut(-1),
    "headers": lambda request: Fault(429, headers={"x-request-id": headers_of(request), "retry-after": sent(request)}),
    "a redirect": lambda request: Fault(307, b"", headers={"location": f"/?{quote(headers_of(request))}"}),
}
"""A vendor that answers with all headers that it was sent, in each place where a plugin may look for words."""
PARROTS: Mapping[str, Parrot] = {
    **REFUSING,
    "an error in a stream": lambda request: Answer("Hello there.", error=headers_of(request)),
    "a broken event": lambda request: Answer("Hi you.").garbage(after=1, data=f'{{"{headers_of(request)}\n\n'.encode()),
}
"""The same, and in the midst of an answer."""

_IN_HEADERS = ("headers", "a redirect")
"""HTTP libraries log the headers of responses at DEBUG, which is no plugin's doing."""


class Records:
    """A plugin with one sink, which keeps what it receives."""

    def __init__(self) -> None:
        self.kept: list[AttemptRecord | CallRecord] = []

    @hookimpl
    def pointsman_sinks(self) -> Sequence[Sink]:
        return [self.kept.append]


class SecretCases(ProviderSetting):
    """Keys stay out of errors, records, logs and addresses, and go to nobody but their vendor."""

    @pytest.fixture
    def leaks(self, stage: Stage) -> Leaks:
        """Finds every secret of this configuration: each `SecretStr`, `key`, and what `env_keys` calls a key."""
        found = leaks_of(stage, self.key)
        if not found:
            pytest.skip("it is used without a key")
        return found

    def test_what_is_set_up_does_not_show_its_keys(self, stage: Stage, leaks: Leaks) -> None:
        made = stage.configured().config
        for shown in (repr(made), str(made), made.model_dump_json(), repr(stage.spec)):
            expect(
                not (seen := leaks.find(shown)),
                f"printing its configuration shows a key ({seen!r}): let the setting be a pydantic.SecretStr, also "
                "inside of a table, and take its value with get_secret_value() where a request is made",
            )

    def test_a_key_with_a_line_break_is_refused(self, stage: Stage, leaks: Leaks) -> None:
        keys = [name for name, value in stage.config.items() if isinstance(value, str) and leaks.find(value)]
        for name in keys:
            # Joined by hand: what surrounds a key is taken off.
            broken = {**stage.config, name: f"{stage.config[name]}\r\nx-other: {stage.config[name]}"}
            try:
                replace(stage, config=broken).configured()
            except ConfigError as error:
                told = shown_by(error)
            else:
                told = ""
            expect(
                told,
                f"a key that holds a line break was taken ({name}): core refuses it if the setting is a "
                "pydantic.SecretStr and stands in the spec's env_keys",
            )
            expect(not (seen := leaks.find(told)), f"the error about a key that is unfit shows it: {seen!r}")

    @pytest.mark.parametrize("parrot", PARROTS)
    async def test_no_error_record_or_log_shows_a_key(
        self, stage: Stage, leaks: Leaks, parrot: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO if parrot in _IN_HEADERS else logging.DEBUG)
        await self.shows_no_key(stage, leaks, caplog, parrot, PARROTS[parrot])

    async def shows_no_key(
        self, stage: Stage, leaks: Leaks, caplog: pytest.LogCaptureFixture, name: str, parrot: Parrot
    ) -> None:
        """Ask a `parrot`, which repeats what it was sent: for a test of words that only this vendor has."""
        records = Records()
        stage.script(parrot)
        async with stage.client(sink=records) as client:
            try:
                reply = await client.chat("Hi", model=stage.target, on_break="raise")
            except PointsmanError as error:
                told = shown_by(error)
            else:
                told = repr(replace(reply, text="", events=()))
            told += repr((await client.connect(stage.spec.name)).session)
        expect(
            stage.chats and leaks.find(sent(stage.chats[0])),
            "no part of its key was sent: is `key` what the vendor takes, and does config() set it?",
        )
        for what, shown in (("the error", told), ("a record", repr(records.kept)), ("the log", _logged(caplog))):
            self._shows_none(leaks, shown, f"with {name} that repeats what was sent, {what}")

    async def test_no_health_and_no_listing_shows_a_key(
        self, stage: Stage, leaks: Leaks, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)  # See `_IN_HEADERS`.
        for name, parrot in REFUSING.items():
            stage.script_all(parrot)
            async with stage.client() as client:
                hooks = await client.connect(stage.spec.name)
                asked: dict[str, Callable[[], Awaitable[Any]]] = {
                    "health": hooks.health,
                    "the list of models": hooks.models,
                    "embedding": partial(client.embed, "Hi", model=stage.target),
                }
                for what, ask in asked.items():
                    try:
                        told = repr(await ask())
                    except PointsmanError as error:
                        told = shown_by(error)
                    self._shows_none(leaks, told, f"with {name} that repeats what was sent, {what}")
        self._shows_none(leaks, _logged(caplog), "the log of health, models and embedding")

    async def test_no_key_is_in_an_address(self, stage: Stage, leaks: Leaks) -> None:
        async with stage.client() as client:
            await client.chat("Hi", model=stage.target)
            await ask_around(stage, client)
        for request in stage.vendor.requests:
            expect(
                not leaks.find(f"{request.path}?{request.query}"),
                f"{request.method} {request.path} has a key in its address, which servers and proxies write into "
                "their logs: send it in a header",
            )

    async def test_no_redirect_takes_a_key_along(self, stage: Stage, leaks: Leaks) -> None:
        thief = stage.lab.vendor("thief", dialect=self.dialect)
        # By its name this machine is another host: libraries compare names.
        elsewhere = f"{thief.base_url.replace('127.0.0.1', 'localhost')}/chat"
        for status in (301, 302, 303, 307, 308):
            stage.script_all(Fault(status, b"", headers={"location": elsewhere}))
            async with stage.client() as client:
                try:
                    await client.chat("Hi", model=stage.target, on_break="raise")
                except PointsmanError as error:
                    self._shows_none(leaks, shown_by(error), "the error about a redirect")
                await ask_around(stage, client)
            for request in thief.requests:
                seen = leaks.find(sent(request) + request.body.decode("latin-1"))
                expect(
                    not seen,
                    f"a redirect ({status}) to another host took the key along ({seen!r}): follow none "
                    "(follow_redirects=False), or only those to the same scheme, host and port",
                )

    def _shows_none(self, leaks: Leaks, shown: str, what: str) -> None:
        seen = leaks.find(shown)
        expect(
            not seen,
            f"{what} shows a key, or part of one: {seen!r}. Core takes out each SecretStr of the configuration as a "
            "whole: what the plugin makes of one (a part, another notation) it must keep out of messages by itself",
        )


def leaks_of(stage: Stage, key: str | None) -> Leaks:
    """Finds every secret of the stage's configuration, and `key`."""
    named = [str(stage.config[name]) for name in stage.spec.env_keys if name in stage.config]
    return Leaks([*stage.configured().hidden, *named, *([key] if key else [])])


async def ask_around(stage: Stage, client: Any) -> None:
    """Ask for what costs nothing, whatever comes of it."""
    hooks = await client.connect(stage.spec.name)
    for ask in (hooks.health, hooks.models):
        try:
            await ask()
        except PointsmanError:
            continue


def _logged(caplog: pytest.LogCaptureFixture) -> str:
    """All that was logged, with what the records carry besides."""
    return "\n".join(f"{record.getMessage()} {vars(record)!r}" for record in caplog.records)
