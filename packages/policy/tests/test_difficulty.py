"""How hard a prompt is, told from its text."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pointsman_policy
from pointsman import ChatRequest, assistant, user
from pointsman_policy import classify
from pointsman_policy.difficulty import (
    FOLLOW_UP,
    HEAD,
    MEASURES,
    TAIL,
    TYPICAL,
    Model,
    difficulty_of,
    measured,
    model,
    read_model,
    terms_of,
    tokens_of,
)

EXAM = """The figure shows a block on a frictionless incline of angle 30 degrees. Which of the following is NOT true
of its acceleration, if the angle is doubled and the mass is halved?
A. It rises by the factor of the square root of 3.
B. It does not depend on the mass, except through friction.
C. It equals the acceleration of free fall.
D. It rises, but by less than the factor 2.
Answer:"""
PROOF = """Prove that every finite integral domain is a field, and give a counterexample, with all details, for the
infinite case; then say which of the steps of your proof fails there, and why."""
APPLES = """Tom sells 3 apples for 2 dollars, gives a third of what he earns to Ann, who had twice as much as he before,
and they then buy, for 15% less than the price of 40 dollars, a basket together. If Ann pays 5 dollars more than Tom,
how much did Tom have before, and how much is left?"""
QUEUE = """Design a lock-free queue in C++ for many producers and consumers; prove that it is linearizable, say which
memory orders each atomic operation needs and why, and how nodes are reclaimed without hazard pointers."""

texts = st.one_of(st.text(max_size=300), st.text("aAbcdefg 0123.,?!()\n\"'{}=$\\", max_size=300))


@given(text=texts)
def test_any_text_has_a_chance_and_always_the_same(text: str) -> None:
    found = difficulty_of(text)
    assert 0 <= found <= 1
    assert difficulty_of(text) == found


@given(text=texts, before=st.text(" \t\r\n", max_size=5), after=st.text(" \t\r\n", max_size=5))
def test_white_space_around_a_text_says_nothing(text: str, before: str, after: str) -> None:
    assert difficulty_of(f"{before}{text}{after}") == difficulty_of(text)


@pytest.mark.parametrize(
    "text", ["", " ", "\0", "\ud800", "?" * 50_000, "9" * 50_000, "\n" * 50_000, "a " * 50_000, "字" * 9]
)
def test_an_odd_text_has_a_chance_too(text: str) -> None:
    assert 0 < difficulty_of(text) < 1


@pytest.mark.parametrize(
    ("easy", "hard"),
    [
        ("2+2?", EXAM),
        ("2+2?", PROOF),
        ("Tom has 3 apples and buys 2 more. How many apples does he have?", APPLES),
        ("Hi", QUEUE),
    ],
)
def test_a_harder_one_is_harder(easy: str, hard: str) -> None:
    assert difficulty_of(easy) < difficulty_of(hard)


def test_what_is_asked_says_how_hard_it_is() -> None:
    assert classify(EXAM).difficulty == difficulty_of(EXAM) > TYPICAL > classify("Hi").difficulty


def test_a_conversation_is_judged_by_its_last_question() -> None:
    asked = ChatRequest(messages=(user("Hello"), assistant("Hello. " + EXAM), user(EXAM)))
    assert difficulty_of(asked) == difficulty_of(EXAM)


def test_a_follow_up_of_a_few_words_is_as_hard_as_what_it_follows() -> None:
    followed = "And if it is tripled?"
    assert len(followed) < FOLLOW_UP
    asked = ChatRequest(messages=(user(EXAM), assistant("C"), user(followed)))
    assert difficulty_of(asked) == difficulty_of(f"{EXAM}\n{followed}")


def test_a_request_without_a_person_has_a_chance() -> None:
    assert difficulty_of(ChatRequest(messages=(assistant("Hello"),))) == difficulty_of("")


def test_the_middle_of_a_long_text_is_not_read_but_its_length_is_known() -> None:
    begins, ends = "x" * HEAD, "y" * TAIL
    assert difficulty_of(f"{begins}{'a' * 999}{ends}") == difficulty_of(f"{begins}{'?' * 999}{ends}")
    assert difficulty_of("a " * 2_000) != difficulty_of("a " * 20_000)


def test_each_measure_has_a_name() -> None:
    assert len(measured(EXAM, tokens_of(EXAM), len(EXAM))) == len(MEASURES) == len(set(MEASURES)) == len(model().means)


def test_terms_are_words_to_their_sixth_letter_signs_and_pairs() -> None:
    assert terms_of(tokens_of("Integrals of 42?")) == {
        *("integr", "of", "4", "2", "?"),
        *("integr of", "of 4", "4 2", "2 ?"),
    }


@given(text=st.text(st.characters(max_codepoint=127), max_size=80))
def test_ascii_is_taken_apart_as_any_text_is(text: str) -> None:
    assert tokens_of(text) == tokens_of(f"{text}\né")[:-2]


def test_the_file_of_the_model_is_small_and_holds_what_it_says() -> None:
    content = (files(pointsman_policy) / "difficulty.json").read_bytes()
    assert len(content) <= 200_000
    found = model()
    assert len(found.gate.constants) == len(found.experts) + 1 > 2  # the last vote is for no kind
    assert all(expert.floor < expert.ceiling for expert in found.experts)
    assert found.gate.known <= found.gate.terms.keys()
    assert not any("routerarena" in expert.kind for expert in found.experts)  # its prompts are for evaluation only
    assert 1 / (1 + math.exp(-found.offset)) == pytest.approx(TYPICAL, abs=0.01)


def small_model(floor: float, ceiling: float, other: int = 0) -> Model:
    """One kind, whose votes are 8 times the share of `select`; its expert says 4 log odds more. `join` is another's."""
    zeros = [0.0] * len(MEASURES)
    kind = {
        "kind": "sql",
        "floor": floor,
        "ceiling": ceiling,
        "level": 4,
        "measures": [],
        "terms": "",
        "weights": [0, ""],
    }
    kind |= {"measures": [], "terms": "", "weights": [0, ""]}
    votes = [[0, 1, b64encode(bytes([8, 0])).decode()], [0, 1, b64encode(bytes([0, other])).decode()]]
    return read_model(
        json.dumps(
            {
                "means": zeros,
                "scales": zeros,
                "base": zeros,
                "offset": 0,
                "gated": "select\tjoin",
                "votes": votes,
                "kinds": [kind],
            }
        )
    )


@pytest.mark.parametrize(
    ("text", "limits", "odds"),
    [
        ("select", (2, 6), 4),  # the vote is 8
        ("select", (9, 11), 0),
        ("select", (6, 10), 2),
        ("select join", (4, 5), 2.475),  # three terms: 8 / sqrt(3) is 0.62 of the way
        ("", (1, 2), 0),
    ],
)
def test_an_expert_is_trusted_as_far_as_its_kinds_vote_is_usual(
    text: str, limits: tuple[float, float], odds: float
) -> None:
    found = small_model(*limits)(text)
    assert math.log(found / (1 - found)) == pytest.approx(odds, abs=0.01)


def test_whoever_is_outvoted_is_not_asked() -> None:
    assert small_model(1, 2, other=9)("select join") == 0.5
    assert small_model(1, 2, other=7)("select join") > 0.9
