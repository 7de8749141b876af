"""Each error has one exit code, and the help lists them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import pointsman as p
from pointsman_cli.exits import GRAVEST_FIRST, Exit, exit_code, gravest

T = p.Target("a", "m1")

CODES = [
    (p.ConfigError("no key", missing=True), 4),
    (p.ConfigError("no such setting"), 2),
    (p.PluginError("broken", plugin="x"), 1),
    (p.StoreError("the disk is full"), 1),
    (p.RequestError("no", target=T), 1),
    (p.InvalidRequest("the vendor says no", target=T), 1),
    (p.InvalidRequest("max_tokens must be at least 1"), 2),
    (p.ContextOverflow("too long", target=T), 1),
    (p.Refused("no", target=T), 1),
    (p.ProviderError("?", target=T), 3),
    (p.AuthFailed("no", target=T), 4),
    (p.QuotaExhausted("no money", target=T), 5),
    (p.RateLimited("slow down", target=T), 5),
    (p.ModelGone("no", target=T), 3),
    (p.Unavailable("no", target=T), 3),
    (p.FirstTokenTimeout("late", target=T), 6),
    (p.Stalled("late", target=T), 6),
    (p.TooSlow("late", target=T), 6),
    (p.StreamBroken("cut", target=T), 3),
    (p.BudgetExceeded("too much"), 5),
    (p.DeadlineExceeded("over"), 6),
    (p.NoCandidates("nobody", none_ready=True), 4),
    (p.NoCandidates("none can"), 1),
    (p.AllTargetsFailed("2", [p.Unavailable("x"), p.FirstTokenTimeout("x")]), 6),
    (p.AllTargetsFailed("3", [p.FirstTokenTimeout("x"), p.RateLimited("x"), p.Unavailable("x")]), 5),
    (p.AllTargetsFailed("3", [p.RateLimited("x"), p.AuthFailed("x"), p.FirstTokenTimeout("x")]), 4),
    (p.AllTargetsFailed("1", [p.PluginError("x", plugin="y"), p.Unavailable("x")]), 3),
    (KeyboardInterrupt(), 130),
    (ValueError("a bug"), 1),
    (OSError("disk"), 1),
]


@pytest.mark.parametrize(("error", "code"), CODES, ids=lambda one: type(one).__name__)
def test_error_has_its_code(error: BaseException, code: int) -> None:
    assert exit_code(error) == code


def test_no_error_is_left_out() -> None:
    def tree(parent: type[p.PointsmanError]) -> Iterator[type[p.PointsmanError]]:
        for child in parent.__subclasses__():
            if child.__module__ == p.PointsmanError.__module__:
                yield child
                yield from tree(child)

    assert set(tree(p.PointsmanError)) <= {type(error) for error, _ in CODES}


def test_every_code_has_a_place_among_the_gravest() -> None:
    assert set(GRAVEST_FIRST) == set(Exit)
    assert gravest([]) is Exit.OK
    assert gravest([Exit.OK, Exit.UPSTREAM, Exit.LIMIT, Exit.TIMEOUT]) is Exit.LIMIT
