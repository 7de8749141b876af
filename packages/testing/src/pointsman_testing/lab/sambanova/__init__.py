"""SambaNova Cloud: the OpenAI chat dialect, with limits that count down, timings, and errors in three shapes."""

from .api import SambaNovaApi

__all__ = ["SambaNovaApi"]
