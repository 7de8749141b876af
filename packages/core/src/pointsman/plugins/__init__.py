"""Finding, loading and composing plugins. pluggy's results are untyped and anonymous; this is their one typed face."""

from .composition import HookCallables, compose
from .discovery import Kind, PluginInfo, Plugins

__all__ = ["HookCallables", "Kind", "PluginInfo", "Plugins", "compose"]
