"""What was deployed, in the words of a definition: read out of the requests that a control plane was sent."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, NamedTuple

from modal_proto import api_pb2 as api

from .memory import Function
from .server import ControlPlane


class Surface(NamedTuple):
    """What the world can reach."""

    port: int
    protected: bool
    startup_timeout: float


class Mount(NamedTuple):
    """Of a Volume."""

    volume: str
    version: int
    read_only: bool


@dataclass(frozen=True)
class Deployed:
    """One function, or one class."""

    name: str
    definition: api.Function
    """On the first of its GPUs."""
    variants: tuple[api.Function, ...]
    """On each of them, in order of preference."""
    commands: tuple[str, ...]
    """Of the image, from its base up."""
    volumes: dict[str, Mount]
    """By path."""
    files: frozenset[str]
    """Of ours, that are mounted."""

    @property
    def gpus(self) -> list[str]:
        """As they are written in a definition."""
        configs = [one.resources.gpu_config for one in self.variants]
        return [f"{gpu.gpu_type}:{gpu.count}" if gpu.count != 1 else gpu.gpu_type for gpu in configs if gpu.gpu_type]

    @property
    def scaling(self) -> tuple[int, int, int]:
        """Containers at least and at most, and the seconds that one stays; 0 is what nobody has set."""
        settings = self.definition.autoscaler_settings
        return settings.min_containers, settings.max_containers, settings.scaledown_window

    @property
    def environment(self) -> dict[str, str]:
        """Of the image."""
        lines = [line.removeprefix("ENV ") for line in self.commands if line.startswith("ENV ")]
        pairs = [line.partition("=") for line in lines]
        return {name: "".join(shlex.split(value)) if value else "" for name, _, value in pairs}

    @property
    def surfaces(self) -> list[Surface]:
        """Of its methods, too."""
        webhooks = [
            self.definition.webhook_config,
            *(m.webhook_config for m in self.definition.method_definitions.values()),
        ]
        found = [
            Surface(hook.web_server_port, hook.requires_proxy_auth, hook.web_server_startup_timeout)
            for hook in webhooks
            if hook.type
        ]
        if self.definition.HasField("http_config"):
            config = self.definition.http_config
            found.append(Surface(config.port, not config.unauthenticated, config.startup_timeout))
        return found


def deployed(plane: ControlPlane, app: str) -> dict[str, Deployed]:
    """All functions of an app, by name."""
    functions = [plane.memory.functions[one] for one in plane.app(app).function_ids.values()]
    return {function.name: _read(plane, function) for function in functions}


def _read(plane: ControlPlane, function: Function) -> Deployed:
    variants = tuple(entry.function for entry in function.data().ranked_functions)
    definition = variants[0]
    names = {volume_id: name for name, volume_id in plane.memory.volumes.items()}
    versions = {request.deployment_name: request.version for request in plane.requests("VolumeGetOrCreate")}
    volumes = {
        mount.mount_path: Mount(names[mount.volume_id], versions[names[mount.volume_id]], mount.read_only)
        for mount in definition.volume_mounts
    }
    return Deployed(
        name=function.name,
        definition=definition,
        variants=variants,
        commands=tuple(_commands(plane, definition.image_id)),
        volumes=volumes,
        files=frozenset(file.filename for one in definition.mount_ids for file in plane.memory.mounts[one]),
    )


def _commands(plane: ControlPlane, image_id: str) -> list[str]:
    image: Any = plane.memory.images[image_id]
    below = [line for base in image.base_images for line in _commands(plane, base.image_id)]
    own = [line for line in image.dockerfile_commands if not (image.base_images and line.startswith("FROM base"))]
    return below + own
