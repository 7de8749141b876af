"""The tree of errors: each says how much is broken, survives copying, and can be caught one by one in a group."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import (
    AllTargetsFailed,
    AuthFailed,
    ConfigError,
    InvalidRequest,
    ModelGone,
    NoCandidates,
    PluginError,
    PointsmanError,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    RequestError,
    Scope,
    Target,
    Unavailable,
    error_for_status,
    errors,
)

TARGET = Target("acme", "acme-1")


def kinds(kind: type[PointsmanError] = PointsmanError) -> Iterator[type[PointsmanError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from kinds(below)


ALL = sorted(set(kinds()), key=lambda kind: kind.__name__)


def make(kind: type[PointsmanError], message: str = "it broke", **details: object) -> PointsmanError:
    if issubclass(kind, AllTargetsFailed):
        return kind(message, [RateLimited("wait", target=TARGET, retry_at=3.5), Unavailable("gone")], **details)
    if issubclass(kind, PluginError):
        return kind(message, plugin="acme", **details)
    return kind(message, **details)


@pytest.mark.parametrize("kind", ALL)
def test_every_kind_says_what_is_broken_and_whether_to_retry(kind: type[PointsmanError]) -> None:
    error = make(kind)
    assert error.scope in Scope
    assert isinstance(error.retryable, bool)
    assert inspect.getdoc(kind), "an error without a docstring helps nobody"
    assert not (error.retryable and error.scope is Scope.REQUEST), "a bad request does not get better"


def test_the_whole_tree_is_drawn_in_the_module() -> None:
    drawn = errors.__doc__ or ""
    assert [kind.__name__ for kind in ALL if kind.__name__ not in drawn] == []


@pytest.mark.parametrize("roundtrip", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("kind", ALL)
def test_survives_pickling_and_copying(
    kind: type[PointsmanError], roundtrip: Callable[[PointsmanError], PointsmanError]
) -> None:
    error = make(
        kind, target=TARGET, status=429, request_id="r-1", retry_at=12.5, partial="half an", scope=Scope.TARGET
    )
    error.retryable = True
    error.add_note("seen in a test")
    again = roundtrip(error)
    assert type(again) is kind
    assert str(again) == str(error)
    assert set(vars(again)) == set(vars(error))
    for name in ("target", "provider", "status", "request_id", "retry_at", "partial", "scope", "retryable", "message"):
        assert getattr(again, name) == getattr(error, name), name
    assert again.__notes__ == ["seen in a test"]
    if isinstance(again, AllTargetsFailed):
        assert [str(one) for one in again.exceptions] == ["acme/acme-1: wait", "gone"]
        assert isinstance(again.exceptions[0], RateLimited)
        assert again.exceptions[0].retry_at == 3.5
    if isinstance(again, PluginError):
        assert again.plugin == "acme"


@pytest.mark.parametrize(("kind", "fact"), [(ConfigError, "missing"), (NoCandidates, "none_ready")])
def test_facts_of_its_own_survive_too(kind: Callable[..., PointsmanError], fact: str) -> None:
    assert getattr(pickle.loads(pickle.dumps(kind("no key", **{fact: True}))), fact) is True


@given(status=st.integers(100, 599), message=st.text(max_size=20))
def test_every_status_is_an_error_of_ours(status: int, message: str) -> None:
    error = error_for_status(status, message, provider="acme")
    assert isinstance(error, RequestError | ProviderError)
    assert error.status == status
    assert error.provider == "acme"
    assert error.message == message or (not message and str(status) in error.message)
    if 400 <= status < 500 and not isinstance(error, ProviderError):
        assert not error.retryable
    if status >= 500:
        assert error.retryable
        assert error.scope is Scope.TARGET
    if status < 400:
        assert not error.retryable, "asking again brings the same redirect"


def test_statuses_with_a_meaning() -> None:
    meant = {
        400: InvalidRequest,
        401: AuthFailed,
        402: QuotaExhausted,
        403: AuthFailed,
        404: ModelGone,
        408: Unavailable,
        413: InvalidRequest,
        422: InvalidRequest,
        429: RateLimited,
        500: Unavailable,
        503: Unavailable,
        529: Unavailable,
    }
    assert {status: type(error_for_status(status)) for status in meant} == meant


def test_a_group_is_caught_by_kind_and_keeps_what_it_carries() -> None:
    caught: list[AllTargetsFailed] = []
    whole = AllTargetsFailed("2 attempts failed", [RateLimited("wait"), Unavailable("gone")], partial="half")
    try:
        try:
            raise whole
        except* RateLimited as group:
            caught.append(group)  # type: ignore[arg-type]
    except AllTargetsFailed as rest:
        caught.append(rest)
    assert [[type(one) for one in group.exceptions] for group in caught] == [[RateLimited], [Unavailable]]
    assert [group.partial for group in caught] == ["half", "half"]
    assert isinstance(caught[0], AllTargetsFailed)
    assert not hasattr(whole, "__notes__")


def test_the_sentence_says_where_and_with_which_answer() -> None:
    error = RateLimited("wait", target=TARGET, status=429, request_id="r-1")
    assert str(error) == "acme/acme-1: wait (status 429, request id r-1)"
    assert error.provider == "acme"
    assert str(PluginError("it sleeps", plugin="redact", provider="acme")) == "plugin redact: it sleeps"
    assert str(AllTargetsFailed("2 attempts failed", [error, Unavailable("gone")])) == (
        "2 attempts failed: acme/acme-1: wait (status 429, request id r-1); then gone"
    )
