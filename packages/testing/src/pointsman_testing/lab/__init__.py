"""Vendors on loopback that fail on cue. Import these names from `pointsman_testing`."""

from .blaxel import BlaxelApi
from .dialect import Dialect, HttpResponse, Model, Route, Site
from .dialects import DIALECTS, dialect_of
from .hf import HuggingFaceApi, LabEndpoint
from .modal import MODAL_FAULTS, ModalEndpoint
from .ollama import OllamaApi
from .openai import OpenAIChat
from .plan import Chunk
from .profiles import DEFAULT_SPEED, PROFILES, Pace, Profile
from .requests import RecordedRequest
from .sambanova import SambaNovaApi
from .script import Answer, Ending, Fault, Hangup, Raw, Response, Script, Usual
from .simple import SimpleApi
from .vendors import Lab, Vendor, body_bytes

__all__ = [
    "DEFAULT_SPEED",
    "DIALECTS",
    "MODAL_FAULTS",
    "PROFILES",
    "Answer",
    "BlaxelApi",
    "Chunk",
    "Dialect",
    "Ending",
    "Fault",
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
    "SimpleApi",
    "Site",
    "Usual",
    "Vendor",
    "body_bytes",
    "dialect_of",
]
