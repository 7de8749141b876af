"""`embed`: a vector for each text, of one model."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import pytest
from pydantic import BaseModel, SecretStr

from pointsman import (
    AsyncClient,
    Client,
    ConfigError,
    Connection,
    DeadlineExceeded,
    Embed,
    Embeddings,
    EmbedRequest,
    InvalidRequest,
    Plugins,
    ProviderContext,
    ProviderSpec,
    Settings,
    Terminal,
    Unavailable,
    hookimpl,
)
from pointsman_testing import VIRTUAL_BACKENDS, ScriptedProvider, virtual_backend

KEY = "embed-0123456789"


class KeyConfig(BaseModel, frozen=True, extra="forbid"):
    base_url: str = "http://127.0.0.1"
    api_key: SecretStr = SecretStr(KEY)


class Embedder(ScriptedProvider):
    """A vector of one number for each text: how long it is."""

    def __init__(self, name: str, *, fault: Exception | None = None, seconds: float = 0.0) -> None:
        super().__init__(name)
        self.spec = ProviderSpec(name=name, config=KeyConfig, open=self._open, terminal=Terminal.FINISH_REASON)  # type: ignore[arg-type]
        self.fault = fault
        self.seconds = seconds
        self.asked: list[EmbedRequest] = []

    @hookimpl
    def pointsman_embed(self, connection: Connection[Any]) -> Embed:
        async def embed(request: EmbedRequest) -> Embeddings:
            self.asked.append(request)
            await anyio.sleep(self.seconds)
            if self.fault:
                raise self.fault
            return Embeddings(tuple((float(len(text)),) for text in request.texts))

        return embed


@pytest.fixture(params=VIRTUAL_BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return virtual_backend(request.param)


def client(*providers: ScriptedProvider) -> AsyncClient:
    return AsyncClient(settings=Settings.of(), plugins=Plugins.of(providers={one.name: one for one in providers}))


@pytest.mark.parametrize(("texts", "lengths"), [("abc", [3]), (["a", "bb", ""], [1, 2, 0]), (("a",), [1])])
async def test_each_text_has_a_vector_in_order(texts: Any, lengths: list[int]) -> None:
    a = Embedder("a")
    async with client(a) as one:
        found = await one.embed(texts, model="a/small")
    assert [vector[0] for vector in found.vectors] == lengths
    assert [request.model for request in a.asked] == ["small"]


@pytest.mark.parametrize(
    ("texts", "said"),
    [([], "no text"), ([1], "text 1 is an int"), (b"abc", "texts is a list"), (["a", "\ud800"], "text 2 holds half")],
)
async def test_what_is_no_text_is_refused_before_anybody_is_asked(texts: Any, said: str) -> None:
    a = Embedder("a")
    async with client(a) as one:
        with pytest.raises(InvalidRequest, match=said):
            await one.embed(texts, model="a/small")
    assert not a.asked


async def test_a_provider_that_does_not_embed_says_so() -> None:
    async with client(ScriptedProvider("a")) as one:
        with pytest.raises(InvalidRequest, match="does not embed"):
            await one.embed("hi", model="a/small")


@pytest.mark.parametrize("model", ["a", "b/small", "", 3])
async def test_a_model_that_is_none_is_told(model: Any) -> None:
    async with client(Embedder("a")) as one:
        with pytest.raises(ConfigError):
            await one.embed("hi", model=model)


async def test_two_models_are_refused() -> None:
    async with client(Embedder("a")) as one:
        with pytest.raises(InvalidRequest, match="one model"):
            await one.embed("hi", model=["a/small", "a/large"])  # type: ignore[arg-type]


async def test_it_ends_with_the_deadline() -> None:
    a = Embedder("a", seconds=100)
    async with client(a) as one:
        with pytest.raises(DeadlineExceeded, match="within 5 s"):
            await one.embed("hi", model="a/small", deadline=5)
        assert anyio.current_time() < 99


async def test_the_deadline_is_that_of_opening_too() -> None:
    @asynccontextmanager
    async def slow(config: KeyConfig, context: ProviderContext, /) -> AsyncGenerator[None]:
        await anyio.sleep(20)
        yield

    a = Embedder("a")
    a.spec = replace(a.spec, open=slow)
    async with client(a) as one:
        begun = anyio.current_time()
        with pytest.raises(DeadlineExceeded, match="within 5 s"):
            await one.embed("hi", model="a/small", deadline=5)
        assert anyio.current_time() - begun == pytest.approx(5)


async def test_an_error_shows_no_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    a = Embedder("a", fault=Unavailable(f"refused {KEY}", provider="a"))
    async with client(a) as one:
        with pytest.raises(Unavailable) as raised:
            await one.embed("hi", model="a/small")
    assert KEY not in repr(raised.value) + str(raised.value) + caplog.text


async def test_a_client_that_is_not_open_says_so() -> None:
    with pytest.raises(ConfigError, match="not open"):
        await client(Embedder("a")).embed("hi", model="a/small")


def test_the_same_without_a_loop() -> None:
    plugins = Plugins.of(providers={"a": Embedder("a")})
    with Client(settings=Settings.of(), plugins=plugins) as one:
        assert one.embed(["abc"], model="a/small").vectors == ((3.0,),)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"deadline": 0}, "deadline must be more than 0 seconds, not 0"),
        ({"deadline": "5"}, "deadline is a number, not a str"),
        ({"tags": {"n": 5}}, "tags are texts, each under a name that is one: not an int under 'n'"),
        ({"tags": [("n", "5")]}, "tags is a mapping, not a list"),
    ],
)
async def test_options_that_mean_nothing_are_refused_before_anybody_is_asked(
    options: dict[str, Any], said: str
) -> None:
    a = Embedder("a")
    async with client(a) as one:
        with pytest.raises(InvalidRequest, match=said):
            await one.embed("x", model="a/m", **options)
    assert a.asked == []
