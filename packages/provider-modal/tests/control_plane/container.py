"""What a container calls while it runs: for its inputs, with its outputs, and of its Volume. There is one.

It is Modal's own, ``modal._container_entrypoint``, in a process on this machine, so that what was deployed is run by
what will run it.
"""

# ruff: noqa: N802 - methods have the names of RPCs

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from queue import SimpleQueue
from typing import Any

from modal._serialization import deserialize_data_format, serialize, serialize_data_format
from modal_proto import api_pb2 as api

from .memory import Memory


class Container:
    """What it is given is put here by the test's thread, and what it gives is taken there."""

    def __init__(self, memory: Memory, soon: Callable[..., Any]) -> None:
        """`soon` has the server's thread call something."""
        self.outputs: SimpleQueue[tuple[str, int]] = SimpleQueue()
        """Of each input that is over: its id, and its status."""
        self.said: list[Any] = []
        """Messages of answers to the web."""
        self.of_its_volume: list[str] = []
        self._memory = memory
        self._soon = soon
        self._inputs: asyncio.Queue[api.FunctionGetInputsItem] = asyncio.Queue()
        self._cancelled: asyncio.Queue[str] = asyncio.Queue()

    def arguments(self, app: str, name: str) -> bytes:
        """Of its process, for one function of an app."""
        function, found = self._memory.function(app, name), self._memory.app(app)
        definition = function.data().ranked_functions[0].function
        known = [self._memory.functions[one] for one in found.function_ids.values()]
        objects = [
            *(
                api.Object(object_id=one.function_id, function_handle_metadata=self._memory.handle(one))
                for one in known
            ),
            *(
                api.Object(object_id=one, class_handle_metadata=api.ClassHandleMetadata())
                for one in found.class_ids.values()
            ),
            *(api.Object(object_id=one.object_id) for one in definition.object_dependencies),
        ]
        layout = api.AppLayout(objects=objects, function_ids=found.function_ids, class_ids=found.class_ids)
        return api.ContainerArguments(
            task_id="ta-000001",
            function_id=function.function_id,
            app_id=found.app_id,
            function_def=definition,
            app_layout=layout,
            environment_name="main",
        ).SerializeToString()

    def ask(self, input_id: str, method: str, *args: Any) -> None:
        given = api.FunctionInput(args=serialize((args, {})), data_format=api.DATA_FORMAT_PICKLE, method_name=method)
        item = api.FunctionGetInputsItem(input_id=input_id, function_call_id=f"fc-{input_id}", input=given)
        self._soon(self._inputs.put_nowait, item)

    def cancel(self, input_id: str) -> None:
        self._soon(self._cancelled.put_nowait, input_id)

    def end(self, places: int) -> None:
        """As Modal ends one that is idle; it asks once for each of its `places`."""
        for _ in range(places):
            self._soon(self._inputs.put_nowait, api.FunctionGetInputsItem(kill_switch=True))

    async def ContainerHello(self, request: Any) -> None:
        """Nothing is to be said."""

    async def ContainerHeartbeat(self, request: Any) -> Any:
        """Modal answers at once, and is asked every 15 s; that would be long for a test."""
        event = api.CancelInputEvent(input_ids=[await self._cancelled.get()])
        return api.ContainerHeartbeatResponse(cancel_input_event=event)

    async def FunctionGetInputs(self, request: Any) -> Any:
        return api.FunctionGetInputsResponse(inputs=[await self._inputs.get()])

    async def FunctionPutOutputs(self, request: Any) -> None:
        for one in request.outputs:
            self.outputs.put((one.input_id, one.result.status))

    async def FunctionCallGetDataIn(self, request: Any) -> AsyncIterator[Any]:
        form, asked = api.DATA_FORMAT_ASGI, {"type": "http.request", "body": b"", "more_body": False}
        yield api.DataChunk(data=serialize_data_format(asked, form), data_format=form, index=1)

    async def FunctionCallPutDataOut(self, request: Any) -> None:
        self.said += [deserialize_data_format(one.data, one.data_format, None) for one in request.data_chunks]

    async def VolumeReload(self, request: Any) -> None:
        self.of_its_volume.append("reload")

    async def VolumeCommit(self, request: Any) -> Any:
        self.of_its_volume.append("commit")
        return api.VolumeCommitResponse(skip_reload=True)
