"""The real vendors, for whoever has keys: ``nox -s live``. See `pointsman_testing.kit.live`."""

from __future__ import annotations

from pointsman_testing.kit import LiveCases


class TestSambaNova(LiveCases):
    provider = "sambanova"


class TestHuggingFace(LiveCases):
    provider = "hf"


class TestOllama(LiveCases):
    provider = "ollama"


class TestBlaxel(LiveCases):
    provider = "blaxel"


class TestModal(LiveCases):
    provider = "modal"
