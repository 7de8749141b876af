"""Vendors on loopback that fail on cue. Import these names from `pointsman_testing`."""

from .dialect import Dialect, HttpResponse, Model, Route
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
    "Chunk",
    "Dialect",
    "Ending",
    "Fault",
    "Hangup",
    "HttpResponse",
    "Lab",
    "Model",
    "OpenAIChat",
    "Pace",
    "Profile",
    "Raw",
    "RecordedRequest",
    "Response",
    "Route",
    "Script",
    "Vendor",
    "body_bytes",
]
