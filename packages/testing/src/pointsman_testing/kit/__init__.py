"""The kit that proves a provider, a policy, a wrapper or a ledger: subclass, say what is yours, run pytest.

It comes with the extra ``kit``: ``pip install 'pointsman-testing[kit]'``. A failing test says in one sentence what is
wrong and where to look.
"""

from __future__ import annotations

from .ledgers import LedgerConformance
from .live import LiveCases
from .policies import PolicyConformance
from .providers import ProviderConformance
from .stage import Stage
from .wrappers import WrapperConformance

__all__ = ["LedgerConformance", "LiveCases", "PolicyConformance", "ProviderConformance", "Stage", "WrapperConformance"]
