"""The app: ``modal deploy -m pointsman_modal_app.app``, or `pointsman modal deploy`, which checks it first.

One class answers the web and batches, so that both share its containers and the cap on them. Decorators stand at module
level, since Modal imports this module in the container again, to find there what it deployed from here.
"""

# The stubs of modal leave some types open.
# pyright: reportUnknownMemberType=false
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import modal

from .container import Server
from .settings import VARIABLE, WEIGHTS, Deployment
from .weights import Progress, ensure, fetched

deployment = Deployment.from_environ()
weights = modal.Volume.from_name(deployment.volume, create_if_missing=True, version=2)
served = weights.with_mount_options(read_only=True)
image = (
    modal.Image.from_registry(f"ollama/ollama:{deployment.ollama_version}", add_python="3.12")
    .entrypoint([])  # else Modal's own command would be an argument of Ollama's
    .env({**deployment.server_environ(), VARIABLE: deployment.to_json()})
)
app = modal.App(deployment.name, image=image)


@app.function(
    volumes={WEIGHTS: weights},
    cpu=1.0,
    memory=2048,
    max_containers=1,  # the lock: one writer, and whoever comes second finds the weights there
    timeout=3600,
)
def pull(model: str = deployment.model) -> Iterator[Progress]:
    """Put `model` into the Volume, unless it is there whole. Yields what Ollama tells of it, for `remote_gen`."""
    weights.reload()  # a container that is used again sees what another has written since
    yield from fetched(deployment, model, Path(WEIGHTS))
    weights.commit()


@app.cls(
    gpu=list(deployment.gpu) or None,
    cpu=deployment.cpu,
    memory=deployment.memory,
    volumes={WEIGHTS: served},
    min_containers=deployment.min_containers,
    max_containers=deployment.max_containers,
    scaledown_window=deployment.scaledown_window,
    timeout=deployment.timeout,
    startup_timeout=deployment.startup_timeout,
    region=list(deployment.region) or None,
)
@modal.concurrent(max_inputs=deployment.parallel)
class Ollama:
    """A container: Ollama with the model in the GPU's memory before the first request reaches it."""

    @modal.enter()
    def start(self) -> None:
        """Raises `ServerFailed` with the server's last words; Modal then starts another container."""
        # Not written from here: several containers that pull at once would leave the Volume to chance.
        ensure(Path(WEIGHTS), deployment.model, pull.remote_gen, served.reload)
        self.server = Server(deployment, Path(WEIGHTS))
        self.server.start_loaded()

    @modal.web_server(deployment.port, startup_timeout=deployment.startup_timeout, requires_proxy_auth=True)
    def serve(self) -> None:
        """Ollama's own HTTP, which has been up since `start`."""

    @modal.method()
    async def answer(self, number: int, body: dict[str, Any]) -> dict[str, Any]:
        """A completion, collected: ``{"status": 200, "body": ..., "seconds": ...}``. See `Server.answer`.

        It is async for Modal: were it not, a batch that is cancelled would end its containers, with all that they
        answer to others (``call_function`` of its ``_container_entrypoint``, 1.6.4).

        `number` comes back with it, since Modal's `.map` hands answers out as they come, without saying whose they are;
        and ``call``, the id of that map, by which alone its caller can end it.
        """
        return {"number": number, "call": modal.current_function_call_id(), **await self.server.answered(body)}

    @modal.exit()
    def stop(self) -> None:
        self.server.stop()
