"""What a conformance class is about: the plugin that it proves, and what that plugin claims."""

from __future__ import annotations

from importlib.metadata import entry_points, version
from typing import Any

from pointsman import CAPABILITIES, Plugins, PointsmanError

from .base import ProviderSetting

_KINDS = {
    "provider": ("provider", "pointsman.providers"),
    "policy": ("policy", "pointsman.policies"),
    "wrapper": ("wrapper", "pointsman.wrappers"),
    "scheme": ("ledger", "pointsman.stores"),
}
"""By what a class says, which kind it is about, and in which group of entry points that stands."""

HERE = __name__.rpartition(".")[0]


def is_conformance(tests: type | None) -> bool:
    """Whether some of the tests of the class are the kit's."""
    return tests is not None and any(base.__module__.startswith(f"{HERE}.") for base in tests.__mro__)


def room_of(tests: type, name: str) -> str:
    """The module of the kit that the test comes from; a test that a plugin adds to its class is its ``own``."""
    for base in tests.__mro__:
        if base.__module__.startswith(f"{HERE}.") and name in vars(base):
            return base.__module__.removeprefix(f"{HERE}.")
    return "own"


def deleted_from(tests: type) -> set[str]:
    """Tests of the kit in whose place a subclass has something else, such as None."""
    kit = {name for base in tests.__mro__ if base.__module__.startswith(f"{HERE}.") for name in vars(base)}
    return {name for name in kit if name.startswith("test_") and not callable(getattr(tests, name))}


def facts_of(tests: type) -> dict[str, Any]:
    """What stands above the results on a card."""
    said = next((name for name in _KINDS if hasattr(tests, name)), "provider")
    kind, group = _KINDS[said]
    name = str(getattr(tests, said, tests.__name__))
    dists = [entry.dist for entry in entry_points(group=group, name=name) if entry.dist]
    facts: dict[str, Any] = {
        "kind": kind,
        "name": name,
        "class": tests.__name__,
        "package": dists[0].name if dists else None,
        "version": dists[0].version if dists else None,
        "kit": version("pointsman-testing"),
        "pointsman": version("pointsman"),
    }
    if issubclass(tests, ProviderSetting):
        facts |= _of_provider(tests)
    return facts


def _of_provider(tests: type[ProviderSetting]) -> dict[str, Any]:
    if unsaid := [name for name in ("provider", "model") if not hasattr(tests, name)]:
        return {"problem": f"the class does not say which {' and '.join(unsaid)}"}
    try:
        spec, _ = Plugins.installed().provider(tests.provider)
    except PointsmanError as error:
        return {"model": tests.model, "problem": str(error)}
    family = spec.family(tests.model)
    told = next((model.capabilities for model in spec.models if model.id == tests.model), None)
    claimed = family.capabilities if told is None else told
    return {
        "model": tests.model,
        "terminal": family.terminal.value,
        "claims": [name for name in CAPABILITIES if name in claimed] + sorted(claimed.difference(CAPABILITIES)),
    }
