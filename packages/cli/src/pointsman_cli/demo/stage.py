"""The demo's vendors: lab servers on loopback, and the settings that lead a client to them and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pointsman import Plugins, Settings, Target
from pointsman.plugins import Kind
from pointsman_testing import (
    PROFILES,
    Answer,
    Fault,
    Lab,
    Profile,
    RecordedRequest,
    Response,
    Vendor,
    dialect_of,
)

from .cases import CASES, Case

KEY = "wk-demo-key.ws-for-loopback-only"
"""Written as Modal's are, which the others take as well."""
RETRY_AFTER = 30
"""Seconds that the busy vendor asks for: longer than the engine waits, so that another one is asked."""
OURS = ("pointsman-policy",)
"""The distribution whose policies take part. What strangers installed stays out, their sinks and wrappers above all:
these calls are no real ones, and must not be counted as such."""


@dataclass(frozen=True, slots=True)
class Role:
    """A vendor of the demo: the provider that a client knows it as, and what it imitates."""

    provider: str
    plugin: str
    pace: str
    """Whose speed it has, in the lab's profiles."""
    model: str | None = None
    """What it serves; None: the first of the models that its plugin suggests."""
    instead: bool = False
    """It is there only where fewer than `ENOUGH` others can take any prompt."""
    table: Callable[[str], Mapping[str, str]] = lambda base_url: {}
    """Settings besides the address and the key, from the address."""

    @property
    def profile(self) -> Profile:
        return PROFILES[self.pace]


SPECIAL = ("blaxel", "ollama")
"""Whom the demo asks for what they alone can do: to act, and to keep a prompt on this machine."""
ENOUGH = 3
"""One is refused a prompt, one breaks off an answer, and one must be left."""
ROLES = (
    Role("sambanova", "sambanova", "sambanova"),
    Role("modal", "modal", "modal", "qwen2.5-coder:7b"),
    Role("hf", "hf", "hf"),
    Role("lab-a", "openai-compatible", "modal", "demo-model-a", instead=True),
    Role("lab-b", "openai-compatible", "blaxel", "demo-model-b", instead=True),
    Role(
        "blaxel",
        "blaxel",
        "blaxel",
        "agent:coder",
        table=lambda base_url: {"workspace": "lab", "control_url": f"{base_url}/v0"},
    ),
    Role("ollama", "ollama", "ollama", "qwen2.5-coder:7b"),
)
"""In the order in which they are asked. A vendor that the lab can speak for joins by a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What a client needs to meet the vendors, and what they are."""

    settings: Settings
    plugins: Plugins
    targets: tuple[Target, ...]
    local: frozenset[str]
    """The vendors that stand for a machine of one's own: they cost nothing."""
    cases: tuple[Case, ...]
    """What is asked: all that one of the vendors can answer."""
    speed: float


def build(lab: Lab) -> Stage:
    """Start every vendor whose plugin is installed."""
    found = Plugins.installed()
    plugins = Plugins(
        info
        for info in found.infos()
        if info.kind is Kind.PROVIDER or (info.kind is Kind.POLICY and info.distribution in OURS)
    )
    troubles = {case.prompt: case for case in CASES if case.trouble}
    providers: dict[str, dict[str, str]] = {}
    targets: list[Target] = []
    able: dict[str, frozenset[str]] = {}
    installed = [role for role in ROLES if role.plugin in plugins.names(Kind.PROVIDER)]
    enough = sum(not role.instead for role in installed if role.provider not in SPECIAL) >= ENOUGH
    for role in installed:
        if role.instead and enough:
            continue
        spec = plugins.provider(role.plugin)[0]
        model = role.model or spec.default_models[0]
        able[role.provider] = spec.family(model).capabilities
        vendor = lab.vendor(
            role.provider,
            profile=role.profile,
            models=[model],
            api_key=KEY,
            default=_actor(troubles),
            dialect=dialect_of(role.plugin),
        )
        targets.append(Target(role.provider, model))
        providers[role.provider] = _table(role, vendor)
    settings = Settings.of({"providers": providers, **_routing(targets)})
    return Stage(
        settings=settings,
        plugins=plugins,
        targets=tuple(targets),
        local=frozenset(name for name, can in able.items() if "local" in can),
        cases=tuple(case for case in CASES if any(can.issuperset(case.require) for can in able.values())),
        speed=lab.speed,
    )


def _routing(targets: Sequence[Target]) -> Mapping[str, Mapping[str, object]]:
    """By the policy that comes with the command; nobody is tried by chance, so that each run tells the same."""
    return {
        "routing": {"targets": [str(target) for target in targets], "policy": "scored"},
        "policy": {"explore": 0},
    }


def _table(role: Role, vendor: Vendor) -> dict[str, str]:
    table = {"base_url": vendor.base_url, "api_key": KEY, **role.table(vendor.base_url)}
    return table if role.plugin == role.provider else {"plugin": role.plugin, **table}


def _actor(troubles: dict[str, Case]) -> Callable[[RecordedRequest], Response]:
    """What a vendor answers. `troubles` is shared by all: whoever is asked first has the trouble, and has it once."""

    def answer(request: RecordedRequest) -> Response:
        case = troubles.pop(request.prompt, None)
        if case is None:
            return Answer(next((case.answer for case in CASES if case.prompt == request.prompt), "I was not prepared."))
        if case.trouble == "busy":
            message = "Too many requests, please slow down."
            return Fault(429, headers={"retry-after": str(RETRY_AFTER)}, message=message)
        # Each word is an event of the stream; one more is the role, which comes first.
        return Answer(case.first_answer).cut(after=len(case.first_answer.split()) + 1)

    return answer
