"""Running the demo: the stage, then each case through an ordinary client."""

from __future__ import annotations

from typing import Protocol

import anyio
import click

from pointsman import StreamedReply, StreamEvent, Target
from pointsman.client import AsyncClient, Options
from pointsman_testing import Lab

from .. import as_json as shapes
from ..context import debugging
from ..log import log_to_stderr
from ..terminal import out
from .cases import GREETING, Case
from .screen import Screen
from .stage import Stage, build


class Show(Protocol):
    """Who presents the demo."""

    def opening(self, stage: Stage) -> None: ...
    def case(self, number: int, case: Case, reply: StreamedReply) -> None: ...
    def event(self, event: StreamEvent) -> None: ...
    def end(self, case: Case, reply: StreamedReply) -> None: ...
    def closing(self, stage: Stage, client: AsyncClient) -> None: ...


def run(*, as_json: bool, plain: bool, speed: float) -> None:
    """Play it to the end."""
    log_to_stderr(debug=debugging(click.get_current_context()))
    anyio.run(_play, JsonShow() if as_json else Screen(plain=plain), speed)


async def _play(show: Show, speed: float) -> None:
    async with Lab(speed=speed) as lab:
        stage = build(lab)
        show.opening(stage)
        async with AsyncClient(settings=stage.settings, plugins=stage.plugins) as client:
            async with anyio.create_task_group() as group:
                for target in (one for one in stage.targets if one.provider not in stage.local):
                    group.start_soon(_greet, client, target)
            for number, case in enumerate(stage.cases, 1):
                options = Options(deadline=120, require=case.require, priority=case.priority)
                if case.trouble == "breaks":
                    options["on_break"] = "restart"
                async with client.stream(case.prompt, **options) as reply:
                    show.case(number, case, reply)
                    async for event in reply.events:
                        show.event(event)
                show.end(case, reply)
            show.closing(stage, client)


async def _greet(client: AsyncClient, target: Target) -> None:
    """So that no first token waits for the HTTP library to be imported, nor the policy for a machine to start."""
    await client.chat(GREETING, model=target)


class JsonShow:
    """A line for each call."""

    def opening(self, stage: Stage) -> None:
        pass

    def case(self, number: int, case: Case, reply: StreamedReply) -> None:
        pass

    def event(self, event: StreamEvent) -> None:
        pass

    def end(self, case: Case, reply: StreamedReply) -> None:
        out(shapes.dumps({"task": case.task, "prompt": case.prompt, "simulated": True, "reply": shapes.reply(reply)}))

    def closing(self, stage: Stage, client: AsyncClient) -> None:
        pass
