"""ollama.com, asked itself or through a server: what it says means the same, and who else is to blame differs."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Literal, TypeAlias

import pytest

from pointsman import (
    AsyncClient,
    AuthFailed,
    ChatRequest,
    ConfigError,
    EmbedRequest,
    Exact,
    Finished,
    HealthState,
    InvalidRequest,
    ModelGone,
    PointsmanError,
    QuotaExhausted,
    RateLimited,
    Scope,
    Settings,
    StreamBroken,
    Target,
    Unavailable,
    Unknown,
    user,
)
from pointsman_ollama import OllamaConfig
from pointsman_ollama.config import cloud_name
from pointsman_ollama.errors import response_error
from pointsman_ollama.request import chat_body
from pointsman_testing import Answer, Fault, Lab, OllamaApi, Raw, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]
Way: TypeAlias = Literal["direct", "stub", "passed on"]

KEY = "6f1b0c1e7e1c4f5e9b640a6f0c5f2a11"
STUB: Any = {"name": "gpt-oss:120b-cloud", "remote_model": "gpt-oss:120b", "remote_host": "https://ollama.com:443"}
RENAMED: Any = {**STUB, "name": "mine:latest"}


@pytest.mark.parametrize(
    ("model", "there"),
    [
        ("gpt-oss:120b-cloud", "gpt-oss:120b"),
        ("gpt-oss:120b:cloud", "gpt-oss:120b"),
        ("qwen3:cloud", "qwen3"),
        ("qwen3:Cloud", "qwen3"),
        ("jane/qwen3:8b-CLOUD", "jane/qwen3:8b"),
        ("word-cloud", None),
        ("word-cloud:7b", None),
        ("registry:80/word-cloud", None),
        ("gpt-oss:120b", None),
        ("gpt-oss:120b:local", None),
    ],
)
def test_names(model: str, there: str | None) -> None:
    assert cloud_name(model) == there


HOURLY = "you've reached your hourly usage limit, please wait or upgrade to continue"
SESSION = "you (jane-doe) have reached your session usage limit, upgrade for higher limits: https://ollama.com/upgrade"
WEEKLY = SESSION.replace("session", "weekly") + " (ref: 1b2c)"
MONTHLY = SESSION.replace("session", "monthly")
PAID = "this model requires a subscription, upgrade for access: https://ollama.com/upgrade"
SIGN_IN = {"error": "unauthorized", "signin_url": "https://ollama.com/connect?name=janes-box&key=c3NoLWVk"}
BUSY = "too many concurrent requests"


def said(status: int, body: Any, way: Way, headers: dict[str, str] | None = None) -> PointsmanError:
    """What is made of a refusal: a stub's has the shape of a Go struct."""
    if way == "stub" and isinstance(body, dict) and "signin_url" not in body:
        body = {"StatusCode": status, "Status": f"{status} Odd", **body}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    base_url = "https://ollama.com" if way == "direct" else "http://127.0.0.1:11434"
    model = {"direct": "gpt-oss:120b", "stub": "mine", "passed on": "gpt-oss:120b-cloud"}[way]
    target = Target("ollama", model)
    return response_error(status, headers or {}, content, base_url=base_url, now=0.0, wall=0.0, target=target)


@pytest.mark.parametrize("way", ["direct", "stub", "passed on"])
@pytest.mark.parametrize(
    ("status", "body", "kind", "direct"),
    [
        (401, SIGN_IN, AuthFailed, Scope.PROVIDER),
        (402, {"error": "payment required"}, QuotaExhausted, Scope.PROVIDER),
        (402, {"error": SESSION}, QuotaExhausted, Scope.PROVIDER),
        (403, {"error": PAID}, QuotaExhausted, Scope.TARGET),
        (403, {"error": SESSION}, QuotaExhausted, Scope.PROVIDER),
        (404, {"error": "model 'gpt-oss:120b' not found"}, ModelGone, Scope.TARGET),
        (410, {"error": "this model was retired"}, ModelGone, Scope.TARGET),
        (429, {"error": HOURLY}, QuotaExhausted, Scope.PROVIDER),
        (429, {"error": SESSION}, QuotaExhausted, Scope.PROVIDER),
        (429, {"error": WEEKLY}, QuotaExhausted, Scope.PROVIDER),
        (429, {"error": MONTHLY}, QuotaExhausted, Scope.PROVIDER),
        (502, {"error": "dial tcp: lookup ollama.com: no such host"}, Unavailable, Scope.TARGET),
        (503, {"error": "overloaded"}, Unavailable, Scope.TARGET),
        (524, b"<html><title>A timeout occurred</title></html>", Unavailable, Scope.TARGET),
    ],
)
def test_what_it_says(status: int, body: Any, kind: type[PointsmanError], direct: Scope, way: Way) -> None:
    """Where a server passes it on, that server's own models still answer."""
    error = said(status, body, way)
    assert (type(error), error.status) == (kind, status)
    plain = {402: "payment required"}.get(status) == (body.get("error") if isinstance(body, dict) else "")
    if way == "direct" or (way == "stub" and plain):  # Which a proxy may say, too, of the whole server.
        assert error.scope is direct
    else:
        assert error.scope is Scope.TARGET
    if kind is QuotaExhausted:
        assert not error.retryable  # It is no rate: within minutes nothing changes.
    for private in ("jane", "c3NoLWVk", "connect?"):
        assert private not in str(error)


@pytest.mark.parametrize("way", ["direct", "passed on"])
def test_rates_are_no_quota(way: Way) -> None:
    error = said(429, {"error": BUSY}, way, {"retry-after": "7"})
    assert (type(error), error.retryable, error.retry_at) == (RateLimited, True, 7.0)
    assert error.scope is (Scope.PROVIDER if way == "direct" else Scope.TARGET)


def test_what_to_do_about_it() -> None:
    assert "OLLAMA_API_KEY" in str(said(401, {"error": "unauthorized"}, "direct"))
    assert "`ollama signin`" in str(said(401, SIGN_IN, "stub"))
    assert "ollama pull" not in str(said(404, {"error": "model 'gpt-oss:120b' not found"}, "direct"))
    disabled = said(403, {"error": "ollama cloud is disabled: remote inference is unavailable"}, "passed on")
    assert (type(disabled), disabled.scope) == (ConfigError, Scope.TARGET)
    assert "OLLAMA_NO_CLOUD" in str(disabled)


def test_what_is_not_its_api() -> None:
    bare = said(403, b"", "direct")
    assert type(bare) is AuthFailed  # No loopback there that could mind a name.
    wrong = said(404, b"<html><title>Not found</title></html>", "direct")
    assert type(wrong) is ConfigError
    assert "https://ollama.com, without /api" in str(wrong)
    passed_on = said(404, b"<html><title>Not found</title></html>", "passed on")
    assert type(passed_on) is ModelGone
    assert type(said(404, b"404 page not found", "passed on")) is ConfigError  # The server's own word.


async def ask(session: Any, model: str, **how: Any) -> list[Any]:
    async with session.stream(ChatRequest(messages=(user("hi"),), model=model, **how)) as events:
        return [event async for event in events]


async def test_without_a_key_nothing_is_sent(opened: Open) -> None:
    async with opened("https://ollama.com") as session:
        for asking in (ask(session, "gpt-oss:120b"), session.embed(EmbedRequest("e", ("a",)))):
            with pytest.raises(ConfigError, match="OLLAMA_API_KEY") as caught:
                await asking
            assert (caught.value.missing, caught.value.begun) == (True, False)
        health = await session.health()
        assert (health.state, type(health.error)) == (HealthState.DOWN, ConfigError)
        assert "OLLAMA_API_KEY" in health.reason


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab's vendors are taken for ollama.com."""
    for module in ("session", "server", "health", "errors"):
        monkeypatch.setattr(f"pointsman_ollama.{module}.is_cloud", lambda _: True)
    monkeypatch.setattr("pointsman_ollama.is_cloud", lambda _: True)


@pytest.mark.usefixtures("there")
async def test_asked_itself(opened: Open, lab: Lab) -> None:
    """By plain names, with a key, for all it has: neither a context nor a time to stay is its user's affair."""
    models = [{"name": "gpt-oss:120b", "context_length": 131_072}]
    vendor = lab.vendor("cloud", dialect=OllamaApi(rich_tags=False, num_ctx=131_072), models=models, api_key=KEY)
    async with opened(vendor.base_url, api_key=KEY, num_ctx=4096, keep_alive="5m") as session:
        for name in ("gpt-oss:120b", "gpt-oss:120b-cloud", "gpt-oss:120b:cloud"):
            assert isinstance((await ask(session, name))[-1], Finished)
            assert vendor.requests[-1].json["model"] == "gpt-oss:120b"
            assert not {"options", "keep_alive"} & set(vendor.requests[-1].json)
        (model,) = await session.models()
        assert (model.id, model.context_tokens, model.price) == ("gpt-oss:120b", 131_072, None)
        assert "local" not in (model.capabilities or ())
        health = await session.health()
        assert (health.state, "whether it takes the key" in health.reason) == (HealthState.UP, True)
        for doing in (session.server.load("gpt-oss:120b"), session.server.unload("gpt-oss:120b")):
            with pytest.raises(InvalidRequest, match=r"at ollama\.com"):
                await doing
    paths = {request.path for request in vendor.requests}
    assert paths == {"/api/chat", "/api/tags", "/api/show"}  # Neither what is loaded there, nor its version.


@pytest.mark.usefixtures("there")
async def test_a_key_that_it_does_not_take(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("cloud", dialect=OllamaApi(), models=["m"], api_key="another")
    async with opened(vendor.base_url, api_key=KEY) as session:
        with pytest.raises(AuthFailed, match="OLLAMA_API_KEY") as caught:
            await ask(session, "m")
        assert KEY not in str(caught.value)
        with pytest.raises(AuthFailed):
            await session.models()
        health = await session.health()
        assert (health.state, type(health.error)) == (HealthState.DOWN, AuthFailed)


async def test_through_a_server(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("o", dialect=OllamaApi(load=1e6), models=[STUB, RENAMED])
    async with opened(vendor.base_url, num_ctx=4096, keep_alive="5m") as session:
        assert (await session.health()).state is HealthState.UP  # Nothing there is ever cold.
        for name in ("gpt-oss:120b-cloud", "other:7b:cloud"):
            assert isinstance((await ask(session, name))[-1], Finished)
            assert vendor.requests[-1].json["model"] == name
            assert not {"options", "keep_alive"} & set(vendor.requests[-1].json)
        infos = await session.models()
        assert [(info.context_tokens, info.price) for info in infos] == [(131_072, None)] * 2


@pytest.mark.parametrize("broken", [False, True])
async def test_a_stub_by_another_name_costs_what_nobody_knows(lab: Lab, broken: bool) -> None:
    """Each of its lines says that it comes from elsewhere."""
    vendor = lab.vendor("o", dialect=OllamaApi(), models=[RENAMED, "m"])
    vendor.script(Answer("one two three", error="upstream" if broken else None))
    settings = Settings.of({"providers": {"ollama": {"base_url": vendor.base_url}}, "engine": {"retries": 0}})
    async with AsyncClient(settings=settings) as client:
        async with client.stream("hi", model="ollama/mine") as reply:
            with suppress(StreamBroken):
                await reply.collect()
        assert reply.cost.complete is False
        assert (await client.chat("hi", model="ollama/m")).cost == Exact(0)
        if not broken:
            assert reply.cost == Unknown


async def test_what_is_to_stay_here_does_not_leave_by_a_stub(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("o", dialect=OllamaApi(), models=[RENAMED, "m", "n"])
    async with opened(vendor.base_url) as session:
        for _ in range(2):
            with pytest.raises(InvalidRequest, match="stay here") as caught:
                await ask(session, "mine", require=frozenset({"local"}))
            assert caught.value.scope is Scope.TARGET
        assert [request.path for request in vendor.requests] == ["/api/show"]
        assert isinstance((await ask(session, "m", require=frozenset({"local"})))[-1], Finished)
        vendor.script(Fault(500), on="show")
        with pytest.raises(Unavailable) as failed:  # What is not known is not sent.
            await ask(session, "n", require=frozenset({"local"}))
        assert not failed.value.begun


SPENT_LATE = b'{"model":"mine","remote_host":"x","message":{"role":"assistant","content":"a"},"done":false}\n'


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (json.dumps({"StatusCode": 429, "Status": "429", "error": WEEKLY}).encode(), QuotaExhausted),
        (SPENT_LATE + json.dumps({"error": WEEKLY}).encode(), StreamBroken),
        (SPENT_LATE + b'{"error":"unauth', StreamBroken),
    ],
)
async def test_a_last_word_without_a_newline(opened: Open, vendor: Vendor, body: bytes, kind: type[Exception]) -> None:
    """A stub's error follows the lines that were sent, under their status, and nothing ends it."""
    vendor.script(Raw(body, content_type="application/x-ndjson"))
    async with opened(vendor.base_url) as session:
        with pytest.raises(kind) as caught:
            await ask(session, "m")
    assert "jane" not in str(caught.value)


@pytest.mark.parametrize(
    ("dialect", "kind"),
    [
        (OllamaApi(cloud=False), ConfigError),
        (OllamaApi(signed_in=False), AuthFailed),
        (OllamaApi(spent=WEEKLY), QuotaExhausted),
    ],
)
async def test_a_server_whose_cloud_is_shut_still_answers(lab: Lab, dialect: OllamaApi, kind: type[Exception]) -> None:
    """One call asks both; the first refusal does not shut the provider."""
    vendor = lab.vendor("o", dialect=dialect, models=[STUB, "m"])
    settings = Settings.of({"providers": {"ollama": {"base_url": vendor.base_url}}})
    async with AsyncClient(settings=settings) as client:
        reply = await client.chat("hi", model=["ollama/gpt-oss:120b-cloud", "ollama/m"])
        assert str(reply.target) == "ollama/m"
        with pytest.raises(kind):
            await client.chat("hi", model="ollama/gpt-oss:120b-cloud")


def test_what_is_asked_elsewhere() -> None:
    request = ChatRequest(messages=(user("hi"),), model="m", extra={"keep_alive": "1h"})
    config = OllamaConfig(num_ctx=4096, keep_alive="5m")
    assert "options" not in chat_body(request, config, elsewhere=True)
    assert chat_body(request, config, elsewhere=True)["keep_alive"] == "1h"  # Whoever says so, has it.
