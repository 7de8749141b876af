"""A request as a person sees it: prose apart from what was pasted, and signs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import ChatRequest, assistant, user
from pointsman_policy import pasted, reading
from pointsman_policy.reading import read

PASTED: dict[str, str] = json.loads(Path(__file__).with_name("prompts.json").read_text(encoding="utf-8"))["snippets"]
ADD, SHOP, TRACE, DIFF, STORY = (PASTED[name] for name in ("ADD", "SHOP", "TRACE", "DIFF", "STORY"))


@pytest.mark.parametrize(
    "code", [ADD, SHOP, "SELECT name\nFROM people\nWHERE age > 3", "<div>\n  <p>Hi</p>\n</div>", "x = 1;"]
)
@pytest.mark.parametrize("fence", [("", ""), ("```\n", "\n```"), ("```python\n", "\n```")])
def test_code_is_no_prose_with_and_without_a_fence(code: str, fence: tuple[str, str]) -> None:
    found = read(f"Please look at this\n\n{fence[0]}{code}{fence[1]}")
    assert found.words == ("please", "look", "at", "this", "<code>")
    assert {"code", "code last"} <= found.signs
    assert [line.strip() for line in found.code.splitlines()] == [
        line.strip() for line in code.splitlines() if line.strip()
    ]


@pytest.mark.parametrize(
    "prose",
    [
        STORY,
        "For example, if you return home late, what do you do?",
        "import the data from the file and print what is in it",
        "I have a class of thirty pupils: they are tired.",
        "- milk and bread\n- two eggs\n- some butter from the shop",
        "While I was away, my neighbour let the cat in (again).",
        'Text: "It is what it is."',
        "Se for possível, importe os dados e retorne para mim amanhã.",
    ],
)
def test_prose_is_no_code(prose: str) -> None:
    assert "code" not in read(prose).signs


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        (TRACE, "traceback"),
        ("java.lang.NullPointerException: x\n\tat com.example.Main.run(Main.java:3)", "traceback"),
        ("2026-01-30 03:12:44.118 ERROR [worker-7] offset commit failed", "traceback"),
        (DIFF, "diff"),
        ("```diff\n-a\n+b\n```", "diff"),
        ("1. one\n2. two", "list"),
        (STORY, "passage"),
        ("What is $x^2 + 1$?", "math"),
        ("Why is the sky blue?", "question last"),
        ("Is it? Tell me more about it.", "question"),
        ("A: hello there\nB: good day\nA: bye now", "dialogue"),
        ("def f(x):\n    '''Twice x.'''\n    pass", "stub"),
        ("def f(x):\n    return x", "only code"),
        (f"{ADD}\nwhat is this", "code first"),
    ],
)
def test_what_was_written_bears_its_sign(text: str, sign: str) -> None:
    assert sign in read(text).signs


def test_names_files_numbers_and_addresses_stand_for_themselves() -> None:
    found = read("Move foo_bar and getValue from src/a.py to https://example.org/x, 3 times, as $x^2$")
    assert [word for word in found.words if word[0] == "<"] == [
        "<name>",
        "<name>",
        "<file>",
        "<url>",
        "<number>",
        "<math>",
    ]


def test_sentences_begin_where_they_begin() -> None:
    found = read("Here is my code. Write tests.\nBe quick")
    assert [found.words[start] for start in found.starts] == ["here", "write", "be"]


def test_what_was_pasted_before_is_remembered_and_what_was_asked() -> None:
    found = read(ChatRequest(messages=(user(f"Explain\n{SHOP}"), assistant("It sums."), user("Now test it"))))
    assert found.words == ("now", "test", "it")
    assert "earlier code" in found.signs
    assert found.before is not None
    assert found.before.words == ("explain", "<code>")


@given(st.text(min_size=1, max_size=50), st.integers(1, 3))
def test_however_long_a_text_is_so_much_of_it_is_read_and_no_more(piece: str, more: int) -> None:
    """Counted, since time depends on the machine: what was not read cannot have cost anything."""
    size = 200_000 * more
    found = read((piece * (size // len(piece) + 1))[:size])
    assert len(found.code) + found.prose_characters <= 2 * (pasted.HEAD + pasted.TAIL) * len("<code>")
    assert len(found.words) <= 2 * (reading.FIRST + reading.LAST)


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=40))
def test_what_stands_in_the_middle_of_a_long_text_changes_nothing(head: str, tail: str, middle: str) -> None:
    head, tail = (
        f"a{head * 2000}"[: pasted.HEAD].ljust(pasted.HEAD),
        f"{tail * 2000}b"[-pasted.TAIL :].rjust(pasted.TAIL),
    )
    one, other = read(f"{head}between{tail}"), read(f"{head}{middle}{tail}{middle}{tail}")
    assert (one.words, one.signs, one.code, one.language) == (other.words, other.signs, other.code, other.language)


@pytest.mark.parametrize("line", [f"{' ' * 100_000}b", f"{chr(9) * 100_000}b", "12:34:56 " * 20_000 + "b"])
def test_a_line_takes_as_long_as_it_is(line: str) -> None:
    """Patterns that go back and forth would take hours here; of a line as long as is read, a tenth of a second."""
    assert pasted.divide(f"a\n{line}", len(line) + 2, 0).prose == ["a", line]


@given(st.text(max_size=40))
def test_of_what_was_said_before_only_the_ends_are_looked_at(middle: str) -> None:
    """Else a conversation would cost as much as all of its messages."""
    end = "x = f(y);\n" * (reading.GLANCE // 10)
    asked, answers = user("Tell me more"), [assistant(f"{end}{between}{end}") for between in ("between", middle)]
    one, other = (read(ChatRequest(messages=(user("Why?"), answer, asked))) for answer in answers)
    assert one == other
    assert "earlier code" in one.signs
