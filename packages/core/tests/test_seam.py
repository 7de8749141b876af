"""Where one model goes on with another's text: every character once, whatever is repeated and however it is cut."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pointsman import ChatRequest, Finished, ReasoningDelta, StreamBroken, StreamEvent, TextDelta, assistant, user
from pointsman.engine.seam import LEAST, LONGEST, Seam, Seamed, sequel

# Few letters, so that texts resemble themselves; white space, since seams fall there.
REPETITIVE = st.text("ab \n", max_size=60)
PROSE = st.text(st.characters(codec="utf-8"), max_size=80)
TEXTS = REPETITIVE | PROSE
CUTS = st.lists(st.integers(1, 20), max_size=12)


SPACE = st.text(" \n", max_size=3)


@st.composite
def split(draw: st.DrawFn, *, least: int = 0) -> tuple[str, str]:
    """What was said, at least so many characters between white space, and what follows."""
    letters = draw(st.sampled_from(["ab \n", "abcdefghijklmnopqrstuvwxyz é\n"]))
    inner = draw(st.text(letters, min_size=max(0, least - 2), max_size=60))
    before = f"a{inner}b" if least else draw(st.just(inner) | PROSE)
    return draw(SPACE) + before + draw(SPACE), draw(TEXTS)


def chunks(text: str, cuts: Sequence[int]) -> list[str]:
    """`text` in pieces of these lengths; what is left comes as one."""
    pieces: list[str] = []
    for cut in cuts:
        pieces.append(text[:cut])
        text = text[cut:]
    return [*pieces, text]


def joined(before: str, said: Sequence[str]) -> str:
    """What follows on `before` if a model says that."""
    seam = Seam(before)
    return "".join([*map(seam.push, said), seam.end()])


def outcome(before: str, said: Sequence[str]) -> str | None:
    """The same, and None for an answer begun anew."""
    try:
        return joined(before, said)
    except StreamBroken:
        return None


def overlaps(before: str, said: str) -> list[int]:
    """How many characters at the end of `before` may be what `said` begins with: every answer, naively."""
    before, said = before.strip(), said.lstrip()
    return [count for count in range(LEAST, len(before) + 1) if said.startswith(before[-count:])]


@given(split(), CUTS)
def test_what_goes_on_exactly_follows(parts: tuple[str, str], cuts: list[int]) -> None:
    before, after = parts
    said = (before + after)[len(before.rstrip()) :]  # What was shown ends before the white space.
    told = said.lstrip()
    assume(len(told) < LEAST or told[:LEAST] not in before)
    assert joined(before, chunks(said, cuts)) == after


@given(split(least=LEAST), CUTS)
def test_a_whole_echo_is_cut(parts: tuple[str, str], cuts: list[int]) -> None:
    before, after = parts
    for said in (before + after, (before + after).lstrip(), f"\n{before}{after}"):
        assert joined(before, chunks(said, cuts)) == after


@given(split(least=LEAST), st.integers(LEAST, 80), CUTS)
def test_a_repeated_end_is_cut(parts: tuple[str, str], count: int, cuts: list[int]) -> None:
    before, after = parts
    shown = before.strip()
    repeated = shown[-count:].lstrip()
    assume(len(repeated) >= LEAST)
    said = repeated + before[len(before.rstrip()) :] + after
    assume(max(overlaps(before, said)) == len(repeated))  # Else a longer repetition is as good a reading.
    assert joined(before, chunks(said, cuts)) == after


@given(split(least=LEAST + 1), st.integers(LEAST, 80), TEXTS, CUTS)
def test_an_answer_begun_anew_is_refused(parts: tuple[str, str], shared: int, rest: str, cuts: list[int]) -> None:
    shown = parts[0].strip()
    shared = min(shared, len(shown) - 1)
    said = shown[:shared] + ("x" if shown[shared] != "x" else "y") + rest
    assume(not overlaps(shown, said))
    with pytest.raises(StreamBroken, match="anew") as caught:
        joined(parts[0], chunks(said, cuts))
    assert not caught.value.retryable, "it would say the same again"


@given(TEXTS, TEXTS, CUTS, CUTS)
def test_how_it_is_cut_never_matters(before: str, said: str, one: list[int], other: list[int]) -> None:
    assert outcome(before, chunks(said, one)) == outcome(before, chunks(said, other))


@given(split(), TEXTS, st.integers(0, 60), CUTS, CUTS)
def test_nor_where_it_begins_with_what_was_said(
    parts: tuple[str, str], said: str, start: int, one: list[int], other: list[int]
) -> None:
    before = parts[0]
    said = before[start:] + said
    assert outcome(before, chunks(said, one)) == outcome(before, chunks(said, other))


@given(TEXTS, TEXTS, CUTS)
def test_nothing_is_lost_or_held_back_at_the_end(before: str, said: str, cuts: list[int]) -> None:
    out = outcome(before, chunks(said, cuts))
    assume(out is not None)
    assert out is not None
    assert said.endswith(out), "only its beginning may be cut"
    cut = said[: len(said) - len(out)].strip()
    assert not cut or before.strip().endswith(cut), "and only what stands there already"


@pytest.mark.parametrize(
    ("before", "said", "follows"),
    [
        ("one ", "two", "two"),
        ("one ", " two", "two"),
        ("one", " two", " two"),
        ("one\n\n", "\n\ntwo", "two"),
        ("one\n\n", "\ntwo", "two"),
        ("one\n", "\n\ntwo", "\ntwo"),
        ("one\n", "  two", "  two"),
        ("one ", "   ", "  "),
        ("one ", "", ""),
        ("  ", "  one", "one"),
        ("ha ", "ha", "ha"),
        ("well, well, well, ", "well, well", "well, well"),
        ("so: " + "ha" * 20, "ha" * 12 + "!", "!"),
        ("ha" * 20, "ha" * 12 + "!", "!"),
    ],
)
def test_white_space_and_short_words(before: str, said: str, follows: str) -> None:
    assert joined(before, [said]) == joined(before, list(said)) == follows


def test_a_long_answer_with_space_before_it_may_be_echoed() -> None:
    before = "\n\n" + " ".join(map(str, range(LONGEST)))
    assert joined(before, chunks(before.strip() + " and on", [300] * 20)) == " and on"


def test_an_ordinary_word_is_not_held_back() -> None:
    seam = Seam("The train leaves at noon and arrives at three.")
    assert [seam.push(word) for word in (" Then", " the", " train")] == [" Then", " the", " train"]
    assert seam.closed


async def stream(*events: StreamEvent) -> AsyncIterator[StreamEvent]:
    for event in events:
        yield event


DONE = Finished("stop")


async def test_events_pass_in_order_and_what_is_held_comes_before_the_end() -> None:
    thought = ReasoningDelta("hm")
    held = stream(TextDelta("The tr"), thought, TextDelta("ain"), DONE)
    events = [event async for event in Seamed(held, Seam("The train leaves at noon."), lambda: None)]
    assert [event for event in events if event != TextDelta("")] == [thought, TextDelta("The train"), DONE]


async def test_nothing_is_added_where_all_was_said() -> None:
    said = stream(TextDelta("two"), TextDelta(""), DONE)
    events = [event async for event in Seamed(said, Seam("one "), lambda: None)]
    assert events == [TextDelta("two"), TextDelta(""), DONE]


def test_the_request_that_goes_on_shows_what_was_said_and_asks_for_the_rest() -> None:
    request = ChatRequest(messages=(user("count"),), max_tokens=100)
    assert sequel(request, "") == (request, None)
    asked, seam = sequel(request, "one two three \n")
    assert seam is not None
    assert asked.messages == (user("count"), assistant("one two three"))
    assert asked.max_tokens is not None
    assert 90 <= asked.max_tokens < 100
    assert sequel(request, "word " * 500)[0].max_tokens == 1
    blank, seam = sequel(request, "\n")
    assert blank.messages == request.messages, "nobody is shown an empty answer"
    assert seam is not None
