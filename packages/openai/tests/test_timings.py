"""What servers say of their own time, in the places where three of them say it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman import Finished, PointsmanError, ServerTimings, Target, Usage
from pointsman_openai import Quirks
from pointsman_openai.decode import ChatDecoder
from pointsman_openai.usage import read_timings

COUNTED = {"prompt_tokens": 43, "completion_tokens": 100, "total_tokens": 143}
SAMBANOVA = {**COUNTED, "time_to_first_token": 0.25, "total_latency": 1.0, "completion_tokens_per_sec": 314.5}
GROQ = {**COUNTED, "queue_time": 0.5, "prompt_time": 0.25, "completion_time": 1.0, "total_time": 1.25}
LLAMA = {"prompt_n": 43, "prompt_ms": 250.0, "predicted_n": 100, "predicted_ms": 1500.0}


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [
        ({"usage": SAMBANOVA}, ServerTimings(first_token=0.25, output=0.75, total=1.0)),
        ({"usage": {"time_to_first_token": "0.25"}}, ServerTimings(first_token=0.25)),
        ({"usage": {"time_to_first_token": 2, "total_latency": 1}}, ServerTimings(first_token=2.0, total=1.0)),
        ({"usage": {"total_latency": 0}}, ServerTimings(total=0.0)),
        ({"usage": GROQ}, ServerTimings(prompt=0.25, output=1.0, total=1.25, first_token=0.75)),
        ({"x_groq": {"id": "r", "usage": GROQ}}, ServerTimings(prompt=0.25, output=1.0, total=1.25, first_token=0.75)),
        ({"timings": LLAMA}, ServerTimings(prompt=0.25, output=1.5)),
        ({"timings": LLAMA, "usage": COUNTED}, ServerTimings(prompt=0.25, output=1.5)),
        ({"usage": COUNTED}, None),
        ({"usage": {"total_latency": -1, "time_to_first_token": "soon", "prompt_time": True}}, None),
        ({"usage": {"total_latency": 86_401, "prompt_time": float("nan"), "total_time": 10**400}}, None),
        ({"usage": [], "x_groq": 3, "timings": "x"}, None),
        ({}, None),
    ],
)
def test_where_they_say_it(chunk: dict[str, Any], expected: ServerTimings | None) -> None:
    assert read_timings(chunk) == expected


NUMBERS = st.floats() | st.integers() | st.booleans() | st.none() | st.text(max_size=4) | st.just(10**400)
TOLD = st.dictionaries(st.sampled_from([*SAMBANOVA, *GROQ, *LLAMA]), NUMBERS) | NUMBERS


@given(
    st.fixed_dictionaries({}, optional={"usage": TOLD, "timings": TOLD, "x_groq": TOLD | st.builds(dict, usage=TOLD)})
)
@example({"usage": {"queue_time": 86_400, "prompt_time": 86_400}})
def test_nonsense_is_no_time(chunk: dict[str, Any]) -> None:
    """Nothing is raised, and what is read is seconds that core takes."""
    found = read_timings(chunk)
    assert found is None or isinstance(found, ServerTimings)


TEXT: dict[str, Any] = {"choices": [{"index": 0, "delta": {"content": "hi"}}]}
STOP: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
USAGE = Usage(input_tokens=43, output_tokens=100)


def test_the_last_chunk_that_says_so_counts(finished: Callable[..., Finished]) -> None:
    early = {**TEXT, "usage": {**COUNTED, "time_to_first_token": 0.25, "total_latency": 0.5}}
    assert finished(early, STOP).server == ServerTimings(first_token=0.25, output=0.25, total=0.5)
    late = {"choices": [], "usage": SAMBANOVA}
    told = ServerTimings(first_token=0.25, output=0.75, total=1.0)
    assert finished(early, STOP, late) == Finished("stop", USAGE, server=told)
    assert finished(early, STOP, late, {"choices": [], "usage": COUNTED}).server == told
    assert finished(TEXT, STOP).server is None


def test_groq_counts_in_a_place_of_its_own_if_nobody_asks(finished: Callable[..., Finished]) -> None:
    told = finished({**TEXT, "x_groq": {"id": "r"}}, {**STOP, "x_groq": {"id": "r", "usage": GROQ}})
    assert (told.usage, told.server and told.server.first_token) == (USAGE, 0.75)


def test_llama_cpp_may_tell_with_every_token(finished: Callable[..., Finished]) -> None:
    """With ``timings_per_token``; those with text take the fast path, which does not look, and the last one counts."""
    told = finished({**TEXT, "timings": {"prompt_ms": 1, "predicted_ms": 2}}, {**STOP, "timings": LLAMA})
    assert told.server == ServerTimings(prompt=0.25, output=1.5)


def test_an_answer_in_one_piece_says_so_too(refused: Callable[[Any, bool], PointsmanError]) -> None:
    decoder = ChatDecoder(Target("acme", "m"), Quirks(), refused)
    message = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "usage": SAMBANOVA}
    decoder.feed_whole(json.dumps(message).encode())
    told = ServerTimings(first_token=0.25, output=0.75, total=1.0)
    assert decoder.ready[-1] == Finished("stop", USAGE, server=told)
