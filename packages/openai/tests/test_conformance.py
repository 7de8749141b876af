"""The generic provider keeps what every provider has to keep."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pointsman_testing import Vendor
from pointsman_testing.kit import ProviderConformance


class TestOpenAICompatible(ProviderConformance):
    provider = "openai-compatible"
    model = "any-model"
    key = "sk-conformance-0123456789"
    recordings = Path(__file__).parent / "recordings"

    def config(self, vendor: Vendor) -> Mapping[str, Any]:
        return {**super().config(vendor), "capabilities": ["embeddings", "prefill"]}  # Its user's word for its server.
