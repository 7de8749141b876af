"""The page of the docs: its settings are settings, and it names all of them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from pointsman_blaxel import BlaxelConfig
from pointsman_blaxel.agent_config import AgentConfig
from pointsman_blaxel.control import OTHER_DIALECTS
from pointsman_blaxel.errors import _CODES
from pointsman_blaxel.template import _NAMES

PAGE = (Path(__file__).parents[3] / "docs" / "providers" / "blaxel.md").read_text("utf-8")


def test_examples_are_settings() -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        table = tomllib.loads(block)["providers"]["blaxel"]
        config = BlaxelConfig.model_validate({"api_key": "a-key-0123", "workspace": "lab", **table})
        assert config.agents


def test_every_setting_placeholder_code_and_type_is_named() -> None:
    names = {*BlaxelConfig.model_fields, *AgentConfig.model_fields, *OTHER_DIALECTS, *(f"{{{one}}}" for one in _NAMES)}
    assert [name for name in names if f"`{name}`" not in PAGE] == []
    families = ("UPSTREAM_",)
    assert [code for code in _CODES if f"`{code}`" not in PAGE and not code.startswith(families)] == []
