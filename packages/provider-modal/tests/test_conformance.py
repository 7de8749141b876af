"""Modal keeps what every provider has to keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman_testing import ModalEndpoint, Vendor
from pointsman_testing.kit import ProviderConformance


class TestModal(ProviderConformance):
    provider = "modal"
    model = "qwen2.5-coder:7b"
    key = "wk-Ab12Cd34Ef56.ws-Gh78Ij90Kl12"
    dialect = ModalEndpoint()

    def config(self, vendor: Vendor) -> Mapping[str, Any]:
        return {**super().config(vendor), "cold_start": 0, "min_containers": 1}  # It is warm.
