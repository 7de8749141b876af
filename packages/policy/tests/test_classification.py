"""What is asked, told from its text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman import ChatRequest, Message, ToolCall, assistant, system, tool_result, user
from pointsman_policy import TASKS, Classification, classify

DATA = json.loads(Path(__file__).with_name("prompts.json").read_text(encoding="utf-8"))
ADD, SHOP, TRACE, DIFF, STORY = (DATA["snippets"][name] for name in ("ADD", "SHOP", "TRACE", "DIFF", "STORY"))
PROMPTS: list[tuple[str, str]] = [(text.format(**DATA["snippets"]), label) for text, label in DATA["prompts"]]
"""With the task that a person would say each asks for. None is in the training rows."""
CHARACTERS = st.characters(exclude_categories=())  # lone surrogates and NUL among them
PIECES = st.sampled_from(
    ["```", "```diff\n", "\n", "\r", "    ", "def f(x):", "$x$", "Error: ", "- a", "1. b", "?", "请", "é"]
)
TEXTS = st.lists(st.text(CHARACTERS, max_size=40) | PIECES | st.sampled_from([SHOP, TRACE, DIFF, STORY])).map("".join)
MESSAGES = st.one_of(
    TEXTS.map(user),
    TEXTS.map(system),
    TEXTS.map(assistant),
    TEXTS.map(lambda text: tool_result("1", text)),
    st.just(assistant("", tool_calls=[ToolCall("1", "search", "{}")])),
    st.just(Message("user")),
)


def check(found: Classification) -> None:
    assert tuple(found.probabilities) == TASKS
    assert abs(sum(found.probabilities.values()) - 1) < 1e-9
    assert all(0 <= probability <= 1 for probability in found.probabilities.values())
    assert found.confidence == max(found.probabilities.values())
    assert found.task in ("general_qa", max(found.probabilities, key=lambda task: found.probabilities[task]))
    assert 0 <= found.difficulty <= 1
    assert found.language == "other" or len(found.language) == 2


@given(TEXTS)
@example("")
@example("\ud800```\x00")
@example("<code>")
def test_any_text_has_a_task_and_a_text_and_its_request_have_the_same(text: str) -> None:
    found = classify(text)
    check(found)
    assert found == classify(ChatRequest(messages=(user(text),)))


@given(st.lists(MESSAGES, max_size=12))
def test_any_conversation_has_a_task(messages: list[Message]) -> None:
    check(classify(ChatRequest(messages=tuple(messages))))


@given(TEXTS, st.text(" \n\t\r\f", max_size=5000), st.text(" \n\t\r\f", max_size=5000))
def test_white_space_around_a_text_says_nothing(text: str, before: str, after: str) -> None:
    assert classify(before + text + after) == classify(text)


@pytest.mark.parametrize("text", ["a", "\n", "word ", "x = f(y);\n", "```\n", "aA_", "(", "$", "é", "请"])
def test_ten_megabytes_are_a_text_like_any(text: str) -> None:
    check(classify(text * (10_000_000 // len(text))))


def test_nine_of_ten_prompts_are_taken_for_what_a_person_takes_them_for() -> None:
    wrong = [f"{label}, not {found}: {text[:60]}" for text, label in PROMPTS if (found := classify(text).task) != label]
    assert len(wrong) <= len(PROMPTS) // 10, "\n".join(wrong)
    assert {label for _, label in PROMPTS} == set(TASKS)


@pytest.mark.parametrize(
    ("said", "task"),
    [
        ([f"What does this class do?\n{SHOP}", "now write tests for it"], "test_writing"),
        ([f"What does this class do?\n{SHOP}", "Can you make it shorter and cleaner?"], "code_refactoring"),
        ([f"O que faz este código?\n{SHOP}", "agora escreva testes unitários para ele"], "test_writing"),
        (["Write a function in Go that parses dates", "continue"], "code_generation"),
        (["Write a function in Go that parses dates", "and in Rust?"], "code_generation"),
        ([f"Summarize this.\n{STORY}", "shorter, please"], "summarization_extraction"),
        ([f"{TRACE}\nWhy?", "thanks! What is the capital of Peru?"], "general_qa"),
    ],
)
def test_the_conversation_counts_and_its_last_message_most(said: list[str], task: str) -> None:
    messages = [message for text in said for message in (user(text), assistant("Here you are."))][:-1]
    assert classify(ChatRequest(messages=tuple(messages))).task == task


def test_tools_that_were_used_make_work_for_agents_more_likely() -> None:
    asked = user("Look whether the report is there and send it to Ann")
    used = assistant("", tool_calls=[ToolCall("1", "list_files", "{}")])
    plain = classify(ChatRequest(messages=(asked, assistant("It is."), user("and the other one?"))))
    found = classify(
        ChatRequest(messages=(asked, used, tool_result("1", "a"), assistant("It is."), user("and the other one?")))
    )
    assert found.probabilities["agentic"] > plain.probabilities["agentic"]


def test_what_says_nothing_is_a_general_question_without_confidence() -> None:
    for text in ("", "?", "\x00", "..."):
        assert classify(text).task == "general_qa"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is the weather like in the north?", "en"),
        ("Qual é a capital do Brasil e por que não é o Rio?", "pt"),
        ("escreva uma funcao que nao usa recursao", "pt"),
        ("¿Cuál es la capital de España y por qué?", "es"),
        ("Pourquoi est-ce que le ciel est bleu ?", "fr"),
        ("Warum ist der Himmel nicht grün?", "de"),
        ("Perché il cielo è blu?", "it"),
        ("почему небо голубое?", "ru"),
        ("为什么天空是蓝色的？", "zh"),
        ("空はなぜ青いのですか？", "ja"),
        ("하늘은 왜 파란가요?", "ko"),
        (f"Explique este código:\n```python\n{SHOP}```", "pt"),
        (f"Was macht diese Funktion?\n{ADD}", "de"),
        ("ok", "en"),
        ("ཨོཾ་མ་ཎི་པདྨེ་ཧཱུྃ", "other"),
    ],
)
def test_the_language_is_that_of_the_prose(text: str, language: str) -> None:
    assert classify(text).language == language
