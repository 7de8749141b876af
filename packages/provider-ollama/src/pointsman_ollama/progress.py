"""From the bytes of a pull to its progress. Pure: `PullDecoder` reads one response, `Marks` spans all of one pull.

A line is a step (``pulling manifest``), or how much of a layer is there. Layers are told one after the other, and the
end of one is not told but by what follows. The last line says ``success``; without it nothing is whole.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pointsman import PointsmanError, StreamBroken, Target
from pointsman_openai import fields, redact, shortened, string, words_of

from .lines import LineSplitter, LineTooLong

SUCCESS = "success"


@dataclass(frozen=True, slots=True)
class Progress:
    """What a pull has come to."""

    status: str
    """The server's own words; ``success`` is the last."""
    digest: str | None = None
    """The layer that this is about, if it is about one."""
    completed: int = 0
    """Bytes of the layer that are there. It never falls, though what the server says may."""
    total: int | None = None
    """Bytes of the layer, where known."""
    interruption: PointsmanError | None = None
    """Why the pull broke off, where it is about to be asked for again."""


@dataclass(slots=True)
class Marks:
    """The highest that was told of each layer, and how much has been new in all."""

    layers: dict[str, tuple[int, int | None]] = field(default_factory=dict[str, tuple[int, "int | None"]])
    steps: set[str] = field(default_factory=set[str])
    news: int = 0

    def step(self, status: str) -> Progress:
        if status not in self.steps:
            self.steps.add(status)
            self.news += 1
        return Progress(status)

    def layer(self, status: str, digest: str, completed: int, total: int | None) -> Progress:
        """A server takes back what a part had brought that it has to fetch again; for whoever watches, it stays."""
        before, known = self.layers.get(digest, (-1, None))
        most = max((size for size in (total, known) if size is not None), default=None)
        now = max(before, completed if most is None else min(completed, most))
        if most is not None:  # A size that is told late may be less than what was told before it.
            most = max(most, now)
        if now > before:
            self.news += 1
        self.layers[digest] = (now, most)
        return Progress(status, digest, now, most)


class PullDecoder:
    """One response. `ready` holds what is to be read next; then `failure` is raised, or the pull is `done`."""

    def __init__(
        self, target: Target, marks: Marks, complaint: Callable[[Any], PointsmanError], secrets: tuple[str, ...] = ()
    ) -> None:
        """`complaint` makes an error of a line that holds one; `secrets` are taken out of all that is quoted."""
        self.ready: deque[Progress] = deque()
        self.failure: PointsmanError | None = None
        self.done = False
        """The server has said ``success``."""
        self._target = target
        self._marks = marks
        self._complaint = complaint
        self._secrets = secrets
        self._lines = LineSplitter()

    @property
    def over(self) -> bool:
        """Nothing more is to be read from the body."""
        return self.done or self.failure is not None

    def feed(self, data: bytes) -> None:
        """Take more of the body."""
        try:
            lines = self._lines.feed(data)
        except LineTooLong as error:
            self._break(str(error))
            return
        for line in lines:
            if self.over:
                return
            self._take(line)

    def end(self, lost: Exception | None = None) -> None:
        """The body has ended, or the connection was `lost`: a last line without its newline counts only before an end
        that is clean.
        """
        if not self.over and lost is None:
            self._take(self._lines.rest())
        if not self.over:
            how = f"the connection was lost ({words_of(lost)})" if lost else "the server ended the stream"
            self._break(f"{how} before it said that the model is there", lost)

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            told = fields(json.loads(line.decode(errors="replace"), strict=False))
        except (ValueError, RecursionError):
            self._break(f"a line is not JSON: {redact(line[:4096].decode(errors='replace'), self._secrets)[:80]!r}")
            return
        if "error" in told:
            self.failure = self._complaint(told)
            return
        status = shortened(redact(string(told.get("status")), self._secrets))
        digest, completed, total = string(told.get("digest")), told.get("completed"), told.get("total")
        if digest:
            self.ready.append(self._marks.layer(status, digest, _count(completed) or 0, _count(total)))
        elif status:
            self.ready.append(self._marks.step(status))
            self.done = status == SUCCESS

    def _break(self, message: str, cause: Exception | None = None) -> None:
        self.failure = StreamBroken(redact(message, self._secrets), target=self._target)
        self.failure.__cause__ = cause


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None
