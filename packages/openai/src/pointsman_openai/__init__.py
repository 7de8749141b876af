"""The OpenAI chat dialect, for vendors that speak it.

A vendor is a config and one call of `openai_spec`, and its hooks are one line each; `pointsman_openai.compatible` is
the shortest example. Importing this package does not import an HTTP library.

What holds for every vendor on HTTP is here too, for those with a dialect of their own: `new_client` and `unreachable`
(httpx2 as a provider needs it, and what its exceptions, `FAILURES`, mean), `Body` and `Answer` (reading a response,
leaving it early), `whole`, `error_body` and `refuse_page` (one that is no stream), `read_body`, `retry_after`,
`redact` and `shortened` (what a vendor says of an error), `rate_limits`, `violations` and `window` (what it allows),
`encode`, and readers of uncertain JSON: `fields`, `items`, `string`, `valid`. For answers that come by another way
than a `Session`: `request_body`, `read_completion` and `read_refusal`. They are loaded on first use, and httpx2
with some of them: import them where a connection opens, not above.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .quirks import Quirks, Refusal
from .spec import HttpAddress, OpenAIConfig, listed, open_session, openai_spec, session_of

if TYPE_CHECKING:
    from .answer import Answer, Decoder
    from .collected import read_completion, read_refusal
    from .errors import read_body, redact, shortened, words_of
    from .http import FAILURES, Body, error_body, is_loopback, new_client, refuse_page, unreachable, whole
    from .limits import Violation, rate_limits, retry_after, violations, window
    from .request import encode, request_body
    from .session import Session
    from .shapes import fields, items, string, valid

_LATER = {
    "Answer": "answer",
    "Body": "http",
    "Decoder": "answer",
    "FAILURES": "http",
    "Session": "session",
    "Violation": "limits",
    "encode": "request",
    "error_body": "http",
    "fields": "shapes",
    "is_loopback": "http",
    "items": "shapes",
    "new_client": "http",
    "rate_limits": "limits",
    "read_body": "errors",
    "read_completion": "collected",
    "read_refusal": "collected",
    "redact": "errors",
    "refuse_page": "http",
    "request_body": "request",
    "retry_after": "limits",
    "shortened": "errors",
    "string": "shapes",
    "unreachable": "http",
    "valid": "shapes",
    "violations": "limits",
    "whole": "http",
    "window": "limits",
    "words_of": "errors",
}
"""Name -> the module that has it."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)


__all__ = [
    "FAILURES",
    "Answer",
    "Body",
    "Decoder",
    "HttpAddress",
    "OpenAIConfig",
    "Quirks",
    "Refusal",
    "Session",
    "Violation",
    "encode",
    "error_body",
    "fields",
    "is_loopback",
    "items",
    "listed",
    "new_client",
    "open_session",
    "openai_spec",
    "rate_limits",
    "read_body",
    "read_completion",
    "read_refusal",
    "redact",
    "refuse_page",
    "request_body",
    "retry_after",
    "session_of",
    "shortened",
    "string",
    "unreachable",
    "valid",
    "violations",
    "whole",
    "window",
    "words_of",
]
