"""The kit that proves a provider, a policy or a wrapper: subclass, say what is yours, run pytest.

It comes with the extra ``kit``: ``pip install 'pointsman-testing[kit]'``. A failing test says in one sentence what is
wrong and where to look.
"""

from __future__ import annotations

from .live import LiveCases
from .providers import ProviderConformance
from .stage import Stage

__all__ = ["LiveCases", "ProviderConformance", "Stage"]
