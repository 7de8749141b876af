"""The door for applications: ask, and get a stream or a whole answer."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, TypedDict, Unpack

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import current_token

from .asking import as_embed_request, as_request, as_tags, check_more_than_none, kind_of, schema_reader
from .choosing import Chooser, Model
from .config import Engine, Settings, ledger_url, without_password
from .engine.checks import check_all
from .engine.clock import loop_clock
from .engine.connections import CLOSING_GRACE, Connections
from .engine.embedding import Embedding
from .engine.health import Budget, Caps, Health
from .engine.health.conversations import Beginning
from .engine.health.machines import Machines
from .engine.roster import Roster
from .engine.runner import Call
from .engine.terms import Leg, Limits, OnBreak
from .engine.warming import Warmer
from .errors import ConfigError, InvalidRequest, PointsmanError
from .fanning import FanAnswer
from .ledger import Ledger
from .ledger.bookkeeper import Bookkeeper
from .plugins import HookCallables, Plugins
from .policy import Decision
from .provider import Embeddings
from .provider import Health as HealthReport
from .recording import Recorder
from .remembering import Memory
from .reply import Reply, StreamedReply, SyncStreamedReply, UnopenedStream
from .telemetry import CallRecord
from .types import ChatRequest, Message, Priority, Target, Tool

Prompt: TypeAlias = str | Sequence[Message] | ChatRequest

COLLECTED_DEADLINE = 600.0
"""Seconds for a collected answer where nobody set a deadline: nothing may hang, and no reader is there to leave."""
START_DEADLINE = 1_200.0
"""The same for a machine that is started ahead of time: the first start of all may take a quarter of an hour."""


class Options(TypedDict, total=False):
    """What a call may say besides its prompt. What is left out comes from the configuration."""

    model: Model
    """``provider/model`` pins one target, a list gives the order, ``auto`` or nothing asks the policy."""
    system: str
    max_tokens: int
    temperature: float
    top_p: float
    stop: str | Sequence[str]
    seed: int
    reasoning_effort: str
    tools: Sequence[Tool]
    tool_choice: str
    response_schema: Any
    """A pydantic model class, or a JSON Schema as a mapping."""
    extra: Mapping[str, Any]
    priority: Priority
    task: str
    require: Iterable[str]
    tags: Mapping[str, str]
    deadline: float
    """Seconds for the whole call."""
    first_token: float
    """Seconds to the first output of each attempt."""
    stall: float
    """Seconds between two outputs."""
    min_speed: float
    """Characters a second, over 10 seconds."""
    max_wait: float
    """Seconds that it may wait for a cooldown to end, if nobody else can be asked."""
    on_break: Literal["raise", "restart", "continue"]


class AsyncClient:
    """Streams prompts through providers. Use as ``async with``, in one event loop; it closes what it opened.

    Without arguments it uses every installed plugin and the configuration of this process.
    """

    def __init__(self, *, settings: Settings | None = None, plugins: Plugins | None = None) -> None:
        _check_kind("settings", settings, Settings, "pointsman.Settings.of({...})")
        _check_kind("plugins", plugins, Plugins, "pointsman.Plugins.installed() or pointsman.Plugins.of(...)")
        self._settings = Settings.discover() if settings is None else settings
        disabled = self._settings.plugins.disable
        self._plugins = Plugins.installed(disabled=disabled) if plugins is None else plugins.without(disabled)
        self._roster = Roster(self._settings, self._plugins)
        self._recorder = Recorder([], None)
        self._group: TaskGroup | None = None
        self._connections: Connections | None = None
        self._calls: set[Call] = set()
        self._clock: Callable[[], float] = time.monotonic
        self._chooser = Chooser(self._settings, self._plugins, self._roster)
        self._warmer: Warmer | None = None
        self._health = Health(machines=Machines(self._roster.machines, threading.Lock()))
        self._memory = Memory(None, self._clock, self._health.machines)

    async def __aenter__(self) -> Self:
        """Load wrappers and sinks; open nothing yet. Raises `PluginError` if one of them is broken."""
        if self._group is not None:
            raise ConfigError("this client is open already: one `async with` for each client")
        self._roster.check_named()
        wrappers = self._plugins.wrappers(self._settings.plugins.wrappers)
        recorder = self._new_recorder()
        self._clock = loop_clock()
        self._loop = current_token()
        group = anyio.create_task_group()
        connections = Connections(self._roster, wrappers, group, self._clock)
        self._health, every = self._new_health(connections), self._settings.engine.health_checks
        self._memory = Memory(recorder.book, self._clock, self._health.machines)
        self._warmer = Warmer(connections, self._health.machines, self._clock)
        await group.__aenter__()  # Nothing below may raise, since nobody would leave the group.
        self._group, self._connections, self._recorder = group, connections, recorder
        if every:
            group.start_soon(check_all, connections, self._health, self._clock, every)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection, and write down what calls came to. The group is not told what the body raised, so as
        not to wrap it.
        """
        group, connections = self._group, self._connections
        assert group is not None
        assert connections is not None
        self._group = self._connections = None
        try:
            calls = list(self._calls)
            for call in calls:
                call.abandon(ConfigError("the client was closed under this stream: read it before"))
            with anyio.move_on_after(CLOSING_GRACE):
                for call in calls:
                    await call.ended()
            if self._warmer is not None:
                with anyio.move_on_after(CLOSING_GRACE):
                    await self._warmer.close()
            await connections.close()
        finally:
            group.cancel_scope.cancel()
            try:
                await group.__aexit__(None, None, None)
            finally:
                await self._recorder.close()

    async def flush(self) -> None:
        """Wait until every call that has ended is in the ledger, so that it survives the end of this process.

        Needed by who reads the ledger while the client is open: closing does it, too. Raises `StoreError` if some call
        is not there, after a few seconds at most; calls go on, and what waits is tried again. Returns at once if no
        ledger is kept.
        """
        self._open_connections()
        await self._recorder.flush()

    def stream(self, prompt: Prompt, **options: Unpack[Options]) -> UnopenedStream:
        """Ask, and read the answer as it comes. Leaving the block ends whatever still runs.

        Entering raises `ConfigError`, `PluginError` or `NoCandidates`; iterating raises the rest of the error tree.
        """
        return UnopenedStream(self._call(prompt, options, collected=False))

    async def chat(self, prompt: Prompt, **options: Unpack[Options]) -> Reply:
        """Ask, and get the whole answer: a collected stream. An answer that breaks is started anew by default.

        Raises the error tree of `pointsman.errors`, with the records of its `attempts`.
        """
        reply: StreamedReply | None = None
        try:
            async with self._call(prompt, options, collected=True) as reply:
                return await reply.collect()
        except PointsmanError as error:
            if reply is not None:  # All have ended by now, so that each cost is there.
                error.attempts = reply.attempts
            raise

    async def embed(
        self,
        texts: str | Iterable[str],
        *,
        model: str | Target,
        deadline: float = COLLECTED_DEADLINE,
        tags: Mapping[str, str] | None = None,
    ) -> Embeddings:
        """A vector for each text, of one model. Nobody else is asked: vectors of two models cannot be compared.

        Raises `InvalidRequest` for what cannot be embedded, `DeadlineExceeded` after `deadline` seconds, and what the
        provider raised.
        """
        connections, at = self._open_connections(), time.time()
        decision = self._chooser.pinned(model)
        target, *others = decision.order
        if others:
            raise InvalidRequest("texts are embedded by one model: vectors of two cannot be compared")
        request = as_embed_request(texts, target.model, deadline)
        tags = as_tags({} if tags is None else tags)
        one = Embedding(request, target, connections, self._clock, self._roster.redactor.error)
        call_id = uuid.uuid4().hex
        try:
            self._recorder.begin(call_id)
            return await one.run(deadline)
        finally:
            self._recorder.embedding(call_id, one, decision, tags, at)

    async def rate(self, reply: Reply | StreamedReply | SyncStreamedReply | str, score: float) -> None:
        """Say how good an answer was, from 0 to 1: policies hear of it, and the ledger keeps it. The last score of an
        answer counts. `reply` is the answer, or the id of its call, which may be another process's with this ledger.

        Raises `InvalidRequest` for a score that is none, a call that is not known, or one of this client's without an
        answer. Only for a call that this client has not made lately the ledger is waited for: then it raises
        `StoreError`, too, and what is kept with a call that has no answer says nothing.
        """
        self._open_connections()
        if not _is_share(score):
            raise InvalidRequest(f"a score is a number from 0 to 1, not {score!r}")
        call_id = getattr(reply, "call_id", reply)
        if not isinstance(call_id, str):
            raise InvalidRequest(f"what is rated is a reply, or the id of its call, not {reply!r}")
        await self._memory.rate(call_id, float(score))

    def record(self, request: ChatRequest, target: Target, answer: FanAnswer) -> CallRecord:
        """Write down a call that a provider's `FanOut` has made. Sinks and the ledger take it like one of this
        client's, with one attempt at `target`, which ended just now and took `answer.seconds`; a policy hears of it
        through the ledger, as of calls of other processes. Keys are taken out of the answer's error, in place. It
        returns at once.
        """
        self._open_connections()
        if answer.error is not None:
            self._roster.redactor.error(answer.error)
        call_id = uuid.uuid4().hex
        self._recorder.begin(call_id)
        return self._recorder.elsewhere(call_id, request, target, answer, self._clock(), time.time())

    async def connect(self, provider: str) -> HookCallables:
        """What an open provider can do, wrappers included: its health, its models; and its session, for what no hook
        asks about. Raises what opening it raised.
        """
        return await self._open_connections().open(provider)

    async def warm(self, target: str | Target, *, deadline: float = START_DEADLINE) -> HealthReport:
        """Have a machine of `target` started, so that the next request finds it ready, and wait until it is. It is
        billed from its start on. What is returned says ``up``, or why it is not.

        Raises `ConfigError` for a target whose provider starts no machines, `DeadlineExceeded` after `deadline`
        seconds, and what opening or starting it raised.
        """
        self._open_connections()
        assert self._warmer is not None
        check_more_than_none("deadline", deadline)
        decision = self._chooser.pinned(target)
        return await self._warmer.warm(decision.order[0], deadline)

    @property
    def roster(self) -> Roster:
        """The providers of this configuration, on paper."""
        return self._roster

    def decide(self, prompt: Prompt, **options: Unpack[Options]) -> Decision:
        """Where `prompt` would go, and why. Opens nothing but, where the client is not open, the ledger, which it reads
        for half a second at most. Raises `ConfigError`, `PluginError` or `NoCandidates`.
        """
        request, model = as_request(prompt, options, Engine.model_fields), options.get("model")
        if self._group is None and self._chooser.asks_policy(model):
            self._chooser.recall(self._memory)
        read = self._memory.beginnings(request.messages)
        return self._chooser.decide(request, model, read, self._memory, self._health)

    # ---------------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _call(self, prompt: Prompt, options: Options, *, collected: bool) -> AsyncGenerator[StreamedReply]:
        connections, at = self._open_connections(), time.time()
        request = as_request(prompt, options, Engine.model_fields)
        model, read = options.get("model"), list[Beginning]()
        if self._chooser.asks_policy(model) and self._group is not None:
            await self._memory.ready(self._group)
            read = self._memory.beginnings(request.messages)
        decision = self._chooser.decide(request, model, read, self._memory, self._health)
        if decision.prewarm and self._settings.routing.prewarm and self._warmer and self._group:
            self._warmer.hint(decision.prewarm, self._memory.rate_of_calls(), self._group)
        limits = self._limits(request, options, collected=collected)
        plan, redact = self._plan(decision), self._roster.redactor.error
        call = Call(request, plan, limits, connections, self._health, self._clock, redact)
        reply = StreamedReply(
            call,
            uuid.uuid4().hex,
            decision,
            self._clock,
            restarts=limits.on_break == "restart" or limits.may_retract,
            read_schema=schema_reader(options.get("response_schema") or request.response_schema),
        )
        self._calls.add(call)
        try:
            self._recorder.begin(reply.call_id)
            async with call:
                yield reply
        finally:
            self._calls.discard(call)
            self._memory.note(self._recorder.chat(call, reply, at))
            if read and call.finished and reply.target:
                self._memory.answered(read, reply.target)

    def _new_recorder(self) -> Recorder:
        """Sinks are loaded, since a broken one is fatal; the ledger is opened by its own thread with the first call."""
        choice, url, plugins, book = self._settings.ledger, ledger_url(self._settings), self._plugins, None
        if url is not None:

            def opened() -> Ledger:
                from .ledgers import open_ledger

                return open_ledger(url, plugins=plugins)

            book = Bookkeeper(opened, without_password(url), keep_days=choice.keep_days)
        return Recorder(plugins.sinks(), book, texts=choice.texts, redact=self._roster.redactor.text)

    def _open_connections(self) -> Connections:
        if self._connections is None:
            raise ConfigError("the client is not open: use `async with pointsman.AsyncClient() as client:`")
        if current_token() != self._loop:
            raise ConfigError("this client belongs to another event loop: make one for each loop")
        return self._connections

    def _plan(self, decision: Decision) -> list[Leg]:
        legs: list[Leg] = []
        now = self._clock()
        for target in decision.order:
            model, family = self._roster.model(target), self._roster.family(target)
            context = model.context_tokens if model else None
            prefill = "prefill" in self._roster.capabilities(target)
            wait = self._health.machines.wait(target, now) or 0.0
            legs.append(Leg(target, context, family.cold_start, family.idempotent, prefill, family.silence, wait))
        return legs

    def _limits(self, request: ChatRequest, options: Options, *, collected: bool) -> Limits:
        engine = self._settings.engine
        deadline = request.deadline or engine.deadline
        otherwise: OnBreak = "restart" if collected else "raise"
        on_break = options.get("on_break") or engine.on_break or otherwise
        if on_break == "continue" and (request.tools or request.response_schema is not None):
            on_break = otherwise  # Half a call of a tool, or half a document, is nothing to go on with.
        return Limits(
            deadline=COLLECTED_DEADLINE if deadline is None and collected else deadline,
            first_token=options.get("first_token") or engine.first_token,
            stall=options.get("stall") or engine.stall,
            min_speed=options.get("min_speed") or engine.min_speed,
            max_attempts=engine.max_attempts,
            retries=engine.retries,
            max_wait=engine.max_wait if (wait := options.get("max_wait")) is None else wait,
            on_break=on_break,
            may_retract=on_break == "continue" and collected,
            hedge=engine.hedge > 0 and not request.tools,
        )

    def _new_health(self, connections: Connections) -> Health:
        engine, limits = self._settings.engine, self._settings.limits
        caps = {name: Caps(concurrent=one.concurrent, rpm=one.rpm, tpm=one.tpm) for name, one in limits.items()}
        return Health(
            lambda name: caps.get(name, Caps()),
            connections.limits,
            retries=Budget.of_retries(engine.retry_budget),
            hedges=Budget.of_hedges(engine.hedge),
            machines=Machines(self._roster.machines, threading.Lock()),
        )


def _is_share(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given <= 1


def _check_kind(name: str, given: object, kind: type, made_by: str) -> None:
    """Raises `ConfigError`: a mistake here shows in the client's inside otherwise, far from what was written."""
    if given is not None and not isinstance(given, kind):
        raise ConfigError(f"{name} is {made_by}, not {kind_of(given)}")
