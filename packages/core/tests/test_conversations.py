"""Who has read the beginning of a conversation a moment ago: known by hashes, and forgotten soon."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pointsman import Image, Message, Target, assistant, system, tool_result, user
from pointsman.engine.health.conversations import MOST, WARM, Conversations

A, B = Target("a", "m"), Target("b", "m")
SALT = b"salt"

words = st.text(max_size=40)
turns = st.lists(
    st.builds(user, words) | st.builds(assistant, words) | st.builds(tool_result, st.just("1"), words), max_size=8
)


def warm(kept: Conversations, messages: list[Message], now: float = 0.0) -> dict[Target, int]:
    return dict(kept.warm(kept.beginnings(messages), now))


@given(st.none() | words, turns, words, turns, words)
def test_who_answered_a_conversation_is_warm_for_what_follows_it_and_for_nothing_else(
    first: str | None, before: list[Message], asked: str, more: list[Message], said: str
) -> None:
    kept = Conversations(SALT)
    beginning = [*([] if first is None else [system(first)]), *before, user(asked)]
    kept.answered(kept.beginnings(beginning), A, 0.0)
    tokens = kept.beginnings(beginning)[-1].tokens
    assert warm(kept, [*beginning, assistant(said), *more]) == {A: tokens}
    assert warm(kept, [system(f"not {first}"), *before, user(asked)]) == {}
    assert warm(kept, [user(f"other {said}"), *beginning]) == {}
    assert warm(Conversations(b"another process's"), beginning) == {}


@given(turns, turns)
def test_tokens_grow_with_the_beginning(before: list[Message], after: list[Message]) -> None:
    tokens = [one.tokens for one in Conversations(SALT).beginnings([*before, *after])]
    assert tokens == sorted(tokens)
    assert len(tokens) == sum(message.role == "user" for message in (*before, *after))


def test_each_has_the_longest_beginning_that_it_read() -> None:
    kept = Conversations(SALT)
    turn = [user("one " * 20), assistant("well"), user("two " * 20), assistant("so"), user("three " * 20)]
    kept.answered(kept.beginnings(turn[:1]), A, 0.0)
    kept.answered(kept.beginnings(turn[:3]), B, 1.0)
    found = warm(kept, turn)
    assert found == {A: 20, B: 40}
    kept.answered(kept.beginnings(turn), A, 2.0)
    assert warm(kept, turn)[A] == 70


def test_what_the_model_said_may_have_been_shortened_since() -> None:
    kept = Conversations(SALT)
    kept.answered(kept.beginnings([user("one"), assistant("a long answer"), user("two")]), A, 0.0)
    assert A in warm(kept, [user("one"), assistant("a"), user("two"), assistant("x"), user("three")])


def test_parts_are_told_apart() -> None:
    kept = Conversations(SALT)
    kept.answered(kept.beginnings([user("a", "b")]), A, 0.0)
    for other in ([user("ab")], [user("a"), user("b")], [system("a"), user("b")], [user("a", Image("b"))]):
        assert warm(kept, other) == {}
    assert A in warm(kept, [user("a", "b")])


def test_it_is_forgotten_after_ten_minutes_or_many_others() -> None:
    kept = Conversations(SALT)
    kept.answered(kept.beginnings([user("old")]), A, 0.0)
    assert warm(kept, [user("old")], WARM) == {A: 0}
    assert warm(kept, [user("old")], WARM + 1) == {}
    for number in range(MOST):
        kept.answered(kept.beginnings([user(str(number))]), B, 1.0)
    assert warm(kept, [user("old")]) == {}
    assert len(kept._answered) == MOST


def test_a_request_without_a_word_of_the_users_is_no_conversation() -> None:
    kept = Conversations(SALT)
    kept.answered(kept.beginnings([system("be kind")]), A, 0.0)
    assert not kept._answered


def test_no_text_is_kept() -> None:
    kept = Conversations(SALT)
    kept.answered(kept.beginnings([user("a secret that \ud800 nobody keeps")]), A, 0.0)
    assert b"secret" not in repr(kept._answered).encode()
