"""SambaNova keeps what every provider has to keep."""

from __future__ import annotations

from pointsman_testing import SambaNovaApi
from pointsman_testing.kit import ProviderConformance


class TestSambaNova(ProviderConformance):
    provider = "sambanova"
    model = "gpt-oss-120b"
    key = "6f1b0c1e-7e1c-4f5e-9b64-0a6f0c5f2a11"
    dialect = SambaNovaApi()
