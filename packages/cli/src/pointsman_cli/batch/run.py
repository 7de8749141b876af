"""One run of a batch, from its options to its summary."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import click

from pointsman import AsyncClient, FanOut
from pointsman.engine.roster import Roster

from ..context import debugging, remember
from ..exits import Exit
from ..log import log_to_stderr
from ..settings.variables import warn_of_unread
from ..terminal import note
from .committing import Committer
from .disk import DiskFolder, place_of
from .estimate import Estimator
from .fanning import FanSender, Requests, fan_out_of
from .lines import Asked
from .log import JOURNAL, Log
from .progress import Progress
from .reading import Reader
from .screen import Screen
from .sending import Sender, Todo
from .source import Checked, Read, Source, opened, told
from .stopping import Stop
from .summary import Summary
from .todo import todo
from .words import Halt

GRACE = 5.0
"""Seconds that lines in flight have to end after the first Ctrl-C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the command line asks for."""

    file: str
    output: str
    defaults: Mapping[str, Any]
    """Options for what a line does not say itself."""
    on: str | None
    concurrency: int
    max_cost: Decimal | None
    retry_errors: bool
    skip_invalid: bool
    restart: bool
    dry_run: bool
    as_json: bool


def run_batch(job: Job) -> Exit:
    """Do it. Raises `click.UsageError`, `Halt`, and the error tree of `pointsman.errors`; the summary is shown then."""
    log_to_stderr(debug=debugging(click.get_current_context()))
    client = AsyncClient()
    remember(client, {"model": job.defaults.get("model", "")})
    warn_of_unread(client.roster)
    fan_out = fan_out_of(client.roster, job.on) if job.on else None
    folder, name = place_of(job.output)
    with opened(job.file, Path(job.output).expanduser().absolute().parent) as source:
        read = Reader(client.roster, job.defaults, job.on)
        checked = source.check(read)
        if checked.wrong and not job.skip_invalid:
            raise click.UsageError(told(checked, source.name))
        if job.dry_run and (job.restart or not folder.has(name + JOURNAL)):
            return _count(job, client.roster, source, checked, read, Progress(checked.last))
        with _log(job, folder, name, checked) as log:
            if job.dry_run:
                return _count(job, client.roster, source, checked, read, log.progress)
            return _send(job, client, source, checked, read, log, fan_out)


@contextmanager
def _log(job: Job, folder: DiskFolder, name: str, checked: Checked) -> Generator[Log]:
    """The output and its journal, which are nobody else's meanwhile."""
    identity = {"input": {"bytes": checked.bytes, "sha256": checked.sha256}, "options": {**job.defaults, "on": job.on}}
    try:
        journal = folder.open(name + JOURNAL)
        try:
            if not journal.hold():
                why = f"{job.output} is being written by another pointsman batch"
                raise Halt(why, "wait until it has ended, or name another --output")
            log = Log.open(folder, name, journal, identity, checked.last, restart=job.restart)
        except BaseException:
            journal.close()
            raise
    except OSError as error:
        raise _unwritable(job, error) from error
    with closing(log):
        yield log


def _send(
    job: Job, client: AsyncClient, source: Source, checked: Checked, read: Read, log: Log, fan_out: FanOut | None
) -> Exit:
    progress, began = log.progress, time.monotonic()
    stop = Stop(job.max_cost, job.concurrency)
    summary = Summary(
        input=source.name,
        output=job.output,
        lines=checked.lines,
        invalid=checked.wrong,
        progress=progress,
        stop=stop,
        torn=log.torn,
    )
    if summary.open or (job.retry_errors and progress.errors):
        lines = todo(source, checked, read, progress, retry_errors=job.retry_errors)
        screen = Screen(progress, checked.lines, progress.results)
        summary.sent = anyio.run(_drive, job, client, log, stop, lines, screen, fan_out)
        summary.seconds = time.monotonic() - began
    if not summary.open:
        try:
            log.finish()
        except OSError as error:
            stop.fail(error)
    summary.show(as_object=job.as_json)
    if isinstance(stop.error, OSError):
        raise _unwritable(job, stop.error) from stop.error
    if stop.error is not None:
        raise stop.error
    return summary.code


async def _drive(
    job: Job, client: AsyncClient, log: Log, stop: Stop, lines: Todo, screen: Screen, fan_out: FanOut | None
) -> int:
    """Send `lines`; how many were sent."""
    committer = Committer(log)
    async with client, anyio.create_task_group() as group:
        group.start_soon(committer.run)
        group.start_soon(screen.run)
        sender: Sender | FanSender
        if fan_out is None:
            sender = Sender(client, log, committer, stop, lines)
        else:
            sender = FanSender(client, committer, stop, Requests(log, stop, lines), job.on or "", fan_out)
        with anyio.CancelScope() as sending:
            group.start_soon(heed, stop, sending)
            await sender.run(job.concurrency)
        try:
            await committer.close()
        except OSError as error:
            stop.fail(error)
        group.cancel_scope.cancel()
    return sender.sent


async def heed(stop: Stop, sending: anyio.CancelScope) -> None:
    """Nothing new is sent after a Ctrl-C, and what is in flight has a little time; after another, none."""
    if threading.current_thread() is not threading.main_thread():
        return  # Where signals do not arrive.
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            if stop.reason == "interrupted":
                sending.cancel()
            else:
                stop.interrupt()
                sending.deadline = anyio.current_time() + GRACE
                note(f"Stopping: what is in flight has {GRACE:.0f} s to end. Ctrl-C again stops at once.")


def _count(job: Job, roster: Roster, source: Source, checked: Checked, read: Read, progress: Progress) -> Exit:
    """Say what it would come to."""
    estimator = Estimator(roster)
    for _, asked in todo(source, checked, read, progress, retry_errors=job.retry_errors):
        if isinstance(asked, Asked):
            estimator.add(asked)
    summary = Summary(
        input=source.name,
        output=job.output,
        lines=checked.lines,
        invalid=checked.wrong,
        progress=progress,
        stop=Stop(None, job.concurrency),
        estimate=estimator.found,
    )
    summary.show(as_object=job.as_json)
    return summary.code


def _unwritable(job: Job, error: OSError) -> Halt:
    why = f"{job.output} cannot be written: {error.strerror or error}"
    return Halt(why, "mend that, and the same command goes on; what has no result yet is sent again")
