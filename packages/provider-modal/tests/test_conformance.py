"""Modal keeps what every provider has to keep."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pointsman import FirstTokenTimeout, Unavailable
from pointsman_testing import ModalEndpoint, Vendor
from pointsman_testing.kit import ProviderConformance


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
