"""Text that is broken into lines while it arrives is the same text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_cli.flow import Flow

TEXTS = st.text(alphabet="ab \n", max_size=60)


def flowed(pieces: list[str], width: int, margin: str = "") -> str:
    shown: list[str] = []
    flow = Flow(shown.append, width, margin)
    for piece in pieces:
        flow.put(piece)
    flow.end()
    return "".join(shown)


@pytest.mark.hypothesis
@given(TEXTS, st.integers(2, 20))
def test_words_and_their_order_are_kept(text: str, width: int) -> None:
    assert flowed([text], width, "  ").split() == text.split()


@pytest.mark.hypothesis
@given(st.lists(st.sampled_from(["one", " two", " three ", "\n", "\n\n", "    indented", " "]), max_size=12))
def test_pieces_between_words_do_not_matter(words: list[str]) -> None:
    pieces = [piece for word in words for piece in (word, "")]
    assert flowed(pieces, 15, "> ") == flowed(words, 15, "> ")


@pytest.mark.hypothesis
@given(TEXTS, st.integers(10, 20))
def test_no_line_is_too_long_but_for_a_long_word(text: str, width: int) -> None:
    for line in flowed([text], width, "  ").splitlines():
        words = line.split()
        assert len(line) <= width or len(words) == 1


def test_indented_code_stays_as_it_is() -> None:
    code = "def f():\n    return 1\n"
    assert flowed([code], 40, "  ") == "  def f():\n      return 1\n"
