"""No key is ever shown, whoever says it: not the command, not a vendor that repeats it, not a traceback."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pointsman_cli.app import cli
from pointsman_testing import Fault, Vendor

LETTERS = "".join(chr(code) for code in range(0x21, 0x7F))
KEYS = st.text(alphabet=LETTERS, min_size=11, max_size=60).map("~".__add__)
"""Long enough that none is an ordinary word of ours. Hypothesis draws words of our code, too, such as the name of a
file that is rightly shown; none of those begins so."""

LINES: list[list[str]] = [
    ["chat", "hi", "-m", "a/m1"],
    ["chat", "hi", "-m", "a/m1", "--debug"],
    ["chat", "hi", "--json"],
    ["chat", "hi", "--json-events"],
    ["providers"],
    ["providers", "--json"],
    ["providers", "check"],
    ["providers", "check", "--json"],
    ["plugins"],
    ["route", "hi", "-m", "a/m1"],
    ["models"],
    ["models", "--json"],
    ["doctor", "--live"],
    ["doctor", "--json"],
    ["config"],
    ["config", "--json"],
    ["config", "get", "providers.a.api_key"],
    ["keys", "list"],
    ["keys", "test"],
    ["keys", "test", "--json"],
]


@pytest.mark.hypothesis
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(KEYS)
def test_no_output_holds_the_key(a: Vendor, b: Vendor, place: Path, key: str) -> None:
    def repeat(request: object) -> Fault:
        return Fault(401, message=f"Incorrect API key provided: {key}", headers={"x-request-id": "r1"})

    for vendor in (a, b):
        vendor.default = repeat
        vendor.api_key = None
    with mock.patch.dict(os.environ, {"POINTSMAN_A_API_KEY": key, "POINTSMAN_B_API_KEY": key}):
        for line in LINES:
            for vendor in (a, b):
                vendor.script(repeat, on="models")
            done = CliRunner().invoke(cli, line, prog_name="pointsman")
            assert key not in done.stdout
            assert key not in done.stderr
            if line[0] == "chat":
                assert done.exit_code == 4


def test_key_that_is_no_key_is_not_shown_either(invoke: Callable[..., object], place: Path) -> None:
    """Such as one that was pasted with a line break in it."""
    with mock.patch.dict(os.environ, {"POINTSMAN_A_API_KEY": "sk-half\nother-half"}):
        for line in (["chat", "hi", "-m", "a/m1"], ["providers"], ["providers", "check"]):
            done = CliRunner().invoke(cli, line)
            assert "half" not in done.output
