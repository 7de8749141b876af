"""What a control plane of Modal's knows: apps, functions, images, volumes; and ids as the SDK dispatches on them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from grpclib import GRPCError, Status
from modal_proto import api_pb2 as api


@dataclass
class Log:
    """One line that something has written."""

    text: str
    function_id: str = ""
    source: int = api.FILE_DESCRIPTOR_STDOUT
    at: float = field(default_factory=time.time)
    container: str = ""


@dataclass
class App:
    app_id: str
    name: str
    state: int = api.APP_STATE_INITIALIZING
    function_ids: dict[str, str] = field(default_factory=dict)
    """Name -> id, as it was published; of a class, ``Name.*``."""
    class_ids: dict[str, str] = field(default_factory=dict)
    logs: list[Log] = field(default_factory=list)
    created_at: float = field(default_factory=time.time)
    stopped_at: float = 0.0
    tag: str = ""
    version: int = 0
    """How often it was deployed."""

    def lifecycle(self) -> api.AppLifecycle:
        return api.AppLifecycle(
            app_state=self.state,
            created_at=self.created_at,
            deployed_at=self.created_at if self.version else 0,
            stopped_at=self.stopped_at,
            version=self.version,
        )


@dataclass
class Function:
    function_id: str
    app_id: str
    name: str
    created: api.FunctionCreateRequest | None = None
    """The last definition of it."""
    methods: dict[str, api.MethodDefinition] = field(default_factory=dict)
    webhook: api.WebhookConfig | None = None
    settings: api.AutoscalerSettings = field(default_factory=api.AutoscalerSettings)
    """What the autoscaler keeps to; a deployment resets it."""
    containers: int = 0
    """That are said to be running."""
    backlog: int = 0

    def data(self) -> api.FunctionData:
        """The definition in the one shape that replies use: what is on every GPU alike, and a ranking of the rest."""
        assert self.created is not None
        if self.created.function_data.ranked_functions:
            return self.created.function_data
        one = self.created.function
        data = api.FunctionData(
            module_name=one.module_name,
            function_name=one.function_name,
            function_type=one.function_type,
            timeout_secs=one.timeout_secs,
            startup_timeout_secs=one.startup_timeout_secs,
            webhook_config=one.webhook_config,
            is_class=one.is_class,
            autoscaler_settings=one.autoscaler_settings,
            ranked_functions=[api.FunctionData.RankedFunction(rank=0, function=one)],
        )
        for name, method in one.method_definitions.items():
            data.method_definitions[name].CopyFrom(method)
        return data


@dataclass
class Memory:
    """Everything, in the manner of a database: read and changed in the thread of the server only."""

    web_url: Callable[[App, str], str] = lambda app, label: f"https://tests--{app.name}-{label}.modal.run"
    """The address of what an app serves, by its label."""
    lenient: bool = False
    """Names and limits are not checked, as if the server took everything."""
    apps: dict[str, App] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    images: dict[str, api.Image] = field(default_factory=dict)
    builds: list[str] = field(default_factory=list)
    """Ids of images, in the order in which they were built; a layer that is known is not built again."""
    broken_builds: dict[str, str] = field(default_factory=dict)
    """A piece of a command -> what its failure says."""
    build_output: list[str] = field(default_factory=list)
    """Lines that each build prints."""
    volumes: dict[str, str] = field(default_factory=dict)
    """Name -> id; of secrets alike."""
    secrets: dict[str, str] = field(default_factory=dict)
    secret_values: dict[str, dict[str, str]] = field(default_factory=dict)
    mounts: dict[str, list[api.MountFile]] = field(default_factory=dict)
    tokens: list[api.TokenCreateResponse] = field(default_factory=list)
    """Proxy tokens that were made."""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def new_id(self, kind: str) -> str:
        """``ap``, ``fu``, ``cs``, ``im``, ``vo``, ``st``, ``mo``, ``fc``, ``in`` or ``ta``, a hyphen and a number."""
        return f"{kind}-{next(self._numbers):06}"

    def deployed(self, name: str) -> App | None:
        found = (app for app in self.apps.values() if app.name == name and app.state == api.APP_STATE_DEPLOYED)
        return next(found, None)

    def app(self, name: str) -> App:
        """Raises NOT_FOUND, in the words that the SDK repeats."""
        if (app := self.deployed(name)) is None:
            raise GRPCError(Status.NOT_FOUND, f"App '{name}' not found in environment 'main'")
        return app

    def function(self, app_name: str, name: str) -> Function:
        app = self.app(app_name)
        if name not in app.function_ids:
            raise GRPCError(Status.NOT_FOUND, f"App '{app_name}' has no function '{name}'")
        return self.functions[app.function_ids[name]]

    def by_id(self, function_id: str) -> Function:
        if function_id not in self.functions:
            raise GRPCError(Status.NOT_FOUND, f"Function {function_id} not found")
        return self.functions[function_id]

    def handle(self, function: Function) -> api.FunctionHandleMetadata:
        """What the SDK keeps of a function, with the addresses of what it serves."""
        app = self.apps[function.app_id]
        kind = api.Function.FUNCTION_TYPE_FUNCTION
        if function.created is not None:
            kind = function.data().function_type or kind
        made: dict[str, Any] = {"app_id": app.app_id, "function_name": function.name, "function_type": kind}
        handle = api.FunctionHandleMetadata(**made, definition_id=f"de-{function.function_id}")
        if function.webhook is not None and function.webhook.type:
            handle.web_url = self.web_url(app, function.webhook.requested_suffix or function.name)
        for name, method in function.methods.items():
            told = handle.method_handle_metadata[name]
            told.function_name, told.is_method, told.app_id = f"{function.name[:-1]}{name}", True, app.app_id
            told.function_type = method.function_type
            told.use_method_name = name
            if method.webhook_config.type:
                label = method.webhook_config.requested_suffix or told.function_name.replace(".", "-").lower()
                told.web_url = self.web_url(app, label)
        return handle
