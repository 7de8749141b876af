"""Hugging Face keeps what every provider has to keep: its router, and an endpoint of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman_testing import HuggingFaceApi, Lab, LabEndpoint, Vendor
from pointsman_testing.kit import ProviderConformance


class TestHuggingFace(ProviderConformance):
    provider = "hf"
    model = "openai/gpt-oss-120b"
    key = "hf_conformance0123456789"
    dialect = HuggingFaceApi()

    def config(self, vendor: Vendor) -> Mapping[str, Any]:
        hub = vendor.base_url.removesuffix("/v1")
        return {**super().config(vendor), "hub_url": hub, "endpoints_url": f"{hub}/v2"}


class TestEndpoint(TestHuggingFace):
    model = "endpoint:me/mine"
    route = "serving"
    no_such_model = "endpoint:me/nobodys"
    dialect = HuggingFaceApi(endpoints=(LabEndpoint(name="mine", namespace="me", state="running"),))

    def start(self, lab: Lab) -> Vendor:
        return lab.vendor(self.provider, dialect=self.dialect, models=("openai/gpt-oss-120b",), api_key=self.key)
