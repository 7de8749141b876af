"""A card says what became of each case, wherever and however pytest ran it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pointsman_testing.kit import ProviderConformance
from pointsman_testing.kit.cards import Result, card_of, digest
from pointsman_testing.kit.facts import is_conformance, room_of
from pointsman_testing.kit.pages import one_line, page
from pointsman_testing.kit.proves import proven_by, proves, refused_by, refuses

SCHEMA = Path(__file__).parents[3] / "docs/schemas/kit/card.json"
PLUGIN = """
from contextlib import asynccontextmanager

from pydantic import BaseModel

import pointsman as pm


class Config(BaseModel, frozen=True, extra="forbid"):
    base_url: str = ""


@asynccontextmanager
async def opened(config, context):
    yield


@pm.hookimpl
def pointsman_providers():
    claims = frozenset({"tools"})
    done = pm.Terminal.DONE_FIELD
    return [pm.ProviderSpec(name="stub", config=Config, open=opened, terminal=done, capabilities=claims)]
"""
TESTS = """
import pytest

from pointsman_testing.kit.base import ProviderSetting
from pointsman_testing.kit.proves import proves, refuses


class TestStub(ProviderSetting):
    provider = "stub"
    model = "stub-1"

    @pytest.mark.parametrize("size", ["one-byte", "all"])
    async def test_rows(self, size):
        assert size

    @proves("tools")
    def test_tools_arrive(self):
        assert True

    @refuses("vision", "tools")
    def test_pictures_are_refused(self):
        pytest.skip("it has no pictures")

    @pytest.mark.xfail(reason="Stub cannot", strict=True)
    async def test_known(self):
        raise AssertionError

    async def test_fails_on_trio(self, anyio_backend):
        assert anyio_backend == "asyncio", "look here"


class TestOther:
    def test_is_none_of_ours(self):
        assert True
"""
AGAIN = """
from _pytest.runner import runtestprotocol


def pytest_runtest_protocol(item, nextitem):
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in runtestprotocol(item, log=False):
        report.outcome = "failed" if report.when == "call" else report.outcome
        item.ihook.pytest_runtest_logreport(report=report)
    for report in runtestprotocol(item, log=True):
        pass
    return True
"""


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    """A folder with an installed plugin, and a test class for it."""
    about = tmp_path / "stub_provider-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: stub-provider\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text("[pointsman.providers]\nstub = stub_plugin\n")
    (tmp_path / "stub_plugin.py").write_text(PLUGIN)
    (tmp_path / "test_stub.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A run of pytest in that folder, which is asked for cards."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pointsman-cards", "cards", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def deal(folder: Path, *options: str) -> tuple[dict[str, Any], str]:
    """The card that such a run writes, and its page."""
    ran = run(folder, *options)
    [card] = (folder / "cards").glob("*.json")
    assert card.name == "stub.TestStub.json", ran.stdout
    return json.loads(card.read_text("utf-8")), card.with_suffix(".md").read_text("utf-8")


@pytest.mark.parametrize("how", ["in one process", "in workers"])
def test_a_card_says_what_became_of_each_case(stub: Path, how: str) -> None:
    if how == "in workers":
        pytest.importorskip("xdist")
    card, markdown = deal(stub, *(["-p", "no:xdist"] if how == "in one process" else ["-n2", "--dist=load"]))
    assert {
        key: card[key] for key in ("kind", "name", "model", "package", "version", "terminal", "loops", "complete")
    } == {
        "kind": "provider",
        "name": "stub",
        "model": "stub-1",
        "package": "stub-provider",
        "version": "1.2",
        "terminal": "a last line with done: true",
        "loops": ["asyncio", "trio"],
        "complete": True,
    }
    assert card["cases"] == [
        {"room": "own", "test": "test_rows", "row": "one-byte", "outcome": "held"},
        {"room": "own", "test": "test_rows", "row": "all", "outcome": "held"},
        {"room": "own", "test": "test_tools_arrive", "row": "", "outcome": "held"},
        {
            "room": "own",
            "test": "test_pictures_are_refused",
            "row": "",
            "outcome": "skipped",
            "reason": "it has no pictures",
        },
        {"room": "own", "test": "test_known", "row": "", "outcome": "xfail", "reason": "Stub cannot"},
        {"room": "own", "test": "test_fails_on_trio", "row": "", "outcome": "failed", "reason": "on trio: look here"},
    ]
    assert card["counts"] == {"failed": 1, "xfail": 1, "held": 3, "skipped": 1}
    assert card["capabilities"]["tools"] == {"claimed": True, "state": "proven"}
    assert card["capabilities"]["vision"] == {"claimed": False, "state": "not tried", "reason": "it has no pictures"}
    assert card["digest"] == digest(card)
    assert "3 of 5 cases hold" in markdown
    assert "rows (one-byte, all)" in markdown
    if SCHEMA.exists():
        jsonschema.validate(card, json.loads(SCHEMA.read_text("utf-8")))


@pytest.mark.parametrize(
    "part", [("-k", "rows"), ("test_stub.py::TestStub::test_tools_arrive",)], ids=["-k", "by name"]
)
def test_a_part_of_the_class_is_no_whole_card(stub: Path, part: tuple[str, ...]) -> None:
    card, markdown = deal(stub, *part)
    assert not card["complete"]
    assert "Only a part of the class was run." in markdown
    assert len(card["cases"]) < 6


def test_a_card_without_tests_of_the_kit_is_not_complete(stub: Path) -> None:
    (stub / "test_stub.py").write_text(
        "from pointsman_testing.kit import ProviderConformance as Kit\n\nclass TestStub(Kit):\n"
        "    provider, model = 'stub', 'stub-1'\n    test_of_mine = lambda self: None\n"
        "    vars().update({name: None for name in dir(Kit) if name.startswith('test_')})\n"
    )
    card, _ = deal(stub)
    assert (card["counts"]["held"], card["complete"]) == (1, False)


def test_odd_rows_and_reasons_stay_in_their_place(stub: Path) -> None:
    """One class has one card, and what a test says is neither a heading nor a tag of the page."""
    tests = (stub / "test_stub.py").read_text()
    tests = tests.replace('["one-byte", "all"]', '["::", "a|b"]').replace("Stub cannot", "Not <b>\\n\\n# at all | yet")
    (stub / "test_stub.py").write_text(tests)
    card, markdown = deal(stub)
    assert [case["row"] for case in card["cases"][:2]] == ["::", "a|b"]
    assert card["complete"]
    assert "- known: Not &lt;b> # at all \\| yet\n" in markdown


@pytest.mark.parametrize("lacking", ["provider", "model"])
def test_a_class_that_says_less_than_it_must_is_told_so(stub: Path, lacking: str) -> None:
    tests = (stub / "test_stub.py").read_text()
    (stub / "test_stub.py").write_text(re.sub(f"    {lacking} = .*\n", "", tests))
    ran = run(stub)
    assert "INTERNALERROR" not in ran.stdout
    [page] = (stub / "cards").glob("*.md")
    assert f"the class does not say which {lacking}" in page.read_text("utf-8")


def test_a_folder_that_cannot_be_written_is_told_before_anything_runs(stub: Path) -> None:
    (stub / "cards").write_text("")
    ran = run(stub)
    assert (ran.returncode, ran.stdout) == (4, "")
    assert "no card can be written there" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_without_the_extra_the_option_says_what_to_install(stub: Path) -> None:
    (stub / "blockbuster.py").write_text("raise ModuleNotFoundError(\"No module named 'blockbuster'\")\n")
    ran = run(stub)
    assert ran.returncode == 4
    assert "pip install 'pointsman-testing[kit]'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_what_counts_of_a_rerun_is_its_end(stub: Path) -> None:
    (stub / "conftest.py").write_text(AGAIN)
    card, _ = deal(stub)
    assert card["counts"] == {"failed": 1, "xfail": 1, "held": 3, "skipped": 1}


def test_a_run_without_cards_does_not_know_the_kit(tmp_path: Path) -> None:
    test = (
        "import sys\ndef test_none():\n    assert not {m for m in sys.modules if m.startswith('pointsman_testing.')} - "
    )
    (tmp_path / "test_plain.py").write_text(f"{test}{{'pointsman_testing.pytest_plugin'}}\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout


def test_the_kit_knows_its_own_tests() -> None:
    class Own(ProviderConformance):
        async def test_text_arrives_whole(self) -> None: ...  # type: ignore[override]

        def test_of_mine(self) -> None: ...

    assert is_conformance(Own)
    assert not is_conformance(Path)
    assert not is_conformance(None)
    assert room_of(Own, "test_text_arrives_whole") == "answers"
    assert room_of(Own, "test_of_mine") == "own"


def test_an_overridden_test_is_about_what_it_was_about() -> None:
    class Kit:
        @proves("tools", "schema")
        def test_both(self) -> None: ...

        @refuses("vision")
        def test_none(self) -> None: ...

    class Own(Kit):
        def test_both(self) -> None: ...

    assert proven_by(Own, "test_both") == ("tools", "schema")
    assert proven_by(Own, "test_none") == ()
    assert refused_by(Own, "test_none") == ("vision",)


@pytest.mark.parametrize(
    ("claimed", "outcomes", "state"),
    [
        (True, ["held", "held"], "proven"),
        (True, ["held", "failed"], "failed"),
        (True, ["held", "xfail"], "known not to hold"),
        (True, ["skipped"], "not tried"),
        (True, ["skipped", "held"], "proven"),
        (False, ["held"], "refused clearly"),
        (False, [], "not tried"),
    ],
)
def test_what_is_claimed_is_judged_by_its_gravest_case(claimed: bool, outcomes: list[str], state: str) -> None:
    results = [
        Result(
            at=at,
            test="test_it",
            row=str(at),
            loop="asyncio",
            room="capabilities",
            outcome=outcome,
            **{"proves" if claimed else "refuses": ("tools",)},
        )
        for at, outcome in enumerate(outcomes)
    ]
    facts = {
        "kind": "provider",
        "name": "x",
        "class": "TestX",
        "package": None,
        "version": None,
        "claims": ["tools"] * claimed,
    }
    card = card_of(facts | {"kit": "1", "pointsman": "1"}, results, len(results))
    assert card["capabilities"]["tools"]["state"] == state
    assert state in page(card)
    assert ("proven: tools" in one_line(card)) == (state == "proven")
