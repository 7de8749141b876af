"""What Modal's proxy says for itself: plain text, not JSON. Words and statuses are those that users report."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..script import Fault


def _said(status: int, text: str) -> Fault:
    return Fault(status, f"modal-http: {text}")


MODAL_FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "missing credentials": _said(401, "missing credentials for proxy authorization"),
        "invalid credentials": _said(401, "invalid credentials for proxy authorization"),
        "out of scope": Fault(403, "Forbidden"),  # The status is documented, the body is not known.
        "not deployed": _said(404, "invalid function call"),
        "stopped": _said(404, "app for invoked web endpoint is stopped"),  # The status is likely, not known.
        "disabled": _said(404, "workspace ac-0123456789abcdef is disabled"),
        "bad redirect method": _said(400, "bad redirect method"),
        "expired": Fault(408, "Missing request, possibly due to expiry or cancellation"),
        "terminated": _said(500, "internal error: function was terminated by signal"),
        "timed out": _said(500, "internal error: function execution timed out"),
        "lost track": _said(500, "internal error: Server has lost track of input"),
        "throttled": Fault(429, "Too Many Requests"),  # The status is documented, the body is not known.
        "no container": Fault(503, "Service Unavailable"),  # The same.
    }
)
"""What is wrong -> the response. Each can be scripted, on any route."""
