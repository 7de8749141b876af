"""What a deployment calls, from the look for an older one to the publication."""

# ruff: noqa: N802 - methods have the names of RPCs

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator
from typing import Any

from grpclib import GRPCError, Status
from modal_proto import api_pb2 as api

from .checks import complaint
from .memory import App, Function, Memory

BUILDER = "2025.06"
"""The version of the workspace's image builder."""


class Deploying:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def AppGetByDeploymentName(self, request: Any) -> Any:
        app = self._memory.deployed(request.name)
        return api.AppGetByDeploymentNameResponse(app_id=app.app_id if app else "", environment_name="main")

    async def AppCreate(self, request: Any) -> Any:
        app = App(self._memory.new_id("ap"), request.description)
        self._memory.apps[app.app_id] = app
        return api.AppCreateResponse(app_id=app.app_id, app_page_url=f"https://modal.com/apps/tests/{app.app_id}")

    async def AppGetLayout(self, request: Any) -> Any:
        app = self._memory.apps[request.app_id]
        functions = [self._memory.functions[one] for one in app.function_ids.values()]
        objects = [
            *(
                api.Object(object_id=one.function_id, function_handle_metadata=self._memory.handle(one))
                for one in functions
            ),
            *(
                api.Object(object_id=one, class_handle_metadata=api.ClassHandleMetadata())
                for one in app.class_ids.values()
            ),
        ]
        layout = api.AppLayout(objects=objects, function_ids=app.function_ids, class_ids=app.class_ids)
        return api.AppGetLayoutResponse(app_layout=layout)

    async def EnvironmentGetOrCreate(self, request: Any) -> Any:
        settings = api.EnvironmentSettings(image_builder_version=BUILDER)
        metadata = api.EnvironmentMetadata(name=request.deployment_name or "main", settings=settings)
        return api.EnvironmentGetOrCreateResponse(environment_id="en-000001", metadata=metadata)

    async def AppHeartbeat(self, request: Any) -> None:
        """Nothing is to be said."""

    async def AppClientDisconnect(self, request: Any) -> None:
        """A deployment that failed: nothing of it was published."""

    async def FunctionPrecreate(self, request: Any) -> Any:
        function = self._function(request.app_id, request.existing_function_id, request.function_name)
        _hold(function, request.method_definitions, request.webhook_config)
        return api.FunctionPrecreateResponse(
            function_id=function.function_id, handle_metadata=self._memory.handle(function)
        )

    async def FunctionCreate(self, request: Any) -> Any:
        data = request.function_data if request.HasField("function_data") else request.function
        if not self._memory.lenient and (said := complaint(request)):
            raise GRPCError(Status.INVALID_ARGUMENT, said)
        name = data.function_name
        function = self._function(request.app_id, request.existing_function_id, name)
        function.created = request
        function.settings.CopyFrom(data.autoscaler_settings)
        _hold(function, data.method_definitions, data.webhook_config)
        return api.FunctionCreateResponse(
            function_id=function.function_id,
            function=request.function,
            function_data=function.data(),
            handle_metadata=self._memory.handle(function),
        )

    async def ClassCreate(self, request: Any) -> Any:
        class_id = request.existing_class_id or self._memory.new_id("cs")
        return api.ClassCreateResponse(class_id=class_id, handle_metadata=api.ClassHandleMetadata())

    async def AppPublish(self, request: Any) -> Any:
        app = self._memory.apps[request.app_id]
        app.name, app.state, app.tag = request.name, request.app_state, request.deployment_tag
        app.function_ids, app.class_ids = dict(request.function_ids), dict(request.class_ids)
        app.version += 1
        url = f"https://modal.com/apps/tests/main/deployed/{app.name}"
        return api.AppPublishResponse(url=url, deployed_at=time.time())

    async def MountGetOrCreate(self, request: Any) -> Any:
        files = b"".join(sorted(file.SerializeToString() for file in request.files))
        content = _digest(request.deployment_name.encode() + files)
        mount_id = f"mo-{content[:12]}"  # The same for the same files, so that an image on top of it is the same too.
        self._memory.mounts[mount_id] = list(request.files)
        told = api.MountHandleMetadata(content_checksum_sha256_hex=content)
        return api.MountGetOrCreateResponse(mount_id=mount_id, handle_metadata=told)

    async def MountBatchedCheckExistence(self, request: Any) -> Any:
        return api.MountBatchedCheckExistenceResponse()  # As if all was here, so that nothing is uploaded.

    async def VolumeGetOrCreate(self, request: Any) -> Any:
        volume_id = self._named("Volume", self._memory.volumes, "vo", request)
        metadata = api.VolumeMetadata(version=request.version, name=request.deployment_name)
        return api.VolumeGetOrCreateResponse(volume_id=volume_id, version=request.version, metadata=metadata)

    async def SecretGetOrCreate(self, request: Any) -> Any:
        if request.env_dict:
            secret_id = self._memory.new_id("st")
            self._memory.secret_values[secret_id] = dict(request.env_dict)
        else:
            secret_id = self._named("Secret", self._memory.secrets, "st", request)
        return api.SecretGetOrCreateResponse(secret_id=secret_id)

    async def ImageGetOrCreate(self, request: Any) -> Any:
        image_id = f"im-{_digest(request.image.SerializeToString(deterministic=True))[:12]}"
        new = image_id not in self._memory.images
        if new:
            self._memory.images[image_id] = request.image
            self._memory.builds.append(image_id)
        if new and (self._memory.build_output or self._failure(image_id)):
            return api.ImageGetOrCreateResponse(image_id=image_id)
        return api.ImageGetOrCreateResponse(image_id=image_id, result=_done(), metadata=_METADATA)

    async def ImageJoinStreaming(self, request: Any) -> AsyncIterator[Any]:
        lines = [api.TaskLogs(data=f"{line}\n", file_descriptor=1) for line in self._memory.build_output]
        yield api.ImageJoinStreamingResponse(task_logs=lines, entry_id="1-0")
        result, said = _done(), self._failure(request.image_id)
        if said:
            del self._memory.images[request.image_id]
            result = api.GenericResult(status=api.GenericResult.GENERIC_STATUS_FAILURE, exception=said)
        yield api.ImageJoinStreamingResponse(result=result, metadata=_METADATA, eof=True, entry_id="2-0")

    def _failure(self, image_id: str) -> str:
        commands = "\n".join(self._memory.images[image_id].dockerfile_commands)
        return next((said for piece, said in self._memory.broken_builds.items() if piece in commands), "")

    def _function(self, app_id: str, existing: str, name: str) -> Function:
        known = self._memory.functions
        for function in known.values():
            mine = (function.app_id, function.name) == (app_id, name)
            if function.function_id == existing or (mine and not existing):
                return function
        function = Function(self._memory.new_id("fu"), app_id, name)
        known[function.function_id] = function
        return function

    def _named(self, kind: str, known: dict[str, str], prefix: str, request: Any) -> str:
        name = request.deployment_name
        if name not in known:
            if request.object_creation_type == api.OBJECT_CREATION_TYPE_UNSPECIFIED:
                raise GRPCError(Status.NOT_FOUND, f"{kind} '{name}' not found in environment 'main'")
            known[name] = self._memory.new_id(prefix)
        return known[name]


def _hold(function: Function, methods: Any, webhook: Any) -> None:
    function.methods = dict(methods)
    function.webhook = webhook


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _done() -> api.GenericResult:
    return api.GenericResult(status=api.GenericResult.GENERIC_STATUS_SUCCESS)


_METADATA = api.ImageMetadata(image_builder_version=BUILDER, python_version_info="Python 3.12.0")
