"""The first sketch's choices."""

from __future__ import annotations

import pytest

from pointsman import Candidate, ChatRequest, Priority, Target, assistant, system, user
from pointsman_policy.keywords import FALLBACK, Keywords


def field(*providers: str) -> list[Candidate]:
    return [Candidate(target=Target(name, "m"), capabilities=frozenset()) for name in providers]


def providers(text: str, priority: Priority = "balanced", *, ready: tuple[str, ...] = FALLBACK[::-1]) -> list[str]:
    request = ChatRequest(messages=(user(text),), priority=priority)
    return [target.provider for target in Keywords().rank(request, field(*ready), 0.0, 0).order]


@pytest.mark.parametrize(
    ("text", "priority", "first"),
    [
        ("Generate a parser", "balanced", "blaxel"),
        ("Write a sort in Go", "quality", "blaxel"),
        ("CREATE TABLE for users, please", "speed", "blaxel"),
        ("A function that adds", "cost", "blaxel"),
        ("A class for points", "balanced", "blaxel"),
        ("Explain closures", "balanced", "sambanova"),
        ("What is a monad?", "quality", "sambanova"),
        ("How does TCP work?", "cost", "sambanova"),
        ("Review this diff", "balanced", "sambanova"),
        ("Explain this function", "balanced", "blaxel"),  # Words of generation are looked for first.
        ("Translate this", "balanced", "hf"),
        ("Translate this", "speed", "sambanova"),
        ("Translate this", "quality", "modal"),
        ("Translate this", "cost", "hf"),
        ("", "balanced", "hf"),
    ],
)
def test_the_choice_of_the_first_sketch(text: str, priority: Priority, first: str) -> None:
    assert providers(text, priority)[0] == first
    assert sorted(providers(text, priority)) == sorted(FALLBACK)


@pytest.mark.parametrize("text", ["Write a sort", "Explain it", "Hello"])
@pytest.mark.parametrize("priority", ["balanced", "speed", "quality"])
def test_whoever_is_not_ready_falls_to_the_next(text: str, priority: Priority) -> None:
    left = FALLBACK
    while left:
        order = providers(text, priority, ready=left)
        assert sorted(order) == sorted(left)
        left = tuple(name for name in left if name != order[0])
        assert providers(text, priority, ready=left) == order[1:]


def test_strangers_come_last_as_they_are_listed() -> None:
    assert providers("Hello", ready=("zeta", "ollama", "acme")) == ["ollama", "zeta", "acme"]


def test_the_last_question_counts_and_not_what_was_answered() -> None:
    messages = (system("Write well"), user("Generate it"), assistant("class A: ..."), user("Thank you"))
    assert Keywords().rank(ChatRequest(messages=messages), field(*FALLBACK), 0.0, 0).order[0].provider == "hf"


def test_a_task_that_the_request_names_goes_before_words() -> None:
    request = ChatRequest(messages=(user("Write it"),), task="translation")
    assert Keywords().rank(request, field(*FALLBACK), 0.0, 0).order[0].provider == "hf"


def test_whoever_cannot_be_asked_now_comes_after_the_others() -> None:
    blaxel, other = field("blaxel", "ollama")
    closed = Candidate(target=blaxel.target, capabilities=frozenset(), open_at=5.0)
    decision = Keywords().rank(ChatRequest(messages=(user("Write"),)), [closed, other], 1.0, 0)
    assert decision.order == (other.target, blaxel.target)
    assert "that is for blaxel, which cannot be asked now" in decision.reason
