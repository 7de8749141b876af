"""Blaxel keeps what every provider has to keep: its gateway, and agents that act."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from pointsman import ModelGone, RequestError, Unavailable
from pointsman_testing import BlaxelApi, Fault, Lab, RecordedRequest, Vendor
from pointsman_testing.kit import ProviderConformance, Stage
from pointsman_testing.kit.leaks import Leaks, headers_of


class TestGateway(ProviderConformance):
    provider = "blaxel"
    model = "gpt"
    key = "bl_conformance0123456789"
    dialect = BlaxelApi(workspace="lab")
    meanings = MappingProxyType(dict.fromkeys((410, 418, 422), (Unavailable, ModelGone, RequestError)))
    """The code in the gateway's body says more than a status for which it documents none."""
    too_long = Fault(400, {"error": {"code": "context_length_exceeded", "message": "Too long."}})
    """The gateway passes on what the model's own vendor says."""

    def start(self, lab: Lab) -> Vendor:
        models = ({"id": "gpt", "model": "gpt-4o-mini"}, {"id": "agent:coder", "form": "sse"})
        return lab.vendor(self.provider, dialect=self.dialect, models=models, api_key=self.key)

    def config(self, vendor: Vendor) -> Mapping[str, Any]:
        control = {"control_url": f"{vendor.base_url}/v0", "workspace": "lab"}
        return {**super().config(vendor), **control}

    async def test_no_word_of_the_platform_shows_a_key(
        self, stage: Stage, leaks: Leaks, caplog: pytest.LogCaptureFixture
    ) -> None:
        def platform(request: RecordedRequest) -> Fault:
            error = {"code": "WORKLOAD_NOT_FOUND", "message": headers_of(request), "origin": "platform"}
            return Fault(404, {"error": error})

        await self.shows_no_key(stage, leaks, caplog, "the platform", platform)


class TestAgent(TestGateway):
    model = "agent:coder"
    route = "agent"
    dialect = BlaxelApi(workspace="lab", form="sse")
    counts = False  # Those of one call of a model, perhaps, of many that the agent makes.
    left_out = frozenset({"max_tokens", "temperature", "top_p", "seed", "reasoning_effort"})  # See docs/providers.
    no_such_model = "agent:nobody"
    too_long = None
