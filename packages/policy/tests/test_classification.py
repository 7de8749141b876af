"""What is asked, told from its text."""

from __future__ import annotations

import pytest

from pointsman import ChatRequest, user
from pointsman_policy import TASKS, classify


@pytest.mark.parametrize("text", ["", "Hello", "def f(x):\n    return x\n"])
def test_a_text_and_the_request_that_asks_it_are_the_same(text: str) -> None:
    found = classify(text)
    assert found == classify(ChatRequest(messages=(user(text),)))
    assert tuple(found.probabilities) == TASKS
