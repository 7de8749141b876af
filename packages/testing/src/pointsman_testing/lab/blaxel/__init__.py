"""Blaxel: a control plane, the gateway to models, and agents, in one server."""

from .api import BlaxelApi

__all__ = ["BlaxelApi"]
