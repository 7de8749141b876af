"""Ollama's ``/v1`` behind Modal's proxy: containers that start and end, in both of Modal's products."""

from .endpoint import ModalEndpoint
from .faults import MODAL_FAULTS

__all__ = ["MODAL_FAULTS", "ModalEndpoint"]
