"""Many lines ask for the disk at once: one sync serves all that wait for it, and the event loop goes on meanwhile."""

from __future__ import annotations

import anyio
import anyio.to_thread

from .log import Log
from .progress import Result


class Committer:
    """Of one run. `run` is a task; the others are called by the tasks that ask."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._marks: list[tuple[int, int]] = []
        self._results: list[Result] = []
        self._wanted = anyio.Event()
        self._round = anyio.Event()
        """Set once what waits now is on disk, or cannot be."""
        self._closing = False
        self._ended = anyio.Event()
        self.error: OSError | None = None
        """Why the disk took no more."""

    async def mark(self, line: int, sent: int) -> None:
        """Return once it is on disk that `line` counts as sent so often. Raises `OSError`; it is taken back then, as it
        is for who is cancelled here.
        """
        self._marks.append((line, sent))
        self._wanted.set()
        try:
            await self._round.wait()
            if self.error is not None:
                raise self.error
        except BaseException:
            self.unmark(line, sent - 1)
            raise

    def unmark(self, line: int, sent: int) -> None:
        """Write down, soon, that `line` was sent no more often than that: nobody had begun to answer it."""
        self._marks.append((line, sent))
        self._wanted.set()

    def keep(self, result: Result) -> None:
        """Write a result, soon."""
        self._results.append(result)
        self._wanted.set()

    async def run(self) -> None:
        """Write, until it is closed."""
        while not self._closing:
            await self._wanted.wait()
            if self.error is None:
                await self._flush()
            else:  # Nobody waits for a disk that takes no more.
                self._release()
        self._ended.set()

    async def close(self) -> None:
        """Write what is left. A disk that was full a while ago may have room again. Raises `OSError`."""
        self._closing = True
        self._wanted.set()
        await self._ended.wait()
        self.error = None
        await self._flush()
        if self.error is not None:
            raise self.error

    def _release(self) -> None:
        self._wanted = anyio.Event()
        done, self._round = self._round, anyio.Event()
        done.set()

    async def _flush(self) -> None:
        """Write what waits now; what cannot be written waits on."""
        self._wanted = anyio.Event()
        marks, self._marks = self._marks, []
        results, self._results = self._results, []
        done, self._round = self._round, anyio.Event()

        def write() -> None:
            self._log.commit([], results)
            results.clear()
            self._log.commit(marks, [])
            marks.clear()

        try:
            if marks or results:
                await anyio.to_thread.run_sync(write)
        except OSError as error:
            self.error = error
            self._marks, self._results = marks + self._marks, results + self._results
        finally:
            done.set()
