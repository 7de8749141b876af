"""Servers that shorten a prompt in silence, and the bound that keeps a prompt from them.

From 0.12.6 on, ``truncate: false`` makes a server refuse what is too long. Older ones do not know the field: they drop
the oldest messages, then half of the prompt, and answer as if nothing had happened. To them goes only what fits surely.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pointsman import ContextOverflow, Target
from pointsman_openai import encode

REFUSES = (0, 12, 6)
"""The first version that refuses (ollama/ollama#12519)."""
_DEFAULTS = (((0, 6, 7), 4096), ((0, 0, 0), 2048))
"""Since which version a model without `num_ctx` gets how much context, at the least: ``OLLAMA_CONTEXT_LENGTH``, a
Modelfile and video memory only raise it, unless somebody has set them lower on purpose."""
_TEMPLATE_TOKENS = 256
_MESSAGE_TOKENS = 16
PICTURE_TOKENS = 2048
"""What a picture is taken to need. No bound: how many tokens a model makes of one cannot be seen from its bytes."""

Version = tuple[int, int, int]


def read_version(text: Any) -> Version | None:
    """``0.12.6``; a candidate (``0.12.6-rc1``) counts as the version before. None for a build without one (0.0.0)."""
    found = re.match(r"v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})(-rc)?", text) if isinstance(text, str) else None
    if found is None:
        return None
    version = (int(found[1]), int(found[2]), int(found[3]) - (1 if found[4] else 0))
    return None if version == (0, 0, 0) else version


def refuses_overflow(version: Version | None) -> bool:
    """The server is known to refuse a prompt that is too long, when it is asked to."""
    return version is not None and version >= REFUSES


def default_context(version: Version | None) -> int:
    """The least context, in tokens, that a server of that version gives a model by itself."""
    return next((size for since, size in _DEFAULTS if version is not None and version >= since), 2048)


def most_tokens(body: Mapping[str, Any]) -> int:
    """A bound for the tokens of a prompt: a token of a byte-level tokenizer is at least one byte of text.

    Counted are the bytes of messages, tools and schema as they are sent, 256 for the template and 16 for each message.
    It holds for text; a picture is put down as `PICTURE_TOKENS`.
    """
    messages = [dict(message) for message in body.get("messages") or ()]
    pictures = sum(len(message.pop("images", ())) for message in messages)
    text = len(encode({"messages": messages, "tools": body.get("tools"), "format": body.get("format")}))
    return text + pictures * PICTURE_TOKENS + _TEMPLATE_TOKENS + _MESSAGE_TOKENS * len(messages)


def check(tokens: int, context: int, version: str, target: Target) -> None:
    """Raises `ContextOverflow` if up to `tokens` tokens may not fit into `context` of a server that would cut them."""
    if tokens < context:
        return
    raise ContextOverflow(
        f"Ollama {version or 'of unknown version'} would shorten a prompt that is too long without saying so, and this "
        f"one may be: up to {tokens} tokens, for a context of {context}. Upgrade the server to 0.12.6 or later, which "
        f"refuses only what is too long, or set num_ctx above {tokens}",
        target=target,
    )
