"""Hugging Face as its clients meet it: the router, the Hub's word on tokens, and Inference Endpoints with their API."""

from .api import HuggingFaceApi
from .endpoints import LabEndpoint

__all__ = ["HuggingFaceApi", "LabEndpoint"]
