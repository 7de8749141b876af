"""What calls of deployed functions call. A Python callable of the test stands for the container."""

# ruff: noqa: N802 - methods have the names of RPCs

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import modal.exception
from grpclib import GRPCError, Status
from modal._serialization import deserialize_data_format, serialize, serialize_data_format
from modal_proto import api_pb2 as api

from .memory import Function, Memory

MOST_OUTPUTS = 49
"""In one reply, as many as the SDK puts into one request."""


class Died(Exception):
    """A container has ended while it answered, as one does that runs out of memory."""


@dataclass
class Call:
    """One call of a function: one input, or those of a map."""

    call_id: str
    function: Function
    outputs: list[api.FunctionGetOutputsItem] = field(default_factory=list)
    inputs: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    yielded: list[Any] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False

    def change(self) -> None:
        """Wake who waits."""
        self.changed.set()
        self.changed = asyncio.Event()


class Calling:
    """`bodies` are by name, of a function or of a method: what a container does with the arguments of an input."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.bodies: dict[str, Callable[..., Any]] = {}
        self.served: list[tuple[str, str]] = []
        """Container and input, in the order in which they were begun."""
        self._calls: dict[str, Call] = {}
        self._free: dict[str, asyncio.Queue[str]] = {}
        self._threads = ThreadPoolExecutor(64, thread_name_prefix="container")

    def close(self) -> None:
        for call in self._calls.values():
            for task in call.tasks:
                task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def FunctionMap(self, request: Any) -> Any:
        function = self._memory.by_id(request.function_id)
        if self._memory.apps[function.app_id].state != api.APP_STATE_DEPLOYED:
            raise GRPCError(Status.FAILED_PRECONDITION, "The app is stopped")
        call = Call(self._memory.new_id("fc"), function)
        self._calls[call.call_id] = call
        taken = [self._take(call, item) for item in request.pipelined_inputs]
        return api.FunctionMapResponse(
            function_call_id=call.call_id, pipelined_inputs=taken, function_call_jwt="jwt", max_inputs_outstanding=1000
        )

    async def FunctionPutInputs(self, request: Any) -> Any:
        call = self._calls[request.function_call_id]
        return api.FunctionPutInputsResponse(inputs=[self._take(call, item) for item in request.inputs])

    async def FunctionGetOutputs(self, request: Any) -> Any:
        call = self._calls[request.function_call_id]
        begin = int(request.last_entry_id.partition("-")[0] or 0)
        loop = asyncio.get_running_loop()
        until = loop.time() + request.timeout
        while True:
            new = call.outputs[begin:][:MOST_OUTPUTS]
            if request.HasField("start_idx"):
                new = [item for item in call.outputs if request.start_idx <= item.idx <= request.end_idx]
            left = until - loop.time()
            if new or left <= 0:
                return api.FunctionGetOutputsResponse(
                    outputs=new,
                    last_entry_id=f"{begin + len(new)}-0",
                    num_unfinished_inputs=call.inputs - len(call.outputs),
                )
            with suppress(TimeoutError):
                await asyncio.wait_for(call.changed.wait(), left)

    async def FunctionCallGetDataOut(self, request: Any) -> AsyncIterator[Any]:
        call = self._calls[request.function_call_id]
        index = request.last_index
        while True:
            for value in call.yielded[index:]:
                index += 1
                done = isinstance(value, api.GeneratorDone)
                kind = api.DATA_FORMAT_GENERATOR_DONE if done else api.DATA_FORMAT_PICKLE
                yield api.DataChunk(data=serialize_data_format(value, kind), data_format=kind, index=index)
                if done:
                    return
            if len(call.outputs) == call.inputs:
                return
            await call.changed.wait()

    async def FunctionCallCancel(self, request: Any) -> None:
        call = self._calls[request.function_call_id]
        call.cancelled = True
        for task in call.tasks:
            task.cancel()

    @property
    def cancelled(self) -> list[str]:
        """Ids of the calls that somebody has ended."""
        return [call.call_id for call in self._calls.values() if call.cancelled]

    def _take(self, call: Call, item: Any) -> Any:
        input_id = self._memory.new_id("in")
        call.inputs += 1
        task = asyncio.get_running_loop().create_task(self._work(call, item, input_id))
        call.tasks.add(task)
        task.add_done_callback(call.tasks.discard)
        return api.FunctionPutInputsResponseItem(idx=item.idx, input_id=input_id, input_jwt=f"jwt-{input_id}")

    async def _work(self, call: Call, item: Any, input_id: str) -> None:
        """One input, as soon as a container is free."""
        free = self._containers(call.function)
        container, result, kind = "", None, api.DATA_FORMAT_PICKLE
        try:
            container = await free.get()
            self.served.append((container, input_id))
            result, kind = await self._answer(call, item.input, input_id)
        except asyncio.CancelledError:
            result = _failure(api.GenericResult.GENERIC_STATUS_TERMINATED, "The input was cancelled")
        finally:
            if container:
                free.put_nowait(container)
            call.outputs.append(
                api.FunctionGetOutputsItem(
                    result=result, idx=item.idx, input_id=input_id, task_id=container, data_format=kind
                )
            )
            call.change()

    async def _answer(self, call: Call, given: Any, input_id: str) -> tuple[api.GenericResult, int]:
        loop = asyncio.get_running_loop()
        try:
            body = self.bodies[given.method_name or call.function.name]
            args, kwargs = deserialize_data_format(given.args, given.data_format, None)
            value = await loop.run_in_executor(self._threads, lambda: body(*args, **kwargs))
            if not inspect.isgenerator(value):
                return _success(serialize(value)), api.DATA_FORMAT_PICKLE
            for chunk in value:
                call.yielded.append(chunk)
                call.change()
            done = api.GeneratorDone(items_total=len(call.yielded))
            call.yielded.append(done)
            return _success(done.SerializeToString()), api.DATA_FORMAT_GENERATOR_DONE
        except modal.exception.FunctionTimeoutError as error:
            return _failure(api.GenericResult.GENERIC_STATUS_TIMEOUT, str(error)), api.DATA_FORMAT_PICKLE
        except modal.exception.InternalFailure as error:
            return _failure(api.GenericResult.GENERIC_STATUS_INTERNAL_FAILURE, str(error)), api.DATA_FORMAT_PICKLE
        except Died as error:
            return _failure(api.GenericResult.GENERIC_STATUS_FAILURE, str(error)), api.DATA_FORMAT_PICKLE
        except Exception as error:
            failed = _failure(api.GenericResult.GENERIC_STATUS_FAILURE, repr(error))
            failed.data = serialize(error)
            return failed, api.DATA_FORMAT_PICKLE

    def _containers(self, function: Function) -> asyncio.Queue[str]:
        """As many places as the deployment gives: its containers, times the inputs of one."""
        if function.function_id not in self._free:
            queue: asyncio.Queue[str] = asyncio.Queue()
            parallel = function.data().ranked_functions[0].function.max_concurrent_inputs or 1
            names = [self._memory.new_id("ta") for _ in range(function.settings.max_containers or 4)]
            for name in names * parallel:
                queue.put_nowait(name)
            self._free[function.function_id] = queue
        return self._free[function.function_id]


def _success(data: bytes) -> api.GenericResult:
    return api.GenericResult(status=api.GenericResult.GENERIC_STATUS_SUCCESS, data=data)


def _failure(status: Any, said: str) -> api.GenericResult:
    return api.GenericResult(status=status, exception=said)
