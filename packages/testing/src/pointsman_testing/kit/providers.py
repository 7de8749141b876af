"""All that a provider has to keep."""

from __future__ import annotations

from .answers import AnswerCases
from .asking import AskingCases
from .capabilities import CapabilityCases
from .paper import PaperCases
from .upkeep import UpkeepCases
from .usage import UsageCases


class ProviderConformance(PaperCases, AskingCases, AnswerCases, CapabilityCases, UsageCases, UpkeepCases):
    """Subclass it as ``class TestAcme(ProviderConformance)``; say which `provider`, which `model`, which `dialect`.

    A test that does not hold for a vendor is overridden with a strict ``pytest.mark.xfail`` that gives the reason,
    never deleted: the card of the provider shows it.
    """
