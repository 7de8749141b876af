"""Core's own policy keeps what every policy has to keep."""

from __future__ import annotations

from pointsman_testing.kit import PolicyConformance


class TestInOrder(PolicyConformance):
    policy = "in_order"
