"""``[policy]``: its settings are those of the policy in use, so there is no list of them here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, get_origin

from pydantic import BaseModel

from pointsman import ConfigError
from pointsman.config.layers import Key, Value
from pointsman.config.settings import POLICY
from pointsman.config.tables import alternatives, at, model_at
from pointsman.errors import did_you_mean

if TYPE_CHECKING:
    from .situation import Situation


def check(key: Key, situation: Situation, *, whole_tables: bool) -> None:
    """Raises `ConfigError` if the policy has no such setting, or if it is a table and `whole_tables` may not be said.

    With a policy that cannot be loaded, every setting passes.
    """
    found = situation.policy
    if found.trouble is not None:
        return
    if found.model is None:
        raise ConfigError(f"[policy] has no settings: the policy {found.name!r} takes none")
    kind = at(found.model, key[1:]) if len(key) > 1 else found.model
    if kind is None:
        known = next(length for length in range(len(key) - 1, 0, -1) if at(found.model, key[1:length]) is not None)
        names = _names(found.model, key[1:known])
        above = ".".join(key[:known])
        if not names:
            raise ConfigError(f"{above} is no table: there is nothing in it")
        near = did_you_mean(key[known], names)
        raise ConfigError(f"{above} has no setting {key[known]!r}: it has {', '.join(names)}{near}")
    if _is_table(kind) and not whole_tables:
        names = _names(found.model, key[1:])
        there = ", ".join(".".join((*key, name)) for name in names) or f"{'.'.join(key)}.NAME"
        raise ConfigError(f"{'.'.join(key)} is a table: name a setting in it, such as {there}")


def model_of(key: Key, situation: Situation) -> type[BaseModel] | None:
    """What the table that `key` stands in is held to; None if any name may stand in it, or nobody can say."""
    model = situation.policy.model
    return model_at(model, key[1:-1]) if model is not None and len(key) > 1 else None


def names(situation: Situation) -> list[str]:
    """What may stand in the section itself."""
    model = situation.policy.model
    return [*model.model_fields] if model is not None else []


def in_force(situation: Situation) -> Iterator[tuple[Key, Value | None, Any]]:
    """Every setting, with who says it, if anybody does. Raises `ConfigError` for what does not fit.

    In tables only what somebody has set is there, each setting of its own.
    """
    said = {path[1:]: value for path, value in situation.settings if path[0] == POLICY and len(path) > 1}
    model = situation.policy.model
    if model is None:
        yield from (((POLICY, *path), value, value.value) for path, value in said.items())
        return
    config = situation.settings.policy(model)
    for name in model.model_fields:
        own = {path: value for path, value in said.items() if path[0] == name}
        if not own:
            yield (POLICY, name), None, _plain(getattr(config, name))
        for path, value in own.items():
            yield (POLICY, *path), value, getattr(config, name) if len(path) == 1 else value.value


def _plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else value


def _names(model: type[BaseModel], path: tuple[str, ...]) -> list[str]:
    found = model_at(model, path)
    return [*found.model_fields] if found is not None else []


def _is_table(kind: Any) -> bool:
    for one in alternatives(kind):
        origin = get_origin(one) or one
        if isinstance(origin, type) and issubclass(origin, Mapping | BaseModel):
            return True
    return False
