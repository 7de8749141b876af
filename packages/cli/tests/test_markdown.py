"""Markdown is shown block by block: nothing of it is lost, and nothing is drawn twice but the block that flows."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from pointsman_cli.markdown.blocks import Block, Splitter
from pointsman_cli.markdown.render import Renderer
from pointsman_cli.markdown.tail import Tail
from pointsman_cli.markdown.view import MarkdownView
from pointsman_cli.terminal import note

LINES = [
    "", "", "   ", "one two", "- a b", "* c", "1. d", "2) e", "  - f", "    code", "# G h", "| i | j |", "|---|---|",
    "```", "```py", "````", "~~~", "  ```", "> q", "---", "`k` **l**", "- ```sh", "m  ", "List<String>", "雪 ☃ 雪雪",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(LINES), max_size=14).map("\n".join)


@st.composite
def pieces(draw: st.DrawFn) -> list[str]:
    """A text, cut anywhere."""
    text = draw(TEXTS)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def split(pieces: list[str]) -> list[Block]:
    splitter = Splitter()
    return [block for piece in pieces for block in splitter.feed(piece)] + splitter.end()


# Where it is cut ----------------------------------------------------------------------------------------------------


@pytest.mark.hypothesis
@given(pieces())
def test_blocks_joined_are_the_text_however_it_came(pieces: list[str]) -> None:
    blocks = split(pieces)
    assert "".join(block.text for block in blocks) == "".join(pieces)
    assert blocks == split(["".join(pieces)])
    assert all(block.text for block in blocks)


@pytest.mark.hypothesis
@given(pieces())
def test_what_belongs_to_no_block_yet_is_the_tail(pieces: list[str]) -> None:
    splitter, done, fed = Splitter(), "", ""
    for piece in pieces:
        done += "".join(block.text for block in splitter.feed(piece))
        fed += piece
        assert done + splitter.tail == fed


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("a\n\nb", ["a\n\n", "b"]),
        ("a\n\n\nb\n", ["a\n\n", "\nb\n"]),
        ("# T\ntext\n", ["# T\ntext\n"]),
        ("```py\na\n\nb\n```\nc", ["```py\na\n\nb\n```\n", "c"]),
        ("intro:\n```\na\n```\n", ["intro:\n", "```\na\n```\n"]),
        ("````\n```\n\n````\nc", ["````\n```\n\n````\n", "c"]),
        ("~~~\n```\n\n~~~\nc", ["~~~\n```\n\n~~~\n", "c"]),
        ("   ```\na\n\nb\n ```\nc", ["   ```\na\n\nb\n ```\n", "c"]),
        ("```\na\n\nb", ["```\na\n\nb"]),
        ("```inline``` is no fence\n\nb", ["```inline``` is no fence\n\n", "b"]),
        ("```\na ```\n\nb", ["```\na ```\n\nb"]),
        ("- a\n- b\n  - c\n- d\n", ["- a\n", "- b\n  - c\n", "- d\n"]),
        ("1. a\n\n   b\n\n2. c\n\nd", ["1. a\n\n   b\n\n", "2. c\n\n", "d"]),
        ("1. a\n   ```\n\n   x\n   ```\n2. b", ["1. a\n   ```\n\n   x\n   ```\n", "2. b"]),
        ("steps:\n1. a\n2. b", ["steps:\n", "1. a\n", "2. b"]),
        ("it was in\n2019. That year", ["it was in\n2019. That year"]),
        ("| a |\n|---|\n| 1 |\n\nb", ["| a |\n|---|\n| 1 |\n\n", "b"]),
        ("", []),
        ("\n\n", ["\n\n"]),
    ],
)
def test_blocks_end_where_a_reader_sees_them_end(text: str, blocks: list[str]) -> None:
    assert [block.text for block in split([text])] == blocks


# What is on the screen ----------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"\x1b\[(\d*)([A-Z])|\x1b\[[0-9;]*m|.", re.DOTALL)


class Glass:
    """A terminal: what it shows, and what has gone from it at the top. It knows what we write, and nothing else."""

    def __init__(self, columns: int, height: int) -> None:
        self.columns, self.height = columns, height
        self.rows: list[list[str]] = [[]]
        self.broken: set[int] = set()
        """The rows that go on in the next, because we wrote a line that is longer."""
        self.row = self.column = 0
        self.written = 0

    def write(self, text: str) -> None:
        self.written += len(text)
        for token in _TOKEN.finditer(text):
            count = int(token[1] or 1)
            match "esc " + token[2] if token[2] else token[0]:
                case "esc A":
                    top = max(len(self.rows) - self.height, 0)
                    assert self.row - count >= top, "above the screen"
                    self.row -= count
                case "esc D":
                    assert self.column >= count
                    self.column -= count
                case "esc J":
                    del self.rows[self.row + 1 :]
                    self.broken = {row for row in self.broken if row < self.row}
                    del self.rows[self.row][self.column :]
                case "esc K":
                    del self.rows[self.row][self.column :]
                case "\r":
                    self.column = 0
                case "\n":
                    self.row, self.column = self.row + 1, 0
                    if self.row == len(self.rows):
                        self.rows.append([])
                case style if style.startswith("\x1b"):
                    assert style.endswith("m"), style
                case letter:
                    self._letter(letter)

    def _letter(self, letter: str) -> None:
        wide = cell_len(letter)
        if self.column + wide > self.columns:  # As a terminal breaks a line that we have not broken.
            self.broken.add(self.row)
            self.write("\n")
        row = self.rows[self.row]
        row += [" "] * (self.column - len(row))
        row[self.column : self.column + wide] = [letter, *[""] * (wide - 1)]
        self.column += wide

    @property
    def text(self) -> str:
        rows = [
            "".join(row) if number in self.broken else "".join(row).rstrip() + "\n"
            for number, row in enumerate(self.rows)
        ]
        return "".join(rows).rstrip("\n")


@contextmanager
def window(columns: int, height: int) -> Generator[None]:
    with mock.patch.object(shutil, "get_terminal_size", return_value=os.terminal_size((columns, height))):
        yield


def shown(pieces: list[str], columns: int = 80, height: int = 500, *, leave: bool = False) -> str:
    glass = Glass(columns, height)
    with window(columns, height):
        view = MarkdownView(glass.write)
        for piece in pieces:
            view.put(piece)
        view.end(leave=leave)
    return glass.text


@pytest.mark.hypothesis
@given(pieces(), st.integers(40, 90))
@example(["   \n```"], 40)
def test_screen_is_the_same_however_the_text_came(pieces: list[str], columns: int) -> None:
    assert shown(pieces, columns) == shown(["".join(pieces)], columns)


WORDS = st.lists(st.sampled_from(["\n", "\n\n", " ", "- ", "1. ", "```\n", "\n```\n", "  ", "# ", "> "]), max_size=60)


@pytest.mark.hypothesis
@given(WORDS, st.integers(1, 9), st.integers(10, 14))
@example(["```\n", *["\n"] * 30, "\n```\n"], 3, 10)
@example([" "] * 60, 200, 10)
@example(["- ", *["\n  "] * 30, "\n- ", "\n"], 2, 10)
@example(["- ", *[" "] * 59, "\n- ", "\n"], 50, 10)
def test_each_word_is_on_the_screen_once_also_of_blocks_that_are_higher(
    between: list[str], size: int, high: int
) -> None:
    words = [f"w{number}x" + "y" * (number % 7) for number in range(len(between) + 1)]
    text = words[0] + "".join(gap + word for gap, word in zip(between, words[1:], strict=True))
    chunks = [text[place : place + size] for place in range(0, len(text), size)]
    assert re.findall(r"w\d+xy*", shown(chunks, 40, high)) == words


@pytest.mark.hypothesis
@given(
    st.lists(st.sampled_from(["a", "bb ", "\n", "  ", "x" * 25, "雪", "雪雪 ", "-"]), max_size=40), st.integers(6, 30)
)
def test_tail_knows_what_it_has_written_and_takes_all_of_it_back(pieces: list[str], columns: int) -> None:
    glass = Glass(columns + 1, 500)
    glass.write("above\n")
    tail = Tail(glass.write, columns, cell_len)
    for piece in pieces:
        tail.put(piece)
        assert ["".join(row).rstrip() for row in glass.rows[1:]] == [row.rstrip() for row in tail.rows]
        assert all(cell_len(row) <= columns for row in tail.rows)
    tail.erase()
    assert glass.text == "above"


@pytest.mark.parametrize(
    ("text", "screen"),
    [
        ("**Hi** `you`", "Hi you"),
        ("- a\n- b\n\nc\n", " • a\n • b\n\nc"),
        ("1. a\n2. b\n", " 1 a\n 2 b"),
        ("# T\n\ntext", "T\n\ntext"),
        ("```py\nx = 1\n\n\ny\n```\nend", "```py\nx = 1\n\n\ny\n```\nend"),
        ("```\nunclosed\n", "```\nunclosed"),
        ("List<String> and <b>", "List<String> and <b>"),
        ("[here](http://there)", "here (http://there)"),
        ("![p](http://there/p.png)", "!p (http://there/p.png)"),
        ("[1]: http://there", "[1]: http://there"),
        ("\n\ntext", "text"),
        ("#", "#"),
        ("a\x1b[31mb \u202e", "a\\x1b[31mb \\u202e"),
    ],
)
def test_what_a_reader_sees(text: str, screen: str) -> None:
    assert shown([text]) == screen
    assert shown(list(text)) == screen


def test_answer_that_was_stopped_stays_as_it_is() -> None:
    assert shown(["**Hi** th"], leave=True) == "**Hi** th"
    assert shown(["one **two**\n\n```py\nx = 1\n"], leave=True) == "one two\n\n```py\nx = 1"


def test_window_that_changes_leaves_what_stands() -> None:
    glass = Glass(80, 24)
    with window(80, 24):
        view = MarkdownView(glass.write)
        view.put("one **two**")
    with window(60, 24):
        view.put(" three\n\n**four**")
        view.end()
    assert glass.text == "one **two** three\n\nfour"


def test_note_in_the_middle_is_not_erased(capsys: pytest.CaptureFixture[str]) -> None:
    glass = Glass(80, 24)
    with window(80, 24):
        view = MarkdownView(glass.write)
        view.put("one **two**")
        note("a warning")
        glass.write(capsys.readouterr().err)
        view.put(" three\n\n**four**")
        view.end()
    assert glass.text == "one **two**a warning\n three\n\nfour"


def test_several_answers_go_through_one_view() -> None:
    glass = Glass(80, 24)
    with window(80, 24):
        view = MarkdownView(glass.write)
        for _ in range(2):
            view.put("a\n\nb\n\n")
            view.end()
    assert glass.text == "a\n\nb\na\n\nb"


def test_code_keeps_its_lines_whole_so_that_they_can_be_copied() -> None:
    with mock.patch.dict(os.environ, {"TERM": "xterm-256color"}):
        lines = Renderer(40).code("```py\n" + "x" * 100 + "\n```")
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines] == ["```py", "x" * 100, "```"]


def test_long_code_is_shown_once_and_whole() -> None:
    code = "```py\n" + "".join(f"line_{number} = 1\n" for number in range(500)) + "```"
    assert shown([code[place : place + 7] for place in range(0, len(code), 7)], height=12) == code


@pytest.mark.parametrize(
    "text",
    [
        "A paragraph with **some** words in it.\n\n- item\n- item `two`\n\n```py\nx = 1\n```\n\n" * 40,
        "```json\n" + '{"a":1},' * 1500 + "\n```\n",  # One line, higher than the screen.
    ],
)
def test_answer_is_not_drawn_again_and_again(text: str) -> None:
    """What is written is a small multiple of the text, however many pieces it came in."""
    glass = Glass(80, 24)
    with window(80, 24):
        view = MarkdownView(glass.write)
        for letter in text:
            view.put(letter)
        view.end()
    assert glass.written < 5 * len(text)
