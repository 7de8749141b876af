"""What became of the kit's tests, collected while pytest runs, and dealt as cards when it ends.

Results travel with pytest's reports (`user_properties`), so that they arrive from pytest-xdist's workers too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from .cards import Result, card_of, text_of
from .facts import deleted_from, facts_of, is_conformance, room_of
from .pages import one_line, page
from .proves import proven_by, refused_by

PROPERTY = "pointsman-card"

_facts_of = cache(facts_of)


class Dealer:
    """A plugin for one run of pytest, in its main process and in each worker."""

    def __init__(self, config: pytest.Config, folder: Path) -> None:
        self._main = not hasattr(config, "workerinput")
        self._folder = folder
        self._places: dict[str, tuple[str, int, int]] = {}
        """Test -> its class, where it stands in there, and how many there are; also of those not chosen to run."""
        self._told: dict[str, dict[str, Any]] = {}
        self._outcomes: dict[str, tuple[str, str]] = {}
        self._written: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        tests: type | None = getattr(collector, "cls", None)
        if isinstance(collector, pytest.Class) and tests is not None and is_conformance(tests):
            nodes = [node for node in report.result or () if isinstance(node, pytest.Function)]
            of = len(nodes) + len(deleted_from(tests))
            self._places |= {test.nodeid: (collector.nodeid, at, of) for at, test in enumerate(nodes)}
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        if isinstance(item, pytest.Function) and item.cls is not None and is_conformance(item.cls):
            item.user_properties.append((PROPERTY, self._tell(item, item.cls)))

    def _tell(self, item: pytest.Function, tests: type) -> dict[str, Any]:
        place, at, of = self._places[item.nodeid]
        name = item.originalname
        loop, row = "", ""
        if hasattr(item, "callspec"):
            loop = str(item.callspec.params.get("anyio_backend", ""))
            row = re.sub(rf"(^|-){loop}(?=-|$)", "", item.callspec.id, count=1).strip("-") if loop else item.callspec.id
        about: dict[str, Any] = {"test": name, "row": row, "loop": loop, "room": room_of(tests, name)}
        about |= {"proves": proven_by(tests, name), "refuses": refused_by(tests, name)}
        return {"class": place, "facts": _facts_of(tests), "of": of, "at": at, **about}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = dict(report.user_properties).get(PROPERTY)
        if not self._main or not isinstance(told, dict):
            return
        if report.when == "setup":  # Of a rerun, too: what was before is forgotten.
            self._outcomes.pop(report.nodeid, None)
        self._told[report.nodeid] = told
        found = outcome_of(report)
        if found and self._outcomes.get(report.nodeid, ("held", ""))[0] != "failed":
            self._outcomes[report.nodeid] = found

    def pytest_sessionfinish(self) -> None:
        if not self._main:
            return
        taken: Counter[str] = Counter()
        for card in self._cards():
            name = f"{card['name']}.{card['class']}"
            taken[name] += 1
            path = self._folder / (name if taken[name] == 1 else f"{name}-{taken[name]}")
            path.with_name(f"{path.name}.json").write_text(text_of(card), "utf-8")
            path.with_name(f"{path.name}.md").write_text(page(card), "utf-8")
            self._written.append(one_line(card))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._written:
            terminalreporter.section(f"capability cards, written to {self._folder}")
            for line in self._written:
                terminalreporter.line(line)

    def _cards(self) -> Iterator[Mapping[str, Any]]:
        classes: dict[str, list[str]] = {}
        for nodeid in self._outcomes:
            classes.setdefault(self._told[nodeid]["class"], []).append(nodeid)
        for _, nodeids in sorted(classes.items()):
            told = [self._told[nodeid] for nodeid in nodeids]
            results = [self._result(nodeid) for nodeid in nodeids]
            yield card_of(told[0]["facts"], results, told[0]["of"])

    def _result(self, nodeid: str) -> Result:
        told = self._told[nodeid]
        outcome, reason = self._outcomes[nodeid]
        return Result(
            at=told["at"],
            test=told["test"],
            row=told["row"],
            loop=told["loop"],
            room=told["room"],
            outcome=outcome,
            reason=reason,
            proves=tuple(told["proves"]),
            refuses=tuple(told["refuses"]),
        )


def outcome_of(report: pytest.TestReport) -> tuple[str, str] | None:
    """What a report of one phase says of its test, and why, in one line; None if it says nothing."""
    expected = getattr(report, "wasxfail", None)
    if report.skipped and expected is not None:
        return "xfail", " ".join(expected.removeprefix("reason: ").split()) or "no reason is given"
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        return "skipped", " ".join(reason.removeprefix("Skipped: ").split())
    if report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        said = str(crash.message if crash else report.longrepr).strip() or "it failed"
        return "failed", said.splitlines()[0].removeprefix("AssertionError: ")
    return ("held", "") if report.when == "call" else None
