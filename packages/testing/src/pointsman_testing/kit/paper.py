"""What stands on paper: all that is known of a provider before anything is opened."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast, get_args
from urllib.parse import urlsplit

import pytest
from pydantic import BaseModel, SecretStr

from pointsman import ConfigError, Family, ProviderSpec, Settings, Terminal

from .base import ProviderSetting
from .sanity import odd_capabilities, oddities
from .speech import expect
from .stage import Stage

HEAVY = (
    *("aiohttp", "grpc", "httpcore", "httpcore2", "httpx", "httpx2", "niquests", "requests", "tornado", "urllib3"),
    *("anthropic", "blaxel", "boto3", "botocore", "google.genai", "huggingface_hub", "modal", "ollama", "openai"),
)
"""HTTP libraries and SDKs of vendors: whoever only lists plugins does not wait for them."""
SECRETIVE = re.compile(r"(^|_)(key|password|secret|token|credentials?)$")
"""Names of settings that hold what nobody may see."""

WATCH = """
import importlib, json, sys
import pydantic, pointsman, pointsman.hookspecs, pointsman.plugins
touched = []
def watch(event, args):
    kind = event.partition(".")[0]
    if event == "open" and isinstance(args[0], str):
        touched.append([event, args[0]])
    elif kind in ("socket", "subprocess", "_thread") or event in ("os.system", "os.exec", "os.fork", "os.posix_spawn"):
        touched.append([event, ""])
before = set(sys.modules)
sys.addaudithook(watch)
plugin = importlib.import_module(sys.argv[1])
for name in filter(None, sys.argv[2].split(".")):
    plugin = getattr(plugin, name)
plugin.pointsman_providers()
print(json.dumps({"touched": touched, "modules": sorted(set(sys.modules) - before),
                  "folders": [*sys.path, sys.prefix, sys.base_prefix, sys.pycache_prefix or ""]}))
"""


class PaperCases(ProviderSetting):
    """`ProviderSpec` is data: true, whole, and cheap to come by."""

    def test_spec_goes_by_the_name_of_its_entry_point(self, spec: ProviderSpec[Any]) -> None:
        expect(spec.name == self.provider, f"the entry point is called {self.provider!r}, its spec {spec.name!r}")

    def test_spec_is_the_same_each_time(self, found: tuple[ProviderSpec[Any], object]) -> None:
        spec, plugin = found
        declared = cast("Any", plugin).pointsman_providers()
        again = next(one for one in declared if one.name == spec.name)
        differ = [field.name for field in fields(spec) if getattr(spec, field.name) != getattr(again, field.name)]
        expect(not differ, f"asked twice, pointsman_providers gives specs that differ in {', '.join(differ)}")

    def test_import_is_light(self, importing: dict[str, Any]) -> None:
        did = importing
        loaded = [name for name in HEAVY if name in did["modules"]]
        expect(
            not loaded,
            f"importing it loads {', '.join(loaded)}: import these inside of spec.open, for whoever only lists plugins "
            "does not wait for them",
        )

    def test_import_touches_nothing(self, importing: dict[str, Any]) -> None:
        did = importing
        folders = [Path(folder).resolve() for folder in did["folders"] if folder]
        strange = sorted(
            f"{event} {what}".strip()
            for event, what in did["touched"]
            if event != "open" or not any(Path(what).resolve().is_relative_to(folder) for folder in folders)
        )
        expect(
            not strange,
            f"importing it, and asking for its spec, does {', '.join(strange)}: no file, socket, thread or process "
            "before spec.open",
        )

    def test_config_is_strict(self, spec: ProviderSpec[Any]) -> None:
        config = cast("object", spec.config)
        if not (isinstance(config, type) and issubclass(config, BaseModel)):
            raise AssertionError(f"the spec's config is {config!r}: it is a class of pydantic's BaseModel")
        settled = config.model_config
        expect(settled.get("frozen"), f"{config.__name__} can be changed once it is made: say frozen=True")
        expect(
            settled.get("extra") == "forbid",
            f'{config.__name__} takes settings that there are not, and loses what is misspelt: say extra="forbid"',
        )
        expect(
            "base_url" in config.model_fields, f"{config.__name__} has no base_url, so that no test can play its vendor"
        )

    async def test_misspelt_setting_is_named(self, stage: Stage) -> None:
        table = {"providers": {self.provider: {**stage.config, "kit_settingg": "1"}}}
        async with stage.client() as client:
            roster = type(client.roster)(Settings.of(table), client.roster.plugins)
            try:
                roster.configured(self.provider)
            except ConfigError as error:
                said = str(error)
            else:
                said = "nothing"
        expect(
            "kit_settingg" in said, f"there is no setting kit_settingg; whoever sets it is told {said}, not its name"
        )

    def test_secrets_are_secret(self, spec: ProviderSpec[Any]) -> None:
        settings = spec.config.model_fields
        unknown = sorted(spec.env_keys.keys() - settings.keys())
        expect(not unknown, f"env_keys has {', '.join(unknown)}, but its config has no such setting")
        bare = [
            name
            for name, field in settings.items()
            if (name in spec.env_keys or SECRETIVE.search(name)) and not _holds(field.annotation, SecretStr)
        ]
        expect(not bare, f"{', '.join(bare)} can be seen in every repr and log: type it as pydantic's SecretStr")

    def test_keys_have_a_place_to_go(self, spec: ProviderSpec[Any]) -> None:
        wrong = [host for host in spec.hosts if "/" in host or ":" in host or not host.strip("*. ")]
        expect(not wrong, f"hosts has {wrong}: a host is a bare name, such as api.acme.dev or *.acme.dev")
        usual = spec.config.model_fields["base_url"].default
        host = urlsplit(usual).hostname if isinstance(usual, str) else None
        local = host is None or host in ("localhost", "127.0.0.1", "::1")
        expect(
            not spec.env_keys or local or spec.trusts(host or ""),
            f"the usual base_url is at {host}, which hosts does not name: no key of the user's would be sent there",
        )

    def test_models_are_known_by_what_is_true(self, spec: ProviderSpec[Any]) -> None:
        ids = [model.id for model in spec.models]
        expect(len({*ids}) == len(ids), "two entries of models have the same id")
        wrong = [odd for model in spec.models for odd in oddities(model, self.own_capabilities)]
        expect(not wrong, "; ".join(wrong))
        strangers = sorted({*spec.default_models}.difference(ids)) if ids else []
        expect(not strangers, f"default_models has {', '.join(strangers)}, which models does not: is it misspelt?")

    def test_claims_are_words_in_use(self, spec: ProviderSpec[Any]) -> None:
        families: Mapping[str, Family] = {"": spec.family(""), **spec.families}
        for prefix, family in families.items():
            name = f"the family {prefix!r}" if prefix else "the spec"
            odd = list(odd_capabilities(family.capabilities, self.own_capabilities))
            expect(not odd, f"{name} {'; '.join(odd)}")
            expect(
                isinstance(cast("object", family.terminal), Terminal),
                f"the terminal of {name} is {family.terminal!r}: name what proves that an answer is whole, a Terminal",
            )
            expect(
                "agentic" not in family.capabilities or not family.idempotent,
                f"{name} claims to be agentic, and idempotent: what acts is not asked twice, so say idempotent=False",
            )

    @pytest.fixture(scope="class")
    @classmethod
    def importing(cls, found: tuple[ProviderSpec[Any], object]) -> dict[str, Any]:
        """What a fresh interpreter does on importing it, and on asking for its spec."""
        del found  # It is there, or that has been said.
        [entry] = entry_points(group="pointsman.providers", name=cls.provider)
        command = [sys.executable, "-B", "-c", WATCH, entry.module, entry.attr or ""]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60)  # noqa: S603
        if ran.returncode:
            raise AssertionError(f"in a fresh interpreter, importing {entry.value} fails: {ran.stderr.strip()[-600:]}")
        return json.loads(ran.stdout.splitlines()[-1])


def _holds(annotation: Any, kind: type) -> bool:
    """Whether `kind` is a type's name, or anywhere in it."""
    return annotation is kind or any(_holds(one, kind) for one in get_args(annotation))
