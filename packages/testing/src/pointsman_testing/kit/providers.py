"""All that a provider has to keep."""

from __future__ import annotations

from .ambient import AmbientCases
from .answers import AnswerCases
from .asking import AskingCases
from .capabilities import CapabilityCases
from .faults import FaultCases
from .leaving import LeavingCases
from .live import LiveCases
from .manners import MannerCases
from .paper import PaperCases
from .recordings import RecordingCases
from .refusals import RefusalCases
from .secrets import SecretCases
from .upkeep import UpkeepCases
from .usage import UsageCases


class ProviderConformance(
    PaperCases,
    AskingCases,
    AnswerCases,
    CapabilityCases,
    UsageCases,
    UpkeepCases,
    RefusalCases,
    FaultCases,
    LeavingCases,
    SecretCases,
    AmbientCases,
    MannerCases,
    RecordingCases,
    LiveCases,
):
    """Subclass it as ``class TestAcme(ProviderConformance)``; say which `provider`, which `model`, which `dialect`.

    A test that does not hold for a vendor is overridden with a strict ``pytest.mark.xfail`` that gives the reason,
    never deleted: the card of the provider shows it.
    """
