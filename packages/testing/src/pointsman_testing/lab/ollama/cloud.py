"""Models that run at ollama.com: how a server tells them, and what it says if they cannot be had.

A pulled stub is a model of the server's own that names a host; its errors are Go structs. A name that ends with
``cloud`` and was not pulled is passed on, and what ollama.com answers is passed back as it is.
"""

from __future__ import annotations

from ..script import Fault
from .models import Facts

HOST = "https://ollama.com:443"


def base(name: str) -> str | None:
    """The name at ollama.com of what is to run there: ``gpt-oss:120b`` for ``gpt-oss:120b-cloud`` and for
    ``gpt-oss:120b:cloud``. None if the name does not say so.
    """
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        return None
    if tag.lower() == "cloud":
        return head
    return f"{head}:{tag[:-6]}" if tag.lower().endswith("-cloud") else None


def refusal(facts: Facts, *, enabled: bool, signed_in: bool, spent: str) -> Fault | None:
    """What a request for `facts`, which runs at ollama.com, is refused with."""
    if not enabled:
        return Fault(403)
    if not signed_in:
        return Fault(401)
    if spent:
        struct = {"StatusCode": 429, "Status": "429 Too Many Requests", "error": spent}
        return Fault(429, struct if facts.remote_host else {"error": spent})
    return None
