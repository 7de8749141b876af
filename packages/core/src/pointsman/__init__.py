"""Pointsman: one streaming API over many LLM providers, each a plugin; the answer arrives whole, or you are told.

Names are imported from here, by applications and by plugins alike. What needs pydantic, an event loop library or a
configuration is loaded when it is first used; so is what only policies, sinks, stores and verbs name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .cost import Price, PriceTier, floor_usage
from .errors import (
    AllTargetsFailed,
    AuthFailed,
    BudgetExceeded,
    ConfigError,
    ContextOverflow,
    DeadlineExceeded,
    FirstTokenTimeout,
    InvalidRequest,
    ModelGone,
    NoCandidates,
    PluginError,
    PointsmanError,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Refused,
    RequestError,
    Scope,
    Stalled,
    StoreError,
    StreamBroken,
    TooSlow,
    Unavailable,
    error_for_status,
)
from .pricebook import PriceBook, Quote
from .provider import (
    CAPABILITIES,
    CheckHealth,
    Connection,
    Embed,
    Embeddings,
    EmbedRequest,
    Family,
    Health,
    HealthState,
    ListModels,
    ModelInfo,
    PriceAttempt,
    ProviderContext,
    ProviderSpec,
    RateLimit,
    RateLimits,
    ScaleToZero,
    Stream,
    Strengths,
    Terminal,
)
from .types import (
    AtLeast,
    AttemptFailed,
    ChatRequest,
    Cost,
    Exact,
    Finished,
    Image,
    Message,
    Priority,
    ReasoningDelta,
    Resumed,
    Retracted,
    ServerTimings,
    Started,
    StreamEvent,
    Target,
    Text,
    TextDelta,
    Timings,
    Tool,
    ToolCall,
    ToolCallDelta,
    Unknown,
    Usage,
    assistant,
    system,
    tool_result,
    user,
)

if TYPE_CHECKING:
    from .client import AsyncClient
    from .commands import CommandHost, CommandSpec
    from .config import Settings
    from .fanning import FanAnswer, FanOut
    from .hookspecs import hookimpl
    from .ledger import Ledger, LedgerEntry, LedgerQuery, LedgerRating, LedgerTotal, PastAttempt, PastCall
    from .ledger.sql import SqlConnection, SqlDialect, SqlLedger
    from .ledgers import open_ledger
    from .plugins import Plugins
    from .policy import Candidate, Decision, Exclusion, History, Measured, Policy, PolicySpec, Score, Term, length_of
    from .refusing import refusal
    from .reply import Reply, StreamedReply, SyncStreamedReply
    from .stores import StoreSpec
    from .sync import Client, chat
    from .telemetry import AttemptRecord, CallRecord, Sink
    from .unwinding import unwind
    from .waits import retry_at, wait_seconds
    from .wrapping import map_events, map_request, short_circuit

_LAZY = {
    "AsyncClient": "client",
    "AttemptRecord": "telemetry",
    "CallRecord": "telemetry",
    "Candidate": "policy",
    "Client": "sync",
    "CommandHost": "commands",
    "CommandSpec": "commands",
    "FanAnswer": "fanning",
    "FanOut": "fanning",
    "Decision": "policy",
    "Exclusion": "policy",
    "History": "policy",
    "Ledger": "ledger",
    "LedgerEntry": "ledger",
    "LedgerQuery": "ledger",
    "LedgerRating": "ledger",
    "LedgerTotal": "ledger",
    "Measured": "policy",
    "PastAttempt": "ledger",
    "PastCall": "ledger",
    "Plugins": "plugins",
    "Policy": "policy",
    "PolicySpec": "policy",
    "Reply": "reply",
    "Score": "policy",
    "Settings": "config",
    "Sink": "telemetry",
    "SqlConnection": "ledger.sql",
    "SqlDialect": "ledger.sql",
    "SqlLedger": "ledger.sql",
    "StoreSpec": "stores",
    "StreamedReply": "reply",
    "SyncStreamedReply": "reply",
    "Term": "policy",
    "chat": "sync",
    "hookimpl": "hookspecs",
    "length_of": "policy",
    "map_events": "wrapping",
    "map_request": "wrapping",
    "open_ledger": "ledgers",
    "refusal": "refusing",
    "retry_at": "waits",
    "short_circuit": "wrapping",
    "unwind": "unwinding",
    "wait_seconds": "waits",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


__all__ = [
    "CAPABILITIES",
    "AllTargetsFailed",
    "AsyncClient",
    "AtLeast",
    "AttemptFailed",
    "AttemptRecord",
    "AuthFailed",
    "BudgetExceeded",
    "CallRecord",
    "Candidate",
    "ChatRequest",
    "CheckHealth",
    "Client",
    "CommandHost",
    "CommandSpec",
    "ConfigError",
    "Connection",
    "ContextOverflow",
    "Cost",
    "DeadlineExceeded",
    "Decision",
    "Embed",
    "EmbedRequest",
    "Embeddings",
    "Exact",
    "Exclusion",
    "Family",
    "FanAnswer",
    "FanOut",
    "Finished",
    "FirstTokenTimeout",
    "Health",
    "HealthState",
    "History",
    "Image",
    "InvalidRequest",
    "Ledger",
    "LedgerEntry",
    "LedgerQuery",
    "LedgerRating",
    "LedgerTotal",
    "ListModels",
    "Measured",
    "Message",
    "ModelGone",
    "ModelInfo",
    "NoCandidates",
    "PastAttempt",
    "PastCall",
    "PluginError",
    "Plugins",
    "PointsmanError",
    "Policy",
    "PolicySpec",
    "Price",
    "PriceAttempt",
    "PriceBook",
    "PriceTier",
    "Priority",
    "ProviderContext",
    "ProviderError",
    "ProviderSpec",
    "QuotaExhausted",
    "Quote",
    "RateLimit",
    "RateLimited",
    "RateLimits",
    "ReasoningDelta",
    "Refused",
    "Reply",
    "RequestError",
    "Resumed",
    "Retracted",
    "ScaleToZero",
    "Scope",
    "Score",
    "ServerTimings",
    "Settings",
    "Sink",
    "SqlConnection",
    "SqlDialect",
    "SqlLedger",
    "Stalled",
    "Started",
    "StoreError",
    "StoreSpec",
    "Stream",
    "StreamBroken",
    "StreamEvent",
    "StreamedReply",
    "Strengths",
    "SyncStreamedReply",
    "Target",
    "Term",
    "Terminal",
    "Text",
    "TextDelta",
    "Timings",
    "TooSlow",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "Unavailable",
    "Unknown",
    "Usage",
    "assistant",
    "chat",
    "error_for_status",
    "floor_usage",
    "hookimpl",
    "length_of",
    "map_events",
    "map_request",
    "open_ledger",
    "refusal",
    "retry_at",
    "short_circuit",
    "system",
    "tool_result",
    "unwind",
    "user",
    "wait_seconds",
]
