"""The door for programs without an event loop: `Client` and `chat` do what `AsyncClient` does, and block."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Self, Unpack

from .client import COLLECTED_DEADLINE, START_DEADLINE, AsyncClient, Options, Prompt
from .config import Settings
from .engine.roster import Roster
from .loop_thread import LoopThread
from .plugins import Plugins
from .policy import Decision
from .provider import Embeddings, Health, ModelInfo
from .reply import Reply, SyncStreamedReply, UnopenedSyncStream
from .types import Target


class Client:
    """`AsyncClient` for synchronous programs: the same calls, options and errors, from any thread.

    An event loop runs in one daemon thread, from the first call until the client is closed; it minds neither a loop
    that runs in the caller's own thread (a notebook) nor callers in many threads. Use as ``with``, or call `close`.
    Where neither is done, the interpreter's exit closes it, with one `ResourceWarning`.
    """

    def __init__(self, *, settings: Settings | None = None, plugins: Plugins | None = None) -> None:
        self._client = AsyncClient(settings=settings, plugins=plugins)
        self._thread = LoopThread(self._client)

    def __enter__(self) -> Self:
        """Start the thread. Raises `PluginError` if a wrapper or a sink is broken."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_thread") and self._thread.abandon():
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)

    def close(self) -> None:
        """End what still runs, close every connection, and the thread. A second time does nothing."""
        self._thread.close()

    def stream(self, prompt: Prompt, **options: Unpack[Options]) -> UnopenedSyncStream:
        """See `AsyncClient.stream`."""
        return UnopenedSyncStream(self._stream(prompt, options))

    @contextmanager
    def _stream(self, prompt: Prompt, options: Options) -> Generator[SyncStreamedReply]:
        with self._thread.hold(partial(self._client.stream, prompt, **options)) as reply:
            yield SyncStreamedReply(reply, self._thread.soon)

    def chat(self, prompt: Prompt, **options: Unpack[Options]) -> Reply:
        """See `AsyncClient.chat`."""
        return self._thread.call(partial(self._client.chat, prompt, **options))

    def embed(
        self,
        texts: str | Iterable[str],
        *,
        model: str | Target,
        deadline: float = COLLECTED_DEADLINE,
        tags: Mapping[str, str] | None = None,
    ) -> Embeddings:
        """See `AsyncClient.embed`."""
        return self._thread.call(partial(self._client.embed, texts, model=model, deadline=deadline, tags=tags))

    def rate(self, reply: Reply | SyncStreamedReply | str, score: float) -> None:
        """See `AsyncClient.rate`."""
        self._thread.call(partial(self._client.rate, reply, score))

    def flush(self) -> None:
        """See `AsyncClient.flush`."""
        self._thread.call(self._client.flush)

    def health(self, provider: str) -> Health:
        """How `provider` is, without spending tokens. Raises what opening it or its check raised."""

        async def ask() -> Health:
            return await (await self._client.connect(provider)).health()

        return self._thread.call(ask)

    def models(self, provider: str) -> Sequence[ModelInfo]:
        """The models that `provider` offers. Raises what opening it or asking it raised."""

        async def ask() -> Sequence[ModelInfo]:
            return await (await self._client.connect(provider)).models()

        return self._thread.call(ask)

    def warm(self, target: str | Target, *, deadline: float = START_DEADLINE) -> Health:
        """See `AsyncClient.warm`."""
        return self._thread.call(partial(self._client.warm, target, deadline=deadline))

    @property
    def roster(self) -> Roster:
        """See `AsyncClient.roster`."""
        return self._client.roster

    def decide(self, prompt: Prompt, **options: Unpack[Options]) -> Decision:
        """See `AsyncClient.decide`."""
        return self._client.decide(prompt, **options)


def chat(prompt: Prompt, **options: Unpack[Options]) -> Reply:
    """Ask one thing, and get the whole answer: a `Client` for this call alone. For more than one, make a `Client`.

    Raises the error tree of `pointsman.errors`.
    """
    with Client() as client:
        return client.chat(prompt, **options)
