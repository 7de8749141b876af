"""What lies about in the environment is not picked up: it was meant for somebody else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pointsman import ConfigError

from ..lab import Vendor
from .base import ProviderSetting
from .leaks import Leaks, sent, shown_by
from .secrets import ask_around, leaks_of
from .speech import expect
from .stage import Stage

CANARY = "canary-9f8e7d6c5b4a30"
"""Stands for somebody else's key."""

FOREIGN = (
    "ANTHROPIC_API_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_OPENAI_API_KEY",
    "GEMINI_API_KEY",
    "GITHUB_TOKEN",
    "GOOGLE_API_KEY",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "OPENAI_API_KEY",
    "OPENAI_ORGANIZATION",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
)
"""Variables from which libraries take keys unasked."""

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


class AmbientCases(ProviderSetting):
    """Keys, addresses and proxies of others, in the environment of the process, change nothing."""

    @pytest.fixture
    async def thief(self, stage: Stage) -> Vendor:
        """Who should never be asked."""
        return stage.lab.vendor("thief", dialect=self.dialect)

    async def test_no_foreign_key_is_picked_up(
        self, stage: Stage, thief: Vendor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text(f"machine 127.0.0.1 login {CANARY} password {CANARY}\n")
        netrc.chmod(0o600)
        strange = [variable for variable in FOREIGN if variable not in stage.spec.env_keys.values()]
        lies = dict.fromkeys([*strange, *stage.spec.env_keys.values()], CANARY)
        addresses = dict.fromkeys(("OPENAI_BASE_URL", "OPENAI_API_BASE", "HF_ENDPOINT"), thief.base_url)
        self._set(monkeypatch, {**lies, **addresses, "NETRC": str(netrc)})
        await self._ask_all(stage)
        for request in stage.vendor.requests:
            seen = Leaks([CANARY]).find(sent(request) + request.body.decode("latin-1"))
            expect(
                not seen,
                f"{request.method} {request.path} carries somebody else's key, from the environment or ~/.netrc "
                f"({seen!r}): give the HTTP library or SDK its key by name, always, and let it read neither",
            )
        asked = " and ".join(request.path for request in thief.requests)
        expect(
            not asked,
            f"another server was asked for {asked}, which OPENAI_BASE_URL or HF_ENDPOINT names: give the SDK its "
            "address by name, always",
        )

    async def test_this_machine_is_asked_without_a_proxy(
        self, stage: Stage, thief: Vendor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address = thief.base_url.partition("://")[2].partition("/")[0]
        self._set(monkeypatch, dict.fromkeys(PROXIES, f"http://someone:{CANARY}@{address}"))
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        try:
            await self._ask_all(stage)
        finally:
            expect(
                not thief.requests,
                "a server on this machine was asked through the proxy that HTTP_PROXY names, unencrypted, so with the "
                "key for all to read: no proxy knows what runs here (httpx: "
                'mounts={"all://127.0.0.1": None, "all://localhost": None})',
            )

    async def test_the_vendors_own_variable_does_not_follow_another_address(self, stage: Stage) -> None:
        if not stage.spec.env_keys:
            pytest.skip("its spec names no variable of the vendor's for a key")
        keys = leaks_of(stage, self.key)
        bare = {name: value for name, value in stage.config.items() if not keys.find(str(value))}
        variables = dict.fromkeys(stage.spec.env_keys.values(), CANARY)
        alone = replace(stage, config=bare)
        try:
            told = " ".join(alone.configured(environ=variables).warnings)
        except ConfigError as error:  # It cannot do without a key.
            told = shown_by(error)
        else:
            async with alone.client(environ=variables) as client:
                await ask_around(stage, client)
        for variable in variables:
            expect(
                variable in told,
                f"{variable} is the vendor's own, and base_url is not: core drops the key, and says so, if the spec's "
                f"env_keys name the variable and the config reads no environment by itself; it said {told!r}",
            )
        for shown in (told, *map(sent, stage.vendor.requests)):
            expect(
                not (seen := Leaks([CANARY]).find(shown)), f"the key of the vendor's own variable came along: {seen!r}"
            )

    def _set(self, monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]) -> None:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)

    async def _ask_all(self, stage: Stage) -> None:
        async with stage.client(environ=os.environ) as client:
            await client.chat("Hi", model=stage.target)
            await ask_around(stage, client)
