"""Both policies keep what every policy has to keep."""

from __future__ import annotations

from pointsman_testing.kit import PolicyConformance


class TestScored(PolicyConformance):
    policy = "scored"


class TestKeywords(PolicyConformance):
    policy = "keywords"
