"""The OpenAI chat dialect, for vendors that speak it.

A vendor is a config and one call of `openai_spec`, and its hooks are one line each; `pointsman_openai.compatible` is
the shortest example. Importing this package does not import an HTTP library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .quirks import Quirks
from .spec import HttpAddress, OpenAIConfig, open_session, openai_spec, session_of

if TYPE_CHECKING:
    from .session import Session


def __getattr__(name: str) -> Any:
    if name == "Session":
        from .session import Session

        return Session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["HttpAddress", "OpenAIConfig", "Quirks", "Session", "open_session", "openai_spec", "session_of"]
