"""Routing for Pointsman: what is asked (`classify`), who is good at it and what it costs, and why."""

from __future__ import annotations

from .classification import TASKS, Classification, classify

__all__ = ["TASKS", "Classification", "classify"]
