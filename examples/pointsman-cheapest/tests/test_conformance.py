"""The policy keeps what every policy has to keep."""

from __future__ import annotations

from pointsman_testing.kit import PolicyConformance


class TestCheapest(PolicyConformance):
    policy = "cheapest"
