"""Tests without vendors: a lab of loopback servers, a scripted provider, and a clock that does not wait.

Names are imported from here; what stands behind them is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .clients import Answers, ScriptedClient, ScriptedSyncClient, ScriptedTargets, client, replacing, sync_client
    from .lab import (
        DEFAULT_SPEED,
        DIALECTS,
        MODAL_FAULTS,
        PROFILES,
        Answer,
        BlaxelApi,
        Chunk,
        Dialect,
        Ending,
        Fault,
        Hangup,
        HttpResponse,
        HuggingFaceApi,
        Lab,
        LabEndpoint,
        ModalEndpoint,
        Model,
        OllamaApi,
        OpenAIChat,
        Pace,
        Profile,
        Raw,
        RecordedRequest,
        Response,
        Route,
        SambaNovaApi,
        Script,
        SimpleApi,
        Site,
        Usual,
        Vendor,
        body_bytes,
        dialect_of,
    )
    from .scripted import Accepted, Hang, ScriptedCall, ScriptedConfig, ScriptedProvider, Sleep, Step, Steps
    from .virtual import VIRTUAL_BACKENDS, VirtualBackend, VirtualDeadlock, VirtualLoop, virtual_backend, virtual_run
    from .words import count_words, split_words

__all__ = [
    "DEFAULT_SPEED",
    "DIALECTS",
    "MODAL_FAULTS",
    "PROFILES",
    "VIRTUAL_BACKENDS",
    "Accepted",
    "Answer",
    "Answers",
    "BlaxelApi",
    "Chunk",
    "Dialect",
    "Ending",
    "Fault",
    "Hang",
    "Hangup",
    "HttpResponse",
    "HuggingFaceApi",
    "Lab",
    "LabEndpoint",
    "ModalEndpoint",
    "Model",
    "OllamaApi",
    "OpenAIChat",
    "Pace",
    "Profile",
    "Raw",
    "RecordedRequest",
    "Response",
    "Route",
    "SambaNovaApi",
    "Script",
    "ScriptedCall",
    "ScriptedClient",
    "ScriptedConfig",
    "ScriptedProvider",
    "ScriptedSyncClient",
    "ScriptedTargets",
    "SimpleApi",
    "Site",
    "Sleep",
    "Step",
    "Steps",
    "Usual",
    "Vendor",
    "VirtualBackend",
    "VirtualDeadlock",
    "VirtualLoop",
    "body_bytes",
    "client",
    "count_words",
    "dialect_of",
    "replacing",
    "split_words",
    "sync_client",
    "virtual_backend",
    "virtual_run",
]

_HOMES = {
    "clients": (
        "Answers",
        "ScriptedClient",
        "ScriptedSyncClient",
        "ScriptedTargets",
        "client",
        "replacing",
        "sync_client",
    ),
    "scripted": ("Accepted", "Hang", "ScriptedCall", "ScriptedConfig", "ScriptedProvider", "Sleep", "Step", "Steps"),
    "virtual": (
        "VIRTUAL_BACKENDS",
        "VirtualBackend",
        "VirtualDeadlock",
        "VirtualLoop",
        "virtual_backend",
        "virtual_run",
    ),
    "words": ("count_words", "split_words"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOME.get(name, 'lab')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
