"""All that a wrapper has to keep: what is not its purpose, nobody notices."""

from __future__ import annotations

from .company import CompanyCases
from .endings import EndingCases
from .passing import PassingCases

__all__ = ["WrapperConformance"]


class WrapperConformance(PassingCases, EndingCases, CompanyCases):
    """Subclass it as ``class TestRedact(WrapperConformance)``, and say which `wrapper`.

    What the wrapper is for stands in `changes` and `alters`. A test that does not hold is overridden with a strict
    ``pytest.mark.xfail`` that gives the reason, never deleted.
    """
