"""The cache keeps what every wrapper has to keep."""

from __future__ import annotations

from pointsman_testing.kit import WrapperConformance


class TestCache(WrapperConformance):
    wrapper = "cache"
