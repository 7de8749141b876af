"""One run of a batch, from its options to its summary."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import anyio
import click

from pointsman import AsyncClient, FanOut

from ..context import debugging, remember
from ..exits import Exit
from ..log import log_to_stderr
from ..settings.variables import warn_of_unread
from ..terminal import note
from .committing import Committer
from .disk import DiskFolder, kept_apart, place_of
from .estimate import Estimator
from .fanning import FanSender, Requests
from .lines import Asked
from .log import JOURNAL, Log
from .machines import fan_out_of
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
    kept_apart(job.file, job.output, job.output + JOURNAL)
    with opened(job.file, folder.path) as source:
        read = Reader(client.roster, job.defaults, job.on)
        checked = source.check(read)
        if checked.wrong and not job.skip_invalid:
            raise click.UsageError(told(checked, source.name))
        run = Run(job=job, source=source, read=read, checked=checked, fan_out=fan_out)
        if job.dry_run and (job.restart or not folder.has(name + JOURNAL)):
            return run.count(client, Progress(checked.last))
        with _log(job, folder, name, checked) as log:
            return run.count(client, log.progress) if job.dry_run else run.send(client, log)


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


@dataclass(slots=True, kw_only=True)
class Run:
    """What is sent, and what has become of it."""

    job: Job
    source: Source
    read: Read
    checked: Checked
    fan_out: FanOut | None
    stop: Stop = field(init=False)

    def __post_init__(self) -> None:
        self.stop = Stop(self.job.max_cost, self.job.concurrency)

    def count(self, client: AsyncClient, progress: Progress) -> Exit:
        """Say what it may cost."""
        estimator = Estimator(client.roster)
        for _, asked in self._todo(progress):
            if isinstance(asked, Asked):
                estimator.add(asked)
        summary = self._summary(progress)
        summary.estimate = estimator.found
        summary.show(as_object=self.job.as_json)
        return summary.code

    def send(self, client: AsyncClient, log: Log) -> Exit:
        """Send what is open, and say what it came to. Raises what has stopped it."""
        summary, began = self._summary(log.progress), time.monotonic()
        summary.torn = log.torn
        if summary.open or (self.job.retry_errors and log.progress.errors):
            anyio.run(self._drive, client, log, summary)
            summary.seconds = time.monotonic() - began
        if not summary.open:
            try:
                log.finish()
            except OSError as error:
                self.stop.fail(error)
        summary.show(as_object=self.job.as_json)
        if summary.stuck:  # The interpreter would wait for the threads of whoever puts the machines to work.
            sys.stdout.flush()
            os._exit(summary.code)
        if self.stop.error is None or summary.code is Exit.INTERRUPTED:
            return summary.code
        raise _unwritable(self.job, self.stop.error) if isinstance(self.stop.error, OSError) else self.stop.error

    async def _drive(self, client: AsyncClient, log: Log, summary: Summary) -> None:
        committer, lines = Committer(log), self._todo(log.progress)
        screen = Screen(log.progress, self.checked.lines, log.progress.results)
        async with client, anyio.create_task_group() as group:
            group.start_soon(committer.run)
            group.start_soon(screen.run)
            sender: Sender | FanSender
            if self.fan_out is None:
                sender = Sender(client, log, committer, self.stop, lines)
            else:
                requests = Requests(log, self.stop, lines)
                sender = FanSender(client, committer, self.stop, requests, self.job.on or "", self.fan_out)
            group.start_soon(_heed, self.stop, sender.scope)
            await sender.run(self.job.concurrency)
            try:
                await committer.close()
            except OSError as error:
                self.stop.fail(error)
            summary.sent, summary.stuck = sender.sent, sender.stuck
            group.cancel_scope.cancel()

    def _todo(self, progress: Progress) -> Todo:
        return todo(self.source, self.checked, self.read, progress, retry_errors=self.job.retry_errors)

    def _summary(self, progress: Progress) -> Summary:
        return Summary(
            input=self.source.name,
            output=self.job.output,
            lines=self.checked.lines,
            invalid=self.checked.wrong,
            progress=progress,
            stop=self.stop,
        )


async def _heed(stop: Stop, sending: anyio.CancelScope) -> None:
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


def _unwritable(job: Job, error: OSError) -> Halt:
    why = f"{job.output} cannot be written: {error.strerror or error}"
    return Halt(why, "mend that, and the same command goes on; what has no result yet is sent again")
