"""The generic provider keeps what every provider has to keep."""

from __future__ import annotations

from pathlib import Path

from pointsman_testing.kit import ProviderConformance


class TestOpenAICompatible(ProviderConformance):
    provider = "openai-compatible"
    model = "any-model"
    key = "sk-conformance-0123456789"
    recordings = Path(__file__).parent / "recordings"
