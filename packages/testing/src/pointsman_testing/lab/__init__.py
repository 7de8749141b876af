"""Vendors on loopback that fail on cue. Import these names from `pointsman_testing`."""

from .blaxel import BlaxelApi
from .dialect import Dialect, HttpResponse, Model, Route, Site
from .ollama import OllamaApi
from .openai import OpenAIChat
from .plan import Chunk
from .profiles import DEFAULT_SPEED, PROFILES, Pace, Profile
from .requests import RecordedRequest
from .script import Answer, Ending, Fault, Hangup, Raw, Response, Script
from .vendors import Lab, Vendor, body_bytes

__all__ = [
    "DEFAULT_SPEED",
    "PROFILES",
    "Answer",
    "BlaxelApi",
    "Chunk",
    "Dialect",
    "Ending",
    "Fault",
    "Hangup",
    "HttpResponse",
    "Lab",
    "Model",
    "OllamaApi",
    "OpenAIChat",
    "Pace",
    "Profile",
    "Raw",
    "RecordedRequest",
    "Response",
    "Route",
    "Script",
    "Site",
    "Vendor",
    "body_bytes",
]
