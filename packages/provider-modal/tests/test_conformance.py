"""Modal keeps what every provider has to keep."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from pointsman import FirstTokenTimeout, Unavailable
from pointsman_testing import Fault, ModalEndpoint, RecordedRequest, Vendor
from pointsman_testing.kit import ProviderConformance, Stage
from pointsman_testing.kit.ambient import AmbientCases
from pointsman_testing.kit.leaks import Leaks, headers_of
from pointsman_testing.kit.secrets import SecretCases


class TestModal(ProviderConformance):
    provider = "modal"
    model = "qwen2.5-coder:7b"
    key = "wk-Ab12Cd34Ef56.ws-Gh78Ij90Kl12"
    dialect = ModalEndpoint()
    meanings = MappingProxyType({503: (FirstTokenTimeout, Unavailable)})
    """No container is ready, unless its server says something else."""
    errors_in_streams = False  # Ollama's `/v1` just ends.

    def config(self, vendor: Vendor) -> Mapping[str, Any]:
        return {**super().config(vendor), "cold_start": 0, "min_containers": 1}  # It is warm.


class TestTwoHalves(SecretCases, AmbientCases):
    """The same with the token in two settings, and a key for the server behind the proxy."""

    provider = "modal"
    model = TestModal.model
    key = TestModal.key
    dialect = TestModal.dialect

    def config(self, vendor: Vendor) -> Mapping[str, Any]:
        token_id, token_secret = self.key.split(".")
        halves = {"token_id": token_id, "token_secret": token_secret, "api_key": "sk-behind-0123456789"}
        return {"base_url": vendor.base_url, "cold_start": 0, "min_containers": 1, **halves}

    async def test_no_word_of_the_proxy_shows_a_key(
        self, stage: Stage, leaks: Leaks, caplog: pytest.LogCaptureFixture
    ) -> None:
        def proxy(request: RecordedRequest) -> Fault:
            return Fault(500, f"modal-http: {headers_of(request)}")

        await self.shows_no_key(stage, leaks, caplog, "the proxy", proxy)
