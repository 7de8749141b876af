"""All that a provider has to keep."""

from __future__ import annotations

from .ambient import AmbientCases
from .answers import AnswerCases
from .live import LiveCases
from .manners import MannerCases
from .recordings import RecordingCases
from .secrets import SecretCases


class ProviderConformance(AnswerCases, SecretCases, AmbientCases, MannerCases, RecordingCases, LiveCases):
    """Subclass it as ``class TestAcme(ProviderConformance)``; say which `provider`, which `model`, which `dialect`.

    A test that does not hold for a vendor is overridden with a strict ``pytest.mark.xfail`` that gives the reason,
    never deleted: the card of the provider shows it.
    """
