"""Pulls over HTTP: whole, cut, stalled, refused, left early. The lab goes on where a pull was cut off, as Ollama."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import (
    AsyncClient,
    AuthFailed,
    ConfigError,
    InvalidRequest,
    ModelGone,
    PointsmanError,
    Settings,
    Stalled,
    StreamBroken,
    Unavailable,
)
from pointsman_ollama import Progress, connect
from pointsman_testing import Ending, Fault, Hangup, Lab, OllamaApi, Raw, Usual, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]

REGISTRY: Any = ({"name": "small", "layers": (1_000_000, 240_000, 485)},)
DIALECT = OllamaApi(registry=REGISTRY, download=2e6)
KEY = "6f1b0c1e7e1c4f5e9b640a6f0c5f2a11"


@pytest.fixture
async def vendor(lab: Lab) -> Vendor:
    return lab.vendor("ollama", dialect=DIALECT, models=["m"])


async def pull(session: Any, model: str = "small", **how: Any) -> list[Progress]:
    async with session.server.pull(model, **{"pause": 0.001, **how}) as progress:
        return [told async for told in progress]


def failing(error: str, after: int = 3) -> Usual:
    """A pull that ends with this line."""
    return (
        Usual().garbage(after=after, data=json.dumps({"error": error}).encode() + b"\n").cut(after=after, how="clean")
    )


async def test_a_pull(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url) as session:
        told = await pull(session)
        assert [model.name for model in await session.server.pulled()] == ["m:latest", "small:latest"]
    assert [one.status for one in told if one.digest is None] == [
        "pulling manifest",
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ]
    layers = [one for one in told if one.digest]
    assert [(one.completed, one.total) for one in layers[:2]] == [(120_000, 1_000_000), (240_000, 1_000_000)]
    assert all(one.interruption is None for one in told)
    assert vendor.requests[0].json == {"model": "small", "stream": True}


async def test_what_is_there_is_pulled_at_once(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url) as session:
        assert (await pull(session, "m"))[-1].status == "success"


@pytest.mark.parametrize("how", ["clean", "close", "reset"])
@pytest.mark.parametrize("after", [1, 4, -1])
async def test_a_cut_is_gone_on_from(opened: Open, vendor: Vendor, after: int, how: Ending) -> None:
    vendor.script(Usual().cut(after=after, how=how), on="pull")
    async with opened(vendor.base_url) as session:
        told = await pull(session)
    interruption = next(one.interruption for one in told if one.interruption)
    assert type(interruption) is StreamBroken
    assert told[-1].status == "success"
    assert len(vendor.requests) == 2
    if after == 4:
        layers = [one.completed for one in told if one.digest]
        assert layers[:4] == [120_000, 240_000, 360_000, 480_000]  # Nothing twice.


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(
    st.lists(st.tuples(st.integers(0, 2200), st.sampled_from(["clean", "close", "reset"]), st.booleans()), max_size=5),
    st.integers(0, 4),
)
def test_any_cuts_are_gone_on_from_or_reported(
    backend: str, cuts: list[tuple[int, Ending, bool]], resumes: int
) -> None:
    async def main() -> None:
        async with Lab(speed=1000) as lab:
            vendor = lab.vendor("ollama", dialect=DIALECT, models=["m"])
            for at, how, dripped in cuts:
                cut = Usual().cut(at=at, how=how)
                vendor.script(cut.drip(50) if dripped else cut, on="pull")
            settings = Settings.of({"providers": {"ollama": {"base_url": vendor.base_url}}})
            async with AsyncClient(settings=settings) as client, connect(client) as server:
                seen: dict[str, int] = {}
                told: list[Progress] = []
                failure: PointsmanError | None = None
                try:
                    async with server.pull("small", resumes=resumes, pause=0.0001) as progress:
                        async for one in progress:
                            told.append(one)
                except PointsmanError as error:
                    failure = error
                for one in told:
                    if one.digest:
                        assert one.completed >= seen.get(one.digest, 0)
                        seen[one.digest] = one.completed
                whole = [one.status == "success" for one in told]
                assert sum(whole) == (failure is None)
                assert sum(one.interruption is not None for one in told) <= min(resumes, len(cuts))
                if failure is None:
                    assert whole[-1]
                    assert "small:latest" in [model.name for model in await server.pulled()]
                else:
                    assert isinstance(failure, StreamBroken | Unavailable)
                    assert len(vendor.requests) <= len(cuts)

    anyio.run(main, backend=backend)


async def test_it_is_not_asked_for_without_end(opened: Open, vendor: Vendor) -> None:
    """Three times in a row for nothing, and ten times in all."""
    vendor.script(Usual().cut(after=1), *[Usual().cut(after=1)] * 5, on="pull")
    async with opened(vendor.base_url) as session:
        with pytest.raises(StreamBroken, match="before it said that the model is there"):
            await pull(session)
        assert len(vendor.requests) == 4
        vendor.script(*[Usual().cut(after=2)] * 20, on="pull")
        with pytest.raises(StreamBroken):
            await pull(session, resumes=1)
        assert len(vendor.requests) == 6


async def test_it_may_be_left_to_the_caller(opened: Open, vendor: Vendor) -> None:
    vendor.script(Usual().cut(after=4), on="pull")
    async with opened(vendor.base_url) as session:
        with pytest.raises(StreamBroken) as caught:
            await pull(session, resumes=0)
        assert caught.value.retryable
        assert (await pull(session, resumes=0))[1].completed == 480_000


async def test_a_server_that_is_away_for_a_while(opened: Open, vendor: Vendor) -> None:
    vendor.script(Usual().cut(after=4), Hangup(), Fault(503), on="pull")
    async with opened(vendor.base_url) as session:
        told = await pull(session)
    assert [type(one.interruption) for one in told if one.interruption] == [StreamBroken, Unavailable, Unavailable]
    assert told[-1].status == "success"


SIGNED = (
    "max retries exceeded: Get 'https://x.r2.cloudflarestorage.com/blobs/data?X-Amz-Signature=abc123': "
    "net/http: TLS handshake timeout"
)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("pull model manifest: file does not exist", ModelGone, "no such model"),
        ("write /models/blobs/sha256-ab-partial: no space left on device", Unavailable, "OLLAMA_MODELS"),
        ("pull model manifest: 412: It requires a newer version of Ollama.", Unavailable, "upgrade the server"),
        ("pull model manifest: unauthorized", AuthFailed, "ollama signin"),
        ("pull model manifest: 401: access denied", AuthFailed, "ollama signin"),
        ("ollama cloud is disabled: remote model details are unavailable", ConfigError, "OLLAMA_NO_CLOUD"),
        ("open /models/blobs/sha256-ab-partial: permission denied", Unavailable, "may not write"),
        ("insecure protocol http", InvalidRequest, "insecure"),
    ],
)
async def test_what_stays_as_it_is_ends_it(
    opened: Open, vendor: Vendor, text: str, kind: type[PointsmanError], words: str
) -> None:
    vendor.script(failing(text), on="pull")
    async with opened(vendor.base_url) as session:
        with pytest.raises(PointsmanError, match=words) as caught:
            await pull(session)
    assert (type(caught.value), caught.value.retryable) == (kind, False)
    assert str(caught.value.target) == "ollama/small"
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    "text",
    [
        SIGNED,
        "max retries exceeded: unexpected EOF",
        "digest mismatch, file must be downloaded again: want sha256:a, got sha256:b",
        "pull model manifest: Get https://registry.ollama.ai/v2/: dial tcp: lookup registry.ollama.ai: no such host",
        "pull model manifest: 503: overloaded",
    ],
)
async def test_what_may_pass_is_gone_on_from(opened: Open, vendor: Vendor, text: str) -> None:
    vendor.script(failing(text), on="pull")
    async with opened(vendor.base_url) as session:
        told = await pull(session)
    assert told[-1].status == "success"
    (interruption,) = [one.interruption for one in told if one.interruption]
    assert type(interruption) is Unavailable
    assert "X-Amz-Signature" not in str(interruption)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(404, b"404 page not found"), ConfigError),
        (Fault(403, b""), ConfigError),
        (Fault(401), AuthFailed),
        (Fault(503), Unavailable),
        (Fault(500, {"error": f"{KEY} is odd"}), Unavailable),
        (Hangup(), Unavailable),
    ],
)
async def test_what_has_not_begun_is_not_asked_for_again(
    opened: Open, vendor: Vendor, fault: Any, kind: type[PointsmanError]
) -> None:
    vendor.script(fault, on="pull")
    async with opened(vendor.base_url, api_key=KEY) as session:
        with pytest.raises(PointsmanError) as caught:
            await pull(session)
    assert type(caught.value) is kind
    assert KEY not in str(caught.value)
    assert len(vendor.requests) == 1


async def test_a_stall_has_an_end(opened: Open, vendor: Vendor) -> None:
    vendor.script(Usual().stall(after=4), Usual(wait=1e6), Usual().stall(after=3), on="pull")
    async with opened(vendor.base_url) as session:
        told = await pull(session, stall=0.2)
        assert [type(one.interruption) for one in told if one.interruption] == [Stalled] * 3
        assert told[-1].status == "success"
        vendor.script(Usual(wait=1e6), on="pull")
        with pytest.raises(Stalled, match=r"within 0\.2 s"):
            await pull(session, stall=0.2)


async def test_lines_without_news_are_a_stall(opened: Open, vendor: Vendor) -> None:
    """The server goes on writing lines while nothing comes to it."""
    line = b'{"status":"pulling abc","digest":"sha256:abc","total":9,"completed":4}\n'
    vendor.script(Raw(line * 1000, content_type="application/x-ndjson").drip(len(line), every=0.06), on="pull")
    async with opened(vendor.base_url) as session:
        with pytest.raises(Stalled, match="nothing new"):
            await pull(session, stall=0.2, resumes=0)
        assert vendor.requests[0].sent > 5 * len(line)
        with anyio.fail_after(2):
            await vendor.requests[0].gone.wait()


async def test_leaving_early_and_being_cancelled_stop_it(opened: Open, vendor: Vendor) -> None:
    vendor.script(Usual().stall(after=2), Usual().stall(after=2), on="pull")
    async with opened(vendor.base_url) as session:
        async with session.server.pull("small") as progress:
            assert (await anext(progress)).status == "pulling manifest"
        with anyio.move_on_after(0.1):
            await pull(session)
        with anyio.fail_after(2):
            await vendor.requests[0].gone.wait()
            await vendor.requests[1].gone.wait()


async def test_what_is_not_pulled(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url) as session:
        with pytest.raises(InvalidRequest, match="name a model"):
            await pull(session, " ")
    async with opened("https://ollama.com", api_key=KEY) as session:
        with pytest.raises(InvalidRequest, match=r"nothing is pulled at ollama\.com"):
            await pull(session, "gpt-oss:120b")
    assert not vendor.requests
