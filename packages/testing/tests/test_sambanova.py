"""SambaNova's dialect in the lab, as OpenAI's SDK and a plain client see it: what its documents say is there."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import ToolCall
from pointsman_testing import (
    PROFILES,
    Answer,
    Fault,
    Lab,
    Pace,
    Profile,
    RecordedRequest,
    SambaNovaApi,
    Site,
    Vendor,
    body_bytes,
)
from pointsman_testing.lab.sambanova.windows import Window

ASKED: Any = [{"role": "user", "content": "What is a closure?"}]
MODELS: Any = (
    "gpt-oss-120b",
    {"id": "gemma-4-31B-it", "tools": False, "context_length": 8},
    {"id": "E5-Mistral-7B-Instruct", "embedding_length": 8},
    {"id": "DeepSeek-R1", "retired": True},
)


@pytest.fixture
def anyio_backend() -> str:
    """On trio the SDK leaks async generators."""
    return "asyncio"


@pytest.fixture
async def vendor(lab: Lab) -> Vendor:
    return lab.vendor("sambanova", dialect=SambaNovaApi(), models=MODELS, api_key="right")


@pytest.fixture
async def sdk(vendor: Vendor) -> AsyncGenerator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=vendor.base_url, api_key="right", max_retries=0) as client:
        yield client


async def post(vendor: Vendor, body: Any, *, key: str | None = "right", path: str = "chat/completions") -> Any:
    async with httpx2.AsyncClient(trust_env=False) as http:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return await http.post(f"{vendor.base_url}/{path}", json=body, headers=headers)


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "gpt-oss-120b", "messages": ASKED, **fields}


async def test_a_chunk_holds_several_tokens_and_usage_the_seconds(sdk: openai.AsyncOpenAI, vendor: Vendor) -> None:
    pace = Profile(first_token=(0.5, 0.5), tokens_per_second=(10, 10))
    vendor.script(Answer("one two three four five", reasoning="Easy one.", profile=pace))
    stream: Any = await sdk.chat.completions.create(**chat(stream=True, stream_options={"include_usage": True}))
    chunks: list[Any] = [chunk async for chunk in stream]
    assert [one.choices[0].delta.content for one in chunks if one.choices and one.choices[0].delta.content] == [
        "one two three",
        " four five",
    ]
    thought = [one.choices[0].delta.model_extra for one in chunks if one.choices and one.choices[0].delta.model_extra]
    assert thought == [{"reasoning": "Easy one.", "channel": "analysis"}]
    assert isinstance(chunks[0].created, float)
    assert chunks[0].system_fingerprint == "fastcoe"
    last = chunks[-1].usage
    assert (chunks[-1].choices, last.completion_tokens) == ([], 7)
    told = last.model_extra
    assert (told["time_to_first_token"], told["total_latency"]) == (0.5, pytest.approx(1.1))
    assert told["completion_tokens_per_sec"] == pytest.approx(7 / 1.1)
    assert told["completion_tokens_after_first_per_sec"] == pytest.approx(10)
    assert told["is_last_response"] is True


async def test_an_answer_in_one_piece(sdk: openai.AsyncOpenAI, vendor: Vendor) -> None:
    vendor.script(Answer("", tool_calls=(ToolCall("c1", "f", '{"x": 1}'),)))
    reply = await sdk.chat.completions.create(**chat())
    assert reply.choices[0].finish_reason == "tool_calls"
    assert isinstance(reply.created, float)
    assert reply.usage is not None
    assert (reply.usage.model_extra or {})["total_latency"] == 0.0


async def test_deepseek_thinks_in_its_text(lab: Lab) -> None:
    vendor = lab.vendor("tags", dialect=SambaNovaApi(think_tags=True))
    vendor.script(Answer("A function.", reasoning="Easy."))
    reply = (await post(vendor, chat())).json()
    assert reply["choices"][0]["message"]["content"] == "<think>\nEasy.\n</think>\n\nA function."


async def test_prices_are_strings_for_one_token(sdk: openai.AsyncOpenAI) -> None:
    listed = {model.id: model.model_extra or {} for model in (await sdk.models.list()).data}
    assert set(listed) == {"gpt-oss-120b", "gemma-4-31B-it", "E5-Mistral-7B-Instruct"}
    assert listed["gpt-oss-120b"] == {
        "context_length": 131_072,
        "max_completion_tokens": 16_384,
        "pricing": {"prompt": "0.0000006", "completion": "0.0000012"},
    }
    assert listed["gemma-4-31B-it"]["context_length"] == 8


@pytest.mark.parametrize("form", ["float", "base64"])
async def test_embeddings(sdk: openai.AsyncOpenAI, form: Any) -> None:
    """The SDK asks for base64 by itself."""
    options = {} if form == "base64" else {"encoding_format": form}
    made = await sdk.embeddings.create(model="E5-Mistral-7B-Instruct", input=["a b", "c"], **options)
    assert [len(one.embedding) for one in made.data] == [8, 8]
    assert sum(part * part for part in made.data[0].embedding) == pytest.approx(1, abs=1e-5)
    assert made.usage.prompt_tokens == 3


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (chat(model="gone"), 404, "model_not_found"),
        (chat(model="DeepSeek-R1"), 410, {"error": "Model DeepSeek-R1 is deprecated and no longer available."}),
        (chat(model="E5-Mistral-7B-Instruct"), 400, "invalid_value"),
        (chat(model=3), 400, "invalid_type"),
        (chat(messages=[]), 400, "empty_array"),
        (chat(messages="hi"), 400, "invalid_type"),
        (chat(messages=["hi"]), 400, "invalid_type"),
        (chat(top_p=100), 400, "integer_above_max_value"),
        (chat(temperature=2.5), 400, "decimal_above_max_value"),
        (chat(n=True), 400, "invalid_type"),
        (chat(n=2, tools=[{"type": "function"}]), 400, "invalid_value"),
        (chat(model="gemma-4-31B-it", tools=[{"type": "function"}]), 400, "invalid_value"),
        (chat(response_format={"type": "text"}), 400, "invalid_value"),
        (chat(stream_options={"include_usage": True}), 400, "invalid_value"),
        (chat(reasoning_effort="none"), 400, "invalid_value"),
        (
            chat(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y"}}]}]),
            400,
            "invalid_value",
        ),
        (
            chat(model="gemma-4-31B-it", messages=[{"role": "user", "content": "w " * 9}]),
            400,
            "context_length_exceeded",
        ),
        ([], 400, b"The body is not a JSON object."),
    ],
)
async def test_what_is_wrong_is_told_by_code(vendor: Vendor, body: Any, status: int, said: Any) -> None:
    response = await post(vendor, body)
    assert response.status_code == status
    if isinstance(said, str):
        assert response.json()["error"]["code"] == said
        assert response.json()["request_id"]
    else:
        assert (response.content if isinstance(said, bytes) else response.json()) == said


@pytest.mark.parametrize(
    ("status", "shape"),
    [(400, dict), (401, dict), (402, dict), (404, dict), (408, str), (410, str), (429, dict), (500, None), (503, None)],
)
async def test_errors_have_three_shapes(vendor: Vendor, status: int, shape: type | None) -> None:
    vendor.script(Fault(status), Fault(status, message="in other words", code="own"))
    for said in (None, "in other words"):
        response = await post(vendor, chat())
        assert response.status_code == status
        if shape is None:
            assert response.headers["content-type"] == "text/plain; charset=utf-8"
            assert said is None or response.text == said
            continue
        error = response.json()["error"]
        assert isinstance(error, shape)
        assert said is None or said in (error["message"] if isinstance(error, dict) else error)


async def test_lack_of_money_names_the_balance(sdk: openai.AsyncOpenAI, vendor: Vendor) -> None:
    vendor.script(Fault(402))
    with pytest.raises(openai.APIStatusError) as caught:
        await sdk.chat.completions.create(**chat())
    assert (caught.value.code, caught.value.body["balance_units"]) == ("PAYMENT_METHOD_REQUIRED", 0)  # type: ignore[index, call-overload]


async def test_keys_and_paths(vendor: Vendor) -> None:
    wrong, none = await post(vendor, chat(), key="wrong"), await post(vendor, chat(), key=None)
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "wrong" not in wrong.text
    assert (none.status_code, none.json()["error"]["code"]) == (401, None)
    for path in ("nowhere", "models"):  # The latter is not posted to.
        lost = await post(vendor, chat(), path=path)
        assert (lost.status_code, lost.json()) == (404, {"error": "Not found"})


def limits(response: Any, ending: str = "requests") -> tuple[int, int, int]:
    limit, remaining, reset = (
        response.headers[f"x-ratelimit-{what}-{ending}"] for what in ("limit", "remaining", "reset")
    )
    return int(limit), int(remaining), int(reset)


def posted(model: str) -> RecordedRequest:
    body = json.dumps(chat(model=model)).encode()
    return RecordedRequest(
        index=0,
        client=("127.0.0.1", 1),
        method="POST",
        path="/v1/chat/completions",
        query="",
        raw_headers=(),
        headers={},
        body=body,
    )


def test_limits_count_down_and_run_out() -> None:
    """A minute's, and a day's where that is less; each model has its own, and what is refused does not count."""
    dialect, memory = SambaNovaApi(rpm=2, rpd=3, reset="seconds"), dict[str, Any]()

    def ask(at: float, model: str = "m") -> Any:
        return dialect.route(posted(model), Site(clock=lambda: at, memory=memory))

    def told(at: float) -> list[int]:
        site = Site(clock=lambda: at, memory=memory)
        headers = dict(dialect.chat(Answer("x"), {"model": "m", "messages": ASKED}, Pace(), site).headers)
        return [int(headers[f"x-ratelimit-{what}"]) for what in ("remaining-requests", "remaining-requests-day")]

    assert (ask(10), told(10), ask(20), told(20)) == ("chat", [1, 2], "chat", [0, 1])
    refused = ask(30)
    assert (refused.status, refused.message.splitlines()) == (
        429,
        ["Request would exceed rate limit", "Violated duration_s: 60, current usage: 2, limit: 2"],
    )
    assert dict(refused.headers) == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "30",
        "x-ratelimit-limit-requests-day": "3",
        "x-ratelimit-remaining-requests-day": "1",
        "x-ratelimit-reset-requests-day": "86370",
    }
    assert ask(30, "another") == "chat"
    assert (ask(60), told(60)) == ("chat", [1, 0])
    assert "Violated duration_s: 86400, current usage: 3, limit: 3" in ask(61).message
    assert ask(86_400) == "chat"


async def test_a_refusal_and_its_limits_go_over_the_wire(lab: Lab) -> None:
    vendor = lab.vendor("strict", dialect=SambaNovaApi(rpm=1))
    first, second = await post(vendor, chat()), await post(vendor, chat())
    assert (first.status_code, limits(first)[:2], second.status_code, limits(second)[:2]) == (200, (1, 0), 429, (1, 0))
    assert second.json()["error"]["code"] == "insufficient_quota"
    assert limits(second, "requests-day")[:2] == (12_000, 11_999)


async def test_tokens_of_a_day_are_counted_for_all_models(lab: Lab) -> None:
    vendor = lab.vendor("sambanova", dialect=SambaNovaApi(rpm=None, rpd=None, tpd=12))
    vendor.default = Answer("four words in all")
    response = await post(vendor, chat())
    assert response.status_code == 200
    assert not any(name.startswith("x-ratelimit") for name in response.headers)
    refused = await post(vendor, chat(model="another", max_tokens=1))
    assert "duration_s: 86400, current usage: 8, limit: 12" in refused.json()["error"]["message"]
    assert (await post(vendor, chat(model="another"))).status_code == 200  # A smaller one fits.


async def test_a_limit_ends_at_a_time_of_day(vendor: Vendor) -> None:
    now = time.time()
    assert now < limits(await post(vendor, chat()))[2] <= now + 61


@given(st.lists(st.tuples(st.floats(0, 200), st.integers(0, 5)), max_size=20))
def test_a_window_never_holds_more_than_its_limit(requests: list[tuple[float, int]]) -> None:
    memory: dict[str, Any] = {}
    spent: dict[int, int] = {}
    for at, amount in sorted(requests):
        window = Window(Site(clock=lambda at=at: at, memory=memory), "x", 60, 7)
        number = int(at // 60)
        fits = spent.get(number, 0) + amount <= 7
        assert (window.refusal(amount) is None) == fits
        if fits:
            window.use(amount)
            spent[number] = spent.get(number, 0) + amount
        assert window.used == spent.get(number, 0)
        assert 0 < window.left <= 60


def test_the_bytes_are_known_before() -> None:
    answer, dialect = Answer("one two", newline="\r\n", keep_alives=1, usage="own"), SambaNovaApi()
    body = body_bytes(answer, chat(stream=True), dialect=dialect)
    assert body == body_bytes(answer, chat(stream=True), dialect=dialect)
    events = [event for event in body.split(b"\r\n\r\n") if event]
    assert events[-1] == b"data: [DONE]"
    assert json.loads(events[-2].removeprefix(b"data: "))["usage"]["total_latency"] == 0.0
    assert PROFILES["sambanova"].first_token == (0.1, 0.3)
