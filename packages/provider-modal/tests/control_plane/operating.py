"""What looks after a deployment calls: handles, the autoscaler, logs, the list of apps, proxy tokens."""

# ruff: noqa: N802 - methods have the names of RPCs

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from grpclib import GRPCError, Status
from modal_proto import api_pb2 as api

from .memory import App, Log, Memory


class Operating:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def ClientHello(self, request: Any) -> Any:
        return api.ClientHelloResponse(image_builder_version="2025.06")

    async def WorkspaceNameLookup(self, request: Any) -> Any:
        return api.WorkspaceNameLookupResponse(workspace_name="tests", username="tests")

    async def WebhookTokenCreate(self, request: Any) -> Any:
        number = len(self._memory.tokens) + 1
        token = api.TokenCreateResponse(token_id=f"wk-proxy{number:08}", token_secret=f"ws-secret{number:08}")
        self._memory.tokens.append(token)
        return token

    async def FunctionGet(self, request: Any) -> Any:
        function = self._memory.function(request.app_name, request.object_tag)
        return api.FunctionGetResponse(
            function_id=function.function_id, handle_metadata=self._memory.handle(function), function=function.data()
        )

    async def ClassGet(self, request: Any) -> Any:
        app = self._memory.app(request.app_name)
        if request.object_tag not in app.class_ids:
            raise GRPCError(Status.NOT_FOUND, f"App '{app.name}' has no class '{request.object_tag}'")
        return api.ClassGetResponse(
            class_id=app.class_ids[request.object_tag], handle_metadata=api.ClassHandleMetadata()
        )

    async def FunctionBindParams(self, request: Any) -> Any:
        """A variant of a class, such as one of other options: a pool of its own, here of the same containers."""
        function = self._memory.by_id(request.function_id)
        handle = self._memory.handle(function)
        handle.base_function_id = function.function_id
        return api.FunctionBindParamsResponse(bound_function_id=function.function_id, handle_metadata=handle)

    async def FunctionGetCurrentStats(self, request: Any) -> Any:
        function = self._memory.by_id(request.function_id)
        return api.FunctionStats(backlog=function.backlog, num_total_tasks=function.containers)

    async def FunctionGetSchedulingParams(self, request: Any) -> Any:
        settings = self._memory.by_id(request.function_id).settings
        configuration = api.AutoscalerConfiguration(settings=settings)
        return api.FunctionGetSchedulingParamsResponse(autoscaler_configuration=configuration)

    async def FunctionUpdateSchedulingParams(self, request: Any) -> Any:
        """Containers that are to be running are running at once."""
        function = self._memory.by_id(request.function_id)
        function.settings.MergeFrom(request.settings)
        function.containers = max(function.containers, function.settings.min_containers)
        return api.FunctionUpdateSchedulingParamsResponse(current_settings=function.settings)

    async def AppGetOrCreate(self, request: Any) -> Any:
        app = self._memory.app(request.app_name)
        functions = dict(app.function_ids)
        told = api.AppHandleMetadata(
            description=app.name, app_id=app.app_id, lifecycle=app.lifecycle(), functions=functions
        )
        return api.AppGetOrCreateResponse(app_id=app.app_id, handle_metadata=told)

    async def AppList(self, request: Any) -> Any:
        return api.AppListResponse(apps=[self._listed(app) for app in self._memory.apps.values()])

    async def AppStop(self, request: Any) -> None:
        app = self._memory.apps[request.app_id]
        app.state, app.stopped_at = api.APP_STATE_STOPPED, time.time()
        for function_id in app.function_ids.values():
            self._memory.functions[function_id].containers = 0

    async def TaskList(self, request: Any) -> Any:
        return api.TaskListResponse()

    async def AppFetchLogs(self, request: Any) -> Any:
        """The last ones, as many as are asked for, in order."""
        found = self._logs(request)[-(request.limit or 10**6) :]
        return api.AppFetchLogsResponse(batches=[_batch(log, str(number)) for number, log in enumerate(found)])

    async def AppCountLogs(self, request: Any) -> Any:
        counts: dict[int, int] = {}
        for log in self._logs(request):
            begin = int(log.at) // request.bucket_secs * request.bucket_secs
            counts[begin] = counts.get(begin, 0) + 1
        buckets = [api.AppCountLogsResponse.LogBucket(stdout_logs=counts[begin]) for begin in sorted(counts)]
        for bucket, begin in zip(buckets, sorted(counts), strict=True):
            bucket.bucket_start_at.FromSeconds(begin)
        return api.AppCountLogsResponse(app_id=request.app_id, buckets=buckets)

    async def AppGetLogs(self, request: Any) -> AsyncIterator[Any]:
        """What is new since the entry that the reader knows, until the app stops or the reader's time is over."""
        app = self._memory.apps[request.app_id]
        read, until = int(request.last_entry_id or 0), time.monotonic() + request.timeout
        while time.monotonic() < until:
            stopped, new = (
                app.state == api.APP_STATE_STOPPED,
                app.logs[read:],
            )  # In this order: a test writes, then stops.
            for number, log in enumerate(new, read + 1):
                if _matches(log, request.function_id, request.file_descriptor):
                    yield _batch(log, str(number))
            read += len(new)
            if stopped:
                yield api.TaskLogsBatch(app_done=True, entry_id=str(read))
                return
            await asyncio.sleep(0.005)

    def _listed(self, app: App) -> Any:
        running = sum(self._memory.functions[one].containers for one in app.function_ids.values())
        return api.AppListResponse.AppListItem(
            app_id=app.app_id,
            description=app.name,
            name=app.name,
            state=app.state,
            created_at=app.created_at,
            stopped_at=app.stopped_at,
            n_running_tasks=running,
        )

    def _logs(self, request: Any) -> list[Log]:
        since, until = request.since.ToNanoseconds() / 1e9, request.until.ToNanoseconds() / 1e9
        return [
            log
            for log in self._memory.apps[request.app_id].logs
            if since <= log.at <= until
            and request.search_text in log.text
            and _matches(log, request.function_id, request.source)
        ]


def _matches(log: Log, function_id: str, source: int) -> bool:
    return function_id in ("", log.function_id) and source in (api.FILE_DESCRIPTOR_UNSPECIFIED, log.source)


def _batch(log: Log, entry_id: str) -> api.TaskLogsBatch:
    item = api.TaskLogs(data=log.text, file_descriptor=log.source, timestamp=log.at, container_id=log.container)
    return api.TaskLogsBatch(items=[item], entry_id=entry_id, function_id=log.function_id, task_id=log.container)
